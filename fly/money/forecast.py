"""What a month will have cost at its end, from what was used so far. Pure.

What stands costs the same whether it is used or not: that is known. How long a machine will run is guessed
from the days before: expected is their mean, the range is what a mean of so many days may be off by. Fewer
than DAYS_TO_TELL days say nothing of habits: the range is then from never awake again to always awake.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import fmean, stdev
from typing import Any

from fly.errors import PlanError
from fly.money.bill import Account, Month
from fly.money.cost import by_workspace, lines, total
from fly.money.prices import changes_between
from fly.money.usage import COMPUTE, EGRESS, IPV4, ROOTFS, ROOTFS_GB, SNAPSHOTS, VOLUME, Span, cut, within

STANDING = (VOLUME, SNAPSHOTS, IPV4)
DAY = timedelta(days=1)
LONG_AGO, FAR_OFF = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
DAYS_LOOKED_AT = 28
DAYS_TO_TELL = 3
SPREAD = 2.0
"""How many standard errors the range is wide to each side: some 95 of 100 months end in it."""


@dataclass(frozen=True)
class Forecast:
    """*Units*: exact dollars."""

    workspace: str
    name: str
    so_far: Decimal
    expected: Decimal
    low: Decimal
    high: Decimal
    days_seen: int
    """How many days the guess rests on."""

    @property
    def is_early(self) -> bool:
        return self.days_seen < DAYS_TO_TELL

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "so_far_usd": f"{self.so_far:.4f}",
            "expected_usd": f"{self.expected:.4f}",
            "low_usd": f"{self.low:.4f}",
            "high_usd": f"{self.high:.4f}",
            "days_seen": self.days_seen,
        }


def costs_so_far(accounts: Sequence[Account], now: datetime) -> dict[str, Decimal]:
    """What each workspace cost in the month of `now`, up to then: exact dollars by its id in the ledger.

    All together, since what is free is shared by all. One that was never metered is missing.
    """
    found = by_workspace(lines([span for one in accounts for span in one.spans], Month.of(now).start, now))
    return {workspace: total(mine) for workspace, mine in found.items()}


def cost_so_far(accounts: Sequence[Account], workspace: str, now: datetime) -> Decimal:
    """The same of one workspace; zero where nothing was metered."""
    return costs_so_far(accounts, now).get(workspace, Decimal(0))


def forecast(accounts: Sequence[Account], month: Month, now: datetime) -> list[Forecast]:
    """Everybody's cost at the end of the month, in the order of the accounts.

    *Errors*: PlanError, for a month that has not begun.
    """
    if now < month.start:
        raise PlanError(f"{month} has not begun.", hint="invoke estimate says what a month will cost")
    known = min(now, month.end)
    habits = [_habit(one, known, (month.end - known) / DAY) for one in accounts]
    so_far = _totals([span for one in accounts for span in one.spans], month.start, known)
    low, expected, high = (
        _totals([span for one in habits for span in _future(one, one.awake[which], known, month.end)])
        for which in range(3)
    )
    return [_forecast(one, so_far, (low, expected, high)) for one in habits]


def _forecast(
    habit: "_Habit", so_far: Mapping[str, Decimal], more: Sequence[Mapping[str, Decimal]]
) -> Forecast:
    key = habit.account.workspace
    spent = so_far.get(key, Decimal(0))
    low, expected, high = (spent + one.get(key, Decimal(0)) for one in more)
    return Forecast(key, habit.account.name, spent, expected, low, high, habit.days)


def in_total(found: Sequence[Forecast]) -> Forecast:
    """The sums, ranges included, so that it is the widest there can be; the days are the fewest of all."""
    sums = {
        name: sum((getattr(one, name) for one in found), Decimal(0))
        for name in ("so_far", "expected", "low", "high")
    }
    return Forecast("", "Total", days_seen=min((one.days_seen for one in found), default=0), **sums)


def _totals(spans: Sequence[Span], start: datetime = LONG_AGO, end: datetime = FAR_OFF) -> dict[str, Decimal]:
    return {workspace: total(mine) for workspace, mine in by_workspace(lines(spans, start, end)).items()}


@dataclass(frozen=True)
class _Habit:
    """How a workspace is used, and what it has."""

    account: Account
    days: int
    awake: tuple[float, float, float]
    """Which part of the time its machine will run: at least, expected, at most."""
    now: tuple[Span, ...]
    """What it has at this moment, but for the machine."""
    machine: Span | None
    """The latest time in which it ran."""
    egress_gb_s: Decimal
    """What left Fly for each second in which it ran."""


def _habit(account: Account, now: datetime, days_left: float) -> _Habit:
    ran = [one for one in account.spans if one.component == COMPUTE and one.start < now]
    parts, days = _awake(account, ran, now)
    ran_s = sum((one.seconds for one in ran), Decimal(0))
    left_gb = sum((one.gb for one in account.spans if one.component == EGRESS), Decimal(0))
    return _Habit(
        account,
        days,
        _range(parts, days, days_left),
        tuple(one for one in account.spans if one.component in STANDING and one.start < now <= one.end),
        max(ran, key=lambda one: one.end, default=None),
        left_gb / ran_s if ran_s else Decimal(0),
    )


def _awake(account: Account, ran: Sequence[Span], now: datetime) -> tuple[list[float], int]:
    """The part of each of the last days in which it ran; of a younger one, since it was made: 0 days."""
    days = min(DAYS_LOOKED_AT, max(0, (now - account.born) // DAY))
    window = DAY if days else max(now - account.born, timedelta(seconds=1))
    count = max(days, 1)
    seconds = [0.0] * count
    for span in within(ran, now - count * window, now):
        first, last = ((now - edge) / window for edge in (span.end, span.start))
        for number in range(int(first), min(count, int(last) + 1)):
            seconds[number] += min(last, number + 1) - max(first, number)
    return seconds, days


def _range(parts: Sequence[float], days: int, days_left: float) -> tuple[float, float, float]:
    expected = min(1.0, fmean(parts))
    if days < DAYS_TO_TELL:
        return 0.0, expected, 1.0
    off = SPREAD * stdev(parts) * (1 / days + 1 / max(days_left, 1 / 24)) ** 0.5
    return max(0.0, expected - off), expected, min(1.0, expected + off)


def _future(habit: _Habit, awake: float, start: datetime, end: datetime) -> Iterator[Span]:
    """What it will use if its machine runs that part of the time; nothing where it is gone."""
    if habit.account.ended or habit.machine is None:
        return
    yield from (replace(one, start=start, end=end) for one in habit.now)
    for piece in cut(replace(habit.machine, start=start, end=end), changes_between(start, end)):
        sleeps = piece.start + awake * (piece.end - piece.start)
        ran = replace(piece, end=sleeps)
        yield ran
        yield replace(piece, component=ROOTFS, start=sleeps, gb=ROOTFS_GB)
        yield replace(ran, component=EGRESS, end=piece.end, gb=habit.egress_gb_s * ran.seconds)
