"""What copies, restores and moves that were killed have left, as `repair` shows it, and what cures it."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from fly.backup.records import Borrowed
from fly.backup.swapping import SWITCHED, cut_off, settle_one
from fly.backup.throwaway import MARK, NAME_PREFIX, NETWORK_PREFIX, Work, give_back
from fly.errors import JarvisError
from fly.ledger import LIVE, Ledger, drawn_at_s, new_id
from fly.model import App
from fly.repair import Finding

SWAP, ABANDONED, STRAY = "swap cut off", "throw-away abandoned", "throw-away without a record"
YOUNG_S = 3600.0
"""A throw-away app without a record that is younger may be another operator's, who is copying just now."""
LEFT = "left as it is"
Cure = Callable[[], str]


def settle_all(
    work: Work,
    ledger: Ledger,
    *,
    remove: bool = False,
    dry_run: bool = False,
    now_s: Callable[[], float] = time.time,
) -> list[Finding]:
    """What was found, each with what came of curing it. One that resists does not stop the rest.

    `remove`: also what is in no record here, as it may be in another operator's.
    """
    found = list(_found(work, ledger, remove=remove, now_s=now_s()))
    return [finding if dry_run else _cured(finding, cure) for finding, cure in found]


def _found(work: Work, ledger: Ledger, *, remove: bool, now_s: float) -> Iterator[tuple[Finding, Cure]]:
    yield from _swaps(work, ledger)
    key = work.client.platform.key
    abandoned = work.backups.abandoned(key)
    for left in abandoned:
        what = "the copy or drill that it was made for was cut off; it may hold a user's data"
        yield _finding(ABANDONED, left, what, "remove it"), partial(_removed, work, left)
    known = {one.app for one in work.backups.borrowed(key)}
    for stray in _strays(work, known, now_s):
        what = "a throw-away app that is not in this record; it may hold a user's data"
        cure = partial(_removed, work, stray) if remove else lambda: LEFT
        yield _finding(STRAY, stray, what, "remove it, or leave it to another operator's record"), cure


def _swaps(work: Work, ledger: Ledger) -> Iterator[tuple[Finding, Cure]]:
    for swap, row in cut_off(work, ledger):
        if row.state not in LIVE:
            what, cure = f"it is {row.state}, and its {swap.what} is still in the record", "forget that"
        elif swap.stage == SWITCHED:
            what, cure = f"the {swap.what} of {row.email} was cut off; its new machine serves", "finish it"
        else:
            what, cure = f"the {swap.what} of {row.email} was cut off: nobody is let in", "undo it"
        done = "finished" if cure == "finish it" else "undone" if cure == "undo it" else "forgotten"
        finding = Finding(SWAP, row.app, what, cure, row.id, row)
        yield finding, partial(_after, partial(settle_one, work, ledger, row), done)


def _strays(work: Work, known: Iterable[str], now_s: float) -> Iterator[Borrowed]:
    """Throw-away apps that are old enough to be nobody's work, and in no record of ours."""
    apps = [app for app in work.client.apps() if app.name.startswith(NAME_PREFIX) and app.name not in known]
    for app in apps:
        age_s = now_s - _made_at_s(app)
        if age_s > YOUNG_S and _is_throwaway(work, app):
            yield Borrowed(app.name, app.network)


def _is_throwaway(work: Work, app: App) -> bool:
    """Its network says so; or, where the platform names none, its machine does."""
    if app.network:
        return app.network.startswith(NETWORK_PREFIX)
    return any(MARK in one.metadata for one in work.client.machines(app.name))


def _made_at_s(app: App) -> float:
    """When its network was drawn, in seconds since 1970; long ago, where that does not say so."""
    drawn = app.network.removeprefix(NETWORK_PREFIX).upper()
    return drawn_at_s(drawn) if len(drawn) == len(new_id()) else 0.0


def _finding(kind: str, left: Borrowed, what: str, cure: str) -> Finding:
    return Finding(kind, left.app, what, cure, "")


def _removed(work: Work, left: Borrowed) -> str:
    give_back(work, left)
    return "removed"


def _after(act: Callable[[], None], done: str) -> str:
    act()
    return done


def _cured(finding: Finding, cure: Cure) -> Finding:
    try:
        return replace(finding, outcome=cure())
    except JarvisError as error:
        return replace(finding, outcome=str(error), ok=False)
