"""One conversation, with a Claude that says what a test has it say: what is kept of it, come what may."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from webapp import draft as draft_module
from webapp import wording
from webapp.board import MUCH, Item, weight
from webapp.conversation import Conversation, RefusedError
from webapp.draft import Draft, draft_of
from webapp.journal import Ended, Journal, Sent, Trouble
from webapp.process import Heard, Process, Request, Result
from webapp.settings import Settings
from webapp.transcript import Transcript
from webapp.translate import Translator

from tests.support.chat_page import soon
from tests.support.webapp import run_async

Hear = Callable[[Translator], Heard]
"""What a message of the SDK's comes to."""

AT = "2026-11-01T10:00:00.000Z"
DONE = Result("completed", "", None, None)


class Claude:
    """A process that says what the test puts in, and nothing else; None kills it."""

    model = mode = effort = language = ""
    pid = None
    info: dict[str, Any] = {}

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.says: asyncio.Queue[dict[str, Any] | Result | Hear | None] = asyncio.Queue()

    async def start(self) -> None:
        """It is there already."""

    async def send(self, _message_id: str, content: Any) -> None:
        self.told.append(content)

    async def heard(self, translator: Translator) -> AsyncIterator[Heard]:
        while (said := await self.says.get()) is not None:
            if isinstance(said, Result):
                yield Heard(result=said)
            elif callable(said):
                yield said(translator)
            else:
                yield Heard(translator.stream(said, AT))

    async def set_model(self, model: str) -> None:
        self.model = model

    async def set_mode(self, mode: str) -> None:
        self.mode = mode

    async def interrupt(self) -> None:
        """Nothing stops it."""

    async def close(self, timeout_s: float = 0) -> None:
        """It holds nothing."""

    def kill(self) -> None:
        self.says.put_nowait(None)

    # --- what the test has it say ---

    def begin(self, message: str = "msg_1") -> None:
        self.says.put_nowait({"type": "message_start", "message": {"id": message}})
        self.says.put_nowait({"type": "content_block_start", "index": 0, "content_block": {"type": "text"}})

    def say(self, *words: str) -> None:
        for word in words:
            delta = {"type": "text_delta", "text": word}
            self.says.put_nowait({"type": "content_block_delta", "index": 0, "delta": delta})

    def call(self, name: str, call: str, parent: str | None = None) -> None:
        block = {"type": "tool_use", "id": call, "name": name, "input": {}}
        message = {"id": f"msg_{call}", "content": [block]}
        self.says.put_nowait(lambda translator: Heard(translator.assistant(message, AT, parent=parent)))

    def bring(self, call: str, output: str = "") -> None:
        self.says.put_nowait(lambda translator: Heard(translator.tool_result(call, output, is_error=False)))


class House:
    """A chat with one conversation in it."""

    def __init__(self, claude: Claude) -> None:
        self.claude = claude
        self.trouble: OSError | None = None

    def settings(self) -> Settings:
        return Settings()

    async def process(self, _conversation: Conversation, *, resume: bool, after: str | None) -> Process:
        return self.claude

    async def content(self, message: Sent) -> str:
        if self.trouble:
            raise self.trouble
        return message.text

    def started(self, process: Process) -> None: ...
    async def keep(self, conversation: Conversation) -> None: ...
    async def slot(self, conversation: Conversation) -> None: ...
    def slot_free(self, conversation: Conversation) -> None: ...
    def settled(self) -> None: ...
    def changed(self, conversation: Conversation) -> None: ...


class Place:
    """What is on the disk of one conversation, and servers that come and go over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.transcript = folder / "transcript.jsonl"
        self.journal = folder / "journal.jsonl"
        self.draft = draft_of(self.journal)

    def server(self) -> tuple[Conversation, Claude]:
        claude = Claude()
        transcript = Transcript(self.transcript)
        transcript.refresh()
        return Conversation("c", House(claude), transcript, Journal(self.journal)), claude

    def after_a_kill(self) -> Place:
        """What the next server finds, if this one is killed now."""
        return Place(Path(shutil.copytree(self.folder, self.folder.with_name(uuid.uuid4().hex))))

    def items(self) -> list[Item]:
        """As a server that starts now has it."""
        return self.server()[0].board.items.all()

    def drafted(self) -> str:
        left = Draft(self.draft, lambda: None).left()
        return left.items[0]["text"] if left else ""

    def write(self, turn: str, *said: str, message: str = "msg_1") -> None:
        """As Claude Code does once it has said it."""
        self.transcript.unlink(missing_ok=True)
        self.add(turn, *said, message=message)

    def add(self, turn: str, *said: str, message: str = "msg_1") -> None:
        user = {"type": "user", "uuid": turn, "timestamp": AT, "message": {"content": "tell me"}}
        content = [{"type": "text", "text": text} for text in said]
        whole = {"id": message, "content": content, "stop_reason": "end_turn"}
        answer = {"type": "assistant", "uuid": str(uuid.uuid4()), "timestamp": AT, "message": whole}
        entries = [user, answer | {"apiBlockIndex": 0}] if said else [user]
        with self.transcript.open("a") as file:
            file.writelines(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(draft_module, "EVERY_S", 0.0)
    (tmp_path / "first").mkdir()
    return Place(tmp_path / "first")


def said(items: list[Item]) -> list[str]:
    return [item["text"] for item in items if item["kind"] == "assistant"]


async def talking(place: Place, *words: str) -> tuple[Conversation, Claude, str]:
    """A turn in which this has been said, is on the disk, and more may come."""
    conversation, claude = place.server()
    turn = str(uuid.uuid4())
    conversation.send(turn, "tell me")
    claude.begin()
    claude.say(*words)
    await soon(lambda: said(conversation.board.items.all()) == ["".join(words)], "the words")
    return conversation, claude, turn


def killed(place: Place, *words: str) -> tuple[Place, str]:
    """What a server leaves that is killed when it has shown this, and the turn that it was in."""

    async def life() -> tuple[Place, str]:
        conversation, claude, turn = await talking(place, *words)
        await soon(lambda: place.drafted() == "".join(words), "the words on the disk")
        left = place.after_a_kill()
        claude.kill()
        await conversation.close(1)
        return left, turn

    found: tuple[Place, str] = run_async(life)
    return found


def test_what_a_killed_server_had_shown_is_the_begin_of_an_answer_that_was_cut_off(place: Place) -> None:
    left, _ = killed(place, "once ", "upon ", "a time")
    for _ in range(2):
        items = left.items()
        assert [item["kind"] for item in items] == ["user", "assistant", "notice", "end"]
        assert said(items) == ["once upon a time"]
        assert (items[1]["done"], items[2]["action"], items[3]["outcome"]) == (True, "continue", "lost")
        assert not left.draft.exists()


def test_it_stands_in_its_turn_where_claude_wrote_the_question_down(place: Place) -> None:
    left, turn = killed(place, "once ", "upon")
    left.write(turn)
    assert [item["kind"] for item in left.items()] == ["user", "assistant", "notice", "end"]
    assert said(left.items()) == ["once upon"]


def test_what_a_claude_that_lived_longer_wrote_down_does_not_stand_twice(place: Place) -> None:
    left, turn = killed(place, "once ", "upon")
    left.write(turn, "once upon a time")
    assert said(left.items()) == ["once upon a time"]
    left.write(turn, "once upon a time", message="msg_said_again")
    assert said(left.items()) == ["once upon a time"]


def test_claude_is_told_what_it_was_saying_when_it_is_to_continue(place: Place) -> None:
    left, _ = killed(place, "once ", "upon")

    async def story() -> None:
        conversation, claude = left.server()
        conversation.send(str(uuid.uuid4()), wording.CONTINUE)
        await soon(lambda: claude.told, "the message")
        assert claude.told == [wording.go_on_after("once upon")]
        assert conversation.board.items.all()[-1]["text"] == wording.CONTINUE
        claude.says.put_nowait(DONE)
        await soon(lambda: conversation.turn == "idle", "the end")
        conversation.send(str(uuid.uuid4()), "something else")
        await soon(lambda: claude.told[1:], "the next message")
        assert claude.told[1:] == ["something else"]
        await conversation.close(1)

    run_async(story)


def test_a_copy_has_what_was_cut_off_and_its_items_are_known_to_a_new_server(place: Place) -> None:
    left, turn = killed(place, "once ", "upon")
    left.write(turn)
    answer = next(item for item in left.items() if item["kind"] == "assistant")
    journal = Journal(left.journal)
    fresh = Transcript(left.transcript)
    fresh.refresh()
    assert fresh.turn_of_item(answer["id"], journal) == turn
    journal.copy(left.folder / "copy.jsonl", "c", [turn])
    copied = Transcript(left.transcript)
    copied.refresh()
    assert said(copied.page(None, 9, Journal(left.folder / "copy.jsonl"))[0]) == ["once upon"]


def test_a_claude_that_died_leaves_its_words_too(place: Place) -> None:
    async def story() -> None:
        conversation, claude, _ = await talking(place, "once ", "upon")
        claude.kill()
        await soon(lambda: conversation.turn == "idle", "the end")
        assert said(conversation.board.items.all()) == ["once upon"]
        await conversation.close(1)

    run_async(story)
    assert said(place.items()) == ["once upon"]
    assert [item["kind"] for item in place.items()] == ["user", "assistant", "notice", "end"]


def test_nothing_is_kept_of_an_answer_that_came_to_its_end(place: Place) -> None:
    async def story() -> str:
        conversation, claude, turn = await talking(place, "once ", "upon")
        await soon(place.drafted, "the words on the disk")
        claude.says.put_nowait(DONE)
        await soon(lambda: conversation.turn == "idle", "the end")
        await conversation.close(1)
        return turn

    run_async(story)
    assert [path.name for path in place.folder.iterdir()] == ["journal.jsonl"]
    assert "once" not in place.journal.read_text()


def test_a_disk_that_takes_nothing_more_stops_no_answer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def story() -> None:
        conversation, claude, _ = await talking(place, "once ")
        await soon(place.drafted, "the words on the disk")
        monkeypatch.setattr("os.open", full)
        claude.say("upon ", "a time")
        await soon(lambda: said(conversation.board.items.all()) == ["once upon a time"], "the words")
        claude.says.put_nowait(DONE)
        await soon(lambda: conversation.turn == "idle", "the end")
        assert conversation.board.items.all()[-1]["outcome"] == "completed"
        await conversation.close(1)

    run_async(story)


def test_a_message_that_waits_can_be_taken_back_or_said_otherwise_and_the_others_stay(place: Place) -> None:
    async def story() -> None:
        conversation, claude, first = await talking(place, "once ")
        waiting = {text: str(uuid.uuid4()) for text in ("two", "three", "four")}
        for text, message in waiting.items():
            conversation.send(message, text)
        conversation.take_back(waiting["two"])
        await conversation.go_back(waiting["three"])
        conversation.send(str(uuid.uuid4()), "three, otherwise")
        assert conversation.board.queued == 2
        assert conversation.turn == "running"
        with pytest.raises(RefusedError, match="already"):
            conversation.take_back(waiting["two"])
        with pytest.raises(RefusedError, match="already"):
            conversation.take_back(first)
        for number in (2, 3):
            claude.says.put_nowait(DONE)
            await soon(lambda: len(claude.told) == number, "the next message")  # noqa: B023
        assert claude.told == ["tell me", "four", "three, otherwise"]
        claude.says.put_nowait(DONE)
        await soon(lambda: conversation.turn == "idle", "the end")
        await conversation.close(1)

    run_async(story)
    asked = [item["text"] for item in place.items() if item["kind"] == "user"]
    assert asked == ["tell me", "four", "three, otherwise"]


def test_a_claude_that_cannot_be_stopped_is_left_and_the_message_said_otherwise(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.conversation.INTERRUPT_S", 0.01)
    monkeypatch.setattr("webapp.conversation.CATCH_UP_S", 0.0)
    monkeypatch.setattr(Claude, "kill", lambda _self: None)

    async def story() -> None:
        conversation, claude, turn = await talking(place, "once ")
        await conversation.go_back(turn)
        assert conversation.turn == "idle"
        conversation.send(str(uuid.uuid4()), "tell me something else")
        await soon(lambda: len(claude.told) == 2, "the new message")
        claude.says.put_nowait(DONE)
        await soon(lambda: conversation.turn == "idle", "the end")
        await conversation.close(1)

    run_async(story)
    items = place.items()
    assert [item["text"] for item in items if item["kind"] == "user"] == ["tell me something else"]
    assert [item["outcome"] for item in items if item["kind"] == "end"] == ["completed"]


def test_a_message_that_found_the_disk_full_can_be_sent_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_more: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def story() -> None:
        conversation, claude = place.server()
        message = str(uuid.uuid4())
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            with pytest.raises(OSError, match="No space"):
                conversation.send(message, "tell me")
        assert not conversation.knows(message)
        conversation.send(message, "tell me")
        await soon(lambda: claude.told == ["tell me"], "the message")
        claude.says.put_nowait(DONE)
        await soon(lambda: conversation.turn == "idle", "the end")
        await conversation.close(1)

    run_async(story)


def test_a_conversation_that_was_cut_off_opens_on_a_full_disk(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, _ = killed(place, "once ", "upon")

    def full(_self: Journal, *_lines: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", full)
        assert said(left.items()) == ["once upon"]
    assert said(left.items()) == ["once upon"]
    assert not left.draft.exists()


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"turn": "x"}', '{"turn": "x", "items": [1]}', "\x00\x01"])
def test_a_draft_that_cannot_be_read_is_none(place: Place, torn: str) -> None:
    place.draft.write_text(torn)
    assert place.items() == []


def test_words_that_come_together_are_written_down_together(place: Place) -> None:
    asked: list[int] = []

    async def story() -> None:
        draft = Draft(place.draft, lambda: asked.append(1))
        for number in (1, 2):
            for _ in range(100):
                draft.grows()
            await soon(lambda: len(asked) >= number, "a look at the words")  # noqa: B023
        draft.grows()
        draft.clear()

    run_async(story)
    assert len(asked) == 2


# --- what went wrong, told once more by the next server ---


async def over(conversation: Conversation, claude: Claude, result: Result = DONE) -> None:
    claude.says.put_nowait(result)
    await soon(lambda: conversation.turn == "idle", "the end")
    await conversation.close(1)


def notices(items: list[Item]) -> list[tuple[Any, ...]]:
    return [
        tuple(item[name] for name in ("code", "text", "until", "action"))
        for item in items
        if item["kind"] == "notice"
    ]


@pytest.mark.parametrize("kind", ["five_hour", None])
def test_a_limit_of_the_plan_is_told_in_the_same_words_and_until_the_same_hour_after_a_restart(
    place: Place, kind: str | None
) -> None:
    refused = {"type": "assistant", "uuid": str(uuid.uuid4()), "timestamp": AT, "isApiErrorMessage": True}
    refused |= {"error": "rate_limit", "apiErrorStatus": 429}
    refused |= {"message": {"id": "m", "model": "<synthetic>", "content": [{"type": "text", "text": "429"}]}}

    def limited(translator: Translator) -> Heard:
        translator.limit(kind, "2026-11-01T15:00:00+00:00")
        return Heard(translator.error("notice-1", AT, "rate_limit", "429"))

    async def story() -> list[tuple[Any, ...]]:
        conversation, claude = place.server()
        turn = str(uuid.uuid4())
        conversation.send(turn, "tell me")
        claude.says.put_nowait(limited)
        await over(conversation, claude, Result("failed", "429", None, None))
        place.write(turn)
        with place.transcript.open("a") as file:
            file.write(json.dumps(refused, separators=(",", ":")) + "\n")
        return notices(conversation.board.items.all())

    (told,) = run_async(story)
    assert told == ("rate_limited", wording.limit_reached(kind), "2026-11-01T15:00:00+00:00", "wait")
    assert notices(place.items()) == [told]
    Journal(place.journal).copy(place.folder / "copy.jsonl", "c", list(Journal(place.journal).sent))
    copied = Transcript(place.transcript)
    copied.refresh()
    assert notices(copied.page(None, 9, Journal(place.folder / "copy.jsonl"))[0]) == [told]


def test_why_claude_could_not_finish_is_told_after_a_restart_too(place: Place) -> None:
    async def story() -> list[tuple[Any, ...]]:
        conversation, claude = place.server()
        conversation.send(str(uuid.uuid4()), "tell me")
        await over(conversation, claude, Result("failed", "the tower has no stairs", None, None))
        return notices(conversation.board.items.all())

    told = run_async(story)
    assert [text for _, text, _, _ in told] == ["Claude could not finish: the tower has no stairs"]
    assert notices(place.items()) == told


def test_an_end_is_written_down_so_that_an_older_server_can_read_it(place: Place) -> None:
    Journal(place.journal).end("t", Ended("failed", notice="failed"), Trouble("why"))
    first = json.loads(place.journal.read_text().split("\n")[1])
    assert first.keys() <= {"ended", *Ended.__dataclass_fields__}


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "no room"), (errno.EEXIST, "“uploads”"), (errno.ENOENT, "attach")]
)
def test_files_that_claude_cannot_be_given_have_a_sentence_of_their_own(
    place: Place, number: int, words: str
) -> None:
    async def story() -> list[tuple[Any, ...]]:
        conversation, claude = place.server()
        house: Any = conversation._house
        house.trouble = OSError(number, "No")
        conversation.send(str(uuid.uuid4()), "look at this")
        await soon(lambda: conversation.turn == "idle", "the end")
        told = notices(conversation.board.items.all())
        house.trouble = None
        conversation.send(str(uuid.uuid4()), "never mind")
        await soon(lambda: claude.told == ["never mind"], "the next message")
        await over(conversation, claude)
        return told

    ((code, text, _, action),) = run_async(story)
    assert (code, action) == ("failed", "retry")
    assert words in text
    assert (code, text, None, action) in notices(place.items())


def test_what_a_turn_costs_that_a_helper_began_is_counted(place: Place) -> None:
    async def story() -> float:
        conversation, claude = place.server()
        conversation.send(str(uuid.uuid4()), "have a helper do it")
        claude.says.put_nowait(Result("completed", "", 0.25, 10, 6, 4))
        await soon(lambda: conversation.turn == "idle", "the end")
        claude.says.put_nowait(lambda _: Heard(begins=True))
        await soon(lambda: conversation.turn == "running", "the turn of the helper's end")
        await over(conversation, claude, Result("completed", "", 0.75, 20, 12, 8))
        return conversation.journal.usage.cost_usd

    assert run_async(story) == 0.75
    usage = Journal(place.journal).usage
    assert (usage.cost_usd, usage.input_tokens, usage.output_tokens) == (0.75, 18, 12)


# --- at work, or waiting for the person ---


async def asked(conversation: Conversation, call: str, tool: str = "Bash") -> None:
    conversation._chore(_unheard(conversation.ask(Request(tool, {}, call))))
    await soon(lambda: f"ask-{call}" in conversation.board.items, "the card")


async def _unheard(answer: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await answer


def test_who_waits_for_the_person_works_all_the_same_while_another_helper_does(place: Place) -> None:
    async def story() -> None:
        conversation, claude = place.server()
        conversation.send(str(uuid.uuid4()), "two helpers")
        claude.call("Agent", "one")
        claude.call("Agent", "two")
        claude.call("Bash", "one-runs", parent="one")
        await soon(lambda: "one-runs" in conversation.board.items, "the calls")
        await asked(conversation, "one-runs")
        assert (conversation.turn, conversation.busy, conversation.waits) == ("waiting", True, False)
        claude.bring("two", "done")
        await soon(lambda: not conversation.busy, "rest")
        assert conversation.waits
        conversation.answer("ask-one-runs", "allow", "", {})
        assert conversation.busy
        claude.bring("one-runs")
        claude.bring("one")
        await over(conversation, claude)

    run_async(story)


# --- memory ---


def test_what_the_transcript_holds_is_not_held_for_ever(place: Place) -> None:
    large = "x" * 60_000
    turns = 2 * MUCH // len(large)

    async def story() -> None:
        conversation, claude = place.server()
        conversation.board.follow("page", lambda _message: None, None, None)
        for number in range(turns):
            turn = str(uuid.uuid4())
            conversation.send(turn, f"number {number}")
            claude.begin(f"msg_{number}")
            claude.say(large)
            await soon(lambda: conversation.board.items.all()[-1].get("text") == large, "the words")
            claude.says.put_nowait(DONE)
            await soon(lambda: conversation.turn == "idle", "the end")
            place.add(turn, large, message=f"msg_{number}")
        held = conversation.board.items
        await soon(lambda: weight(held.all()) < 1.2 * MUCH, "old items to be forgotten")
        items, more = [*conversation.board.snapshot()["items"]], True
        while more:
            older, more = await conversation.page(items[0]["id"], 200)
            items = older + items
        asked = [item["text"] for item in items if item["kind"] == "user"]
        assert asked == [f"number {number}" for number in range(turns)]
        assert len(said(items)) == turns
        await conversation.close(1)

    run_async(story)


def test_what_may_still_change_is_held(place: Place) -> None:
    async def story() -> None:
        conversation, claude = place.server()
        turn = str(uuid.uuid4())
        conversation.send(turn, "tell me")
        claude.call("Agent", "long")
        await soon(lambda: "long" in conversation.board.items, "the helper")
        for number in range(2 * MUCH // 60_000):
            claude.call("Read", f"read-{number}", parent="long")
            claude.bring(f"read-{number}", "x" * 60_000)
        claude.call("Read", "last", parent="long")
        await soon(lambda: "last" in conversation.board.items, "the last call")
        assert "long" in conversation.board.items
        claude.bring("last")
        claude.bring("long", "read all")
        await soon(lambda: conversation.board.items["long"]["status"] == "done", "the helper's end")
        await over(conversation, claude)

    run_async(story)


def test_a_copy_can_be_made_while_a_turn_goes_on(place: Place) -> None:
    journal = Journal(place.journal)
    turns = [str(number) for number in range(300)]
    for turn in turns:
        journal.sent[turn] = Sent(turn, AT, "tell me")
        journal.cards[turn] = journal.cut_off[turn] = {}  # type: ignore[assignment]
    failed: list[Exception] = []
    journal.path = Path(os.devnull)

    def copy() -> None:
        for number in range(30):
            try:
                journal.copy(place.folder / f"copy-{number}.jsonl", "c", turns)
            except RuntimeError as error:
                failed.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread = threading.Thread(target=copy)
        thread.start()
        number = 0
        while thread.is_alive():
            number += 1
            journal.card(f"card-{number}", {})
            journal.keep_words(f"turn-{number}", [])
    finally:
        sys.setswitchinterval(before)
    assert failed == []
