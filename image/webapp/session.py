"""A live Claude Code process that carries one conversation, through the Agent SDK.

The one file that knows the SDK. Importing that takes most of a second: only `chat` does it, in a thread.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

from webapp.board import Op, now
from webapp.lean import without_mcp
from webapp.process import Ask, Heard, ProcessError, Request, Result, Way
from webapp.translate import REFUSALS, Translator

with without_mcp():
    import claude_agent_sdk as sdk
    from claude_agent_sdk.types import EffortLevel, PermissionMode

log = logging.getLogger("webapp")

Json = dict[str, Any]

LONGEST_LINE = 64 * 2**20
"""A tool may bring a picture, and all of a message is one line."""
CLOSING_S = 2.0
REFUSED_AFTER = 3
"""Tries: by then a login that had run out has been renewed."""
OURS = {"CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1", "CLAUDE_CODE_ENABLE_TODO_TOOLS": "1"}
"""Some models get no tools for a list of steps by default; who waits for them sees by it how far they are."""

TIMED = ("CronCreate", "CronDelete", "CronList", "ScheduleWakeup")
"""Tools that promise to act later: by then this process has ended, and the machine sleeps."""


class Session:
    """The process; `model`, `mode`, `effort` and `language` are what it runs with now."""

    def __init__(self, way: Way, ask: Ask) -> None:
        self._ask = ask
        self._errors: deque[str] = deque(maxlen=20)
        self._client = sdk.ClaudeSDKClient(self._options(way))
        self.model, self.mode, self.effort = way.model, way.mode, way.effort
        self.language = way.language
        self.info: Json = {}
        self.pid: int | None = None

    def _options(self, way: Way) -> sdk.ClaudeAgentOptions:
        return sdk.ClaudeAgentOptions(
            cli_path=way.claude,
            cwd=way.workspace,
            env=_only(way.environment | OURS),
            system_prompt={"type": "preset", "preset": "claude_code"},
            setting_sources=["user", "project", "local"],
            include_partial_messages=True,
            can_use_tool=self._can_use_tool,
            disallowed_tools=list(TIMED),
            permission_mode=cast(PermissionMode, way.mode),
            model=way.model or None,
            max_buffer_size=LONGEST_LINE,
            stderr=self._errors.append,
            resume=way.conversation if way.resume else None,
            session_id=None if way.resume else way.conversation,
            resume_session_at=way.after,
            effort=cast(EffortLevel, way.effort) if way.effort else None,
            settings=json.dumps({"language": way.language}) if way.language else None,
        )

    async def start(self) -> None:
        """Errors: ProcessError."""
        try:
            await self._client.connect()
        except Exception as error:
            # The SDK raises whatever went wrong; what the process said is the better reason.
            raise ProcessError(self.last_words() or str(error)) from error
        self.info = await self._client.get_server_info() or {}
        self.pid = self.info.get("pid")

    async def send(self, message_id: str, content: str | list[Json]) -> None:
        """Errors: ProcessError."""

        async def one() -> AsyncIterator[Json]:
            message = {"role": "user", "content": content}
            yield {"type": "user", "uuid": message_id, "message": message, "parent_tool_use_id": None}

        try:
            await self._client.query(one())
        except Exception as error:
            raise ProcessError(str(error)) from error

    async def heard(self, translator: Translator) -> AsyncIterator[Heard]:
        """All that Claude says, until the process is gone.

        Errors: ProcessError.
        """
        try:
            async for message in self._client.receive_messages():
                yield interpret(message, translator, now())
        except Exception as error:
            raise ProcessError(self.last_words() or str(error)) from error

    async def interrupt(self) -> None:
        await self._client.interrupt()

    async def set_model(self, model: str) -> None:
        await self._client.set_model(model or None)
        self.model = model

    async def set_mode(self, mode: str) -> None:
        await self._client.set_permission_mode(cast(PermissionMode, mode))
        self.mode = mode

    async def close(self, timeout_s: float = CLOSING_S) -> None:
        """Lets the process write what it has to, and ends it in any case."""
        # A disconnect that is cut short leaves a process that nobody waits for: it is never cancelled.
        leaving = asyncio.create_task(self._disconnect())
        try:
            await asyncio.wait([leaving], timeout=timeout_s)
        finally:
            if not leaving.done():
                self.kill()
        await asyncio.wait([leaving], timeout=timeout_s)

    async def _disconnect(self) -> None:
        try:
            await self._client.disconnect()
        except Exception:
            log.exception("A Claude process could not be closed")

    def kill(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def last_words(self) -> str:
        return "\n".join(self._errors)

    async def _can_use_tool(
        self, tool: str, given: Json, context: sdk.ToolPermissionContext
    ) -> sdk.PermissionResultAllow | sdk.PermissionResultDeny:
        # A suggestion may also be a new mode or folder: only rules are what "always" means.
        rules = [one for one in context.suggestions if one.type == "addRules"]
        reason = context.decision_reason or ""
        request = Request(tool, given, context.tool_use_id or "", reason, can_always=bool(rules))
        verdict = await self._ask(request)
        if not verdict.allow:
            return sdk.PermissionResultDeny(message=verdict.message)
        return sdk.PermissionResultAllow(
            updated_input=verdict.input,
            updated_permissions=rules if verdict.always else None,
        )


def _only(environment: dict[str, str]) -> dict[str, str]:
    """The SDK lays these variables over the server's own; what is not among them is blanked."""
    return {name: "" for name in os.environ if name not in environment} | environment


# --- what the messages mean ----------------------------------------------------------------------------


def interpret(message: sdk.Message, translator: Translator, at: str) -> Heard:
    """What a message changes in the conversation, and what it says about the process."""
    match message:
        case sdk.StreamEvent():
            return Heard([] if message.parent_tool_use_id else translator.stream(message.event, at))
        case sdk.AssistantMessage():
            return Heard(_assistant(message, translator, at))
        case sdk.UserMessage():
            return Heard(_user(message, translator))
        case sdk.ResultMessage():
            return Heard(result=_result(message))
        case sdk.RateLimitEvent():
            _limit(message, translator)
        case sdk.TaskNotificationMessage():
            ok = message.status == "completed"
            return Heard(translator.task_done(message.tool_use_id, ok=ok, summary=message.summary))
        case sdk.SystemMessage():
            return _system(message, translator, at)
    return Heard()


def _assistant(message: sdk.AssistantMessage, translator: Translator, at: str) -> list[Op]:
    blocks = [block for one in message.content if (block := _block(one))]
    if message.error:
        text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
        return translator.error(f"notice-{message.uuid}", at, message.error, text)
    whole = {"id": message.message_id or message.uuid, "content": blocks}
    return translator.assistant(whole, at, parent=message.parent_tool_use_id)


def _block(block: Any) -> Json | None:
    match block:
        case sdk.TextBlock():
            return {"type": "text", "text": block.text}
        case sdk.ThinkingBlock():
            return {"type": "thinking", "thinking": block.thinking}
        case sdk.ToolUseBlock():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}
    return None


def _user(message: sdk.UserMessage, translator: Translator) -> list[Op]:
    if isinstance(message.content, str):
        return []
    results = [block for block in message.content if isinstance(block, sdk.ToolResultBlock)]
    detail = message.tool_use_result if len(results) == 1 else None
    return [
        op
        for block in results
        for op in translator.tool_result(
            block.tool_use_id, block.content, is_error=bool(block.is_error), detail=detail
        )
    ]


def _result(message: sdk.ResultMessage) -> Result:
    aborted = (message.terminal_reason or "").startswith("aborted")
    outcome = "stopped" if aborted else "failed" if message.is_error else "completed"
    why = "\n".join(message.errors or []) or message.result or ""
    read, written = _tokens(message.usage, *_READ), _tokens(message.usage, "output_tokens")
    tokens = read + written if message.usage else None
    return Result(outcome, why, message.total_cost_usd, tokens, read, written)


_READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _tokens(usage: Json | None, *kinds: str) -> int:
    return sum(int((usage or {}).get(kind) or 0) for kind in kinds)


def _limit(message: sdk.RateLimitEvent, translator: Translator) -> None:
    info = message.rate_limit_info
    if info.status != "rejected":
        return
    until = datetime.fromtimestamp(info.resets_at, UTC).isoformat() if info.resets_at else None
    translator.limit(info.rate_limit_type, until)


def _system(message: sdk.SystemMessage, translator: Translator, at: str) -> Heard:
    data = message.data
    match message.subtype:
        case "init":
            return Heard(begins=True, mode=data.get("permissionMode"))
        case "status":
            return Heard(mode=data.get("permissionMode"))
        case "session_state_changed":
            return Heard(state=data.get("state"))
        case "background_tasks_changed":
            return Heard(background=len(data.get("tasks") or []))
        case "api_retry":
            attempt, most = int(data.get("attempt") or 1), int(data.get("max_retries") or 1)
            status, item_id = data.get("error_status"), f"notice-{data.get('uuid')}"
            ops = translator.retry(item_id, at, attempt=attempt, most=most, status=status)
            return Heard(ops, is_refused=status in REFUSALS and attempt >= REFUSED_AFTER)
    return Heard()
