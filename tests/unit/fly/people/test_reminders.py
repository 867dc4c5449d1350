"""Who is late, and that each reminder goes out once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fly.invoices.book import Invoices, Issuer, drafts
from fly.invoices.debts import FIRST, LAST, PAUSE, SECOND, debt, next_reminder
from fly.money.accounts import FIXED, Payment, Terms
from fly.money.bill import Account, Month, bills
from fly.people.letters import INVOICE, PAYMENT
from fly.people.outbox import SENT
from tests.unit.fly.people.conftest import Office

BORN = datetime(2026, 9, 1, tzinfo=UTC)
LILACH = Account("A", "Lilach", "l@example.com", BORN, None, (), (Terms("A", BORN.date(), FIXED, 2000),), ())


def paid(day: date, cents: int) -> Payment:
    return Payment("A", day, cents, "bank", f"{day} {cents}")


def test_what_was_paid_settles_the_oldest_month_first() -> None:
    today = date(2026, 11, 20)
    found = debt(replace(LILACH, payments=(paid(date(2026, 10, 3), 2500),)), {}, 14, today)
    assert found is not None
    assert (found.month, found.cents, found.due_on) == ("2026-10", 1500, date(2026, 11, 15))
    assert debt(replace(LILACH, payments=(paid(today, 4000),)), {}, 14, today) is None


def test_an_invoice_says_when_a_month_is_due() -> None:
    assert debt(LILACH, {"2026-09": date(2026, 12, 1)}, 14, date(2026, 10, 20)) is None


def test_three_reminders_and_never_two_in_a_week() -> None:
    found = debt(LILACH, {}, 14, date(2026, 10, 16))
    assert found is not None
    reminded: dict[int, date] = {}
    for day in range(-3, 90):
        today = found.due_on + timedelta(days=day)
        if one := next_reminder(found, reminded, today):
            reminded[one.level] = today
    assert [(today - found.due_on).days for today in reminded.values()] == [1, 14, 28]
    assert list(reminded) == [FIRST, SECOND, LAST]
    late = found.due_on + timedelta(days=60)
    assert next_reminder(found, {FIRST: late}, late + PAUSE - timedelta(days=1)) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3000, 6000), max_size=5), st.integers(0, 200))
def test_who_owes_nothing_at_all_is_never_late(cents: list[int], days: int) -> None:
    today = BORN.date() + timedelta(days=days)
    mine = replace(LILACH, payments=[paid(BORN.date(), one) for one in cents])
    found, owed = debt(mine, {}, 14, today), bills([mine], Month(today.year, today.month))[0].owed_cents
    assert found is None or 0 < found.cents <= owed


def test_a_reminder_is_sent_once_whatever_she_owes_by_then(office: Office) -> None:
    row = office.world.provision()
    for amount in ("20.00", "15.00"):
        facts = {"amount": amount, "due": "2026-11-15", "reminder": "second"}
        office.post.send(office.post.put(row, PAYMENT, facts, "2026-10-second"))
    [mail] = office.server.taken.mails
    assert "second reminder" in mail.as_string()
    assert "$20.00 were due on 2026-11-15" in mail.as_string()


def test_an_invoice_goes_out_once_with_its_page(office: Office) -> None:
    row = office.world.provision()
    account = replace(LILACH, workspace=row.id, terms=(replace(LILACH.terms[0], workspace=row.id),))
    month = Month(2026, 9)
    with Invoices(office.world.ledger.path) as book:
        [one] = book.issue(
            drafts([account], bills([account], month), month, Issuer(), date(2026, 10, 1), early=False)
        )
    facts = {"title": "Invoice", "number": one.label, "month": one.month, "amount": "$20.00"}
    facts["due"] = one.due_on
    for _ in range(2):
        assert office.post.send(office.post.put(row, INVOICE, facts, one.label)).state == SENT
    [mail] = office.server.taken.mails
    [attached] = mail.iter_attachments()
    assert attached.get_filename() == "00001-2026-09.html"
    assert "Invoice 00001" in attached.get_content()
