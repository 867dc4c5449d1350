"""What the owner of each workspace has agreed to pay, and has paid: tables of their own in the ledger's file.

Money is in whole cents. Terms hold from a day on until the next ones. Nothing is ever changed or removed: a
payment that was noted by mistake is taken back by one with the opposite sign.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from fly.errors import PlanError
from fly.record import Record, append_only, stamp

FIXED, HOURLY = "fixed", "hourly"
SCHEMA = """
CREATE TABLE IF NOT EXISTS terms (
    workspace TEXT NOT NULL,
    since TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('fixed', 'hourly')),
    fee_cents INTEGER NOT NULL CHECK (fee_cents >= 0),
    noted_at TEXT NOT NULL,
    number INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE IF NOT EXISTS payments (
    number INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    workspace TEXT NOT NULL,
    paid_on TEXT NOT NULL,
    cents INTEGER NOT NULL,
    how TEXT NOT NULL,
    noted_at TEXT NOT NULL
) STRICT;
"""
SCHEMA += append_only("terms") + append_only("payments")


@dataclass(frozen=True)
class Terms:
    """`fixed`: so much for each month; `hourly`: so much for each hour in which the machine runs."""

    workspace: str
    since: date
    kind: str
    fee_cents: int


@dataclass(frozen=True)
class Payment:
    workspace: str
    paid_on: date
    cents: int
    how: str
    reference: str


class Accounts(Record):
    """Terms and payments, in the ledger at a path.

    *Errors*: LedgerError.
    """

    CALLED = "The ledger"
    TABLES = SCHEMA

    def agree(self, terms: Terms) -> None:
        """New terms, from a day on.

        *Errors*: PlanError, where they make no sense.
        """
        if terms.kind not in (FIXED, HOURLY):
            raise PlanError(f"There is no plan {terms.kind!r}.", hint="fixed (a month) or hourly")
        if terms.fee_cents < 0:
            raise PlanError("A fee can not be negative.", hint="--fee 20, in dollars")
        row = (terms.workspace, terms.since.isoformat(), terms.kind, terms.fee_cents, stamp())
        with self._explained():
            self._database.execute(
                "INSERT INTO terms (workspace, since, kind, fee_cents, noted_at) VALUES (?, ?, ?, ?, ?)", row
            )

    def terms(self, workspace: str) -> list[Terms]:
        """In the order in which they hold; of two from the same day the later agreed one."""
        rows = self._rows(
            "SELECT since, kind, fee_cents FROM terms WHERE workspace = ? ORDER BY since, number",
            workspace,
        )
        latest = {
            since: Terms(workspace, date.fromisoformat(since), kind, cents) for since, kind, cents in rows
        }
        return list(latest.values())

    def pay(self, payment: Payment) -> bool:
        """Notes a payment; False where one with this reference is noted already.

        *Errors*: PlanError: nothing was paid, or another payment has this reference.
        """
        if not payment.cents:
            raise PlanError("A payment of nothing is none.", hint="--amount 20.00, in dollars")
        with self._explained():
            done = self._database.execute(
                "INSERT OR IGNORE INTO payments (reference, workspace, paid_on, cents, how, noted_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    payment.reference,
                    payment.workspace,
                    payment.paid_on.isoformat(),
                    payment.cents,
                    payment.how,
                    stamp(),
                ),
            )
        if done.rowcount == 0 and payment not in self.payments(payment.workspace):
            raise PlanError(
                f"Another payment has the reference {payment.reference}.",
                hint="--reference with another text",
            )
        return bool(done.rowcount)

    def payments(self, workspace: str) -> list[Payment]:
        """In the order in which they were noted."""
        rows = self._rows(
            "SELECT paid_on, cents, how, reference FROM payments WHERE workspace = ? ORDER BY number",
            workspace,
        )
        return [Payment(workspace, date.fromisoformat(day), cents, how, ref) for day, cents, how, ref in rows]


def cents_of(text: str) -> int:
    """Dollars as a person writes them, in cents.

    *Errors*: PlanError.
    """
    try:
        amount = Decimal(text) * 100
    except InvalidOperation as error:
        raise PlanError(f"{text!r} is not an amount.", hint="in dollars, such as 20 or 12.50") from error
    if not amount.is_finite() or amount != int(amount):
        raise PlanError(f"{text!r} is not a whole number of cents.", hint="in dollars, such as 20 or 12.50")
    return int(amount)
