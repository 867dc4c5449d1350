"""What a conversation and the Claude Code process that carries it say to each other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from webapp.board import Op
from webapp.translate import Translator

Json = dict[str, Any]


class ProcessError(Exception):
    """Claude Code's process could not be started, or is gone."""


@dataclass(frozen=True)
class Way:
    """How to start the process."""

    claude: Path
    workspace: Path
    environment: dict[str, str]
    conversation: str
    resume: bool
    model: str
    mode: str
    effort: str = ""
    language: str = ""
    after: str | None = None
    """The entry to go on after, where that is not the last one."""


@dataclass(frozen=True)
class Request:
    """Claude asks for a permission, or has a question."""

    tool: str
    input: Json
    tool_use_id: str
    reason: str = ""
    can_always: bool = False


@dataclass(frozen=True)
class Verdict:
    """The person's answer; `message` is what Claude reads after a no."""

    allow: bool
    always: bool = False
    message: str = ""
    input: Json | None = None


Ask = Callable[[Request], Awaitable[Verdict]]


@dataclass(frozen=True)
class Result:
    """The end of a turn, as Claude Code tells it; the cost is that of the whole conversation."""

    outcome: str
    why: str
    total_cost_usd: float | None
    tokens: int | None
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass
class Heard:
    """What one message meant: what it changes, and what it says about the process."""

    ops: list[Op] = field(default_factory=list)
    begins: bool = False
    result: Result | None = None
    state: str | None = None
    background: int | None = None
    mode: str | None = None
    is_refused: bool = False
    """Anthropic does not take the login or the key, and Claude would go on asking for minutes."""


class Process(Protocol):
    """A process; `model`, `mode`, `effort` and `language` are what it has now. All may raise ProcessError."""

    model: str
    mode: str
    effort: str
    language: str
    info: Json
    """What Claude Code said of itself: its models and commands, among others."""

    async def start(self) -> None: ...
    async def send(self, message_id: str, content: str | list[Json]) -> None: ...
    def heard(self, translator: Translator) -> AsyncIterator[Heard]: ...
    async def interrupt(self) -> None: ...
    async def set_model(self, model: str) -> None: ...
    async def set_mode(self, mode: str) -> None: ...
    async def close(self, timeout_s: float = 2.0) -> None: ...
    def kill(self) -> None: ...
