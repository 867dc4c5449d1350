"""What Fly charges, each list with the day from which it holds. Pure; dollars as exact decimals.

*Source*: Fly's page of prices, as read in October 2026. A change of price is a new list below, never an edit:
months that are billed already must come out the same again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from fly.errors import PlanError

MONTH_S = 30 * 24 * 3600
"""Fly's month, however long the calendar's is."""
HOUR_S = 3600
BASE = "iad"
"""Fly names its prices for this region, and those of others by how much more they are."""
NOWHERE = ("local", "")


@dataclass(frozen=True)
class Kind:
    """One kind of processor: dollars a second for each, and the memory that comes with it."""

    vcpu_s: Decimal
    included_gb: Decimal


@dataclass(frozen=True)
class PriceList:
    """Dollars; `_month` is 30 days, `_s` a second, gigabytes are 2**30 bytes."""

    since: datetime
    kinds: Mapping[str, Kind]
    memory_gb_s: Decimal
    rootfs_gb_month: Decimal
    """Of a machine that does not run."""
    volume_gb_month: Decimal
    snapshot_gb_month: Decimal
    snapshot_free_gb: Decimal
    """For the whole organisation."""
    ipv4_month: Decimal
    egress_gb: Mapping[str, Decimal]
    """By the zone that a region is in."""
    markup: Mapping[str, Decimal]
    """On running machines, by region."""

    def compute_s(self, kind: str, cpus: int, memory_gb: Decimal, region: str) -> Decimal:
        """A second of a running machine.

        *Errors*: PlanError, for a region or a kind of processor that the list does not know.
        """
        vcpu = self.kinds.get(kind)
        if vcpu is None:
            raise PlanError(
                f"There is no price for processors of the kind {kind!r}.", hint="shared or performance"
            )
        more_gb = max(Decimal(0), memory_gb - cpus * vcpu.included_gb)
        return (cpus * vcpu.vcpu_s + more_gb * self.memory_gb_s) * self.markup_of(region)

    def knows(self, region: str) -> bool:
        """Whether somebody has noted what machines cost there."""
        return region in self.markup or region in NOWHERE

    def egress(self, region: str) -> Decimal:
        """A gigabyte that leaves Fly from there."""
        return self.egress_gb[ZONES.get(region, "europe and north america")]

    def markup_of(self, region: str) -> Decimal:
        """How many times dearer machines are there. *Errors*: PlanError, where nobody has noted it."""
        if region in NOWHERE:
            return Decimal(1)
        if region not in self.markup:
            raise PlanError(
                f"There is no price for the region {region!r}.",
                hint=f"known are {', '.join(sorted(self.markup))}; a new one is added in fly/money/prices.py",
            )
        return self.markup[region]


def price_list_at(at: datetime) -> PriceList:
    """The list that holds at this moment.

    *Errors*: PlanError, for a time before the first list.
    """
    for prices in reversed(PRICE_LISTS):
        if prices.since <= at:
            return prices
    raise PlanError(
        f"There is no price list for {at:%Y-%m-%d}.", hint=f"the first is of {PRICE_LISTS[0].since:%Y-%m-%d}"
    )


def changes_between(start: datetime, end: datetime) -> list[datetime]:
    """The moments inside at which another list begins to hold."""
    return [prices.since for prices in PRICE_LISTS if start < prices.since < end]


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _decimals(**values: str) -> Mapping[str, Decimal]:
    return MappingProxyType({name: Decimal(value) for name, value in values.items()})


ZONES = dict.fromkeys(
    ("sin", "syd", "nrt", "hkg", "gru", "scl", "bog", "eze"), "asia, oceania and south america"
) | dict.fromkeys(("jnb", "bom"), "africa and india")
_MARKUP = _decimals(
    iad="1", ewr="1", ams="1.0385", arn="1.0385", bom="1.0769", yyz="1.1154", lhr="1.1346", cdg="1.1346",
    fra="1.1538", sjc="1.1923", lax="1.1995", ord="1.25", dfw="1.25", sin="1.2692", syd="1.2692",
    jnb="1.3029", nrt="1.3077", gru="1.6154",
)  # fmt: skip
_FIRST = PriceList(
    since=_day("2025-01-01"),
    kinds={
        "shared": Kind(Decimal("0.00000075"), Decimal("0.25")),
        "performance": Kind(Decimal("0.00001196"), Decimal(2)),
    },
    memory_gb_s=Decimal("0.00000193"),
    rootfs_gb_month=Decimal("0.15"),
    volume_gb_month=Decimal("0.15"),
    snapshot_gb_month=Decimal(0),
    snapshot_free_gb=Decimal(10),
    ipv4_month=Decimal(2),
    egress_gb=MappingProxyType(
        {
            "europe and north america": Decimal("0.02"),
            "asia, oceania and south america": Decimal("0.04"),
            "africa and india": Decimal("0.12"),
        }
    ),
    markup=_MARKUP,
)
_SNAPSHOTS_COST = replace(_FIRST, since=_day("2026-01-01"), snapshot_gb_month=Decimal("0.08"))
_DEARER_MEMORY = replace(
    _SNAPSHOTS_COST,
    since=_day("2026-10-01"),
    kinds={
        "shared": Kind(Decimal("0.0000008465"), Decimal("0.25")),
        "performance": Kind(Decimal("0.000012732"), Decimal(2)),
    },
    memory_gb_s=Decimal("0.000002316"),
)
PRICE_LISTS = (_FIRST, _SNAPSHOTS_COST, _DEARER_MEMORY)
