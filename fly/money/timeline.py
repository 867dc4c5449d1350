"""From readings and events to what was used. Pure.

A machine is in the state that its latest event told, until the next one; a reading counts as an event, since
events may have been lost. What else costs is taken from the reading before, and for the time before the first
reading from that one. A workspace that got another machine had the old one until it was heard of the new one.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby, pairwise

from fly.money.readings import Change, Reading, Seen
from fly.money.usage import COMPUTE, IPV4, ROOTFS, SNAPSHOTS, VOLUME, Span

RUNNING = frozenset(
    {"starting", "resuming", "started", "stopping", "suspending", "restarting", "updating", "replacing"}
)
GONE = frozenset({"destroying", "destroyed"})
GB = 1 << 30


@dataclass(frozen=True)
class _Piece:
    """A time in which nothing changed."""

    start: datetime
    end: datetime
    component: str
    """What the machine costs: compute, or its root file system, or nothing."""
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
    workspace, pieces = readings[0].workspace, list(_pieces(readings, changes, born, until))
    machine = _joined(pieces, _priced_by)
    standing = _joined(pieces, lambda one: one.seen)
    return [
        *(_machine(workspace, one, rootfs_gb) for one in machine if one.component),
        *_joined_spans(span for one in standing for span in _standing(workspace, one)),
    ]


def _pieces(
    readings: Sequence[Reading], changes: Sequence[Change], born: datetime, until: datetime
) -> Iterator[_Piece]:
    """From each moment at which something changed to the next."""
    ahead, known = deque(_told(readings, changes)), _by_machine(readings)
    edges = sorted({born, until} | {one.at for one in ahead if born <= one.at <= until})
    heard_of, component = [ahead[0].machine], ROOTFS
    for start, end in pairwise(edges):
        while ahead and ahead[0].at <= start:
            one = ahead.popleft()
            if one.machine not in heard_of:
                heard_of.append(one.machine)
            if one.machine == heard_of[-1]:
                component = COMPUTE if one.status in RUNNING else "" if one.status in GONE else ROOTFS
        yield _Piece(start, end, component, _seen_at(start, known.get(heard_of[-1], readings)))


def _told(readings: Sequence[Reading], changes: Sequence[Change]) -> list[Change]:
    """Both in the order of their time; of one moment what a machine said itself comes last, and so holds."""
    read = [Change(one.workspace, one.seen.machine, one.first_at, one.seen.state) for one in readings]
    return sorted([*read, *reversed(changes)], key=lambda one: one.at)


def _by_machine(readings: Sequence[Reading]) -> dict[str, list[Reading]]:
    found: dict[str, list[Reading]] = {}
    for one in readings:
        found.setdefault(one.seen.machine, []).append(one)
    return found


def _seen_at(at: datetime, readings: Sequence[Reading]) -> Seen:
    return readings[max(0, bisect_right(readings, at, key=lambda one: one.first_at) - 1)].seen


def _priced_by(piece: _Piece) -> tuple[object, ...]:
    """What the price of a machine depends on."""
    seen = piece.seen
    size = (seen.cpu_kind, seen.cpus, seen.memory_mb) if piece.component == COMPUTE else ()
    return piece.component, seen.machine, seen.region, size


def _joined(pieces: Sequence[_Piece], by: Callable[[_Piece], object]) -> list[_Piece]:
    """One piece where nothing that matters changed from one to the next."""
    groups = [list(group) for _, group in groupby(pieces, by)]
    return [_Piece(one[0].start, one[-1].end, one[0].component, one[0].seen) for one in groups]


def _machine(workspace: str, piece: _Piece, rootfs_gb: Decimal) -> Span:
    seen, when = piece.seen, (piece.start, piece.end)
    if piece.component == ROOTFS:
        return Span(ROOTFS, workspace, *when, rootfs_gb, seen.region, thing=seen.machine)
    memory_gb = Decimal(seen.memory_mb) / 1024
    return Span(COMPUTE, workspace, *when, memory_gb, seen.region, seen.cpu_kind, seen.cpus, seen.machine)


def _standing(workspace: str, piece: _Piece) -> Iterator[Span]:
    seen, when = piece.seen, (piece.start, piece.end)
    if seen.volume_gb:
        yield Span(VOLUME, workspace, *when, Decimal(seen.volume_gb), seen.region, thing=seen.volume)
    if seen.snapshots_bytes:
        stored_gb = Decimal(seen.snapshots_bytes) / GB
        yield Span(SNAPSHOTS, workspace, *when, stored_gb, seen.region, thing=seen.volume)
    for number in range(1, seen.dedicated_ipv4 + 1):
        yield Span(IPV4, workspace, *when, region=seen.region, thing=f"ipv4 {number}")


def _joined_spans(found: Iterator[Span]) -> list[Span]:
    """One span where nothing about it changed from one to the next."""
    whole: list[Span] = []
    latest: dict[tuple[str, str], int] = {}
    for span in found:
        key = (span.component, span.thing)
        before = whole[latest[key]] if key in latest else None
        if (
            before
            and before.end == span.start
            and replace(before, end=span.end) == replace(span, start=before.start)
        ):
            whole[latest[key]] = replace(before, end=span.end)
        else:
            latest[key] = len(whole)
            whole.append(span)
    return whole
