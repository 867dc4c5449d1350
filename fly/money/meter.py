"""What machines did, written down: readings of the platform, and the machines' own events between them.

Fly keeps only the latest events of a machine and forgets destroyed ones; whoever wants to explain a bill has
to write them down in time. The same state read twice is one row.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from fly.client import Client
from fly.errors import NotFound
from fly.ledger import READY, Ledger, Workspace
from fly.model import Machine, Volume
from fly.money.readings import Change, Reading, Seen
from fly.record import Record

SCHEMA = """
CREATE TABLE IF NOT EXISTS readings (
    workspace TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    seen TEXT NOT NULL,
    PRIMARY KEY (workspace, first_at)
) STRICT;
CREATE TABLE IF NOT EXISTS events (
    workspace TEXT NOT NULL,
    machine TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (workspace, machine, at_ms, status)
) STRICT;
"""


class Meter(Record):
    """The readings at a path.

    *Errors*: LedgerError.
    """

    CALLED = "The meter's record"
    MIGRATIONS = (SCHEMA,)

    def note(self, workspace: str, seen: Seen, at: datetime, changes: Iterable[Change] = ()) -> None:
        """Writes down what is seen now; the latest reading grows longer where nothing has changed since."""
        text = json.dumps(asdict(seen), sort_keys=True)
        with self._transaction():
            latest = self._rows(
                "SELECT first_at, seen FROM readings WHERE workspace = ? ORDER BY first_at DESC LIMIT 1",
                workspace,
            )
            if latest and latest[0][1] == text:
                self._execute(
                    "UPDATE readings SET last_at = max(last_at, ?) WHERE workspace = ? AND first_at = ?",
                    *(_text(at), workspace, latest[0][0]),
                )
            else:
                self._execute(
                    "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)",
                    *(workspace, _text(at), _text(at), text),
                )
            for one in changes:
                self._execute(
                    "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)",
                    *(one.workspace, one.machine, _milliseconds(one.at), one.status),
                )

    def readings(self, workspace: str) -> list[Reading]:
        """Oldest first."""
        rows = self._rows(
            "SELECT first_at, last_at, seen FROM readings WHERE workspace = ? ORDER BY first_at",
            workspace,
        )
        return [
            Reading(workspace, _time(first), _time(last), Seen(**json.loads(seen)))
            for first, last, seen in rows
        ]

    def changes(self, workspace: str) -> list[Change]:
        """Oldest first."""
        rows = self._rows(
            "SELECT machine, at_ms, status FROM events WHERE workspace = ? ORDER BY at_ms, rowid",
            workspace,
        )
        return [Change(workspace, machine, _moment(at_ms), status) for machine, at_ms, status in rows]


def read_all(client: Client, ledger: Ledger, meter: Meter, at: datetime) -> list[Workspace]:
    """Reads every workspace of the platform that stands; gives those that could not be read whole."""
    missed = []
    for workspace in ledger.workspaces(client.platform.key):
        if workspace.state == READY and not _read(client, meter, workspace, at):
            missed.append(workspace)
    return missed


def _read(client: Client, meter: Meter, workspace: Workspace, at: datetime) -> bool:
    try:
        machine = client.machine(workspace.app, workspace.machine_id)
        volume = client.volume(workspace.app, workspace.volume_id)
    except NotFound:
        return False
    snapshots = client.snapshots(workspace.app, workspace.volume_id)
    dedicated = sum(one.type == "v4" for one in client.ips(workspace.app))
    seen = _seen(machine, volume, sum(one.size for one in snapshots), dedicated)
    meter.note(workspace.id, seen, at, _changes(workspace, machine))
    return True


def _seen(machine: Machine, volume: Volume, snapshots_bytes: int, dedicated_ipv4: int) -> Seen:
    guest = machine.config.get("guest") or {}
    return Seen(
        machine=machine.id,
        state=machine.state,
        region=machine.region,
        cpu_kind=str(guest.get("cpu_kind", "shared")),
        cpus=int(guest.get("cpus", 1)),
        memory_mb=int(guest.get("memory_mb", 256)),
        volume=volume.id,
        volume_gb=volume.size_gb,
        snapshots_bytes=snapshots_bytes,
        dedicated_ipv4=dedicated_ipv4,
    )


def _changes(workspace: Workspace, machine: Machine) -> Sequence[Change]:
    return [
        Change(workspace.id, machine.id, _moment(event.timestamp_ms), event.status)
        for event in machine.events
        if event.timestamp_ms and event.status
    ]


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
