"""A world in which workspaces are changed: what carries it out, what is hers, is it still there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fly.change.eyes import Eyes, Patience
from fly.change.power import Power
from fly.change.rollout import Rolling, image_before, plan
from fly.change.rollouts import ROLLBACK, UPGRADE, Leg, Rollouts
from fly.change.upgrade import Upgrading
from fly.client import LEASE_S
from fly.ledger import Workspace
from fly.plan import Person
from tests.support.world import PLATFORM, World

NEXT = "registry.fly.io/my-jarvis-images@sha256:" + "b2" * 32
HERS = {"workspace/letter.txt": "Dear", "home/.profile": "export A=1", "app/settings.json": "{}"}
PATIENCE = Patience(idle_s=60, page_s=5, well_s=10)


@dataclass
class Changes:
    """Carries out changes in a world."""

    world: World
    rollouts: Rollouts
    said: list[str] = field(default_factory=list)

    @property
    def eyes(self) -> Eyes:
        return Eyes(self.world.fly.page, self.world.fly.busy)

    @property
    def power(self) -> Power:
        return Power(self.world.client, self.world.ledger, self.eyes, PATIENCE, self.said.append)

    @property
    def rolling(self) -> Rolling:
        def upgrading(report: Callable[[str], None]) -> Upgrading:
            world = self.world
            return Upgrading(world.client, world.ledger, self.rollouts, self.eyes, PATIENCE, report)

        return Rolling(self.world.ledger, self.rollouts, upgrading, self._shown)

    @contextmanager
    def _shown(self, title: str) -> Iterator[Callable[[str], None]]:
        self.said.append(title)
        yield self.said.append

    def settle(self) -> list[Leg]:
        return self.rolling.settle(PLATFORM.key)

    def upgrade(
        self, rows: Sequence[Workspace] = (), to: str = NEXT, *, canaries: int = 1, kind: str = UPGRADE
    ) -> list[Leg]:
        """As the verb does it: what was cut off first, then those who are not there yet."""
        settled = self.settle()
        rows = rows or self.world.ledger.workspaces()
        stops = plan(self.world.client, rows, lambda row: to or image_before(self.rollouts, row), canaries)
        rollout = self.rolling.begin(PLATFORM.key, kind, stops)
        return [*settled, *self.rolling.run(rollout)]

    def rollback(self) -> list[Leg]:
        return self.upgrade(to="", canaries=0, kind=ROLLBACK)

    def go_on(self) -> list[Leg]:
        settled = self.settle()
        return [*settled, *self.rolling.run(self.rolling.interrupted(PLATFORM.key)[-1])]

    # --- what there is

    def user(self, name: str = "Lilach", state: str = "started") -> Workspace:
        """A workspace with something of hers in it, its machine in this state."""
        row = self.world.provision(Person(name, f"{name.lower()}@example.com"))
        self.world.fly.contents[row.volume_id].update(HERS)
        self.machine(row)["state"] = state
        return row

    def machine(self, row: Workspace) -> dict[str, Any]:
        return self.world.fly.machines[self.world.ledger.get(row.id).machine_id]

    def image(self, row: Workspace) -> str:
        return str(self.machine(row)["config"]["image"])

    def assert_well(self, row: Workspace, image: str, state: str = "started") -> None:
        """It runs this image in this state, the ledger says so, and what was hers is there."""
        world, row = self.world, self.world.ledger.get(row.id)
        assert (self.image(row), row.image) == (image, image)
        assert self.machine(row)["state"] == state
        assert not self.machine(row).get("cordoned")
        assert world.fly.contents[row.volume_id].items() >= HERS.items()
        assert not row.is_worked_on
        world.clock.sleep(LEASE_S)  # what could not be given back runs out
        assert not world.fly.lease_of(row.machine_id)
        if state != "stopped":
            world.assert_whole(row)
        [_only] = world.fly.of_app(world.fly.machines, row.app)
        [_only] = world.fly.of_app(world.fly.volumes, row.app)


@contextmanager
def changes_in(world: World) -> Iterator[Changes]:
    with Rollouts(world.ledger.path) as rollouts:
        yield Changes(world, rollouts)
