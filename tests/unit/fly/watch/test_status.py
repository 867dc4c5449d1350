"""Workspaces beside what their machines do."""

from dataclasses import replace

import httpx

from fly.client import Client
from fly.plan import Person
from fly.watch.status import status, statuses
from tests.support.world import PLATFORM, World


def test_one_workspace_is_told_with_its_machine(world: World) -> None:
    workspace = world.provision()
    world.fly.machines[workspace.machine_id]["checks"] = [{"name": "health", "status": "passing"}]
    found = status(world.client, workspace)
    assert found.state == "started"
    told = found.to_json()
    assert told["machine_state"] == "started"
    assert told["checks"] == [{"name": "health", "status": "passing", "output": ""}]
    assert told.items() >= workspace.to_json().items()


def test_a_machine_that_should_be_there_and_is_not_is_gone(world: World) -> None:
    workspace = world.provision()
    del world.fly.machines[workspace.machine_id]
    assert status(world.client, workspace).state == "gone"
    assert statuses(world.client, [workspace])[0].state == "gone"


def test_a_workspace_that_is_gone_needs_no_machine(world: World) -> None:
    closed = world.destroy(world.provision())
    assert status(world.client, closed).state == ""


def test_many_are_told_with_one_list_and_three_queries(world: World) -> None:
    rows = [world.provision(Person("U", f"u{number}@example.com")) for number in range(4)]
    world.fly.machines[rows[2].machine_id]["state"] = "suspended"
    world.fly.calls.clear()
    states = [found.state for found in statuses(world.client, rows)]
    assert states == ["started", "started", "suspended", "started"]
    asked = [call.route for call in world.fly.calls]
    pages = 3  # of two machines each: the stranger's is among them
    assert asked == ["/v1/orgs/{org}/machines"] * pages + ["/prometheus/{org}/api/v1/query"] * 3


def test_nobody_costs_no_request(world: World) -> None:
    assert statuses(world.client, []) == []
    assert world.fly.calls == []


def test_one_workspace_tells_why_it_is_awake(world: World) -> None:
    workspace = world.provision()
    embedded = Client(replace(PLATFORM, kind="local"), transport=httpx.MockTransport(world.fly.handle))
    told = status(embedded, workspace).to_json()
    assert told.items() >= {"is_awake": True, "why": "last used 3 s ago", "sleeps_in_s": 297.0}.items()


def test_fly_is_not_asked_why_a_machine_is_awake(world: World) -> None:
    workspace = world.provision()
    world.fly.calls.clear()
    assert status(world.client, workspace).activity is None
    assert not [call for call in world.fly.calls if call.path.startswith("/_local")]
