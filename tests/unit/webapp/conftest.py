"""A workspace of this test alone, and the server in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webapp import NoChat, Served, serving, short_environment, workspace_config
from webapp.app import Server
from webapp.config import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return workspace_config(tmp_path)


@pytest.fixture
def chat() -> NoChat:
    return NoChat()


@pytest.fixture
def served(config: Config, chat: NoChat) -> Iterator[Served]:
    """The whole server but for Claude."""

    def app():  # type: ignore[no-untyped-def]
        server = Server(config, short_environment(config))
        server.chat = chat  # type: ignore[assignment]
        return server.app()

    with serving(app) as served:
        yield served
