"""Who has which workspace: the record, in SQLite.

A row is written before the first request and every id the moment it exists, so that whatever kills us leaves
a row that can be finished or undone. What happened to a row is kept for good in `history`.
"""

import getpass
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from fly.access.welcome import Welcome
from fly.errors import AlreadyThere, LedgerError
from fly.owner import Owner
from fly.people import copies
from fly.plan import Person, Plan, network_of
from fly.record import Record, append_only, stamp
from fly.settings import Secret

ELSEWHERE_DEAD_AFTER = timedelta(minutes=10)
"""A process that we cannot see, on another host, is believed dead when it has noted nothing for this long."""

PROVISIONING, READY, DESTROYING = "provisioning", "ready", "destroying"
DESTROYED, FAILED, LEFT_BEHIND = "destroyed", "failed", "left_behind"
LIVE = (PROVISIONING, READY, DESTROYING, LEFT_BEHIND)
"""States in which something may exist on the platform."""
HALF_DONE = (PROVISIONING, DESTROYING, LEFT_BEHIND)
"""States in which nobody is to leave it."""

SCHEMA = (
    """
    CREATE TABLE workspaces (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        email TEXT NOT NULL,
        platform TEXT NOT NULL,
        app TEXT NOT NULL UNIQUE,
        url TEXT NOT NULL,
        machine_id TEXT NOT NULL DEFAULT '',
        volume_id TEXT NOT NULL DEFAULT '',
        region TEXT NOT NULL,
        image TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('provisioning', 'ready', 'destroying', 'destroyed', 'failed', 'left_behind')),
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        plan TEXT NOT NULL DEFAULT '',
        left_behind TEXT NOT NULL DEFAULT '',
        owner TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX workspaces_by_email ON workspaces (platform, email COLLATE NOCASE);
    CREATE TABLE history (
        number INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        workspace TEXT NOT NULL REFERENCES workspaces (id),
        what TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
    """
    + append_only("history"),
    """
    CREATE TABLE keys (
        workspace TEXT NOT NULL REFERENCES workspaces (id),
        hash TEXT NOT NULL,
        login TEXT NOT NULL,
        user TEXT NOT NULL,
        secret TEXT NOT NULL,
        drawn_at TEXT NOT NULL,
        PRIMARY KEY (workspace, hash)
    ) STRICT;
    """,
)
"""What makes each version from the one before."""


@dataclass(frozen=True)
class Workspace:
    """One row: a person's workspace and how far it is. Times are ISO 8601 in UTC."""

    id: str
    name: str
    email: str
    platform: str
    app: str
    url: str
    machine_id: str
    volume_id: str
    region: str
    image: str
    state: str
    created_at: str
    updated_at: str
    plan: str
    left_behind: str
    owner: str

    @property
    def network(self) -> str:
        return network_of(self.id)

    @property
    def is_worked_on(self) -> bool:
        """Whether a process that lives is making or unmaking it at this moment."""
        if not self.owner:
            return False
        owner = Owner.parse(self.owner)
        if owner.is_elsewhere:
            return datetime.now(UTC) - datetime.fromisoformat(self.updated_at) < ELSEWHERE_DEAD_AFTER
        return owner.is_alive

    @property
    def is_unfinished(self) -> bool:
        """Whether it was left in the middle of something, with nobody at work on it."""
        return self.state in HALF_DONE and not self.is_worked_on

    def to_json(self) -> dict[str, str]:
        """What programs read."""
        ids = ("app", "url", "machine_id", "volume_id")
        shown = ("name", "email", *ids, "region", "state", "image", "created_at")
        return {name: getattr(self, name) for name in shown}


@dataclass(frozen=True)
class Entry:
    """One line of history."""

    at: str
    who: str
    workspace: str
    what: str
    detail: str


class Ledger(Record):
    """The ledger at `path`.

    *Errors*: LedgerError.
    """

    CALLED = "The ledger"
    MIGRATIONS = SCHEMA

    # --- reading ----------------------------------------------------------------------------------

    def get(self, id: str) -> Workspace:  # noqa: A002
        return self._one("id = ?", id)

    def workspaces(self, platform: str = "", *, everything: bool = False) -> list[Workspace]:
        """Those that exist, oldest first; `everything`: those too that are gone."""
        where = "(? = '' OR platform = ?)"
        rows = self._select(where, platform, platform)
        return [row for row in rows if everything or row.state in LIVE]

    def of_email(self, email: str, platform: str) -> list[Workspace]:
        """The workspaces that this person has, oldest first."""
        rows = self._select("platform = ? AND email = ? COLLATE NOCASE", platform, email)
        return [row for row in rows if row.state in LIVE]

    def find(self, wanted: str, platform: str) -> Workspace:
        """The one workspace with this name, e-mail, app or id; one that is gone only where none exists.

        *Errors*: LedgerError: none, or several.
        """
        rows = [row for row in self.workspaces(platform, everything=True) if _answers_to(row, wanted)]
        found = [row for row in rows if row.state in LIVE] or rows[-1:]
        if not found:
            raise LedgerError(
                f"There is no workspace of {wanted!r} in the ledger.", hint="invoke users shows them all"
            )
        if len(found) > 1:
            raise LedgerError(
                f"There are {len(found)} workspaces of {wanted!r}: {', '.join(row.app for row in found)}.",
                hint=f"--name {found[0].app}",
            )
        return found[0]

    def history(self, id: str) -> list[Entry]:  # noqa: A002
        with self._explained():
            rows = self._database.execute(
                "SELECT at, who, workspace, what, detail FROM history WHERE workspace = ? ORDER BY number",
                (id,),
            )
            return [Entry(*row) for row in rows]

    # --- writing ----------------------------------------------------------------------------------

    def begin(self, plan: Plan, *, again: bool = False) -> Workspace:
        """The row of a workspace that is about to be made, owned by this process.

        *Errors*: AlreadyThere: the e-mail has one, and `again` was not said. Of two who ask at once one wins.
        """
        now = stamp()
        row = Workspace(
            id=plan.id,
            name=plan.name,
            email=plan.email,
            platform=plan.platform,
            app=plan.app,
            url=plan.url,
            machine_id="",
            volume_id="",
            region=plan.region,
            image=plan.image,
            state=PROVISIONING,
            created_at=now,
            updated_at=now,
            plan=json.dumps(plan.to_json(), ensure_ascii=False),
            left_behind="",
            owner=str(Owner.me()),
        )
        with self._transaction():
            present = self.of_email(plan.email, plan.platform)
            if present and not again:
                raise _already_there(present[0])
            self._insert(row, "begun", plan.app)
            self._keep_key(row.id, plan.welcome)
        return row

    def adopt(self, found: Workspace) -> Workspace:
        """The row of a workspace that exists on the platform and that the ledger did not know."""
        with self._transaction():
            self._insert(found, "adopted", f"{found.app} {found.machine_id}")
        return self.get(found.id)

    def note(self, id: str, **facts: str) -> Workspace:  # noqa: A002
        """Writes an id down the moment it exists."""
        return self._change(id, "noted", facts)

    def change(self, id: str, what: str, why: str = "", **facts: str) -> Workspace:  # noqa: A002
        """Writes down what was done to it, and what is different since."""
        return self._change(id, what, facts, why)

    def edit(self, id: str, person: Person) -> Workspace:  # noqa: A002
        """The row with this person's name and e-mail; history has the old ones.

        *Errors*: AlreadyThere: the e-mail has another workspace. LedgerError: another process works on it.
        """
        with self._transaction():
            row = self.get(id)
            if row.is_worked_on:
                raise _worked_on(row)
            others = [one for one in self.of_email(person.email, row.platform) if one.id != id]
            if others and row.email.casefold() != person.email.casefold():
                raise _already_there(others[0])
            changes = {"name": (row.name, person.name), "email": (row.email, person.email)}
            told = [f"{name}: {old} → {new}" for name, (old, new) in changes.items() if old != new]
            if told:
                self._update(id, "edited", {name: new for name, (_, new) in changes.items()}, "; ".join(told))
        return self.get(id)

    def finish(self, id: str) -> Workspace:  # noqa: A002
        return self._change(id, "ready", {"state": READY, "left_behind": "", "owner": ""})

    def fail(self, id: str, why: str) -> Workspace:  # noqa: A002
        """Nothing of it exists."""
        return self._change(id, "failed", {"state": FAILED, "left_behind": "", "owner": ""}, why)

    def destroyed(self, id: str, why: str = "") -> Workspace:  # noqa: A002
        return self._change(id, "destroyed", {"state": DESTROYED, "left_behind": "", "owner": ""}, why)

    def leave_behind(self, id: str, what: str, why: str) -> Workspace:  # noqa: A002
        """Something of it may exist, and could not be removed."""
        return self._change(id, "left behind", {"state": LEFT_BEHIND, "left_behind": what, "owner": ""}, why)

    def claim(self, id: str, *, state: str = "") -> Workspace:  # noqa: A002
        """The row, owned by this process from now on, in `state` if one is given.

        *Errors*: LedgerError: another process works on it.
        """
        with self._transaction():
            row = self.get(id)
            if row.is_worked_on:
                raise _worked_on(row)
            facts = {"owner": str(Owner.me())} | ({"state": state} if state else {})
            self._update(id, "claimed", facts, state)
        return self.get(id)

    def remark(self, id: str, what: str, detail: str = "") -> None:  # noqa: A002
        """Puts into history what was done with a workspace and changes nothing of its row."""
        with self._transaction():
            self._remember(id, what, detail)

    def release(self, id: str) -> None:  # noqa: A002
        """Gives a claimed row back as it is."""
        self._change(id, "released", {"owner": ""})

    def close_all(self, platform: str, why: str) -> list[Workspace]:
        """Closes every row of a platform that is gone with all that was on it."""
        return [self.destroyed(row.id, why) for row in self.workspaces(platform)]

    # --- keys: in a table of their own, so that no listing, record or history shows them --------------

    def keys(self, id: str) -> list[Welcome]:  # noqa: A002
        """What was drawn to let a workspace's user in and not forgotten since, newest first."""
        with self._explained():
            rows = self._database.execute(
                "SELECT login, user, hash, secret FROM keys WHERE workspace = ? ORDER BY drawn_at DESC", (id,)
            )
            return [Welcome(login, user, hashed, Secret(secret)) for login, user, hashed, secret in rows]

    def keep_key(self, id: str, welcome: Welcome) -> None:  # noqa: A002
        with self._transaction():
            self._keep_key(id, welcome)
            self._remember(id, "key drawn", welcome.login)

    def forget_keys(self, id: str, *, but: str) -> None:  # noqa: A002
        """All keys of a workspace but the one with this hash."""
        with self._transaction():
            self._database.execute("DELETE FROM keys WHERE workspace = ? AND hash <> ?", (id, but))

    def _keep_key(self, id: str, welcome: Welcome) -> None:  # noqa: A002
        if welcome.login:
            values = (id, welcome.hash, welcome.login, welcome.user, welcome.secret.reveal(), stamp())
            self._database.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?)", values)

    def _change(self, id: str, what: str, facts: Mapping[str, str], why: str = "") -> Workspace:  # noqa: A002
        with self._transaction():
            self._update(id, what, facts, why)
            if facts.get("state") in (FAILED, DESTROYED):
                self._database.execute("DELETE FROM keys WHERE workspace = ?", (id,))
        return self.get(id)

    # --- SQL --------------------------------------------------------------------------------------

    def _keep(self, version: int) -> None:
        copies.copy(self.path, f"schema-{version}")

    def _insert(self, row: Workspace, what: str, detail: str) -> None:
        names = [field.name for field in fields(Workspace)]
        marks = ", ".join("?" * len(names))
        values = [getattr(row, name) for name in names]
        self._database.execute(f"INSERT INTO workspaces ({', '.join(names)}) VALUES ({marks})", values)  # noqa: S608
        self._remember(row.id, what, detail)

    def _update(self, id: str, what: str, facts: Mapping[str, str], why: str) -> None:  # noqa: A002
        changed = {**facts, "updated_at": stamp()}
        assert set(changed) <= {field.name for field in fields(Workspace)}
        assignments = ", ".join(f"{name} = ?" for name in changed)
        done = self._database.execute(
            f"UPDATE workspaces SET {assignments} WHERE id = ?",  # noqa: S608
            [*changed.values(), id],
        )
        if done.rowcount != 1:
            raise LedgerError(f"There is no workspace {id} in the ledger.")
        told = {name: value for name, value in facts.items() if name not in ("owner", "state") and value}
        self._remember(id, what, why or " ".join(f"{name}={value}" for name, value in told.items()))

    def _remember(self, id: str, what: str, detail: str) -> None:  # noqa: A002
        self._database.execute(
            "INSERT INTO history (at, who, workspace, what, detail) VALUES (?, ?, ?, ?, ?)",
            (stamp(), who(), id, what, detail),
        )

    def _select(self, where: str, *values: str) -> list[Workspace]:
        names = ", ".join(field.name for field in fields(Workspace))
        with self._explained():
            rows = self._database.execute(
                f"SELECT {names} FROM workspaces WHERE {where} ORDER BY created_at, rowid",  # noqa: S608
                values,
            )
            return [Workspace(*row) for row in rows]

    def _one(self, where: str, *values: str) -> Workspace:
        rows = self._select(where, *values)
        if not rows:
            raise LedgerError(f"There is no workspace {' '.join(values)} in the ledger.")
        return rows[0]


_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> str:
    """A ULID: 26 signs that sort by the time at which they were drawn."""
    drawn = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    return "".join(_ULID[drawn >> shift & 31] for shift in range(125, -1, -5))


def drawn_at_s(id: str) -> float:  # noqa: A002
    """When an id was drawn, in seconds since 1970; 0.0 for one that was not drawn here."""
    try:
        return sum(_ULID.index(sign) << 5 * place for place, sign in enumerate(id[9::-1])) / 1000
    except ValueError:
        return 0.0


def plan_of(row: Workspace) -> Plan | None:
    """The plan that a row was begun with; None for one that was adopted, or planned by another version."""
    try:
        return Plan.from_json(json.loads(row.plan))
    except (ValueError, KeyError, TypeError):
        return None


def _answers_to(row: Workspace, wanted: str) -> bool:
    return wanted.strip().casefold() in {
        text.casefold() for text in (row.name, row.email, row.app, row.id, row.url)
    }


def _already_there(row: Workspace) -> AlreadyThere:
    if row.is_worked_on and row.state != READY:
        return AlreadyThere(
            f"The workspace of {row.email} is being worked on at this moment ({row.app}, {row.state}).",
            workspace=row,
            hint="wait for it: invoke users",
        )
    return AlreadyThere(
        f"{row.email} has a workspace already: {row.app} ({row.state}), {row.url}",
        workspace=row,
        hint="--again makes a second one for the same person",
    )


def _worked_on(row: Workspace) -> LedgerError:
    owner = Owner.parse(row.owner)
    return LedgerError(
        f"{row.app} is being worked on at this moment, by process {owner.pid} on {owner.host} ({row.state}).",
        hint="wait for it, then try again",
    )


def who() -> str:
    """Who does it: what history says of the person at the keyboard."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def as_workspace(row: Mapping[str, Any]) -> Workspace:
    """A workspace with what is known; the rest is empty."""
    now = stamp()
    empty = {field.name: "" for field in fields(Workspace)} | {"created_at": now, "updated_at": now}
    return Workspace(**empty | {name: str(value) for name, value in row.items()})
