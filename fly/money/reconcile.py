"""Fly's invoice beside what was metered, app by app and component by component. Pure.

Amounts are compared as exactly as they stand there: what rounding of lines can not explain is a difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fly.money.bill import Account, Month
from fly.money.cost import Line, lines, total
from fly.money.flyinvoice import CREDIT, FEE, OTHER, TAX, Charged
from fly.money.usage import COMPONENTS, EGRESS

AGREES, ROUNDED, NAMED, DIFFERS, ORPHAN, UNKNOWN = (
    "agrees", "rounding", "explained", "differs", "orphan", "unknown",
)  # fmt: skip
OPEN = (DIFFERS, ORPHAN, UNKNOWN)
"""What the operator has to look at."""
TENTH_OF_A_CENT = Decimal("0.001")
WHOLE = {
    CREDIT: "what Fly gives back or leaves free",
    TAX: "tax on the whole invoice",
    FEE: "a fee of Fly's for the organisation",
}
"""What no metering can know, and nobody has to explain."""


@dataclass(frozen=True)
class Match:
    """One app and component on both sides. *Units*: exact dollars."""

    app: str
    component: str
    invoiced: Decimal
    metered: Decimal
    outcome: str
    why: str

    @property
    def difference(self) -> Decimal:
        """How much more Fly asks for."""
        return self.invoiced - self.metered

    def to_json(self) -> dict[str, Any]:
        return {
            "app": self.app,
            "component": self.component,
            "invoiced_usd": f"{self.invoiced:.4f}",
            "metered_usd": f"{self.metered:.4f}",
            "difference_usd": f"{self.difference:.4f}",
            "outcome": self.outcome,
            "why": self.why,
        }


def reconcile(
    invoiced: Sequence[Charged], accounts: Sequence[Account], month: Month, ours: Mapping[str, str]
) -> list[Match]:
    """Each app and component that is on either side. `ours` says what apps without a user are there for."""
    metered = _metered(accounts, month)
    charged: dict[tuple[str, str], list[Charged]] = {}
    for line in invoiced:
        charged.setdefault((line.app, line.component), []).append(line)
    whole = {} if any(line.app and line.component in COMPONENTS for line in invoiced) else metered
    if whole:
        metered = _in_total(whole)
    known = {account.app: account for account in accounts}
    keys = sorted(set(charged) | set(metered), key=lambda key: (key[0], _rank(key[1])))
    found = [
        _match(key, charged.get(key, []), metered.get(key, []), known.get(key[0]), ours.get(key[0], ""))
        for key in keys
    ]
    return [one for one in found if one.invoiced or one.metered]


def _metered(accounts: Sequence[Account], month: Month) -> dict[tuple[str, str], list[Line]]:
    """What we counted, by app and component."""
    apps = {account.workspace: account.app for account in accounts}
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines([span for one in accounts for span in one.spans], month.start, month.end):
        found.setdefault((apps[line.workspace], line.component), []).append(line)
    return found


def _in_total(metered: Mapping[tuple[str, str], list[Line]]) -> dict[tuple[str, str], list[Line]]:
    """For an invoice that names no apps."""
    found: dict[tuple[str, str], list[Line]] = {}
    for (_, component), mine in metered.items():
        found.setdefault(("", component), []).extend(mine)
    return found


def _rank(component: str) -> int:
    return (*COMPONENTS, FEE, CREDIT, TAX, OTHER).index(component)


def _match(
    key: tuple[str, str],
    charged: Sequence[Charged],
    metered: Sequence[Line],
    account: Account | None,
    use: str,
) -> Match:
    app, component = key
    asked, counted = sum((one.amount for one in charged), Decimal(0)), total(metered)
    off = asked - counted
    may_be_off = sum((one.step / 2 for one in charged), Decimal(0))
    if component in WHOLE:
        outcome, why = NAMED, WHOLE[component]
    elif component == OTHER:
        outcome, why = (
            UNKNOWN,
            f"nobody knows what this is: {'; '.join(sorted({one.item for one in charged}))}",
        )
    elif charged and abs(off) <= may_be_off:
        outcome, why = (AGREES, "") if abs(off) < TENTH_OF_A_CENT else (ROUNDED, "Fly rounds each line")
    elif app and account is None:
        outcome, why = (
            (NAMED, use) if use else (ORPHAN, "no workspace in the ledger has this app: invoke repair")
        )
    else:
        outcome, why = _difference(component, charged, metered, account)
    return Match(app, component, asked, counted, outcome, why)


def _difference(
    component: str, charged: Sequence[Charged], metered: Sequence[Line], account: Account | None
) -> tuple[str, str]:
    if not charged:
        if total(metered) < TENTH_OF_A_CENT * 5:
            return ROUNDED, "less than half a cent: Fly leaves it out"
        return DIFFERS, "metered, and not on the invoice: an allowance of Fly's, or another month"
    if component == EGRESS and not metered:
        return NAMED, "what left Fly was not metered here"
    if account and not account.spans:
        return DIFFERS, "never metered: invoke meter has to run every hour"
    if account and account.ended and not metered:
        return (
            DIFFERS,
            f"unmade on {account.ended:%Y-%m-%d}, and still charged: look whether it stands at Fly",
        )
    return DIFFERS, "Fly counts otherwise: invoke bill --explain shows what was counted here"
