"""What the platform has measured, as readings of this moment and as samples of the time before."""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fly.ledger import Workspace
from fly.local.promql import NAME, Series
from fly.plan import Person
from fly.watch.measured import AT_ONCE, STEP, Reading, collect, note_provisioning, readings
from fly.watch.samples import Samples
from tests.support.world import World

GB = 1 << 30
NOTHING = Reading()


@pytest.fixture
def samples(folder: Path) -> Iterator[Samples]:
    with Samples(folder / "watch.sqlite") as opened:
        yield opened


@pytest.fixture
def workspace(world: World) -> Workspace:
    return world.provision()


def now_of(workspace: Workspace) -> datetime:
    """The first whole step after it was made."""
    born = datetime.fromisoformat(workspace.created_at).timestamp()
    step_s = STEP.total_seconds()
    return datetime.fromtimestamp((born // step_s + 1) * step_s, UTC)


class Machine:
    """Notes what a workspace's machine is seen to use."""

    def __init__(self, world: World, workspace: Workspace, *, app: str = "", instance: str = "") -> None:
        self._known: dict[tuple[tuple[str, str], ...], Series] = {}
        self._series = world.fly.measured
        self._app, self._volume = app or workspace.app, workspace.volume_id
        self._instance = instance or workspace.machine_id

    def note(self, at: datetime, name: str, value: float, **labels: str) -> None:
        where = {"id": self._volume} if "volume" in name else {"instance": self._instance}
        known = {NAME: name, "app": self._app, **where, **labels}
        key = tuple(sorted(known.items()))
        if key not in self._known:
            self._known[key] = Series(known, array("d"), array("d"))
            self._series.append(self._known[key])
        self._known[key].times.append(at.timestamp())
        self._known[key].values.append(value)

    def run(self, start: datetime, minutes: float, *, cpu: float = 0.5, sent_a_minute: float = 600) -> None:
        """Looked at four times a minute, with half a gigabyte of memory free."""
        for number in range(int(minutes * 4) + 1):
            at = start + timedelta(seconds=15 * number)
            self.note(at, "fly_instance_up", 1)
            self.note(at, "fly_instance_memory_mem_total", GB)
            self.note(at, "fly_instance_memory_mem_available", GB / 2)
            self.note(at, "fly_app_concurrency", 2)
            self.note(at, "fly_instance_cpu", 100 * cpu * 15 * number * 0.75, mode="user")
            self.note(at, "fly_instance_cpu", 100 * cpu * 15 * number * 0.25, mode="system")
            self.note(at, "fly_instance_cpu", 100.0 * 15 * number, mode="idle")
            self.note(at, "fly_instance_net_sent_bytes", sent_a_minute / 4 * number, device="eth0")
            self.note(at, "fly_instance_net_sent_bytes", 1e9 * number, device="dummy0")
        self.rest(start, minutes)

    def rest(self, start: datetime, minutes: float, *, used_pct: float = 25) -> None:
        """Its volume is there, whatever it does."""
        for number in range(int(minutes * 4) + 1):
            at = start + timedelta(seconds=15 * number)
            self.note(at, "fly_volume_size_bytes", 10 * GB)
            self.note(at, "fly_volume_used_pct", used_pct)


def test_a_reading_is_what_is_known_at_this_moment(world: World, workspace: Workspace) -> None:
    Machine(world, workspace).run(now_of(workspace), 6)
    reading = readings(world.client, [workspace])[workspace.id]
    assert reading.cpu_ratio == pytest.approx(0.5)
    assert (reading.memory_bytes, reading.memory_share) == (GB / 2, 0.5)
    assert (reading.disk_used_bytes, reading.disk_size_bytes) == (2.5 * GB, 10 * GB)
    assert reading.connections == 2


def test_a_sleeping_machine_has_a_disk_and_nothing_else(world: World, workspace: Workspace) -> None:
    Machine(world, workspace).rest(now_of(workspace), 6)
    reading = readings(world.client, [workspace])[workspace.id]
    assert reading.disk_share == 0.25
    assert (reading.cpu_ratio, reading.memory_bytes, reading.memory_share) == (None, None, None)


def test_reading_asks_no_machine_and_takes_three_requests_for_all(world: World) -> None:
    rows = [world.provision(Person("U", f"u{number}@example.com")) for number in range(3)]
    world.fly.calls.clear()
    readings(world.client, rows)
    assert [call.route for call in world.fly.calls] == ["/prometheus/{org}/api/v1/query"] * 3


def test_what_belongs_to_somebody_else_is_left_out(world: World, workspace: Workspace) -> None:
    at = now_of(workspace)
    Machine(world, workspace, app="strangers-app").run(at, 6)
    Machine(world, workspace, instance="a-machine-that-was").run(at, 6)
    [reading] = readings(world.client, [workspace]).values()
    assert reading.memory_bytes is None


def test_nobody_costs_no_request(world: World, samples: Samples) -> None:
    assert readings(world.client, []) == {}
    assert collect(world.client, samples, [], datetime.now(UTC)) == 0
    assert world.fly.calls == []


def test_samples_are_of_whole_steps_and_say_what_was_used(
    world: World, workspace: Workspace, samples: Samples
) -> None:
    at = now_of(workspace)
    Machine(world, workspace).run(at, 16)
    collect(world.client, samples, [workspace], at + timedelta(minutes=16))
    cpu = samples.series(workspace.id, "cpu_ratio", at, at + timedelta(hours=1))
    assert [one.at - at for one in cpu] == [STEP, 2 * STEP, 3 * STEP]
    assert [one.value for one in cpu] == pytest.approx([0.5] * 3)
    sent = samples.series(workspace.id, "egress_bytes", at, at + timedelta(hours=1))
    assert sum(one.value for one in sent) == pytest.approx(15 * 600)
    assert samples.latest(workspace.id)["disk_used_bytes"].value == 2.5 * GB


def test_what_was_written_down_is_not_asked_for_again(
    world: World, workspace: Workspace, samples: Samples
) -> None:
    at, machine = now_of(workspace), Machine(world, workspace)
    machine.run(at, 40)
    assert collect(world.client, samples, [workspace], at + timedelta(minutes=16)) > 0
    world.fly.calls.clear()
    assert collect(world.client, samples, [workspace], at + timedelta(minutes=17)) == 0
    assert world.fly.calls == []
    collect(world.client, samples, [workspace], at + timedelta(minutes=31))
    sent = samples.series(workspace.id, "egress_bytes", at, at + timedelta(hours=1))
    assert sum(one.value for one in sent) == pytest.approx(30 * 600)


def test_a_machine_was_awake_when_it_was_seen_up(
    world: World, workspace: Workspace, samples: Samples
) -> None:
    at, machine = now_of(workspace), Machine(world, workspace)
    machine.run(at, 11)
    machine.rest(at + timedelta(minutes=12), 11)
    collect(world.client, samples, [workspace], at + timedelta(minutes=23))
    awake = samples.series(workspace.id, "awake", at, at + timedelta(hours=1))
    assert [one.value for one in awake] == [1, 1, 1, 0, 0]


def test_while_the_platform_looked_at_nothing_nothing_is_known(
    world: World, workspace: Workspace, samples: Samples
) -> None:
    at = now_of(workspace)
    assert collect(world.client, samples, [workspace], at + timedelta(hours=2)) == 0


def test_two_weeks_are_asked_for_a_day_at_a_time_and_no_more(
    world: World, workspace: Workspace, samples: Samples
) -> None:
    world.fly.calls.clear()
    collect(world.client, samples, [workspace], now_of(workspace) + timedelta(days=40))
    assert timedelta(days=14) / AT_ONCE <= len(world.fly.calls) / 4 <= timedelta(days=15) / AT_ONCE


def test_how_long_it_took_to_make_a_workspace_is_written_down_once(
    world: World, workspace: Workspace, samples: Samples
) -> None:
    assert note_provisioning(world.ledger, samples, [workspace]) == 1
    assert note_provisioning(world.ledger, samples, [workspace]) == 0
    history = {entry.what: entry.at for entry in world.ledger.history(workspace.id)}
    sample = samples.latest(workspace.id)["provision_ms"]
    assert sample.at == datetime.fromisoformat(history["ready"])
    took = sample.at - datetime.fromisoformat(history["begun"])
    assert sample.value == took / timedelta(milliseconds=1)


def test_what_a_later_run_finished_says_nothing_of_how_long_it_takes(world: World, samples: Samples) -> None:
    row = world.ledger.begin(world.draft())
    world.ledger.release(row.id)
    world.ledger.claim(row.id)
    assert note_provisioning(world.ledger, samples, [world.ledger.finish(row.id)]) == 0
