"""What the dashboard tells: the fleet as it is, and a month of what was measured. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

from fly.alarm.alerts import Alert
from fly.alarm.caps import Cap, Use
from fly.alarm.facts import ASLEEP, AWAKE
from fly.alarm.uptime import Uptime
from fly.ledger import DESTROYED, FAILED, LEFT_BEHIND, PROVISIONING, READY, Entry, Workspace
from fly.model import Machine
from fly.money.bill import Account, Bill
from fly.money.cost import Line, lines
from fly.money.prices import HOUR_S
from fly.money.usage import COMPUTE, Span, cut, within
from fly.watch.samples import Sample

DAYS = 30
MADE = "ready"
"""What the ledger's history notes when a workspace is done."""


@dataclass(frozen=True)
class Making:
    """One workspace that was made, or not: when it was begun, and how long it took; None where it failed."""

    name: str
    at: datetime
    seconds: float | None


@dataclass(frozen=True)
class User:
    """One line of the fleet."""

    row: Workspace
    machine: Machine | None
    uptime: Uptime
    days: tuple[Uptime, ...]
    hours: Decimal
    cost: Decimal
    charged_cents: int
    owed_cents: int
    last_awake: datetime | None
    latest: Mapping[str, Sample]
    alerts: tuple[Alert, ...]
    cap: Cap | None
    cap_share: float | None
    backup_at: datetime | None

    @property
    def state(self) -> str:
        if self.machine:
            return self.machine.state
        return "unknown" if self.row.state == READY else self.row.state

    @property
    def mood(self) -> str:
        """`awake`, `asleep`, or `odd`: what is neither."""
        return "awake" if self.state in AWAKE else "asleep" if self.state in ASLEEP else "odd"

    def value(self, metric: str) -> float | None:
        """What was measured last."""
        found = self.latest.get(metric)
        return found.value if found else None

    @property
    def disk_share(self) -> float | None:
        used, size = self.value("disk_used_bytes"), self.value("disk_size_bytes")
        return used / size if used is not None and size else None


@dataclass(frozen=True)
class Overview:
    """Everything. The lists by day have `DAYS` places, the last one is today."""

    at: datetime
    platform: str
    trouble: str
    users: tuple[User, ...]
    alerts: tuple[Alert, ...]
    makings: tuple[Making, ...]
    wakes: tuple[Sample, ...]
    probe_ms: tuple[float | None, ...]
    hours_by_day: tuple[float, ...]
    compute_by_day: tuple[float, ...]
    storage_by_day: tuple[float, ...]
    checked_at: datetime | None
    """When somebody last looked from outside."""

    @property
    def days(self) -> list[datetime]:
        return days_until(self.at)

    @property
    def uptime(self) -> Uptime:
        return add(user.uptime for user in self.users)

    @property
    def uptime_by_day(self) -> list[Uptime]:
        return [add(user.days[index] for user in self.users) for index in range(DAYS)]

    @property
    def cost(self) -> Decimal:
        return sum((user.cost for user in self.users), Decimal(0))

    @property
    def charged_cents(self) -> int:
        return sum(user.charged_cents for user in self.users)

    @property
    def connected(self) -> tuple[int, int]:
        """How many are logged in at Anthropic, of how many who could tell."""
        told = [user.value("claude_ready") for user in self.users]
        return sum(one == 1 for one in told), sum(one is not None for one in told)

    @property
    def provisioned(self) -> tuple[int, int]:
        """How many were made, of how many that were begun."""
        return sum(one.seconds is not None for one in self.makings), len(self.makings)


# --- days -----------------------------------------------------------------------------------------


def days_until(now: datetime) -> list[datetime]:
    """When each of the last days begins, in UTC, today last."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]


def day_of(at: datetime, days: Sequence[datetime]) -> int | None:
    """Which of the days a moment lies in; None before the first and after the last."""
    number = int((at - days[0]) // timedelta(days=1))
    return number if 0 <= number < len(days) else None


def add(found: Iterable[Uptime]) -> Uptime:
    """Of several together."""
    every = list(found)
    return Uptime(
        sum(one.up_s for one in every), sum(one.down_s for one in every), sum(one.unknown_s for one in every)
    )


def by_day(samples: Sequence[Sample], days: Sequence[datetime]) -> list[float | None]:
    """The median of each day; None where nothing was measured."""
    found: list[list[float]] = [[] for _ in days]
    for one in samples:
        if (number := day_of(one.at, days)) is not None:
            found[number].append(one.value)
    return [median(values) if values else None for values in found]


# --- money and hours ------------------------------------------------------------------------------


def costs_by_day(accounts: Sequence[Account], now: datetime) -> tuple[list[float], list[float]]:
    """What running machines and what storage cost on each day, in dollars."""
    days = days_until(now)
    pieces = [piece for account in accounts for span in account.spans for piece in _daily(span, days)]
    found = lines(pieces, days[0], now)
    running = [line for line in found if line.component == COMPUTE]
    kept = [line for line in found if line.component != COMPUTE]
    return _sums(running, days), _sums(kept, days)


def hours_by_day(accounts: Sequence[Account], now: datetime) -> list[float]:
    """How long machines ran on each day, all together."""
    days = days_until(now)
    sums = [Decimal(0)] * len(days)
    for account in accounts:
        running = [span for span in account.spans if span.component == COMPUTE]
        for span in within(running, days[0], now):
            for piece in cut(span, days):
                if (number := day_of(piece.start, days)) is not None:
                    sums[number] += piece.seconds / HOUR_S
    return [float(one) for one in sums]


def _daily(span: Span, days: Sequence[datetime]) -> list[Span]:
    inside = [day for day in days if span.start < day < span.end]
    return list(cut(span, inside)) if span.end > days[0] else []


def _sums(found: Sequence[Line], days: Sequence[datetime]) -> list[float]:
    sums = [Decimal(0)] * len(days)
    for line in found:
        if (number := day_of(line.start, days)) is not None:
            sums[number] += line.amount
    return [float(one) for one in sums]


def last_awake(account: Account) -> datetime | None:
    return max((span.end for span in account.spans if span.component == COMPUTE), default=None)


# --- making ---------------------------------------------------------------------------------------


def makings(
    rows: Sequence[Workspace], history: Mapping[str, Sequence[Entry]], since: datetime
) -> list[Making]:
    """What became of each workspace that was begun since then; those that are being made are left out."""
    found = []
    for row in rows:
        begun = datetime.fromisoformat(row.created_at)
        entries = history.get(row.id, ())
        if begun < since or not any(one.what == "begun" for one in entries):
            continue
        if done := next((one for one in entries if one.what == MADE), None):
            took_s = (datetime.fromisoformat(done.at) - begun).total_seconds()
            found.append(Making(row.name, begun, took_s))
        elif row.state in (FAILED, LEFT_BEHIND, DESTROYED) or (
            row.state == PROVISIONING and not row.is_worked_on
        ):
            found.append(Making(row.name, begun, None))
    return found


def user_of(  # noqa: PLR0917 - one for each thing that is told of her
    row: Workspace,
    machine: Machine | None,
    ups: Sequence[Uptime],
    month: Uptime,
    account: Account,
    bill: Bill,
    use: Use,
    latest: Mapping[str, Sample],
    alerts: Sequence[Alert],
    cap: Cap | None,
    backup_at: datetime | None,
) -> User:
    return User(
        row=row,
        machine=machine,
        uptime=month,
        days=tuple(ups),
        hours=use.hours,
        cost=bill.cost,
        charged_cents=bill.charged_cents,
        owed_cents=bill.owed_cents,
        last_awake=last_awake(account),
        latest=latest,
        alerts=tuple(one for one in alerts if one.key.startswith(f"{row.id}/")),
        cap=cap,
        cap_share=cap.share(use.hours, use.usd) if cap else None,
        backup_at=backup_at,
    )
