"""A month of each workspace: what it cost, what is charged for it, what was paid and what is owed. Pure.

A month is the calendar's, in UTC. A fee is charged for the months in which the workspace stands: for the
first and the last one by the share of their days, in which each day counts whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

from fly.errors import PlanError
from fly.money.accounts import FIXED, Payment, Terms
from fly.money.cost import Line, by_component, by_workspace, lines
from fly.money.prices import HOUR_S
from fly.money.usage import COMPUTE, Span, within


@dataclass(frozen=True)
class Month:
    """A calendar month in UTC, `2026-11`."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """*Errors*: PlanError, if it is not a month."""
        try:
            day = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        except ValueError as error:
            raise PlanError(f"{text!r} is not a month.", hint="--month 2026-11") from error
        return cls(day.year, day.month)

    @classmethod
    def of(cls, at: datetime) -> "Month":
        return cls(at.astimezone(UTC).year, at.astimezone(UTC).month)

    @property
    def first(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def before(self) -> "Month":
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    @property
    def days(self) -> int:
        return (self.next.first - self.first).days

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return self.next.start

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"


@dataclass(frozen=True)
class Charge:
    """One line of what is charged: `quantity` × `rate_cents`, rounded to a cent."""

    what: str
    quantity: Decimal
    unit: str
    rate_cents: int
    cents: int


@dataclass(frozen=True)
class Bill:
    """*Units*: `costs` in exact dollars by component, the rest in cents."""

    workspace: str
    name: str
    email: str
    month: Month
    costs: dict[str, Decimal]
    charges: tuple[Charge, ...]
    paid_cents: int
    """In this month."""
    owed_cents: int
    """At its end, earlier months included; negative where more was paid than charged."""

    @property
    def cost(self) -> Decimal:
        return sum(self.costs.values(), Decimal(0))

    @property
    def charged_cents(self) -> int:
        return sum(charge.cents for charge in self.charges)

    @property
    def margin(self) -> Decimal:
        """Dollars that stay."""
        return Decimal(self.charged_cents) / 100 - self.cost

    def to_json(self) -> dict[str, Any]:
        """What programs read: dollars as text, so that no program rounds them."""
        return {
            "name": self.name,
            "email": self.email,
            "month": str(self.month),
            "costs_usd": {name: f"{amount:.4f}" for name, amount in self.costs.items()},
            "cost_usd": f"{self.cost:.4f}",
            "charges": [
                {
                    "what": one.what,
                    "quantity": f"{one.quantity:f}",
                    "unit": one.unit,
                    "usd": dollars(one.cents),
                }
                for one in self.charges
            ],
            "charged_usd": dollars(self.charged_cents),
            "margin_usd": f"{self.margin:.4f}",
            "paid_usd": dollars(self.paid_cents),
            "owed_usd": dollars(self.owed_cents),
        }


@dataclass(frozen=True)
class Account:
    """All that a bill is made of."""

    workspace: str
    name: str
    email: str
    born: datetime
    ended: datetime | None
    """When it was unmade; None while it stands."""
    spans: Sequence[Span]
    terms: Sequence[Terms]
    payments: Sequence[Payment]
    app: str = ""
    """What Fly's invoice knows it by."""


def bills(accounts: Sequence[Account], month: Month) -> list[Bill]:
    """Everybody's bill of a month. They are made together, since some of what is free is shared by all."""
    spans = [span for account in accounts for span in account.spans]
    found = by_workspace(lines(spans, month.start, month.end))
    return [_bill(account, month, found.get(account.workspace, [])) for account in accounts]


def _bill(account: Account, month: Month, mine: Sequence[Line]) -> Bill:
    charged = sum(
        charge.cents for each in months(Month.of(account.born), month) for charge in charges(account, each)
    )
    paid = [one for one in account.payments if one.paid_on < month.next.first]
    return Bill(
        workspace=account.workspace,
        name=account.name,
        email=account.email,
        month=month,
        costs=by_component(mine),
        charges=tuple(charges(account, month)),
        paid_cents=sum(one.cents for one in paid if one.paid_on >= month.first),
        owed_cents=charged - sum(one.cents for one in paid),
    )


def charges(account: Account, month: Month) -> list[Charge]:
    """What is charged for a month, a line for each of the terms that held in it."""
    return [
        _fixed(terms, first, last, month) if terms.kind == FIXED else _hourly(account, terms, first, last)
        for terms, first, last in _held(account, month)
    ]


def _held(account: Account, month: Month) -> list[tuple[Terms, date, date]]:
    """The terms with the days on which they held; the last day is not in it."""
    first_day = max(month.first, account.born.astimezone(UTC).date())
    last_day = month.next.first
    if account.ended:
        last_day = min(last_day, account.ended.astimezone(UTC).date() + timedelta(days=1))
    edges = [*(one.since for one in account.terms), date.max]
    held = [
        (terms, max(first, first_day), min(last, last_day))
        for terms, (first, last) in zip(account.terms, pairwise(edges), strict=True)
    ]
    return [(terms, first, last) for terms, first, last in held if first < last]


def _fixed(terms: Terms, first: date, last: date, month: Month) -> Charge:
    days = (last - first).days
    cents = (Decimal(terms.fee_cents) * days / month.days).to_integral_value(ROUND_HALF_UP)
    what = f"{month}" if days == month.days else f"{month}, {days} of {month.days} days"
    return Charge(f"Workspace, {what}", Decimal(days) / month.days, "month", terms.fee_cents, int(cents))


def _hourly(account: Account, terms: Terms, first: date, last: date) -> Charge:
    start, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, last))
    running = [span for span in within(account.spans, start, end) if span.component == COMPUTE]
    hours = sum((span.seconds for span in running), Decimal(0)) / HOUR_S
    cents = (terms.fee_cents * hours).to_integral_value(ROUND_HALF_UP)
    return Charge(
        f"Hours of use, {first} to {last - timedelta(days=1)}", hours, "h", terms.fee_cents, int(cents)
    )


def months(first: Month, last: Month) -> list[Month]:
    """From the one to the other, both in it."""
    found = []
    while (first.year, first.number) <= (last.year, last.number):
        found.append(first)
        first = first.next
    return found


def dollars(cents: int) -> str:
    """`-12.05`"""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
