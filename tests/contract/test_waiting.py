"""Waiting for a state: what ends it, and what it says when it does not come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.conftest import AppUnderTest, Asker, Make
from tests.support.wait import wait_until


def test_the_present_state_is_told_at_once(shared_app: AppUnderTest, ask: Asker, running: Any) -> None:
    told = ask.json("GET", shared_app.at(running["id"], "wait"))
    assert (told["ok"], told["state"], told["version"]) == (True, "started", running["instance_id"])
    assert told["event_id"] == shared_app.get(running["id"])["events"][0]["id"]


def test_a_state_that_does_not_come_is_a_408_in_flys_words(
    shared_app: AppUnderTest, ask: Asker, running: Any
) -> None:
    query = {"state": "stopped", "timeout": 1}
    said = ask.refusal(408, "GET", shared_app.at(running["id"], "wait"), params=query)
    assert said == "deadline_exceeded: machine failed to reach desired state, stopped, currently started"


def test_any_of_several_states_will_do(shared_app: AppUnderTest, ask: Asker, running: Any) -> None:
    path = shared_app.at(running["id"], "wait")
    assert ask.json("GET", path, params={"state": "stopped,started"})["state"] == "started"
    assert ask.json("GET", path, params={"state": ["stopped", "started"]})["state"] == "started"
    assert ask.json("GET", path, params={"state": "settled"})["state"] == "started"


def test_a_state_that_is_none_is_refused(shared_app: AppUnderTest, ask: Asker, running: Any) -> None:
    assert "state must be one of" in ask.refusal(400, "GET", shared_app.at(running["id"], "wait?state=happy"))
    assert "timeout" in ask.refusal(400, "GET", shared_app.at(running["id"], "wait?timeout=soon"))


class Waiters:
    """Each waits in a thread of its own; what is asked after one was called is asked while it waits."""

    def __init__(self, pool: ThreadPoolExecutor, app: AppUnderTest) -> None:
        self._pool, self._app = pool, app

    def __call__(self, machine_id: str, state: str) -> Future[httpx.Response]:
        sent = threading.Event()

        def notice(event: str, _info: Any) -> None:
            if event == "http11.send_request_body.complete":
                sent.set()

        waiting = self._pool.submit(
            self._app.ask, "GET", self._app.at(machine_id, f"wait?state={state}&timeout=60"),
            extensions={"trace": notice},
        )  # fmt: skip
        assert sent.wait(60)
        # The platform reads in order of arrival: once it has answered this, it has read that.
        self._app.get(machine_id)
        return waiting


@pytest.fixture
def waits(app: AppUnderTest) -> Iterator[Waiters]:
    with ThreadPoolExecutor(4) as pool:
        yield Waiters(pool, app)


def test_who_waits_is_told_when_it_happens(
    app: AppUnderTest, ask: Asker, config: Make, waits: Waiters
) -> None:
    made = app.machine(config())
    waiting = [waits(made["id"], state) for state in ("suspended", "settled,suspended")]
    app.do(made["id"], "suspend")
    assert waiting[0].result(60).json()["state"] == "suspended"
    assert waiting[1].result(60).json()["state"] in {"started", "suspended"}
    destroyed = waits(made["id"], "destroyed")
    ask.json("DELETE", app.at(made["id"]))
    assert destroyed.result(60).json()["state"] == "destroyed"
    assert ask.refusal(404, "GET", app.at(made["id"], "wait?state=destroyed")) == "machine not found"


def test_a_wait_for_another_state_ends_when_the_machine_does(
    app: AppUnderTest, ask: Asker, config: Make, waits: Waiters
) -> None:
    made = app.machine(config(), skip_launch=True, state="created")
    waiting = waits(made["id"], "started")
    ask.json("DELETE", app.at(made["id"]))
    assert waiting.result(60).status_code == 404


def test_an_older_version_counts_as_stopped_once_it_is_replaced(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    made = app.machine(config())
    ask.json("POST", app.at(made["id"]), {"config": config(env={"A": "1"})})
    query = {"state": "stopped", "instance_id": made["instance_id"], "timeout": 60}
    assert ask.json("GET", app.at(made["id"], "wait"), params=query)["ok"]


def test_a_wait_may_begin_after_an_event(app: AppUnderTest, ask: Asker, config: Make) -> None:
    made = app.machine(config())
    seen = made["events"][0]["id"]
    query = {"state": "started", "from_event_id": seen, "timeout": 1}
    ask.refusal(408, "GET", app.at(made["id"], "wait"), params=query)
    app.do(made["id"], "suspend")
    app.do(made["id"], "start")
    assert ask.json("GET", app.at(made["id"], "wait"), params=query | {"timeout": 60})["event_id"] > seen


def test_events_are_listed_newest_first_up_to_a_limit(
    shared_app: AppUnderTest, ask: Asker, running: Any
) -> None:
    path = shared_app.at(running["id"], "events")
    whole = ask.json("GET", path)
    assert [event["id"] for event in whole] == sorted((event["id"] for event in whole), reverse=True)
    assert ask.json("GET", path, params={"limit": 1}) == whole[:1]
    assert "limit" in ask.refusal(400, "GET", path, params={"limit": "many"})


def test_a_start_in_the_middle_of_a_suspend_ends_started(app: AppUnderTest, config: Make) -> None:
    made = app.machine(config())
    for _ in range(5):
        app.do(made["id"], "suspend")
        assert app.do(made["id"], "start")["previous_state"] in {"suspended", "started"}
        app.wait(made["id"], "started")


def test_a_start_in_the_middle_of_a_stop_ends_started(app: AppUnderTest, config: Make) -> None:
    made = app.serving(config())
    app.do(made["id"], "stop")
    assert app.do(made["id"], "start")["previous_state"] == "stopped"
    app.wait(made["id"], "started")


def test_execs_and_suspends_at_the_same_time_hang_nothing(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    """The engine hangs for good when a pause meets an exec that is just starting."""
    made = app.machine(config())
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            execs = [
                pool.submit(ask, "POST", app.at(made["id"], "exec"), {"command": ["true"]}) for _ in range(3)
            ]
            pool.submit(ask, "POST", app.at(made["id"], "suspend"))
            assert all(answer.result(60).status_code in {200, 412} for answer in execs)
            wait_until(lambda: app.get(made["id"])["state"] in {"started", "suspended"}, "a settled state")
            app.do(made["id"], "start")
            app.wait(made["id"], "started")
