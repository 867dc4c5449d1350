"""An invoice as a page that prints to one sheet, and a month's invoices as a table."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from fly.errors import PlanError
from fly.invoices.book import CREDIT, Invoice
from fly.lazy import Lazy
from fly.money.bill import Bill, dollars
from fly.money.cost import cents
from fly.people.sheet import Cell, write_csv, write_private, write_xlsx

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = Lazy("jinja2")

TEMPLATE = "invoice-page.html"
"""What the operator calls her own, in the folder of her letters."""
SHIPPED = Path(__file__).with_name("templates")
COLUMNS = (
    "Number", "Kind", "Corrects", "Issued", "Due", "Month", "Name", "E-mail", "Total", "Tax", "Cost", "Paid",
    "Owed",
)  # fmt: skip


def page(invoice: Invoice, own: Path) -> str:
    """The document as HTML, by the operator's template in `own` or by ours.

    *Errors*: PlanError: the template makes no sense.
    """
    templates = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(own), jinja2.FileSystemLoader(SHIPPED)]),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return templates.get_template(TEMPLATE).render(_facts(invoice))
    except (jinja2.TemplateError, OSError, UnicodeError) as error:
        raise PlanError(
            f"The template {own / TEMPLATE} makes no sense: {error}", hint="mend it, or remove it"
        ) from None


def _facts(invoice: Invoice) -> dict[str, object]:
    issuer = invoice.issuer
    return {
        "title": "Credit note" if invoice.kind == CREDIT else "Invoice",
        "number": invoice.label,
        "corrects": f"{invoice.corrects:05}" if invoice.corrects else "",
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "month": invoice.month,
        "name": invoice.name,
        "email": invoice.email,
        "items": [vars(one) | {"rate": f"${one.rate}", "amount": money(one.cents)} for one in invoice.items],
        "total": money(invoice.total_cents),
        "tax": money(invoice.tax_cents),
        "net": money(invoice.total_cents - invoice.tax_cents),
        "tax_name": issuer.tax_name,
        "tax_percent": issuer.tax_percent,
        "sender": issuer.sender,
        "pay": issuer.pay,
    }


def money(amount_cents: int) -> str:
    """`-$12.05`"""
    return f"{'-' if amount_cents < 0 else ''}${dollars(abs(amount_cents))}"


def file_name(invoice: Invoice) -> str:
    return f"{invoice.label}-{invoice.month}.html"


def write_pages(folder: Path, found: Sequence[Invoice], own: Path) -> list[Path]:
    """A page for each, for their owner alone.

    *Errors*: PlanError.
    """
    _make(folder)
    paths = [folder / file_name(one) for one in found]
    for path, one in zip(paths, found, strict=True):
        write_private(path, page(one, own).encode())
    return paths


def write_tables(folder: Path, name: str, found: Sequence[Invoice], bills: Sequence[Bill]) -> list[Path]:
    """The same as CSV and XLSX, with what the workspaces cost; amounts are numbers in dollars.

    *Errors*: PlanError.
    """
    _make(folder)
    of = {one.workspace: one for one in bills}
    rows = [_row(one, of.get(one.workspace)) for one in found]
    write_csv(folder / f"{name}.csv", COLUMNS, rows)
    write_xlsx(folder / f"{name}.xlsx", COLUMNS, rows, "Invoices")
    return [folder / f"{name}.csv", folder / f"{name}.xlsx"]


def _row(invoice: Invoice, bill: Bill | None) -> list[Cell]:
    return [
        *(invoice.label, invoice.kind, f"{invoice.corrects:05}" if invoice.corrects else ""),
        *(invoice.issued_on, invoice.due_on, invoice.month, invoice.name, invoice.email),
        *(_dollars(one) for one in (invoice.total_cents, invoice.tax_cents)),
        cents(bill.cost) if bill else "",
        *((_dollars(one) for one in (bill.paid_cents, bill.owed_cents)) if bill else ("", "")),
    ]


def _dollars(amount_cents: int) -> Decimal:
    return cents(Decimal(amount_cents) / 100)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise PlanError(
            f"{folder} can not be made: {error.strerror}.", hint="--out with another folder"
        ) from None
