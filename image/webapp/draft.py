"""The words of an answer while they stream in: Claude Code writes them down only once they are whole.

A server that is killed in the middle of an answer cannot save what it has shown. So a small file beside the
journal holds it, replaced as a whole, twice a second at most; not synced, for it is there against a killed
process. Where it cannot be written, on a full disk perhaps, the answer goes on all the same.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from webapp.board import Item
from webapp.jsonfile import WRITE_NEW

EVERY_S = 0.5


def draft_of(journal: Path) -> Path:
    """Where the draft of a conversation with this journal lies."""
    return journal.with_suffix(".draft")


def drafts_in(journals: Path) -> "Iterator[tuple[str, Words]]":
    """The drafts that lie beside these journals, each with its conversation; unreadable ones left out."""
    for path in journals.glob("*.draft"):
        if words := _read(path):
            yield path.stem, words


@dataclass(frozen=True)
class Words:
    """What a turn had said; `items` as pages see them."""

    turn: str
    items: Sequence[Item]


class Draft:
    """The words of the turn that runs in one conversation, or that another server left there."""

    def __init__(self, path: Path, words: Callable[[], Words | None]) -> None:
        self._path = path
        self._words = words
        self._timer: asyncio.TimerHandle | None = None

    def grows(self) -> None:
        """There are more words: they are written down soon, together with those that come until then."""
        if not self._timer:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._write)

    def clear(self) -> None:
        """Nobody needs it any more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def left(self) -> Words | None:
        """What lies there, if it can be read."""
        return _read(self._path)

    def _write(self) -> None:
        self._timer = None
        if words := self._words():
            with contextlib.suppress(OSError):
                self._replace(json.dumps(asdict(words)).encode())

    def _replace(self, content: bytes) -> None:
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with open(os.open(new, WRITE_NEW, 0o600), "wb") as file:  # noqa: PTH123
                file.write(content)
            new.replace(self._path)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def _read(path: Path) -> Words | None:
    try:
        stored = json.loads(path.read_bytes())
        return Words(str(stored["turn"]), [dict(item) for item in stored["items"]])
    except (OSError, ValueError, KeyError, TypeError):
        return None
