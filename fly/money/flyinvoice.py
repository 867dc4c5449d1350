"""Fly's invoice for a month, as the CSV that it is downloaded as. Pure but for the reading of the file.

How its columns are called and ordered is Fly's to change: they are found by what they may be called, and
what is not known is left out. What an item is about is told by the words in it.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from fly.errors import PlanError
from fly.money.usage import COMPUTE, EGRESS, IPV4, ROOTFS, SNAPSHOTS, VOLUME

CREDIT, TAX, FEE, OTHER = "credit", "tax", "fee", "other"
LARGEST_BYTES = 20_000_000
_COLUMNS: Mapping[str, Sequence[str]] = {
    "app": ("app", "app name", "application", "app slug", "resource app"),
    "item": (
        "item",
        "description",
        "product",
        "line item",
        "item description",
        "resource",
        "component",
        "name",
    ),
    "amount": (
        "amount",
        "total",
        "cost",
        "price",
        "charge",
        "amount usd",
        "total usd",
        "cost usd",
        "line total",
    ),
    "quantity": ("quantity", "usage", "units", "qty"),
    "region": ("region", "region code"),
}
_WORDS = (
    (CREDIT, r"credit|discount|allowance|free (tier|usage)|included|promo|refund"),
    (TAX, r"\b(sales )?tax\b|\bvat\b|\bgst\b"),
    (FEE, r"\bplan\b|support|subscription|\bfee\b|certificate|reservation"),
    (SNAPSHOTS, r"snapshot"),
    (ROOTFS, r"root ?fs|root file|stopped|suspended"),
    (VOLUME, r"volume|\bdisk\b"),
    (EGRESS, r"egress|bandwidth|data transfer|outbound|data out"),
    (IPV4, r"ipv4|dedicated ip|ip address|\bv4\b"),
    (COMPUTE, r"machine|\bv?cpu|\bram\b|memory|compute|shared-|performance-|instance"),
)


@dataclass(frozen=True)
class Charged:
    """One line of Fly's. *Units*: dollars, as exact as they stand there."""

    row: int
    app: str
    component: str
    item: str
    amount: Decimal
    step: Decimal
    """What its amount is a multiple of: a cent, or less where more digits stand there."""


def read(path: Path) -> list[Charged]:
    """The lines of an invoice; those that only sum up the others are left out.

    *Errors*: PlanError: no such file, no invoice, an amount that is none (each with its row).
    """
    rows = list(csv.reader(io.StringIO(text := _text(path), newline=""), delimiter=_delimiter(text)))
    header = next((number for number, row in enumerate(rows) if _is_header(row)), None)
    if header is None:
        raise PlanError(
            f"{path} is no invoice of Fly's: no line of it names both an item and an amount.",
            hint="the CSV of one month, from Fly's dashboard under Billing",
        )
    meanings = [_meaning(cell) for cell in rows[header]]
    found, wrong = [], []
    for number, row in enumerate(rows[header + 1 :], header + 2):
        cells = _cells(meanings, row)
        if _sums_up(cells) or not any(cells.values()):
            continue
        try:
            amount = _amount(cells["amount"])
        except InvalidOperation:
            wrong.append(f"  row {number}: {cells['amount']!r} is no amount")
            continue
        item = cells["item"]
        found.append(Charged(number, cells["app"], _component(item), item, amount, _step(amount)))
    if wrong:
        raise PlanError(
            "\n".join([f"{path} can not be read whole:", *wrong[:10]]), hint="the CSV as Fly gives it"
        )
    if not found:
        raise PlanError(f"{path} has no lines.", hint="the CSV of one month, from Fly's dashboard")
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise PlanError(f"{path} is too large for an invoice.", hint="the CSV of one month")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PlanError(f"{path} can not be read: {error.strerror}.", hint="the path of a CSV file") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path} is not text.", hint="the CSV of one month, not its PDF") from None


def _delimiter(text: str) -> str:
    return max(",;\t", key=text[:5000].count)


def _is_header(row: Sequence[str]) -> bool:
    return {"item", "amount"} <= {_meaning(cell) for cell in row}


def _meaning(column: str) -> str:
    plain = re.sub(r"[^a-z]+", " ", column.casefold()).strip()
    return next((name for name, called in _COLUMNS.items() if plain in called), "")


def _cells(meanings: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """Of two columns that may mean the same the first with something in it; all words of the item."""
    cells = dict.fromkeys(_COLUMNS, "")
    for name, cell in zip(meanings, row, strict=False):
        if name == "item":
            cells[name] = f"{cells[name]} {cell.strip()}".strip()
        elif name and not cells[name]:
            cells[name] = cell.strip()
    return cells


def _sums_up(cells: Mapping[str, str]) -> bool:
    words = {cells["item"].casefold().strip(" :"), cells["app"].casefold().strip(" :")} - {""}
    return bool(words) and words <= {"total", "subtotal", "amount due", "grand total", "total due"}


def _amount(text: str) -> Decimal:
    """`$1,234.50`, `-$0.05`, `USD 3`, `(1.20)` for what is taken away."""
    plain = re.sub(r"USD|US\$|[$,\s]", "", text, flags=re.IGNORECASE)
    if plain.startswith("(") and plain.endswith(")"):
        plain = f"-{plain[1:-1]}"
    amount = Decimal(plain)
    if not amount.is_finite():
        raise InvalidOperation
    return amount


def _step(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    return Decimal(1).scaleb(min(-2, exponent if isinstance(exponent, int) else -2))


def _component(item: str) -> str:
    plain = item.casefold()
    return next((name for name, words in _WORDS if re.search(words, plain)), OTHER)
