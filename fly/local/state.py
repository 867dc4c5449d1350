"""What the platform knows: in memory to be read, in SQLite to outlive us.

Every change is one transaction, so that a process killed at any instant leaves the last finished change.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

from fly.local.names import ulid

EVENTS_KEPT = 50
DESTROYED_KEPT = 50
"""Of each app: one whose machines come and go is no leak."""
PERSISTENT = frozenset({"created", "started", "stopped", "suspended", "failed", "destroyed"})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


@dataclass(frozen=True)
class App:
    key: ClassVar = "name"
    name: str
    id: str
    numeric_id: int
    org: str
    network: str
    created_at: int
    secrets: dict[str, Any] = field(default_factory=dict)
    secrets_version: int = 0
    deleting: bool = False


@dataclass(frozen=True)
class Ip:
    key: ClassVar = "ip"
    ip: str
    app: str
    type: str
    region: str
    service_name: str
    network: dict[str, Any] | None
    created_at: str


@dataclass(frozen=True)
class Certificate:
    """A host name of a user's own, and what was asked for it."""

    key: ClassVar = "id"
    id: str
    app: str
    hostname: str
    created_at: str
    updated_at: str
    acme: bool = False
    custom: bool = False


@dataclass(frozen=True)
class Network:
    """A private network of an organisation, and the addresses that it has on this host."""

    key: ClassVar = "id"
    id: str
    org: str
    name: str
    subnet: str


@dataclass(frozen=True)
class Volume:
    key: ClassVar = "id"
    id: str
    app: str
    name: str
    region: str
    size_gb: int
    state: str
    encrypted: bool
    fstype: str
    snapshot_retention: int
    auto_backup_enabled: bool
    created_at: str
    updated_at: str
    machine: str | None = None
    filled: bool = False
    """Whether it holds what a new file system holds, or what it was restored from."""
    snapshot: str | None = None


@dataclass(frozen=True)
class Snapshot:
    key: ClassVar = "id"
    id: str
    app: str
    volume: str
    status: str
    size: int
    volume_size: int
    digest: str
    retention_days: int
    created_at: str


@dataclass(frozen=True)
class Machine:
    key: ClassVar = "id"
    id: str
    app: str
    name: str
    region: str
    state: str
    instance_id: str
    config: dict[str, Any]
    image: dict[str, Any]
    """`id` as the engine knows it, and Fly's `ref`."""
    secrets: dict[str, str]
    """The app's secrets as they were when this version was made."""
    private_ip: str
    created_at: str
    updated_at: str
    cordoned: bool = False
    restarts: int = 0
    held: bool = False
    """Frozen for the length of a copy of its volume, though it is `started`."""


@dataclass(frozen=True)
class Destroyed(Machine):
    """What is remembered of a machine that is no more."""


@dataclass(frozen=True)
class Lease:
    key: ClassVar = "machine"
    machine: str
    nonce: str
    expires_at: int
    owner: str
    description: str
    version: str


@dataclass(frozen=True)
class Event:
    key: ClassVar = "id"
    id: str
    machine: str
    type: str
    status: str
    source: str
    timestamp: int
    request: dict[str, Any] | None = None


@dataclass(frozen=True)
class Version:
    key: ClassVar = "instance_id"
    instance_id: str
    machine: str
    config: dict[str, Any]


Record = App | Ip | Certificate | Network | Volume | Snapshot | Machine | Lease | Event | Version
R = TypeVar("R", bound=Record)
KINDS: tuple[type[Any], ...] = (
    App, Ip, Certificate, Network, Volume, Snapshot, Machine, Destroyed, Lease, Event, Version,
)  # fmt: skip


class State:
    """All records by key, each kind under its plural; `save` and `drop` return when it is on disk."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        for kind in KINDS:
            self._db.execute(
                f"CREATE TABLE IF NOT EXISTS {_table(kind)} (key TEXT PRIMARY KEY, record TEXT NOT NULL)"
            )
        self._records: dict[type, dict[str, Any]] = {kind: self._load(kind) for kind in KINDS}
        self._events: dict[str, list[Event]] = {}
        for event in sorted(self._records[Event].values(), key=lambda event: event.id):
            self._events.setdefault(event.machine, []).insert(0, event)

    def close(self) -> None:
        self._db.close()

    @property
    def apps(self) -> dict[str, App]:
        return self._records[App]

    @property
    def ips(self) -> dict[str, Ip]:
        return self._records[Ip]

    @property
    def certificates(self) -> dict[str, Certificate]:
        return self._records[Certificate]

    @property
    def networks(self) -> dict[str, Network]:
        return self._records[Network]

    @property
    def volumes(self) -> dict[str, Volume]:
        return self._records[Volume]

    @property
    def snapshots(self) -> dict[str, Snapshot]:
        return self._records[Snapshot]

    @property
    def machines(self) -> dict[str, Machine]:
        return self._records[Machine]

    @property
    def destroyed(self) -> dict[str, Destroyed]:
        return self._records[Destroyed]

    @property
    def leases(self) -> dict[str, Lease]:
        return self._records[Lease]

    def save(self, *records: Record, forget: Iterable[Record] = ()) -> None:
        """Writes all of them and drops those to forget, or does nothing."""
        gone = list(forget)
        with self._db:
            self._db.execute("BEGIN")
            for record in records:
                self._db.execute(
                    f"INSERT OR REPLACE INTO {_table(type(record))} VALUES (?, ?)",  # noqa: S608 — our own class names
                    (_key(record), json.dumps({f.name: getattr(record, f.name) for f in fields(record)})),
                )
            for record in gone:
                self._db.execute(f"DELETE FROM {_table(type(record))} WHERE key = ?", (_key(record),))  # noqa: S608
        for record in records:
            self._records[type(record)][_key(record)] = record
        for record in gone:
            self._records[type(record)].pop(_key(record), None)

    def change(self, record: R, **changes: Any) -> R:
        """The record with these changes, saved."""
        changed = replace(record, **changes)
        self.save(changed)
        return changed

    def drop(self, *records: Record) -> None:
        """Forgets all of them or none."""
        self.save(forget=records)

    def fact(self, name: str, first: str) -> str:
        """A lasting value, `first` when it is asked for the first time."""
        self._db.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, first))
        return str(self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0])

    def set_fact(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # -- what belongs to what

    def has(self, app: App) -> bool:
        """Whether this very app is still there; one that is being deleted is not."""
        known = self.apps.get(app.name)
        return known is not None and known.id == app.id and not known.deleting

    def machines_of(self, app: str) -> list[Machine]:
        return [m for m in self.machines.values() if m.app == app]

    def volumes_of(self, app: str) -> list[Volume]:
        return [v for v in self.volumes.values() if v.app == app]

    def ips_of(self, app: str) -> list[Ip]:
        return [ip for ip in self.ips.values() if ip.app == app]

    def events_of(self, machine: str) -> list[Event]:
        """Newest first."""
        return self._events.get(machine, [])

    def versions_of(self, machine: str) -> list[Version]:
        """Newest first."""
        mine = [v for v in self._records[Version].values() if v.machine == machine]
        return sorted(mine, key=lambda version: version.instance_id, reverse=True)

    def note(
        self,
        machine: str,
        type_: str,
        status: str,
        source: str,
        request: dict[str, Any] | None = None,
        *,
        beside: Sequence[Record] = (),
    ) -> Event:
        """Adds an event, and the records that it tells of; only the newest of a machine are kept."""
        event = Event(ulid(), machine, type_, status, source, now_ms(), request)
        mine = [event, *self.events_of(machine)]
        self.save(*beside, event, forget=mine[EVENTS_KEPT:])
        self._events[machine] = mine[:EVENTS_KEPT]
        return event

    def bury(self, machine: Machine, at: str) -> None:
        """All that hung on it is gone with it, its volume is free; what it was is remembered for a while."""
        lease = self.leases.get(machine.id)
        others = sorted(
            (one for one in self.destroyed.values() if one.app == machine.app), key=lambda one: one.updated_at
        )
        self.save(
            Destroyed(**vars(machine) | {"state": "destroyed", "updated_at": at}),
            *(replace(v, machine=None) for v in self.volumes_of(machine.app) if v.machine == machine.id),
            forget=[
                machine,
                *self.events_of(machine.id),
                *self.versions_of(machine.id),
                *([lease] if lease else []),
                *others[: max(0, len(others) + 1 - DESTROYED_KEPT)],
            ],
        )
        self._events.pop(machine.id, None)

    def _load(self, kind: type[Any]) -> dict[str, Any]:
        known = set(get_type_hints(kind))
        rows = self._db.execute(f"SELECT key, record FROM {_table(kind)}").fetchall()  # noqa: S608
        return {key: kind(**{n: v for n, v in json.loads(text).items() if n in known}) for key, text in rows}


def _table(kind: type) -> str:
    return f"{kind.__name__.lower()}s"


def _key(record: Record) -> str:
    return str(getattr(record, record.key))
