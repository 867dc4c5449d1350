"""A conversation as it lies on the disk: Claude Code's own record, read without changing it.

One line is one entry. Most of the bytes (what was sent to the model) are of no interest to a reader: a first
pass only notes where the turns lie, and lines are parsed for the turns that somebody looks at.
"""

import base64
import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from webapp import wording
from webapp.board import HEAVIEST, Item, Items, Op, newest, now, weight
from webapp.journal import Ended, Past, Trouble
from webapp.translate import REPORT_OF, Translator, add, end_item, notice, pictures_in, user_item

Json = dict[str, Any]

_ENTRY = re.compile(rb'"uuid":"([0-9a-f-]{36})","timestamp":"|"timestamp":"[^"]+","uuid":"([0-9a-f-]{36})"')
_PARENT = re.compile(rb'\{"parentUuid":"([0-9a-f-]{36})"')
_COST = b'{"type":"cost-state"'
NOT_SPOKEN = (b'{"type":"api-request', b'{"type":"queue-operation"')
"""How the bulk of a transcript's lines begin: no need to look into them."""
_SPOKEN = (b'"type":"user"', b'"type":"assistant"', b'"subtype":"local_command"')
_INTERRUPTED = "[Request interrupted by user"
_COMMAND = re.compile(r"<command-name>(.*?)</command-name>.*?<command-args>(.*?)</command-args>", re.DOTALL)
_COMMAND_OUTPUT = re.compile(r"<local-command-std(?:out|err)>(.*?)</local-command-std(?:out|err)>", re.DOTALL)
_ATTACHED = re.compile(r"<attached-file>(.*)</attached-file>", re.DOTALL)
_FILLER = "No response requested."
"""What Claude Code puts where an answer is missing when it goes on after a turn that was cut off."""
_FINISHED = ("end_turn", "stop_sequence", "max_tokens", "refusal")


def folder_of(config: Path, workspace: Path) -> Path:
    """Where Claude Code keeps the transcripts of this working folder."""
    return config / "projects" / re.sub(r"[^a-zA-Z0-9]", "-", str(workspace))


@dataclass(frozen=True)
class _Line:
    offset: int
    length: int


@dataclass
class _Turn:
    """What a prompt began, up to the next one."""

    prompt: str
    lines: list[_Line] = field(default_factory=list)
    last: str = ""
    """Its last entry, of whatever kind, and where that ends."""
    end: int = 0


@dataclass
class Transcript:
    """Where a transcript's turns lie; `refresh` reads on where it stopped."""

    path: Path
    workspace: str = ""
    size: int = 0
    cost_usd: float = 0.0
    """What the conversation has cost so far, as Claude Code counts it."""
    _turns: list[_Turn] = field(default_factory=list)
    _turn_of: dict[str, int] = field(default_factory=dict)
    """entry -> number of its turn, so that a prompt that goes back behind others is noticed"""
    _items: dict[str, int] = field(default_factory=dict)
    """item -> number of its turn, of what was shown already"""
    _reports: dict[str, str] = field(default_factory=dict)
    """call of a helper in the background -> what came of it, which a later turn tells"""
    _gone: set[str] = field(default_factory=set)
    _cut_off: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)
    """Several threads read on, and translate, at once."""

    @property
    def prompts(self) -> list[str]:
        """The ids of what the person (or a helper's end) said."""
        return [turn.prompt for turn in list(self._turns)]

    def refresh(self) -> None:
        """Notes what was added since; a transcript that became shorter is read anew."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size < self.size:
            self._turns, self._turn_of, self._items, self._reports = [], {}, {}, {}
            self.size, self.cost_usd, self._cut_off = 0, 0.0, False
        if size > self.size:
            self._read_on()
        self.cut(self._gone)

    def cut(self, prompts: set[str]) -> None:
        """From the first of these turns on all gives way to what comes next."""
        self._gone = prompts
        at = next((number for number, turn in enumerate(self._turns) if turn.prompt in prompts), None)
        if at is not None:
            del self._turns[at:]
            self._cut_off = True

    @property
    def goes_on_after(self) -> str | None:
        """The entry that the next turn follows, where that is not the last one."""
        return self._turns[-1].last if self._cut_off and self._turns else None

    def since(self, prompt: str) -> list[str]:
        """The turns from this one on."""
        prompts = self.prompts
        return prompts[prompts.index(prompt) :] if prompt in prompts else []

    def turn_of_item(self, item_id: str, past: Past) -> str | None:
        """The turn that an item belongs to.

        Errors: KeyError if there is no such item.
        """
        with self._lock:
            return self._turns[self._number(item_id, past)].prompt

    def end_of(self, prompt: str) -> int:
        """Where in the file a turn ends."""
        return next(turn.end for turn in list(self._turns) if turn.prompt == prompt)

    def turns(
        self, past: Past, *, since: str | None = None, open_turn: str | None = None
    ) -> Iterator[list[Item]]:
        """The items of each turn (from this one on), oldest first, up to where others take their place."""
        prompts = self.prompts
        for number in range(prompts.index(since) if since else 0, len(prompts)):
            with self._lock:
                if [turn.prompt for turn in self._turns[number : number + 1]] != [prompts[number]]:
                    return
                items = self._translate(number, past, open_turn)
            yield items

    def newest_known(self, items: Sequence[str], past: Past, open_turn: str | None) -> str | None:
        """The last of these that the record has: what came before it can be had from there."""
        places = {item: place for place, item in enumerate(items)}
        with self._lock:
            self._refresh()
            for number in range(len(self._turns) - 1, -1, -1):
                turn = self._translate(number, past, open_turn)
                known = [places[one["id"]] for one in turn if one["id"] in places]
                if known:
                    return items[max(known)]
        return None

    def _read_on(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self.size)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # half a line: its writer is at work, or died
                self._note(line, _Line(self.size, len(line)))
                self.size += len(line)

    def _note(self, line: bytes, place: _Line) -> None:
        if line.startswith(NOT_SPOKEN):
            return
        if line.startswith(_COST):
            self.cost_usd = cost_of(line)
        found = _ENTRY.search(line)
        if not found:
            return
        entry = (found.group(1) or found.group(2)).decode()
        if any(mark in line for mark in _SPOKEN) and b'"isSidechain":true' not in line:
            prompt = prompt_of(line)
            if prompt is not None:
                self._go_back(line)
                self._cut_off = False
                self._turns.append(_Turn(entry))
                self._reports.update(dict.fromkeys(REPORT_OF.findall(prompt), prompt))
            if not self._turns:
                return
            self._turns[-1].lines.append(place)
        self._turn_of[entry] = len(self._turns) - 1
        if self._turns:
            self._turns[-1].last, self._turns[-1].end = entry, place.offset + place.length

    def _go_back(self, line: bytes) -> None:
        """A prompt that follows an older entry replaces the turns in between."""
        parent = _PARENT.match(line)
        turn = self._turn_of.get(parent.group(1).decode()) if parent else None
        if turn is not None:
            del self._turns[turn + 1 :]

    def page(
        self, before: str | None, limit: int, past: Past, *, open_turn: str | None = None
    ) -> tuple[list[Item], bool]:
        """The last items (before this one), as many as one answer holds, and whether there are more.

        `open_turn` is a turn that still goes on, and so has no end.
        Errors: KeyError if `before` is no item of the transcript.
        """
        with self._lock:
            return self._page(before, limit, past, open_turn)

    def picture(self, picture: str, past: Past) -> bytes | None:
        """A picture that a tool brought, by the id that its item names it with."""
        call, _, place = picture.rpartition(".")
        with self._lock:
            self._refresh()
            try:
                turn = self._turns[self._number(call, past)]
            except KeyError:
                return None
            entries = self._entries(turn, b'"tool_use_id":' + json.dumps(call).encode())
            return next((found for entry in entries if (found := _picture(entry, call, place))), None)

    def _page(
        self, before: str | None, limit: int, past: Past, open_turn: str | None
    ) -> tuple[list[Item], bool]:
        items: list[Item] = []
        heavy = 0
        for index, number in enumerate(self._numbers(before, past)):
            fresh = self._translate(number, past, open_turn)
            fresh = _up_to(fresh, before) if before is not None and index == 0 else fresh
            items, heavy = fresh + items, heavy + weight(fresh)
            if len(items) > limit or heavy > HEAVIEST:
                found = newest(items, limit)
                return found, number > 0 or len(found) < len(items)
        return items, False

    def _numbers(self, before: str | None, past: Past) -> Iterator[int]:
        """The turns' numbers, newest first."""
        if before is None:
            yield from range(len(self._turns) - 1, -1, -1)
            return
        yield from range(self._number(before, past), -1, -1)

    def _number(self, item_id: str, past: Past) -> int:
        """Errors: KeyError."""
        if item_id not in self._items:
            # Nobody looked at its turn since the server began: the newest are the likely ones.
            for number in range(len(self._turns) - 1, -1, -1):
                self._translate(number, past, None)
                if item_id in self._items:
                    break
        return self._items[item_id]

    def _translate(self, number: int, past: Past, open_turn: str | None) -> list[Item]:
        turn = self._turns[number]
        reader = _Reader(self.workspace, turn.prompt, self._reports, past)
        items = reader.read(self._entries(turn), is_open=open_turn == turn.prompt)
        for item in items:
            self._items[item["id"]] = number
        return items

    def _entries(self, turn: _Turn, mark: bytes = b"") -> Iterator[Json]:
        """Those in which this stands."""
        with self.path.open("rb") as file:
            for place in turn.lines:
                file.seek(place.offset)
                line = file.read(place.length)
                with contextlib.suppress(ValueError):
                    if mark in line:
                        yield json.loads(line)


def _picture(entry: Json, call: str, place: str) -> bytes | None:
    content = entry["message"]["content"]
    blocks = content if isinstance(content, list) else []
    for block in blocks:
        if block["type"] == "tool_result" and block["tool_use_id"] == call:
            found = {str(at): source for at, source in pictures_in(block.get("content"))}
            with contextlib.suppress(ValueError):
                return base64.b64decode(found[place]["data"]) if place in found else None
    return None


def _up_to(items: list[Item], before: str) -> list[Item]:
    at = next((index for index, item in enumerate(items) if item["id"] == before), 0)
    return items[:at]


# --- one turn ------------------------------------------------------------------------------------------


class _Reader:
    """Turns the entries of one turn into items."""

    def __init__(self, workspace: str, prompt: str, reports: Mapping[str, str], past: Past) -> None:
        self._translator = Translator(workspace)
        self._past = past
        self._reports = reports
        self._items = Items()
        self._prompt = prompt
        self._first_at = self._last_at = ""
        self._outcome = "lost"

    def read(self, entries: Iterator[Json], *, is_open: bool) -> list[Item]:
        trouble = self._past.troubles.get(self._prompt)
        if trouble and trouble.limit is not None:
            self._translator.limit(trouble.limit, trouble.until)
        for entry in entries:
            self._last_at = when(entry)
            self._first_at = self._first_at or self._last_at
            for op in self._ops(entry):
                self._items.apply(op)
                self._show_card(op)
        if not is_open:
            self._close(self._past.ended.get(self._prompt))
        return self._items.all()

    def _show_card(self, op: Op) -> None:
        """A tool that somebody was asked for is followed by the card."""
        card = self._past.cards.get(op["item"]["id"]) if op["op"] == "add" else None
        if card and op["item"]["kind"] == "tool":
            state = "cancelled" if card["state"] == "open" else card["state"]
            self._items.apply(add({**card, "state": state}))

    def _ops(self, entry: Json) -> list[Op]:
        if entry.get("isMeta") or entry.get("isCompactSummary"):
            return []
        match entry.get("type"):
            case "user":
                return self._user(entry)
            case "assistant":
                return self._assistant(entry)
            case "system":
                return self._local_command(entry)
        return []

    def _user(self, entry: Json) -> list[Op]:
        content = entry["message"]["content"]
        if (entry.get("origin") or {}).get("kind") == "task-notification":
            return []
        results = (
            [] if isinstance(content, str) else [block for block in content if block["type"] == "tool_result"]
        )
        if results:
            return [op for block in results for op in self._result(block, entry)]
        text = said(content)
        if text.startswith(_INTERRUPTED):
            self._outcome = "stopped"
            return []
        if sent := self._past.sent.get(entry["uuid"]):
            return [add(user_item(sent.id, when(entry), sent.text, attachments=sent.attachments))]
        return [add(user_item(entry["uuid"], when(entry), command(text) or text))]

    def _result(self, block: Json, entry: Json) -> list[Op]:
        if (entry.get("permissionDecision") or {}).get("decision") == "reject":
            self._translator.denied(block["tool_use_id"])
        call, is_error, detail = block["tool_use_id"], bool(block.get("is_error")), entry.get("toolUseResult")
        ops = self._translator.tool_result(call, block.get("content"), is_error=is_error, detail=detail)
        return ops + self._translator.task_notification(self._reports.get(call, ""))

    def _assistant(self, entry: Json) -> list[Op]:
        message, at = entry["message"], when(entry)
        if said(message["content"]) == _FILLER and message.get("model") == "<synthetic>":
            return []
        if entry.get("isApiErrorMessage"):
            self._outcome = "failed"
            text, status = said(message["content"]), entry.get("apiErrorStatus")
            return self._translator.error(
                f"notice-{entry['uuid']}", at, str(entry.get("error")), text, status
            )
        if message.get("stop_reason") in _FINISHED:
            self._outcome = "completed"
        return self._translator.assistant(message, at, index=entry.get("apiBlockIndex"))

    def _local_command(self, entry: Json) -> list[Op]:
        """A command of Claude Code's own, like /cost: it answered without asking the model."""
        self._outcome = "completed"
        found = _COMMAND_OUTPUT.search(str(entry.get("content", "")))
        if not found or not found.group(1).strip():
            return []
        message = {"id": entry["uuid"], "content": [{"type": "text", "text": found.group(1).strip()}]}
        return self._translator.assistant(message, when(entry))

    def _close(self, ended: Ended | None) -> None:
        for op in self._translator.turn_ends(all_is_over=True):
            self._items.apply(op)
        for item in self._past.cut_off.get(self._prompt, []):
            if not self._holds(item):
                self._items.apply(add(item))
        ended = ended or Ended(self._outcome, self._lasted_ms())
        for item in closing(self._prompt, self._last_at, ended, self._past.troubles.get(self._prompt)):
            self._items.apply(add(item))

    def _holds(self, item: Item) -> bool:
        """Whether the words are in the transcript after all: Claude may outlive its server."""
        return any(
            one["kind"] == item["kind"] and one["text"].startswith(item["text"])
            for one in self._items.all()
            if one["kind"] in ("assistant", "thinking")
        )

    def _lasted_ms(self) -> int | None:
        try:
            lasted = datetime.fromisoformat(self._last_at) - datetime.fromisoformat(self._first_at)
        except ValueError:
            return None
        return int(lasted.total_seconds() * 1000)


_NOTICES = {
    "crashed": (wording.CRASHED, "crashed", "continue"),
    "lost": (wording.LOST, "crashed", "continue"),
    "not_sent": (wording.NOT_SENT, "crashed", "retry"),
    "failed": (wording.failed(""), "failed", "retry"),
    "refused": (wording.REFUSED, "refused", "open_terminal"),
}


def closing(turn: str, at: str, ended: Ended, trouble: Trouble | None = None) -> list[Item]:
    """A turn's last items: its end, and before it what a person must know about it."""
    about = ended.notice or ("lost" if ended.outcome == "lost" else "")
    items = [end_item(turn, at, ended)]
    if about:
        text, code, action = _NOTICES.get(about, _NOTICES["failed"])
        text = trouble.text if trouble and trouble.text else text
        items.insert(0, notice(f"notice-{turn}", at, code, text, action=action))
    return items


# --- entries -------------------------------------------------------------------------------------------


def when(entry: Json) -> str:
    return str(entry.get("timestamp") or now())


def said(content: str | list[Json]) -> str:
    """The words in a message; pictures are named."""
    if isinstance(content, str):
        return content
    words = [block["text"] for block in content if block["type"] == "text"]
    words = [
        f"[{PurePosixPath(found.group(1)).name}]" if (found := _ATTACHED.fullmatch(word)) else word
        for word in words
    ]
    words += ["[a picture]" for block in content if block["type"] == "image"]
    words += ["[a document]" for block in content if block["type"] == "document"]
    return "\n".join(words)


def command(text: str) -> str:
    """ "/name arguments", if this is Claude Code's record of a command."""
    found = _COMMAND.search(text)
    return f"{found.group(1)} {found.group(2)}".strip() if found else ""


def cost_of(line: bytes) -> float:
    try:
        return float(json.loads(line).get("totalCostUSD") or 0)
    except (ValueError, TypeError):
        return 0.0


def prompt_of(line: bytes) -> str | None:
    """What a person said in this entry, or None. A helper's end counts: it begins a turn too."""
    if b'"type":"user"' not in line or b'"isMeta":true' in line or b'"tool_result"' in line:
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if entry.get("type") != "user" or entry.get("isCompactSummary") or entry.get("isMeta"):
        return None
    text = said(entry["message"]["content"])
    return None if text.startswith(_INTERRUPTED) else text
