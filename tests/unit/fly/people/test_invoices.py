"""Invoices: numbers without gaps that never change, one page each, tables that add up, mails that go once."""

import csv
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examined
from hypothesis import strategies as st
from openpyxl import load_workbook

from fly.errors import LedgerError, PlanError
from fly.invoices.book import CREDIT, INVOICE, Invoice, Invoices, Issuer, Item, drafts
from fly.invoices.page import page, write_tables
from fly.money.accounts import FIXED, HOURLY, Terms
from fly.money.bill import Account, Month, bills
from tests.support.wait import wait_until

OCTOBER = Month(2026, 10)
TODAY = date(2026, 11, 3)
ISSUER = Issuer(("My Jarvis Ltd", "1 Main Street", "12345 Berlin"), ("IBAN DE00 1234",), "VAT", "19", 14)


def account(key: str, cents: int = 2000, **changed: object) -> Account:
    terms = (Terms(key, date(2026, 9, 16), FIXED, cents),)
    born = datetime(2026, 9, 16, 10, tzinfo=UTC)
    return replace(Account(key, key, f"{key}@example.com", born, None, (), terms, ()), **changed)  # type: ignore[arg-type]


def drawn(accounts: Sequence[Account], month: Month = OCTOBER, *, early: bool = False) -> list[Invoice]:
    return drafts(accounts, bills(accounts, month), month, ISSUER, TODAY, early=early)


@contextmanager
def book(folder: Path) -> Iterator[Invoices]:
    with Invoices(folder / "ledger.sqlite") as found:
        yield found


def test_a_month_that_is_asked_for_twice_keeps_its_numbers_and_words(folder: Path) -> None:
    two = [account("Lilach"), account("Zoe")]
    with book(folder) as found:
        first = found.issue(drawn(two))
        assert [one.label for one in first] == ["00001", "00002"]
        dearer = [account("Lilach", 9900), account("Zoe"), account("Ada")]
        again = found.issue(drawn(dearer))
        assert again[:2] == first
        assert again[2].number == 3
        assert [page(one, folder) for one in again[:2]] == [page(one, folder) for one in first]


def test_what_was_issued_can_not_be_changed_or_removed(folder: Path) -> None:
    with book(folder) as found:
        found.issue(drawn([account("Lilach")]))
        for statement in ("UPDATE invoices SET content = ''", "DELETE FROM invoices"):
            with pytest.raises(LedgerError, match="only added to"):
                found._execute(statement)


def test_what_was_wrong_is_taken_back_and_issued_anew(folder: Path) -> None:
    with book(folder) as found:
        [wrong] = found.issue(drawn([account("Lilach")]))
        [right] = drawn([account("Lilach", 1500)])
        credit, instead = found.take_back(wrong.number, TODAY, right)
        assert (credit.kind, credit.corrects, credit.total_cents) == (CREDIT, 1, -2000)
        assert (instead.kind, instead.number, instead.total_cents) == (INVOICE, 3, 1500)
        assert found.standing("Lilach", "2026-10") == instead
        assert found.issue(drawn([account("Lilach", 7700)])) == [instead]
        assert "takes back invoice 00001" in page(credit, folder)
        for number, why in ((1, "before"), (2, "credit note"), (9, "no invoice")):
            with pytest.raises(PlanError, match=why):
                found.take_back(number, TODAY, right)
        assert [one.number for one in found.all()] == [1, 2, 3]


def test_an_invoice_that_should_not_be_is_taken_back_and_the_month_may_be_issued_again(folder: Path) -> None:
    with book(folder) as found:
        found.issue(drawn([account("Lilach")]))
        assert len(found.take_back(1, TODAY, None)) == 1
        assert found.issue(drawn([account("Lilach")]))[0].number == 3


def test_what_may_still_change_is_not_issued() -> None:
    november = OCTOBER.next
    with pytest.raises(PlanError, match="not over"):
        drawn([account("Lilach")], november)
    assert drawn([account("Lilach")], november, early=True)
    by_the_hour = account("Zoe", terms=(Terms("Zoe", date(2026, 9, 16), HOURLY, 50),))
    assert drawn([by_the_hour], november, early=True) == [], "nothing was used yet"
    assert drawn([account("Lilach", ended=datetime(2026, 11, 2, tzinfo=UTC))], november)[0].total_cents == 133
    assert drawn([account("Free", 0)]) == []


def _issue_for_ever(folder: Path, name: str) -> None:
    with Invoices(folder / "ledger.sqlite") as found:
        for number in range(10_000):
            month = Month(2027 + number // 12, number % 12 + 1)
            [one] = drawn([account(name)])
            found.issue([replace(one, month=str(month))])


def test_two_who_issue_and_are_killed_leave_no_gap(folder: Path) -> None:
    with book(folder) as found:
        start = multiprocessing.get_context("spawn").Process
        both = [start(target=_issue_for_ever, args=(folder, name)) for name in ("A", "B")]
        try:
            for one in both:
                one.start()
            wait_until(
                lambda: {one.workspace for one in found.all()} == {"A", "B"}, "both issue", timeout_s=60
            )
        finally:
            for one in both:
                if one.pid:
                    os.kill(one.pid, signal.SIGKILL)
                    one.join()
        numbers = [one.number for one in found.all()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len({(one.workspace, one.month) for one in found.all()}) == len(numbers)
        assert found.issue(drawn([account("C")]))[0].number == len(numbers) + 1


@examined(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(["", "7", "19", "8.1", "20.5"]))
def test_tax_is_right_to_the_cent_and_a_credit_note_takes_back_all_of_it(cents: int, percent: str) -> None:
    [one] = drawn([account("Lilach")])
    one = replace(
        one, issuer=replace(ISSUER, tax_percent=percent), items=(Item("x", "1", "month", "1", cents),)
    )
    exact = cents * float(percent or 0) / (100 + float(percent or 0))
    assert abs(exact - one.tax_cents) <= 0.5 + 1e-6
    back = replace(one, items=tuple(replace(item, cents=-item.cents) for item in one.items))
    assert back.tax_cents == -one.tax_cents


def test_a_hostile_name_stays_text_in_page_and_tables(folder: Path) -> None:
    nasty = '=HYPERLINK("http://evil")<script>alert(1)</script>'
    accounts = [account("Lilach", name=nasty), account("Zoe")]
    with book(folder) as found:
        issued = [*found.issue(drawn(accounts)), *found.take_back(2, TODAY, None)]
    assert "<script>" not in page(issued[0], folder)
    of_csv, of_xlsx = write_tables(folder / "out", "2026-10", issued, bills(accounts, OCTOBER))
    with of_csv.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["Name"] == f"'{nasty}"
    assert sum(float(row["Total"]) for row in rows) == 20.0, "a credit note takes away"
    sheet = load_workbook(of_xlsx).active
    assert sheet is not None
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    totals = [row[8].value for row in sheet.iter_rows(min_row=2)]
    assert totals == [20, 20, -20]
    assert {path.stat().st_mode & 0o777 for path in (of_csv, of_xlsx)} == {0o600}


def test_the_operators_own_template_is_taken_and_one_without_sense_named(folder: Path) -> None:
    [one] = drawn([account("Lilach")])
    (folder / "invoice-page.html").write_text("<p>{{ number }} {{ total }}</p>")
    assert page(one, folder) == "<p>00000 $20.00</p>"
    (folder / "invoice-page.html").write_text("{{ nothing }}")
    with pytest.raises(PlanError, match=r"invoice-page\.html"):
        page(one, folder)
