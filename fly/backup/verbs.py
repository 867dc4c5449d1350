"""What an operator types about copies of workspaces."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.backup.making import Backing, Made, back_up
from fly.backup.moving import check as check_move
from fly.backup.moving import move as move_to
from fly.backup.records import Backups, Copy, Drill, Latest
from fly.backup.repository import Repository
from fly.backup.restoring import bring_back, bring_to_new, chosen, is_lost, longest_unproven, room_gb
from fly.backup.restoring import drill as tried
from fly.backup.swapping import settle
from fly.backup.throwaway import Work
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, ROOT, Desk, desk, image_reference
from fly.errors import BackupError, JarvisError
from fly.ledger import LIVE, READY, Ledger, Workspace
from fly.people import copies
from fly.plan import Person
from fly.provision import draft, page_probe
from fly.record import stamp
from fly.settings import Settings
from image.engine import can_install, install_packages

ALL_HELP = "all workspaces, one after the other; one that fails does not stop the rest"
TO_HELP = "another repository than JARVIS_BACKUP_REPOSITORY says: a folder, or s3:https://HOST/BUCKET/FOLDER"
COPY_HELP = "the copy, by the id that `invoke backups` shows (or its beginning)"


@contextmanager
def backing_of(here: Desk, repository: str = "") -> Iterator[Backing]:
    """What copies are made with; what killed runs have left of it is removed first.

    *Errors*: BackupError: no repository is set, or it cannot be opened.
    """
    kept = _repository(here.settings, repository)
    with Backups(here.settings.backups) as backups:
        backing = Backing(client=here.client, backups=backups, repository=kept)
        settle(backing, here.ledger)
        with step(f"Repository {kept.location}"):
            is_new = kept.ensure()
        if is_new:
            _warn(kept.location)
        yield backing


def _repository(settings: Settings, location: str) -> Repository:
    """The one that was asked for, else the one that is set; restic is there."""
    if location:
        location = Settings.read({"JARVIS_BACKUP_REPOSITORY": location}, Path()).backup_repository
        settings = replace(settings, backup_repository=location)
    kept = Repository(settings)
    if can_install("restic"):
        with step("restic (Debian's package)") as report:
            install_packages(report, "restic")
    return kept


def _warn(location: str) -> None:
    say(f"A repository was made: {location}")
    say("Keep JARVIS_BACKUP_PASSWORD somewhere that does not burn with this machine: on paper, or in a")
    say("password manager. Nobody can read the copies without it, and nobody can make it anew.")


@verb(
    help={
        "name": NAME_HELP,
        "all": ALL_HELP,
        "to": TO_HELP,
        "again": "also where nothing ran since the last copy",
        "dry_run": "show what would be copied; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def backup(
    context: Context,
    name: str = "",
    all: bool = False,
    to: str = "",
    again: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Copies workspaces, all that is in them, to a repository: encrypted, and only what changed."""
    with desk(platform) as here:
        rows = _chosen(here, name, everybody=all)
        if dry_run:
            _show_dry(here, rows, as_json=json)
            return
        with backing_of(here, to) as backing:
            done = [_outcome(row, partial(_backed_up, backing, row, again=again)) for row in rows]
            if all:
                _keep_ledger(backing, here.settings)
                _retire(backing, here.settings)
    _show_outcomes(done, as_json=json)


Outcome = tuple[Workspace, Any, str]
"""A workspace, what came of the work on it, or why nothing did."""


def _outcome(row: Workspace, work: Callable[[], Any]) -> Outcome:
    try:
        return row, work(), ""
    except JarvisError as error:
        say(console.explain(error))
        return row, None, str(error)


def _backed_up(backing: Backing, row: Workspace, *, again: bool) -> Made:
    with step(f"Copy of {row.name} ({row.app})") as report:
        made = back_up(replace(backing, report=report), row, again=again)
        if not made.is_new:
            report("it has not run since the last copy: that one is still all there is")
    return made


def back_up_at_last(here: Desk, row: Workspace) -> None:
    """A copy before a workspace goes; one that did not run since the last copy has it. What is lost has none.

    *Errors*: BackupError: then nothing may be removed.
    """
    if row.state != READY or is_lost(here.client, row):
        return
    with backing_of(here) as backing:
        _backed_up(backing, row, again=False)


def _chosen(here: Desk, name: str, *, everybody: bool) -> list[Workspace]:
    if bool(name) == everybody:
        raise Exit("Whose?\n  Try: --name NAME, or --all", code=2)
    return [row for row in here.chosen(name) if name or row.state == READY]


def _keep_ledger(backing: Backing, settings: Settings) -> None:
    """With it the repository and its password are enough to bring everybody back."""
    with step("Copy of the ledger"):
        copy = copies.copy_daily(settings.ledger) or copies.copy(settings.ledger, copies.BY_HAND)
        backing.repository.keep_ledger(copy, settings.backup_keep)


def _retire(backing: Backing, settings: Settings) -> None:
    """Copies that are too many go, where all were made."""
    with step("Old copies"):
        backing.repository.forget(settings.backup_keep)
        present = [kept.copy.id for kept in backing.repository.copies()]
        backing.backups.keep_only(backing.repository.location, present)


def _show_dry(here: Desk, rows: list[Workspace], *, as_json: bool) -> None:
    with Backups(here.settings.backups) as backups:
        found = [(row, backups.latest(row.id)) for row in rows]
    if as_json:
        console.print_json([{"app": row.app, "latest": one.to_json() if one else None} for row, one in found])
        return
    console.listing(
        ("Name", "App", "Last copy"),
        [(row.name, row.app, _age(one)) for row, one in found],
        "Nobody to copy.",
    )
    say(f"Would copy them to {here.settings.backup_repository or '(JARVIS_BACKUP_REPOSITORY is not set)'}.")
    say("Nothing was changed.")


def _show_outcomes(done: list[Outcome], *, as_json: bool) -> None:
    failed = [row for row, _, why in done if why]
    if as_json:
        console.print_json([_outcome_json(*one) for one in done])
    else:
        console.listing(
            ("Name", "Copy", "Size", "New", "What"),
            [_outcome_row(*one) for one in done],
            "Nobody to copy: invoke users",
        )
    if failed:
        raise Exit(f"{len(failed)} of {len(done)} failed: {', '.join(row.app for row in failed)}", code=1)


def _outcome_json(row: Workspace, made: Made | None, why: str) -> dict[str, Any]:
    told = {"app": row.app, "email": row.email, "ok": not why, "error": why}
    return told | ({"new": made.is_new, "copy": made.latest.to_json()} if made else {})


def _outcome_row(row: Workspace, made: Made | None, why: str) -> tuple[str, ...]:
    if made is None:
        return (row.name, "", "", "", why)
    copy = made.latest.copy
    what = "new" if made.is_new else "unchanged since"
    return (row.name, _short(copy), size(copy.size), size(copy.new_bytes) if made.is_new else "", what)


# --- what is there --------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "to": TO_HELP,
        "check": "also read the repository's structure, and say whether it is sound",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def backups(
    context: Context,
    name: str = "",
    to: str = "",
    check: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Lists the copies in the repository: of whom, of when, how large, and whether a drill proved them."""
    with desk(platform) as here, backing_of(here, to) as backing:
        whose = here.find(name).id if name else ""
        if check:
            with step("Looking through the repository"):
                backing.repository.check()
        found = known_copies(backing, whose)
        drills = {drill.copy: drill for drill in backing.backups.drills(whose)}
    if json:
        console.print_json(
            [one.to_json() | {"checked": drills[one.id].ok if one.id in drills else None} for one in found]
        )
        return
    console.listing(
        ("Copy", "Of", "When (UTC)", "Size", "New", "Files", "Checked"),
        [
            (
                _short(one), one.email, _at(one), size(one.size), size(one.new_bytes),
                str(one.files), _checked(drills.get(one.id)),
            )
            for one in found
        ],
        "There are no copies: invoke backup --all",
    )  # fmt: skip


def known_copies(backing: Backing, workspace: str = "") -> list[Copy]:
    """What the repository has, oldest first; the record follows it."""
    found = [kept.copy for kept in backing.repository.copies(workspace)]
    for copy in found:
        backing.backups.add(copy)
    return found


def _checked(drill: Any) -> str:
    if drill is None:
        return ""
    return f"{'proven' if drill.ok else 'FAILED'} {drill.at[:10]}"


def _short(copy: Copy) -> str:
    """Ids begin with the time, in which copies of one night are alike."""
    return copy.id


def _at(copy: Copy) -> str:
    return copy.at[:16].replace("T", " ")


def _age(latest: Latest | None) -> str:
    if latest is None:
        return "never"
    hours = latest.age.total_seconds() / 3600
    return f"{hours:.0f} h ago" if hours < 72 else f"{hours / 24:.0f} days ago"


def size(count: int) -> str:
    """For people."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} B"


# --- of users who left ----------------------------------------------------------------------------


@verb(
    help={
        "name": f"{NAME_HELP}; it has to be gone",
        "all": "everybody who left",
        "repository": TO_HELP,
        "yes": "do not ask",
        "dry_run": "show which copies would be removed; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def forget(
    context: Context,
    name: str = "",
    all: bool = False,
    repository: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Removes the copies of users who left, for good (asks)."""
    if bool(name) == all:
        raise Exit("Whose?\n  Try: --name NAME, or --all", code=2)
    with desk(platform) as here:
        gone = _gone(here, name)
        with backing_of(here, repository) as backing:
            found = [one for one in known_copies(backing) if one.workspace in gone]
            console.print_json([one.to_json() for one in found]) if json else _show_going(found, gone)
            if found and not dry_run:
                console.confirm(f"Remove {_counted(found)}? Nobody can bring them back.", yes=yes)
                with step(f"Removing {_counted(found)}"):
                    _forget(here, backing, found)


def _gone(here: Desk, name: str) -> dict[str, Workspace]:
    """By id. Whoever is in no ledger may be in another operator's, and is none of them."""
    rows = here.ledger.workspaces(here.platform.key, everything=True)
    if name:
        rows = [here.find(name)]
        if rows[0].state in LIVE:
            raise BackupError(
                f"{rows[0].name} has not left: {rows[0].app}.", hint="invoke offboard comes first"
            )
    return {row.id: row for row in rows if row.state not in LIVE}


def _show_going(found: list[Copy], gone: Mapping[str, Workspace]) -> None:
    console.listing(
        ("Copy", "Of", "When (UTC)", "Size"),
        [
            (_short(one), f"{gone[one.workspace].name} <{one.email}>", _at(one), size(one.size))
            for one in found
        ],
        "There are no copies of users who left.",
    )


def _counted(found: list[Copy]) -> str:
    copies, people = len(found), len({one.workspace for one in found})
    return f"{copies} {'copy' if copies == 1 else 'copies'} of {people} {'user' if people == 1 else 'users'}"


def _forget(here: Desk, backing: Backing, found: list[Copy]) -> None:
    backing.repository.remove(found)
    backing.backups.keep_only(
        backing.repository.location, [kept.copy.id for kept in backing.repository.copies()]
    )
    for workspace in sorted({one.workspace for one in found}):
        here.ledger.remark(workspace, "copies removed", backing.repository.location)


# --- the way back ---------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP + "; with --to: whose copy it is",
        "all": "everybody whose workspace the platform has lost: after a host was lost",
        "at": "as it was then: a day or a moment, such as 2026-11-20 or 2026-11-20T14:00 (UTC)",
        "copy": COPY_HELP,
        "to": "make a new workspace of it, for somebody of this name",
        "email": "with --to: and this e-mail",
        "ledger": "only fetch the newest copy of the ledger, for `invoke ledger-restore`",
        "repository": TO_HELP,
        "yes": "do not ask",
        "dry_run": "show which copy would be brought back, and where to; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def restore(
    context: Context,
    name: str = "",
    all: bool = False,
    at: str = "",
    copy: str = "",
    to: str = "",
    email: str = "",
    ledger: bool = False,
    repository: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Brings a copy back: in place of what is there (asks; a copy of that first), or as a new workspace."""
    moment = _moment(at)
    if ledger:
        _fetch_ledger(repository)
        return
    if to and not email:
        console.require(email=email)
    if all and (to or copy):
        raise Exit(
            "--all brings everybody back where they were.\n  Try: --name NAME with --to or --copy", code=2
        )
    with desk(platform) as here:
        rows = _chosen(here, name, everybody=all)
        with backing_of(here, repository) as backing:
            rows = [row for row in rows if is_lost(here.client, row)] if all else rows
            found = [(row, _copy_of(backing, row, moment, copy)) for row in rows]
            if dry_run:
                _show_ways(here, found, to)
                return
            if to:
                done = [_outcome(found[0][0], partial(_as_new, here, backing, found[0], Person(to, email)))]
            else:
                _ask(here, found, yes=yes)
                done = [_outcome(row, partial(_back, here, backing, row, one)) for row, one in found]
    _show_restored(done, as_json=json)


def _fetch_ledger(repository: str) -> None:
    """Needs no platform: it is what comes first when all is lost."""
    settings = Settings.read(os.environ, ROOT)
    name = f"ledger-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-from-repository.sqlite"
    path = copies.folder_of(settings.ledger) / name
    kept = _repository(settings, repository)
    with step(f"The ledger out of {kept.location}"):
        kept.fetch_ledger(path)
    copies.examine(path, len(Ledger.MIGRATIONS))
    say(f"{path} is whole. Put it in the ledger's place: invoke ledger-restore --file {path.name}")


def _moment(text: str) -> str:
    """As the record writes it; a day means its end."""
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text if len(text) > 10 else f"{text}T23:59:59.999")
    except ValueError:
        raise Exit(f"--at is no day or moment: {text!r}.\n  Try: --at 2026-11-20", code=2) from None
    return stamp(at if at.tzinfo else at.replace(tzinfo=UTC))


def _copy_of(backing: Backing, row: Workspace, moment: str, copy: str) -> Copy | None:
    """None where there is none: with --all that stops nobody else."""
    try:
        return chosen(known_copies(backing, row.id), at=moment, copy_id=copy)
    except BackupError as error:
        say(f"{row.app}: {error}")
        return None


def _ask(here: Desk, found: list[tuple[Workspace, Copy | None]], *, yes: bool) -> None:
    """Nothing is lost by making anew what is gone; all else is asked about."""
    for row, copy in found:
        if copy and not is_lost(here.client, row):
            console.confirm(
                f"Put everything in {row.app} of {row.email} back to {copy.at[:16].replace('T', ' ')} UTC? "
                "What she did since is copied first, and then gone from her workspace.",
                yes=yes,
            )


def _back(here: Desk, backing: Backing, row: Workspace, copy: Copy | None) -> Workspace:
    if copy is None:
        raise BackupError(f"There is no such copy of {row.app}.", hint=f"invoke backups --name {row.app}")
    if not is_lost(here.client, row):
        _backed_up(backing, row, again=False)
    with step(f"{row.name} ({row.app}) as of {copy.at[:16].replace('T', ' ')} UTC") as report:
        at_work = replace(backing, report=report)
        image = image_of(here, row)
        return bring_back(at_work, here.ledger, row, copy, image=image, probe=page_probe(here.platform))


def image_of(here: Desk, row: Workspace) -> str:
    """What a workspace runs that is made anew: on Fly its own image, here what this host has."""
    return row.image if here.platform.kind == "fly" else image_reference(here.settings, here.platform)


def _as_new(here: Desk, backing: Backing, found: tuple[Workspace, Copy | None], person: Person) -> Workspace:
    source, copy = found
    if copy is None:
        raise BackupError(
            f"There is no such copy of {source.app}.", hint=f"invoke backups --name {source.app}"
        )
    image, probe = image_of(here, source), page_probe(here.platform)
    plan = draft(here.platform, person, image=image, region=source.region, size_gb=max(10, room_gb(copy)))
    with step(f"Workspace of {person.name}: all that {source.email} had on {copy.at[:10]}") as report:
        at_work = replace(backing, report=report)
        return bring_to_new(at_work, here.ledger, plan, copy, image=image, probe=probe)


def _show_ways(here: Desk, found: list[tuple[Workspace, Copy | None]], to: str) -> None:
    for row, copy in found:
        if copy:
            where = f"a new workspace for {to}" if to else row.app
            how = " (made anew)" if not to and is_lost(here.client, row) else ""
            say(f"Would bring the copy {copy.id} of {copy.at[:16]} ({size(copy.size)}) to {where}{how}.")
    say("Nothing was changed.")


def _show_restored(done: list[Outcome], *, as_json: bool) -> None:
    failed = [row for row, _, why in done if why]
    if as_json:
        console.print_json(
            [{"app": (made or row).app, "ok": not why, "error": why} | (made.to_json() if made else {})
             for row, made, why in done]
        )  # fmt: skip
    else:
        console.listing(
            ("Name", "URL", "What"),
            [((made or row).name, (made or row).url, why or "all is back") for row, made, why in done],
            "Nobody's workspace is lost.",
        )
    if failed:
        raise Exit(f"{len(failed)} of {len(done)} failed: {', '.join(row.app for row in failed)}", code=1)


# --- drills ---------------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP + "; without it whoever was not tried for the longest",
        "all": "everybody",
        "to": TO_HELP,
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def drill(
    context: Context,
    name: str = "",
    all: bool = False,
    to: str = "",
    json: bool = False,
    platform: str = "",
) -> None:
    """Proves that the latest copy comes back: on a throw-away machine, compared to the byte (for cron)."""
    with desk(platform) as here, backing_of(here, to) as backing:
        rows = _to_try(here, backing, name, everybody=all)
        done = [_outcome(row, partial(_tried, here, backing, row)) for row in rows]
    drills = [(row, one, why or ("" if one.ok else one.detail)) for row, one, why in done]
    if json:
        console.print_json(
            [{"app": row.app, "ok": not why, "detail": why or one.detail, "copy": one.copy if one else ""}
             for row, one, why in drills]
        )  # fmt: skip
    else:
        console.listing(
            ("Name", "Copy", "Took", "What"),
            [
                (row.name, one.copy if one else "", f"{one.took_s:.0f} s" if one else "", why or one.detail)
                for row, one, why in drills
            ],
            "There are no copies to try: invoke backup --all",
        )
    if failed := [row.app for row, _, why in drills if why]:
        raise Exit(f"These cannot be brought back: {', '.join(failed)}", code=1)


def _to_try(here: Desk, backing: Backing, name: str, *, everybody: bool) -> list[Workspace]:
    if name or everybody:
        return _chosen(here, name, everybody=everybody)
    copied = {copy.workspace for copy in known_copies(backing)}
    rows = [row for row in _chosen(here, "", everybody=True) if row.id in copied]
    turn = longest_unproven(rows, backing.backups.drills())
    return [turn] if turn else []


def _tried(here: Desk, backing: Backing, row: Workspace) -> Drill:
    copy = chosen(known_copies(backing, row.id))
    with step(f"Drill: {row.name} as of {copy.at[:16].replace('T', ' ')} UTC") as report:
        at_work = replace(backing, report=report)
        return tried(at_work, row, copy, image=image_of(here, row), probe=page_probe(here.platform))


# --- another region -------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "region": "where to, such as fra",
        "yes": "do not ask",
        "dry_run": "show what would be moved; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def move(
    context: Context,
    name: str = "",
    region: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Moves a workspace to another region, with all files, at the same address (asks; it rests meanwhile)."""
    console.require(name=name, region=region)
    with desk(platform) as here, Backups(here.settings.backups) as backups:
        row = here.find(name)
        check_move(row, region)
        if dry_run:
            say(f"Would move {row.app} of {row.email} from {row.region} to {region}.")
            say("Nothing was changed.")
            return
        console.confirm(
            f"Move {row.app} of {row.email} from {row.region} to {region}? "
            "What runs in it ends, and its page rests until it is there.",
            yes=yes,
        )
        with step(f"{row.name}: {row.region} → {region}") as report:
            work = Work(client=here.client, backups=backups, report=report)
            settle(work, here.ledger)
            moved = move_to(work, here.ledger, row, region, probe=page_probe(here.platform))
    if json:
        console.print_json(moved.to_json())
    else:
        say(f"{moved.url} is in {moved.region} now.")
