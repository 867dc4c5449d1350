"""An invoice as it is printed."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from fly.invoices.book import INVOICE, Invoice, Issuer, Item
from fly.invoices.page import write_pages

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

ISSUER = Issuer(("My Jarvis Ltd", "1 Main Street", "12345 Berlin"), ("IBAN DE00 1234",), "VAT", "19", 14)


def invoice(lines: int) -> Invoice:
    items = tuple(
        Item(f"Workspace, 2026-10, {number} of 31 days", "0.0323", "month", "20", 65)
        for number in range(lines)
    )
    day = date(2026, 11, 3).isoformat()
    about = ("L", "2026-10", "Lilach Ångström-Łukasiewicz", "lilach@example.com")
    return Invoice(7, INVOICE, 0, *about, day, "2026-11-17", items, ISSUER)


def test_an_invoice_prints_to_one_clean_page(browser: Browser, tmp_path: Path) -> None:
    """An invoice of twelve lines is one page of A4 with everything on it, and fits on a phone."""
    [path] = write_pages(tmp_path, [invoice(12)], tmp_path)
    tab = browser.new_page()
    try:
        tab.goto(path.as_uri())
        shown = tab.inner_text("body")
        printed = tab.pdf(prefer_css_page_size=True)
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    finally:
        tab.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    for text in (
        "My Jarvis Ltd",
        "12345 Berlin",
        "Invoice 00007",
        "2026-11-17",
        "IBAN DE00 1234",
        "of which VAT 19 %",
    ):
        assert text in shown
    assert shown.count("$0.65") == 12
