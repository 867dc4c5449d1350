"""The steps of Claude's plan: one list, whichever of its tools notes and ticks them.

Models of Claude Code have either a tool that writes the whole list, or several that change one step each.
"""

from typing import Any

Json = dict[str, Any]

TOOLS = frozenset({"TodoWrite", "TaskCreate", "TaskUpdate", "TaskList"})


class Todos:
    """What a conversation's plan is by now; a step is `{"text", "status"}`, as `docs/protocol.md` says."""

    def __init__(self) -> None:
        self._steps: dict[str, Json] = {}

    def named(self, tool: str, given: Json) -> Json:
        """A call's input, with the name of the step that it is about."""
        known = self._steps.get(str(given.get("taskId"))) if tool == "TaskUpdate" else None
        return {"subject": known["text"], **given} if known else given

    def after(self, tool: str, given: Json, detail: Any) -> list[Json]:
        """The whole list once this call is done; `detail` is Claude Code's own account of it."""
        about = detail if isinstance(detail, dict) else {}
        match tool:
            case "TodoWrite":
                self._take(enumerate(_objects(given.get("todos"))), "content")
            case "TaskList":
                self._take(((one.get("id"), one) for one in _objects(about.get("tasks"))), "subject")
            case "TaskCreate" if isinstance(made := about.get("task"), dict):
                self._steps[str(made.get("id"))] = _step(made, "subject")
            case "TaskUpdate" if about.get("success"):
                self._change(str(given.get("taskId")), given)
        return [dict(step) for step in self._steps.values()]

    def _take(self, steps: Any, name: str) -> None:
        self._steps = {str(key): _step(one, name) for key, one in steps}

    def _change(self, key: str, given: Json) -> None:
        if given.get("status") == "deleted":
            self._steps.pop(key, None)
        elif key in self._steps:
            changed = {"text": given.get("subject"), "status": given.get("status")}
            self._steps[key] |= {name: value for name, value in changed.items() if isinstance(value, str)}


def _objects(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _step(one: Json, name: str) -> Json:
    return {"text": str(one.get(name) or ""), "status": str(one.get("status") or "pending")}
