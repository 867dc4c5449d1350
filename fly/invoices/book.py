"""Invoices and credit notes as they were issued: numbered without gaps, never changed. In the ledger's file.

A document keeps everything that stands on it, so that it can be made again years later, letter by letter.
What was wrong is taken back by a credit note, which has a number of its own, and issued anew.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from fly.errors import LedgerError, PlanError
from fly.money.accounts import FIXED
from fly.money.bill import Account, Bill, Month, dollars
from fly.record import Record, append_only, stamp

INVOICE, CREDIT = "invoice", "credit note"
SCHEMA = """
CREATE TABLE IF NOT EXISTS invoices (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    kind TEXT NOT NULL CHECK (kind IN ('invoice', 'credit note')),
    corrects INTEGER UNIQUE REFERENCES invoices (number),
    workspace TEXT NOT NULL,
    month TEXT NOT NULL,
    content TEXT NOT NULL,
    noted_at TEXT NOT NULL
) STRICT;
"""
SCHEMA += append_only("invoices")


@dataclass(frozen=True)
class Issuer:
    """What an invoice says of the operator. Lines of text; the tax is part of what is charged."""

    sender: tuple[str, ...] = ()
    pay: tuple[str, ...] = ()
    tax_name: str = ""
    tax_percent: str = ""
    due_days: int = 14


@dataclass(frozen=True)
class Item:
    """One line. *Units*: the amount in cents; the rest as it is printed."""

    what: str
    quantity: str
    unit: str
    rate: str
    cents: int


@dataclass(frozen=True)
class Invoice:
    """One document. `number` is 0 until it is issued; `corrects` is that of what it takes back, or 0."""

    number: int
    kind: str
    corrects: int
    workspace: str
    month: str
    name: str
    email: str
    issued_on: str
    due_on: str
    items: tuple[Item, ...]
    issuer: Issuer

    @property
    def label(self) -> str:
        return f"{self.number:05}"

    @property
    def total_cents(self) -> int:
        return sum(item.cents for item in self.items)

    @property
    def tax_cents(self) -> int:
        """The part of the total that is tax, rounded half up."""
        percent = Decimal(self.issuer.tax_percent or 0)
        return int((self.total_cents * percent / (100 + percent)).to_integral_value(ROUND_HALF_UP))

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.label,
            "kind": self.kind,
            "corrects": f"{self.corrects:05}" if self.corrects else None,
            "month": self.month,
            "name": self.name,
            "email": self.email,
            "issued_on": self.issued_on,
            "due_on": self.due_on,
            "total_usd": dollars(self.total_cents),
            "tax_usd": dollars(self.tax_cents),
        }

    @classmethod
    def of(cls, bill: Bill, issuer: Issuer, today: date) -> "Invoice":
        """What a bill asks for, not issued yet."""
        return cls(
            number=0,
            kind=INVOICE,
            corrects=0,
            workspace=bill.workspace,
            month=str(bill.month),
            name=bill.name,
            email=bill.email,
            issued_on=today.isoformat(),
            due_on=(today + timedelta(days=issuer.due_days)).isoformat(),
            items=items(bill),
            issuer=issuer,
        )


def items(bill: Bill) -> tuple[Item, ...]:
    return tuple(
        Item(one.what, _plain(one.quantity), one.unit, dollars(one.rate_cents), one.cents)
        for one in bill.charges
    )


def _plain(quantity: Decimal) -> str:
    rounded = quantity.quantize(Decimal("0.0001")).normalize()
    return f"{rounded:f}"


class Invoices(Record):
    """The documents in the ledger at a path.

    *Errors*: LedgerError.
    """

    CALLED = "The ledger"
    TABLES = SCHEMA

    def issue(self, drafts: Sequence[Invoice]) -> list[Invoice]:
        """All of them or none, with the next numbers. A month of a workspace that has one gets no second one.

        So a run that was killed is finished by the same call, and of two at once each number is drawn once.
        """
        with self._transaction():
            for draft in drafts:
                if not self._standing(draft.workspace, draft.month):
                    self._append(draft)
        return [self.standing(draft.workspace, draft.month) for draft in drafts]

    def take_back(self, number: int, today: date, instead: Invoice | None) -> list[Invoice]:
        """A credit note over all of an invoice and, where there is one, the invoice in its place.

        *Errors*: PlanError: no such invoice, or it was taken back before.
        """
        with self._transaction():
            wrong = self.get(number)
            if wrong.kind != INVOICE:
                raise PlanError(
                    f"{wrong.label} is a credit note.", hint="--correct takes an invoice's number"
                )
            if self._rows("SELECT 1 FROM invoices WHERE corrects = ?", number):
                raise PlanError(f"{wrong.label} was taken back before.", hint="invoke invoices --list")
            back = tuple(Item(one.what, one.quantity, one.unit, one.rate, -one.cents) for one in wrong.items)
            facts = asdict(wrong) | {
                "issuer": wrong.issuer,
                "items": back,
                "kind": CREDIT,
                "corrects": number,
            }
            facts |= {"issued_on": today.isoformat(), "due_on": today.isoformat()}
            numbers = [self._append(Invoice(**facts))]
            if instead and instead.items:
                numbers.append(self._append(instead))
        return [self.get(one) for one in numbers]

    def _append(self, draft: Invoice) -> int:
        number = int(self._rows("SELECT coalesce(max(number), 0) + 1 FROM invoices")[0][0])
        content = {name: value for name, value in asdict(draft).items() if name not in _COLUMNS}
        self._execute(
            "INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(number, draft.kind, draft.corrects or None, draft.workspace, draft.month),
            *(json.dumps(content, ensure_ascii=False), stamp()),
        )
        return number

    def get(self, number: int) -> Invoice:
        """*Errors*: PlanError: there is none."""
        if found := [one for one in self.all() if one.number == number]:
            return found[0]
        raise PlanError(f"There is no invoice {number:05}.", hint="invoke invoices --list shows them all")

    def all(self, month: str = "", workspace: str = "") -> list[Invoice]:
        """In the order of their numbers."""
        rows = self._rows(
            "SELECT number, kind, coalesce(corrects, 0), workspace, month, content FROM invoices"
            " WHERE ? IN ('', month) AND ? IN ('', workspace) ORDER BY number",
            *(month, workspace),
        )
        return [_invoice(*row) for row in rows]

    def standing(self, workspace: str, month: str) -> Invoice:
        """The invoice of a month that was not taken back.

        *Errors*: LedgerError: there is none.
        """
        if found := self._standing(workspace, month):
            return found
        raise LedgerError(f"There is no invoice of {month} for {workspace}.", hint="invoke invoices")

    def _standing(self, workspace: str, month: str) -> Invoice | None:
        mine = self.all(month, workspace)
        back = {one.corrects for one in mine}
        return next((one for one in mine if one.kind == INVOICE and one.number not in back), None)


_COLUMNS = ("number", "kind", "corrects", "workspace", "month")


def _invoice(*row: Any) -> Invoice:
    *columns, content = row
    facts: dict[str, Any] = json.loads(content)
    issuer: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in facts["issuer"].items()
    }
    facts |= {"items": tuple(Item(**one) for one in facts["items"]), "issuer": Issuer(**issuer)}
    return Invoice(**dict(zip(_COLUMNS, columns, strict=True)), **facts)


def drafts(
    chosen: Sequence[Account],
    found: Sequence[Bill],
    month: Month,
    issuer: Issuer,
    today: date,
    *,
    early: bool,
) -> list[Invoice]:
    """An invoice for each of the chosen who is charged something for a month, once that is settled.

    It is when the month is over, or she is gone; `early`: also a fee by the month that is still going on.

    *Errors*: PlanError, where something may still change.
    """
    charged = {one.workspace: one for one in found if one.charged_cents}
    wanted = [one for one in chosen if one.workspace in charged]
    for account in wanted:
        if not _is_settled(account, month, today, early=early):
            raise PlanError(
                f"{month} is not over: what {account.name} is charged for it may still change.",
                hint="--month with the one before; --early asks for fixed fees in advance",
            )
    return [Invoice.of(charged[one.workspace], issuer, today) for one in wanted]


def _is_settled(account: Account, month: Month, today: date, *, early: bool) -> bool:
    if month.next.first <= today or account.ended:
        return True
    return early and month.first <= today and all(one.kind == FIXED for one in account.terms)
