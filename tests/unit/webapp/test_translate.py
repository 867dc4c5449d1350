"""What Claude says and does becomes items, whatever order or state it comes in; no process, no clock."""

from typing import Any

import pytest
from webapp import wording
from webapp.board import Item, Items, Op
from webapp.translate import LARGEST_PICTURE, LONGEST_OUTPUT, Translator

AT = "2026-11-23T10:00:00.000Z"


class Heard:
    """A conversation that hears happenings one by one."""

    def __init__(self, workspace: str = "/data/workspace") -> None:
        self.translator = Translator(workspace)
        self.items = Items()
        self.ops: list[Op] = []

    def take(self, ops: list[Op]) -> None:
        for op in ops:
            self.ops.append(op)
            self.items.apply(op)

    def stream(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.take(self.translator.stream(event, AT))

    def all(self) -> list[Item]:
        return self.items.all()


def starts(message_id: str = "msg_1") -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": message_id}}


def opens(index: int, kind: str, **rest: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **rest}}


def grows(index: int, text: str, kind: str = "text") -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", kind: text}}


def closes(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def whole(*blocks: dict[str, Any], message_id: str = "msg_1") -> dict[str, Any]:
    return {"id": message_id, "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(name: str, call_id: str = "toolu_1", /, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def test_streamed_words_and_the_whole_message_are_one_item() -> None:
    heard = Heard()
    heard.stream(starts(), opens(0, "text"), grows(0, "Hel"), grows(0, "lo"))
    assert heard.all() == [{"kind": "assistant", "id": "msg_1.0", "at": AT, "text": "Hello", "done": False}]
    heard.take(heard.translator.assistant(whole(text("Hello")), AT))
    heard.stream(closes(0))
    assert heard.all() == [{"kind": "assistant", "id": "msg_1.0", "at": AT, "text": "Hello", "done": True}]


def test_a_message_that_did_not_stream_has_the_same_items() -> None:
    heard = Heard()
    blocks = ({"type": "thinking", "thinking": "hm"}, text("Hello"))
    heard.take(heard.translator.assistant(whole(*blocks), AT))
    assert [(item["kind"], item["id"]) for item in heard.all()] == [
        ("thinking", "msg_1.0"),
        ("assistant", "msg_1.1"),
    ]


def test_thinking_without_words_is_not_shown() -> None:
    heard = Heard()
    heard.stream(starts(), opens(0, "thinking"), closes(0))
    heard.take(heard.translator.assistant(whole({"type": "thinking", "thinking": ""}), AT))
    assert heard.all() == []


def test_a_tool_is_there_before_its_input_is() -> None:
    heard = Heard()
    heard.stream(starts(), opens(0, "tool_use", id="toolu_1", name="Write", input={}))
    (tool,) = heard.all()
    assert (tool["title"], tool["status"], tool["input"]) == ("Writing …", "running", {})
    path = "/data/workspace/notes.md"
    heard.take(heard.translator.assistant(whole(call("Write", file_path=path, content="x")), AT))
    assert heard.all()[0]["title"] == "Writing notes.md"
    heard.take(heard.translator.tool_result("toolu_1", "written", is_error=False))
    (tool,) = heard.all()
    assert (tool["title"], tool["status"], tool["output"]) == ("Wrote notes.md", "done", "written")


@pytest.mark.parametrize(("is_error", "deny", "status"), [(True, False, "failed"), (True, True, "denied")])
def test_a_no_is_told_from_a_failure(is_error: bool, deny: bool, status: str) -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("Bash", command="ls")), AT))
    if deny:
        heard.translator.denied("toolu_1")
    heard.take(heard.translator.tool_result("toolu_1", "no", is_error=is_error))
    assert heard.all()[0]["status"] == status


def test_a_result_may_be_blocks_and_pictures() -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("Read", file_path="x.png")), AT))
    heard.take(heard.translator.tool_result("toolu_1", [text("one"), {"type": "image"}], is_error=False))
    assert heard.all()[0]["output"] == "one\n[a picture]"


def picture(type_: str = "image/png", data: str = "aGk=") -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": type_, "data": data}}


def test_a_picture_that_a_page_can_show_is_named_by_where_it_is_and_not_held() -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("Read", file_path="x.png")), AT))
    content = [text("one"), picture(), picture("image/jpeg")]
    heard.take(heard.translator.tool_result("toolu_1", content, is_error=False))
    (tool,) = heard.all()
    assert tool["output"] == "one"
    assert tool["pictures"] == [
        {"id": "toolu_1.1", "type": "image/png"},
        {"id": "toolu_1.2", "type": "image/jpeg"},
    ]
    assert "aGk=" not in str(heard.ops)


@pytest.mark.parametrize(
    ("block", "parent"),
    [
        (picture("image/svg+xml"), None),
        (picture(data="x" * (LARGEST_PICTURE + 1)), None),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}, None),
        (picture(), "toolu_of_a_helper"),
    ],
)
def test_a_picture_that_no_page_can_show_is_said_to_be_one(block: dict[str, Any], parent: str | None) -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("Read")), AT, parent=parent))
    heard.take(heard.translator.tool_result("toolu_1", [block], is_error=False))
    (tool,) = heard.all()
    assert (tool["pictures"], tool["output"]) == ([], "[a picture]")


def test_what_a_page_cannot_show_is_cut() -> None:
    heard = Heard()
    long = "x" * (LONGEST_OUTPUT + 7)
    heard.take(heard.translator.assistant(whole(call("Write", file_path="a", content=long)), AT))
    heard.take(heard.translator.tool_result("toolu_1", long, is_error=False))
    (tool,) = heard.all()
    assert tool["output"].endswith("(7 more characters)")
    assert len(tool["input"]["content"]) < LONGEST_OUTPUT + 50


def test_a_helpers_tools_name_their_parent_and_its_words_are_its_own() -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("Agent", description="count")), AT))
    inner = whole(text("inner words"), call("Bash", "toolu_2", command="wc"), message_id="msg_2")
    heard.take(heard.translator.assistant(inner, AT, parent="toolu_1"))
    assert [(item["kind"], item["parent"]) for item in heard.all()] == [("tool", None), ("tool", "toolu_1")]


def test_a_helper_in_the_background_outlives_the_turn() -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("Agent", description="count")), AT))
    heard.take(heard.translator.tool_result("toolu_1", "launched", is_error=False, detail={"isAsync": True}))
    heard.take(heard.translator.turn_ends())
    assert heard.all()[0]["status"] == "running"
    heard.take(heard.translator.task_done("toolu_1", ok=True, summary="seven"))
    assert (heard.all()[0]["status"], heard.all()[0]["output"]) == ("done", "seven")


def test_a_broken_connection_leaves_no_half_answer_beside_the_whole_one() -> None:
    heard = Heard()
    heard.stream(starts("msg_1"), opens(0, "text"), grows(0, "one two"), closes(0))
    heard.take(heard.translator.retry("notice-1", AT, attempt=1, most=10, status=None))
    heard.stream(starts("msg_2"), opens(0, "text"), grows(0, "one two three"))
    heard.take(heard.translator.assistant(whole(text("one two three"), message_id="msg_2"), AT))
    said = [item["text"] for item in heard.all() if item["kind"] == "assistant"]
    assert said == ["one two three"]


def test_claudes_plan_is_whole_in_its_newest_step_in_whatever_order_calls_end() -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("TaskCreate", "a", subject="Buy", description="…")), AT))
    made = {"task": {"id": "1", "subject": "Buy"}}
    heard.take(heard.translator.tool_result("a", "Task #1 created", is_error=False, detail=made))
    calls = [
        call("TaskUpdate", "b", taskId="1", status="completed"),
        call("TaskUpdate", "c", taskId="1", subject="Get"),
    ]
    heard.take(heard.translator.assistant(whole(*calls, message_id="msg_2"), AT))
    for which in ("c", "b"):
        heard.take(heard.translator.tool_result(which, "Updated", is_error=False, detail={"success": True}))
    bought, ticked, renamed = heard.all()
    assert bought["todos"] == [{"text": "Buy", "status": "pending"}]
    assert ticked["todos"] == renamed["todos"] == [{"text": "Get", "status": "completed"}]
    assert (bought["title"], ticked["title"]) == ("Planned a step: Buy", "Finished a step: Get")


def test_a_tool_whose_input_broke_off_is_the_one_that_is_sent_again() -> None:
    heard = Heard()
    heard.stream(starts("msg_1"), opens(0, "tool_use", id="toolu_1", name="Bash", input={}), closes(0))
    heard.stream(starts("msg_2"), opens(0, "tool_use", id="toolu_2", name="Bash", input={}))
    heard.take(
        heard.translator.assistant(whole(call("Bash", "toolu_2", command="ls"), message_id="msg_2"), AT)
    )
    heard.take(heard.translator.tool_result("toolu_2", "a b", is_error=False))
    heard.take(heard.translator.turn_ends())
    (tool,) = heard.all()
    assert (tool["title"], tool["status"], tool["output"]) == ("Ran `ls`", "done", "a b")


def test_nothing_runs_on_after_the_end() -> None:
    heard = Heard()
    heard.stream(starts(), opens(0, "text"), grows(0, "half a"))
    heard.take(heard.translator.assistant(whole(call("Bash", command="ls"), message_id="msg_9"), AT))
    heard.take(heard.translator.turn_ends())
    assert [item.get("done", item.get("status")) for item in heard.all()] == [True, "failed"]


def test_a_question_is_a_card_and_no_tool() -> None:
    heard = Heard()
    question: dict[str, Any] = {"questions": [{"question": "Which?"}]}
    heard.take(heard.translator.assistant(whole(call("AskUserQuestion", **question)), AT))
    assert heard.all() == []
    assert heard.translator.asked("toolu_1") == question
    heard.take(heard.translator.tool_result("toolu_1", "answered", is_error=False))
    assert heard.all() == [], "whoever showed the card also closes it"


def test_a_question_in_a_transcript_is_a_card_with_its_answer() -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("AskUserQuestion", questions=[])), AT))
    detail = {"answers": {"Which?": "red"}}
    heard.take(heard.translator.tool_result("toolu_1", "answered", is_error=False, detail=detail))
    (card,) = heard.all()
    assert (card["kind"], card["ask"], card["state"], card["answer"]) == (
        "ask",
        "question",
        "answered",
        {"Which?": "red"},
    )


def test_a_question_that_nobody_answered_is_cancelled_in_the_transcript() -> None:
    heard = Heard()
    heard.take(heard.translator.assistant(whole(call("ExitPlanMode", plan="Do it")), AT))
    heard.take(heard.translator.turn_ends(all_is_over=True))
    (card,) = heard.all()
    assert (card["ask"], card["state"], card["input"]) == ("plan", "cancelled", {"plan": "Do it"})


# --- what goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words", "status", "code"),
    [
        ("authentication_failed", "Not logged in · Please run /login", None, "not_connected"),
        ("authentication_failed", "Failed to authenticate. API Error: 401 …", 401, "login_expired"),
        ("authentication_failed", "Invalid API key · Fix external API key", None, "login_expired"),
        ("rate_limit", "API Error: Request rejected (429)", 429, "overloaded"),
        ("server_error", "API Error: 529 Overloaded. This is a server-side issue", None, "overloaded"),
        ("server_error", "API Error: 500 Internal server error", 500, "overloaded"),
        ("server_error", "API Error: Connection refused (ECONNREFUSED)", None, "offline"),
        ("server_error", "API Error: unable to verify the first certificate", None, "offline"),
        ("invalid_request", "API Error: 400 prompt is too long", 400, "failed"),
        ("invalid_request", "There's an issue with the selected model (x). It may not exist", 404, "failed"),
        ("billing_error", "Credit balance is too low", None, "failed"),
    ],
)
def test_each_trouble_has_its_code_and_its_sentence(
    kind: str, words: str, status: int | None, code: str
) -> None:
    heard = Heard()
    heard.take(heard.translator.error("notice-1", AT, kind, words, status))
    (notice,) = heard.all()
    assert (notice["kind"], notice["code"]) == ("notice", code)
    assert notice["text"].startswith(("Claude", "Your login"))
    assert heard.translator.troubled


def test_a_used_up_plan_says_until_when() -> None:
    heard = Heard()
    heard.translator.limit("five_hour", "2026-11-23T15:00:00+00:00")
    heard.take(heard.translator.error("notice-1", AT, "rate_limit", "You've hit your 5-hour limit"))
    (notice,) = heard.all()
    assert (notice["code"], notice["until"]) == ("rate_limited", "2026-11-23T15:00:00+00:00")


def test_many_tries_are_one_notice_and_success_resolves_it() -> None:
    heard = Heard()
    for attempt in (1, 2, 3):
        ops = heard.translator.retry(f"notice-{attempt}", AT, attempt=attempt, most=10, status=529)
        heard.take(ops)
    assert [item["text"] for item in heard.all()] == [wording.trying_again("overloaded", 3, 10)]
    heard.stream(starts())
    assert (heard.all()[0]["resolved"], heard.all()[0]["text"]) == (True, wording.went_on("overloaded"))
    assert not heard.translator.troubled


def test_many_tries_in_vain_are_one_notice_too() -> None:
    heard = Heard()
    heard.take(heard.translator.retry("notice-1", AT, attempt=1, most=1, status=529))
    heard.take(heard.translator.error("notice-2", AT, "server_error", "API Error: 529"))
    assert [(item["id"], item["text"]) for item in heard.all()] == [("notice-1", wording.OVERLOADED)]


def test_an_expired_token_that_renews_itself_is_nobodys_business() -> None:
    assert Translator().retry("notice-1", AT, attempt=1, most=10, status=401) == []


# --- titles -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "given", "title"),
    [
        ("Bash", {"command": "ls -la"}, "Ran `ls -la`"),
        ("Bash", {"command": "cat <<E\nx\nE"}, "Ran `cat <<E …`"),
        ("Bash", {"command": "du -sh", "description": "Measure the folder\nin full"}, "Measure the folder …"),
        ("Edit", {"file_path": "/data/workspace/a/notes.md"}, "Edited a/notes.md"),
        ("Edit", {"file_path": "/etc/hosts"}, "Edited /etc/hosts"),
        ("WebFetch", {"url": "https://example.com/some/page?x=y"}, "Read the page example.com"),
        ("Agent", {"description": "Count the files"}, "A helper worked on Count the files"),
        ("mcp__calendar__list_events", {}, "Used list events of calendar"),
        ("Unheard", {"x": 1}, "Used Unheard"),
        ("Bash", {"command": 7}, "Ran …"),
    ],
)
def test_a_tools_title_is_a_line_for_people(tool: str, given: dict[str, Any], title: str) -> None:
    assert wording.activity(tool, given, "/data/workspace", done=True) == title


def test_a_permission_shows_the_very_command_and_not_claudes_words_for_it() -> None:
    given = {"command": "rm -rf notes", "description": "Tidy up"}
    assert wording.request("Bash", given, "/data/workspace") == "Claude wants to run `rm -rf notes`"


# --- what goes on while a card waits ---


Calls = list[tuple[str, str, str | None]]
"""(tool, its id, the helper that called it), in their order"""


@pytest.mark.parametrize(
    ("calls", "asked", "works"),
    [
        ([("Bash", "a", None)], ["a"], False),
        # Commands run one by one: the second waits for the first, which ran before the second could ask.
        ([("Bash", "a", None), ("Bash", "b", None)], ["a"], False),
        ([("Read", "a", None), ("WebFetch", "b", None)], ["b"], True),
        ([("Agent", "a", None), ("Bash", "a1", "a")], ["a1"], False),
        ([("Agent", "a", None), ("Agent", "b", None), ("Bash", "a1", "a")], ["a1"], True),
        ([("Agent", "a", None), ("Agent", "b", None), ("Bash", "b1", "b")], ["b1"], True),
        (
            [("Agent", "a", None), ("Agent", "b", None), ("Bash", "a1", "a"), ("Bash", "b1", "b")],
            ["a1", "b1"],
            False,
        ),
        ([("Agent", "a", None), ("Bash", "a1", "a"), ("Bash", "later", None)], ["a1"], False),
        ([("Bash", "a", None), ("Agent", "b", None)], ["a"], False),
    ],
)
def test_claude_works_beside_a_card_where_a_call_runs_that_need_not_wait_for_it(
    calls: Calls, asked: list[str], works: bool
) -> None:
    translator = Heard().translator
    for name, call_id, parent in calls:
        translator.assistant(whole(call(name, call_id), message_id=f"msg_{call_id}"), AT, parent=parent)
    assert translator.works_beside(asked) == works


def test_a_helper_in_the_background_works_beside_a_card() -> None:
    translator = Heard().translator
    translator.assistant(whole(call("Agent", "a")), AT)
    translator.tool_result("a", "launched", is_error=False, detail={"isAsync": True})
    translator.assistant(whole(call("Bash", "b"), message_id="msg_2"), AT)
    assert translator.works_beside(["b"])
    translator.assistant(whole(call("Bash", "a1"), message_id="msg_3"), AT, parent="a")
    assert not translator.works_beside(["b", "a1"])
