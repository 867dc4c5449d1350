"""`@file`: which files somebody may mean who has typed a few letters."""

import asyncio
import contextlib
import heapq
import re
import time
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from webapp.files.place import Workspace, written_path
from webapp.files.search import Search, with_folders

FRESH_S = 3.0
MOST_FILES = 200_000
LONGEST_QUERY = 200


@dataclass(frozen=True)
class Known:
    """All paths as they are, and in small letters."""

    paths: list[str]
    folders: frozenset[int]
    lines: list[str]
    read_s: float


class Completion:
    """Keeps the list of files for a moment; typing on asks again and again."""

    def __init__(self, workspace: Workspace, search: Search) -> None:
        self._workspace = workspace
        self._search = search
        self._known: Known | None = None
        self._reading = asyncio.Lock()

    async def ask(self, query: str, limit: int) -> list[dict[str, Any]]:
        """Errors: OSError."""
        known = await self._list()
        return await run_in_threadpool(best, known, query, limit)

    async def _list(self) -> Known:
        async with self._reading:
            if self._known is None or time.monotonic() - self._known.read_s > FRESH_S:
                self._known = await self._read()
        return self._known

    async def _read(self) -> Known:
        paths: list[str] = []
        folders: set[int] = set()
        seen: set[tuple[bytes, ...]] = set()
        with self._workspace.folder(()) as found:
            async with contextlib.aclosing(self._search.files(f"/proc/self/fd/{found}")) as files:
                async for file in files:
                    for names in with_folders(file, seen):
                        if names != file:
                            folders.add(len(paths))
                        paths.append(written_path(names))
                    if len(paths) >= MOST_FILES:
                        break
        return Known(paths, frozenset(folders), list(map(_fold, paths)), time.monotonic())


def _fold(text: str) -> str:
    """Small letters, as many as before: places in it are places in the text."""
    small = text.lower()
    return small if len(small) == len(text) else text


def best(known: Known, query: str, limit: int) -> list[dict[str, Any]]:
    """The paths that hold the letters of the query in their order, best first."""
    letters = _fold(query.replace(" ", ""))[:LONGEST_QUERY]
    lines = known.lines
    if letters:
        fits = _subsequence(letters).match
        numbers = [number for number, line in enumerate(lines) if fits(line)]
    else:
        numbers = [number for number, line in enumerate(lines) if "/" not in line]
    chosen = heapq.nsmallest(limit, numbers, key=lambda number: (_badness(lines[number], letters), number))
    return [
        {
            "path": known.paths[number],
            "name": known.paths[number].rpartition("/")[2],
            "kind": "folder" if number in known.folders else "file",
            "at": _places(lines[number], letters),
        }
        for number in chosen
    ]


def _subsequence(letters: str) -> re.Pattern[str]:
    """Each step runs to the first such letter and never goes back, so that no line takes long."""
    return re.compile("".join(f"[^{re.escape(letter)}]*+{re.escape(letter)}" for letter in letters))


def _badness(line: str, letters: str) -> tuple[int, int, int]:
    """Best is the name, then its beginning, then any part of it, then of the path, then scattered letters."""
    name = line.rpartition("/")[2]
    if name == letters or name.partition(".")[0] == letters:
        rank = 0
    elif name.startswith(letters):
        rank = 1
    elif letters in name:
        rank = 2
    elif letters in line:
        rank = 3
    else:
        rank = 4
    return rank, _spread(line, letters) if rank == 4 else 0, len(line)


def _spread(line: str, letters: str) -> int:
    places = _places(line, letters)
    return places[-1] - places[0] + sum(place > 0 and line[place - 1].isalnum() for place in places)


def _places(line: str, letters: str) -> list[int]:
    """Where the letters stand: together if they do, in the name rather than before it."""
    if not letters:
        return []
    start = line.rfind(letters)
    if start >= 0:
        return list(range(start, start + len(letters)))
    places: list[int] = []
    end = len(line)
    for letter in reversed(letters):
        end = line.rfind(letter, 0, end)
        places.append(end)
    return places[::-1]
