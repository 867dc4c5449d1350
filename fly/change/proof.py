"""A snapshot of a volume, and the proof that it can be restored: a volume made of it, read by a machine.

The trial volume and the trial machine carry names that nothing of a user's has, in an app that is ours: so
what a killed run left of them is found and removed.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from fly.change.contents import Contents, missing_of_copy
from fly.change.machine import list_data, surely
from fly.client import Client, may_have_happened
from fly.errors import ApiError, JarvisError, NotFound, NotInTime, ProvisionError, Unreachable
from fly.ledger import Workspace
from fly.model import Machine, Snapshot, Volume
from fly.plan import MOUNT_PATH
from fly.provision import Report
from fly.remains import LOOK_AGAIN_S, is_ours

T = TypeVar("T")

TRIAL_VOLUME = "trial"
TRIAL_MARK = "my-jarvis-trial"
TAKEN_S, RESTORED_S, GONE_S = 1800.0, 900.0, 120.0
LIVES_S = 1800
"""So long a trial machine that nobody removes stays."""
READY = "created"


def take_snapshot(client: Client, row: Workspace, report: Report) -> Snapshot:
    """A new snapshot of the workspace's volume, complete.

    *Errors*: NotInTime; those of the client.
    """
    before = {one.id for one in client.snapshots(row.app, row.volume_id)}
    report("taking a snapshot of her volume")

    def new() -> Snapshot | None:
        """The newest of them, where several are."""
        fresh = [one for one in client.snapshots(row.app, row.volume_id) if one.id not in before]
        return max(fresh, key=lambda one: one.created_at, default=None)

    try:
        surely(client, lambda: client.take_snapshot(row.app, row.volume_id), lambda: new() is not None)
    except ApiError as error:
        if error.status != 412:  # one is on its way already
            raise
    return _when_complete(client, row, new)


def _when_complete(client: Client, row: Workspace, new: Callable[[], Snapshot | None]) -> Snapshot:
    began, pause_s, seen = client.clock(), 0.1, "nothing"
    while client.clock() - began < TAKEN_S:
        found = new()
        if found and found.status == READY:
            return found
        seen = found.status if found else "nothing"
        client.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 5.0)
    raise NotInTime(
        f"The snapshot of {row.volume_id} was not there after {TAKEN_S:.0f} s; last seen: {seen}",
        wanted=READY,
        seen=seen,
        waited_s=TAKEN_S,
    )


def prove(
    client: Client,
    row: Workspace,
    snapshot: Snapshot,
    before: Contents | None,
    *,
    image: str,
    report: Report,
) -> Contents:
    """What is on the snapshot, once a volume was made of it and read; nothing of the trial is left.

    `before`: what her own machine had read, or None where it could not be asked.

    *Errors*: ProvisionError, where it lacks anything of that; those of the client.
    """
    remove_trials(client, row)
    try:
        copy = _restored(client, row, snapshot, image, report)
    except BaseException:
        with suppress(JarvisError):  # what is left now is found by its name the next time
            remove_trials(client, row)
        raise
    remove_trials(client, row)
    if lacks := missing_of_copy(before, copy) if before else copy.missing_parts():
        raise ProvisionError(
            f"The snapshot {snapshot.id} of {row.app} is no copy of her volume: {'; '.join(lacks)}",
            step="proof",
            hint="try again; nothing of hers was changed",
        )
    report(f"the copy can be restored: {copy.summary}")
    return copy


def _restored(client: Client, row: Workspace, snapshot: Snapshot, image: str, report: Report) -> Contents:
    report(f"restoring {snapshot.id} beside it")
    volume = _trial_volume(client, row, snapshot)
    machine = _trial_machine(client, row, volume, image)
    client.wait(row.app, machine.id, "started", timeout_s=RESTORED_S)
    report("reading the restored copy")
    return list_data(client, row.app, machine.id)


def _trial_volume(client: Client, row: Workspace, snapshot: Snapshot) -> Volume:
    live = client.volume(row.app, row.volume_id)
    request = {
        "name": TRIAL_VOLUME,
        "region": live.region,
        "size_gb": live.size_gb,
        "encrypted": True,
        "snapshot_id": snapshot.id,
        "auto_backup_enabled": False,
    }
    return made(
        client, lambda: client.create_volume(row.app, request), lambda: next(_volumes(client, row), None)
    )


def _trial_machine(client: Client, row: Workspace, volume: Volume, image: str) -> Machine:
    request = {"name": f"trial-{row.machine_id}", "region": volume.region, "config": _config(volume, image)}
    return made(
        client, lambda: client.create_machine(row.app, request), lambda: next(_machines(client, row), None)
    )


def _config(volume: Volume, image: str) -> dict[str, Any]:
    """A machine without service, login or server: it sleeps, and is gone by itself in the end."""
    return {
        "image": image,
        "init": {"exec": ["/bin/sleep", str(LIVES_S)]},
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512},
        "mounts": [{"volume": volume.id, "path": MOUNT_PATH}],
        "restart": {"policy": "no"},
        "stop_config": {"signal": "SIGKILL", "timeout": "1s"},
        "auto_destroy": True,
        "metadata": {TRIAL_MARK: volume.id},
    }


def made(client: Client, create: Callable[[], T], find: Callable[[], T | None]) -> T:
    """What `create` made; where its answer was lost, what `find` finds. It is never asked for again."""
    try:
        return create()
    except (Unreachable, ApiError) as error:
        if not may_have_happened(error):
            raise
        for pause_s in LOOK_AGAIN_S:
            client.sleep(pause_s)
            with suppress(Unreachable, ApiError):
                if found := find():
                    return found
        raise


def _volumes(client: Client, row: Workspace) -> Iterator[Volume]:
    return (one for one in client.volumes(row.app) if one.name == TRIAL_VOLUME and not one.is_going)


def _machines(client: Client, row: Workspace) -> Iterator[Machine]:
    return (one for one in client.machines(row.app) if TRIAL_MARK in one.metadata and not one.is_going)


def remove_trials(client: Client, row: Workspace) -> None:
    """Nothing of a trial is left in the workspace's app, and nothing else was touched.

    *Errors*: ProvisionError, the app is not ours; NotInTime; those of the client.
    """
    if not is_ours(client.app(row.app), row.network):
        raise ProvisionError(f"The app {row.app} is somebody else's: it was not touched.", step="proof")
    for machine in list(_machines(client, row)):
        if machine.id != row.machine_id:
            remove_machine(client, row.app, machine.id)
    for volume in list(_volumes(client, row)):
        if volume.id != row.volume_id:
            delete_volume(client, row.app, volume.id)


def remove_machine(client: Client, app: str, machine_id: str, *, nonce: str = "") -> None:
    """It is gone.

    *Errors*: NotInTime; those of the client.
    """
    surely(
        client,
        partial(_destroy, client, app, machine_id, nonce),
        lambda: client.machine(app, machine_id).is_going,
    )
    client.wait(app, machine_id, "destroyed", timeout_s=GONE_S)


def _destroy(client: Client, app: str, machine_id: str, nonce: str) -> None:
    with suppress(NotFound):
        client.destroy_machine(app, machine_id, force=True, nonce=nonce)


def delete_volume(client: Client, app: str, volume_id: str) -> None:
    """It is gone; for a moment after its machine it may still count as bound to it.

    *Errors*: NotInTime; those of the client.
    """
    began, trouble = client.clock(), JarvisError("it was not tried")
    while client.clock() - began < GONE_S:
        try:
            client.delete_volume(app, volume_id)
            return
        except NotFound:
            return
        except (Unreachable, ApiError) as error:
            if not (may_have_happened(error) or _is_bound(error)):
                raise
            trouble = error
        client.sleep(1.0)
    raise NotInTime(
        f"The volume {volume_id} could not be removed: {trouble}",
        wanted="gone",
        seen=str(trouble),
        waited_s=GONE_S,
    ) from trouble


def _is_bound(error: JarvisError) -> bool:
    return isinstance(error, ApiError) and error.status == 412
