"""What breaks in the middle or comes in between: nothing stays half done or out of everybody's reach."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from fly.local import apps as apps_module
from fly.local import draft
from fly.local import machines as machines_module
from fly.local import volumes as volumes_module
from fly.local.apps import Apps
from fly.local.docker import DockerError
from fly.local.hosting import Host, Still
from fly.local.machines import Live
from fly.local.refusal import Refusal
from fly.local.state import DESTROYED_KEPT, App, Machine, Network, Snapshot, State, Volume
from fly.local.volumes import Volumes
from tests.support.door import run, until
from tests.support.host import FakeHost, Gate, Scene, engine_error, scene

FULL = sqlite3.OperationalError("database or disk is full")


class House(FakeHost):
    """A host that has networks, volumes and images too."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.engine = self
        self.volumes: set[str] = set()
        self.networks: set[tuple[str, str]] = set()

    async def _reach(self, verb: str) -> None:
        self.calls.append(verb)
        if gate := self.gates.get(verb):
            gate.reached.set()
            await gate.opened.wait()
        if self.fails[verb]:
            raise self.fails[verb].pop(0)

    async def image(self, reference: str) -> dict[str, Any]:
        await self._reach("image")
        return {"Id": "sha256:0", "RepoDigests": [], "RepoTags": [reference], "Config": {}}

    async def join(self, org: str, name: str) -> Network:
        await self._reach("join")
        self.networks.add((org, name))
        return Network("net", org, name, "10.117.0.0/24")

    async def leave(self, app: App) -> None:
        await self._reach("leave")
        self.networks.discard((app.org, app.network))

    def free_address(self, _network: Network) -> str:
        return "10.117.0.9"

    async def create_volume(self, volume: Volume) -> None:
        await self._reach("create volume")
        self.volumes.add(volume.id)

    async def remove_volume(self, volume: Volume) -> None:
        await self._reach("remove volume")
        self.volumes.discard(volume.id)

    async def take_snapshot(self, volume: Volume, _snapshot: Snapshot, still: Still) -> tuple[int, str]:
        await still(volume.machine, lambda: self._reach("copy"))
        return 1, "sha256:0"

    def remove_snapshot(self, _snapshot: Snapshot) -> None:
        self.calls.append("remove snapshot")


@dataclass
class Whole:
    """All that stands behind the API, over a host that only pretends."""

    scene: Scene
    house: House
    apps: Apps
    volumes: Volumes

    @property
    def state(self) -> State:
        return self.scene.state

    @property
    def app(self) -> App:
        return self.state.apps["app"]

    async def new_machine(self, **config: Any) -> Machine:
        wanted = {"config": {"image": "image"} | config}
        made = await draft.new_machine(self.state, cast(Host, self.house), self.app, wanted)
        return self.scene.machines.add(made, launch=False)

    async def with_volume(self) -> tuple[Machine, Volume]:
        volume = await self.volumes.create(self.app, {"name": "data", "region": "iad"})
        machine = await self.new_machine(mounts=[{"volume": volume.id, "path": "/data"}])
        return machine, self.state.volumes[volume.id]


@asynccontextmanager
async def whole() -> AsyncIterator[Whole]:
    async with scene() as one:
        house = House(one.state)
        house.page_port = one.host.page_port
        one.host = house
        one.machines._host = house
        host = cast(Host, house)
        volumes = Volumes(one.state, host, one.machines.while_still)
        apps = Apps(one.state, host, one.machines, volumes)
        try:
            yield Whole(one, house, apps, volumes)
        finally:
            await apps.close()
            await volumes.close()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines_module, "FIRST_BACK_OFF_S", 0.001)
    monkeypatch.setattr(apps_module, "BACK_OFFS_S", (0.001, 0.002))


def disk_is_full(state: State, monkeypatch: pytest.MonkeyPatch, *, passes: int = 0, times: int = 1) -> None:
    """So many writes still succeed, then so many fail."""
    left, save = [passes, times], state.save

    def saved(*records: Any, **rest: Any) -> None:
        if left[0]:
            left[0] -= 1
        elif left[1]:
            left[1] -= 1
            raise FULL
        save(*records, **rest)

    monkeypatch.setattr(state, "save", saved)


# Deleting.


@pytest.mark.parametrize("at", ["discard", "remove volume", "leave"])
def test_an_app_is_deleted_though_the_engine_stumbles_on_the_way(at: str) -> None:
    async def work() -> None:
        async with whole() as one:
            await one.with_volume()
            one.house.fails[at] = [engine_error(), engine_error(0), TimeoutError()]
            await one.apps.delete(one.app)
            assert (one.state.apps, one.state.machines, one.state.volumes) == ({}, {}, {})
            assert one.house.volumes == set()
            assert one.house.networks == set()

    run(work())


def test_a_destroy_that_fails_is_told_as_under_way_until_it_is_done() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            one.host.fails["discard"] = [engine_error() for _ in range(4)]
            await one.machines.destroy(machine.id, force=True)
            await one.machines.gone(machine.id)
            assert one.host.seen[machine.id] == "absent"
            assert one.host.calls.count("discard") == 5

    run(work())


@pytest.mark.parametrize("passes", range(3))
def test_a_full_disk_in_the_middle_of_a_destroy_leaves_no_machine_without_an_end(
    passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with whole() as one:
            machine, volume = await one.with_volume()
            disk_is_full(one.state, monkeypatch, passes=passes, times=2)
            for _ in range(3):
                with suppress(sqlite3.Error):
                    await one.scene.machines.destroy(machine.id, force=True)
                    break
            await one.scene.machines.gone(machine.id)
            assert one.state.volumes[volume.id].machine is None
            assert one.state.events_of(machine.id) == []

    run(work())


# Passing states.


@pytest.mark.parametrize("trouble", [ValueError("no port"), KeyError("State"), FULL, OSError("no room")])
@pytest.mark.parametrize(("verb", "at"), [("start", "launch"), ("stop", "look"), ("restart", "look")])
def test_whatever_goes_wrong_on_the_way_the_machine_fails_and_can_be_started(
    verb: str, at: str, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine() if verb == "start" else await one.running()
            one.host.fails[at] = [trouble]
            if verb == "restart":
                await one.machines.restart(machine.id, None, None, force=False)
            else:
                await getattr(one.machines, verb)(machine.id)
            await one.reach(machine, "failed")
            assert any(record.exc_info for record in caplog.records)
            await one.machines.wake(machine.id)

    run(work())


@pytest.mark.parametrize("passes", range(4))
def test_a_disk_that_is_full_for_a_while_strands_no_machine(
    passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine()
            disk_is_full(one.state, monkeypatch, passes=passes, times=3)
            for _ in range(4):
                try:
                    await one.machines.start(machine.id)
                    break
                except sqlite3.Error:
                    assert one.now(machine).state == "created"
            await until(lambda: not one.machines.busy(machine.id), "rest")
            await until(lambda: one.now(machine).state in {"started", "failed"}, "a lasting state")
            await one.machines.wake(machine.id)

    run(work())


# Copies.


@pytest.mark.parametrize(
    "trouble", [ValueError("a chunk without size"), KeyError("Id"), FULL, engine_error()]
)
def test_a_copy_that_breaks_in_any_way_does_not_stand_in_the_way_of_the_next(trouble: Exception) -> None:
    async def work() -> None:
        async with whole() as one:
            machine, volume = await one.with_volume()
            await one.scene.machines.start(machine.id)
            await one.scene.reach(machine, "started")
            one.house.fails["copy"] = [trouble]
            broken = one.volumes.snapshot(volume)
            await until(lambda: broken.id not in one.state.snapshots, "the broken copy to be forgotten")
            good = one.volumes.snapshot(volume)
            await until(lambda: one.state.snapshots[good.id].status == "created", "the next copy")

    run(work())


def test_a_copy_ends_when_its_machine_is_destroyed_while_it_waits_for_its_turn() -> None:
    async def work() -> None:
        async with whole() as one:
            machine, volume = await one.with_volume()
            gate = one.house.gate("discard")
            await one.scene.machines.destroy(machine.id, force=True)
            await gate.reached.wait()
            taken = one.volumes.snapshot(volume)
            await asyncio.sleep(0.01)
            gate.opened.set()
            await one.scene.machines.gone(machine.id)
            await until(lambda: taken.id not in one.state.snapshots, "the copy to be forgotten")

    run(work())


def test_a_copy_whose_work_is_taken_away_before_it_began_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            begin = one.machines._work_on

            def taken_away(live: Live, *rest: Any, **more: Any) -> None:
                begin(live, *rest, **more)
                assert live.work
                live.work.cancel()

            monkeypatch.setattr(one.machines, "_work_on", taken_away)
            with pytest.raises(DockerError, match="taken away"):
                await one.machines.while_still(machine.id, lambda: asyncio.sleep(0))
            assert not one.machines.busy(machine.id)

    run(work())


def test_tidying_forgets_copies_that_nobody_makes_any_more_and_no_others() -> None:
    async def work() -> None:
        async with whole() as one:
            machine, volume = await one.with_volume()
            gate = one.house.gate("copy")
            made = one.volumes.snapshot(volume)
            one.volumes.tidy()
            assert made.id in one.state.snapshots
            await gate.reached.wait()
            one.volumes.tidy()
            assert made.id in one.state.snapshots
            gate.opened.set()
            await until(lambda: one.state.snapshots[made.id].status == "created", "the copy")
            stuck = replace(made, id="vs_stuck", status="creating")
            old = replace(made, id="vs_old", status="created", created_at="2020-01-01T00:00:00+00:00")
            one.state.save(stuck, old)
            one.volumes.tidy()
            assert list(one.state.snapshots) == [made.id]
            assert machine.id in one.state.machines

    run(work())


def test_a_platform_that_lives_long_tidies_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes_module, "TIDY_EVERY_S", 0.01)

    async def work() -> None:
        async with whole() as one:
            _, volume = await one.with_volume()
            tidying = asyncio.create_task(one.volumes.keep_tidy())
            stuck = one.volumes.snapshot(volume)
            await until(lambda: one.state.snapshots[stuck.id].status == "created", "the copy")
            one.state.change(one.state.snapshots[stuck.id], status="creating")
            disk_is_full(one.state, monkeypatch)  # the first round fails
            await until(lambda: stuck.id not in one.state.snapshots, "it to be forgotten")
            tidying.cancel()

    run(work())


# Claims.


def test_a_volume_is_claimed_with_its_machine_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with whole() as one:
            volume = await one.volumes.create(one.app, {"name": "data", "region": "iad"})
            wanted = {"mounts": [{"volume": volume.id, "path": "/data"}]}
            disk_is_full(one.state, monkeypatch)
            with pytest.raises(sqlite3.Error):
                await one.new_machine(**wanted)
            assert (one.state.volumes[volume.id].machine, one.state.machines) == (None, {})
            disk_is_full(one.state, monkeypatch, passes=1)  # one write has to do
            machine = await one.new_machine(**wanted)
            assert one.state.volumes[volume.id].machine == machine.id

    run(work())


def test_a_volume_that_is_bound_to_nobody_is_free_again() -> None:
    async def work() -> None:
        async with whole() as one:
            machine, volume = await one.with_volume()
            lost = replace(volume, id="vol_lost", machine="0" * 14)
            one.state.save(lost)
            one.volumes.tidy()
            assert one.state.volumes[lost.id].machine is None
            assert one.state.volumes[volume.id].machine == machine.id

    run(work())


# An app that goes while something is made in it.


async def meanwhile(one: Whole, gate: Gate, making: Awaitable[Any]) -> None:
    """What is made has got as far as the gate when its app is deleted."""
    task = asyncio.ensure_future(making)
    await gate.reached.wait()
    deleting = asyncio.create_task(one.apps.delete(one.app))
    await until(
        lambda: "app" not in one.state.apps or one.state.apps["app"].deleting, "the deletion to begin"
    )
    await asyncio.wait([deleting], timeout=0.05)
    gate.opened.set()
    with pytest.raises(Refusal) as refused:
        await task
    assert refused.value.code == 404
    await deleting
    assert (one.state.apps, one.state.machines, one.state.volumes) == ({}, {}, {})
    assert (one.house.networks, one.house.volumes) == (set(), set())


@pytest.mark.parametrize("at", ["image", "join"])
def test_a_machine_that_is_made_while_its_app_is_deleted_is_none(at: str) -> None:
    async def work() -> None:
        async with whole() as one:
            await meanwhile(one, one.house.gate(at), one.new_machine())

    run(work())


def test_a_volume_that_is_made_while_its_app_is_deleted_is_none() -> None:
    async def work() -> None:
        async with whole() as one:
            made = one.volumes.create(one.app, {"name": "data", "region": "iad"})
            await meanwhile(one, one.house.gate("create volume"), made)

    run(work())


def test_a_copy_of_a_volume_for_an_app_that_is_deleted_meanwhile_makes_no_volume() -> None:
    async def work() -> None:
        async with whole() as one:
            source = await one.volumes.create(one.app, {"name": "data", "region": "iad"})
            wanted = {"name": "data", "region": "iad", "source_volume_id": source.id}
            await meanwhile(one, one.house.gate("copy"), one.volumes.create(one.app, wanted))

    run(work())


def test_an_app_that_is_deleted_while_it_is_made_leaves_no_network() -> None:
    async def work() -> None:
        async with whole() as one:
            await one.apps.delete(one.app)
            gate = one.house.gate("join")
            await meanwhile(one, gate, one.apps.create({"name": "app", "network": "own"}))

    run(work())


# Changes that cross.


def test_an_update_keeps_what_changed_while_it_waited_for_its_turn() -> None:
    async def work() -> None:
        async with whole() as one:
            machine = await one.new_machine()
            gate = one.house.gate("launch")
            await one.scene.machines.start(machine.id)
            await gate.reached.wait()
            updating = asyncio.create_task(update(one, machine, {"config": {"image": "other"}}))
            await until(lambda: one.house.calls.count("image") == 2, "the update to have its image")
            one.scene.machines.amend(machine, cordoned=True, private_ip="10.117.0.77")
            gate.opened.set()
            changed = await updating
            assert (changed.cordoned, changed.private_ip) == (True, "10.117.0.77")

    run(work())


def test_an_update_is_refused_for_what_became_true_while_it_waited_for_its_turn() -> None:
    async def work() -> None:
        async with whole() as one:
            machine = await one.new_machine()
            gate = one.house.gate("launch")
            await one.scene.machines.start(machine.id)
            await gate.reached.wait()
            wanted = {"config": {"image": "other"}, "current_version": machine.instance_id}
            first, second = (asyncio.create_task(update(one, machine, wanted)) for _ in range(2))
            await until(lambda: one.house.calls.count("image") == 3, "both to have their image")
            gate.opened.set()
            outcomes = await asyncio.gather(first, second, return_exceptions=True)
            [refused] = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
            assert "machine_version mismatch" in refused.error

    run(work())


async def update(one: Whole, machine: Machine, request: dict[str, Any]) -> Machine:
    change = await draft.change(cast(Host, one.house), machine, request)
    make: Callable[[], Machine] = lambda: draft.new_version(  # noqa: E731
        one.state, one.app, one.scene.machines.found(machine.id), change
    )
    return await one.scene.machines.replace(machine.id, make, launch=True)


def test_a_write_to_the_metadata_shows_in_the_time_of_the_last_update() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine()
            changed = one.machines.amend(machine, config=machine.config | {"metadata": {"a": "b"}})
            assert changed.updated_at > machine.updated_at

    run(work())


# What is remembered.


def test_of_machines_that_are_no_more_only_so_much_is_remembered() -> None:
    async def work() -> None:
        async with scene() as one:
            ids = []
            for _ in range(DESTROYED_KEPT + 3):
                machine = one.machine()
                ids.append(machine.id)
                await one.machines.destroy(machine.id, force=True)
                await one.machines.gone(machine.id)
            assert list(one.state.destroyed) == ids[3:]
            assert one.machines._live == {}

    run(work())


def test_a_question_about_a_machine_that_is_no_more_revives_nothing() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            await one.machines.destroy(machine.id, force=True)
            await one.machines.gone(machine.id)
            one.machines.busy(machine.id)
            assert not await one.machines.sleep(machine.id, lambda: True)
            with pytest.raises(Exception, match="not found"):
                await one.machines.wake(machine.id)
            assert one.machines._live == {}

    run(work())
