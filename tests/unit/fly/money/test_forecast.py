"""What a month will have cost: what stands is known, habits are guessed, and early days say so."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fly.errors import PlanError
from fly.money.bill import Account, Month, bills
from fly.money.forecast import Forecast, cost_so_far, costs_so_far, forecast, in_total
from fly.money.usage import COMPUTE, EGRESS, ROOTFS, ROOTFS_GB, VOLUME, Span

NOVEMBER = Month(2026, 11)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOUR_USD, VOLUME_USD = Decimal("0.0000025835") * 3600, Decimal("1.5")


def used(born: datetime, now: datetime, *hours: float, name: str = "A") -> Account:
    """A workspace that was awake for so many hours of each day, the hours taken in turns."""
    spans, day, number = [Span(VOLUME, name, born, now, Decimal(10), "iad", thing="v")], born, 0
    while hours and day < now:
        sleeps = min(now, day + hours[number % len(hours)] * HOUR)
        spans.append(Span(COMPUTE, name, day, sleeps, Decimal(1), "iad", "shared", 1, "m"))
        spans.append(Span(ROOTFS, name, sleeps, min(now, day + DAY), ROOTFS_GB, "iad", thing="m"))
        day, number = day + DAY, number + 1
    return Account(
        name, name, f"{name}@example.com", born, None, [one for one in spans if one.start < one.end], (), ()
    )


def of(account: Account, now: datetime) -> Forecast:
    return forecast([account], NOVEMBER, now)[0]


def test_who_has_a_habit_is_foretold_to_the_cent() -> None:
    now = NOVEMBER.start + 10 * DAY
    found = of(used(NOVEMBER.start, now, 4), now)
    asleep = ROOTFS_GB * Decimal("0.15") * 20 / 24
    assert found.expected == pytest.approx(120 * HOUR_USD + VOLUME_USD + asleep, abs=Decimal("0.001"))
    assert found.low == found.expected == found.high
    assert found.days_seen == 10


def test_a_region_without_a_price_is_foretold_too() -> None:
    now = NOVEMBER.start + 10 * DAY
    known = used(NOVEMBER.start, now, 4)
    moved = replace(known, spans=[replace(one, region="atl") for one in known.spans])
    assert of(moved, now) == of(known, now)


def test_the_longer_it_is_known_the_narrower_the_range() -> None:
    widths = []
    for days in (3, 9, 27):
        now = NOVEMBER.start + days * DAY
        found = of(used(NOVEMBER.start, now, 2, 6, 4), now)
        assert found.so_far <= found.low < found.expected < found.high
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)


def test_in_the_first_days_anything_may_come() -> None:
    now = NOVEMBER.start + 2 * DAY + HOUR
    found = of(used(NOVEMBER.start, now, 4), now)
    assert found.is_early
    left_h = Decimal((NOVEMBER.end - now) / HOUR)
    assert found.high - found.so_far == pytest.approx(
        left_h * (HOUR_USD + VOLUME_USD / 720), abs=Decimal("0.01")
    )
    sleeping = left_h / 720 * (VOLUME_USD + ROOTFS_GB * Decimal("0.15"))
    assert found.low - found.so_far == pytest.approx(sleeping, abs=Decimal("0.01"))


def test_a_habit_of_the_month_before_counts_on_the_first_day() -> None:
    now = NOVEMBER.start + HOUR
    found = of(used(NOVEMBER.start - 40 * DAY, now, 4), now)
    assert found.days_seen == 28
    assert not found.is_early
    assert found.expected == pytest.approx(Decimal("2.71"), abs=Decimal("0.05"))


def test_who_is_gone_costs_no_more_and_who_was_never_metered_nothing() -> None:
    now = NOVEMBER.start + 10 * DAY
    alive = used(NOVEMBER.start, now, 4)
    gone = Account(**vars(alive) | {"ended": now - DAY})
    assert of(gone, now).expected == of(gone, now).so_far > 0
    unknown = Account(**vars(alive) | {"spans": []})
    assert of(unknown, now).high == 0


def test_a_month_that_is_over_is_its_bill() -> None:
    account = used(NOVEMBER.start, NOVEMBER.end + 5 * DAY, 4, 9)
    found = of(account, NOVEMBER.end + 5 * DAY)
    assert found.low == found.expected == found.high == found.so_far == bills([account], NOVEMBER)[0].cost


def test_a_month_that_has_not_begun_is_refused() -> None:
    with pytest.raises(PlanError, match="2026-12 has not begun"):
        forecast([], NOVEMBER.next, NOVEMBER.start)


def test_what_leaves_fly_leaves_while_it_is_awake() -> None:
    now = NOVEMBER.start + 10 * DAY
    account = used(NOVEMBER.start, now, 4)
    egress = Span(EGRESS, "A", now - DAY, now, Decimal(10), "iad")
    found = of(Account(**vars(account) | {"spans": [*account.spans, egress]}), now)
    assert found.expected - of(account, now).expected == pytest.approx(Decimal("0.6"), abs=Decimal("0.0001"))


def test_costs_so_far_are_of_this_month_up_to_now() -> None:
    now = NOVEMBER.start + 10 * DAY
    both = [used(NOVEMBER.start - 9 * DAY, now, 4, name="A"), used(now - DAY, now, name="B")]
    assert costs_so_far(both, now)["A"] == bills(both, NOVEMBER)[0].cost
    assert cost_so_far(both, "B", now) == Decimal("0.05")
    assert cost_so_far(both, "C", now) == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 24), min_size=1, max_size=6), st.integers(1, 29 * 24))
def test_whatever_was_seen_what_is_expected_lies_in_the_range(hours: list[float], known_h: int) -> None:
    now = NOVEMBER.start + known_h * HOUR
    found = of(used(NOVEMBER.start, now, *hours), now)
    assert found.so_far <= found.low <= found.expected <= found.high
    always = VOLUME_USD + 720 * HOUR_USD + ROOTFS_GB * Decimal("0.15")
    assert found.high <= always
    whole = in_total([found, found])
    assert (whole.low, whole.high) == (2 * found.low, 2 * found.high)
