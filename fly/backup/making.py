"""Makes copies: a snapshot by the platform, read on a throw-away machine, proven, and stored."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from fly.backup.courier import Broken, Seal
from fly.backup.records import Copy, Latest
from fly.backup.repository import Repository
from fly.backup.throwaway import Wanted, Work, throwaway
from fly.backup.wire import Wire
from fly.client import Client
from fly.errors import ApiError, BackupError, NotFound, Unreachable
from fly.ledger import READY, Workspace, new_id
from fly.model import Machine, Snapshot, Volume
from fly.record import stamp
from fly.remains import find_volume

SNAPSHOT_S, LISTED_S = 3600.0, 120.0
"""How long a snapshot may take, and how long until it is listed at all."""
ASLEEP = ("stopped", "suspended")
SHOWN_EVERY_S = 0.5
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Backing(Work):
    """What copies are made and brought back with."""

    repository: Repository


@dataclass(frozen=True)
class Made:
    """What came of a backup: a new copy, or none since the workspace did not run since the last one."""

    latest: Latest
    is_new: bool


def back_up(backing: Backing, row: Workspace, *, again: bool = False) -> Made:
    """A copy of all of the workspace's volume in the repository, proven to be what the volume held.

    Neither wakes nor disturbs the workspace. One that slept through since its last copy needs no other,
    unless `again` is said.

    *Errors*: BackupError; those of the client.
    """
    if row.state != READY:
        raise BackupError(f"{row.app} is {row.state}: there is nothing to copy.", hint="invoke users")
    machine = _machine(backing.client, row)
    mark = mark_of(machine)
    before = backing.backups.latest(row.id)
    if before and not again and mark and _still_there(backing, before.copy) and mark == before.copy.mark:
        backing.backups.confirm(before.copy)
        return Made(_latest(backing, row), is_new=False)
    if machine and machine.state == "started":
        _flush(backing.client, row)
    _stored(backing, row, machine.image if machine else row.image, mark)
    return Made(_latest(backing, row), is_new=True)


def mark_of(machine: Machine | None) -> str:
    """What only a machine says that has not run since; empty for one that is awake."""
    if machine is None or machine.state not in ASLEEP or not machine.events:
        return ""
    return f"{machine.id} {machine.state} {max(event.timestamp_ms for event in machine.events)}"


def _machine(client: Client, row: Workspace) -> Machine | None:
    """None where it is gone: its volume may be there."""
    try:
        return client.machine(row.app, row.machine_id)
    except NotFound:
        return None


def _still_there(backing: Backing, copy: Copy) -> bool:
    if copy.repository != backing.repository.location:
        return False
    return any(kept.copy.id == copy.id for kept in backing.repository.copies(copy.workspace))


def _latest(backing: Backing, row: Workspace) -> Latest:
    found = backing.backups.latest(row.id)
    assert found is not None
    return found


def _flush(client: Client, row: Workspace) -> None:
    """What it has written and the disk has not. A copy without it is what a power cut leaves: whole too."""
    try:
        client.exec(row.app, row.machine_id, ["sync"], timeout_s=30)
    except (ApiError, Unreachable):
        return


def _stored(backing: Backing, row: Workspace, image: str, mark: str) -> Copy:
    at, copy_id = datetime.now(UTC).replace(microsecond=0), new_id()
    volume = _volume(backing.client, row)
    snapshot = snapshot_of(backing.client, row.app, volume.id, backing.report)
    wanted = Wanted(image, volume.region, volume.size_gb, snapshot.id)
    with throwaway(backing, wanted) as made:
        seal, new_bytes = backing.repository.store(
            copy_id, row.id, at, lambda out: _carried(made.wire, out, backing.report)
        )
        copy = Copy(
            id=copy_id,
            workspace=row.id,
            app=row.app,
            email=row.email,
            at=stamp(at),
            size=seal.size,
            new_bytes=new_bytes,
            files=seal.files,
            manifest=seal.digest,
            repository=backing.repository.location,
            mark=mark,
        )
        # Within: a machine that can not be removed costs money, and no copy.
        backing.report("writing down what it is of")
        backing.repository.finish(copy)
        backing.backups.add(copy)
    return copy


def _volume(client: Client, row: Workspace) -> Volume:
    """The one that the ledger names; an app may hold another one that is on its way.

    *Errors*: BackupError, where there is none.
    """
    with suppress(NotFound):
        if row.volume_id:
            return client.volume(row.app, row.volume_id)
    volume = find_volume(client, row.app)
    if volume is None:
        raise BackupError(f"{row.app} has no volume on the platform.", hint="invoke repair")
    return volume


def _carried(wire: Wire, out: Callable[[bytes], object], report: Report) -> Seal:
    """The seal of all that was passed from the volume to the repository, and proven on the way."""
    shown = Shown(report)
    with wire.copy() as stream:

        def along(piece: bytes) -> None:
            out(piece)
            shown.more(len(piece))

        stream.along = along
        try:
            return stream.proven()
        except Broken as error:
            raise BackupError(f"The volume did not arrive whole: {error}", hint="try again") from error


class Shown:
    """How much has passed, now and then."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._bytes = 0
        self._began = self._at = time.monotonic()

    def more(self, count: int) -> None:
        self._bytes += count
        now = time.monotonic()
        if now - self._at >= SHOWN_EVERY_S:
            self._at = now
            mb = self._bytes / 1e6
            self._report(f"{mb:.0f} MB, {mb / (now - self._began):.0f} MB/s")


def snapshot_of(client: Client, app: str, volume_id: str, report: Report) -> Snapshot:
    """A snapshot of the volume as it is from now on. *Errors*: BackupError, when it does not come."""
    report("a snapshot")
    began = client.clock()
    known = _ids(client, app, volume_id)
    while not _asked_for(client, app, volume_id):  # another one's is being made
        _wait(client, app, began, SNAPSHOT_S)
        known = _ids(client, app, volume_id)
    began = client.clock()
    while True:
        fresh = [one for one in client.snapshots(app, volume_id) if one.id not in known]
        if done := next((one for one in fresh if one.status in ("", "created")), None):
            return done
        _wait(client, app, began, SNAPSHOT_S if fresh else LISTED_S)


def _ids(client: Client, app: str, volume_id: str) -> set[str]:
    return {one.id for one in client.snapshots(app, volume_id)}


def _wait(client: Client, app: str, began: float, limit_s: float) -> None:
    waited_s = client.clock() - began
    if waited_s > limit_s:
        raise BackupError(f"The snapshot of {app} was not there after {limit_s:.0f} s.", hint="try again")
    client.sleep(0.2 if waited_s < 10 else 3.0)


def _asked_for(client: Client, app: str, volume_id: str) -> bool:
    """False while another snapshot of it is being made."""
    try:
        client.take_snapshot(app, volume_id)
    except ApiError as error:
        if error.status == 412:
            return False
        raise
    return True
