"""Messages said otherwise, retried, copied, given files: with the real Claude binary."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from webapp.chat import Chat

from tests.support.anthropic.standin import Anthropic
from tests.support.chat_page import Page, soon
from tests.support.chat_world import World, browser
from tests.support.uploading import attach, uploads_of

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture(scope="module")
def anthropic() -> Iterator[Anthropic]:
    with Anthropic.in_process() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, anthropic: Anthropic) -> World:
    anthropic.clear()
    return World(tmp_path, anthropic)


async def upload(chat: Chat, name: str, content: bytes, type_: str = "") -> dict[str, Any]:
    async with browser(chat) as http:
        answer = await attach(http, uploads_of(chat._config), content, name, type_)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(chat: Chat) -> list[dict[str, Any]]:
    async with browser(chat) as http:
        found: list[dict[str, Any]] = (await http.get("/api/conversations")).json()["conversations"]
    return found


def said_by_person(page: Page) -> list[str]:
    return [item["text"] for item in page.items.all() if item["kind"] == "user"]


# --- another wording -----------------------------------------------------------------------------------


def test_a_message_said_otherwise_takes_the_place_of_all_that_came_after_it(world: World) -> None:
    conversation = str(uuid.uuid4())

    async def story(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        await page.ask("one [say a]")
        await page.ask("two [say b]")
        second = page.of("user")[1]["id"]
        await page.ask("three [say c]")
        other = str(uuid.uuid4())
        await page.say("send", message_id=other, text="instead [recall]", replaces=second)
        await page.say("send", message_id=other, text="instead [recall]", replaces=second)
        await page.turn_over(2)
        assert said_by_person(page) == ["one [say a]", "instead [recall]"]
        assert page.said.endswith("Earlier you said: one [say a]"), "Claude must not know what gave way"
        now, kept = await listed(chat)
        assert (now["id"], kept["title"]) == (conversation, "one [say a] (before the change)")
        assert kept["forked_from"] == conversation
        former = await Page(chat, kept["id"]).follow()
        assert said_by_person(former) == ["one [say a]", "two [say b]", "three [say c]"]
        assert former.outcomes == ["completed"] * 3
        await former.ask("four [recall]")
        assert former.said.endswith("one [say a] | two [say b] | three [say c]")

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        assert said_by_person(page) == ["one [say a]", "instead [recall]"]

    world.run(story)
    world.run(after)


def test_the_first_message_too_can_be_said_otherwise(world: World) -> None:
    conversation = str(uuid.uuid4())

    async def story(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        await page.ask("wrong [say a]")
        first = page.of("user")[0]["id"]
        await page.say("send", message_id=str(uuid.uuid4()), text="right [recall]", replaces=first)
        await page.turn_over(1)
        await soon(lambda: "right" in str(said_by_person(page)), "the new message")
        await page.turn_over(1)
        assert page.said.strip() == "Earlier you said:"
        assert len(await listed(chat)) == 2

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        assert said_by_person(page) == ["right [recall]"]
        assert page.outcomes == ["completed"]

    world.run(story)
    world.run(after)


def test_a_message_can_be_said_otherwise_while_claude_answers_it(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        first = await page.send("one [tokens 400 at 20 ms]")
        await soon(lambda: page.said, "words")
        await page.say("send", message_id=str(uuid.uuid4()), text="two [say b]", replaces=first)
        await soon(lambda: page.outcomes == ["completed"], "the second answer")
        assert said_by_person(page) == ["two [say b]"]
        assert page.said.strip() == "b"

    world.run(story)


def test_a_failed_message_is_sent_again_in_its_place_and_leaves_no_copy(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("one [say a]")
        await page.ask("two [status 529 2 times] [say b]")
        assert page.outcomes == ["completed", "failed"]
        assert page.of("notice")[0]["action"] == "retry"
        failed = page.of("user")[1]["id"]
        await page.say("retry", message_id=str(uuid.uuid4()), of=failed)
        await soon(lambda: page.outcomes == ["completed", "completed"], "the second try")
        assert said_by_person(page) == ["one [say a]", "two [status 529 2 times] [say b]"]
        assert page.of("notice") == []
        assert len(await listed(chat)) == 1

    world.run(story)


def test_what_failed_without_a_login_goes_on_by_itself_after_it(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("hello [say there]")
        assert page.of("notice")[0]["action"] == "open_terminal"
        world.login = "key"
        chat._environment = world.environment()
        await chat.auth_changed(signed_in=True)
        await soon(lambda: page.outcomes == ["completed"], "the answer")
        assert said_by_person(page) == ["hello [say there]"]

    world.login = "nothing"
    world.run(story)


def test_claude_continues_when_asked_to(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("one [say a]")
        await page.say("continue", message_id=str(uuid.uuid4()))
        await page.turn_over(2)
        assert "continue" in said_by_person(page)[1]

    world.run(story)


@pytest.mark.parametrize("kind", ["send", "retry"])
def test_what_is_not_there_cannot_be_replaced(world: World, kind: str) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        other = str(uuid.uuid4())
        await page.say(kind, message_id=str(uuid.uuid4()), text="x", replaces=other, of=other)
        assert page.refusals == ["no_such_message"]
        assert len(page.items) == 0

    world.run(story)


# --- copies --------------------------------------------------------------------------------------------


def test_a_copy_goes_on_from_where_it_was_made_and_leaves_the_first_alone(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.ask("one [say a]")
        await page.ask("two [say b]")
        middle = page.of("assistant")[0]["id"]
        async with browser(chat) as http:
            path = f"/api/conversations/{page.conversation}"
            half = (await http.post(f"{path}/fork", json={"at": middle})).json()
            whole = (await http.post(f"{path}/fork", json={})).json()
            missing = await http.post(f"{path}/fork", json={"at": "nothing"})
        assert missing.status_code == 404
        assert half["title"] == "one [say a] (copy)"
        assert half["usage"]["cost_usd"] == 0
        copy, all_of_it = await Page(chat, half["id"]).follow(), await Page(chat, whole["id"]).follow()
        assert said_by_person(all_of_it) == ["one [say a]", "two [say b]"]
        await copy.ask("three [recall]")
        assert copy.said.endswith("Earlier you said: one [say a]")
        await page.ask("four [recall]")
        assert page.said.endswith("one [say a] | two [say b]")

    world.run(story)


def test_an_export_reads_like_the_conversation(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.send("""look [tool Bash {"command": "touch x; echo '```'"}] [say **seen**]""")
        await page.answer(await page.card(), "allow")
        await page.turn_over()
        async with browser(chat) as http:
            answer = await http.get(f"/api/conversations/{page.conversation}/export.md")
        assert "attachment" in answer.headers["content-disposition"]
        text = answer.text
        assert text.index("## You") < text.index("<details>") < text.index("## Claude")
        assert "````\n```\n````" in text, "what a tool prints cannot end its own block"
        assert "**allowed**" in text

    world.run(story)


# --- files ---------------------------------------------------------------------------------------------


def test_pictures_and_pdfs_reach_claude_and_other_files_lie_in_the_workspace(world: World) -> None:
    conversation = str(uuid.uuid4())

    async def story(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        files = [
            await upload(chat, "photo.png", PNG, "image/png"),
            await upload(chat, "paper.pdf", PDF, "application/pdf"),
            await upload(chat, "../../etc/numbers.csv", b"a,b\n1,2\n", "text/csv"),
        ]
        assert [one["type"] for one in files] == ["image/png", "application/pdf", "text/csv"]
        await page.say(
            "send", message_id=str(uuid.uuid4()), text="look", attachments=[f["id"] for f in files]
        )
        await page.turn_over()
        assert page.outcomes == ["completed"]
        assert page.of("user")[0]["attachments"] == files

    async def after(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        (asked,) = page.of("user")
        assert (asked["text"], len(asked["attachments"])) == ("look", 3)
        async with browser(chat) as http:
            got = [await http.get(f"/api/attachments/{one['id']}") for one in asked["attachments"]]
        assert [one.content for one in got] == [PNG, PDF, b"a,b\n1,2\n"]
        assert got[2].headers["content-type"] == "application/octet-stream"
        assert got[2].headers["content-disposition"].startswith("attachment")
        assert "sandbox" in got[0].headers["content-security-policy"]

    world.run(story)
    blocks = [
        block
        for request in world.anthropic.prompts()
        for message in request.body["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    assert {"image", "document"} <= {block["type"] for block in blocks}
    assert (world.config.workspace / "uploads" / "numbers.csv").read_bytes() == b"a,b\n1,2\n"
    assert any("uploads/numbers.csv" in block.get("text", "") for block in blocks)
    world.run(after)


def test_a_file_alone_is_a_message_and_a_second_of_its_name_lies_beside_the_first(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        for number in (1, 2):
            one = await upload(chat, "notes.txt", b"%d" % number, "text/plain")
            await page.say("send", message_id=str(uuid.uuid4()), text="", attachments=[one["id"]])
            await page.turn_over(number)
        assert said_by_person(page) == ["", ""]
        assert (await listed(chat))[0]["title"].startswith("[notes.txt]")

    world.run(story)
    uploads = world.config.workspace / "uploads"
    assert sorted(path.name for path in uploads.iterdir()) == ["notes (2).txt", "notes.txt"]


def test_an_attachment_that_is_gone_refuses_the_message(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.say("send", message_id=str(uuid.uuid4()), text="x", attachments=[f"a_{uuid.uuid4().hex}"])
        assert page.refusals == ["bad_attachment"]

    world.run(story)


# --- how Claude works ----------------------------------------------------------------------------------


def test_a_conversation_has_a_model_effort_and_mode_of_its_own(world: World) -> None:
    conversation = str(uuid.uuid4())

    async def story(chat: Chat) -> None:
        page = await Page(chat, conversation).follow()
        own = {"model": "haiku", "effort": "low", "permission_mode": "acceptEdits"}
        await page.say("send", message_id=str(uuid.uuid4()), text="one", options=own)
        await page.turn_over()
        process = chat._loaded[conversation]._process
        assert process is not None
        assert (process.model, process.effort, process.mode) == ("haiku", "low", "acceptEdits")
        async with browser(chat) as http:
            path = f"/api/conversations/{conversation}"
            changed = (await http.patch(path, json={"effort": "high", "permission_mode": "default"})).json()
            wrong = await http.patch(path, json={"effort": "enormous"})
        assert wrong.status_code == 400
        assert (changed["effort"], changed["model"]) == ("high", "haiku")
        await page.ask("two [recall]")
        assert page.said.endswith("one")
        process = chat._loaded[conversation]._process
        assert process is not None
        assert (process.model, process.effort, process.mode) == ("haiku", "high", "default")

    async def after(chat: Chat) -> None:
        (shown,) = await listed(chat)
        assert (shown["model"], shown["effort"], shown["permission_mode"]) == ("haiku", "high", "default")
        assert shown["usage"]["turns"] == 2
        assert shown["usage"]["cost_usd"] > 0
        assert shown["usage"]["output_tokens"] > 0

    world.run(story)
    assert "haiku" in world.anthropic.prompts()[-1].body["model"]
    world.run(after)


def test_claude_says_which_models_and_commands_there_are(world: World) -> None:
    async def story(chat: Chat) -> None:
        async with browser(chat) as http:
            models = (await http.get("/api/models")).json()["models"]
            commands = (await http.get("/api/commands")).json()["commands"]
        assert {"", "opus", "sonnet"} <= {model["value"] for model in models}
        assert "low" in models[0]["efforts"]
        names = {command["name"] for command in commands}
        assert {"/compact", "/init"} <= names
        assert "/clear" not in names

    async def after(chat: Chat) -> None:
        async with browser(chat) as http:
            assert (await http.get("/api/models")).json()["models"][0]["efforts"]

    world.run(story)
    world.config = replace(world.config, claude=Path("/nowhere"))
    world.run(after)


def test_a_rule_that_always_made_is_shown_and_can_be_taken_back(world: World) -> None:
    async def story(chat: Chat) -> None:
        page = await Page(chat).follow()
        await page.send('[tool Bash {"command": "touch made"}]')
        await page.answer(await page.card(), "always")
        await page.turn_over()
        async with browser(chat) as http:
            (rule,) = (await http.get("/api/permissions")).json()["rules"]
            gone = await http.request("DELETE", "/api/permissions", json=rule)
            again = await http.request("DELETE", "/api/permissions", json=rule)
        assert (rule["behavior"], gone.status_code, again.status_code) == ("allow", 204, 404)
        await page.send('[tool Bash {"command": "touch made"}]')
        await page.answer(await page.card(), "deny")

    world.run(story)


def test_an_edit_shows_what_it_changed(world: World) -> None:
    async def story(chat: Chat) -> None:
        notes = world.config.workspace / "notes.md"
        notes.write_text("one\ntwo\n")
        edit = f'{{"file_path": "{notes}", "old_string": "two", "new_string": "three"}}'
        page = await Page(chat).follow()
        await page.ask(f'[tool Read {{"file_path": "{notes}"}}] [tool Edit {edit}]')
        (hunk,) = page.of("tool")[1]["patch"]
        assert hunk["lines"] == [" one", "-two", "+three"]

    world.settings = replace(world.settings, permission_mode="acceptEdits")
    world.run(story)
