"""What the platform has measured of workspaces: now, and since the last time that somebody wrote it down.

Fly and the embedded platform answer the same queries. Neither asks a machine: reading wakes nothing and keeps
nothing awake.

*Source*: Fly's documents, "Metrics on Fly.io", "Built-in metrics"
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fly.client import Client
from fly.ledger import READY, Entry, Ledger, Workspace
from fly.model import Series
from fly.watch.samples import Sample, Samples

STEP = timedelta(minutes=5)
AT_MOST = timedelta(days=14)
"""Fly forgets after about fifteen days, the embedded platform after six hours."""
AT_ONCE = timedelta(days=1)

UP, TOTAL, AVAILABLE = (
    "fly_instance_up",
    "fly_instance_memory_mem_total",
    "fly_instance_memory_mem_available",
)
SIZE, USED, OPEN = "fly_volume_size_bytes", "fly_volume_used_pct", "fly_app_concurrency"
GAUGES = f'{{__name__=~"{"|".join((UP, TOTAL, SIZE, USED, OPEN))}"}}'
AVAILABLE_MEAN = f"avg_over_time({AVAILABLE}[5m])"
CPU = 'rate(fly_instance_cpu{mode=~"user|nice|system|irq|softirq"}[5m])'
CPU_NOW = CPU.replace("5m", "1m")
SENT = 'increase(fly_instance_net_sent_bytes{device="eth0"}[5m])'


@dataclass(frozen=True)
class Reading:
    """One workspace at one moment; None where nothing is known, as of a machine that sleeps.

    *Units*: as of the metrics with these names
    """

    cpu_ratio: float | None = None
    memory_bytes: float | None = None
    memory_limit_bytes: float | None = None
    disk_used_bytes: float | None = None
    disk_size_bytes: float | None = None
    connections: float | None = None
    awake: float | None = None
    egress_bytes: float | None = None

    @property
    def disk_share(self) -> float | None:
        return _share(self.disk_used_bytes, self.disk_size_bytes)

    @property
    def memory_share(self) -> float | None:
        return _share(self.memory_bytes, self.memory_limit_bytes)


NOTHING = Reading()


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


class _Found:
    """Raw values by moment and name, of one workspace: other machines of its app are not its own."""

    def __init__(self, workspace: Workspace) -> None:
        self._own = {"instance": workspace.machine_id, "id": workspace.volume_id}
        self.moments: dict[float, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, name: str, series: Series) -> None:
        if all(series.labels.get(label, own) == own for label, own in self._own.items()):
            for at, value in series.points:
                self.moments[at][name] += value


def _reading(found: dict[str, float]) -> Reading:
    total, size = found.get(TOTAL), found.get(SIZE)
    used = found[USED] * size / 100 if size is not None and USED in found else None
    cpu = found.get(CPU)
    return Reading(
        cpu_ratio=None if cpu is None else cpu / 100,
        memory_bytes=total - found[AVAILABLE] if total is not None and AVAILABLE in found else None,
        memory_limit_bytes=total,
        disk_used_bytes=used,
        disk_size_bytes=size,
        connections=found.get(OPEN),
        awake=1.0 if found.get(UP) else 0.0,
        egress_bytes=found.get(SENT),
    )


def readings(client: Client, workspaces: Sequence[Workspace]) -> dict[str, Reading]:
    """What is known at this moment, by the workspaces' ids, with three requests for all of them."""
    if not workspaces:
        return {}
    asked = ((GAUGES, GAUGES), (AVAILABLE, AVAILABLE), (CPU, CPU_NOW))
    answers = [(name, client.measured(query)) for name, query in asked]
    found = _sorted_out(workspaces, answers)
    # The queries answer a moment apart.
    merged = {
        id_: {name: value for _, values in sorted(one.moments.items()) for name, value in values.items()}
        for id_, one in found.items()
    }
    return {id_: _reading(values) for id_, values in merged.items() if values}


def collect(client: Client, samples: Samples, workspaces: Sequence[Workspace], now: datetime) -> int:
    """Writes down what the platform has measured since the last time; gives how many samples are new.

    Old samples are thinned on the way.
    """
    present = [one for one in workspaces if one.state == READY]
    added = sum(
        samples.add(_samples(client, present, start, end)) for start, end in _times(samples, present, now)
    )
    samples.thin(now)
    return added


def note_provisioning(ledger: Ledger, samples: Samples, workspaces: Sequence[Workspace]) -> int:
    """Writes down how long it took to make each workspace, as history tells; gives how many are new."""
    known = samples.latest_of([one.id for one in workspaces])
    new = [one for one in workspaces if one.state == READY and "provision_ms" not in known[one.id]]
    return samples.add(sample for one in new for sample in _provisioned(one, ledger.history(one.id)))


def _provisioned(workspace: Workspace, history: Sequence[Entry]) -> Iterator[Sample]:
    """Of one that was made in one go: what a later run finished took as long as somebody was away."""
    steps = [entry for entry in history if entry.what in ("begun", "claimed", "ready")]
    if [entry.what for entry in steps[:2]] == ["begun", "ready"]:
        begun, ready = (datetime.fromisoformat(entry.at) for entry in steps[:2])
        yield Sample(ready, workspace.id, "provision_ms", (ready - begun) / timedelta(milliseconds=1))


def _times(
    samples: Samples, workspaces: Sequence[Workspace], now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """What has not been written down yet, in pieces of a day; each on whole steps."""
    if not workspaces:
        return
    latest = samples.latest_of([one.id for one in workspaces]).values()
    known = [one["disk_size_bytes"].at for one in latest if "disk_size_bytes" in one]
    born = min(datetime.fromisoformat(one.created_at) for one in workspaces)
    start = _whole(max([now - AT_MOST, born, *known]) + STEP)
    last = _whole(now)
    while start <= last:
        end = min(start + AT_ONCE - STEP, last)
        yield start, end
        start = end + STEP


def _whole(at: datetime) -> datetime:
    step_s = STEP.total_seconds()
    return datetime.fromtimestamp(at.timestamp() // step_s * step_s, UTC)


def _samples(
    client: Client, workspaces: Sequence[Workspace], start: datetime, end: datetime
) -> Iterator[Sample]:
    asked = ((GAUGES, GAUGES), (AVAILABLE, AVAILABLE_MEAN), (CPU, CPU), (SENT, SENT))
    answers = [(name, client.measured_since(query, start, end, STEP)) for name, query in asked]
    found = _sorted_out(workspaces, answers)
    looked = {at for one in found.values() for at in one.moments}
    for workspace in workspaces:
        born = datetime.fromisoformat(workspace.created_at).timestamp()
        for at in sorted(one for one in looked if one >= born):
            reading = _reading(found[workspace.id].moments.get(at, {}))
            yield from _sampled(workspace.id, datetime.fromtimestamp(at, UTC), reading)


def _sampled(workspace_id: str, at: datetime, reading: Reading) -> Iterator[Sample]:
    for metric, value in vars(reading).items():
        if value is not None:
            yield Sample(at, workspace_id, metric, value)


def _sorted_out(
    workspaces: Sequence[Workspace], answers: Iterable[tuple[str, Sequence[Series]]]
) -> dict[str, _Found]:
    """By workspace; what belongs to somebody else is left out."""
    found = {one.id: _Found(one) for one in workspaces}
    by_app = {one.app: found[one.id] for one in workspaces}
    for name, answer in answers:
        for series in answer:
            if mine := by_app.get(series.labels.get("app", "")):
                mine.add(series.name if name == GAUGES else name, series)
    return found
