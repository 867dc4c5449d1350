"""How far each workspace is on its way to another image: what a killed run leaves for the next one.

A leg is written before its first request and at each step from which there is another way back.
"""

from dataclasses import dataclass, fields
from typing import Any

from fly.ledger import Workspace, who
from fly.record import Record, stamp

PLANNED, WAITING, COPYING = "planned", "waiting", "copying"
CHANGING, OPENING = "changing", "opening"
RETURNING, RESTORING = "returning", "restoring"
DONE, UNTOUCHED, RETURNED, RESTORED, GONE = "done", "untouched", "returned", "restored", "gone"
ENDED = (DONE, UNTOUCHED, RETURNED, RESTORED, GONE)
CUT_OFF = (WAITING, COPYING, CHANGING, OPENING, RETURNING, RESTORING)

UPGRADE, ROLLBACK = "upgrade", "rollback"
UNDER_WAY, STOPPED, OVER = "under way", "stopped", "over"


@dataclass(frozen=True)
class Leg:
    """One workspace's part of a rollout.

    *Shape* of `step`: `planned`, `waiting` until nothing of hers runs, `copying` a snapshot and proving it,
    `changing` to the new image with nobody let in, `opening` it again; `returning` to the old image,
    `restoring` the snapshot. It ends `done`, `untouched` (it never left the old image), `returned` or
    `restored`; or the workspace is `gone`.
    """

    number: int
    rollout: int
    workspace: str
    is_canary: int
    from_image: str
    to_image: str
    machine: str
    volume: str
    step: str
    was: str
    """The state in which the machine was found."""
    answered: str
    """`no` where its server did not answer before either."""
    snapshot: str
    copy: str
    """What is on the snapshot, packed."""
    new_volume: str
    new_machine: str
    why: str
    began_at: str
    ended_at: str

    @property
    def is_unfinished(self) -> bool:
        """Whether it has begun and not ended: it is under way, or was cut off."""
        return self.step in CUT_OFF

    def to_json(self) -> dict[str, Any]:
        shown = (
            "workspace",
            "from_image",
            "to_image",
            "step",
            "was",
            "snapshot",
            "why",
            "began_at",
            "ended_at",
        )
        return {name: getattr(self, name) for name in shown} | {"is_canary": bool(self.is_canary)}


@dataclass(frozen=True)
class Rollout:
    """Several workspaces' way to other images, one after another."""

    number: int
    platform: str
    kind: str
    state: str
    began_at: str
    ended_at: str
    who: str


class Rollouts(Record):
    """The rollouts of a ledger."""

    CALLED = "The ledger"
    TABLES = """
    CREATE TABLE IF NOT EXISTS rollouts (
        number INTEGER PRIMARY KEY,
        platform TEXT NOT NULL,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        began_at TEXT NOT NULL,
        ended_at TEXT NOT NULL DEFAULT '',
        who TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS legs (
        number INTEGER PRIMARY KEY,
        rollout INTEGER NOT NULL REFERENCES rollouts (number),
        workspace TEXT NOT NULL,
        is_canary INTEGER NOT NULL,
        from_image TEXT NOT NULL,
        to_image TEXT NOT NULL,
        machine TEXT NOT NULL,
        volume TEXT NOT NULL,
        step TEXT NOT NULL,
        was TEXT NOT NULL DEFAULT '',
        answered TEXT NOT NULL DEFAULT '',
        snapshot TEXT NOT NULL DEFAULT '',
        copy TEXT NOT NULL DEFAULT '',
        new_volume TEXT NOT NULL DEFAULT '',
        new_machine TEXT NOT NULL DEFAULT '',
        why TEXT NOT NULL DEFAULT '',
        began_at TEXT NOT NULL DEFAULT '',
        ended_at TEXT NOT NULL DEFAULT ''
    ) STRICT;
    """

    def begin(self, platform: str, kind: str) -> Rollout:
        self._execute(
            "INSERT INTO rollouts (platform, kind, state, began_at, who) VALUES (?, ?, ?, ?, ?)",
            *(platform, kind, UNDER_WAY, stamp(), who()),
        )
        return self.rollouts(platform)[-1]

    def end(self, rollout: Rollout, state: str) -> None:
        self._execute(
            "UPDATE rollouts SET state = ?, ended_at = ? WHERE number = ?", state, stamp(), rollout.number
        )

    def rollouts(self, platform: str) -> list[Rollout]:
        """Oldest first."""
        names = ", ".join(field.name for field in fields(Rollout))
        rows = self._rows(f"SELECT {names} FROM rollouts WHERE platform = ? ORDER BY number", platform)  # noqa: S608
        return [Rollout(*row) for row in rows]

    def add(
        self, rollout: Rollout, row: Workspace, from_image: str, to_image: str, *, is_canary: bool
    ) -> Leg:
        """A leg that is planned."""
        images = (from_image, to_image)
        ids = (row.machine_id, row.volume_id)
        values = (rollout.number, row.id, int(is_canary), *images, *ids, PLANNED)
        with self._transaction():
            self._database.execute(
                "INSERT INTO legs (rollout, workspace, is_canary, from_image, to_image,"
                " machine, volume, step) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number: int = self._database.execute("SELECT last_insert_rowid()").fetchone()[0]
        return self.leg(number)

    def again(self, leg: Leg) -> Leg:
        """The same leg once more, planned."""
        names = "rollout, workspace, is_canary, from_image, to_image, machine, volume"
        with self._transaction():
            self._database.execute(
                f"INSERT INTO legs ({names}, step) SELECT {names}, ? FROM legs WHERE number = ?",  # noqa: S608
                (PLANNED, leg.number),
            )
            number: int = self._database.execute("SELECT last_insert_rowid()").fetchone()[0]
        return self.leg(number)

    def start(self, leg: Leg, row: Workspace) -> Leg:
        return self.note(leg, step=WAITING, machine=row.machine_id, volume=row.volume_id, began_at=stamp())

    def note(self, leg: Leg, **facts: str) -> Leg:
        """The leg with these facts; one that ends has an end, and needs the list of the copy no more."""
        if facts.get("step") in ENDED:
            facts |= {"ended_at": stamp(), "copy": ""}
        assert set(facts) <= {field.name for field in fields(Leg)}
        assignments = ", ".join(f"{name} = ?" for name in facts)
        self._execute(f"UPDATE legs SET {assignments} WHERE number = ?", *facts.values(), leg.number)  # noqa: S608
        return self.leg(leg.number)

    def leg(self, number: int) -> Leg:
        return self._legs("number = ?", number)[0]

    def legs(self, rollout: Rollout) -> list[Leg]:
        """Oldest first."""
        return self._legs("rollout = ?", rollout.number)

    def of_workspace(self, workspace: str) -> list[Leg]:
        """Oldest first."""
        return self._legs("workspace = ?", workspace)

    def unfinished(self, platform: str) -> list[Leg]:
        """Those of a platform that were cut off, or are under way."""
        legs = self._legs("rollout IN (SELECT number FROM rollouts WHERE platform = ?)", platform)
        return [one for one in legs if one.is_unfinished]

    def _legs(self, where: str, *values: object) -> list[Leg]:
        names = ", ".join(field.name for field in fields(Leg))
        rows = self._rows(f"SELECT {names} FROM legs WHERE {where} ORDER BY number", *values)  # noqa: S608
        return [Leg(*row) for row in rows]
