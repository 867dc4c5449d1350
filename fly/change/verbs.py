"""What an operator types to change workspaces that exist."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.backup.records import Backups, confirmed
from fly.backup.swapping import settle
from fly.backup.throwaway import Work
from fly.change.eyes import Eyes, Patience
from fly.change.images import choose, shown
from fly.change.power import RESTART, SUSPEND, WAKE, Power
from fly.change.resize import resize as resize_workspace
from fly.change.resize import size_of, wanted_size
from fly.change.rollout import Rolling, Stop, image_before, plan
from fly.change.rollouts import DONE, ROLLBACK, UPGRADE, Leg, Rollout, Rollouts
from fly.change.upgrade import Upgrading
from fly.change.variables import checked, set_variables
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk, engine_of, image_reference
from fly.errors import JarvisError, PlanError
from fly.ledger import READY, Workspace
from fly.model import AppSecret
from fly.people.letters import MAINTENANCE
from fly.people.verbs import post_of
from fly.provision import PAGE_S
from fly.settings import Secret
from fly.watch.status import statuses
from image.release.records import Records

ALL_HELP = "everybody"
DEADLINE_HELP = "how many minutes to wait for what runs in a workspace, before it is cut off"
PATIENCE_S = int(PAGE_S)
PATIENCE_HELP = "how many seconds a page may take to answer"


def settle_copies(here: Desk) -> None:
    """A restore or move that was cut off is finished or undone, before anything else is changed."""
    if here.settings.backups.exists():
        with Backups(here.settings.backups) as backups:
            settle(Work(client=here.client, backups=backups, report=say), here.ledger)


# --- upgrade and rollback -------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "all": ALL_HELP,
        "canary": "so many go first, and are watched for a while before the others follow",
        "to": "the image: a tested digest, or the beginning of one (default: what new workspaces get)",
        "deadline": DEADLINE_HELP,
        "patience": PATIENCE_HELP,
        "tell": 'only write to those whom it concerns that it will be at this time ("Sunday 20:00")',
        "yes": "do not ask",
        "dry_run": "show the plan; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def upgrade(
    context: Context,
    name: str = "",
    all: bool = False,
    canary: int = 1,
    to: str = "",
    deadline: int = 30,
    patience: int = PATIENCE_S,
    tell: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Takes workspaces to another tested image, with a proven copy of each; alone it goes on"""
    patience_of_it = _patience(deadline, patience)
    if canary < 0:
        raise Exit("--canary is 0 or more.", code=2)
    with desk(platform) as here, Rollouts(here.settings.ledger) as rollouts:
        rolling = rolling_of(here, rollouts, patience_of_it)
        if not name and not all and not dry_run:
            _go_on(here, rolling, as_json=json)
            return
        image = _target(here, to)
        if not (dry_run or tell):
            settle_copies(here)
        settled = [] if dry_run or tell else rolling.settle(here.platform.key)
        stops = plan(here.client, here.chosen(name), lambda _row: image, canary)
        if tell:
            _tell(here, stops, tell)
            return
        _carry_out(here, rolling, UPGRADE, stops, settled, yes=yes, dry_run=dry_run, as_json=json)


@verb(
    help={
        "name": NAME_HELP,
        "all": ALL_HELP,
        "deadline": DEADLINE_HELP,
        "patience": PATIENCE_HELP,
        "yes": "do not ask",
        "dry_run": "show the plan; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def rollback(
    context: Context,
    name: str = "",
    all: bool = False,
    deadline: int = 5,
    patience: int = PATIENCE_S,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Takes workspaces back to the image from which an upgrade took them, their data as it is now"""
    patience_of_it = _patience(deadline, patience)
    _one_or_all(name, all=all)
    with desk(platform) as here, Rollouts(here.settings.ledger) as rollouts:
        rolling = rolling_of(here, rollouts, patience_of_it)
        if not dry_run:
            settle_copies(here)
        settled = [] if dry_run else rolling.settle(here.platform.key)
        stops = plan(here.client, here.chosen(name), lambda row: image_before(rollouts, row), 0)
        _carry_out(here, rolling, ROLLBACK, stops, settled, yes=yes, dry_run=dry_run, as_json=json)


def rolling_of(here: Desk, rollouts: Rollouts, patience: Patience) -> Rolling:
    """What carries rollouts out at this desk."""
    eyes = Eyes.of(here.platform)

    def upgrading(report: Callable[[str], None]) -> Upgrading:
        return Upgrading(here.client, here.ledger, rollouts, eyes, patience, report)

    return Rolling(here.ledger, rollouts, upgrading, _shown_step)


@contextmanager
def _shown_step(title: str) -> Iterator[Callable[[str], None]]:
    with step(title) as report:
        yield report


def _carry_out(
    here: Desk,
    rolling: Rolling,
    kind: str,
    stops: Sequence[Stop],
    settled: Sequence[Leg],
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    going = [one for one in stops if not one.why_not]
    if dry_run or not as_json:
        _show_plan(here, stops, as_json=as_json)
    if dry_run:
        say("Nothing was changed.")
        return
    if not going:
        _show_report(here, settled, as_json=as_json)
        return
    console.confirm(f"{kind.capitalize()} {len(going)} of {len(stops)} workspaces?", yes=yes)
    rollout = rolling.begin(here.platform.key, kind, going)
    _finish(here, rolling, rollout, settled, as_json=as_json)


def _go_on(here: Desk, rolling: Rolling, *, as_json: bool) -> None:
    """What was cut off is ended, and what was stopped goes on."""
    settled = rolling.settle(here.platform.key)
    left = rolling.interrupted(here.platform.key)
    if not left and not settled:
        raise Exit(
            "Nothing was cut off.\n  Try: invoke upgrade --all, or --name; --dry-run shows the plan", code=2
        )
    if not left:
        _show_report(here, settled, as_json=as_json)
        return
    _finish(here, rolling, left[-1], settled, as_json=as_json)


def _finish(here: Desk, rolling: Rolling, rollout: Rollout, settled: Sequence[Leg], *, as_json: bool) -> None:
    run = rolling.run(rollout)
    _show_report(here, [*settled, *run], as_json=as_json)
    failed = [one for one in run if one.step != DONE]
    if failed:
        left = [one for one in rolling.rollouts.legs(rollout) if one.step == "planned"]
        rest = f" {len(left)} workspaces were not begun." if left else ""
        raise Exit(f"{failed[0].why}{rest}\n  Try: invoke upgrade, which goes on from there", code=1)


def _show_plan(here: Desk, stops: Sequence[Stop], *, as_json: bool) -> None:
    copied = confirmed(here.settings.backups)
    days = {one.row.id: copied[one.row.id].isoformat()[:10] for one in stops if one.row.id in copied}
    if as_json:
        console.print_json([one.to_json() | {"last_backup": days.get(one.row.id, "")} for one in stops])
        return
    console.listing(
        ("User", "App", "From", "To", "Machine", "Volume", "Backup", ""),
        [
            (
                *(one.row.name, one.row.app, shown(one.from_image), shown(one.to_image), one.state),
                *(f"{one.size_gb} GB" if one.size_gb else "", days.get(one.row.id, "none")),
                one.why_not or ("canary" * one.is_canary),
            )
            for one in stops
        ],
        "There is nobody to upgrade.",
    )


def _show_report(here: Desk, legs: Sequence[Leg], *, as_json: bool) -> None:
    rows = [(one, here.ledger.get(one.workspace)) for one in legs]
    if as_json:
        console.print_json([{"name": row.name, "app": row.app} | one.to_json() for one, row in rows])
        return
    console.listing(
        ("User", "App", "Image", "Outcome", "Found", "Snapshot"),
        [(row.name, row.app, shown(row.image), one.step, one.was, one.snapshot) for one, row in rows],
        "Nobody was changed.",
    )


def _tell(here: Desk, stops: Sequence[Stop], when: str) -> None:
    facts = {"when": when, "what": "A new version is put in. Your page is away for a minute or two."}
    with post_of(here) as (post, _outbox):
        console.say(
            f"Mail goes out as {post.mailbox.sender}"
        )  # refuses before anything is put into the outbox
        for one in stops:
            if not one.why_not:
                sent = post.send(post.put(one.row, MAINTENANCE, facts))
                say(f"{one.row.email}: {sent.state} {sent.reason}".rstrip())
    say("Nothing was changed.")


def _target(here: Desk, to: str) -> str:
    """*Errors*: UntestedImage."""
    with Records(here.settings.releases) as records:
        wanted = to or image_reference(here.settings, here.platform)
        return choose(records, here.platform, wanted, partial(engine_of, here.settings))


# --- asleep, awake, anew --------------------------------------------------------------------------

WHOM = {
    "name": NAME_HELP,
    "all": ALL_HELP,
    "deadline": DEADLINE_HELP,
    "yes": "do not ask",
    "dry_run": "show what would be done; change nothing",
    "json": JSON_HELP,
    "platform": PLATFORM_HELP,
}


@verb(help=WHOM)
def suspend(
    context: Context,
    name: str = "",
    all: bool = False,
    deadline: int = 30,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Puts workspaces to sleep, once nothing runs in them; the next visit wakes them"""
    _do(SUSPEND, name, all=all, deadline=deadline, yes=yes, dry_run=dry_run, as_json=json, platform=platform)


@verb(help={key: WHOM[key] for key in ("name", "all", "dry_run", "json", "platform")})
def wake(
    context: Context,
    name: str = "",
    all: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Wakes workspaces, and waits until their pages answer"""
    _do(WAKE, name, all=all, deadline=0, yes=True, dry_run=dry_run, as_json=json, platform=platform)


@verb(help=WHOM)
def restart(
    context: Context,
    name: str = "",
    all: bool = False,
    deadline: int = 30,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Starts workspaces anew, once nothing runs in them; one that sleeps starts anew at its next visit"""
    _do(RESTART, name, all=all, deadline=deadline, yes=yes, dry_run=dry_run, as_json=json, platform=platform)


def _do(
    what: str, name: str, *, all: bool, deadline: int, yes: bool, dry_run: bool, as_json: bool, platform: str
) -> None:
    _one_or_all(name, all=all)
    patience = _patience(deadline, PATIENCE_S)
    with desk(platform) as here:
        if not dry_run:
            settle_copies(here)
        found = [one for one in statuses(here.client, here.chosen(name)) if one.workspace.state == READY]
        if dry_run:
            _show_outcomes([(one.workspace, one.state, "") for one in found], as_json=as_json)
            say("Nothing was changed.")
            return
        if all:
            console.confirm(f"{what.capitalize()} {len(found)} workspaces?", yes=yes)
        outcomes = [(one.workspace, *_tried(here, what, one.workspace, patience)) for one in found]
    _show_outcomes(outcomes, as_json=as_json)
    if any(why for _, _, why in outcomes):
        raise Exit(f"Not every workspace did.\n  Try: invoke {what} again", code=1)


def _tried(here: Desk, what: str, row: Workspace, patience: Patience) -> tuple[str, str]:
    """The state that it reached, or why it did not. One that resists does not stop the rest."""
    try:
        with step(f"{what.capitalize()} {row.app}") as report:
            return power_of(here, patience, report).do(what, row), ""
    except JarvisError as error:
        return "", str(error)


def _show_outcomes(outcomes: Sequence[tuple[Workspace, str, str]], *, as_json: bool) -> None:
    if as_json:
        shown = [
            {"name": row.name, "app": row.app, "state": state, "why": why} for row, state, why in outcomes
        ]
        console.print_json(shown)
        return
    rows = [(row.name, row.app, state, why) for row, state, why in outcomes]
    console.listing(("User", "App", "Machine", ""), rows, "Nobody yet.")


def power_of(here: Desk, patience: Patience, report: Callable[[str], None]) -> Power:
    return Power(here.client, here.ledger, Eyes.of(here.platform), patience, report)


# --- size -----------------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "memory_mb": "the machine's memory, in steps of 256",
        "cpus": "shared CPUs",
        "size_gb": "the volume's size; it never becomes smaller",
        "deadline": DEADLINE_HELP,
        "yes": "do not ask",
        "dry_run": "show what would be changed; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def resize(
    context: Context,
    name: str = "",
    memory_mb: int = 0,
    cpus: int = 0,
    size_gb: int = 0,
    deadline: int = 30,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Gives a workspace more or less memory and processors, or a larger volume"""
    console.require(name=name)
    if not (memory_mb or cpus or size_gb):
        raise Exit("Say what: --memory-mb, --cpus or --size-gb.", code=2)
    patience = _patience(deadline, PATIENCE_S)
    with desk(platform) as here:
        if not dry_run:
            settle_copies(here)
        row = here.find(name)
        now = size_of(here.client, row)
        wanted = wanted_size(now, memory_mb=memory_mb, cpus=cpus, size_gb=size_gb)
        if dry_run:
            say(f"Would change {row.app}: {now} → {wanted}. Nothing was changed.")
            return
        console.confirm(f"Change {row.app}: {now} → {wanted}?", yes=yes)
        with step(f"{row.app} to {wanted}") as report:
            reached = resize_workspace(power_of(here, patience, report), here.ledger, row, wanted)
    console.print_json(reached.to_json()) if json else console.plain(str(reached))


# --- variables of a user's own --------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "set": "set this variable; its value is asked for, or read from a pipe or --file",
        "file": "with --set: read the value from this file",
        "unset": "remove this variable",
        "later": "let it take effect at the next restart for another reason",
        "deadline": DEADLINE_HELP,
        "dry_run": "show what would be changed; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def secrets(
    context: Context,
    name: str = "",
    set: str = "",
    file: str = "",
    unset: str = "",
    later: bool = False,
    deadline: int = 30,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Lists, sets or removes variables of one user's own, such as ANTHROPIC_API_KEY"""
    console.require(name=name)
    if set and unset:
        raise Exit("Choose one of --set and --unset.", code=2)
    patience = _patience(deadline, PATIENCE_S)
    changes = [checked(set, None)[0]] if set else [checked(unset, None)[0]] if unset else []
    with desk(platform) as here:
        if changes and not dry_run:
            settle_copies(here)
        row = here.find(name)
        if dry_run and changes:
            say(f"Would {'set' if set else 'remove'} {changes[0]} of {row.app}. Nothing was changed.")
            return
        if changes:
            values = dict([checked(changes[0], _read_value(set, file) if set else None)])
            with step(f"{changes[0]} of {row.app}") as report:
                set_variables(power_of(here, patience, report), here.ledger, row, values, later=later)
        _show_variables(here.client.secrets(row.app), as_json=json)


def _read_value(name: str, file: str) -> Secret:
    """Never from the command line, which every process of this machine may read."""
    if file:
        try:
            return Secret(Path(file).read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeError) as error:
            raise PlanError(f"{file} can not be read: {error}", hint="--file PATH") from None
    if sys.stdin.isatty():
        return Secret(console.stderr.input(f"{name}: ", password=True, markup=False))
    return Secret(sys.stdin.read().rstrip("\r\n"))


def _show_variables(found: Sequence[AppSecret], *, as_json: bool) -> None:
    rows = sorted(found, key=lambda one: one.name)
    if as_json:
        console.print_json([vars(one) for one in rows])
        return
    console.listing(
        ("Variable", "Digest", "Since"),
        [(one.name, one.digest, one.updated_at[:16]) for one in rows],
        "None.",
    )


# --- whom ------------------------------------------------------------------------------------------


def _one_or_all(name: str, *, all: bool) -> None:
    if bool(name) == all:
        raise Exit("Say whom: --name NAME, or --all.", code=2)


def _patience(deadline: int, patience: int) -> Patience:
    if deadline < 0 or patience < 1:
        raise Exit("--deadline is 0 or more minutes, --patience 1 or more seconds.", code=2)
    return Patience(idle_s=deadline * 60.0, page_s=float(patience))
