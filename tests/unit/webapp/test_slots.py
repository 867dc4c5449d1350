"""How many conversations Claude works in at once: those that wait for the person keep nobody waiting."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from webapp import chat as chat_module
from webapp import memory
from webapp.chat import MOST_PROCESSES, ROOM_MB, Chat
from webapp.config import Config
from webapp.process import Ask, Heard, Request, Result, Way
from webapp.settings import Settings
from webapp.translate import Translator

from tests.support.chat_page import Page, soon
from tests.support.uploading import uploads_of
from tests.support.webapp import run_async


class Claude:
    """A process that asks for a permission if it is told to "ask", and else works until `finish`."""

    model = mode = effort = language = ""
    info: dict[str, Any] = {}

    def __init__(self, way: Way, ask: Ask) -> None:
        self.way = way
        self._ask = ask
        self._heard: asyncio.Queue[Heard | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None: ...
    async def set_model(self, model: str) -> None: ...
    async def set_mode(self, mode: str) -> None: ...

    async def send(self, _message_id: str, content: Any) -> None:
        if content == "ask":
            task = asyncio.create_task(self._asks())
            self._tasks.add(task)

    async def _asks(self) -> None:
        await self._ask(Request("Bash", {}, f"call-{uuid.uuid4()}"))
        self.finish()

    def finish(self) -> None:
        self._heard.put_nowait(Heard(result=Result("completed", "", None, None)))

    async def heard(self, _translator: Translator) -> AsyncIterator[Heard]:
        while heard := await self._heard.get():
            yield heard

    async def interrupt(self) -> None:
        self.kill()

    async def close(self, timeout_s: float = 0) -> None:
        for task in self._tasks:
            task.cancel()

    def kill(self) -> None:
        self._heard.put_nowait(None)


class Workspace:
    def __init__(self, folder: Path) -> None:
        config = Config(folder, folder, folder / "no-claude", 0, "Lilach", "lilach@example.com")
        self.chat = Chat(config, {}, lambda _message: None, Settings, uploads_of(config))
        self.started: dict[str, Claude] = {}
        self.chat._starter = self._starter  # type: ignore[method-assign, assignment]

    async def _starter(self) -> Callable[[Way, Ask], Any]:
        def start(way: Way, ask: Ask) -> Claude:
            self.started[way.conversation] = Claude(way, ask)
            return self.started[way.conversation]

        return start

    async def page(self, text: str) -> Page:
        page = await Page(self.chat).follow()
        await page.send(text)
        return page

    async def begun(self, page: Page) -> None:
        await soon(lambda: page.conversation in self.started, "Claude to begin")

    def run(self, story: Callable[[Workspace], Awaitable[None]]) -> None:
        async def life() -> None:
            try:
                await story(self)
            finally:
                await self.chat.close()

        run_async(life)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr("webapp.conversation.CATCH_UP_S", 0.0)
    monkeypatch.setattr(chat_module, "free_mb", lambda: ROOM_MB)
    return Workspace(tmp_path)


async def with_cards(workspace: Workspace) -> list[Page]:
    pages = [await workspace.page("ask") for _ in range(MOST_PROCESSES)]
    for page in pages:
        await page.card()
    return pages


def test_conversations_that_wait_for_the_person_keep_no_other_waiting(workspace: Workspace) -> None:
    async def story(workspace: Workspace) -> None:
        await with_cards(workspace)
        more = [await workspace.page("work") for _ in range(MOST_PROCESSES)]
        for page in more:
            await workspace.begun(page)
        assert [page.of("notice") for page in more] == [[]] * MOST_PROCESSES

    workspace.run(story)


def test_without_memory_the_next_one_says_what_it_waits_for_and_begins_with_the_answer(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "free_mb", lambda: ROOM_MB - 1)

    async def story(workspace: Workspace) -> None:
        first, *_ = await with_cards(workspace)
        page = await workspace.page("work")
        await soon(lambda: page.of("notice"), "the reason")
        (notice,) = page.of("notice")
        assert "3 of them wait for your answer" in notice["text"]
        assert (notice["code"], notice["action"]) == ("overloaded", None)
        assert page.conversation not in workspace.started
        await first.answer(await first.card(), "allow")
        await workspace.begun(page)
        await soon(lambda: page.of("notice") == [], "the reason to go")

    workspace.run(story)


def test_memory_that_comes_free_lets_the_next_one_begin(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [0]
    monkeypatch.setattr(chat_module, "free_mb", lambda: left[0])
    monkeypatch.setattr(chat_module, "LOOK_AGAIN_S", 0.01)

    async def story(workspace: Workspace) -> None:
        await with_cards(workspace)
        page = await workspace.page("work")
        await soon(lambda: page.of("notice"), "the reason")
        left[0] = ROOM_MB
        await workspace.begun(page)

    workspace.run(story)


def test_more_do_not_work_at_once_than_the_machine_can_carry(workspace: Workspace) -> None:
    async def story(workspace: Workspace) -> None:
        pages = [await workspace.page("work") for _ in range(MOST_PROCESSES)]
        for page in pages:
            await workspace.begun(page)
        waiting = await workspace.page("work")
        await soon(lambda: waiting.of("notice"), "the reason")
        assert "answer" not in waiting.of("notice")[0]["text"]
        workspace.started[pages[0].conversation].finish()
        await workspace.begun(waiting)

    workspace.run(story)


def test_who_stops_waiting_is_told_no_reason_any_more(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "free_mb", lambda: 0)
    monkeypatch.setattr(chat_module, "LOOK_AGAIN_S", 0.01)

    async def story(workspace: Workspace) -> None:
        await with_cards(workspace)
        page = await workspace.page("work")
        await soon(lambda: page.of("notice"), "the reason")
        await page.say("stop")
        assert (page.of("notice"), page.turn) == ([], "idle")
        await asyncio.sleep(0.05)
        assert page.of("notice") == []

    workspace.run(story)


def test_what_is_left_is_the_lesser_of_the_machine_and_the_containers_limit(tmp_path: Path) -> None:
    meminfo, cgroup = tmp_path / "meminfo", tmp_path / "cgroup"
    assert memory.free_mb(meminfo, cgroup) == 0
    meminfo.write_text("MemTotal: 999999 kB\nMemAvailable:  819200 kB\n")
    assert memory.free_mb(meminfo, cgroup) == 800
    cgroup.mkdir()
    (cgroup / "memory.max").write_text("max\n")
    (cgroup / "memory.current").write_text(f"{500 << 20}\n")
    (cgroup / "memory.stat").write_text(f"anon 1\ninactive_file {100 << 20}\n")
    assert memory.free_mb(meminfo, cgroup) == 800
    (cgroup / "memory.max").write_text(f"{1024 << 20}\n")
    assert memory.free_mb(meminfo, cgroup) == 624
