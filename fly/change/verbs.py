"""What an operator types to change workspaces that exist."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.change.images import choose, shown
from fly.change.rollout import Rolling, Stop, image_before, plan
from fly.change.rollouts import DONE, ROLLBACK, UPGRADE, Leg, Rollout, Rollouts
from fly.change.upgrade import Eyes, Patience, Upgrading
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk, image_reference
from fly.ledger import Workspace
from fly.people.letters import MAINTENANCE
from fly.people.verbs import post_of
from image.release.records import Records

ALL_HELP = "everybody"
DEADLINE_HELP = "how many minutes to wait for what runs in a workspace, before it is cut off"
PATIENCE_HELP = "how many seconds a page may take to answer"


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
    patience: int = 120,
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
        stops = plan(here.client, _chosen(here, name), lambda _row: image, canary)
        if tell:
            _tell(here, stops, tell)
            return
        _carry_out(here, rolling, UPGRADE, stops, yes=yes, dry_run=dry_run, as_json=json)


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
    patience: int = 120,
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
        stops = plan(here.client, _chosen(here, name), lambda row: image_before(rollouts, row), 0)
        _carry_out(here, rolling, ROLLBACK, stops, yes=yes, dry_run=dry_run, as_json=json)


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
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    going = [one for one in stops if not one.why_not]
    if dry_run or not as_json:
        _show_plan(stops, as_json=as_json)
    if dry_run:
        say("Nothing was changed.")
        return
    settled = rolling.settle(here.platform.key)
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
        raise Exit(f"{failed[0].why}{rest}\n  Try: invoke upgrade goes on; invoke repair --dry-run", code=1)


def _show_plan(stops: Sequence[Stop], *, as_json: bool) -> None:
    if as_json:
        console.print_json([one.to_json() for one in stops])
        return
    console.listing(
        ("User", "App", "From", "To", "Machine", "Volume", ""),
        [
            (
                *(one.row.name, one.row.app, shown(one.from_image), shown(one.to_image), one.state),
                *(f"{one.size_gb} GB" if one.size_gb else "", one.why_not or ("canary" * one.is_canary)),
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
        ("User", "App", "Image", "Outcome", "Slept", "Snapshot"),
        [(row.name, row.app, shown(row.image), one.step, one.was, one.snapshot) for one, row in rows],
        "Nobody was changed.",
    )


def _tell(here: Desk, stops: Sequence[Stop], when: str) -> None:
    facts = {"when": when, "what": "A new version is put in. Your page is away for a minute or two."}
    with post_of(here) as (post, _outbox):
        for one in stops:
            if not one.why_not:
                sent = post.send(post.put(one.row, MAINTENANCE, facts))
                say(f"{one.row.email}: {sent.state} {sent.reason}".rstrip())
    say("Nothing was changed.")


def _target(here: Desk, to: str) -> str:
    """*Errors*: UntestedImage."""
    with Records(here.settings.releases) as records:
        return choose(records, here.platform, to or image_reference(here.settings, here.platform))


# --- whom ------------------------------------------------------------------------------------------


def _one_or_all(name: str, *, all: bool) -> None:
    if bool(name) == all:
        raise Exit("Say whom: --name NAME, or --all.", code=2)


def _chosen(here: Desk, name: str) -> list[Workspace]:
    if name:
        return [here.ledger.find(name, here.platform.key)]
    return here.ledger.workspaces(here.platform.key)


def _patience(deadline: int, patience: int) -> Patience:
    if deadline < 0 or patience < 1:
        raise Exit("--deadline is 0 or more minutes, --patience 1 or more seconds.", code=2)
    return Patience(idle_s=deadline * 60.0, page_s=float(patience))
