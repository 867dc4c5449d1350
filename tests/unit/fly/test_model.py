"""What is read from Fly's answers: tolerant of what only informs, strict about what identifies."""

from collections.abc import Callable
from typing import Any

import pytest

from fly.model import (
    App,
    Event,
    Exec,
    Ip,
    Lease,
    LogPage,
    Machine,
    MachinePage,
    Region,
    Snapshot,
    Volume,
    many,
)

SMALLEST: list[tuple[Callable[[Any], Any], dict[str, Any]]] = [
    (App.from_json, {"name": "a"}),
    (Ip.from_json, {"ip": "1.2.3.4"}),
    (Volume.from_json, {"id": "vol_1", "name": "data", "region": "iad"}),
    (Machine.from_json, {"id": "m", "state": "started"}),
    (Lease.from_json, {"status": "success", "data": {"nonce": "n"}}),
    (Snapshot.from_json, {"id": "vs_1"}),
    (Region.from_json, {"code": "iad"}),
]
NAMES = [read.__qualname__ for read, _ in SMALLEST]


@pytest.mark.parametrize(("read", "data"), SMALLEST, ids=NAMES)
def test_the_smallest_true_answer_is_understood(read: Callable[[Any], Any], data: dict[str, Any]) -> None:
    assert read(data) == read(data | {"a_field_of_tomorrow": {"x": 1}})


@pytest.mark.parametrize(("read", "data"), SMALLEST, ids=NAMES)
def test_without_what_identifies_it_an_answer_makes_no_sense(
    read: Callable[[Any], Any], data: dict[str, Any]
) -> None:
    for key in data.keys() - {"status"}:
        for wrong in ({}, {key: None}, {key: ""}, {key: 1}):
            with pytest.raises(ValueError, match="without"):
                read({name: value for name, value in data.items() if name != key} | wrong)


@pytest.mark.parametrize("junk", [None, [], "text", 1, True])
@pytest.mark.parametrize(("read", "_data"), SMALLEST, ids=NAMES)
def test_something_else_than_an_object_makes_no_sense(
    read: Callable[[Any], Any], _data: dict[str, Any], junk: Any
) -> None:
    with pytest.raises(ValueError, match="something else"):
        read(junk)


@pytest.mark.parametrize("junk", [None, 7, [], {"y": 2}])
def test_optional_fields_of_the_wrong_kind_count_as_missing(junk: Any) -> None:
    optional = ("config", "events", "checks", "image_ref", "private_ip", "instance_id")
    machine = Machine.from_json({"id": "m", "state": "s"} | dict.fromkeys(optional, junk))
    assert (machine.id, machine.image, machine.metadata, machine.volumes) == ("m", "", {}, ())


def test_an_address_is_told_apart_by_its_look() -> None:
    types = [
        Ip("66.241.1.2", shared=True).type,
        Ip("66.241.1.2").type,
        Ip("2a09:8280:1::1").type,
        Ip("fdaa:0:1::3").type,
    ]
    assert types == ["shared_v4", "v4", "v6", "private_v6"]


def test_a_machine_tells_its_marks_its_image_and_its_volumes() -> None:
    config = {
        "image": "i@sha256:1",
        "metadata": {"a": "b", "n": 1},
        "mounts": [{"volume": "vol_1", "path": "/data"}, {"path": "/tmp"}],
    }
    machine = Machine.from_json({"id": "m", "state": "started", "config": config})
    assert (machine.image, machine.metadata, machine.volumes) == (
        "i@sha256:1", {"a": "b", "n": "1"}, ("vol_1",),
    )  # fmt: skip


def test_an_incomplete_config_is_better_than_none() -> None:
    machine = Machine.from_json(
        {"id": "m", "state": "s", "config": None, "incomplete_config": {"image": "i"}}
    )
    assert machine.image == "i"


def test_a_leases_envelope_may_be_missing() -> None:
    assert Lease.from_json({"nonce": "n", "expires_at": 5}) == Lease("n", 5)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"exit_event": {"exit_code": 137, "oom_killed": True}}, "exit code 137, out of memory"),
        ({"exit_event": {"exit_code": 0}}, "exit code 0"),
        ({}, ""),
        ({"exit_event": None}, ""),
    ],
)
def test_an_event_tells_how_the_program_ended(request_: dict[str, Any], words: str) -> None:
    assert Event.from_json({"type": "exit", "request": request_}).exit == words


@pytest.mark.parametrize(
    "state", ["destroyed", "pending_destroy", "scheduling_destroy", "waiting_for_detach"]
)
def test_a_volume_that_is_going_is_known_by_its_state(state: str) -> None:
    assert Volume("v", "data", "iad", state=state).is_going
    assert not Volume("v", "data", "iad", state="created").is_going


def test_a_page_of_machines_knows_whether_there_is_another() -> None:
    page = MachinePage.from_json(
        {"machines": [{"id": "m", "state": "s", "app_name": "a"}], "next_cursor": "c"}
    )
    assert (page.machines[0].app, page.cursor) == ("a", "c")
    assert MachinePage.from_json({"machines": None}) == MachinePage(())


def test_a_log_is_read_in_its_order() -> None:
    lines = [{"attributes": {"timestamp": str(number), "message": f"line {number}"}} for number in range(3)]
    page = LogPage.from_json({"data": lines, "meta": {"next_token": "t"}})
    assert [line.message for line in page.lines] == ["line 0", "line 1", "line 2"]
    assert page.token == "t"


def test_a_failed_command_is_read_not_raised() -> None:
    assert Exec.from_json({"exit_code": 3, "stderr": "no"}) == Exec(3, "", "no")


def test_lists_may_be_bare_wrapped_capitalised_or_null() -> None:
    assert many([1]) == many({"apps": [1]}, "apps") == many({"Apps": [1]}, "apps") == [1]
    assert many({"apps": None}, "apps") == []


@pytest.mark.parametrize("junk", [{}, {"apps": 3}, []])
def test_a_list_that_is_none_makes_no_sense(junk: Any) -> None:
    with pytest.raises(ValueError, match=r"without|something else"):
        many(junk, "apps")
