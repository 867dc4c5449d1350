"""Claude's plan is one list, whichever tools it is made with."""

from typing import Any

from webapp.todos import Todos


def created(todos: Todos, key: str, subject: str) -> list[dict[str, Any]]:
    made = {"task": {"id": key, "subject": subject, "description": "…"}}
    return todos.after("TaskCreate", {"subject": subject, "description": "…"}, made)


def updated(todos: Todos, key: str, **changes: Any) -> list[dict[str, Any]]:
    return todos.after("TaskUpdate", {"taskId": key, **changes}, {"success": True, "taskId": key})


def step(text: str, status: str = "pending") -> dict[str, str]:
    return {"text": text, "status": status}


def test_steps_are_noted_renamed_ticked_and_dropped_one_by_one() -> None:
    todos = Todos()
    assert created(todos, "1", "Buy paint") == [step("Buy paint")]
    assert created(todos, "2", "Paint") == [step("Buy paint"), step("Paint")]
    assert updated(todos, "1", status="in_progress") == [step("Buy paint", "in_progress"), step("Paint")]
    assert updated(todos, "2", subject="Paint twice") == [
        step("Buy paint", "in_progress"),
        step("Paint twice"),
    ]
    assert updated(todos, "1", status="completed")[0] == step("Buy paint", "completed")
    assert updated(todos, "2", status="deleted") == [step("Buy paint", "completed")]


def test_a_list_that_comes_whole_takes_the_place_of_what_was_known() -> None:
    todos = Todos()
    created(todos, "1", "Buy paint")
    listed = {"tasks": [{"id": "7", "subject": "Sand", "status": "completed", "blockedBy": []}]}
    assert todos.after("TaskList", {}, listed) == [step("Sand", "completed")]
    assert updated(todos, "7", status="pending") == [step("Sand")]
    written = {"todos": [{"content": "Rest", "status": "in_progress", "activeForm": "Resting"}]}
    assert todos.after("TodoWrite", written, None) == [step("Rest", "in_progress")]


def test_a_change_of_a_step_is_told_by_its_name() -> None:
    todos = Todos()
    created(todos, "1", "Buy paint")
    assert todos.named("TaskUpdate", {"taskId": "1"})["subject"] == "Buy paint"
    assert todos.named("TaskUpdate", {"taskId": "1", "subject": "Buy ink"})["subject"] == "Buy ink"
    assert todos.named("TaskUpdate", {"taskId": "2"}) == {"taskId": "2"}
    assert todos.named("Bash", {"command": "ls"}) == {"command": "ls"}


def test_what_makes_no_sense_changes_nothing() -> None:
    todos = Todos()
    created(todos, "1", "Buy paint")
    for tool, given, detail in (
        ("TaskCreate", {"subject": "Lost"}, None),
        ("TaskUpdate", {"taskId": "1", "status": "completed"}, {"success": False, "error": "Task not found"}),
        ("TaskUpdate", {"taskId": "9", "status": "completed"}, {"success": True}),
        ("TaskUpdate", {"taskId": "1", "status": 7}, {"success": True}),
    ):
        assert todos.after(tool, given, detail) == [step("Buy paint")]
    assert todos.after("TodoWrite", {"todos": "all of it"}, None) == []
