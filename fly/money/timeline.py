"""From readings and events to what was used. Pure.

A machine is in the state that its latest event told, until the next one; a reading counts as an event, since
events may have been lost. What else costs is taken from the reading before, and for the time before the first
reading from that one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from fly.money.readings import Change, Reading, Seen
from fly.money.usage import COMPUTE, IPV4, ROOTFS, SNAPSHOTS, VOLUME, Span

RUNNING = frozenset({"starting", "started", "stopping", "suspending", "resuming", "restarting", "replacing"})
GONE = frozenset({"destroying", "destroyed"})
GB = 1 << 30


@dataclass(frozen=True)
class _Piece:
    """A time in which nothing changed."""

    start: datetime
    end: datetime
    state: str
    seen: Seen


def spans(
    readings: Sequence[Reading],
    changes: Sequence[Change],
    born: datetime,
    until: datetime,
    rootfs_gb: Decimal,
) -> list[Span]:
    """What one workspace used from when it was made until it was unmade, or until now."""
    if not readings:
        return []
    return [
        span
        for piece in _pieces(readings, changes, born, until)
        for span in _spans(readings[0].workspace, piece, rootfs_gb)
    ]


def _pieces(
    readings: Sequence[Reading], changes: Sequence[Change], born: datetime, until: datetime
) -> Iterator[_Piece]:
    moments = {born, until} | {one.first_at for one in readings} | {one.at for one in changes}
    edges = sorted(moment for moment in moments if born <= moment <= until)
    for start, end in pairwise(edges):
        if start < end:
            yield _Piece(start, end, _state_at(start, readings, changes), _seen_at(start, readings))


def _state_at(at: datetime, readings: Sequence[Reading], changes: Sequence[Change]) -> str:
    told = [(one.at, one.status) for one in changes if one.at <= at]
    read = [(one.first_at, one.seen.state) for one in readings if one.first_at <= at]
    if latest := max(told + read, key=lambda one: one[0], default=None):
        return latest[1]
    return "created"


def _seen_at(at: datetime, readings: Sequence[Reading]) -> Seen:
    earlier = [one for one in readings if one.first_at <= at]
    return (earlier[-1] if earlier else readings[0]).seen


def _spans(workspace: str, piece: _Piece, rootfs_gb: Decimal) -> Iterator[Span]:
    seen, when = piece.seen, (piece.start, piece.end)
    if piece.state in RUNNING:
        memory_gb = Decimal(seen.memory_mb) / 1024
        yield Span(COMPUTE, workspace, *when, memory_gb, seen.region, seen.cpu_kind, seen.cpus, seen.machine)
    elif piece.state not in GONE:
        yield Span(ROOTFS, workspace, *when, rootfs_gb, seen.region, thing=seen.machine)
    if seen.volume_gb:
        yield Span(VOLUME, workspace, *when, Decimal(seen.volume_gb), seen.region, thing=seen.volume)
    if seen.snapshots_bytes:
        yield Span(
            SNAPSHOTS, workspace, *when, Decimal(seen.snapshots_bytes) / GB, seen.region, thing=seen.volume
        )
    for _ in range(seen.dedicated_ipv4):
        yield Span(IPV4, workspace, *when, region=seen.region, thing="ipv4")
