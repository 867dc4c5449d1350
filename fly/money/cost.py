"""From what was used to what it costs, line by line, exactly; cents are made once, at the very end. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby, pairwise

from fly.money.prices import BASE, HOUR_S, MONTH_S, PriceList, changes_between, price_list_at
from fly.money.usage import COMPONENTS, COMPUTE, EGRESS, IPV4, ROOTFS, SNAPSHOTS, VOLUME, Span, cut, within

CENT = Decimal("0.01")
EXACT = Decimal("1e-12")
"""Amounts are kept to a fixed place, far below what shows: sums come out the same in whatever order."""


@dataclass(frozen=True)
class Line:
    """One line that a person can check with a calculator: `quantity` × `rate` = `amount`, in dollars."""

    component: str
    workspace: str
    thing: str
    start: datetime
    end: datetime
    quantity: Decimal
    unit: str
    rate: Decimal
    amount: Decimal


def lines(spans: Sequence[Span], start: datetime, end: datetime) -> list[Line]:
    """What the spans cost between two moments, each piece at the price of its day."""
    inside = [
        piece
        for span in within(spans, start, end)
        for piece in cut(span, changes_between(span.start, span.end))
    ]
    ordinary = [_line(piece, price_list_at(piece.start)) for piece in inside if piece.component != SNAPSHOTS]
    return ordinary + list(_snapshot_lines([piece for piece in inside if piece.component == SNAPSHOTS]))


def unpriced(spans: Sequence[Span], start: datetime, end: datetime) -> list[str]:
    """The regions in which machines ran of which nobody has noted a price; `lines` has another one's."""
    ran = [span for span in within(spans, start, end) if span.component == COMPUTE]
    return sorted({one.region for one in ran if not price_list_at(one.start).knows(one.region)})


def total(found: Iterable[Line]) -> Decimal:
    """The exact sum."""
    return sum((line.amount for line in found), Decimal(0))


def by_component(found: Iterable[Line]) -> dict[str, Decimal]:
    """The exact sum of each component that occurs, in the order in which they are always told."""
    sums: dict[str, Decimal] = {}
    for line in found:
        sums[line.component] = sums.get(line.component, Decimal(0)) + line.amount
    return {component: sums[component] for component in COMPONENTS if component in sums}


def cents(amount: Decimal) -> Decimal:
    """Rounded to cents, half to even; what is less than nothing by less than that is nothing."""
    return amount.quantize(CENT, ROUND_HALF_EVEN) + 0  # so that -0.00 is 0.00


def shared_out(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Each amount in cents, adding up to the rounded sum: cents left over go where most was cut off."""
    floors = {name: (amount / CENT).to_integral_value("ROUND_FLOOR") for name, amount in amounts.items()}
    missing = int((cents(sum(amounts.values(), Decimal(0))) / CENT) - sum(floors.values()))
    neediest = sorted(amounts, key=lambda name: (floors[name] - amounts[name] / CENT, name))
    return {name: (floors[name] + (name in neediest[:missing])) * CENT for name in amounts}


def _line(span: Span, prices: PriceList) -> Line:
    quantity, unit, rate = _priced(span, prices)
    return Line(
        span.component,
        span.workspace,
        span.thing,
        span.start,
        span.end,
        quantity,
        unit,
        rate,
        _amount(quantity, rate),
    )


def _amount(quantity: Decimal, rate: Decimal) -> Decimal:
    return (quantity * rate).quantize(EXACT)


def _priced(span: Span, prices: PriceList) -> tuple[Decimal, str, Decimal]:
    if span.component == COMPUTE:
        region = span.region if prices.knows(span.region) else BASE
        return span.seconds, "s", prices.compute_s(span.cpu_kind, span.cpus, span.gb, region)
    if span.component == EGRESS:
        return span.gb, "GB", prices.egress(span.region)
    if span.component == IPV4:
        return span.seconds, "s", prices.ipv4_month / MONTH_S
    if span.component == VOLUME:
        return span.gb * _whole_hours(span), "GB·h", prices.volume_gb_month * HOUR_S / MONTH_S
    assert span.component == ROOTFS
    return span.gb * span.seconds, "GB·s", prices.rootfs_gb_month / MONTH_S


def _whole_hours(span: Span) -> int:
    """Volumes are charged by the hour: to whatever stood when the hour began. So no hour counts twice."""
    return _hours_begun(span.end) - _hours_begun(span.start)


def _hours_begun(at: datetime) -> int:
    return -int(-at.timestamp() // HOUR_S)


def _snapshot_lines(spans: Sequence[Span]) -> Iterator[Line]:
    """Snapshots are free up to a size, which the organisation's workspaces share by their own sizes."""
    charged = _charged_seconds(spans)
    for span in spans:
        quantity = span.gb * (charged[span.end] - charged[span.start])
        rate = price_list_at(span.start).snapshot_gb_month / MONTH_S
        yield Line(
            SNAPSHOTS,
            span.workspace,
            span.thing,
            span.start,
            span.end,
            quantity,
            "GB·s",
            rate,
            _amount(quantity, rate),
        )


def _charged_seconds(spans: Sequence[Span]) -> dict[datetime, Decimal]:
    """For each moment at which a size changes: how many seconds up to then are charged for each gigabyte.

    A second counts by the part of all that is stored which is beyond what is free.
    """
    grows: dict[datetime, Decimal] = {}
    for span in spans:
        grows[span.start] = grows.get(span.start, Decimal(0)) + span.gb
        grows[span.end] = grows.get(span.end, Decimal(0)) - span.gb
    edges, stored, passed = sorted(grows), Decimal(0), Decimal(0)
    charged = dict.fromkeys(edges[:1], passed)
    for first, last in pairwise(edges):
        stored += grows[first]
        beyond = max(Decimal(0), stored - price_list_at(first).snapshot_free_gb)
        passed += Span(SNAPSHOTS, "", first, last).seconds * (beyond / stored if stored else 0)
        charged[last] = passed
    return charged


def by_workspace(found: Iterable[Line]) -> dict[str, list[Line]]:
    """The lines of each workspace."""
    ordered = sorted(found, key=lambda line: line.workspace)
    return {name: list(group) for name, group in groupby(ordered, key=lambda line: line.workspace)}
