"""Another volume, and a machine on it, in place of a workspace's own; or both undone.

The new machine runs a courier first, and becomes the workspace by an update of its config once its volume is
proven. Until its page has answered, the old machine and the old volume are only put aside, and nothing of
them is changed. What is under way stands in the record before it is begun, so that whatever kills us, the
next run finishes it or undoes it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from fly.backup.records import Swap
from fly.backup.throwaway import (
    MARK,
    STARTED_S,
    Wanted,
    Work,
    courier_config,
    new_key,
    new_volume,
    reached,
    remove_abandoned,
)
from fly.backup.wire import Wire
from fly.client import Client
from fly.errors import ApiError, BackupError, JarvisError, NotFound, Unreachable
from fly.interrupt import one_interrupt
from fly.ledger import Ledger, Workspace
from fly.model import Machine
from fly.plan import ADDRESS_TYPES, MOUNT_PATH
from fly.provision import PAGE_S, Probe, wait_for_page
from fly.remains import find_app, remove_app

FILLED, SWITCHED = "filled", "switched"
STOPPED_S, GONE_S = 120.0, 120.0


@dataclass(frozen=True)
class Target:
    """What the workspace is to be made of: a volume as `wanted`, and a machine with this config on it."""

    wanted: Wanted
    config: Mapping[str, Any]


Fill = Callable[[Wire], None]
"""Puts onto the new volume what belongs there, and proves it. *Errors*: BackupError."""


def settle(work: Work, ledger: Ledger) -> None:
    """What runs that were killed have left: throw-away machines, and workspaces between two volumes."""
    remove_abandoned(work)
    ours = {row.id: row for row in ledger.workspaces(work.client.platform.key)}
    for swap in work.backups.swaps():
        if swap.workspace in ours and not swap.is_worked_on:
            settle_one(work, ledger, ours[swap.workspace])


def settle_one(work: Work, ledger: Ledger, row: Workspace) -> None:
    """Finishes the workspace's swap if its page has answered already, else undoes it.

    *Errors*: BackupError: another process works on it.
    """
    swap = work.backups.swap(row.id)
    if swap is None:
        return
    if swap.is_worked_on:
        raise BackupError(f"{row.app} is being brought back by another process.", hint="wait for it")
    work.backups.take_over(row.id)
    work.report(f"an earlier {swap.what} of {row.app} was cut off")
    if swap.stage == SWITCHED:
        _finish(work, ledger, row, swap)
    else:
        _undo(work, row, swap)


@contextmanager
def claimed(ledger: Ledger, row: Workspace) -> Iterator[Workspace]:
    """Nobody else changes the workspace meanwhile."""
    yield_to = ledger.claim(row.id)
    try:
        yield yield_to
    finally:
        ledger.release(row.id)


def replace_machine(
    work: Work,
    ledger: Ledger,
    row: Workspace,
    swap: Swap,
    prepared: Callable[[], Target],
    *,
    fill: Fill,
    probe: Probe,
) -> Workspace:
    """The workspace on its new machine, its page answering; the old one is gone. The row is claimed.

    `prepared` puts the old machine aside, or makes the app where there is none.

    *Errors*: BackupError; those of the client. Then everything is as it was.
    """
    work.backups.begin(swap)
    with one_interrupt() as undoing:
        try:
            _made(work, row, prepared(), fill, probe)
        except BaseException as error:
            undoing()
            _undone(work, row, swap, error)
            raise
        undoing()
        now = work.backups.swap(row.id)
        assert now is not None
        return _finish(work, ledger, row, now)


def _undone(work: Work, row: Workspace, swap: Swap, error: BaseException) -> None:
    """*Errors*: BackupError that names both troubles, where undoing fails too; the next run tries again."""
    try:
        _undo(work, row, swap)
    except JarvisError as worse:
        raise BackupError(
            f"{str(error) or type(error).__name__}\nIt could not be undone either: {worse}",
            hint="invoke backups, once the platform is well: it undoes the rest first",
        ) from error


def put_aside(work: Work, row: Workspace, swap: Swap) -> None:
    """The old machine stopped, out of every visitor's reach, and otherwise as it is."""
    work.report(f"putting {swap.old_machine} aside")
    client = work.client
    client.cordon(row.app, swap.old_machine)
    with suppress(NotFound):
        if client.machine(row.app, swap.old_machine).state != "stopped":
            client.stop(row.app, swap.old_machine)
            client.wait(row.app, swap.old_machine, "stopped", timeout_s=STOPPED_S)


def make_app(work: Work, row: Workspace) -> None:
    """The workspace's app at its old address, with nothing in it."""
    client = work.client
    if find_app(client, row.app, row.network):
        return
    work.report(f"app {row.app}")
    request = {"app_name": row.app, "name": row.app, "org_slug": client.platform.org, "network": row.network}
    client.create_app(request)
    for kind in ADDRESS_TYPES:
        client.assign_ip(row.app, kind)


def _made(work: Work, row: Workspace, target: Target, fill: Fill, probe: Probe) -> None:
    client, backups, report = work.client, work.backups, work.report
    report("a new volume")
    volume = new_volume(client, row.app, target.wanted, report)
    backups.went_on(row.id, new_volume=volume.id)
    key = new_key()
    config = courier_config(target.wanted.image, volume.id, key, target.config.get("guest"))
    machine = client.create_machine(row.app, {"region": volume.region, "config": config})
    backups.went_on(row.id, new_machine=machine.id)
    client.wait(row.app, machine.id, "started", timeout_s=STARTED_S)
    with reached(client, client.platform.url_of(row.app), key) as wire:
        fill(wire)
    backups.went_on(row.id, stage=FILLED)
    report("starting the workspace")
    become(client, row.app, machine.id, target.config, volume.id)
    wait_for_page(client, probe, client.platform.url_of(row.app), PAGE_S)
    backups.went_on(row.id, stage=SWITCHED)


def become(client: Client, app: str, machine_id: str, config: Mapping[str, Any], volume_id: str) -> None:
    """A courier's machine is the workspace's from now on."""
    whole = {**config, "mounts": [{"volume": volume_id, "path": MOUNT_PATH}]}
    changed = client.update_machine(app, machine_id, {"config": whole})
    client.wait(app, machine_id, "started", timeout_s=STARTED_S, instance_id=changed.instance_id)


def _finish(work: Work, ledger: Ledger, row: Workspace, swap: Swap) -> Workspace:
    client = work.client
    machine = client.machine(row.app, swap.new_machine)
    row = ledger.note(
        row.id,
        machine_id=machine.id,
        volume_id=swap.new_volume,
        region=machine.region,
        image=machine.image,
        url=client.platform.url_of(row.app),
    )
    if swap.old_machine:
        work.report("removing the old machine and its volume")
    _clear_away(client, row.app, {swap.new_machine}, {swap.new_volume})
    work.backups.ended(row.id)
    return row


def _undo(work: Work, row: Workspace, swap: Swap) -> None:
    client = work.client
    work.report("undoing: everything as it was")
    if not swap.old_machine:
        remove_app(client, row.app, row.network)
    else:
        _clear_away(client, row.app, {swap.old_machine}, {swap.old_volume})
        _put_back(client, row, swap)
    work.backups.ended(row.id)


def _put_back(client: Client, row: Workspace, swap: Swap) -> None:
    """The old machine as it was found; one that was suspended had its memory thrown away by its stop."""
    machine = client.machine(row.app, swap.old_machine)
    if MARK in machine.metadata:
        changed = client.update_machine(row.app, machine.id, {"config": json.loads(swap.old_config)})
        client.wait(row.app, machine.id, "started", timeout_s=STARTED_S, instance_id=changed.instance_id)
        if swap.old_state != "started":
            client.stop(row.app, machine.id)
    elif swap.old_state == "started" and machine.state != "started":
        client.start(row.app, machine.id)
        client.wait(row.app, machine.id, "started", timeout_s=STARTED_S)
    client.uncordon(row.app, machine.id)


def _clear_away(client: Client, app: str, machines: set[str], volumes: set[str]) -> None:
    """All of an app but these; none is left running on a volume that goes."""
    for machine in client.machines(app):
        if machine.id not in machines and not machine.is_going:
            with suppress(NotFound):
                client.destroy_machine(app, machine.id, force=True)
    for volume in client.volumes(app):
        if volume.id not in volumes and not volume.is_going:
            _delete_volume(client, app, volume.id)


def _delete_volume(client: Client, app: str, volume_id: str) -> None:
    """For a moment it is still bound to its machine. *Errors*: ApiError, when it stays so."""
    began = client.clock()
    while True:
        try:
            client.delete_volume(app, volume_id)
            return
        except NotFound:
            return
        except (ApiError, Unreachable):
            if client.clock() - began > GONE_S:
                raise
        client.sleep(0.5)


def swap_of(row: Workspace, what: str, machine: Machine | None) -> Swap:
    """What stands in the record before anything is changed; without a machine, of an app that is gone."""
    if machine is None:
        return Swap(row.id, what, "", "", "", "{}")
    return Swap(
        workspace=row.id,
        what=what,
        old_machine=machine.id,
        old_volume=next(iter(machine.volumes), row.volume_id),
        old_state=machine.state,
        old_config=json.dumps(dict(machine.config)),
    )
