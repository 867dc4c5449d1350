"""axe over a page in a browser: what somebody would stumble over who does not see it, or uses no mouse."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_AXE = Path(__file__).resolve().parents[2] / "image/web/node_modules/axe-core/axe.min.js"
_GRAVE = ("serious", "critical")
_RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
_QUICKLY = {"resultTypes": ["violations"], "preload": False, "selectors": False}
"""What is wrong is told by its markup: to find each element's shortest selector takes as long as the rules.

Nor is anything fetched anew: no rule here reads style sheets, and there is no film or sound.
"""
_OF_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


@cache
def _source() -> str:
    assert _AXE.is_file(), f"{_AXE} is missing: npm ci in image/web"
    return _AXE.read_text(encoding="utf-8")


def grave_complaints(page: Page, *, colours_alone: bool = False) -> list[str]:
    """What axe finds serious or worse, each with where it is."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(_source())
    found: dict[str, Any] = page.evaluate(
        "options => axe.run(document, options)",
        {**_QUICKLY, "runOnly": _OF_COLOURS if colours_alone else _RULES},
    )
    return [
        f"{violation['id']} ({violation['impact']}): {node['html']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in _GRAVE
        for node in violation["nodes"]
    ]
