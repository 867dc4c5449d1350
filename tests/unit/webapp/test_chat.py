"""The chat with the real Claude binary, against a stand-in of Anthropic's servers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from webapp import chat as chat_module
from webapp import wording
from webapp.chat import Chat
from webapp.config import Config
from webapp.settings import Settings

from tests.support.anthropic.standin import Anthropic
from tests.support.chat_page import Page, soon
from tests.support.chat_world import CLAUDE, World, browser

TOUCH = '[tool Bash {"command": "touch made"}]'
LEAVE = '[tool Bash {"command": "touch left"}]'


@pytest.fixture(scope="module")
def anthropic() -> Iterator[Anthropic]:
    with Anthropic.in_process() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, anthropic: Anthropic) -> World:
    anthropic.clear()
    return World(tmp_path, anthropic)


class Warm:
    """One life of a server with one conversation, whose process stories share: starting one takes long."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.conversation = str(uuid.uuid4())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._chat = world.chat()

    def run(self, story: Callable[[Page], Awaitable[None]]) -> None:
        """The story of a page that sees only what happens from now on."""

        async def told() -> None:
            page = await Page(self._chat, self.conversation, from_now=True).follow()
            try:
                await story(page)
            finally:
                await page.say("stop")
                page.leave()
                last = await Page(self._chat, self.conversation).follow()
                await soon(lambda: last.turn == "idle" and not self._chat.busy(), "rest")
                last.leave()

        asyncio.run_coroutine_threadsafe(told(), self._loop).result(60)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._chat.close(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def lasting(anthropic: Anthropic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    warm = Warm(World(tmp_path_factory.mktemp("warm"), anthropic))
    yield warm
    warm.close()


@pytest.fixture
def warm(lasting: Warm, anthropic: Anthropic) -> Warm:
    anthropic.clear()
    return lasting


def process_of(page: Page) -> int:
    """The pid of the Claude that carries this page's conversation."""
    return int(page.chat._loaded[page.conversation]._process.pid)  # type: ignore[union-attr]


# --- an answer ----------------------------------------------------------------------------------------


def test_an_answer_streams_and_its_turn_ends_once(warm: Warm) -> None:
    async def story(page: Page) -> None:
        turn = await page.ask("[think 3 at 5 ms] [tokens 20 at 20 ms]")
        assert [item["kind"] for item in turn] == ["user", "thinking", "assistant", "end"]
        assert turn[2]["text"].split() == [f"word{number}" for number in range(1, 21)]
        assert (turn[2]["done"], turn[0]["queued"]) == (True, False)
        assert turn[3]["outcome"] == "completed"
        assert turn[3]["cost_usd"] > 0
        assert turn[3]["duration_ms"] >= 400
        streamed = [message for message in page.received if message.get("op") == "append"]
        assert 4 < len(streamed) < 20

    warm.run(story)


def test_the_second_message_goes_to_the_same_process_and_its_costs_are_its_own(warm: Warm) -> None:
    async def story(page: Page) -> None:
        first = await page.ask("one [say a]")
        pid = process_of(page)
        second = await page.ask("two [recall]")
        assert page.said.endswith("one [say a]")
        assert process_of(page) == pid
        assert 0 < second[-1]["cost_usd"] < first[-1]["cost_usd"] * 20
        assert first[-1]["id"] != second[-1]["id"]

    warm.run(story)


def test_nothing_of_the_servers_own_environment_reaches_claude(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_SECRET", "do-not-tell")

    async def story(page: Page) -> None:
        asking = asyncio.create_task(page.ask('[tool Bash {"command": "env"}]'))
        await page.answer(await page.card(), "allow")
        await asking
        assert "HOME=" in page.of("tool")[0]["output"]
        assert "do-not-tell" not in page.of("tool")[0]["output"]

    warm.run(story)


def test_a_picture_that_claude_reads_can_be_seen(warm: Warm) -> None:
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    (warm.world.config.workspace / "dot.png").write_bytes(picture)

    async def story(page: Page) -> None:
        await page.ask('[tool Read {"file_path": "dot.png"}] [say seen]')
        (tool,) = page.of("tool")
        (shown,) = tool["pictures"]
        assert (tool["output"], shown["type"]) == ("", "image/png")
        async with browser(page.chat) as http:
            answer = await http.get(f"/api/conversations/{page.conversation}/pictures/{shown['id']}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(picture[:8])

    warm.run(story)


# --- cards ----------------------------------------------------------------------------------------------


def test_an_allowed_tool_runs_and_shows_what_it_brought(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send('[tool Bash {"command": "touch made; echo made it"}] [say done]')
        card = await page.card()
        assert (card["ask"], card["title"]) == (
            "permission",
            "Claude wants to run `touch made; echo made it`",
        )
        assert (page.turn, page.chat.busy()) == ("waiting", False)
        kinds = [item["kind"] for item in page.shown]
        assert kinds.index("tool") < kinds.index("ask")
        await page.answer(card, "allow")
        await page.turn_over()
        (tool,) = page.of("tool")
        assert (tool["status"], tool["output"]) == ("done", "made it")
        assert tool["title"] == "Ran `touch made; echo made it`"
        assert page.of("ask")[0]["state"] == "allowed"
        assert (warm.world.config.workspace / "made").exists()

    warm.run(story)


def test_a_denied_tool_does_not_run_and_claude_reads_why(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send(LEAVE)
        await page.answer(await page.card(), "deny", message="write to notes instead")
        await page.turn_over()
        assert page.of("tool")[0]["status"] == "denied"
        assert "write to notes instead" in page.said
        assert page.outcomes == ["completed"]
        assert not (warm.world.config.workspace / "left").exists()

    warm.run(story)


def test_always_is_a_rule_for_later_and_never_another_mode(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.send(f'{TOUCH} {TOUCH} [tool Write {{"file_path": "notes.md", "content": "hi"}}]')
        card = await page.card()
        assert card["can_always"]
        await page.answer(card, "always")
        assert (await page.card())["tool"] == "Write", "accept-edits would not have asked"
        await page.answer(await page.card(), "deny")
        await page.turn_over()
        assert [tool["status"] for tool in page.of("tool")] == ["done", "done", "denied"]
        assert [card["state"] for card in page.of("ask")] == ["always", "denied"]

    world.run(story)
    rules = json.loads((world.config.workspace / ".claude" / "settings.local.json").read_text())
    assert rules["permissions"]["allow"] == ["Bash(touch made *)"]
    assert "defaultMode" not in rules["permissions"]


def test_a_card_is_answered_once_though_two_pages_click(warm: Warm) -> None:
    async def story(first: Page) -> None:
        second = await Page(first.chat, first.conversation, from_now=True).follow()
        await first.send(TOUCH)
        card = await second.card()
        await second.answer(card, "allow")
        await first.answer(card, "deny")
        await first.turn_over()
        assert first.refusals == ["already_answered"]
        assert first.of("ask") == second.of("ask")
        assert first.of("ask")[0]["state"] == "allowed"

    warm.run(story)


def test_an_open_card_is_there_again_for_a_page_that_comes_later(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send(TOUCH)
        await page.card()
        page.leave()
        later = await Page(page.chat, page.conversation).follow()
        assert later.turn == "waiting"
        await later.answer(await later.card(), "allow")
        await soon(lambda: later.turn == "idle", "the end")
        assert later.outcomes[-1] == "completed"

    warm.run(story)


def test_claude_asks_a_question_and_reads_the_answer(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send("[ask Which colour? | red | blue]")
        card = await page.card()
        assert card["ask"] == "question"
        assert [option["label"] for option in card["input"]["questions"][0]["options"]] == ["red", "blue"]
        await page.answer(card, "allow", answers={})
        assert page.refusals == ["no_answer"]
        await page.answer(card, "allow", answers={"Which colour?": "blue"})
        await page.turn_over()
        assert '"Which colour?"="blue"' in page.said
        (card,) = page.of("ask")
        assert (card["state"], card["answer"]) == ("answered", {"Which colour?": "blue"})
        assert page.of("tool") == []

    warm.run(story)


def test_a_plan_is_shown_refined_and_approved(world: World) -> None:
    world.settings = Settings(permission_mode="plan")

    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.send("[plan First **this**] [plan Then *that*] [say planned]")
        card = await page.card()
        assert (card["ask"], card["input"]["plan"]) == ("plan", "First **this**")
        await page.answer(card, "deny", message="the other way round")
        second = await page.card()
        assert second["input"]["plan"] == "Then *that*"
        await page.answer(second, "allow")
        await page.turn_over()
        assert [card["state"] for card in page.of("ask")] == ["denied", "allowed"]
        assert page.said == "planned"

    world.run(story)


def test_accepting_edits_asks_for_commands_only(world: World) -> None:
    world.settings = Settings(permission_mode="acceptEdits")

    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        turn = await page.ask('[tool Write {"file_path": "notes.md", "content": "hi"}]')
        assert [item["title"] for item in turn if item["kind"] == "tool"] == ["Wrote notes.md"]
        assert page.of("ask") == []

    world.run(story)
    assert (world.config.workspace / "notes.md").read_text() == "hi"


def test_changed_settings_hold_from_the_next_message_on(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("one")
        pid = process_of(page)
        world.settings = Settings(permission_mode="acceptEdits", model="claude-haiku-4-5")
        await page.ask('[tool Write {"file_path": "notes.md", "content": "hi"}]')
        assert page.of("ask") == []
        assert process_of(page) == pid
        assert world.anthropic.prompts()[-1].body["model"] == "claude-haiku-4-5"

    world.run(story)


# --- stopping, waiting in line --------------------------------------------------------------------------


def test_stop_ends_the_turn_at_once_and_keeps_what_was_said(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send("[tokens 200 at 50 ms]")
        await soon(lambda: "word2 " in page.said, "two words")
        await page.say("stop")
        await page.turn_over()
        assert page.outcomes == ["stopped"]
        assert page.said.startswith("word1 word2")
        assert page.of("notice") == []
        await page.ask("go on [say yes]")
        assert page.outcomes == ["stopped", "completed"]

    warm.run(story)


@pytest.mark.parametrize("wait_s", [0, 0.2, 0.5])
def test_stop_works_while_claude_is_only_starting(world: World, wait_s: float) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.send("[tokens 200 at 50 ms]")
        await asyncio.sleep(wait_s)
        await page.say("stop")
        await page.turn_over()
        assert page.outcomes == ["stopped"]
        assert (await page.ask("[say still there]"))[-1]["outcome"] == "completed"

    world.run(story)


def test_stop_closes_an_open_card(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send(TOUCH)
        card = await page.card()
        await page.say("stop")
        await page.turn_over()
        assert page.of("ask")[0]["state"] == "cancelled"
        assert page.outcomes == ["stopped"]
        await page.answer(card, "allow")
        assert page.refusals == ["already_answered"]

    warm.run(story)


def test_a_message_sent_meanwhile_waits_and_comes_after_the_end(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send("one [tokens 10 at 20 ms]")
        await soon(lambda: page.said, "the first word")
        await page.send("two [say second]")
        assert page.queued == 1
        assert page.of("user")[1]["queued"]
        await page.turn_over(2)
        kinds = [item["kind"] for item in page.shown]
        assert kinds == ["user", "assistant", "end", "user", "assistant", "end"]
        assert not page.of("user")[1]["queued"]

    warm.run(story)


def test_each_tool_that_claude_offers_is_told_in_words_for_people(warm: Warm) -> None:
    """A Claude that brings new tools shows here; those that it fetches when it needs them are only named.

    What it could promise and not keep, since nobody is awake by then, it is not offered.
    """

    async def story(page: Page) -> None:
        await page.ask("hello")

    warm.run(story)
    asked = warm.world.anthropic.prompts()[-1].body
    assert asked
    offered = {tool["name"] for tool in asked["tools"]} - {"DeferredToolPlaceholder"}
    named = re.search(r"deferred tools are now available.*?:(?:\\n(?:[A-Z]\w+))+", json.dumps(asked))
    assert named, "Claude names the tools that it fetches"
    offered |= set(re.findall(r"\\n([A-Z]\w+)", named.group()))
    assert {"Bash", "TaskCreate", "WebSearch"} <= offered
    assert not {"CronCreate", "ScheduleWakeup"} & offered
    assert [tool for tool in offered if wording.activity(tool, {}, "", done=True) == f"Used {tool}"] == []


def test_stop_drops_what_waits(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.send("one [tokens 100 at 20 ms]")
        await soon(lambda: page.said, "the first word")
        dropped = await page.send("two")
        await page.say("stop")
        await page.turn_over()
        assert dropped not in page.items
        await page.send("two", dropped)
        assert (page.turn, page.outcomes) == ("idle", ["stopped"])

    warm.run(story)
    assert len(warm.world.anthropic.prompts()) == 1


def test_the_same_message_twice_counts_once(warm: Warm) -> None:
    async def story(page: Page) -> None:
        message_id = await page.send("hello")
        await page.send("hello", message_id)
        await page.turn_over()
        await page.send("hello", message_id)
        assert (page.turn, len(page.of("user"))) == ("idle", 1)

    warm.run(story)
    assert len(warm.world.anthropic.prompts()) == 1


def test_one_more_conversation_waits_until_a_process_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "MOST_PROCESSES", 1)

    async def story(chat: Chat) -> None:
        first, second = await Page(chat).follow(), await Page(chat).follow()
        await first.send("[tokens 20 at 20 ms]")
        await second.send("[say mine]")
        assert second.of("user")[0]["queued"]
        await second.turn_over()
        assert first.outcomes == second.outcomes == ["completed"]
        assert len(chat._processes) == 1

    world.run(story)


# --- pages that come and go -----------------------------------------------------------------------------


def test_two_pages_see_the_same(warm: Warm) -> None:
    async def story(first: Page) -> None:
        await first.send("[think 2 at 1 ms] [tokens 30 at 10 ms]")
        await soon(lambda: len(first.said) > 20, "some words")
        second = await Page(first.chat, first.conversation).follow()
        await first.turn_over()
        await soon(lambda: second.seq == first.seq, "the second page to catch up")
        assert first.items.all() == second.items.all()
        assert (first.seq, first.epoch) == (second.seq, second.epoch)

    warm.run(story)


def test_a_page_that_comes_back_gets_exactly_what_it_missed(warm: Warm) -> None:
    async def story(steady: Page) -> None:
        page = await Page(steady.chat, steady.conversation, from_now=True).follow()
        await page.send("[tokens 60 at 10 ms]")
        await soon(lambda: page.said, "the first word")
        page.leave()
        seen = len(page.received)
        await soon(lambda: len(steady.said) > len(page.said) + 50, "more words")
        await page.follow()
        assert {message["type"] for message in page.received[seen:]} == {"event"}
        await steady.turn_over()
        await page.turn_over()
        assert page.shown == steady.shown

    warm.run(story)


def test_a_page_that_left_gets_nothing_more(warm: Warm) -> None:
    async def story(page: Page) -> None:
        other = await Page(page.chat, page.conversation, from_now=True).follow()
        page.leave()
        seen = len(page.received)
        await other.ask("hello")
        assert len(page.received) == seen

    warm.run(story)


# --- restarts and crashes -------------------------------------------------------------------------------


def test_a_conversation_goes_on_after_the_server_started_again(world: World) -> None:
    tool = '[tool Bash {"command": "date > x"}]'
    conversation = str(uuid.uuid4())
    seen: list[Any] = []

    async def before(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        asking = asyncio.create_task(page.ask(f"one [think 2 at 1 ms] [say hm] {tool}"))
        await page.answer(await page.card(), "allow")
        await asking
        seen.extend(page.items.all())

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        items = page.items.all()
        assert [strip(item) for item in items] == [strip(item) for item in seen]
        turn = await page.ask("two [recall]")
        assert page.said.endswith("Earlier you said: one [think 2 at 1 ms] [say hm] " + tool)
        assert turn[-1]["cost_usd"] < 0.01

    world.run(before)
    world.run(after)


def strip(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "at"}


def test_a_killed_claude_ends_the_turn_once_and_the_conversation_goes_on(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.send("one [tokens 200 at 20 ms]")
        await soon(lambda: "word20 " in page.said, "twenty words, by when the prompt is on the disk")
        os.kill(process_of(page), signal.SIGKILL)
        await page.turn_over()
        assert page.outcomes == ["failed"]
        assert [item["code"] for item in page.of("notice")] == ["crashed"]
        assert page.of("assistant")[0]["done"]
        await page.ask("two [recall]")
        assert page.outcomes == ["failed", "completed"]
        assert "Earlier you said: one" in page.said

    world.run(story)


def test_a_claude_that_is_killed_over_an_open_card_closes_it(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.send(TOUCH)
        await page.card()
        os.kill(process_of(page), signal.SIGKILL)
        await page.turn_over()
        assert (page.of("ask")[0]["state"], page.outcomes) == ("cancelled", ["failed"])
        assert page.of("tool")[0]["status"] == "failed"

    world.run(story)


def test_a_turn_cut_off_by_a_restart_says_so_and_can_be_continued(world: World) -> None:
    conversation = str(uuid.uuid4())

    async def before(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        await page.send("one [tokens 500 at 20 ms]")
        await soon(lambda: len(page.said) > 20, "some words")
        await page.send("never carried out")

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        assert page.outcomes == ["lost", "lost"]
        assert page.of("assistant")[0]["text"].startswith("word1 word2")
        assert [item["text"] for item in page.of("user")] == [
            "one [tokens 500 at 20 ms]",
            "never carried out",
        ]
        texts = [item["text"] for item in page.of("notice")]
        assert ["continue" in text for text in texts] == [True, False]
        assert "send it again" in texts[1]
        await page.ask("continue [recall]")
        assert "Earlier you said: one" in page.said

    world.run(before)
    world.run(after)


KILLED = """
import asyncio, os, pathlib, sys
from tests.support.chat_page import Page, soon
from tests.support.chat_world import CLAUDE, World
from tests.support.uploading import uploads_of
from webapp.chat import Chat
from webapp.config import Config
from webapp.settings import Settings

async def life(folder, claude, conversation):
    config = Config(pathlib.Path(folder), pathlib.Path(folder), pathlib.Path(claude), 0, "", "")
    chat = Chat(config, dict(os.environ), lambda _: None, Settings, uploads_of(config))
    page = await Page(chat, conversation).follow()
    await page.send("one [tokens 500 at 20 ms]")
    await soon(lambda: "word20 " in page.said, "twenty words")
    await soon(lambda: [*config.app.glob("chat/*.draft")], "what is kept of them")
    print(page.chat._loaded[conversation]._process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(life(*sys.argv[1:]))
"""


def test_a_server_that_was_killed_leaves_a_turn_that_is_lost(world: World) -> None:
    conversation = str(uuid.uuid4())
    here = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(world.config.data), str(CLAUDE), conversation],
        env=world.environment() | {"PYTHONPATH": f"{here}:{here / 'image'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout
        claude = int(server.stdout.readline())
        server.kill()
    left = Path(f"/proc/{claude}")
    assert left.exists()

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        assert not left.exists() or b"(claude) Z" in (left / "stat").read_bytes(), "nobody else may write"
        assert (page.outcomes, [item["code"] for item in page.of("notice")]) == (["lost"], ["crashed"])
        assert [item["text"] for item in page.of("user")] == ["one [tokens 500 at 20 ms]"]
        assert page.said.startswith("word1 word2 word3")
        seen = page.said
        await page.say("continue", message_id=str(uuid.uuid4()))
        await page.turn_over(2)
        assert page.of("assistant")[0]["text"] == seen
        assert seen in str(world.anthropic.prompts()[-1].body), "Claude knows what it is to continue"
        assert [item["text"] for item in page.of("user")][1:] == [wording.CONTINUE]

    async def later(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        assert page.outcomes == ["lost", "completed"]
        first, second = page.of("assistant")
        assert first["text"].startswith("word1 word2 word3")
        assert second["text"].startswith("You said: ")

    world.run(after)
    world.run(later)


def test_closing_in_the_middle_of_an_answer_takes_less_than_three_seconds(world: World) -> None:
    async def life() -> float:
        chat = world.chat()
        page = await Page(chat).follow()
        await page.send("[tokens 500 at 20 ms]")
        await soon(lambda: page.said, "the first word")
        pid = process_of(page)
        began = asyncio.get_running_loop().time()
        await chat.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(life()) < 3


def test_a_claude_that_cannot_start_is_told_in_words(world: World) -> None:
    world.config = Config(world.config.data, world.config.static, Path("/nowhere/claude"), 0, "", "")

    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("hello")
        assert page.outcomes == ["failed"]
        assert [item["code"] for item in page.of("notice")] == ["crashed"]
        assert page.of("user")[0]["text"] == "hello"

    world.run(story)


# --- what goes wrong at Anthropic -----------------------------------------------------------------------


def notices(world: World, prompt: str) -> list[tuple[str, str]]:
    """Code and text of the notices of a turn that fails."""
    found: list[tuple[str, str]] = []

    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask(prompt)
        assert page.outcomes == ["failed"]
        assert page.said == ""
        found.extend((item["code"], item["text"]) for item in page.of("notice"))
        later = await Page(chat, page.conversation).follow()
        assert later.items.all() == page.items.all()

    world.run(story)
    return found


def test_without_a_login_the_page_is_told_at_once_and_nothing_is_lost(world: World) -> None:
    world.login = "nothing"
    ((code, text),) = notices(world, "hello")
    assert (code, "log in" in text) == ("not_connected", True)
    assert not world.anthropic.prompts()


def test_a_login_that_is_refused_is_told(world: World) -> None:
    world.login = "subscription"
    ((code, text),) = notices(world, "[status 401]")
    assert (code, "log in again" in text) == ("login_expired", True)


def test_a_used_up_limit_says_until_when(world: World) -> None:
    world.login = "subscription"

    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("[limit five_hour in 3600 s]")
        (notice,) = page.of("notice")
        assert notice["code"] == "rate_limited"
        assert "five hours" in notice["text"]
        assert notice["until"] > page.ends[0]["at"]
        assert page.outcomes == ["failed"]

    world.run(story)


def test_an_overloaded_claude_is_told_in_one_notice(world: World) -> None:
    ((code, text),) = notices(world, "[status 529]")
    assert (code, "busy" in text) == ("overloaded", True)


def test_no_network_is_told(world: World) -> None:
    world.extra["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:9"
    ((code, _),) = notices(world, "hello")
    assert code == "offline"


def test_an_overload_that_passes_is_no_failure(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.ask("[status 529 once] [say there]")
        assert (page.said, page.outcomes) == ("there", ["completed"])
        (notice,) = page.of("notice")
        assert notice["resolved"]
        added = [message["item"] for message in page.received if message.get("op") == "add"]
        assert any("Trying again (1 of 1)" in item["text"] for item in added if item["kind"] == "notice")

    warm.run(story)


def test_an_answer_that_breaks_off_is_said_again_and_not_twice(warm: Warm) -> None:
    async def story(page: Page) -> None:
        await page.ask("[cut after 3 once] [tokens 6 at 5 ms]")
        (answer,) = page.of("assistant")
        assert answer["text"].split() == ["word1", "word2", "word3", "word4", "word5", "word6"]
        assert page.outcomes == ["completed"]

    warm.run(story)


def test_a_login_made_meanwhile_counts_from_the_next_message_on(world: World) -> None:
    world.login = "nothing"

    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("hello")
        chat._environment |= world.anthropic.environment(by="key")
        await chat.auth_changed()
        await soon(lambda: not chat._processes, "the idle process to end")
        await page.ask("[say connected]")
        assert (page.said, page.outcomes) == ("connected", ["failed", "completed"])

    world.run(story)


# --- helpers and the list -------------------------------------------------------------------------------


def test_what_a_helper_does_belongs_to_its_call(warm: Warm) -> None:
    helper = {"description": "count", "prompt": '[tool Bash {"command": "date > y"}] [say counted]'}
    helper |= {"subagent_type": "general-purpose", "run_in_background": False}  # type: ignore[dict-item]

    async def story(page: Page) -> None:
        await page.send(f"[tool Agent {json.dumps(helper)}] [say finished]")
        await page.answer(await page.card(), "allow")
        await page.turn_over()
        agent, bash = page.of("tool")
        assert (agent["title"], agent["status"], agent["output"]) == (
            "A helper worked on count",
            "done",
            "counted",
        )
        assert (bash["parent"], bash["status"]) == (agent["id"], "done")
        assert page.said == "finished"

    warm.run(story)


def test_a_helper_in_the_background_ends_in_a_turn_of_its_own(world: World) -> None:
    helper = {
        "description": "count",
        "prompt": "[wait 0.3 s] [say counted]",
        "subagent_type": "general-purpose",
    }
    conversation = str(uuid.uuid4())
    seen: list[Any] = []

    async def story(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        await page.send(f"[tool Agent {json.dumps(helper)}] [say launched]")
        await soon(lambda: len(page.ends) == 1, "the end of the first turn")
        assert chat.busy()
        await page.turn_over(2)
        assert page.outcomes == ["completed", "completed"]
        (agent,) = page.of("tool")
        assert (agent["status"], agent["output"]) == ("done", "counted")
        seen.append(strip(agent))
        await soon(lambda: not chat.busy(), "rest")

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        assert [strip(tool) for tool in page.of("tool")] == seen
        assert page.outcomes == ["completed", "completed"]
        assert len(page.of("user")) == 1

    world.run(story)
    world.run(after)


def test_what_a_terminal_wrote_into_an_idle_conversation_is_seen(world: World) -> None:
    conversation = str(uuid.uuid4())

    async def story(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        await page.ask("one")
        chat._loaded[conversation].rest()
        await soon(lambda: not chat._processes, "the process to end")
        command = [str(CLAUDE), "-p", "--resume", conversation, "typed [say elsewhere]"]
        environment = chat._environment
        other = await asyncio.create_subprocess_exec(*command, cwd=world.config.workspace, env=environment)
        assert await other.wait() == 0
        await page.follow()
        assert page.said.endswith("elsewhere")
        assert [item["text"] for item in page.of("user")] == ["one", "typed [say elsewhere]"]

    world.run(story)


def test_commands_of_claude_code_answer_too(world: World) -> None:
    conversation = str(uuid.uuid4())

    async def story(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        turn = await page.ask("/cost")
        assert "cost" in turn[1]["text"]

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        assert [item["kind"] for item in page.items.all()] == ["user", "assistant", "end"]
        assert page.outcomes == ["completed"]

    world.run(story)
    world.run(after)


def test_the_list_hears_of_each_turn(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("plan my holidays")

    world.run(story)
    told = [message["conversation"] for message in world.published]
    assert [conversation["turn"] for conversation in told] == ["running", "running", "idle"]
    assert {conversation["title"] for conversation in told} == {"plan my holidays"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            {"type": "send", "conversation": "../../etc", "message_id": str(uuid.uuid4()), "text": "x"},
            "bad_id",
        ),
        ({"type": "send", "conversation": str(uuid.uuid4()), "message_id": 7, "text": "x"}, "bad_id"),
        (
            {"type": "send", "conversation": str(uuid.uuid4()), "message_id": str(uuid.uuid4()), "text": " "},
            "bad_text",
        ),
        (
            {
                "type": "send",
                "conversation": str(uuid.uuid4()),
                "message_id": str(uuid.uuid4()),
                "text": "/clear now",
            },
            "bad_text",
        ),
        (
            {"type": "answer", "conversation": str(uuid.uuid4()), "ask": "x", "decision": "allow"},
            "already_answered",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(world: World, message: dict[str, Any], code: str) -> None:
    replies: list[dict[str, Any]] = []

    async def story(chat: Chat) -> None:
        await chat.handle(message, replies.append, "page")

    world.run(story)
    assert [reply["code"] for reply in replies] == [code]
    assert replies[0]["type"] == "refused"
    # A page has several messages and cards under way: it is told which one.
    assert [replies[0].get(name) for name in ("message_id", "ask")] == [
        message.get(name) for name in ("message_id", "ask")
    ]
