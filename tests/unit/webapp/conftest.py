"""A workspace of this test alone, and the server in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import webapp.session  # noqa: F401 - before any test imports the SDK in another way than the server does
from webapp.config import Config

from tests.support.webapp import NoChat, Served, serving, workspace_config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return workspace_config(tmp_path)


@pytest.fixture
def chat() -> NoChat:
    return NoChat()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same for all tests of a module that leave it as they found it."""
    config = workspace_config(tmp_path_factory.mktemp("shared"))
    with serving(config, NoChat()) as served:
        yield served


@pytest.fixture
def served(config: Config, chat: NoChat) -> Iterator[Served]:
    """The whole server but for Claude."""
    with serving(config, chat) as served:
        yield served
