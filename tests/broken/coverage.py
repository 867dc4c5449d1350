"""Which promise is broken by which image on purpose; one that none breaks has never been seen to fail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from image.release.suite import TIERS
from image.release.verify import OPERATORS
from tests.broken.catalogue import CATALOGUE

TESTS = Path(__file__).resolve().parents[1]


def breakers() -> dict[str, list[str]]:
    """Every promise of the image, in the order of the files, and the names of the images that break it."""
    return {
        promise: [one.name for one in CATALOGUE if promise in {test.partition("[")[0] for test in one.fails}]
        for tier in TIERS
        for path in sorted((TESTS / tier).glob("test_*.py"))
        if f"tests/{path.relative_to(TESTS)}" not in OPERATORS
        for promise in _promises(path)
    }


def _promises(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield f"{path.relative_to(TESTS)}::{node.name}"
