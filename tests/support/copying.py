"""A world in which workspaces are copied, brought back and moved: what carries it out, and is all there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from fly.backup.making import Backing, Made, back_up
from fly.backup.moving import move
from fly.backup.records import Backups, Copy, Drill
from fly.backup.restoring import bring_back, bring_to_new, drill
from fly.backup.swapping import settle, settle_one
from fly.backup.wire import Wire
from fly.client import LEASE_S
from fly.ledger import Workspace
from fly.plan import Person
from tests.support.fake_courier import contents_of
from tests.support.fake_repository import FolderRepository
from tests.support.world import IMAGE, PLATFORM, World

SERVERS = "claude/.claude.json"
"""What the server itself writes whenever it starts."""


@dataclass
class Copying:
    """Carries out what is done with copies in a world."""

    world: World
    backups: Backups
    said: list[str] = field(default_factory=list)

    @property
    def backing(self) -> Backing:
        transport = httpx.MockTransport(self.world.fly.visit)
        return Backing(
            client=self.world.client,
            backups=self.backups,
            report=self.said.append,
            dial=partial(Wire, transport=transport),
            repository=self.repository,
        )

    @property
    def repository(self) -> FolderRepository:
        return FolderRepository(self.world.ledger.path.with_name("repository"), self.world.fly.perform)

    def settle(self) -> None:
        """As every verb about copies does it first."""
        settle(self.backing, self.world.ledger)

    def settle_one(self, row: Workspace) -> None:
        settle_one(self.backing, self.world.ledger, row)

    def back_up(self, row: Workspace, *, again: bool = False) -> Made:
        self.settle()
        return back_up(self.backing, self.row(row), again=again)

    def bring_back(self, row: Workspace, copy: Copy) -> Workspace:
        self.settle()
        world = self.world
        return bring_back(self.backing, world.ledger, self.row(row), copy, image=IMAGE, probe=world.fly.page)

    def bring_to_new(self, person: Person, copy: Copy) -> Workspace:
        self.settle()
        world = self.world
        return bring_to_new(
            self.backing, world.ledger, world.draft(person), copy, image=IMAGE, probe=world.fly.page
        )

    def drill(self, row: Workspace, copy: Copy) -> Drill:
        self.settle()
        return drill(self.backing, self.row(row), copy, image=IMAGE, probe=self.world.fly.page)

    def move(self, row: Workspace, region: str) -> Workspace:
        self.settle()
        world = self.world
        return move(self.backing, world.ledger, self.row(row), region, probe=world.fly.page)

    # --- what there is

    def row(self, row: Workspace) -> Workspace:
        return self.world.ledger.get(row.id)

    def machine(self, row: Workspace) -> dict[str, Any]:
        return self.world.fly.machines[self.row(row).machine_id]

    def hers(self, row: Workspace) -> dict[str, str]:
        """What is on the volume that the ledger names."""
        return _without_servers(self.world.fly.contents[self.row(row).volume_id])

    def copied(self, copy: Copy) -> dict[str, str]:
        with self.repository.opened(copy) as pieces:
            return _without_servers(contents_of(b"".join(pieces)))

    def assert_nothing_is_under_way(self) -> None:
        """Neither in the record nor on the platform."""
        assert self.backups.swaps() == []
        assert self.backups.borrowed(PLATFORM.key) == []
        assert {app.name for app in self.world.fly.ours} <= {row.app for row in self.world.rows()}

    def assert_in_order(self, row: Workspace) -> None:
        """One of each, as the ledger says, and open to its user; nothing is under way."""
        self.assert_nothing_is_under_way()
        row, world = self.row(row), self.world
        [machine] = world.fly.of_app(world.fly.machines, row.app)
        [volume] = world.fly.of_app(world.fly.volumes, row.app)
        assert (machine["id"], volume["id"]) == (row.machine_id, row.volume_id)
        assert not machine.get("cordoned")
        assert "services" in machine["config"]
        assert (machine["config"]["image"], row.image) == (IMAGE, IMAGE)
        assert not row.is_worked_on
        world.clock.sleep(LEASE_S)  # what could not be given back runs out
        assert not world.fly.lease_of(machine["id"])


def _without_servers(there: dict[str, str]) -> dict[str, str]:
    return {path: text for path, text in there.items() if path != SERVERS}


@contextmanager
def copies_in(world: World) -> Iterator[Copying]:
    with Backups(world.backups_path) as backups:
        yield Copying(world, backups)
