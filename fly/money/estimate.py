"""What a number of users will cost a month, at today's prices: the plan's table, counted anew. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fly.money.cost import by_component, lines
from fly.money.prices import HOUR_S, MONTH_S, price_list_at
from fly.money.usage import COMPUTE, EGRESS, ROOTFS, SNAPSHOTS, VOLUME, Span

ASSUMED_HOUR = Decimal("0.03")
"""Dollars for an hour of one machine, as the first plan assumed; it counted nothing else."""


@dataclass(frozen=True)
class Habit:
    """How one user's workspace is used, and what it is made of."""

    hours_a_day: Decimal = Decimal(4)
    autostop: bool = True
    cpu_kind: str = "shared"
    cpus: int = 1
    memory_gb: Decimal = Decimal(1)
    volume_gb: Decimal = Decimal(10)
    image_gb: Decimal = Decimal("0.75")
    snapshots_gb: Decimal = Decimal("0.5")
    egress_gb: Decimal = Decimal(1)
    region: str = "iad"


@dataclass(frozen=True)
class Estimate:
    """*Units*: dollars, for a month of 30 days."""

    users: int
    habit: Habit
    components: dict[str, Decimal]
    assumed: Decimal
    """What the first plan would have said."""

    @property
    def total(self) -> Decimal:
        return sum(self.components.values(), Decimal(0))

    @property
    def each(self) -> Decimal:
        return self.total / self.users

    def to_json(self) -> dict[str, Any]:
        return {
            "users": self.users,
            "hours_a_day": float(self.habit.hours_a_day),
            "autostop": self.habit.autostop,
            "region": self.habit.region,
            "components_usd": {name: f"{amount:.2f}" for name, amount in self.components.items()},
            "total_usd": f"{self.total:.2f}",
            "each_usd": f"{self.each:.2f}",
            "first_plan_usd": f"{self.assumed:.2f}",
        }


def estimate(users: int, habit: Habit, at: datetime) -> Estimate:
    """A month that begins at `at`, an hour's beginning, for so many users with the same habit.

    *Errors*: PlanError, for a region without a price.
    """
    _ = price_list_at(at).markup_of(habit.region)  # a bill makes do with another region's, a plan need not
    end = at + timedelta(seconds=MONTH_S)
    spans = [span for number in range(users) for span in _spans(f"user {number}", habit, at, end)]
    assumed = users * ASSUMED_HOUR * _running_s(habit) / HOUR_S
    return Estimate(users, habit, by_component(lines(spans, at, end)), assumed)


def _running_s(habit: Habit) -> Decimal:
    hours_a_day = habit.hours_a_day if habit.autostop else Decimal(24)
    return MONTH_S * hours_a_day / 24


def _spans(user: str, habit: Habit, start: datetime, end: datetime) -> list[Span]:
    """One after the other what would be spread over the month: the sum is the same."""
    sleeps_from = start + timedelta(seconds=float(_running_s(habit)))
    return [
        Span(COMPUTE, user, start, sleeps_from, habit.memory_gb, habit.region, habit.cpu_kind, habit.cpus),
        Span(ROOTFS, user, sleeps_from, end, habit.image_gb),
        Span(VOLUME, user, start, end, habit.volume_gb),
        Span(SNAPSHOTS, user, start, end, habit.snapshots_gb),
        Span(EGRESS, user, start, end, habit.egress_gb, habit.region),
    ]
