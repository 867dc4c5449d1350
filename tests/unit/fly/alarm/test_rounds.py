"""A round: who is asked and how, what is kept of it, and that it wakes nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fly.alarm import probe
from fly.alarm.rounds import go_round, uptime_of
from fly.errors import Unreachable
from fly.ledger import Workspace
from fly.plan import Person
from fly.watch.samples import Sample, Samples
from tests.support.world import PLATFORM, World
from tests.unit.fly.alarm.conftest import Door


@pytest.fixture
def samples(folder: Path) -> Iterator[Samples]:
    with Samples(folder / "watch.sqlite") as samples:
        yield samples


@pytest.fixture
def row(world: World, door: Door) -> Workspace:
    row = world.provision()
    world.client.platform = door.platform
    return row


def be(world: World, row: Workspace, state: str) -> None:
    world.fly.machines[row.machine_id]["state"] = state


def of(samples: Samples, row: Workspace) -> dict[str, float]:
    return {name: one.value for name, one in samples.latest(row.id).items()}


def test_a_machine_that_runs_is_asked_for_something_that_is_not_there(
    world: World, door: Door, samples: Samples, row: Workspace
) -> None:
    [look] = go_round(world.client, [row], samples)
    assert look.trouble == ""
    assert [line.split()[1] for line in door.asked] == [probe.PATH]
    measured = of(samples, row)
    assert measured["probe_ok"] == 1
    assert measured["probe_ms"] > 0


@pytest.mark.parametrize("state", ["stopped", "suspended", "stopping", "suspending", "starting"])
def test_one_that_does_not_run_is_not_asked_and_counts_as_up(
    world: World, door: Door, samples: Samples, row: Workspace, state: str
) -> None:
    be(world, row, state)
    [look] = go_round(world.client, [row], samples)
    assert (look.trouble, door.asked) == ("", [])
    assert of(samples, row)["probe_ok"] == 1
    assert "probe_ms" not in of(samples, row)


def test_one_that_sleeps_and_that_nothing_would_wake_is_down(
    world: World, door: Door, samples: Samples, row: Workspace
) -> None:
    be(world, row, "stopped")
    world.fly.machines[row.machine_id]["config"]["services"][0]["autostart"] = False
    [look] = go_round(world.client, [row], samples)
    assert look.trouble == "nothing would wake it"
    assert of(samples, row)["probe_ok"] == 0


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (502, "<html>", "502 from the platform"),
        (200, "<html>parked</html>", "200 from something else"),
        (401, "<html>who are you</html>", "401 from something else"),
        (404, json.dumps({"error": "app not found"}), "404 from something else"),
    ],
)
def test_only_our_own_server_counts_as_an_answer(
    world: World, door: Door, samples: Samples, row: Workspace, status: int, body: str, told: str
) -> None:
    door.status, door.body = status, body
    [look] = go_round(world.client, [row], samples)
    assert told in look.trouble
    assert len(door.asked) == 2, "asked once more before it counts as down"


def test_a_workspace_that_is_open_to_all_answers_in_other_words(
    world: World, door: Door, samples: Samples, row: Workspace
) -> None:
    door.status, door.body = 404, json.dumps({"error": {"code": "not_found"}})
    assert go_round(world.client, [row], samples)[0].trouble == ""


def test_where_nobody_listens_it_is_down(world: World, samples: Samples, row: Workspace) -> None:
    world.client.platform = replace(PLATFORM, door_url="http://127.0.0.1:1")
    [look] = go_round(world.client, [row], samples)
    assert "refused" in look.trouble
    be(world, row, "stopped")
    assert "refused" in go_round(world.client, [row], samples)[0].trouble


def test_a_machine_that_is_gone_is_down(world: World, samples: Samples, row: Workspace) -> None:
    del world.fly.machines[row.machine_id]
    [look] = go_round(world.client, [row], samples)
    assert look.trouble == "the platform has no such machine"


def test_a_workspace_that_is_worked_on_is_left_alone(
    world: World, door: Door, samples: Samples, row: Workspace
) -> None:
    assert go_round(world.client, [world.ledger.claim(row.id)], samples) == []
    assert of(samples, row) == {}
    assert door.asked == []


def test_a_sleeper_is_woken_only_when_asked_for_and_once_a_day(
    world: World, door: Door, samples: Samples, row: Workspace
) -> None:
    be(world, row, "suspended")
    go_round(world.client, [row], samples)
    assert door.asked == []
    [look] = go_round(world.client, [row], samples, wake=True)
    assert look.wake_ms
    go_round(world.client, [row], samples, wake=True)
    assert [line.split()[1] for line in door.asked] == ["/health"]
    assert of(samples, row)["wake_ms"] == look.wake_ms
    assert "probe_ms" not in of(samples, row), "a wake is no answer of a machine that runs"


def test_everybody_is_looked_at(world: World, door: Door, samples: Samples) -> None:
    rows = [world.provision(Person("U", f"u{number}@example.com")) for number in range(9)]
    world.client.platform = door.platform
    assert [look.row.id for look in go_round(world.client, rows, samples)] == [row.id for row in rows]
    assert len(door.asked) == 9


def test_a_platform_that_cannot_be_asked_makes_nobody_down(
    world: World, door: Door, samples: Samples, row: Workspace
) -> None:
    world.fly.inject(0, "no connection", lasting="all")
    with pytest.raises(Unreachable):
        go_round(world.client, [row], samples)
    assert of(samples, row) == {}


# --- uptime over days -----------------------------------------------------------------------------

DAY = datetime(2025, 8, 20, tzinfo=UTC)


def beat(samples: Samples, row: Workspace, first: datetime, last: datetime, ok: float = 1.0) -> None:
    count = int((last - first) / timedelta(minutes=5))
    samples.add(Sample(first + timedelta(minutes=5 * n), row.id, "probe_ok", ok) for n in range(count))


def test_a_day_that_is_over_is_written_down_once_and_stays(
    world: World, samples: Samples, row: Workspace
) -> None:
    beat(samples, row, DAY, DAY + timedelta(hours=12))
    beat(samples, row, DAY + timedelta(hours=12), DAY + timedelta(hours=13), ok=0)
    be(world, row, "stopped")
    for later in (1, 2):
        go_round(world.client, [row], samples, now=lambda later=later: DAY + timedelta(days=later, hours=3))  # type: ignore[misc]
    ups = samples.series(row.id, "up_s", DAY, DAY + timedelta(days=1))
    assert [(one.at, one.value) for one in ups] == [(DAY, 12 * 3600)]
    samples.thin(DAY + timedelta(days=60))
    found = uptime_of(samples, row.id, DAY, DAY + timedelta(days=1))
    assert (found.up_s, found.down_s) == (12 * 3600, 3600 + 10 * 60)
    assert found.unknown_s == 86400 - found.up_s - found.down_s


def test_today_and_parts_of_days_come_from_single_answers(samples: Samples, row: Workspace) -> None:
    beat(samples, row, DAY + timedelta(hours=1), DAY + timedelta(hours=3))
    found = uptime_of(samples, row.id, DAY + timedelta(hours=2), DAY + timedelta(hours=4))
    assert (found.up_s, found.unknown_s) == (3600 + 10 * 60, 50 * 60)
