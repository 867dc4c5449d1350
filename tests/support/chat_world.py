"""A workspace on the disk with the real Claude binary in it, against a stand-in of Anthropic's servers."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from webapp.chat import Chat
from webapp.config import Config
from webapp.problem import Problem, answer_problem
from webapp.settings import Settings

from tests.support.anthropic.standin import Anthropic
from tests.support.uploading import uploads_of

_SDK = importlib.util.find_spec("claude_agent_sdk")
assert _SDK
assert _SDK.origin
CLAUDE = Path(_SDK.origin).parent / "_bundled" / "claude"


def browser(chat: Chat) -> httpx.AsyncClient:
    """Who asks this chat over HTTP."""
    app = Starlette(routes=chat.routes(), exception_handlers={Problem: answer_problem})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://workspace")


class World:
    """A workspace on the disk, and a server that may be started over it again and again."""

    def __init__(self, folder: Path, anthropic: Anthropic) -> None:
        self.config = Config(folder, folder, CLAUDE, 0, "Lilach", "lilach@example.com")
        for place in (self.config.home, self.config.workspace):
            place.mkdir(parents=True)
        self.anthropic = anthropic
        self.login = "key"
        self.settings = Settings()
        self.published: list[dict[str, Any]] = []
        self.extra: dict[str, str] = {"CLAUDE_CODE_MAX_RETRIES": "1"}

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.config.home),
            "CLAUDE_CONFIG_DIR": str(self.config.claude_config),
            **self.anthropic.environment(by=self.login),  # type: ignore[arg-type]
            **self.extra,
        }

    def chat(self) -> Chat:
        uploads = uploads_of(self.config)
        return Chat(self.config, self.environment(), self.published.append, lambda: self.settings, uploads)

    def run(self, story: Callable[[Chat], Awaitable[None]]) -> None:
        """One life of the server."""

        async def life() -> None:
            chat = self.chat()
            try:
                await story(chat)
            finally:
                await chat.close()

        asyncio.run(life())

    def transcript(self, conversation: str) -> Path:
        (path,) = self.config.claude_config.glob(f"projects/*/{conversation}.jsonl")
        return path
