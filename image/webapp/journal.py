"""What was sent in a conversation and how each turn ended: what Claude Code's transcripts do not say.

One file a conversation, one JSON object a line, only ever appended to. It makes a message that was sent twice
count once, saves one that Claude never got, and tells a turn that was cut off from one that ended.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sent:
    """A message of the person."""

    id: str
    at: str
    text: str


@dataclass(frozen=True)
class Ended:
    """How a turn ended; `notice` is the code of a notice that no transcript holds."""

    outcome: str
    duration_ms: int | None = None
    cost_usd: float | None = None
    tokens: int | None = None
    notice: str = ""


class Journal:
    """The journal of one conversation, in memory and in its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sent: dict[str, Sent] = {}
        self.begun: set[str] = set()
        self.ended: dict[str, Ended] = {}
        for line in _lines(path):
            with contextlib.suppress(KeyError, TypeError):
                self._read(line)

    def send(self, message: Sent) -> None:
        """It is known from now on; Claude may get it later."""
        self.sent[message.id] = message
        self._write({"sent": asdict(message)})

    def begin(self, message_id: str) -> None:
        """Claude gets it now."""
        self.begun.add(message_id)
        self._write({"begun": message_id})

    def drop(self, message_id: str) -> None:
        """It was taken back before Claude got it. It stays known: a page may repeat it."""
        self._write({"dropped": message_id})
        self.ended[message_id] = Ended("dropped")

    def end(self, turn: str, ended: Ended) -> None:
        self.ended[turn] = ended
        self._write({"ended": turn, **asdict(ended)})

    def unfinished(self) -> list[Sent]:
        """What was sent and has no end, in order."""
        return [message for message in self.sent.values() if message.id not in self.ended]

    def _read(self, line: dict[str, Any]) -> None:
        if "sent" in line:
            message = Sent(**line["sent"])
            self.sent[message.id] = message
        elif "begun" in line:
            self.begun.add(line["begun"])
        elif "dropped" in line:
            self.ended[line["dropped"]] = Ended("dropped")
        elif "ended" in line:
            turn = line.pop("ended")
            self.ended[turn] = Ended(**line)

    def _write(self, line: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            # A line that a crash cut off must not swallow the next one.
            file.write("\n" + json.dumps(line, ensure_ascii=False))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that are whole: the last one may have been cut off."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
