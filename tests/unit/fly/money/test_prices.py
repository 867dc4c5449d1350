"""Fly's prices: the table that its own page shows, and the days on which they changed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fly.errors import PlanError
from fly.money.prices import MONTH_S, PRICE_LISTS, changes_between, price_list_at

NOW = price_list_at(datetime(2026, 11, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("cpus", "memory_gb", "iad", "fra"),
    [
        (1, "0.25", "2.19", "2.53"),
        (1, "0.5", "3.69", "4.26"),
        (1, "1", "6.70", "7.73"),
        (1, "2", "12.70", "14.65"),
        (2, "2", "13.39", "15.45"),
    ],
)
def test_a_month_of_a_shared_machine_costs_what_fly_says(
    cpus: int, memory_gb: str, iad: str, fra: str
) -> None:
    for region, month in (("iad", iad), ("fra", fra)):
        rate = NOW.compute_s("shared", cpus, Decimal(memory_gb), region)
        assert round(rate * MONTH_S, 2) == Decimal(month)


def test_the_lists_follow_each_other_without_a_gap() -> None:
    since = [prices.since for prices in PRICE_LISTS]
    assert since == sorted(set(since))
    assert all(price_list_at(moment).since == moment for moment in since)


def test_memory_became_dearer_in_october() -> None:
    before, after = (
        price_list_at(datetime(2026, month, day, tzinfo=UTC)) for month, day in ((9, 30), (10, 1))
    )
    assert before.memory_gb_s < after.memory_gb_s
    assert changes_between(before.since, datetime(2026, 12, 1, tzinfo=UTC)) == [after.since]


def test_what_has_no_price_is_refused_with_what_there_is() -> None:
    with pytest.raises(PlanError, match="mars") as refused:
        NOW.compute_s("shared", 1, Decimal(1), "mars")
    assert "iad" in (refused.value.hint or "")
    with pytest.raises(PlanError, match="quantum"):
        NOW.compute_s("quantum", 1, Decimal(1), "iad")
    with pytest.raises(PlanError, match="2020"):
        price_list_at(datetime(2020, 1, 1, tzinfo=UTC))
