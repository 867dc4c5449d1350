"""What was used from when to when. Pure; times are in UTC and half open: the end is not in it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

COMPUTE, ROOTFS, VOLUME, SNAPSHOTS, IPV4, EGRESS = (
    "compute",
    "rootfs",
    "volume",
    "snapshots",
    "ipv4",
    "egress",
)
ROOTFS_GB = Decimal("0.75")
"""Of the image, as Fly counts it: its content on disk."""
COMPONENTS = (COMPUTE, ROOTFS, VOLUME, SNAPSHOTS, IPV4, EGRESS)


@dataclass(frozen=True)
class Span:
    """One component of one workspace over a time in which nothing about it changed.

    *Units*: `gb` is memory for compute, what left Fly for egress, else what is provisioned or stored.
    """

    component: str
    workspace: str
    start: datetime
    end: datetime
    gb: Decimal = Decimal(0)
    region: str = ""
    cpu_kind: str = ""
    cpus: int = 0
    thing: str = ""
    """The machine, volume or address that it is about."""

    @property
    def seconds(self) -> Decimal:
        lasted = self.end - self.start
        return Decimal(lasted.days * 86400 + lasted.seconds) + Decimal(lasted.microseconds) / 1_000_000


def within(spans: Sequence[Span], start: datetime, end: datetime) -> Iterator[Span]:
    """The parts of the spans that lie in this time. What left Fly counts where its span ends."""
    for span in spans:
        if span.component == EGRESS:
            if start < span.end <= end:
                yield span
        elif start <= span.start < span.end <= end:
            yield span
        elif (first := max(start, span.start)) < (last := min(end, span.end)):
            yield replace(span, start=first, end=last)


def cut(span: Span, moments: Sequence[datetime]) -> Iterator[Span]:
    """The same span in pieces that end at these moments; what left Fly is not cut."""
    inside = sorted(moment for moment in moments if span.start < moment < span.end)
    if span.component == EGRESS or not inside:
        yield span
        return
    edges = [span.start, *inside, span.end]
    for first, last in itertools.pairwise(edges):
        yield replace(span, start=first, end=last)
