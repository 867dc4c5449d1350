"""Fly's invoice beside what was metered: to the cent, with everything that does not fit named."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fly.errors import PlanError
from fly.money.bill import Account, Month
from fly.money.flyinvoice import CREDIT, read
from fly.money.reconcile import AGREES, DIFFERS, NAMED, ORPHAN, ROUNDED, UNKNOWN, reconcile
from fly.money.usage import COMPUTE, VOLUME, Span

OCTOBER = Month(2026, 10)


def account(name: str, hours: int) -> Account:
    """Awake for so many hours in iad with 1 GB, and a volume of 10 GB all month."""
    start = OCTOBER.start
    spans = [
        Span(COMPUTE, name, start, start + timedelta(hours=hours), Decimal(1), "iad", "shared", 1, "m"),
        Span(VOLUME, name, start, OCTOBER.end, Decimal(10), "iad", thing="v"),
    ]
    return Account(name, name, f"{name}@example.com", start, None, spans, (), (), app=f"{name}-app")


def outcomes(tmp_path: Path, text: str, *accounts: Account) -> dict[tuple[str, str], str]:
    path = tmp_path / "invoice.csv"
    path.write_text(text)
    found = reconcile(read(path), accounts, OCTOBER, {"images": "the app for images"})
    return {(one.app, one.component): one.outcome for one in found}


# By hand: 120 h of 3,600 s at $0.0000025835 are $1.116072; 10 GB for 31 of 30 days at $0.15 are $1.55.
def test_one_cent_and_one_orphan_are_found_and_the_rest_agrees(tmp_path: Path) -> None:
    text = (
        "App Name,Description,Surprise,Amount (USD)\n"
        "a-app,shared-cpu-1x machine with 1 GB RAM,x,$1.12\n"
        "a-app,Volume storage,x,1.55\n"
        "b-app,shared-cpu-1x machine with 1 GB RAM,x,$1.13\n"
        "b-app,Volume storage,x,1.55\n"
        "stranger,Volume storage,x,0.15\n"
        "images,Volume storage,x,0.15\n"
        ",Free allowance,x,-$0.50\n"
        ",Gold plated thing,x,3\n"
        "a-app,Egress from iad,x,0.04\n"
        ",Total,x,9.19\n"
    )
    assert outcomes(tmp_path, text, account("a", 120), account("b", 120)) == {
        ("a-app", "compute"): ROUNDED,
        ("a-app", "volume"): AGREES,
        ("a-app", "egress"): NAMED,
        ("b-app", "compute"): DIFFERS,
        ("b-app", "volume"): AGREES,
        ("stranger", "volume"): ORPHAN,
        ("images", "volume"): NAMED,
        ("", CREDIT): NAMED,
        ("", "other"): UNKNOWN,
    }


def test_what_is_metered_and_not_on_the_invoice_is_named(tmp_path: Path) -> None:
    text = "amount;item;app\n1.55;Volume;a-app\n"
    assert outcomes(tmp_path, text, account("a", 120))["a-app", "compute"] == DIFFERS


def test_an_invoice_without_apps_is_compared_by_component(tmp_path: Path) -> None:
    text = "Item,Amount\nMachines,2.232144\nVolumes,3.10\n"
    found = outcomes(tmp_path, text, account("a", 120), account("b", 120))
    assert found == {("", "compute"): AGREES, ("", "volume"): AGREES}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no invoice"),
        (b"name,email\nLilach,l@example.com\n", "no invoice"),
        (b"%PDF-1.7\n\xff\xfe", "not text"),
        (b"App,Item,Amount\na,Volume,many\n", "row 2: 'many'"),
        (b"App,Item,Amount\na,Volume,NaN\n", "row 2"),
        (b"App,Item,Amount\n", "no lines"),
    ],
)
def test_a_file_that_is_no_invoice_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "invoice.csv"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=why):
        read(path)
    with pytest.raises(PlanError, match="can not be read"):
        read(tmp_path / "missing.csv")
