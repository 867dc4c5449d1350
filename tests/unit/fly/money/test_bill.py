"""A month of a workspace: fees by days and by hours, payments, and what is owed over months."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fly.errors import LedgerError, PlanError
from fly.ledger import Ledger
from fly.money.accounts import FIXED, HOURLY, Accounts, Payment, Terms
from fly.money.bill import Account, Bill, Month, bills, charges
from fly.money.cost import lines, total
from fly.money.usage import COMPUTE, SNAPSHOTS, Span

NOVEMBER = Month(2026, 11)
BORN = datetime(2026, 9, 16, 10, tzinfo=UTC)


def account(**changed: object) -> Account:
    terms = (Terms("A", date(2026, 9, 16), FIXED, 2000),)
    plain = Account("A", "Lilach", "lilach@example.com", BORN, None, (), terms, ())
    return replace(plain, **changed)  # type: ignore[arg-type]


def bill(of: Account, month: Month = NOVEMBER) -> Bill:
    return bills([of], month)[0]


def paid(day: date, cents: int) -> Payment:
    return Payment("A", day, cents, "bank", f"{day}")


def test_a_whole_month_is_charged_whole_and_the_first_one_by_its_days() -> None:
    assert [bill(account(), month).charged_cents for month in (Month(2026, 8), Month(2026, 9), NOVEMBER)] == [
        0,
        1000,
        2000,
    ]


def test_the_month_of_the_goodbye_is_charged_up_to_its_day() -> None:
    gone = account(ended=datetime(2026, 11, 3, 23, 59, tzinfo=UTC))
    assert bill(gone).charged_cents == 200
    assert bill(gone, NOVEMBER.next).charged_cents == 0


def test_new_terms_in_the_middle_make_two_lines() -> None:
    terms = (Terms("A", date(2026, 9, 16), FIXED, 2000), Terms("A", date(2026, 11, 16), FIXED, 3000))
    found = charges(account(terms=terms), NOVEMBER)
    assert [(one.cents, one.rate_cents) for one in found] == [(1000, 2000), (1500, 3000)]


def test_hours_of_use_are_charged_by_the_second() -> None:
    start = NOVEMBER.start + timedelta(hours=5)
    span = Span(COMPUTE, "A", start, start + timedelta(minutes=90), Decimal(1), "iad", "shared", 1)
    found = account(spans=[span], terms=(Terms("A", date(2026, 9, 16), HOURLY, 50),))
    assert bill(found).charged_cents == 75


def test_what_is_owed_counts_all_months_and_all_payments() -> None:
    mine = account(
        payments=(paid(date(2026, 10, 2), 1000), paid(date(2026, 11, 30), 2000), paid(date(2026, 12, 1), 500))
    )
    assert bill(mine).owed_cents == 1000 + 2000 + 2000 - 3000
    assert bill(mine).paid_cents == 2000
    assert bill(mine, NOVEMBER.next).owed_cents == 7000 - 3500


def test_what_is_free_for_all_is_shared_by_all() -> None:
    def stores(name: str, gb: int) -> Account:
        span = Span(SNAPSHOTS, name, NOVEMBER.start, NOVEMBER.end, Decimal(gb))
        return account(workspace=name, spans=[span])

    accounts = [stores("A", 15), stores("B", 5)]
    everybody = total(lines([span for one in accounts for span in one.spans], NOVEMBER.start, NOVEMBER.end))
    assert sum(one.cost for one in bills(accounts, NOVEMBER)) == everybody == Decimal("0.8")


@pytest.mark.parametrize("text", ["2026-13", "November", "2026-11-01", "", "20261"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="month"):
        Month.parse(text)


@given(st.dates(date(2025, 1, 1), date(2030, 1, 1)), st.integers(0, 900))
@settings(deadline=None)
def test_the_days_of_all_months_are_the_days_that_it_stood(first: date, days: int) -> None:
    """A fee of 100,000 for each month: the months' shares are its days."""
    born = datetime(first.year, first.month, first.day, tzinfo=UTC)
    ended = born + timedelta(days=days)
    mine = account(born=born, ended=ended, terms=(Terms("A", first, FIXED, 1),))
    month, stood = Month.of(born), Decimal(0)
    while month.start <= ended:
        stood += sum((one.quantity * month.days for one in charges(mine, month)), Decimal(0))
        month = month.next
    assert round(stood, 9) == days + 1


def test_accounts_remember_terms_and_payments_and_forget_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    with Accounts(path) as accounts:
        accounts.agree(Terms("A", date(2026, 11, 1), FIXED, 2000))
        accounts.agree(Terms("A", date(2026, 11, 1), FIXED, 2500))
        accounts.agree(Terms("A", date(2026, 12, 1), HOURLY, 50))
        assert accounts.pay(paid(date(2026, 11, 2), 2500))
        assert not accounts.pay(paid(date(2026, 11, 2), 2500))
        with pytest.raises(PlanError, match="reference"):
            accounts.pay(paid(date(2026, 11, 2), 2600))
    with Accounts(path) as accounts:
        assert [(one.kind, one.fee_cents) for one in accounts.terms("A")] == [(FIXED, 2500), (HOURLY, 50)]
        assert [one.cents for one in accounts.payments("A")] == [2500]
        for statement in ("DELETE FROM payments", "UPDATE payments SET cents = 0"):
            with pytest.raises(LedgerError, match="only added to"), accounts._explained():
                accounts._database.execute(statement)


def test_nonsense_is_not_agreed_to(tmp_path: Path) -> None:
    with Accounts(tmp_path / "ledger.sqlite") as accounts:
        for terms in (Terms("A", date(2026, 1, 1), "free", 0), Terms("A", date(2026, 1, 1), FIXED, -1)):
            with pytest.raises(PlanError):
                accounts.agree(terms)
        with pytest.raises(PlanError, match="nothing"):
            accounts.pay(paid(date(2026, 1, 1), 0))
