"""What is measured: every metric's name, unit and meaning. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

MEAN, SUM, LAST, ALL = "mean", "sum", "last", "all"


@dataclass(frozen=True)
class Metric:
    """One thing that is measured, of a workspace unless it says otherwise."""

    name: str
    unit: str
    meaning: str
    fold: str = MEAN
    """What an old hour of samples becomes: their `mean`, `sum` or `last`; `all` of them stay."""


_ALL = (
    Metric("awake", "0 or 1", "whether the machine runs"),
    Metric("cpu_ratio", "CPUs", "how many it keeps busy: 0.5 is half of one; only while it is awake"),
    Metric("memory_bytes", "bytes", "memory in use; only while it is awake"),
    Metric("memory_limit_bytes", "bytes", "memory that the machine has", LAST),
    Metric("disk_used_bytes", "bytes", "what the files on the volume take up", LAST),
    Metric("disk_size_bytes", "bytes", "the size of the volume", LAST),
    Metric("egress_bytes", "bytes", "what left for the internet since the sample before; add them up", SUM),
    Metric("connections", "connections", "how many are open to the page", MEAN),
    Metric("probe_ok", "0 or 1", "whether the page answered a look from outside; the mean is the uptime"),
    Metric("probe_ms", "milliseconds", "how long it took to answer that look"),
    Metric("wake_ms", "milliseconds", "how long a sleeping machine took to answer a request", ALL),
    Metric("provision_ms", "milliseconds", "from the first request until the new page answered", ALL),
    Metric("claude_ready", "0 or 1", "whether the workspace is logged in at Anthropic", LAST),
    Metric("places", "places", "from how many places people who are in came within an hour; while awake"),
    Metric("certificate_s", "seconds", "for how long its certificate holds", LAST),
    Metric("up_s", "seconds", "of the day that begins then, how long the page is known to have been up", ALL),
    Metric("down_s", "seconds", "of the day that begins then, how long it is known to have been down", ALL),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {one.name: one for one in _ALL}
TIMED = ("wake_ms", "provision_ms", "probe_ms")
"""What is told of all workspaces together, by its quantiles."""
SHARED = ("probe_ok", "claude_ready")
"""The same, by the share of them that went well."""
