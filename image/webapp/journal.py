"""What was sent in a conversation, how turns ended, what was chosen: what no transcript of Claude Code says.

One file a conversation, one JSON object a line, only ever appended to. It makes a message that was sent twice
count once, saves one that Claude never got, and tells a turn that was cut off from one that ended.
"""

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

DROPPED = "dropped"


@dataclass(frozen=True)
class Sent:
    """A message of the person; `attachments` as pages see them."""

    id: str
    at: str
    text: str
    attachments: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """How a turn ended; `notice` is the code of a notice that no transcript holds."""

    outcome: str
    duration_ms: int | None = None
    cost_usd: float | None = None
    tokens: int | None = None
    notice: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class Trouble:
    """What went wrong in a turn, where neither its end nor a transcript says it.

    `text` where the sentence was made for this case; `limit` of the plan, which lasts `until`.
    """

    text: str = ""
    limit: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Choices:
    """What a conversation has of its own; None: as in the settings."""

    model: str | None = None
    effort: str | None = None
    permission_mode: str | None = None


@dataclass(frozen=True)
class Usage:
    """What a conversation has cost."""

    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    turns: int = 0

    def plus(self, ended: Ended) -> "Usage":
        if ended.outcome == DROPPED:
            return self
        return Usage(
            round(self.cost_usd + (ended.cost_usd or 0.0), 6),
            self.input_tokens + ended.input_tokens,
            self.output_tokens + ended.output_tokens,
            self.turns + 1,
        )


@dataclass
class Past:
    """What is known of a conversation beside its transcript."""

    sent: dict[str, Sent] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """call of a tool -> the card that asked for it, as it was left"""
    cut_off: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """turn that was cut off -> the last that Claude said in it, which a transcript may not hold"""

    @property
    def dropped(self) -> set[str]:
        """Messages that were taken back, or gave way to others."""
        return {message for message, ended in self.ended.items() if ended.outcome == DROPPED}


class Journal(Past):
    """The journal of one conversation, in memory and in its file.

    One thread writes; `copy`, `messages` and `dropped` may be asked by others meanwhile.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._lock = threading.Lock()
        self.begun: set[str] = set()
        self.choices = Choices()
        self.usage = Usage()
        self.forked_from: str | None = None
        for line in _lines(path):
            with contextlib.suppress(KeyError, TypeError):
                self._read(line)

    def send(self, message: Sent) -> None:
        """It is known from now on; Claude may get it later."""
        self._write({"sent": asdict(message)})
        with self._lock:
            self.sent[message.id] = message

    def messages(self) -> list[Sent]:
        """All that were sent, in order."""
        with self._lock:
            return list(self.sent.values())

    @property
    def dropped(self) -> set[str]:
        with self._lock:
            return super().dropped

    def begin(self, message_id: str) -> None:
        """Claude gets it now."""
        self.begun.add(message_id)
        self._write({"begun": message_id})

    def drop(self, *messages: str) -> None:
        """They were taken back. They stay known: a page may repeat them."""
        self._write(*({"dropped": message} for message in messages))
        with self._lock:
            self.ended.update(dict.fromkeys(messages, Ended(DROPPED)))

    def end(self, turn: str, ended: Ended, trouble: Trouble | None = None) -> None:
        with self._lock:
            self.ended[turn] = ended
            if trouble:
                self.troubles[turn] = trouble
        self.usage = self.usage.plus(ended)
        # A line of its own: an older server would not take an end that says more than it knows.
        about = [{"trouble": turn, **asdict(trouble)}] if trouble else []
        self._write({"ended": turn, **asdict(ended)}, *about)

    def card(self, tool_use_id: str, item: dict[str, Any]) -> None:
        """A card was shown, or answered."""
        with self._lock:
            self.cards[tool_use_id] = item
        self._write({"card": tool_use_id, "item": item})

    def keep_words(self, turn: str, items: list[dict[str, Any]]) -> None:
        """A turn was cut off while Claude said this."""
        with self._lock:
            self.cut_off[turn] = items
        self._write({"cut_off": turn, "items": items})

    def choose(self, choices: Choices) -> None:
        self.choices = choices
        self._write({"choices": asdict(choices)})

    def copy(self, path: Path, conversation: str, messages: Iterable[str]) -> None:
        """Another conversation's journal, begun with these messages of this one; their cost stays here."""
        with self._lock:
            lines = self._copied(conversation, messages)
        Journal(path)._write(*lines)

    def _copied(self, conversation: str, messages: Iterable[str]) -> list[dict[str, Any]]:
        known = [message for message in messages if message in self.sent or message in self.ended]
        lines: list[dict[str, Any]] = [{"forked_from": conversation}, {"choices": asdict(self.choices)}]
        for message in known:
            if message in self.sent:
                lines += [{"sent": asdict(self.sent[message])}, {"begun": message}]
            if message in self.ended:
                free = replace(
                    self.ended[message], cost_usd=None, tokens=None, input_tokens=0, output_tokens=0
                )
                lines.append({"ended": message, **asdict(free)})
            if message in self.troubles:
                lines.append({"trouble": message, **asdict(self.troubles[message])})
        lines += [{"cut_off": turn, "items": items} for turn, items in self.cut_off.items() if turn in known]
        lines += [{"card": call, "item": item} for call, item in self.cards.items()]
        return lines

    def unfinished(self) -> list[Sent]:
        """What was sent and has no end, in order."""
        return [message for message in self.messages() if message.id not in self.ended]

    def _read(self, line: dict[str, Any]) -> None:
        match line:
            case {"sent": sent}:
                message = Sent(**sent)
                self.sent[message.id] = message
            case {"begun": message_id}:
                self.begun.add(message_id)
            case {"dropped": message_id}:
                self.ended[message_id] = Ended(DROPPED)
            case {"ended": turn, **figures}:
                self.ended[turn] = Ended(**figures)
                self.usage = self.usage.plus(self.ended[turn])
            case {"trouble": turn, **about}:
                self.troubles[turn] = Trouble(**about)
            case {"card": tool_use_id, "item": item}:
                self.cards[tool_use_id] = item
            case {"cut_off": turn, "items": items}:
                self.cut_off[turn] = [dict(item) for item in items]
            case {"choices": choices}:
                self.choices = Choices(**choices)
            case {"forked_from": conversation}:
                self.forked_from = conversation

    def _write(self, *lines: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            # A line that a crash cut off must not swallow the next one.
            file.write("".join("\n" + json.dumps(line, ensure_ascii=False) for line in lines))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that are whole: the last one may have been cut off."""
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value
