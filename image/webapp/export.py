"""A conversation as Markdown, for people to keep and to send."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from webapp.board import Item

_ENDS = {
    "stopped": "*You stopped Claude here.*",
    "failed": "*Claude could not finish this.*",
    "lost": "*The workspace was restarted here.*",
}


def markdown(title: str, turns: Iterable[list[Item]]) -> Iterator[str]:
    """The text, turn by turn; what Claude did is folded."""
    yield f"# {_line(title) or 'Conversation'}\n\n"
    for items in turns:
        for item in items:
            if part := _part(item):
                yield f"{part}\n\n"


def _part(item: Item) -> str:
    match item["kind"]:
        case "user":
            return _said("You", item["at"], "\n\n".join([item["text"], *map(_file, item["attachments"])]))
        case "assistant":
            return _said("Claude", item["at"], item["text"])
        case "thinking":
            return _folded("Thinking", item["text"])
        case "tool":
            return _folded(item["title"], _tool(item))
        case "ask":
            return _folded(item["title"], "\n\n".join([_json(item["input"]), _answer(item)]))
        case "notice":
            return f"> {_line(item['text'])}"
        case "end":
            return _ENDS.get(item["outcome"], "")
    return ""


def _said(who: str, at: str, text: str) -> str:
    return f"## {who}\n\n<sub>{at[:16].replace('T', ' ')} UTC</sub>\n\n{text.strip()}"


def _file(attachment: dict[str, Any]) -> str:
    return f"📎 {_line(attachment['name'])}"


def _folded(summary: str, text: str) -> str:
    """A text that opens with a click."""
    escaped = _line(summary).replace("&", "&amp;").replace("<", "&lt;")
    return f"<details><summary>{escaped}</summary>\n\n{text.strip()}\n\n</details>"


def _tool(item: Item) -> str:
    parts = [_json(item["input"])]
    for hunk in item.get("patch") or []:
        parts.append(_fenced("\n".join(hunk["lines"]), "diff"))
    if item["output"]:
        parts.append(_fenced(item["output"]))
    parts += ["*A picture*"] * len(item.get("pictures", []))
    return "\n\n".join(parts)


def _answer(item: Item) -> str:
    answer = item["answer"]
    told = answer if isinstance(answer, str) else _json(answer) if answer else ""
    return f"**{item['state']}** {told}".strip()


def _json(value: Any) -> str:
    return _fenced(json.dumps(value, indent=2, ensure_ascii=False), "json")


def _fenced(text: str, language: str = "") -> str:
    """A block that its own content cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _line(text: str) -> str:
    return " ".join(text.split())
