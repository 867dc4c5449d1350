"""A part of a table file as JSON: a program of its own, since a file may be made to eat memory and time.

Reads the file from standard input, which must be seekable: `python table.py KIND SHEET OFFSET LIMIT < file`.
"""

import csv
import datetime
import io
import itertools
import json
import math
import resource
import sys
from typing import Any, BinaryIO

MOST_MEMORY = 1 << 30
MOST_SECONDS = 20
MOST_COLUMNS = 500
LONGEST_CELL = 2000
SAMPLE = 64 << 10


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    kind, sheet, offset, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if kind in {"csv", "tsv"}:
        table = _separated(sys.stdin.buffer, kind, offset, limit)
    else:
        table = _workbook(sys.stdin.buffer, sheet, offset, limit)
    json.dump(table, sys.stdout)
    return 0


def _separated(file: BinaryIO, kind: str, offset: int, limit: int) -> dict[str, Any]:
    """One row more than wanted is read, to know whether there are more."""
    csv.field_size_limit(16 << 20)
    text = _decoded(file)
    sample = text.read(SAMPLE)
    text.seek(0)
    rows = csv.reader(text, delimiter="\t" if kind == "tsv" else _separator(sample))
    part = list(itertools.islice(rows, offset, offset + limit + 1))
    more = len(part) > limit
    total = None if more else offset + len(part)
    return _table(part[:limit], offset, total, more)


def _decoded(file: BinaryIO) -> io.TextIOWrapper:
    head = file.read(SAMPLE)
    file.seek(0)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return io.TextIOWrapper(file, "utf-16", errors="replace", newline="")
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return io.TextIOWrapper(file, "cp1252", errors="replace", newline="")
    return io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")


def _separator(sample: str) -> str:
    """The sign that parts the first lines, and each into as many."""
    lines = [line for line in sample.splitlines()[:20] if line][:-1] or sample.splitlines()[:1]

    def regular(sign: str) -> tuple[int, int]:
        counts = [line.count(sign) for line in lines]
        return min(counts, default=0), sum(counts)

    best = max(",;\t|", key=regular)
    return best if regular(best) > (0, 0) else ","


def _workbook(file: BinaryIO, sheet: str, offset: int, limit: int) -> dict[str, Any]:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415 - a table with separators needs none of it

    book = CalamineWorkbook.from_filelike(file)
    sheets = book.sheet_names
    chosen = sheet if sheet in sheets else sheets[0] if sheets else ""
    if not chosen:
        return _table([], offset, 0, False)
    page = book.get_sheet_by_name(chosen)
    part = list(itertools.islice(page.iter_rows(), offset, offset + limit))
    total = page.end[0] + 1 if page.end else 0
    more = bool(part) and offset + len(part) < total
    return {**_table(part, offset, total, more), "sheets": sheets, "sheet": chosen}


def _table(rows: list[list[Any]], offset: int, total: int | None, more: bool) -> dict[str, Any]:
    return {
        "sheets": [],
        "sheet": "",
        "rows": [[_cell(cell) for cell in row[:MOST_COLUMNS]] for row in rows],
        "offset": offset,
        "columns": max(map(len, rows), default=0),
        "total": total,
        "more": more,
    }


def _cell(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, datetime.datetime):
        whole_day = value.time() == datetime.time()
        return value.date().isoformat() if whole_day else value.isoformat(" ", "seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)[:LONGEST_CELL]


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


if __name__ == "__main__":
    sys.exit(main())
