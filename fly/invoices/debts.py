"""Who owes what since when, and whom to remind next. Pure.

What was paid settles the oldest month first. A month is due DUE_DAYS after its end or, where an invoice was
issued for it, on that invoice's day. A debt is named after its oldest month: each of its three reminders is
sent once, the next one not before a week has passed since the one before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from fly.money.bill import Account, Month, charges, months

FIRST, SECOND, LAST = 1, 2, 3
OVERDUE_DAYS = {FIRST: 1, SECOND: 14, LAST: 28}
"""How late the oldest month is when each of them goes out."""
PAUSE = timedelta(days=7)
WORDS = {FIRST: "first", SECOND: "second", LAST: "last"}


@dataclass(frozen=True)
class Debt:
    """What is overdue. *Units*: cents."""

    workspace: str
    name: str
    cents: int
    month: str
    due_on: date


@dataclass(frozen=True)
class Reminder:
    debt: Debt
    level: int

    @property
    def version(self) -> str:
        """What tells it from every other mail to her."""
        return f"{self.debt.month}-{WORDS[self.level]}"


def debt(account: Account, due: Mapping[str, date], due_days: int, today: date) -> Debt | None:
    """What is overdue today. `due` holds when invoices are, by their month."""
    left = sum(one.cents for one in account.payments if one.paid_on <= today)
    overdue: list[tuple[str, date, int]] = []
    for month in months(Month.of(account.born), _latest(today)):
        charged = sum(one.cents for one in charges(account, month))
        due_on = due.get(str(month), month.next.first + timedelta(days=due_days))
        settled = min(charged, max(left, 0))
        left -= charged
        if settled < charged and due_on < today:
            overdue.append((str(month), due_on, charged - settled))
    if not overdue:
        return None
    oldest, since, _ = overdue[0]
    return Debt(account.workspace, account.name, sum(cents for _, _, cents in overdue), oldest, since)


def _latest(today: date) -> Month:
    return Month(today.year, today.month)


def next_reminder(found: Debt, reminded: Mapping[int, date], today: date) -> Reminder | None:
    """The one that is to go out today, if any. `reminded` says when those before it were begun."""
    level = max(reminded, default=0) + 1
    if level > LAST or (today - found.due_on).days < OVERDUE_DAYS[level]:
        return None
    if reminded and today - max(reminded.values()) < PAUSE:
        return None
    return Reminder(found, level)


def level_of(version: str, month: str) -> int:
    """Which reminder of a month's debt a mail is; 0 where it is another's."""
    return next((level for level, word in WORDS.items() if version == f"{month}-{word}"), 0)


def debts(
    accounts: Sequence[Account], due: Mapping[str, Mapping[str, date]], due_days: int, today: date
) -> list[Debt]:
    """Everybody's; `due` by workspace and month."""
    found = [debt(one, due.get(one.workspace, {}), due_days, today) for one in accounts]
    return [one for one in found if one]
