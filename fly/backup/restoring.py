"""Brings copies back: into a workspace's own app, into one that is gone from the platform, or for a drill."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from fly.access.welcome import HOSTS_VARIABLE
from fly.backup.making import Backing, Shown
from fly.backup.records import Copy, Drill, latest
from fly.backup.repository import Repository
from fly.backup.swapping import (
    Old,
    Target,
    become,
    claimed,
    put_aside,
    replace_machine,
    settle_one,
)
from fly.backup.throwaway import Throwaway, Wanted, make_app, throwaway
from fly.backup.wire import Wire
from fly.client import Client
from fly.errors import AlreadyThere, BackupError, JarvisError
from fly.ledger import READY, Ledger, Workspace, plan_of
from fly.plan import Plan, service
from fly.provision import PAGE_S, Probe, destroy, provision, wait_for_page
from fly.record import stamp
from fly.remains import LOOK_AGAIN_S, find_app
from fly.settings import Settings


def is_lost(client: Client, row: Workspace) -> bool:
    """Whether the platform has no app of a workspace that should be there."""
    return row.state == READY and find_app(client, row.app, row.network) is None


def _is_surely_lost(client: Client, row: Workspace) -> bool:
    """The same, where much depends on it: one look alone may meet a platform that has just hiccuped."""
    for pause_s in LOOK_AGAIN_S:
        if not is_lost(client, row):
            return False
        client.sleep(pause_s)
    return is_lost(client, row)


def copy_in_words(settings: Settings, row: Workspace) -> str:
    """Of what a workspace could be brought back; empty where there is nothing, as far as anybody knows.

    The record knows it, and on a new machine only the repository.
    """
    noted = latest(settings.backups, row.id)
    found = [noted.copy] if noted else []
    if not found and settings.backup_repository:
        try:
            found = [kept.copy for kept in Repository(settings).copies(row.id)]
        except BackupError as error:
            return f"whether there is a copy nobody knows: {error}"
    return f"there is a copy of {found[-1].at[:16].replace('T', ' ')} UTC" if found else ""


def chosen(copies: list[Copy], *, at: str = "", copy_id: str = "") -> Copy:
    """The newest of these copies, oldest first; not made after `at`, or with this id.

    *Errors*: BackupError: there is none, or several.
    """
    found = [one for one in copies if one.id.startswith(copy_id.upper()) and (not at or one.at <= at)]
    if not found:
        raise BackupError("There is no such copy.", hint="invoke backups --name … shows those there are")
    if copy_id and len(found) > 1:
        raise BackupError(f"There are {len(found)} copies {copy_id}….", hint="more of its id: invoke backups")
    return found[-1]


def bring_back(
    backing: Backing, ledger: Ledger, row: Workspace, copy: Copy, *, image: str, probe: Probe
) -> Workspace:
    """The workspace with all that is in the copy, and nothing else; proven, its page answering.

    `image` is what an app runs that has to be made anew. What is there now is gone afterwards: who calls
    makes a copy of it first.

    *Errors*: BackupError; those of the client. Then everything is as it was.
    """
    if row.state != READY:
        raise BackupError(
            f"{row.app} is {row.state}: nothing can be brought back to it.", hint="invoke repair"
        )
    settle_one(backing, ledger, row)
    with claimed(ledger, row) as mine:

        def prepared(old: Old | None) -> Target:
            if old is None:
                made = _rebuilt(backing, ledger, mine, copy, image)
                backing.report(f"app {mine.app}")
                make_app(backing.client, mine.app, mine.network)
                return made
            size_gb = backing.client.volume(mine.app, old.volume_id).size_gb
            put_aside(backing, old)
            return Target(Wanted(old.found.image, old.found.region or mine.region, size_gb), old.found.config)

        return replace_machine(
            *(backing, ledger, mine, "restore", prepared),
            is_lost=_is_surely_lost(backing.client, mine),
            fill=lambda wire: filled(backing, wire, copy),
            probe=probe,
        )


TO_BE_FILLED, WAS_FILLED = "to be filled from a copy", "filled from a copy"
"""What the history says of a workspace that is made for a copy."""


def bring_to_new(
    backing: Backing, ledger: Ledger, plan: Plan, copy: Copy, *, image: str, probe: Probe
) -> Workspace:
    """A new workspace with all that is in the copy; one that a killed run made for it is filled.

    *Errors*: AlreadyThere; those of `provision` and `bring_back`. Then nothing of it is left.
    """
    row = _made_for(backing, ledger, plan, copy, probe)
    try:
        row = bring_back(backing, ledger, row, copy, image=image, probe=probe)
    except BaseException:
        destroy(backing.client, ledger, row, report=backing.report)
        raise
    ledger.remark(row.id, WAS_FILLED, copy.id)
    return row


def _made_for(backing: Backing, ledger: Ledger, plan: Plan, copy: Copy, probe: Probe) -> Workspace:
    try:
        remark = (TO_BE_FILLED, copy.id)
        return provision(backing.client, ledger, plan, remark=remark, probe=probe, report=backing.report)
    except AlreadyThere as error:
        row = error.workspace
        if not isinstance(row, Workspace) or not _is_to_be_filled(ledger, row, copy):
            raise
        backing.report(f"an earlier run left {row.app} empty")
        return row


def _is_to_be_filled(ledger: Ledger, row: Workspace, copy: Copy) -> bool:
    said = [entry for entry in ledger.history(row.id) if entry.what in (TO_BE_FILLED, WAS_FILLED)]
    return bool(said) and (said[-1].what, said[-1].detail) == (TO_BE_FILLED, copy.id)


def filled(backing: Backing, wire: Wire, copy: Copy) -> None:
    """Puts the copy onto a courier's volume, and proves that nothing else is there. *Errors*: BackupError."""
    backing.report("bringing the copy")
    with backing.repository.opened(copy) as pieces:
        seal = wire.fill(_shown(pieces, backing))
    if seal.digest != copy.manifest:
        raise BackupError(
            f"What came back of {copy.app} is not what was copied on {copy.at[:10]}.",
            hint="invoke backups --check, and another copy: --at",
        )


def _shown(pieces: Iterator[bytes], backing: Backing) -> Iterator[bytes]:
    shown = Shown(backing.report)
    for piece in pieces:
        shown.more(len(piece))
        yield piece


def _rebuilt(backing: Backing, ledger: Ledger, row: Workspace, copy: Copy, image: str) -> Target:
    """As the ledger has it: the same name and address, and the key that opens it today."""
    plan = plan_of(row)
    keys = ledger.keys(row.id)
    if plan is None or not keys:
        raise BackupError(
            f"The ledger does not know how {row.app} was made, or which key opens it.",
            hint=f"invoke restore --name {row.app} --to NAME --email E-MAIL: a new workspace of its copy",
        )
    url = backing.client.platform.url_of(row.app)
    renewed = replace(
        plan, name=row.name, email=row.email, image=image, region=row.region, url=url, welcome=keys[0],
        org=backing.client.platform.org, size_gb=max(plan.size_gb, room_gb(copy)),
    )  # fmt: skip
    return Target(Wanted(image, row.region, renewed.size_gb), _config_of(renewed))


def _config_of(plan: Plan) -> dict[str, object]:
    return {name: value for name, value in plan.machine_config("").items() if name != "mounts"}


def room_gb(copy: Copy) -> int:
    """The smallest volume that surely takes the copy."""
    return max(1, math.ceil((copy.size * 1.1 + copy.files * 4096) / 1e9))


# --- drills -------------------------------------------------------------------------------------------


def drill(backing: Backing, row: Workspace, copy: Copy, *, image: str, probe: Probe) -> Drill:
    """Brings a copy back to a throw-away machine, compares it with what was copied, and opens its page.

    *Errors*: none for a copy that fails: that is the drill's outcome, and it is written down. BackupError,
    where the throw-away machine of one that was proven could not be removed.
    """
    began = time.monotonic()
    done: Drill | None = None
    try:
        wanted = Wanted(image, row.region, room_gb(copy))
        with throwaway(backing, wanted) as place:
            filled(backing, place.wire, copy)
            backing.report("opening its page")
            _opened(backing, row, place, image, probe)
            detail = f"{copy.files} files, {copy.size} bytes, as they were; the page answers"
            done = _noted(backing, row, copy, began, ok=True, detail=detail)
    except JarvisError as error:
        if done:
            raise
        done = _noted(backing, row, copy, began, ok=False, detail=str(error))
    return done


def _noted(backing: Backing, row: Workspace, copy: Copy, began: float, *, ok: bool, detail: str) -> Drill:
    done = Drill(copy.id, row.id, stamp(), ok, detail, round(time.monotonic() - began, 1))
    backing.backups.note(done)
    return done


def _opened(backing: Backing, row: Workspace, place: Throwaway, image: str, probe: Probe) -> None:
    """The workspace's server on what came back; nobody can sign in there."""
    environment = {HOSTS_VARIABLE: urlsplit(place.url).hostname or ""}
    guest = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512}
    config = {
        "image": image,
        "env": environment,
        "guest": guest,
        "services": [service() | {"autostop": "off"}],
    }
    there = replace(row, app=place.app, machine_id=place.machine_id)
    become(backing, there, config, place.volume_id)
    wait_for_page(backing.client, probe, place.url, PAGE_S)


def longest_unproven(rows: list[Workspace], drills: list[Drill]) -> Workspace | None:
    """Whose turn it is: who was never tried, then whose last try is the longest ago."""
    last = {drill.workspace: drill.at for drill in drills}
    return min(rows, key=lambda row: (last.get(row.id, ""), row.created_at), default=None)
