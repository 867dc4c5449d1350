"""A fake Fly, a ledger and a client of it, and the questions whether they agree."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx

from fly.client import Client
from fly.errors import AlreadyThere, JarvisError
from fly.ledger import DESTROYED, FAILED, LEFT_BEHIND, READY, Ledger, Workspace
from fly.owner import Owner
from fly.plan import Person, Plan
from fly.provision import destroy, draft, provision
from fly.repair import REMOVE, repair, survey
from fly.settings import Platform, Secret
from tests.support.fake_fly import ORG, TOKEN, Call, FakeFly

IMAGE = "registry.fly.io/my-jarvis-images@sha256:" + "a1" * 32
PLATFORM = Platform("fly", "https://fly.test", Secret(TOKEN), ORG, "https://logs.test")
_SHM = Path("/dev/shm")
MEMORY = _SHM if _SHM.is_dir() else None
"""A folder in memory where there is such a thing: a record waits for its disk at every step."""
LILACH = Person("Lilach", "lilach@example.com")


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Killed(BaseException):
    """What ends a run in place of kill -9."""


def much_later() -> float:
    """A time at which nobody can still be making what is made now."""
    return time.time() + 3600


DEAD = str(replace(Owner.me(), started="long ago"))
"""The owner of a row on which a process worked that is no more."""


@dataclass
class World:
    fly: FakeFly
    ledger: Ledger
    client: Client
    clock: Clock
    _is_dead: bool = field(default=False, init=False)

    def kill(self, act: Callable[[], Any], number: int, moment: str) -> Call:
        """`act`, ended as kill -9 ends it: before or after its call of that number is carried out.

        From that moment on nothing that it still does is seen: the platform is asked no more, and the ledger
        is the one that lay on the disk then. Gives the call.
        """
        died_at: list[Call] = []
        left = self.ledger.path.with_name(f"left-by-{self.ledger.path.name}")

        def strike(at: int, call: Call) -> None:
            if self._is_dead:
                raise Killed
            if at == number:
                self._is_dead = True
                died_at.append(call)
                for path in self._records():
                    _copy(path, path.with_name(f"left-by-{path.name}"))
                raise Killed

        self.fly.heal()
        setattr(self.fly, moment, strike)
        self.fly.before = strike if moment == "before" else self._only_the_living
        with suppress(Killed, JarvisError):  # what it makes of its own death is not seen either
            act()
        self.fly.before = self.fly.after = lambda _number, _call: None
        self._is_dead = False
        assert died_at, "it ended before it was killed"
        self.ledger.close()
        self.ledger = Ledger(left)
        self._bury()
        return died_at[0]

    def _records(self) -> list[Path]:
        return [path for path in (self.ledger.path, self.backups_path) if path.exists()]

    def _bury(self) -> None:
        """Whoever worked on something works no more."""
        for row in self.rows():
            if row.owner:
                self.ledger.note(row.id, owner=DEAD)
        if self.backups_path.exists():
            with closing(sqlite3.connect(self.backups_path)) as database, database:
                for table in ("swaps", "borrowed"):
                    database.execute(f"UPDATE {table} SET owner = ? WHERE owner <> ''", (DEAD,))

    @property
    def backups_path(self) -> Path:
        """Where the record of copies is, once there are any."""
        return self.ledger.path.with_name(self.ledger.path.name.replace("ledger", "backups"))

    def _only_the_living(self, _number: int, _call: Call) -> None:
        if self._is_dead:
            raise Killed

    def draft(self, person: Person = LILACH, **wanted: Any) -> Plan:
        return draft(PLATFORM, person, image=IMAGE, **wanted)

    def provision(self, person: Person = LILACH, *, again: bool = False, **wanted: Any) -> Workspace:
        plan = self.draft(person, **wanted)
        return provision(self.client, self.ledger, plan, again=again, probe=self.fly.page)

    def destroy(self, workspace: Workspace) -> Workspace:
        return destroy(self.client, self.ledger, workspace)

    def rows(self) -> list[Workspace]:
        return self.ledger.workspaces(everything=True)

    def provision_or_find(self) -> Workspace:
        try:
            return self.provision()
        except AlreadyThere as error:
            return cast(Workspace, error.workspace)

    # --- the truth

    def assert_nothing_of_strangers_was_touched(self) -> None:
        assert self.fly.stranger_is_untouched

    def assert_the_ledger_tells_the_truth(self, *, orphans: bool = False) -> None:
        """Each row says what there is, and there is nothing of ours without a row."""
        present = {app.name: app for app in self.fly.ours}
        rows = {row.app: row for row in self.rows()}
        assert orphans or set(present) <= set(rows), "an app without a row"
        for row in rows.values():
            assert not row.is_worked_on
            if row.state == READY:
                self.assert_whole(row)
            elif row.state in (FAILED, DESTROYED):
                assert row.app not in present, f"the row says {row.state}, and the app is there"
            elif row.state == LEFT_BEHIND:
                assert row.app in row.left_behind

    def assert_whole(self, row: Workspace) -> None:
        """One of each, and they are the ones that the row names."""
        [volume] = self.fly.of_app(self.fly.volumes, row.app)
        [machine] = self.fly.of_app(self.fly.machines, row.app)
        assert (volume["id"], machine["id"]) == (row.volume_id, row.machine_id)
        assert volume["region"] == machine["region"] == row.region
        assert sorted(ip["shared"] for ip in self.fly.apps[row.app].ips) == [False, True]
        assert self.fly.page(row.url) == ""

    def assert_it_converges(self) -> None:
        """Once the platform is well again: order, one workspace, and at last nothing."""
        self.fly.heal()
        repair(self.client, self.ledger, probe=self.fly.page)
        self.assert_the_ledger_tells_the_truth()
        workspace = self.provision_or_find()
        assert workspace.state == READY
        self.assert_whole(workspace)
        assert [app.name for app in self.fly.ours] == [workspace.app]
        assert survey(self.client, self.ledger) == []
        self.destroy(workspace)
        assert self.fly.ours == []
        assert repair(self.client, self.ledger, probe=self.fly.page, orphans=REMOVE) == []
        self.assert_the_ledger_tells_the_truth()
        self.assert_nothing_of_strangers_was_touched()


def _copy(database: Path, to: Path) -> None:
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


@contextmanager
def new_world(folder: Path, ledger: str = "ledger.sqlite") -> Iterator[World]:
    """A world whose records are, or come to be, in this folder."""
    fly, clock = FakeFly(), Clock()
    fly.clock = clock
    transport = httpx.MockTransport(fly.handle)
    with Client(PLATFORM, transport=transport, sleep=clock.sleep, clock=clock) as client:
        world = World(fly, Ledger(folder / ledger), client, clock)
        try:
            yield world
        finally:
            world.ledger.close()
