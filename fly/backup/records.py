"""Which copies were made of whom, which of them were proven, and what a killed run left to put in order."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fly.errors import BackupError
from fly.owner import Owner
from fly.record import Record, append_only, stamp

SCHEMA = (
    """
    CREATE TABLE copies (
        id TEXT PRIMARY KEY,
        workspace TEXT NOT NULL,
        app TEXT NOT NULL,
        email TEXT NOT NULL,
        at TEXT NOT NULL,
        size INTEGER NOT NULL,
        new_bytes INTEGER NOT NULL,
        files INTEGER NOT NULL,
        manifest TEXT NOT NULL,
        repository TEXT NOT NULL,
        mark TEXT NOT NULL
    ) STRICT;
    CREATE INDEX copies_by_workspace ON copies (workspace, at);
    CREATE TABLE looks (
        number INTEGER PRIMARY KEY,
        copy TEXT NOT NULL REFERENCES copies (id) ON DELETE CASCADE,
        at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE drills (
        number INTEGER PRIMARY KEY,
        copy TEXT NOT NULL,
        workspace TEXT NOT NULL,
        at TEXT NOT NULL,
        ok INTEGER NOT NULL,
        detail TEXT NOT NULL,
        took_s REAL NOT NULL
    ) STRICT;
    """
    + append_only("drills")
    + """
    CREATE TABLE borrowed (
        app TEXT PRIMARY KEY,
        network TEXT NOT NULL,
        platform TEXT NOT NULL,
        owner TEXT NOT NULL
    ) STRICT;
    CREATE TABLE swaps (
        workspace TEXT PRIMARY KEY,
        what TEXT NOT NULL,
        old_machine TEXT NOT NULL,
        old_volume TEXT NOT NULL,
        old_state TEXT NOT NULL,
        old_config TEXT NOT NULL,
        new_volume TEXT NOT NULL DEFAULT '',
        new_machine TEXT NOT NULL DEFAULT '',
        stage TEXT NOT NULL,
        owner TEXT NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE borrowed ADD COLUMN at TEXT NOT NULL DEFAULT '';
    ALTER TABLE swaps ADD COLUMN at TEXT NOT NULL DEFAULT '';
    """,
)
ELSEWHERE_DEAD_AFTER = timedelta(hours=6)
"""A process that we cannot see, on another host, is believed dead when it has noted nothing for this long: a
large volume takes hours."""


@dataclass(frozen=True)
class Copy:
    """One copy of a workspace's whole volume, as it was at `at` (ISO 8601, UTC).

    `mark` is what the machine said of itself then, if it slept: as long as it says the same, nothing changed.

    *Units*: `size` and `new_bytes` in bytes; the latter is what the repository grew by.
    """

    id: str
    workspace: str
    app: str
    email: str
    at: str
    size: int
    new_bytes: int
    files: int
    manifest: str
    repository: str
    mark: str = ""

    def to_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "mark"}


@dataclass(frozen=True)
class Drill:
    """A copy was brought back to a throw-away place, and compared with what it was made from."""

    copy: str
    workspace: str
    at: str
    ok: bool
    detail: str
    took_s: float


@dataclass(frozen=True)
class Latest:
    """The newest copy of a workspace.

    `confirmed_at` is when it was last known to be all there is: when it was made, or when the workspace was
    seen not to have run since. `proven_at` is when a copy of this workspace was last brought back and
    compared; empty if never.
    """

    copy: Copy
    confirmed_at: str
    proven_at: str

    @property
    def age(self) -> timedelta:
        return datetime.now(UTC) - datetime.fromisoformat(self.confirmed_at)

    def to_json(self) -> dict[str, Any]:
        shown = {"confirmed_at": self.confirmed_at, "proven_at": self.proven_at}
        return self.copy.to_json() | shown


@dataclass(frozen=True)
class Swap:
    """A machine and its volume on their way to be replaced by others; what is needed to finish or undo it."""

    workspace: str
    what: str
    old_machine: str
    old_volume: str
    old_state: str
    old_config: str
    new_volume: str = ""
    new_machine: str = ""
    stage: str = "begun"
    owner: str = ""
    at: str = ""
    """When it last went on."""

    @property
    def is_worked_on(self) -> bool:
        return _lives(self.owner, self.at)

    @property
    def is_mine(self) -> bool:
        """Whether this process works on it."""
        return self.owner == str(Owner.me())


@dataclass(frozen=True)
class Borrowed:
    """A throw-away app."""

    app: str
    network: str


class Backups(Record):
    """The record at `path`.

    *Errors*: BackupError.
    """

    CALLED = "The record of backups"
    REFUSAL = BackupError
    MIGRATIONS = SCHEMA

    # --- copies

    def add(self, copy: Copy) -> None:
        marks = ", ".join("?" * len(fields(Copy)))
        self._execute(f"INSERT OR IGNORE INTO copies VALUES ({marks})", *astuple(copy))  # noqa: S608

    def copies(self, workspace: str = "") -> list[Copy]:
        """Oldest first."""
        where = "WHERE ? = '' OR workspace = ?"
        return [
            Copy(*row)
            for row in self._rows(f"SELECT * FROM copies {where} ORDER BY at, id", workspace, workspace)  # noqa: S608
        ]

    def latest(self, workspace: str) -> Latest | None:
        """What `status`, `check` and others show of it."""
        mine = self.copies(workspace)
        if not mine:
            return None
        looks = self._rows("SELECT max(at) FROM looks WHERE copy = ?", mine[-1].id)[0][0]
        proven = self._rows("SELECT max(at) FROM drills WHERE workspace = ? AND ok", workspace)[0][0]
        return Latest(mine[-1], max(mine[-1].at, looks or ""), proven or "")

    def confirm(self, copy: Copy) -> None:
        """It is still all there is: its workspace has not run since."""
        self._execute("INSERT INTO looks (copy, at) VALUES (?, ?)", copy.id, stamp())

    def keep_only(self, repository: str, ids: Iterable[str]) -> None:
        """Forgets copies that are in this repository no longer."""
        present = set(ids)
        with self._transaction():
            for copy in self.copies():
                if copy.repository == repository and copy.id not in present:
                    self._database.execute("DELETE FROM copies WHERE id = ?", (copy.id,))

    # --- drills

    def note(self, drill: Drill) -> None:
        self._execute(
            "INSERT INTO drills (copy, workspace, at, ok, detail, took_s) VALUES (?, ?, ?, ?, ?, ?)",
            *(drill.copy, drill.workspace, drill.at, int(drill.ok), drill.detail, drill.took_s),
        )

    def drills(self, workspace: str = "") -> list[Drill]:
        """Oldest first."""
        rows = self._rows(
            "SELECT copy, workspace, at, ok, detail, took_s FROM drills "
            "WHERE ? = '' OR workspace = ? ORDER BY number",
            *(workspace, workspace),
        )
        return [Drill(copy, whose, at, bool(ok), detail, took) for copy, whose, at, ok, detail, took in rows]

    # --- throw-away apps

    def borrow(self, borrowed: Borrowed, platform: str) -> None:
        """Written before it is made, so that whatever kills us leaves a row by which it is found."""
        values = (*astuple(borrowed), platform, str(Owner.me()), stamp())
        self._execute("INSERT INTO borrowed VALUES (?, ?, ?, ?, ?)", *values)

    def returned(self, app: str) -> None:
        """It is gone from the platform."""
        self._execute("DELETE FROM borrowed WHERE app = ?", app)

    def abandon(self, app: str) -> None:
        """It may still be there, and nobody is at work on it: whoever comes next removes it."""
        self._execute("UPDATE borrowed SET owner = '' WHERE app = ?", app)

    def borrowed(self, platform: str) -> list[Borrowed]:
        rows = self._rows("SELECT app, network FROM borrowed WHERE platform = ?", platform)
        return [Borrowed(*row) for row in rows]

    def abandoned(self, platform: str) -> list[Borrowed]:
        """Those whose borrower is gone."""
        rows = self._rows("SELECT app, network, owner, at FROM borrowed WHERE platform = ?", platform)
        return [Borrowed(app, network) for app, network, owner, at in rows if not _lives(owner, at)]

    # --- machines on their way to be replaced

    def begin(self, swap: Swap) -> None:
        marks = ", ".join("?" * len(fields(Swap)))
        values = astuple(replace(swap, owner=str(Owner.me()), at=stamp()))
        self._execute(f"INSERT INTO swaps VALUES ({marks})", *values)  # noqa: S608

    def swap(self, workspace: str) -> Swap | None:
        found = self._rows("SELECT * FROM swaps WHERE workspace = ?", workspace)
        return Swap(*found[0]) if found else None

    def swaps(self) -> list[Swap]:
        return [Swap(*row) for row in self._rows("SELECT * FROM swaps")]

    def went_on(self, workspace: str, **facts: str) -> None:
        """Writes an id, or how far it is, down the moment it is so."""
        assert set(facts) <= {"new_volume", "new_machine", "stage"}
        self._set(workspace, **facts)

    def take_over(self, workspace: str) -> Swap | None:
        """The swap, ours from now on; None where there is none. Of two who ask at once one gets it.

        *Errors*: BackupError: another process works on it.
        """
        with self._transaction():
            swap = self.swap(workspace)
            if swap is None:
                return None
            if swap.is_worked_on:
                raise BackupError(
                    f"The {swap.what} of {workspace} is being worked on by another process.",
                    hint="wait for it",
                )
            self._set(workspace, owner=str(Owner.me()))
        return self.swap(workspace)

    def give_up(self, workspace: str) -> None:
        """It is neither finished nor undone, and nobody is at work on it: whoever comes next is."""
        self._set(workspace, owner="")

    def _set(self, workspace: str, **facts: str) -> None:
        changed = {**facts, "at": stamp()}
        assignments = ", ".join(f"{name} = ?" for name in changed)
        self._execute(f"UPDATE swaps SET {assignments} WHERE workspace = ?", *changed.values(), workspace)  # noqa: S608

    def ended(self, workspace: str) -> None:
        self._execute("DELETE FROM swaps WHERE workspace = ?", workspace)


def latest(path: Path, workspace: str) -> Latest | None:
    """The newest copy of a workspace in the record at `path`; None as long as there is no record."""
    if not path.exists():
        return None
    with Backups(path) as backups:
        return backups.latest(workspace)


def confirmed(path: Path) -> dict[str, datetime]:
    """When the newest copy of each workspace was last known to be all there is."""
    if not path.exists():
        return {}
    with Backups(path) as backups:
        newest = (backups.latest(whose) for whose in {copy.workspace for copy in backups.copies()})
        return {one.copy.workspace: datetime.fromisoformat(one.confirmed_at) for one in newest if one}


def _lives(owner: str, at: str) -> bool:
    """Whether the process that noted something then is still at work; nobody is where no owner is named."""
    if not owner:
        return False
    found = Owner.parse(owner)
    if found.is_elsewhere:
        return bool(at) and datetime.now(UTC) - datetime.fromisoformat(at) < ELSEWHERE_DEAD_AFTER
    return found.is_alive
