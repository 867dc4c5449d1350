"""Caps: what they say, how much is used up, and that the month turns where the calendar says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fly.alarm.caps import HOURS, USD, Cap, Caps, Use, hours_awake, uses
from fly.alarm.pausing import NOTHING, PAUSE, RESUME, WARNED, due
from fly.errors import LedgerError, PlanError
from fly.money.bill import Account, Month
from fly.money.usage import COMPUTE, VOLUME, Span

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOVEMBER = Month(2026, 11)
MINUTES = st.integers(0, 60 * 24 * 80)


@pytest.fixture
def caps(folder: Path) -> Iterator[Caps]:
    with Caps(folder / "ledger.sqlite") as caps:
        yield caps


def account(*spans: tuple[datetime, datetime]) -> Account:
    ran = [Span(COMPUTE, "W1", start, end, Decimal(1), "iad", "shared", 1, "m") for start, end in spans]
    born = datetime(2026, 9, 1, tzinfo=UTC)
    kept = Span(VOLUME, "W1", born, NOW, Decimal(10), "iad", thing="v")
    return Account("W1", "Lilach", "l@example.com", born, None, [*ran, kept], (), ())


def test_the_latest_word_counts(caps: Caps) -> None:
    assert caps.of("W1") is None
    caps.set("W1", Cap.parse(hours="40"))
    caps.set("W1", Cap.parse(usd="2.50"))
    caps.set("W2", Cap.parse(hours="1"))
    assert str(caps.of("W1")) == "$2.5 a month"
    caps.set("W1", None)
    assert caps.of("W1") is None
    assert str(caps.of("W2")) == "1 h a month"


def test_what_was_agreed_is_kept_for_good(caps: Caps) -> None:
    caps.set("W1", Cap.parse(hours="40"))
    with pytest.raises(LedgerError, match="only added to"):
        caps._execute("DELETE FROM caps")


def test_a_cap_is_lifted_for_one_month_alone(caps: Caps) -> None:
    caps.lift("W1", NOVEMBER)
    caps.lift("W1", NOVEMBER)
    assert caps.is_lifted("W1", NOVEMBER)
    assert not caps.is_lifted("W1", NOVEMBER.next)
    assert not caps.is_lifted("W2", NOVEMBER)


@pytest.mark.parametrize(
    ("hours", "usd"),
    [("", ""), ("1", "1"), ("0", ""), ("-3", ""), ("nan", ""), ("inf", ""), ("many", ""), ("", "1e9")],
)
def test_what_is_no_cap_is_refused(hours: str, usd: str) -> None:
    with pytest.raises(PlanError):
        Cap.parse(hours, usd)


def test_the_first_minute_of_a_month_begins_anew() -> None:
    ran = account((datetime(2026, 10, 31, 20, tzinfo=UTC), datetime(2026, 11, 1, 2, tzinfo=UTC)))
    before = uses([ran], datetime(2026, 10, 31, 23, 59, tzinfo=UTC))["W1"]
    after = uses([ran], datetime(2026, 11, 1, 2, tzinfo=UTC))["W1"]
    assert str(before.month) == "2026-10"
    assert float(before.hours) == pytest.approx(3 + 59 / 60)
    assert str(after.month) == "2026-11"
    assert after.hours == Decimal(2)


def test_the_cost_of_a_month_counts_also_what_sleeps() -> None:
    use = uses([account()], NOW)["W1"]
    assert use.hours == 0
    assert use.usd > 1, "a volume costs while nobody is there"
    assert Cap(USD, Decimal(1)).share(use.hours, use.usd) > 1
    assert Cap(HOURS, Decimal(1)).share(use.hours, use.usd) == 0


@given(st.lists(st.tuples(MINUTES, st.integers(1, 3000)), max_size=20), MINUTES)
def test_hours_add_up_wherever_they_are_cut(times: list[tuple[int, int]], minute: int) -> None:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    spans = [(start + timedelta(minutes=a), start + timedelta(minutes=a + long)) for a, long in times]
    ran, cut, end = account(*spans), start + timedelta(minutes=minute), start + timedelta(days=90)
    parts = hours_awake(ran, start, cut) + hours_awake(ran, cut, end)
    assert parts == pytest.approx(hours_awake(ran, start, end))
    assert parts == pytest.approx(Decimal(sum(long for _, long in times)) / 60)


@given(st.decimals("0.01", "1000", places=2), st.decimals("0", "1000", places=2))
def test_what_is_used_up_only_grows(amount: Decimal, hours: Decimal) -> None:
    cap = Cap(HOURS, amount)
    shares = [cap.share(hours + more, Decimal(0)) for more in range(5)]
    assert shares == sorted(shares)
    assert (cap.share(hours, Decimal(0)) >= 1) == (hours >= amount)


@pytest.mark.parametrize(
    ("hours", "is_lifted", "is_paused", "act"),
    [
        ("7.9", False, False, NOTHING),
        ("8", False, False, WARNED),
        ("9.99", False, False, WARNED),
        ("10", False, False, PAUSE),
        ("12", False, True, NOTHING),
        ("12", True, False, NOTHING),
        ("12", True, True, RESUME),
        ("0", False, True, RESUME),
    ],
)
def test_what_a_cap_asks_for(hours: str, is_lifted: bool, is_paused: bool, act: str) -> None:
    use = Use("W1", NOVEMBER, Decimal(hours), Decimal(0))
    assert due(Cap(HOURS, Decimal(10)), use, is_lifted=is_lifted, is_paused=is_paused) == act


def test_who_has_no_cap_is_left_alone() -> None:
    use = Use("W1", NOVEMBER, Decimal(1000), Decimal(1000))
    assert due(None, use, is_lifted=False, is_paused=False) == NOTHING
    assert due(None, use, is_lifted=False, is_paused=True) == RESUME
