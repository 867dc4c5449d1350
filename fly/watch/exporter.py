"""What a Prometheus of the operator's own may read of the fleet, and `grafana.json` draws.

Names of users are labels, their e-mail addresses are not. All of it is as of the moment of the question.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import quantiles

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from fly.watch.metrics import METRICS, SHARED, TIMED
from fly.watch.samples import Sample
from fly.watch.status import Status

Lately = Mapping[str, Sequence[Sample]]
PREFIX = "myjarvis"
WHO = ("name", "app")
QUANTILES = {"0.5": 49, "0.95": 94, "0.99": 98}

_NOW: Mapping[str, tuple[str, Callable[[Status], float | None]]] = {
    "awake": (METRICS["awake"].meaning, lambda one: float(one.state == "started")),
    "cpu_ratio": (METRICS["cpu_ratio"].meaning, lambda one: one.reading.cpu_ratio),
    "memory_bytes": (METRICS["memory_bytes"].meaning, lambda one: one.reading.memory_bytes),
    "memory_limit_bytes": (METRICS["memory_limit_bytes"].meaning, lambda one: one.reading.memory_limit_bytes),
    "disk_used_bytes": (METRICS["disk_used_bytes"].meaning, lambda one: one.reading.disk_used_bytes),
    "disk_size_bytes": (METRICS["disk_size_bytes"].meaning, lambda one: one.reading.disk_size_bytes),
    "connections": (METRICS["connections"].meaning, lambda one: one.reading.connections),
    "image_is_newest": ("whether it runs the newest tested image", lambda one: _flag(one.runs_newest)),
    "cost_usd": ("what it cost this month so far", lambda one: _number(one.cost)),
    "warnings": ("how many things somebody should look at", lambda one: float(len(one.warnings))),
    "idle_seconds": ("how long ago its page was last used", lambda one: _since(one, "last_used")),
    "backup_age_seconds": ("how old the newest backup is", lambda one: _since(one, "backed_up")),
}
"""Of each workspace: what it means, and where it comes from."""


def _flag(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _since(status: Status, name: str) -> float | None:
    at = getattr(status, name)
    return (status.known.at - at).total_seconds() if at else None


class Fleet(Collector):
    """`look` gives everybody's status and a day's samples; None where the platform does not answer."""

    def __init__(self, look: Callable[[], tuple[Sequence[Status], Lately] | None]) -> None:
        self._look = look

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Asked at every scrape."""
        seen = self._look()
        yield _gauge("platform_up", "whether the platform answered", float(seen is not None))
        if seen is None:
            return
        found, measured = seen
        yield _states(found)
        yield from _of_workspaces(found)
        yield from _of_fleet(measured)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value=value)


def _states(found: Sequence[Status]) -> GaugeMetricFamily:
    states = GaugeMetricFamily(
        f"{PREFIX}_workspaces", "how many workspaces are in each state", labels=("state",)
    )
    names = [one.state or one.workspace.state for one in found]
    for name in sorted({*names, "started", "suspended", "stopped"}):
        states.add_metric((name,), names.count(name))
    return states


def _of_workspaces(found: Sequence[Status]) -> Iterator[GaugeMetricFamily]:
    for name, (meaning, read) in _NOW.items():
        family = GaugeMetricFamily(f"{PREFIX}_workspace_{name}", meaning, labels=WHO)
        for one in found:
            if (value := read(one)) is not None:
                family.add_metric((one.workspace.name, one.workspace.app), value)
        yield family


def _of_fleet(measured: Lately) -> Iterator[GaugeMetricFamily]:
    """Of the last day, all workspaces together."""
    for name in TIMED:
        meaning = f"{METRICS[name].meaning}: the quantiles of a day"
        title = f"{PREFIX}_{name.removesuffix('_ms')}_seconds"
        family = GaugeMetricFamily(title, meaning, labels=("quantile",))
        values = [one.value / 1000 for one in measured[name]]
        cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
        for quantile, place in QUANTILES.items() if cuts else ():
            family.add_metric((quantile,), cuts[place])
        yield family
    for name in SHARED:
        family = GaugeMetricFamily(f"{PREFIX}_{name}_share", f"{METRICS[name].meaning}: the share of a day")
        if values := [one.value for one in measured[name]]:
            family.add_metric((), sum(values) / len(values))
        yield family
