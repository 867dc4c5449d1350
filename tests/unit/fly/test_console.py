"""How verbs speak: a table looks the same however it is drawn."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fly import console

COLUMNS = ("Name", "State", "")
ROWS = [["Dana", "", "now"], ["", "[bold]", "–"], ["לילך", "日本語", " é "], ["Ada", "stopped", ""]]


def drawn(rows: list[list[str]], width: int) -> list[str]:
    paper = Console(file=io.StringIO(), width=width, highlight=False)
    paper.print(console.table(COLUMNS, rows))
    assert isinstance(paper.file, io.StringIO)
    return paper.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [24, 80])
def test_a_table_has_a_line_for_each_row_where_all_have_room(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "stdout", Console(width=width))
    quick = drawn(ROWS, width)
    assert len(quick) == len(ROWS) + 4
    monkeypatch.setattr(console, "_fits", lambda *_: False)
    assert drawn(ROWS, width) == quick


@pytest.mark.parametrize("cell", ["two\nlines", "a\ttab", "longer than the line is wide, by far"])
def test_a_cell_that_needs_several_lines_moves_the_whole_row(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "stdout", Console(width=30))
    quick = drawn([[cell, "x", "y"], *ROWS], 30)
    monkeypatch.setattr(console, "_fits", lambda *_: False)
    assert drawn([[cell, "x", "y"], *ROWS], 30) == quick
