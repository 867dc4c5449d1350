"""From what Claude says and does to a conversation's items; the same for a live turn and for a transcript.

Nothing here waits, reads or imports the SDK: calls come in the order in which things happened, ops go out.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from webapp import wording
from webapp.board import Item, Op
from webapp.journal import Ended, Trouble
from webapp.todos import TOOLS as PLANNING_TOOLS
from webapp.todos import Todos

Json = dict[str, Any]

LONGEST_OUTPUT = 64 * 1024
REFUSALS = (401, 403)
HELPERS = frozenset({"Agent", "Task"})
ASKING_TOOLS = {"AskUserQuestion": "question", "ExitPlanMode": "plan"}
"""Tools that are a card for the person and nothing else."""

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
LARGEST_PICTURE = 14 * 2**20
"""Of its base64: no tool of Claude Code's own brings more than half of it."""

_OFFLINE = re.compile(
    r"ECONN|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|certificate|connection|network|timed out|"
    r"fetch failed",
    re.IGNORECASE,
)
_NOT_FOR_PEOPLE = re.compile(
    r"</?tool_use_error>|<tools-used-before-summary>.*?</tools-used-before-summary>\s*"
)
_REPORT = re.compile(r"<(summary|result)>(.*?)</\1>", re.DOTALL)
REPORT_OF = re.compile(r"<tool-use-id>(.*?)</tool-use-id>")


def add(item: Item) -> Op:
    return {"op": "add", "item": item}


def append(item_id: str, name: str, text: str) -> Op:
    return {"op": "append", "id": item_id, "field": name, "text": text}


def change(item_id: str, **patch: Any) -> Op:
    return {"op": "set", "id": item_id, "patch": patch}


def ask_id(tool_use_id: str) -> str:
    return f"ask-{tool_use_id}"


@dataclass
class _Tool:
    """A call without a result yet."""

    item_id: str
    name: str
    input: Json
    parent: str | None
    denied: bool = False


@dataclass
class _Block:
    """A part of the message that streams in; settled once it came whole, too."""

    kind: str
    item_id: str
    shown: bool = False
    settled: bool = False


@dataclass
class _Trouble:
    """What went wrong in this turn: one notice, however often it was tried."""

    item_id: str
    code: str


@dataclass
class Translator:
    """Remembers of a conversation what its next happening needs."""

    workspace: str = ""
    _message: str = ""
    _open: dict[int, _Block] = field(default_factory=dict)
    _newest: int = -1
    _broken: list[_Block] = field(default_factory=list)
    """Blocks of a message whose connection broke: what is sent again takes their place."""
    _counted: dict[str, int] = field(default_factory=dict)
    _tools: dict[str, _Tool] = field(default_factory=dict)
    _background: dict[str, _Tool] = field(default_factory=dict)
    _questions: dict[str, tuple[_Tool, str]] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _todos: Todos = field(default_factory=Todos)
    _plans: dict[str, bool] = field(default_factory=dict)
    """Of this turn's items that are about the plan, in their order, whether they show it yet."""
    _retry: _Trouble | None = None
    _limit: tuple[str | None, str | None] | None = None
    troubled: bool = False
    """Whether this turn has told what went wrong."""
    limited: Trouble | None = None
    """Which limit that was, if it was one: a transcript does not say it."""

    # --- a message that streams in ---

    def stream(self, event: Json, at: str) -> list[Op]:
        """One event of the Messages API."""
        match event.get("type"):
            case "message_start":
                return self._message_starts(str(event["message"]["id"]))
            case "content_block_start":
                return self._block_starts(event["index"], event["content_block"], at)
            case "content_block_delta":
                return self._block_grows(event["index"], event["delta"], at)
            case "content_block_stop":
                return self._block_ends(event["index"])
        return []

    def _message_starts(self, message_id: str) -> list[Op]:
        self._broken += self._unsettled()
        self._message, self._open, self._newest = message_id, {}, -1
        return self._recovered()

    def _unsettled(self) -> list[_Block]:
        return [block for block in self._open.values() if block.shown and not block.settled]

    def _block_starts(self, index: int, block: Json, at: str) -> list[Op]:
        kind = block["type"]
        self._newest = index
        if kind == "tool_use":
            return self._tool_begins(index, block, at)
        if kind not in ("text", "thinking"):
            return []
        again = self._again(kind)
        self._open[index] = again or _Block(kind, f"{self._message}.{index}")
        return [change(again.item_id, text="", done=False)] if again else []

    def _again(self, kind: str) -> _Block | None:
        found = next((block for block in self._broken if block.kind == kind), None)
        if found:
            self._broken.remove(found)
        return found

    def _block_grows(self, index: int, delta: Json, at: str) -> list[Op]:
        text = delta.get("text") or delta.get("thinking")
        block = self._open.get(index)
        if not text or not block or block.kind == "tool_use":
            return []
        if block.shown:
            return [append(block.item_id, "text", text)]
        block.shown = True
        return [add(_said(block.kind, block.item_id, at, text, done=False))]

    def _block_ends(self, index: int) -> list[Op]:
        block = self._open.get(index)
        if not block or not block.shown or block.settled or block.kind == "tool_use":
            return []
        return [change(block.item_id, done=True)]

    def _tool_begins(self, index: int, block: Json, at: str) -> list[Op]:
        """The card of a tool stands before its input is complete: a long file takes a while to write."""
        if block["name"] in ASKING_TOOLS:
            return []
        again = self._again("tool_use")
        item_id = again.item_id if again else block["id"]
        self._open[index] = _Block("tool_use", item_id, shown=True)
        tool = self._begun(block["id"], _Tool(item_id, block["name"], {}, None))
        title = wording.activity(block["name"], {}, self.workspace, done=False)
        if again:
            self._forget_tool(item_id, but=block["id"])
            return [change(item_id, name=block["name"], title=title, input={})]
        return [add(_tool_item(item_id, at, tool, title))]

    def _begun(self, call: str, tool: _Tool) -> _Tool:
        self._tools[call] = tool
        if tool.name in PLANNING_TOOLS:
            self._plans.setdefault(tool.item_id, False)
        return tool

    def _forget_tool(self, item_id: str, but: str) -> None:
        gone = [key for key, tool in self._tools.items() if tool.item_id == item_id and key != but]
        for key in gone:
            del self._tools[key]

    def words(self) -> list[str]:
        """The items that hold what was said last, which a transcript may not have yet."""
        blocks = [*self._broken, *self._open.values()]
        return [block.item_id for block in blocks if block.shown and block.kind != "tool_use"]

    # --- whole messages ---

    def assistant(
        self, message: Json, at: str, *, index: int | None = None, parent: str | None = None
    ) -> list[Op]:
        """Whole blocks of one message; `index` is the first one's place in it where that is known."""
        ops: list[Op] = []
        for block in message["content"]:
            place = self._place(message["id"], index)
            index = None if index is None else index + 1
            if block["type"] == "tool_use":
                ops += self._calls(block, at, parent)
            elif block["type"] in ("text", "thinking") and parent is None:
                ops += self._says(message["id"], place, block, at)
        return ops

    def _place(self, message_id: str, index: int | None) -> int:
        if index is None:
            index = self._newest if message_id == self._message else self._counted.get(message_id, 0)
        self._counted[message_id] = index + 1
        return index

    def _says(self, message_id: str, index: int, block: Json, at: str) -> list[Op]:
        text = block.get(block["type"]) or ""
        streamed = self._open.get(index) if message_id == self._message else None
        if streamed:
            streamed.settled = True
            if streamed.shown:
                return [change(streamed.item_id, text=text, done=True)]
        if not text.strip():
            return []
        return [add(_said(block["type"], f"{message_id}.{index}", at, text, done=True))]

    def _calls(self, block: Json, at: str, parent: str | None) -> list[Op]:
        name, given = block["name"], block["input"]
        if name in ASKING_TOOLS:
            self._questions[block["id"]] = _Tool(block["id"], name, given, parent), at
            return []
        title = self._title(name, given, done=False)
        known = self._tools.get(block["id"])
        if known:
            known.input = given
            for streamed in self._open.values():
                streamed.settled = streamed.settled or streamed.item_id == known.item_id
            return [change(known.item_id, input=_bounded(given), title=title)]
        tool = self._begun(block["id"], _Tool(block["id"], name, given, parent))
        return [add(_tool_item(block["id"], at, tool, title))]

    # --- what came of tools and questions ---

    def tool_result(self, tool_use_id: str, content: Any, *, is_error: bool, detail: Any = None) -> list[Op]:
        """What a tool brought; `detail` is Claude Code's own account of it."""
        if tool_use_id in self._questions:
            return self._question_settled(tool_use_id, content, is_error=is_error, detail=detail)
        tool = self._tools.pop(tool_use_id, None)
        if not tool:
            return []
        if isinstance(detail, dict) and detail.get("isAsync"):
            self._background[tool_use_id] = tool
            return []
        status = "denied" if tool.denied else "failed" if is_error else "done"
        # What helpers bring lies elsewhere, where nobody looks for pictures.
        pictures = [] if tool.parent else [_picture(tool_use_id, at, one) for at, one in pictures_in(content)]
        ops = [self._finished(tool, status, _output(content, detail, named=not pictures))]
        if pictures:
            ops.append(change(tool.item_id, pictures=pictures))
        if patch := _patch(detail):
            ops.append(change(tool.item_id, patch=patch))
        if tool.name in PLANNING_TOOLS and status == "done":
            ops += self._planned(tool, detail)
        return ops

    def _planned(self, tool: _Tool, detail: Any) -> list[Op]:
        """Calls that were made together end in any order: those after this one show what it changed, too."""
        todos = _bounded(self._todos.after(tool.name, tool.input, detail))
        self._plans[tool.item_id] = True
        later = itertools.dropwhile(lambda item_id: item_id != tool.item_id, self._plans)
        return [change(item_id, todos=todos) for item_id in later if self._plans[item_id]]

    def _finished(self, tool: _Tool, status: str, output: str) -> Op:
        title = self._title(tool.name, tool.input, done=True)
        return change(tool.item_id, status=status, output=output, title=title)

    def _title(self, name: str, given: Json, *, done: bool) -> str:
        return wording.activity(name, self._todos.named(name, given), self.workspace, done=done)

    def denied(self, tool_use_id: str) -> None:
        """The person said no: the result to come is no failure."""
        if tool_use_id in self._tools:
            self._tools[tool_use_id].denied = True

    def task_done(self, tool_use_id: str | None, *, ok: bool, summary: str) -> list[Op]:
        """A helper that worked in the background came to its end."""
        tool = self._background.pop(tool_use_id or "", None)
        return [self._finished(tool, "done" if ok else "failed", _cut(summary))] if tool else []

    def task_notification(self, text: str) -> list[Op]:
        """The same, as a transcript has it."""
        found = REPORT_OF.search(text)
        if not found:
            return []
        report = dict(_REPORT.findall(text))
        ok = "<status>completed</status>" in text
        return self.task_done(
            found.group(1), ok=ok, summary=report.get("result") or report.get("summary", "")
        )

    def knows(self, tool_use_id: str) -> bool:
        """Whether this call has been heard of and waits for its result."""
        return tool_use_id in self._tools or tool_use_id in self._questions

    def works_beside(self, asked: Iterable[str]) -> bool:
        """Whether something goes on while these calls wait for the person.

        Calls begin in their order, helpers all at once: what came before one that waits does run.
        """
        waiting = self._with_those_above(asked)
        held_up: list[_Tool] = []
        for call, tool in self._tools.items():
            if call in waiting:
                held_up.append(tool)
            elif not any(_waits_behind(tool, other) for other in held_up):
                return True
        return any(call not in waiting for call in self._background)

    def _with_those_above(self, calls: Iterable[str]) -> set[str]:
        """These calls, and the helpers that made them."""
        found: set[str] = set()
        for call in calls:
            above: str | None = call
            while above and above not in found:
                found.add(above)
                tool = self._tools.get(above) or self._background.get(above)
                tool = tool or self._questions.get(above, (None, ""))[0]
                above = tool.parent if tool else None
        return found

    def asked(self, tool_use_id: str) -> Json | None:
        """Somebody shows a card for this call; the input that Claude gave it, if it is known."""
        self._asked.add(tool_use_id)
        if tool_use_id in self._questions:
            return self._questions[tool_use_id][0].input
        return None

    def _question_settled(self, tool_use_id: str, content: Any, *, is_error: bool, detail: Any) -> list[Op]:
        tool, at = self._questions.pop(tool_use_id)
        if tool_use_id in self._asked:
            return []
        answers = detail.get("answers") if isinstance(detail, dict) else None
        settled = "answered" if tool.name == "AskUserQuestion" else "allowed"
        answer = _cut(_text(content)) if is_error else answers
        state = "denied" if is_error else settled
        return [
            add(ask_item(tool_use_id, at, tool.name, tool.input, self.workspace, state=state, answer=answer))
        ]

    # --- what goes wrong ---

    def limit(self, kind: str | None, until: str | None) -> None:
        """The plan's limit is reached; the error that follows is about it."""
        self._limit = kind, until

    def retry(self, item_id: str, at: str, *, attempt: int, most: int, status: int | None) -> list[Op]:
        """An answer failed and is tried again. An expired login renews itself: nobody needs to know."""
        if status in REFUSALS:
            return []
        code = "offline" if status is None else "overloaded"
        text = wording.trying_again(code, attempt, most)
        if self._retry:
            self._retry.code = code
            return [change(self._retry.item_id, code=code, text=text)]
        self._retry = _Trouble(item_id, code)
        return [add(notice(item_id, at, code, text, action=None))]

    def _recovered(self) -> list[Op]:
        if not self._retry:
            return []
        trouble, self._retry = self._retry, None
        return [change(trouble.item_id, text=wording.went_on(trouble.code), resolved=True)]

    def error(self, item_id: str, at: str, kind: str, text: str, status: int | None = None) -> list[Op]:
        """The answer is an error."""
        code, words, until = self._worded(kind, text, status)
        self.troubled = True
        if code == "rate_limited" and self._limit:
            self.limited = Trouble(limit=self._limit[0] or "", until=until)
        if self._retry:
            trouble, self._retry = self._retry, None
            return [change(trouble.item_id, code=code, text=words, until=until, action=cure(code, words))]
        return [add(notice(item_id, at, code, words, until))]

    def _worded(self, kind: str, text: str, status: int | None) -> tuple[str, str, str | None]:
        if kind == "authentication_failed":
            if "not logged in" in text.lower():
                return "not_connected", wording.NOT_CONNECTED, None
            return "login_expired", wording.LOGIN_EXPIRED, None
        if kind == "rate_limit" and self._limit:
            limit, until = self._limit
            return "rate_limited", wording.limit_reached(limit), until
        if kind in ("rate_limit", "overloaded") or (status and status >= 500):
            return "overloaded", wording.OVERLOADED, None
        if kind == "server_error" and status is None and _OFFLINE.search(text):
            return "offline", wording.OFFLINE, None
        if kind == "server_error" and "529" in text:
            return "overloaded", wording.OVERLOADED, None
        if "selected model" in text:
            return "failed", wording.UNKNOWN_MODEL, None
        return "failed", wording.failed(text), None

    # --- the end of a turn ---

    def turn_ends(self, *, all_is_over: bool = False) -> list[Op]:
        """Nothing of the turn goes on after its end, but what works in the background, unless all is over."""
        ops = [
            change(block.item_id, done=True)
            for block in [*self._broken, *self._unsettled()]
            if block.kind != "tool_use"
        ]
        helpers = set(self._background) if not all_is_over else set()
        ended = {key: tool for key, tool in self._tools.items() if tool.parent not in helpers}
        if all_is_over:
            ended |= self._background
            self._background = {}
        ops += [self._finished(tool, "denied" if tool.denied else "failed", "") for tool in ended.values()]
        ops += self._unanswered()
        self._tools = {key: tool for key, tool in self._tools.items() if key not in ended}
        self._open, self._broken, self._counted, self._message, self._plans = {}, [], {}, "", {}
        self._asked, self._limit, self._retry, self.troubled, self.limited = set(), None, None, False, None
        return ops

    def _unanswered(self) -> list[Op]:
        ops = [
            add(ask_item(key, at, tool.name, tool.input, self.workspace, state="cancelled"))
            for key, (tool, at) in self._questions.items()
            if key not in self._asked
        ]
        self._questions = {}
        return ops


def _waits_behind(tool: _Tool, other: _Tool) -> bool:
    return tool.parent == other.parent and not (tool.name in HELPERS and other.name in HELPERS)


# --- items ---------------------------------------------------------------------------------------------


def user_item(
    item_id: str, at: str, text: str, *, queued: bool = False, attachments: Iterable[Json] = ()
) -> Item:
    about = {"text": text, "queued": queued, "attachments": list(attachments)}
    return {"kind": "user", "id": item_id, "at": at, **about}


_CURES = {
    "not_connected": "open_terminal",
    "login_expired": "open_terminal",
    "refused": "open_terminal",
    "rate_limited": "wait",
    "crashed": "continue",
}


def cure(code: str, text: str = "") -> str:
    """What a person can do about it."""
    return "choose_model" if text == wording.UNKNOWN_MODEL else _CURES.get(code, "retry")


_BY_CODE = "by its code"


def notice(
    item_id: str, at: str, code: str, text: str, until: str | None = None, *, action: str | None = _BY_CODE
) -> Item:
    action = cure(code, text) if action == _BY_CODE else action
    about = {"code": code, "text": text, "until": until, "action": action, "resolved": False}
    return {"kind": "notice", "id": item_id, "at": at, **about}


def end_item(turn_id: str, at: str, ended: Ended) -> Item:
    """A turn's end; there is one for each turn, since its id is the turn's."""
    figures = {"duration_ms": ended.duration_ms, "cost_usd": ended.cost_usd, "tokens": ended.tokens}
    return {"kind": "end", "id": f"end-{turn_id}", "at": at, "outcome": ended.outcome, **figures}


def ask_item(
    tool_use_id: str,
    at: str,
    tool: str,
    given: Json,
    workspace: str,
    *,
    reason: str = "",
    can_always: bool = False,
    state: str = "open",
    answer: Any = None,
) -> Item:
    return {
        "kind": "ask",
        "id": ask_id(tool_use_id),
        "at": at,
        "ask": ASKING_TOOLS.get(tool, "permission"),
        "tool": tool,
        "input": _bounded(given),
        "title": wording.request(tool, given, workspace),
        "reason": reason,
        "can_always": can_always,
        "state": state,
        "answer": answer,
    }


def _said(kind: str, item_id: str, at: str, text: str, *, done: bool) -> Item:
    return {
        "kind": "assistant" if kind == "text" else kind,
        "id": item_id,
        "at": at,
        "text": text,
        "done": done,
    }


def _tool_item(item_id: str, at: str, tool: _Tool, title: str) -> Item:
    shown = {"name": tool.name, "input": _bounded(tool.input), "title": title}
    state: Json = {"status": "running", "output": "", "parent": tool.parent}
    brought: Json = {"patch": None, "pictures": [], "todos": None}
    return {"kind": "tool", "id": item_id, "at": at, **shown, **state, **brought}


def _patch(detail: Any) -> list[Json]:
    """What an edit changed, hunk by hunk, up to what a page can show."""
    hunks = detail.get("structuredPatch") if isinstance(detail, dict) else None
    shown: list[Json] = []
    room = LONGEST_OUTPUT
    for hunk in hunks if isinstance(hunks, list) else []:
        room -= sum(map(len, hunk["lines"]))
        if room < 0:
            break
        shown.append({name: hunk[name] for name in ("oldStart", "oldLines", "newStart", "newLines", "lines")})
    return shown


def pictures_in(content: Any) -> list[tuple[int, Json]]:
    """The sources of the pictures that a page can show, each with its place in what a tool brought."""
    blocks = content if isinstance(content, list) else []
    pictures = [(at, block) for at, block in enumerate(blocks) if block.get("type") == "image"]
    sources = [(at, block.get("source") or {}) for at, block in pictures]
    return [(at, source) for at, source in sources if _can_be_shown(source)]


def _can_be_shown(source: Json) -> bool:
    is_known = source.get("type") == "base64" and source.get("media_type") in PICTURES
    return is_known and len(source.get("data") or "") <= LARGEST_PICTURE


def _picture(tool_use_id: str, at: int, source: Json) -> Json:
    return {"id": f"{tool_use_id}.{at}", "type": source["media_type"]}


def _output(content: Any, detail: Any, *, named: bool) -> str:
    """What the tool said; a helper's report without the frame that is meant for Claude.

    Pictures are `named` where nobody can see them.
    """
    if isinstance(detail, dict) and "agentId" in detail and detail.get("content"):
        content = detail["content"]
    return _cut(_NOT_FOR_PEOPLE.sub("", _text(content, named=named)).strip("\n"))


def _text(content: Any, *, named: bool = True) -> str:
    if isinstance(content, str):
        return content
    parts = []
    for block in content or []:
        if block.get("type") == "text":
            parts.append(str(block.get("text") or ""))
        elif block.get("type") == "image" and named:
            parts.append("[a picture]")
    return "\n".join(parts)


def _bounded(value: Any) -> Any:
    """The same, with every text in it cut to what a page can show."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, dict):
        return {name: _bounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_bounded(one) for one in value]
    return value


def _cut(text: str) -> str:
    if len(text) <= LONGEST_OUTPUT:
        return text
    return f"{text[:LONGEST_OUTPUT]}\n… ({len(text) - LONGEST_OUTPUT:,} more characters)"
