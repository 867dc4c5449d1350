"""Another volume, and a machine on it, in place of a workspace's own; or both undone.

The new machine runs a courier first, and becomes the workspace by an update of its config once its volume is
proven. Until its page has answered, the old machine and the old volume are only put aside, and nothing of
them is changed. What is under way stands in the record before it is begun, so that whatever kills us, the
next run finishes it or undoes it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fly.backup.records import Swap
from fly.backup.throwaway import (
    MARK,
    STARTED_S,
    Wanted,
    Work,
    courier_config,
    give_back,
    new_courier,
    new_key,
    new_volume,
    reached,
)
from fly.backup.wire import Wire
from fly.change.machine import HeldMachine, held
from fly.change.proof import delete_volume, remove_machine
from fly.client import Client
from fly.errors import BackupError, JarvisError, NameTaken, NotFound
from fly.interrupt import one_interrupt
from fly.ledger import LIVE, Ledger, Workspace
from fly.model import Machine
from fly.plan import MOUNT_PATH
from fly.provision import PAGE_S, Probe, wait_for_page
from fly.remains import remove_app

FILLED, SWITCHED = "filled", "switched"


@dataclass(frozen=True)
class Target:
    """What the workspace is to be made of: a volume as `wanted`, and a machine with this config on it."""

    wanted: Wanted
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Old:
    """The machine that is to be replaced: its lease is ours, and this is how it was found."""

    held: HeldMachine
    found: Machine

    @property
    def volume_id(self) -> str:
        return next(iter(self.found.volumes), self.held.row.volume_id)


Prepare = Callable[[Old | None], Target]
"""Puts the old machine aside, or makes the app where there is none."""
Fill = Callable[[Wire], None]
"""Puts onto the new volume what belongs there, and proves it. *Errors*: BackupError."""


def settle(work: Work, ledger: Ledger) -> None:
    """What runs that were killed have left: throw-away machines, and workspaces between two volumes.

    What resists stays in the record, and stops nobody: `invoke repair` shows it.
    """
    for left in work.backups.abandoned(work.client.platform.key):
        work.report(f"an earlier run left {left.app}: removing it")
        _tried(work, left.app, partial(give_back, work, left))
    for _, row in cut_off(work, ledger):
        _tried(work, row.app, partial(settle_one, work, ledger, row))


def _tried(work: Work, app: str, cure: Callable[[], None]) -> None:
    try:
        cure()
    except JarvisError as error:
        work.report(f"{app} could not be put in order: {error}")


def cut_off(work: Work, ledger: Ledger) -> list[tuple[Swap, Workspace]]:
    """The swaps of this platform's workspaces that nobody is at work on."""
    rows = {row.id: row for row in ledger.workspaces(work.client.platform.key, everything=True)}
    return [
        (swap, rows[swap.workspace])
        for swap in work.backups.swaps()
        if swap.workspace in rows and not swap.is_worked_on
    ]


def settle_one(work: Work, ledger: Ledger, row: Workspace) -> None:
    """Finishes the workspace's swap if its page has answered already, else undoes it.

    *Errors*: BackupError, LedgerError: another process works on it; those of the client.
    """
    if work.backups.swap(row.id) is None:
        return
    with claimed(ledger, row) as mine, one_interrupt():
        swap = work.backups.take_over(mine.id)
        if swap is None:
            return
        work.report(f"an earlier {swap.what} of {mine.app} was cut off")
        try:
            _settled(work, ledger, mine, swap)
        except BaseException:
            work.backups.give_up(mine.id)
            raise


def _settled(work: Work, ledger: Ledger, row: Workspace, swap: Swap) -> None:
    if row.state not in LIVE:  # it was removed since, with all that was on its way
        work.backups.ended(row.id)
        return
    with _old_machine(work, row, swap.old_machine, swap.what) as old:
        if swap.stage == SWITCHED:
            _finish(work, ledger, row, swap, old)
        else:
            _undo(work, row, swap, old)


@contextmanager
def claimed(ledger: Ledger, row: Workspace) -> Iterator[Workspace]:
    """Nobody else changes the workspace meanwhile."""
    yield_to = ledger.claim(row.id)
    try:
        yield yield_to
    finally:
        ledger.release(row.id)


@contextmanager
def _old_machine(work: Work, row: Workspace, machine_id: str, what: str) -> Iterator[HeldMachine | None]:
    """The machine, which nobody else changes meanwhile; None where it is gone, or there was none."""
    with ExitStack() as stack:
        found = None
        if machine_id:
            with suppress(NotFound):
                found = stack.enter_context(_held(work, row, machine_id, what))
        yield found


def _held(work: Work, row: Workspace, machine_id: str, what: str) -> AbstractContextManager[HeldMachine]:
    return held(work.client, replace(row, machine_id=machine_id), what, work.report)


def replace_machine(
    work: Work,
    ledger: Ledger,
    row: Workspace,
    what: str,
    prepared: Prepare,
    *,
    is_lost: bool = False,
    fill: Fill,
    probe: Probe,
) -> Workspace:
    """The workspace on its new machine, its page answering; the old one is gone. The row is claimed.

    `what` it is called: a restore, a move. `is_lost`: the app is gone, and there is no old machine.

    *Errors*: BackupError; those of the client. Then everything is as it was.
    """
    with one_interrupt() as undoing:
        try:
            with _old_machine(work, row, "" if is_lost else row.machine_id, what) as machine:
                if machine is None and not is_lost:
                    raise _without_machine(row, row.machine_id)
                old = Old(machine, machine.look()) if machine else None
                work.backups.begin(_swap(row, what, old))
                _made(work, row, prepared(old), fill, probe, but=old.volume_id if old else "")
                undoing()
                swap = work.backups.swap(row.id)
                assert swap is not None
                return _finish(work, ledger, row, swap, machine)
        except BaseException as error:
            undoing()
            _undone(work, row, error)
            raise


def _without_machine(row: Workspace, machine_id: str) -> BackupError:
    return BackupError(
        f"{row.app} is there and its machine {machine_id} is not.",
        hint=f"invoke destroy --name {row.app}, then restore its copy --to a new workspace",
    )


def _undone(work: Work, row: Workspace, error: BaseException) -> None:
    """Everything as it was; or as it is to be, where the page has answered already.

    *Errors*: BackupError that names both troubles, where that fails too; the next run tries again.
    """
    swap = work.backups.swap(row.id)
    if swap is None or not swap.is_mine:
        return
    said = str(error) or type(error).__name__
    try:
        if swap.stage == SWITCHED:
            raise BackupError("its new machine serves, and what it replaces is not all removed")
        with _old_machine(work, row, swap.old_machine, swap.what) as old:
            _undo(work, row, swap, old, is_refused=isinstance(error, NameTaken))
    except JarvisError as worse:
        work.backups.give_up(row.id)
        raise BackupError(
            f"{said}\nIt is left half done: {worse}",
            hint="invoke repair, once the platform is well: it puts the rest in order",
        ) from error


def put_aside(work: Work, old: Old) -> None:
    """The old machine ended in order, out of every visitor's reach, and otherwise as it is."""
    work.report(f"putting {old.found.id} aside")
    old.held.close_door()
    old.held.end()


def _made(work: Work, row: Workspace, target: Target, fill: Fill, probe: Probe, *, but: str) -> None:
    client, backups, report = work.client, work.backups, work.report
    url = client.platform.url_of(row.app)
    report("a new volume")
    volume = new_volume(client, row.app, target.wanted, report, but=but)
    backups.went_on(row.id, new_volume=volume.id)
    key = new_key()
    config = courier_config(target.wanted.image, volume.id, key, target.config.get("guest"))
    machine = new_courier(client, row.app, volume, config)
    backups.went_on(row.id, new_machine=machine.id)
    client.wait(row.app, machine.id, "started", timeout_s=STARTED_S)
    with reached(work, url, key) as wire:
        fill(wire)
    backups.went_on(row.id, stage=FILLED)
    report("starting the workspace")
    become(work, replace(row, machine_id=machine.id), target.config, volume.id)
    wait_for_page(client, probe, url, PAGE_S)
    backups.went_on(row.id, stage=SWITCHED)


def become(work: Work, row: Workspace, config: Mapping[str, Any], volume_id: str) -> None:
    """A courier's machine is the workspace's from now on."""
    whole = {**config, "mounts": [{"volume": volume_id, "path": MOUNT_PATH}]}
    with held(work.client, row, "becoming a workspace", work.report) as machine:
        machine.change(whole)


def _finish(work: Work, ledger: Ledger, row: Workspace, swap: Swap, old: HeldMachine | None) -> Workspace:
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
    if old:
        work.report("removing the old machine and its volume")
        remove_machine(client, row.app, swap.old_machine, nonce=old.nonce)
    _clear_away(work, row, swap.new_machine, swap.new_volume)
    work.backups.ended(row.id)
    return row


def _undo(
    work: Work, row: Workspace, swap: Swap, old: HeldMachine | None, *, is_refused: bool = False
) -> None:
    """`is_refused`: the app could not be made since somebody else has its name: nothing of it is ours."""
    work.report("undoing: everything as it was")
    if swap.old_machine:
        if old is None:
            raise _without_machine(row, swap.old_machine)
        _clear_away(work, row, swap.old_machine, swap.old_volume)
        _put_back(old, swap)
    elif not (is_refused or _is_hers(work.client, row)):
        remove_app(work.client, row.app, row.network)
    work.backups.ended(row.id)


def _is_hers(client: Client, row: Workspace) -> bool:
    """Whether the app that was thought lost is there after all, with all that is hers."""
    try:
        return any(one.id == row.volume_id for one in client.volumes(row.app))
    except NotFound:
        return False


def _put_back(old: HeldMachine, swap: Swap) -> None:
    """The old machine as it was found; one that was suspended had its memory thrown away by its stop."""
    if MARK in old.look().metadata:
        old.change(json.loads(swap.old_config))
        if swap.old_state != "started":
            old.stop()
    elif swap.old_state == "started":
        old.wake()
    old.open_door()


def _clear_away(work: Work, row: Workspace, machine_id: str, volume_id: str) -> None:
    """All of an app but these; none is left running on a volume that goes."""
    client = work.client
    for machine in client.machines(row.app):
        if machine.id != machine_id and not machine.is_going:
            with suppress(NotFound), _held(work, row, machine.id, "removing it") as extra:
                remove_machine(client, row.app, machine.id, nonce=extra.nonce)
    for volume in client.volumes(row.app):
        if volume.id != volume_id and not volume.is_going:
            delete_volume(client, row.app, volume.id)


def _swap(row: Workspace, what: str, old: Old | None) -> Swap:
    """What stands in the record before anything is changed; without a machine, of an app that is gone."""
    if old is None:
        return Swap(row.id, what, "", "", "", "{}")
    return Swap(
        workspace=row.id,
        what=what,
        old_machine=old.found.id,
        old_volume=old.volume_id,
        old_state=old.found.state,
        old_config=json.dumps(dict(old.found.config)),
    )
