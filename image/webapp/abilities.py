"""What Claude Code offers here (models, commands), and what it may do without asking."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webapp.problem import Problem, json_object, not_found

log = logging.getLogger("webapp")

Json = dict[str, Any]

# The page has its own ways for these, or they are no business of a person's.
HIDDEN = frozenset(
    {
        "clear",
        "color",
        "focus",
        "heapdump",
        "rename",
        "reload-plugins",
        "workflow-launch-exec",
        "auto-mode-setup",
    }
)
# Where Claude Code has not told yet: the names that it takes for the newest of each kind.
USUAL_MODELS = [
    {"value": "", "name": "Default", "description": "What Claude recommends", "efforts": []},
    {"value": "opus", "name": "Opus", "description": "For complex tasks", "efforts": []},
    {"value": "sonnet", "name": "Sonnet", "description": "For routine tasks", "efforts": []},
    {"value": "haiku", "name": "Haiku", "description": "For quick answers", "efforts": []},
]
USUAL_COMMANDS = [
    {
        "name": "/compact",
        "description": "Summarise the conversation so far",
        "hint": "<what to keep in mind>",
    },
    {"name": "/context", "description": "Show what fills Claude's memory", "hint": ""},
    {"name": "/init", "description": "Write a CLAUDE.md about this workspace", "hint": ""},
    {"name": "/usage", "description": "Show what this conversation has used", "hint": ""},
]
BEHAVIOURS = ("allow", "ask", "deny")


class Abilities:
    """Known from the last process that began; a workspace in which none did asks one for it."""

    def __init__(
        self,
        file: Path,
        workspace: Path,
        ask: Callable[[], Awaitable[Json]],
        rules_changed: Callable[[], None],
    ) -> None:
        self._file = file
        self._rules = workspace / ".claude" / "settings.local.json"
        self._ask = ask
        self._rules_changed = rules_changed
        self._known: Json | None = None
        self._asking = asyncio.Lock()

    def learn(self, info: Json) -> None:
        """Takes what a process said of itself."""
        known = {"models": _models(info.get("models")), "commands": _commands(info.get("commands"))}
        if known != self._known and known["models"] and known["commands"]:
            self._known = known
            with contextlib.suppress(OSError):
                _save(self._file, known)

    def routes(self) -> list[Route]:
        return [
            Route("/api/models", self._get_models),
            Route("/api/commands", self._get_commands),
            Route("/api/permissions", self._get_rules, methods=["GET"]),
            Route("/api/permissions", self._delete_rule, methods=["DELETE"]),
        ]

    async def _get_models(self, _request: Request) -> Response:
        return JSONResponse({"models": (await self._all()).get("models") or USUAL_MODELS})

    async def _get_commands(self, _request: Request) -> Response:
        return JSONResponse({"commands": (await self._all()).get("commands") or USUAL_COMMANDS})

    async def _all(self) -> Json:
        async with self._asking:
            if self._known is None:
                self._known = await asyncio.to_thread(_read, self._file)
            if self._known is None:
                try:
                    self.learn(await self._ask())
                except Exception as error:
                    # Without Claude there is still a page, and the next process tells.
                    log.warning("Claude Code does not say what it offers: %s", error)
        return self._known or {}

    # --- what "always" has written ---

    async def _get_rules(self, _request: Request) -> Response:
        given = await asyncio.to_thread(self._given)
        rules = [{"rule": rule, "behavior": how} for how in BEHAVIOURS for rule in _texts(given.get(how))]
        return JSONResponse({"rules": rules})

    async def _delete_rule(self, request: Request) -> Response:
        wanted = await json_object(request)
        rule, how = wanted.get("rule"), wanted.get("behavior", "allow")
        if not isinstance(rule, str) or how not in BEHAVIOURS:
            raise Problem(400, "bad_rule", "A rule is named by its text, and allow, ask or deny.")
        try:
            await asyncio.to_thread(self._forget, rule, str(how))
        except OSError as error:
            raise Problem(507, "not_saved", f"The rule could not be removed: {error.strerror}.") from error
        self._rules_changed()
        return Response(status_code=204)

    def _given(self) -> Json:
        permissions = (_read(self._rules) or {}).get("permissions")
        return permissions if isinstance(permissions, dict) else {}

    def _forget(self, rule: str, how: str) -> None:
        given, kept = self._given(), _read(self._rules) or {}
        if rule not in _texts(given.get(how)):
            raise not_found("such rule")
        left = [one for one in given[how] if one != rule]
        _save(self._rules, {**kept, "permissions": {**given, how: left}})


def _models(told: Any) -> list[Json]:
    return [
        {
            "value": "" if one.get("value") == "default" else one.get("value"),
            "name": one.get("displayName") or one.get("value"),
            "description": one.get("description") or "",
            "efforts": one.get("supportedEffortLevels") or [],
        }
        for one in told or []
    ]


def _commands(told: Any) -> list[Json]:
    return [
        {
            "name": f"/{one['name']}",
            "description": one.get("description") or "",
            "hint": one.get("argumentHint") or "",
        }
        for one in told or []
        if one["name"] not in HIDDEN and not one["name"].startswith("__")
    ]


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _read(file: Path) -> Json | None:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _save(file: Path, value: Json) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
    draft.replace(file)
