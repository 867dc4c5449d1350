"""What was used, and what it costs: exact, additive, and the same however it is cut."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fly.errors import PlanError
from fly.money.cost import (
    EXACT,
    by_component,
    by_workspace,
    cents,
    lines,
    shared_out,
    total,
    unpriced,
)
from fly.money.estimate import Habit, estimate
from fly.money.prices import price_list_at
from fly.money.usage import COMPONENTS, COMPUTE, EGRESS, ROOTFS, SNAPSHOTS, VOLUME, Span, cut

START = datetime(2026, 2, 20, tzinfo=UTC)
YEAR = timedelta(days=365)

moments = st.integers(0, 365 * 86400 * 1000).map(lambda ms: START + timedelta(milliseconds=ms))


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start, end = sorted((draw(moments), draw(moments)))
    return Span(
        component=draw(st.sampled_from(COMPONENTS)),
        workspace=draw(st.sampled_from("ABC")),
        start=start,
        end=end,
        gb=draw(st.decimals(0, 100, places=2)),
        region=draw(st.sampled_from(["iad", "fra", "gru"])),
        cpu_kind=draw(st.sampled_from(["shared", "performance"])),
        cpus=draw(st.integers(1, 8)),
    )


@settings(max_examples=40)
@given(st.lists(spans(), max_size=6), st.lists(moments, max_size=4))
def test_a_bill_of_the_parts_is_the_bill_of_the_whole(used: list[Span], edges: list[datetime]) -> None:
    marks = [START, *sorted(edges), START + YEAR]
    parts = [total(lines(used, first, last)) for first, last in itertools.pairwise(marks)]
    assert sum(parts) == pytest.approx(total(lines(used, START, START + YEAR)), abs=Decimal("1e-9"))


@settings(max_examples=40)
@given(st.lists(spans(), max_size=6), st.lists(moments, max_size=4))
def test_cutting_a_span_changes_no_sum(used: list[Span], edges: list[datetime]) -> None:
    pieces = [piece for span in used for piece in cut(span, edges)]
    end = START + YEAR
    assert total(lines(pieces, START, end)) == pytest.approx(
        total(lines(used, START, end)), abs=Decimal("1e-9")
    )


@settings(max_examples=40)
@given(st.lists(spans(), max_size=6))
def test_every_line_can_be_checked_with_a_calculator(used: list[Span]) -> None:
    found = lines(used, START, START + YEAR)
    assert all(line.amount == (line.quantity * line.rate).quantize(EXACT) >= 0 for line in found)
    assert sum(by_component(found).values()) == total(found)
    assert sum(total(mine) for mine in by_workspace(found).values()) == total(found)


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=3), st.decimals(0, 1000, places=7), max_size=8))
def test_cents_that_are_shared_out_add_up(amounts: dict[str, Decimal]) -> None:
    shared = shared_out(amounts)
    assert sum(shared.values()) == cents(sum(amounts.values(), Decimal(0)))
    assert all(abs(shared[name] - amounts[name]) < Decimal("0.02") for name in amounts)


def test_each_second_costs_what_its_day_says() -> None:
    change = datetime(2026, 10, 1, tzinfo=UTC)
    day = timedelta(days=1)
    span = Span(COMPUTE, "A", change - day, change + day, Decimal(1), "iad", "shared", 1)
    before, after = lines([span], change - day, change + day)
    assert (before.end, after.start) == (change, change)
    assert before.rate == Decimal("0.00000075") + Decimal("0.75") * Decimal("0.00000193")
    assert after.rate == Decimal("0.0000008465") + Decimal("0.75") * Decimal("0.000002316")


def test_a_region_without_a_price_costs_what_the_base_does_and_is_named() -> None:
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    regions = ("atl", "iad", "fra")
    ran = [Span(COMPUTE, "A", start, end, Decimal(1), region, "shared", 1) for region in regions]
    new, base, dearer = lines(ran, start, end)
    assert new.amount == base.amount < dearer.amount
    assert unpriced(ran, start, end) == ["atl"]
    assert unpriced(ran, end, end + timedelta(days=1)) == []
    for asked in (
        lambda: price_list_at(start).compute_s("shared", 1, Decimal(1), "atl"),
        lambda: estimate(1, Habit(region="atl"), start),
    ):
        with pytest.raises(PlanError, match="no price for the region 'atl'"):
            asked()


def test_a_leap_day_and_the_clocks_change_count_as_they_are() -> None:
    for start, days in ((datetime(2028, 2, 1, tzinfo=UTC), 29), (datetime(2026, 3, 1, tzinfo=UTC), 31)):
        end = start + timedelta(days=days)
        [line] = lines([Span(VOLUME, "A", start, end, Decimal(10))], start, end)
        assert line.quantity == 10 * 24 * days
        assert line.amount == pytest.approx(Decimal("1.5") * days / 30)


def test_an_hour_of_a_volume_is_charged_to_what_stood_when_it_began() -> None:
    half = timedelta(minutes=30)
    noon = datetime(2026, 11, 3, 12, tzinfo=UTC)
    small = Span(VOLUME, "A", noon, noon + half, Decimal(10))
    large = Span(VOLUME, "A", noon + half, noon + 4 * half, Decimal(20))
    assert [line.quantity for line in lines([small, large], noon, noon + 4 * half)] == [10, 20]


def test_the_free_snapshots_are_shared_by_size() -> None:
    end = START + timedelta(days=30)
    found = lines(
        [Span(SNAPSHOTS, "A", START, end, Decimal(15)), Span(SNAPSHOTS, "B", START, end, Decimal(5))],
        START,
        end,
    )
    amounts = {name: total(mine) for name, mine in by_workspace(found).items()}
    assert amounts["A"] == pytest.approx(Decimal("0.08") * Decimal("7.5"))
    assert amounts["B"] == pytest.approx(Decimal("0.08") * Decimal("2.5"))


def test_what_left_fly_counts_once_in_the_month_in_which_it_was_measured() -> None:
    middle, end = START + timedelta(days=10), START + timedelta(days=20)
    span = Span(EGRESS, "A", START, end, Decimal(3), "gru")
    assert lines([span], START, middle) == []
    [line] = lines([span], middle, end)
    assert line.amount == Decimal("0.12")


@pytest.mark.parametrize(
    ("autostop", "users", "each", "first_plan"),
    [
        (True, 10, "2.89", "36.00"),
        (True, 20, "2.89", "72.00"),
        (False, 10, "8.22", "216.00"),
        (False, 20, "8.22", "432.00"),
    ],
)
def test_the_plans_table_is_counted_anew(autostop: bool, users: int, each: str, first_plan: str) -> None:
    habit = Habit(autostop=autostop, image_gb=Decimal(2), snapshots_gb=Decimal(0))
    found = estimate(users, habit, datetime(2026, 11, 1, tzinfo=UTC))
    assert found.to_json()["each_usd"] == each
    assert found.to_json()["first_plan_usd"] == first_plan
    assert (ROOTFS in found.components) is autostop
