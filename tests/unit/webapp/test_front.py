"""What answers first, and how the rest comes to it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import httpx
import pytest
from webapp.app import Server
from webapp.front import Front

from tests.support.webapp import short_environment, workspace_config


async def live_for(front: Front, turns: int) -> None:
    """Is told to end so many turns of the loop after something has asked for the rest."""
    async with front._life():
        front._wanted.set()
        for _ in range(turns):
            await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(16))
def test_an_end_in_the_middle_of_loading_is_quiet(tmp_path: Path, turns: int) -> None:
    config = workspace_config(tmp_path)
    front = Front(config, short_environment(config))
    asyncio.run(live_for(front, turns))
    gc.collect()  # what was begun and never awaited would complain now
    assert not front.failed


@pytest.mark.parametrize(("path", "loads"), [("/health", False), ("/", True)])
def test_the_rest_is_loaded_for_a_visitor_and_not_for_a_look(
    tmp_path: Path, path: str, loads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.front.LOADED_AFTER_S", 0.0)
    config = workspace_config(tmp_path)
    front = Front(config, short_environment(config))

    async def load() -> Server:
        asked.set()
        raise EOFError

    async def work() -> None:
        monkeypatch.setattr(front, "_load", load)
        async with front._life(), httpx.AsyncClient(transport=httpx.ASGITransport(front._answer)) as ask:
            assert (await ask.get(f"http://page{path}")).is_success
            await asyncio.sleep(0.05)
        assert asked.is_set() == loads

    asked = asyncio.Event()
    asyncio.run(work())
