"""What an operator types about copies of workspaces."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.backup.making import Backing, Made, back_up, settle
from fly.backup.records import Backups, Copy, Latest
from fly.backup.repository import Repository
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk
from fly.errors import JarvisError
from fly.ledger import READY, Workspace
from fly.settings import Settings

ALL_HELP = "all workspaces, one after the other; one that fails does not stop the rest"
TO_HELP = "another repository than JARVIS_BACKUP_REPOSITORY says: a folder, or s3:https://HOST/BUCKET/FOLDER"
COPY_HELP = "the copy, by the id that `invoke backups` shows (or its beginning)"


@contextmanager
def backing_of(here: Desk, repository: str = "") -> Iterator[Backing]:
    """What copies are made with; what killed runs have left of it is removed first.

    *Errors*: BackupError: no repository is set, or it cannot be opened.
    """
    settings = replace(
        here.settings, backup_repository=_location(repository or here.settings.backup_repository)
    )
    kept = Repository(settings)
    with Backups(here.settings.backups) as backups:
        backing = Backing(here.client, backups, kept)
        settle(backing)
        with step(f"Repository {kept.location}"):
            is_new = kept.ensure()
        if is_new:
            _warn(kept.location)
        yield backing


def _location(text: str) -> str:
    return Settings.read({"JARVIS_BACKUP_REPOSITORY": text}, Path()).backup_repository


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


def _chosen(here: Desk, name: str, *, everybody: bool) -> list[Workspace]:
    if bool(name) == everybody:
        raise Exit("Whose?\n  Try: --name NAME, or --all", code=2)
    if name:
        return [here.ledger.find(name, here.platform.key)]
    return [row for row in here.ledger.workspaces(here.platform.key) if row.state == READY]


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
        whose = here.ledger.find(name, here.platform.key).id if name else ""
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
                _short(one), one.email, one.at[:16].replace("T", " "), size(one.size), size(one.new_bytes),
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
