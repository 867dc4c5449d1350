"""How much of a month each user may use: a table of its own in the ledger's file.

A cap is so many hours awake, or so many dollars of cost, in a calendar month in UTC. The latest word counts;
a cap that is lifted for a month holds again from the next one on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from fly.errors import PlanError
from fly.money.bill import Account, Month
from fly.money.forecast import costs_so_far
from fly.money.prices import HOUR_S
from fly.money.usage import COMPUTE, within
from fly.record import Record, append_only, stamp

HOURS, USD = "hours", "usd"
NONE = "none"
WARNED_AT = 0.8
LARGEST = Decimal(100_000)


@dataclass(frozen=True)
class Cap:
    """So many `hours` or `usd` a month."""

    kind: str
    amount: Decimal

    def __str__(self) -> str:
        amount = f"{self.amount.normalize():f}"
        return f"{amount} h a month" if self.kind == HOURS else f"${amount} a month"

    @classmethod
    def parse(cls, hours: str = "", usd: str = "") -> "Cap":
        """*Errors*: PlanError."""
        if bool(hours) == bool(usd):
            raise PlanError("A cap is either hours or dollars.", hint="--hours 40, or --usd 5")
        try:
            amount = Decimal(hours or usd)
        except InvalidOperation:
            raise PlanError(f"{hours or usd!r} is no amount.", hint="--hours 40, or --usd 5") from None
        if not amount.is_finite() or not 0 < amount <= LARGEST:
            raise PlanError(f"{hours or usd} is no amount to cap at.", hint="--none takes a cap away")
        return cls(HOURS if hours else USD, amount)

    def share(self, hours: Decimal, usd: Decimal) -> float:
        """How much of it is used up: 1.0 is all."""
        return float((hours if self.kind == HOURS else usd) / self.amount)


@dataclass(frozen=True)
class Use:
    """What a workspace has used of a month so far."""

    workspace: str
    month: Month
    hours: Decimal
    usd: Decimal


class Caps(Record):
    """The caps, in the ledger at `path`."""

    CALLED = "The ledger"
    TABLES = f"""
    CREATE TABLE IF NOT EXISTS caps (
        number INTEGER PRIMARY KEY,
        workspace TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('hours', 'usd', 'none')),
        amount TEXT NOT NULL,
        noted_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS caps_lifted (
        workspace TEXT NOT NULL,
        month TEXT NOT NULL,
        noted_at TEXT NOT NULL,
        PRIMARY KEY (workspace, month)
    ) STRICT;
    {append_only("caps")}
    """

    def set(self, workspace: str, cap: Cap | None) -> None:
        """From now on; None takes it away."""
        kind, amount = (cap.kind, str(cap.amount)) if cap else (NONE, "0")
        self._execute(
            "INSERT INTO caps (workspace, kind, amount, noted_at) VALUES (?, ?, ?, ?)",
            *(workspace, kind, amount, stamp()),
        )

    def of(self, workspace: str) -> Cap | None:
        rows = self._rows(
            "SELECT kind, amount FROM caps WHERE workspace = ? ORDER BY number DESC LIMIT 1", workspace
        )
        return Cap(rows[0][0], Decimal(rows[0][1])) if rows and rows[0][0] != NONE else None

    def lift(self, workspace: str, month: Month) -> None:
        """For the rest of this month she may use what she likes."""
        self._execute("INSERT OR IGNORE INTO caps_lifted VALUES (?, ?, ?)", workspace, str(month), stamp())

    def is_lifted(self, workspace: str, month: Month) -> bool:
        return bool(
            self._rows("SELECT 1 FROM caps_lifted WHERE workspace = ? AND month = ?", workspace, str(month))
        )


def uses(accounts: Sequence[Account], now: datetime) -> dict[str, Use]:
    """What everybody has used of this month up to now, by workspace."""
    month, costs = Month.of(now), costs_so_far(accounts, now)
    return {
        one.workspace: Use(
            one.workspace, month, hours_awake(one, month.start, now), costs.get(one.workspace, Decimal(0))
        )
        for one in accounts
    }


def hours_awake(account: Account, start: datetime, end: datetime) -> Decimal:
    running = [span for span in within(account.spans, start, end) if span.component == COMPUTE]
    return sum((span.seconds for span in running), Decimal(0)) / HOUR_S
