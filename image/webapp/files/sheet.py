"""A part of a table, read by a program of its own."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webapp.files.child import child
from webapp.files.place import Names, Workspace
from webapp.problem import Problem

PROGRAM = str(Path(__file__).with_name("table.py"))
TAKES_AT_MOST_S = 30.0


@dataclass(frozen=True)
class Part:
    """Which rows of which sheet of what kind of table."""

    kind: str
    sheet: str
    offset: int
    limit: int


async def read_sheet(workspace: Workspace, names: Names, part: Part, environment: Mapping[str, str]) -> bytes:
    """JSON, as `table.py` writes it. Errors: OSError, Problem."""
    wanted = (part.kind, part.sheet, str(part.offset), str(part.limit))
    with workspace.file(names) as opened:
        command = (sys.executable, "-I", PROGRAM, *wanted)
        async with child(command, stdin=opened, environment=environment) as process:
            try:
                async with asyncio.timeout(TAKES_AT_MOST_S):
                    output, _ = await process.communicate()
            except TimeoutError:
                output = b""
    if not output or process.returncode != 0:
        message = "This table cannot be shown: it is damaged, protected or too large."
        raise Problem(422, "not_readable", message, "Download it to look at it elsewhere.")
    return output
