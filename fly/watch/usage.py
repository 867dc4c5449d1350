"""What a workspace used over some days, as charts: CPU, memory, disk, hours awake, traffic, cost.

CPU and memory are of the hours in which it ran; hours awake and cost come from the meter, which knows to the
second.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from fly.errors import PlanError
from fly.ledger import Workspace
from fly.money.cost import lines, total
from fly.money.prices import HOUR_S
from fly.money.usage import COMPUTE, Span, within
from fly.watch.bars import bars
from fly.watch.samples import Sample, Samples

MOST_BARS = 60
BARS_H = (1, 3, 6, 12, 24, 48, 168, 336)
MOST_DAYS = 400
MB, GB = 1 << 20, 1 << 30
TEMPLATE = Path(__file__).with_name("usage.html.j2")


@dataclass(frozen=True)
class Chart:
    """Values over time, oldest first; None where nothing is known."""

    title: str
    unit: str
    about: str
    starts: tuple[datetime, ...]
    """When each value's time begins."""
    values: tuple[float | None, ...]

    @property
    def names(self) -> list[str]:
        """`23 Nov`, or `23 Nov 6h` where a day has several."""
        days = self.starts[1] - self.starts[0] if len(self.starts) > 1 else timedelta(days=1)
        shape = "%-d %b" if days >= timedelta(days=1) else "%-d %b %-Hh"
        return [start.strftime(shape) for start in self.starts]

    def to_json(self) -> dict[str, Any]:
        """What programs read."""
        points = zip(self.starts, self.values, strict=True)
        found = [{"from": start.isoformat(), "value": value} for start, value in points]
        return {"title": self.title, "unit": self.unit, "values": found}


@dataclass(frozen=True)
class Usage:
    """*Units*: `cost_usd` in exact dollars, `sent_bytes` of what left for the internet."""

    workspace: Workspace
    start: datetime
    end: datetime
    awake_h: float
    cost_usd: Decimal
    sent_bytes: float
    charts: tuple[Chart, ...]

    @property
    def is_empty(self) -> bool:
        return not any(value for chart in self.charts for value in chart.values)

    def to_json(self) -> dict[str, Any]:
        """What programs read."""
        return {
            "name": self.workspace.name,
            "app": self.workspace.app,
            "from": self.start.isoformat(),
            "until": self.end.isoformat(),
            "awake_h": round(self.awake_h, 4),
            "cost_usd": f"{self.cost_usd:.4f}",
            "sent_bytes": self.sent_bytes,
            "charts": [one.to_json() for one in self.charts],
        }


def usage(samples: Samples, workspace: Workspace, spans: Sequence[Span], days: int, now: datetime) -> Usage:
    """The last days up to now; `spans` are everybody's, since some of what is free is shared by all.

    *Errors*: PlanError, for days that make no sense.
    """
    if not 0 < days <= MOST_DAYS:
        raise PlanError(f"{days} days can not be shown.", hint=f"--days 1 to {MOST_DAYS}")
    edges = _edges(days, now)
    by_day = _steps(days + 1, timedelta(days=1), _midnight(now) + timedelta(days=1))
    start, end = edges[0], now
    mine = [span for span in spans if span.workspace == workspace.id]

    def known(metric: str, scale: float, *, is_mean: bool = True) -> tuple[float | None, ...]:
        found = samples.series(workspace.id, metric, start, now)
        return tuple(_means(found, edges, scale) if is_mean else _lasts(found, edges, scale))

    def spent(first: datetime, last: datetime) -> float:
        found = [one for one in lines(spans, first, min(last, now)) if one.workspace == workspace.id]
        return 100 * float(total(found))

    def awake(first: datetime, last: datetime) -> float:
        return _awake_h(mine, first, min(last, now))

    sent = samples.series(workspace.id, "egress_bytes", start, now)
    starts, days_of = tuple(edges[:-1]), tuple(by_day[:-1])
    charts = (
        Chart("CPU", "%", "of one CPU, while it was awake", starts, known("cpu_ratio", 0.01)),
        Chart("Memory", "MB", "in use, while it was awake", starts, known("memory_bytes", MB)),
        Chart("Disk", "GB", "in use", starts, known("disk_used_bytes", GB, is_mean=False)),
        Chart("Sent", "MB", "to the internet and to her page", starts, _sums(sent, edges, MB)),
        Chart("Awake", "h", "each day, in UTC", days_of, _each(by_day, awake)),
        Chart("Cost", "cents", "each day, at the prices of that day", days_of, _each(by_day, spent)),
    )
    return Usage(
        workspace=workspace,
        start=start,
        end=end,
        awake_h=_awake_h(mine, start, end),
        cost_usd=total(one for one in lines(spans, start, end) if one.workspace == workspace.id),
        sent_bytes=sum(one.value for one in sent),
        charts=charts,
    )


def _edges(days: int, now: datetime) -> list[datetime]:
    """The edges of the bars: whole hours, as few as can be told apart on a line."""
    width_h = next((one for one in BARS_H if days * 24 / one <= MOST_BARS), BARS_H[-1])
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return _steps(max(1, days * 24 // width_h), timedelta(hours=width_h), last)


def _steps(count: int, step: timedelta, last: datetime) -> list[datetime]:
    return [last - number * step for number in range(count, -1, -1)]


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _sorted(found: Iterable[Sample], edges: Sequence[datetime]) -> list[list[float]]:
    """The values that fall between two edges each."""
    width = edges[1] - edges[0]
    bins: list[list[float]] = [[] for _ in edges[1:]]
    for one in found:
        bins[min(int((one.at - edges[0]) / width), len(bins) - 1)].append(one.value)
    return bins


def _means(found: Iterable[Sample], edges: Sequence[datetime], scale: float) -> list[float | None]:
    return [fmean(values) / scale if values else None for values in _sorted(found, edges)]


def _lasts(found: Iterable[Sample], edges: Sequence[datetime], scale: float) -> list[float | None]:
    return [values[-1] / scale if values else None for values in _sorted(found, edges)]


def _sums(found: Iterable[Sample], edges: Sequence[datetime], scale: float) -> tuple[float | None, ...]:
    return tuple(sum(values) / scale if values else None for values in _sorted(found, edges))


def _each(
    edges: Sequence[datetime], measure: Callable[[datetime, datetime], float]
) -> tuple[float | None, ...]:
    return tuple(measure(first, last) for first, last in pairwise(edges))


def _awake_h(spans: Sequence[Span], start: datetime, end: datetime) -> float:
    running = [span for span in within(spans, start, end) if span.component == COMPUTE]
    return float(sum((span.seconds for span in running), Decimal(0)) / HOUR_S)


# --- how it looks ---------------------------------------------------------------------------------


def drawn(chart: Chart, width: int) -> str:
    """A chart of characters."""
    return f"{chart.title}, {chart.unit} {chart.about}\n{bars(chart.values, chart.names, width)}"


def page(found: Usage) -> str:
    """One page that needs nothing else."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 — as above

    from image.release.plot import Series, plot  # noqa: PLC0415

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    plots = [
        {
            "title": one.title,
            "about": f"{one.unit} {one.about}",
            "svg": plot(one.names, [Series(one.title, _rounded(one.values), "one")], one.unit, "values"),
        }
        for one in found.charts
    ]
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(usage=found, plots=plots)


def _rounded(values: Iterable[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 2) for value in values]
