"""Finding files by name and by what is in them, with ripgrep."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from webapp.files.child import child
from webapp.files.place import Names, Workspace, name_of, written_path

TAKES_AT_MOST_S = 15.0
LINES_PER_FILE = 20
LONGEST_LINE = 300
BEFORE_MATCH = 80
MOST_PLACES = 50
RG = ("rg", "--no-config", "--no-require-git", "--no-messages")


@dataclass
class Match:
    """A file or folder whose name matched, or a file with lines that did."""

    names: Names
    kind: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        path, name = written_path(self.names), name_of(self.names[-1])
        return {"path": path, "name": name, "kind": self.kind, "lines": self.lines}


@dataclass(frozen=True)
class Question:
    words: str
    folder: Names
    in_names: bool
    in_content: bool
    limit: int

    @property
    def exact_case(self) -> bool:
        return self.words != self.words.lower()


class Search:
    def __init__(self, workspace: Workspace, environment: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._environment = environment

    async def ask(self, question: Question) -> tuple[list[Match], bool]:
        """What matches, and whether there is more. Errors: OSError, Problem."""
        found: list[Match] = []
        places = 0
        try:
            async with asyncio.timeout(TAKES_AT_MOST_S):
                async for match in self._matches(question):
                    found.append(match)
                    places += max(1, len(match.lines))
                    if places >= question.limit:
                        return found, True
        except TimeoutError:
            return found, True
        return found, False

    async def _matches(self, question: Question) -> AsyncIterator[Match]:
        with self._workspace.folder(question.folder) as found:
            folder = f"/proc/self/fd/{found}"  # the program starts in the very folder that was found
            if question.in_names:
                async for match in self._by_name(question, folder):
                    yield match
            if question.in_content:
                async for match in self._by_content(question, folder):
                    yield match

    async def _by_name(self, question: Question, folder: str) -> AsyncIterator[Match]:
        words = question.words if question.exact_case else question.words.lower()
        seen: set[Names] = set()
        async for path in self.files(folder):
            for names in with_folders(path, seen):
                name = name_of(names[-1])
                if words in (name if question.exact_case else name.lower()):
                    yield Match((*question.folder, *names), "file" if names == path else "folder")

    async def _by_content(self, question: Question, folder: str) -> AsyncIterator[Match]:
        case = "--case-sensitive" if question.exact_case else "--ignore-case"
        options = ("--json", "--fixed-strings", case, f"--max-count={LINES_PER_FILE}", "--max-filesize=4M")
        command = (*RG, *options, "--regexp", question.words, "--", "./")
        async with child(command, folder=folder, environment=self._environment) as process:
            assert process.stdout is not None
            match: Match | None = None
            with contextlib.suppress(ValueError):  # a line beyond all measure
                async for line in process.stdout:
                    event = json.loads(line)
                    if event["type"] == "begin":
                        names = (*question.folder, *_names(_bytes(event["data"]["path"])))
                        match = Match(names, "file")
                    elif event["type"] == "match" and match:
                        match.lines.append(_line(event["data"]))
                    elif event["type"] == "end" and match and match.lines:
                        yield match

    async def files(self, folder: str) -> AsyncGenerator[Names]:
        """All files that are not ignored or hidden."""
        command = (*RG, "--files", "--null", "--", "./")
        async with child(command, folder=folder, environment=self._environment) as process:
            assert process.stdout is not None
            rest = b""
            while piece := await process.stdout.read(1 << 20):
                *paths, rest = (rest + piece).split(b"\0")
                for path in paths:
                    yield _names(path)


def _names(path: bytes) -> Names:
    return tuple(path.removeprefix(b"./").split(b"/"))


def with_folders(path: Names, seen: set[Names]) -> Iterator[Names]:
    """The folders that a file lies in, unless they were seen before, and the file."""
    for length in range(1, len(path)):
        folder = path[:length]
        if folder not in seen:
            seen.add(folder)
            yield folder
    yield path


def _bytes(value: dict[str, str]) -> bytes:
    """ripgrep writes what is no text in base64."""
    return value["text"].encode() if "text" in value else base64.b64decode(value["bytes"])


def _line(data: dict[str, Any]) -> dict[str, Any]:
    """The part of a line around its first match, and where in it the matches are, counted in characters."""
    raw = _bytes(data["lines"]).rstrip(b"\r\n")
    found = [(part["start"], part["end"]) for part in data["submatches"][:MOST_PLACES]]
    spans = [(len(name_of(raw[:start])), len(name_of(raw[:end]))) for start, end in found]
    text = name_of(raw)
    start = max(0, spans[0][0] - BEFORE_MATCH) if spans and len(text) > LONGEST_LINE else 0
    shown = text[start : start + LONGEST_LINE]
    at = [[a - start, min(b - start, len(shown))] for a, b in spans if a - start < len(shown)]
    return {"number": data["line_number"], "text": shown, "at": at}
