"""Everybody in one table: the ledger with terms, payments and notes; and a founder's own table taken in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from fly.errors import PlanError
from fly.ledger import Workspace
from fly.money.accounts import Accounts, Payment, Terms, cents_of
from fly.money.bill import dollars
from fly.people.notes import Note, Notes
from fly.people.onboard import COLUMNS as OF_ORDERS
from fly.people.onboard import Order
from fly.people.sheet import read_csv, write_csv, write_xlsx

COLUMNS = (
    "Name", "E-mail", "URL", "App", "Machine", "Volume", "Region", "Image", "Status", "Created", "Changed",
    "Plan", "Fee", "Paid", "Last payment", "Notes",
)  # fmt: skip
OF_FOUNDERS = OF_ORDERS | {
    "since": ("start", "started", "from", "created"),
    "paid": ("payment", "payments"),
    "paid_on": ("paid on", "payment date", "last payment"),
    "notes": ("note", "comment", "comments", "remarks"),
}


def roll(rows: Sequence[Workspace], accounts: Accounts, notes: Notes) -> list[list[str]]:
    """A line for each workspace, as COLUMNS has it. *Units*: dollars."""
    return [_line(row, accounts, notes) for row in rows]


def _line(row: Workspace, accounts: Accounts, notes: Notes) -> list[str]:
    terms, payments = accounts.terms(row.id), accounts.payments(row.id)
    return [
        *(row.name, row.email, row.url, row.app, row.machine_id, row.volume_id, row.region, row.image),
        *(row.state, row.created_at, row.updated_at),
        terms[-1].kind if terms else "",
        dollars(terms[-1].fee_cents) if terms else "",
        dollars(sum(payment.cents for payment in payments)),
        max((payment.paid_on.isoformat() for payment in payments), default=""),
        _told(notes.of(row.id)),
    ]


def _told(notes: Sequence[Note]) -> str:
    return " / ".join(f"{note.at[:10]} {note.text}" for note in notes)


def write(path: Path, lines: Sequence[Sequence[str]]) -> None:
    """As CSV or, where its name says so, as XLSX.

    *Errors*: PlanError.
    """
    (write_xlsx if path.suffix.lower() == ".xlsx" else write_csv)(path, COLUMNS, lines)


# --- a founder's own table ------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A row of a founder's table, checked: what is to be noted of whom. `row` is None without a workspace."""

    order: Order
    row: Workspace | None
    since: date | None
    payment: Payment | None
    note: str


def read_entries(path: Path, rows: Sequence[Workspace]) -> list[Entry]:
    """The rows of a founder's table, each beside the workspace that has its e-mail.

    *Errors*: PlanError, naming every row that makes no sense.
    """
    entries, wrong = [], []
    for number, line in enumerate(read_csv(path, OF_FOUNDERS, ("name", "email")), 2):
        try:
            entries.append(_entry(line, rows))
        except PlanError as error:
            wrong.append(f"  row {number} ({line['name'] or line['email']}): {error}")
    if wrong:
        raise PlanError("\n".join([f"{path}: nothing was noted, since", *wrong]), hint="mend these rows")
    return entries


def _entry(line: dict[str, str], rows: Sequence[Workspace]) -> Entry:
    order = Order.parse(*(line[name] for name in ("name", "email", "plan", "fee", "login")))
    mine = [row for row in rows if row.email.casefold() == order.person.email.casefold()]
    if len(mine) > 1:
        raise PlanError(f"{order.person.email} has {len(mine)} workspaces.")
    row = mine[0] if mine else None
    since, paid_on = (_day(line[name]) for name in ("since", "paid_on"))
    cents = cents_of(line["paid"].removeprefix("$")) if line["paid"] else 0
    if cents and not paid_on:
        raise PlanError("it says what was paid, and not when (paid_on).")
    payment = None
    if row and cents and paid_on:
        payment = Payment(row.id, paid_on, cents, "imported", f"imported {row.id} {paid_on} {cents}")
    return Entry(order, row, since, payment, line["notes"])


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        raise PlanError(f"{text!r} is not a day such as 2026-11-23.") from None


def take_in(entry: Entry, accounts: Accounts, notes: Notes, *, dry_run: bool = False) -> list[str]:
    """Notes what is not noted yet, and says what that was: what is noted stays, so that twice is as once."""
    row, order = entry.row, entry.order
    if row is None:
        return []
    done = []
    if order.fee_cents is not None and not accounts.terms(row.id):
        since = entry.since or datetime.fromisoformat(row.created_at).date()
        done.append(f"terms: {order.kind}, ${dollars(order.fee_cents)} from {since}")
        if not dry_run:
            accounts.agree(Terms(row.id, since, order.kind, order.fee_cents))
    if entry.payment and not _is_known(entry.payment, accounts.payments(row.id)):
        done.append(f"payment: ${dollars(entry.payment.cents)} on {entry.payment.paid_on}")
        if not dry_run:
            accounts.pay(entry.payment)
    known = notes.of(row.id)
    if entry.note and entry.note not in (_told(known), *(note.text for note in known)):
        done.append("note")
        if not dry_run:
            notes.add(row.id, entry.note)
    return done


def _is_known(payment: Payment, noted: Sequence[Payment]) -> bool:
    """Whether it was noted, by whatever reference; or the sum of all, as our own table has it."""
    said = (payment.paid_on, payment.cents)
    if not noted:
        return False
    whole = (max(one.paid_on for one in noted), sum(one.cents for one in noted))
    return said in (whole, *((one.paid_on, one.cents) for one in noted))
