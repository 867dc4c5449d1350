"""The list of conversations, their history, renaming, deleting and searching: over files on the disk."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import claude_agent_sdk
import httpx
import pytest
from starlette.applications import Starlette
from webapp.chat import Chat
from webapp.config import Config
from webapp.conversations import KEPT_DELETED_S, Index, title_of
from webapp.draft import draft_of
from webapp.export import markdown
from webapp.journal import Ended, Journal, Past, Sent
from webapp.problem import Problem, answer_problem
from webapp.settings import Settings
from webapp.transcript import Transcript, folder_of
from webapp.translate import user_item

from tests.support.chat_page import Page
from tests.support.uploading import uploads_of


class Shelf:
    """Transcripts as Claude Code writes them, made by hand."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(folder, folder, folder / "no-claude", 0, "Lilach", "lilach@example.com")
        self.config.workspace.mkdir(parents=True)
        self.folder = folder_of(self.config.claude_config, self.config.workspace)
        self.folder.mkdir(parents=True)
        self.index = Index(self.folder, self.config.app)
        self.published: list[dict[str, Any]] = []
        self._minute = 0

    def chat(self) -> Chat:
        return Chat(self.config, {}, self.published.append, Settings, uploads_of(self.config))

    def path(self, conversation: str) -> Path:
        return self.folder / f"{conversation}.jsonl"

    def write(self, *turns: tuple[str, str], conversation: str = "") -> str:
        """Adds turns of a prompt and its answer."""
        conversation = conversation or str(uuid.uuid4())
        last = None
        for prompt, answer in turns:
            last = self.answer(conversation, answer, self.prompt(conversation, prompt, last))
        return conversation

    def prompt(self, conversation: str, text: str, parent: str | None = None, **rest: Any) -> str:
        return self.add(
            conversation, {"type": "user", "message": {"role": "user", "content": text}, **rest}, parent
        )

    def answer(self, conversation: str, text: str, parent: str | None = None, **rest: Any) -> str:
        content = [{"type": "text", "text": text}]
        message = {
            "id": f"msg_{uuid.uuid4().hex}",
            "role": "assistant",
            "content": content,
            "stop_reason": "end_turn",
        }
        return self.add(
            conversation, {"type": "assistant", "message": message, "apiBlockIndex": 0, **rest}, parent
        )

    def add(self, conversation: str, entry: dict[str, Any], parent: str | None = None) -> str:
        self._minute += 1
        entry_id = str(uuid.uuid4())
        time = f"2026-11-01T{self._minute // 60:02}:{self._minute % 60:02}:00.000Z"
        head = {"parentUuid": parent, "isSidechain": False}
        self.line(
            conversation, {**head, **entry, "uuid": entry_id, "timestamp": time, "sessionId": conversation}
        )
        return entry_id

    def line(self, conversation: str, entry: dict[str, Any]) -> None:
        with self.path(conversation).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, separators=(",", ":"), ensure_ascii=False) + "\n")

    def items(self, conversation: str, before: str | None = None, limit: int = 200) -> tuple[list[Any], bool]:
        transcript = Transcript(self.path(conversation))
        transcript.refresh()
        return transcript.page(before, limit, Past())

    def titles(self, query: str = "", limit: int = 50, offset: int = 0) -> list[str]:
        return [summary.title for summary in self.index.listed(limit, offset, query)[0]]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


# --- the list -----------------------------------------------------------------------------------------


def test_the_list_is_what_lies_on_the_disk_newest_first(shelf: Shelf) -> None:
    shelf.write(("first", "a"))
    older = shelf.write(("second", "b"))
    shelf.write(("third", "c"))
    assert shelf.titles() == ["third", "second", "first"]
    shelf.write(("and more", "d"), conversation=older)
    assert shelf.titles() == ["second", "third", "first"]
    shelf.path(older).unlink()
    assert shelf.titles() == ["third", "first"]


def test_the_list_comes_in_pages(shelf: Shelf) -> None:
    for number in range(5):
        shelf.write((f"number {number}", "x"))
    assert shelf.titles(limit=2, offset=1) == ["number 3", "number 2"]
    assert shelf.index.listed(2, 1, "")[1] == 5


def test_the_sdks_own_list_agrees(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(shelf.config.claude_config))
    named = shelf.write(("plan my week", "sure"), ("more", "yes"))
    shelf.write(("another", "x"))
    shelf.index.rename(named, "My week")
    theirs = claude_agent_sdk.list_sessions(str(shelf.config.workspace))
    assert {info.session_id for info in theirs} == {one.id for one in shelf.index.listed(9, 0, "")[0]}
    assert {info.custom_title for info in theirs} == {"My week", None}
    messages = claude_agent_sdk.get_session_messages(named, str(shelf.config.workspace))
    assert [message.type for message in messages] == ["user", "assistant"] * 2


def test_a_renamed_conversation_keeps_its_place_and_its_name(shelf: Shelf) -> None:
    older = shelf.write(("first", "a"))
    shelf.write(("second", "b"))
    shelf.index.rename(older, "Holidays in Haifa")
    assert shelf.titles() == ["second", "Holidays in Haifa"]
    assert shelf.titles("haifa") == ["Holidays in Haifa"]
    anew = Index(shelf.folder, shelf.config.app / "elsewhere")
    assert [one.title for one in anew.listed(9, 0, "")[0]] == ["second", "Holidays in Haifa"]


def test_what_is_no_conversation_is_not_listed(shelf: Shelf) -> None:
    shelf.line(str(uuid.uuid4()), {"type": "queue-operation", "operation": "enqueue"})
    helper = str(uuid.uuid4())
    side = {"parentUuid": None, "isSidechain": True, "type": "user", "uuid": helper, "timestamp": "2026"}
    shelf.line(helper, {**side, "message": {"role": "user", "content": "inner"}})
    (shelf.folder / "agent-abc.jsonl").write_text("{}\n")
    (shelf.folder / "notes.txt").write_text("x")
    assert shelf.titles() == []


def test_search_finds_words_of_both_sides_in_any_case(shelf: Shelf) -> None:
    shelf.write(("Tell me about Ελλάδα", "Athens has an Acropolis"))
    shelf.write(("something else", "nothing"))
    assert shelf.titles("acropolis") == shelf.titles("ΕΛΛΆΔΑ") == ["Tell me about Ελλάδα"]
    assert shelf.titles("100%_of") == []


@pytest.mark.parametrize("settled", [False, True])
def test_search_finds_what_claude_was_cut_off_saying(shelf: Shelf, settled: bool) -> None:
    conversation = shelf.write(("tell me", "gladly"))
    items = [
        {"id": "i_1", "kind": "assistant", "text": "An ACROPOLIS in the mi"},
        {"id": "i_2", "kind": "thinking"},
    ]
    journal = Journal(shelf.index.journal_path(conversation))
    draft = draft_of(journal.path)
    if settled:
        journal.keep_words("m_1", items)
    else:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"turn": "m_1", "items": items}))
    assert shelf.titles("acropolis") == ["tell me"]
    assert shelf.titles("parthenon") == []
    draft.write_text("torn {")
    assert shelf.titles("acropolis") == (["tell me"] if settled else [])


def test_search_finds_words_wherever_they_stand_and_quoted_ones_together(shelf: Shelf) -> None:
    shelf.write(("Plan the harvest", "first the olives"), ("and then?", "then the grapes of Carmel"))
    shelf.write(("Plan the wedding", "grapes and olives on every table"))
    assert shelf.titles("olives grapes") == ["Plan the wedding", "Plan the harvest"]
    assert shelf.titles("GRAPES harvest") == ["Plan the harvest"]
    assert shelf.titles('"grapes and olives"') == shelf.titles('"grapes AND olives') == ["Plan the wedding"]
    assert shelf.titles('plan "the grapes"') == ["Plan the harvest"]
    assert shelf.titles('"olives grapes"') == []
    assert shelf.titles('""') == shelf.titles('  " ') == shelf.titles("")


def test_what_is_found_comes_in_pages_too(shelf: Shelf) -> None:
    for number in range(5):
        shelf.write((f"number {number}", "x" if number == 3 else "said in many"))
    assert shelf.titles("many number", limit=2, offset=1) == ["number 2", "number 1"]
    assert shelf.titles("many number", limit=2, offset=3) == ["number 0"]
    assert shelf.index.listed(2, 3, "many number")[1] == 4


def snippets(shelf: Shelf, query: str) -> list[str | None]:
    return [summary.snippet for summary in shelf.index.listed(9, 0, query)[0]]


def test_what_is_found_shows_the_words_around_it(shelf: Shelf) -> None:
    before, after = "einmal " * 30, "danach " * 30
    shelf.write(("Erzähl", f"{before}\nDie Straße zum TURM\nwar lang {after}"))
    (snippet,) = snippets(shelf, "turm war")
    assert snippet is not None
    assert "einmal Die Straße zum TURM war lang danach" in snippet
    assert snippet.startswith("…einmal ")
    assert snippet.endswith("…")
    assert len(snippet) <= 121
    assert [one and one.startswith("Erzähl einmal") for one in snippets(shelf, "erzähl")] == [True]
    assert snippets(shelf, "") == [None]
    assert "snippet" not in shelf.index.listed(9, 0, "")[0][0].json()


def test_a_snippet_is_found_in_titles_and_in_what_claude_was_cut_off_saying(shelf: Shelf) -> None:
    conversation = shelf.write(("tell me", "gladly"))
    shelf.index.rename(conversation, "Holidays in Haifa")
    journal = Journal(shelf.index.journal_path(conversation))
    journal.keep_words("m_1", [{"id": "i", "kind": "assistant", "text": "An ACROPOLIS"}])
    assert snippets(shelf, "haifa") == ["Holidays in Haifa"]
    assert snippets(shelf, "acropolis") == ["An ACROPOLIS"]


def test_half_a_character_hides_nothing(shelf: Shelf) -> None:
    conversation = shelf.write(("first", "a"))
    with shelf.path(conversation).open("a") as file:
        content = [{"type": "text", "text": "half \ud83d of it"}]
        message = {"id": "m", "role": "assistant", "content": content}
        entry = {"type": "assistant", "uuid": str(uuid.uuid4()), "timestamp": "2026", "message": message}
        file.write(json.dumps(entry, separators=(",", ":")) + "\n")
    assert snippets(shelf, "half") == ["first a half ? of it"]


def test_what_is_said_is_searched_for_from_the_next_moment_on_and_what_is_gone_no_more(shelf: Shelf) -> None:
    conversation = shelf.write(("first", "olives"))
    assert shelf.titles("olives") == ["first"]
    shelf.write(("more", "grapes"), conversation=conversation)
    assert shelf.titles("olives grapes") == ["first"]
    shelf.path(conversation).unlink()
    shelf.write(("anew", "figs"), conversation=conversation)
    assert (shelf.titles("olives"), shelf.titles("figs")) == ([], ["anew"])


def test_search_does_not_look_into_what_tools_said(shelf: Shelf) -> None:
    conversation = shelf.write(("read it", "done"))
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "secret sauce"}
    shelf.add(conversation, {"type": "user", "message": {"role": "user", "content": [result]}})
    assert shelf.titles("sauce") == []


def test_what_claude_code_puts_in_the_place_of_an_answer_is_none(shelf: Shelf) -> None:
    conversation = str(uuid.uuid4())
    shelf.prompt(conversation, "tell me")
    filler = {"id": "1", "model": "<synthetic>", "stop_reason": "stop_sequence"}
    said = [{"type": "text", "text": "No response requested."}]
    shelf.add(conversation, {"type": "assistant", "message": filler | {"content": said}})
    items = shelf.items(conversation)[0]
    assert [item["kind"] for item in items] == ["user", "notice", "end"]
    assert items[-1]["outcome"] == "lost"


def test_a_half_written_line_is_read_when_it_is_whole(shelf: Shelf) -> None:
    conversation = shelf.write(("first", "a"))
    entry = json.dumps(
        {"type": "custom-title", "customTitle": "Whole", "sessionId": conversation}, separators=(",", ":")
    )
    with shelf.path(conversation).open("a") as file:
        file.write(entry[:20])
        file.flush()
        assert shelf.titles() == ["first"]
        file.write(entry[20:] + "\n")
    assert shelf.titles() == ["Whole"]


def test_a_damaged_index_is_made_anew(shelf: Shelf) -> None:
    shelf.write(("first", "a"))
    shelf.config.app.mkdir(parents=True, exist_ok=True)
    (shelf.config.app / "conversations.sqlite").write_bytes(b"this is no database " * 100)
    assert shelf.titles() == ["first"]


def test_where_the_index_cannot_be_made_the_list_is_there_all_the_same(shelf: Shelf) -> None:
    shelf.write(("first", "a"))
    (shelf.config.app / "conversations.sqlite").mkdir(parents=True)
    assert shelf.titles() == ["first"]


def test_a_disk_that_fills_up_takes_no_conversation_away(shelf: Shelf) -> None:
    shelf.write(("first", "a"))
    assert shelf.titles() == ["first"]
    shelf.index._db.execute("pragma max_page_count = 1")  # SQLite's own words for a full disk
    for number in range(50):
        shelf.write((f"{number} " + "x" * 500, "y" * 500))
    assert len(shelf.titles(limit=200)) == 51
    assert shelf.titles("first") == ["first"]


def test_the_index_survives_the_server(shelf: Shelf) -> None:
    shelf.write(("first", "a"))
    shelf.titles()
    shelf.index.close()
    again = Index(shelf.folder, shelf.config.app)
    assert [one.title for one in again.listed(9, 0, "a")[0]] == ["first"]


def test_a_message_that_claude_never_got_is_listed_all_the_same(shelf: Shelf) -> None:
    conversation = str(uuid.uuid4())
    Journal(shelf.index.journal_path(conversation)).send(
        Sent(str(uuid.uuid4()), "2026-11-23T10:00:00.000Z", "hello")
    )
    assert shelf.titles() == ["hello"]


@pytest.mark.parametrize(
    ("text", "title"),
    [("  one\n two ", "one two"), ("x" * 100, "x" * 79 + "…"), ("", "")],
)
def test_a_title_is_the_first_words_on_one_line(text: str, title: str) -> None:
    assert title_of(text) == title


# --- delete and restore -------------------------------------------------------------------------------


def test_an_export_names_what_was_attached_on_a_line_of_its_own() -> None:
    files = [{"name": "plan\n## b.pdf"}, {"name": "photo.png"}]
    turn = [user_item("u", "2026-11-01T10:00:00.000Z", "look", attachments=files)]
    text = "".join(markdown("Plans", [turn]))
    assert text.endswith("look\n\n📎 plan ## b.pdf\n\n📎 photo.png\n\n")


def test_a_deleted_conversation_comes_back_whole(shelf: Shelf) -> None:
    conversation = shelf.write(("first", "a"))
    helpers = shelf.folder / conversation / "subagents"
    helpers.mkdir(parents=True)
    (helpers / "agent-1.jsonl").write_text("{}\n")
    before = shelf.path(conversation).read_bytes()
    assert shelf.index.delete(conversation)
    assert shelf.titles() == []
    assert not helpers.exists()
    restored = shelf.index.restore(conversation)
    assert restored
    assert restored.title == "first"
    assert shelf.path(conversation).read_bytes() == before
    assert (helpers / "agent-1.jsonl").exists()
    assert shelf.index.restore(conversation) is None


def test_what_was_deleted_long_ago_is_gone(shelf: Shelf) -> None:
    old, new = shelf.write(("old", "a")), shelf.write(("new", "b"))
    shelf.index.delete(old)
    shelf.index.delete(new)
    place = shelf.config.app / "deleted" / old
    now_s = place.stat().st_mtime
    os.utime(place, (now_s - KEPT_DELETED_S - 1, now_s - KEPT_DELETED_S - 1))
    shelf.index.purge(now_s)
    assert shelf.index.restore(old) is None
    assert shelf.index.restore(new)


def test_what_was_deleted_is_listed_the_newest_deletion_first_until_it_is_restored(shelf: Shelf) -> None:
    unsent = str(uuid.uuid4())
    Journal(shelf.index.journal_path(unsent)).send(Sent(str(uuid.uuid4()), "2026-11-23T10:00:00Z", "hello"))
    named = shelf.write(("plan my week", "sure"))
    shelf.index.rename(named, "My week")
    for number, conversation in enumerate((named, unsent)):
        shelf.index.delete(conversation)
        place, at_s = shelf.config.app / "deleted" / conversation, 1_780_000_000 + number
        os.utime(place, (at_s, at_s))
    deleted = shelf.index.deleted()
    assert [one.summary.title for one in deleted] == ["hello", "My week"]
    assert deleted[0].json()["deleted_at"] == "2026-05-28T20:26:41Z"
    assert deleted[0].json()["until"] == "2026-06-27T20:26:41Z"
    shelf.index.restore(named)
    assert [one.summary.title for one in shelf.index.deleted()] == ["hello"]


class Killed(BaseException):
    """The server's end, in the middle of something."""


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], bool]:
    """Does something, with a server that is killed after so many moves; whether it came to that."""

    def run(moves: int, work: Callable[[], object]) -> bool:
        left = iter(range(moves))
        move = shutil.move

        def moved(*paths: Any) -> Any:
            if next(left, None) is None:
                raise Killed
            return move(*paths)

        with monkeypatch.context() as patched:
            patched.setattr(shutil, "move", moved)
            patched.setattr(Path, "rename", moved)
            try:
                work()
            except Killed:
                return True
        return False

    return run


def whole_conversation(shelf: Shelf) -> str:
    """With all parts that a conversation can have."""
    conversation = shelf.write(("first", "a"))
    journal = Journal(shelf.index.journal_path(conversation))
    journal.send(Sent(str(uuid.uuid4()), "2026-11-20T10:00:00Z", "said", []))
    draft_of(journal.path).write_text("{}")
    helpers = shelf.folder / conversation
    helpers.mkdir()
    (helpers / "agent-1.jsonl").write_text("{}\n")
    return conversation


def parts_there(index: Index, conversation: str) -> set[str]:
    return {name for name, path in index._parts(conversation).items() if path.exists()}


@pytest.mark.parametrize("moves", range(6))
def test_a_deletion_that_was_cut_off_is_ended_and_nothing_of_it_is_lost(
    shelf: Shelf, killed_after: Callable[[int, Callable[[], object]], bool], moves: int
) -> None:
    conversation = whole_conversation(shelf)
    was_killed = killed_after(moves, lambda: shelf.index.delete(conversation))
    assert was_killed == (moves < 5)
    again = Index(shelf.folder, shelf.config.app)
    assert again.listed(10, 0, "")[0] == []
    assert parts_there(again, conversation) == set()
    assert again.restore(conversation)
    assert len(parts_there(again, conversation)) == 4
    assert not list((shelf.config.app / "deleted").iterdir())


@pytest.mark.parametrize("moves", range(5))
def test_an_undo_that_was_cut_off_is_ended(
    shelf: Shelf, killed_after: Callable[[int, Callable[[], object]], bool], moves: int
) -> None:
    conversation = whole_conversation(shelf)
    shelf.index.delete(conversation)
    was_killed = killed_after(moves, lambda: shelf.index.restore(conversation))
    assert was_killed == (moves < 4)
    again = Index(shelf.folder, shelf.config.app)
    titles = [one.title for one in again.listed(10, 0, "")[0]]
    assert titles == (["first"] if moves else [])
    assert len(parts_there(again, conversation)) == (4 if moves else 0)
    assert bool(again.restore(conversation)) == (not moves)


def test_what_was_deleted_twice_under_one_name_overwrites_nothing_that_is_in_use(shelf: Shelf) -> None:
    conversation = shelf.write(("first", "a"))
    shelf.index.delete(conversation)
    shelf.write(("second", "b"), conversation=conversation)
    restored = shelf.index.restore(conversation)
    assert restored
    assert restored.title == "second"
    assert (shelf.config.app / "deleted" / conversation / "transcript.jsonl").exists()


def test_a_copy_that_was_cut_off_leaves_nothing(shelf: Shelf) -> None:
    shelf.write(("first", "a"))
    draft = shelf.folder / f"{uuid.uuid4()}.part"
    draft.write_text("half")
    assert shelf.titles() == ["first"]
    assert not draft.exists()


def test_a_name_is_kept_though_the_transcript_ends_in_the_middle_of_a_line(shelf: Shelf) -> None:
    conversation = shelf.write(("first", "a"))
    with shelf.path(conversation).open("a") as file:
        file.write('{"type":"assist')
    shelf.index.rename(conversation, "Holidays")
    elsewhere = Index(shelf.folder, shelf.config.app / "elsewhere")
    assert [one.title for one in elsewhere.listed(10, 0, "")[0]] == ["Holidays"]


# --- history ------------------------------------------------------------------------------------------


def kinds(items: list[Any]) -> list[str]:
    return [item["kind"] for item in items]


def test_a_transcript_reads_as_turns_with_one_end_each(shelf: Shelf) -> None:
    items, more = shelf.items(shelf.write(("one", "a"), ("two", "b")))
    assert kinds(items) == ["user", "assistant", "end"] * 2
    assert [item["outcome"] for item in items if item["kind"] == "end"] == ["completed"] * 2
    assert not more


def test_turns_that_give_way_while_they_are_read_are_left_out(shelf: Shelf) -> None:
    conversation = shelf.write(("one", "a"), ("two", "b"), ("three", "c"))
    transcript = Transcript(shelf.path(conversation))
    transcript.refresh()
    reading = transcript.turns(Past())
    assert next(reading)[0]["text"] == "one"
    transcript.cut(set(transcript.prompts[1:]))
    assert list(reading) == []


def test_older_items_come_page_by_page_without_gap_or_double(shelf: Shelf) -> None:
    conversation = shelf.write(*[(f"question {number}", f"answer {number}") for number in range(20)])
    everything, _ = shelf.items(conversation, limit=1000)
    gathered: list[Any] = []
    more = True
    while more:
        before = gathered[0]["id"] if gathered else None
        page, more = shelf.items(conversation, before, 7)
        gathered = page + gathered
    assert gathered == everything
    with pytest.raises(KeyError):
        shelf.items(conversation, "no such item")


def test_an_interrupted_turn_is_stopped_and_an_unfinished_one_is_lost(shelf: Shelf) -> None:
    conversation = str(uuid.uuid4())
    shelf.prompt(conversation, "one")
    shelf.prompt(conversation, "[Request interrupted by user]")
    shelf.prompt(conversation, "two")
    items, _ = shelf.items(conversation)
    assert kinds(items) == ["user", "end", "user", "notice", "end"]
    assert [item["outcome"] for item in items if item["kind"] == "end"] == ["stopped", "lost"]


def test_the_journal_knows_better_how_a_turn_ended(shelf: Shelf) -> None:
    conversation = str(uuid.uuid4())
    prompt = shelf.prompt(conversation, "one")
    transcript = Transcript(shelf.path(conversation))
    transcript.refresh()
    items, _ = transcript.page(None, 9, Past(ended={prompt: Ended("stopped", 1200, 0.25, 77)}))
    assert items[-1] | {"at": ""} == {
        "kind": "end",
        "id": f"end-{prompt}",
        "at": "",
        "outcome": "stopped",
        "duration_ms": 1200,
        "cost_usd": 0.25,
        "tokens": 77,
    }


def test_what_an_error_said_is_a_notice_in_plain_words(shelf: Shelf) -> None:
    conversation = str(uuid.uuid4())
    shelf.prompt(conversation, "one")
    words = "Not logged in · Please run /login"
    shelf.answer(conversation, words, isApiErrorMessage=True, error="authentication_failed")
    items, _ = shelf.items(conversation)
    assert [(item["kind"], item.get("code", item.get("outcome"))) for item in items[1:]] == [
        ("notice", "not_connected"),
        ("end", "failed"),
    ]


def test_what_is_meant_for_claude_alone_is_not_shown(shelf: Shelf) -> None:
    conversation = str(uuid.uuid4())
    shelf.prompt(conversation, "<local-command-caveat>…</local-command-caveat>", isMeta=True)
    first = shelf.prompt(conversation, "one")
    shelf.answer(conversation, "inner", first, isSidechain=True)
    shelf.prompt(conversation, "This session is being continued …", isCompactSummary=True)
    shelf.answer(conversation, "a")
    items, _ = shelf.items(conversation)
    assert [item.get("text") for item in items] == ["one", "a", None]


def test_going_back_to_an_older_message_hides_what_it_replaced(shelf: Shelf) -> None:
    conversation = str(uuid.uuid4())
    root = shelf.prompt(conversation, "one")
    answer = shelf.answer(conversation, "a", root)
    wrong = shelf.prompt(conversation, "wrong", answer)
    shelf.answer(conversation, "b", wrong)
    better = shelf.prompt(conversation, "better", answer)
    shelf.answer(conversation, "c", better)
    items, _ = shelf.items(conversation)
    assert [item["text"] for item in items if item["kind"] != "end"] == ["one", "a", "better", "c"]


def test_damaged_lines_are_passed_over(shelf: Shelf) -> None:
    conversation = shelf.write(("one", "a"))
    with shelf.path(conversation).open("ab") as file:
        file.write(b'{"type":"user","uuid":"broken\n\xff\xfe\n[]\n')
    shelf.write(("two", "b"), conversation=conversation)
    items, _ = shelf.items(conversation)
    assert kinds(items) == ["user", "assistant", "end"] * 2


# --- the journal --------------------------------------------------------------------------------------


def test_a_journal_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.send(Sent("a", "t", "one"))
    journal.begin("a")
    with path.open("a") as file:
        file.write('\n{"sent": {"id": "b", "te')
    Journal(path).end("a", Ended("completed", 5))
    again = Journal(path)
    assert (set(again.sent), again.begun, again.ended) == ({"a"}, {"a"}, {"a": Ended("completed", 5)})
    assert again.unfinished() == []


# --- over HTTP ----------------------------------------------------------------------------------------


def exchange(shelf: Shelf, *asked: tuple[str, str, Any]) -> list[httpx.Response]:
    """The answers to these requests, in one life of the server."""

    async def life() -> list[httpx.Response]:
        chat = shelf.chat()
        app = Starlette(routes=chat.routes(), exception_handlers={Problem: answer_problem})
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://workspace") as client:
            answers = [await client.request(method, path, json=body) for method, path, body in asked]
        await chat.close()
        return answers

    return asyncio.run(life())


def test_the_list_the_history_and_the_changes_are_there_over_http(shelf: Shelf) -> None:
    conversation = shelf.write(("one", "a"), ("two", "b"))
    at = f"/api/conversations/{conversation}"
    listed, renamed, items, gone, empty, deleted, back = exchange(
        shelf,
        ("GET", "/api/conversations?limit=10&q=TWO", None),
        ("PATCH", at, {"title": "Better"}),
        ("GET", f"{at}/items?limit=2", None),
        ("DELETE", at, None),
        ("GET", "/api/conversations", None),
        ("GET", "/api/conversations/deleted", None),
        ("POST", f"{at}/restore", None),
    )
    assert (listed.json()["total"], listed.json()["deleted"]) == (1, False)
    assert listed.json()["conversations"][0] == {
        "id": conversation,
        "title": "one",
        "updated_at": listed.json()["conversations"][0]["updated_at"],
        "turn": "idle",
        "archived": False,
        "model": None,
        "effort": None,
        "permission_mode": None,
        "forked_from": None,
        "usage": {"cost_usd": 0.0, "input_tokens": 0, "output_tokens": 0, "turns": 0},
        "snippet": "one a two b",
    }
    (buried,) = deleted.json()["conversations"]
    assert (buried["id"], buried["title"], buried["deleted_at"] < buried["until"]) == (
        conversation,
        "Better",
        True,
    )
    assert renamed.json()["title"] == "Better"
    assert (kinds(items.json()["items"]), items.json()["more"]) == (["assistant", "end"], True)
    assert (gone.status_code, empty.json()) == (204, {"conversations": [], "total": 0, "deleted": True})
    assert back.json()["title"] == "Better"
    assert [message["type"] for message in shelf.published] == [
        "conversation",
        "conversation_gone",
        "conversation",
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/api/conversations/{there}", {"title": " "}, 400),
        ("PATCH", "/api/conversations/{there}", {"title": "a\nb"}, 400),
        ("PATCH", "/api/conversations/{missing}", {"title": "x"}, 404),
        ("DELETE", "/api/conversations/{missing}", None, 404),
        ("DELETE", "/api/conversations/..%2f..%2fetc", None, 404),
        ("POST", "/api/conversations/{missing}/restore", None, 404),
        ("GET", "/api/conversations/{there}/items?before=nothing", None, 404),
        ("GET", "/api/conversations/{missing}/items", None, 404),
        ("GET", "/api/conversations?limit=many", None, 400),
    ],
)
def test_what_makes_no_sense_has_a_fitting_code(
    shelf: Shelf, method: str, path: str, body: Any, status: int
) -> None:
    path = path.format(there=shelf.write(("one", "a")), missing=uuid.uuid4())
    (answer,) = exchange(shelf, (method, path, body))
    assert answer.status_code == status
    if "message" in answer.text:
        assert answer.json()["error"]["message"]


def test_a_picture_that_a_tool_brought_is_served_from_the_record(shelf: Shelf) -> None:
    shown = b"\x89PNG\r\n\x1a\n and so on"
    conversation = str(uuid.uuid4())
    shelf.prompt(conversation, "look")
    use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "x.png"}}
    shelf.add(conversation, {"type": "assistant", "message": {"id": "m", "content": [use]}})
    blocks = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(one).decode()},
        }
        for one in (shown, b"<script>alert(1)</script>")
    ]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": blocks}
    shelf.add(conversation, {"type": "user", "message": {"role": "user", "content": [result]}})
    (tool,) = [item for item in shelf.items(conversation)[0] if item["kind"] == "tool"]
    at = f"/api/conversations/{conversation}/pictures"
    wanted = [*(one["id"] for one in tool["pictures"]), "toolu_1.2", "toolu_2.0", "toolu_1", ".", "-1"]
    answers = exchange(shelf, *(("GET", f"{at}/{one}", None) for one in wanted))
    assert [answer.status_code for answer in answers] == [200, 404, 404, 404, 404, 404, 404]
    assert (answers[0].content, answers[0].headers["content-type"]) == (shown, "image/png")
    assert "sandbox" in answers[0].headers["content-security-policy"]
    assert answers[0].headers["cache-control"] == "private, no-cache"


def test_what_was_read_is_not_read_again_and_a_search_reads_nothing(shelf: Shelf) -> None:
    conversation = shelf.write(*[(f"question {number}", f"answer {number}") for number in range(100)])
    path = shelf.path(conversation)
    opened = Transcript(path)
    assert shelf.titles() == ["question 0"]
    opened.refresh()
    before = path.stat()
    path.write_bytes(b"\n" * before.st_size)  # who reads it once more finds nothing
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shelf.titles('"question 7" "answer 99"') == ["question 0"]
    shelf.write(("the last", "grapes"), conversation=conversation)
    assert shelf.titles('"question 7" grapes') == ["question 0"]
    opened.refresh()
    assert len(opened.prompts) == 101


def test_of_a_long_conversation_little_is_parsed_to_open_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = str(uuid.uuid4())
    for number in range(300):
        shelf.prompt(conversation, f"question {number}")
        call = f"toolu_{number}"
        use = {"type": "tool_use", "id": call, "name": "Bash", "input": {"command": "ls"}}
        shelf.add(conversation, {"type": "assistant", "message": {"id": f"m{number}", "content": [use]}})
        result = {"type": "tool_result", "tool_use_id": call, "content": "x" * 20_000}
        shelf.add(conversation, {"type": "user", "message": {"role": "user", "content": [result]}})
    parsed: list[int] = []
    loads = json.loads

    def counted(text: str | bytes) -> Any:
        parsed.append(len(text))
        return loads(text)

    transcript = Transcript(shelf.path(conversation))
    with monkeypatch.context() as patch:
        patch.setattr(json, "loads", counted)
        transcript.refresh()
        items, more = transcript.page(None, 200, Past())
    assert [item["output"] for item in items if item["kind"] == "tool"][-1] == "x" * 20_000
    assert more
    assert sum(parsed) < transcript.size / 10
    assert len(json.dumps(items)) < 300_000


def test_a_long_conversation_opens_with_its_last_items_and_gives_the_rest(shelf: Shelf) -> None:
    conversation = shelf.write(*[(f"question {number}", f"answer {number}") for number in range(100)])

    async def life() -> None:
        chat = shelf.chat()
        page = await Page(chat, conversation).follow()
        assert (len(page.items), page.more) == (200, True)
        loaded = await chat._conversation(conversation)
        older, more = await loaded.page(page.items.all()[0]["id"], 200)
        assert (len(older), more) == (100, False)
        everything = [*older, *page.items.all()]
        assert [item["text"] for item in everything if item["kind"] == "user"] == [
            f"question {number}" for number in range(100)
        ]
        await chat.close()

    asyncio.run(life())
