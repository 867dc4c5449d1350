"""What the platform remembers of what machines use."""

import time
from typing import Any, cast

from fly.local.container import Site
from fly.local.gauges import KEPT_S, Gauges, Memory, counters, gauges
from fly.local.hosting import Host
from fly.local.state import Machine, Volume, now
from tests.support.door import run
from tests.support.host import scene

SEEN = {
    "id": "c1",
    "cpu_stats": {
        "cpu_usage": {"total_usage": 5_000_000_000, "usage_in_usermode": 3, "usage_in_kernelmode": 1}
    },
    "memory_stats": {"usage": 300, "limit": 1000, "stats": {"total_inactive_file": 100}},
    "networks": {"eth0": {"rx_bytes": 7, "tx_bytes": 9}},
}


def test_processor_time_is_in_hundredths_and_split_as_the_engine_splits_it() -> None:
    found = {(name, dict(labels).get("mode")): value for (name, labels), value in counters(SEEN).items()}
    assert found["fly_instance_cpu", "user"] == 375
    assert found["fly_instance_cpu", "system"] == 125


def test_what_was_sent_is_told_by_device() -> None:
    assert counters(SEEN)["fly_instance_net_sent_bytes", (("device", "eth0"),)] == 9


def test_files_that_the_kernel_could_forget_are_no_used_memory() -> None:
    found = gauges(SEEN)
    assert found["fly_instance_memory_mem_total"] - found["fly_instance_memory_mem_available"] == 200


def test_a_version_two_host_calls_it_by_another_name() -> None:
    memory = {"usage": 300, "limit": 1000, "stats": {"inactive_file": 50}}
    assert gauges({"memory_stats": memory})["fly_instance_memory_mem_available"] == 750


def test_the_newest_part_is_kept_and_what_fell_silent_is_forgotten() -> None:
    memory = Memory()
    for minute in range(60 * 8):
        memory.note(minute * 60.0, "fly_instance_up", 1, app="a")
    [one] = memory.series()
    assert KEPT_S <= one.times[-1] - one.times[0] <= KEPT_S * 1.1
    memory.forget_silent(one.times[-1] + KEPT_S + 1)
    assert memory.series() == []


class Measured:
    """A host on which every machine uses the same."""

    site = Site("p", 2, True)

    async def stats(self, _machine: Machine) -> Any:
        return SEEN


def test_of_a_machine_that_is_gone_nothing_is_kept_but_what_it_used() -> None:
    async def work() -> None:
        async with scene() as one:
            watching = Gauges(one.state, cast(Host, Measured()), lambda _id: 0)
            machine = one.machine("started")
            await watching.look()
            assert watching._containers == {machine.id: "c1"}
            one.state.bury(machine, now())
            await watching.look()
            assert watching._containers == {}
            assert watching.memory.series()

    run(work())


class Weighing:
    """A host on which a volume weighs what it is told to, and whoever weighs is counted."""

    def __init__(self) -> None:
        self.site = Site("p", 2, True)
        self.weighed = 0

    async def used_bytes(self, _volume: Volume) -> int:
        self.weighed += 1
        return 7 << 20


def test_a_machine_that_wakes_has_its_volume_weighed_at_once_and_a_sleeping_one_seldom() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine("started")
            of_disk = ("data", "iad", 1, "created", True, "ext4", 5, True, "", "")
            volume = Volume("vol_1", machine.app, *of_disk, machine=machine.id)
            one.state.save(volume)
            host = Weighing()
            watching = Gauges(one.state, cast(Host, host), lambda _id: 0, every_s=0.0001)
            await watching.measure_volumes()
            watching._measured[volume.id] = (time.monotonic(), 60.0, False)
            await watching.measure_volumes()
            assert host.weighed == 1
            one.state.change(one.state.machines[machine.id], state="suspended")
            for _ in range(2):
                await watching.measure_volumes()
                assert host.weighed == 2, "once as it fell asleep"
            watching._measured[volume.id] = (time.monotonic() - 61, 60.0, True)
            await watching.measure_volumes()
            assert host.weighed == 2
            one.state.change(one.state.machines[machine.id], state="started")
            await watching.measure_volumes()
            assert host.weighed == 3

    run(work())
