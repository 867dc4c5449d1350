"""Tables as files: CSV and XLSX written so that no cell is a formula, CSV read by its columns' names."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from fly.errors import PlanError

LARGEST_BYTES = 5_000_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet program takes for the beginning of a formula."""


Cell = str | Decimal
"""Text, or a number that spreadsheets may add up."""


def guarded(cell: Cell) -> Cell:
    """The text, shown as text by every spreadsheet program."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def unguarded(cell: str) -> str:
    """What was there before it was guarded."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """*Errors*: PlanError, where the file can not be written."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *([guarded(cell) for cell in row] for row in rows)])
    write_private(path, text.getvalue().encode("utf-8-sig"))


def write_xlsx(
    path: Path, columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "Users"
) -> None:
    """*Errors*: PlanError, where the file can not be written."""
    from openpyxl import Workbook  # noqa: PLC0415 — a fifth of what every command takes to start

    book, content = Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for row in [columns, *([guarded(cell) for cell in row] for row in rows)]:
        sheet.append(list(row))
    book.save(content)
    write_private(path, content.getvalue())


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, and for its owner alone: who our users are is nobody else's business."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(
            os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb"
        ) as file:
            file.write(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise PlanError(f"{path} can not be written: {error.strerror}.", hint="another path") from None


def read_csv(path: Path, known: Mapping[str, Sequence[str]], needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a file, by what its columns mean: `known` says what each may be called.

    Comma, semicolon or tab; columns that are not known are left out, and so are empty rows.

    *Errors*: PlanError: no such file, not text, a needed column is missing, two columns mean the same.
    """
    lines = list(csv.reader(io.StringIO(text := _text(path), newline=""), delimiter=_delimiter(text)))
    if not lines:
        raise PlanError(f"{path} is empty.", hint="its first line names the columns: name,email,…")
    meanings = [_meaning(column, known) for column in lines[0]]
    if missing := [name for name in needed if name not in meanings]:
        raise PlanError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(lines[0])}.",
            hint=f"one called {' or '.join(known[missing[0]])}",
        )
    if twice := [name for name in meanings if name and meanings.count(name) > 1]:
        raise PlanError(f"{path} has two columns for {twice[0]}.", hint="rename one of them")
    rows = [
        {name: unguarded(cell.strip()) for name, cell in zip(meanings, line, strict=False) if name}
        for line in lines[1:]
    ]
    return [{name: row.get(name, "") for name in known} for row in rows if any(row.values())]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise PlanError(f"{path} is too large for a table.", hint="a CSV of at most 5 MB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PlanError(f"{path} can not be read: {error.strerror}.", hint="the path of a CSV file") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path} is not text in UTF-8.", hint="save it as: CSV UTF-8") from None


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _meaning(column: str, known: Mapping[str, Sequence[str]]) -> str:
    plain = column.strip().casefold()
    return next((name for name, called in known.items() if plain == name or plain in called), "")
