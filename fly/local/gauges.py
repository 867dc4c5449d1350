"""What machines use, looked at every 15 s under the names that Fly gives it, and remembered for six hours.

Looking wakes nothing and keeps nothing awake: the engine is asked, never what runs in the machine.

*Source*: Fly's documents, "Metrics on Fly.io", "Built-in metrics"; CPU times in hundredths of a second.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from fly.local.docker import DockerError
from fly.local.hosting import Host
from fly.local.machines import AT_REST
from fly.local.promql import NAME, Series
from fly.local.state import Machine, State, Volume

log = logging.getLogger(__name__)
EVERY_S = 15.0
KEPT_S = 6 * 3600.0
AT_ONCE = 16
DISK_EVERY, DISK_SHARE = 4, 100
"""A volume is measured at every fourth look at most, and not before a hundred times what measuring took."""


class Memory:
    """Series by their labels, of which the newest part is kept."""

    def __init__(self) -> None:
        self._series: dict[tuple[tuple[str, str], ...], Series] = {}

    def note(self, at: float, name: str, value: float, **labels: str) -> None:
        key = ((NAME, name), *sorted(labels.items()))
        one = self._series.get(key)
        if one is None:
            one = self._series[key] = Series(dict(key))
        one.times.append(at)
        one.values.append(value)
        if at - one.times[0] > KEPT_S * 1.1:  # not at every step: the front of an array is dear to cut
            gone = sum(1 for moment in one.times if moment < at - KEPT_S)
            del one.times[:gone], one.values[:gone]

    def forget_silent(self, now: float) -> None:
        """Those that nothing was added to for as long as anything is kept."""
        for key in [key for key, one in self._series.items() if one.times[-1] < now - KEPT_S]:
            del self._series[key]

    def series(self) -> list[Series]:
        return list(self._series.values())


class Gauges:
    """Looks around until it is cancelled; `visits` tells how many requests and sockets a machine has open."""

    def __init__(
        self, state: State, host: Host, visits: Callable[[str], int], every_s: float = EVERY_S
    ) -> None:
        self.memory = Memory()
        self._every_s = every_s
        self._state, self._host, self._visits = state, host, visits
        self._containers: dict[str, str] = {}
        """The container that each machine was last seen in."""
        self._used: dict[str, int] = {}
        self._measured: dict[str, tuple[float, float, bool]] = {}
        """When each volume was weighed, how long to leave it in peace, whether its machine was quiet then."""
        self._looked_at = 0.0
        self._asked = asyncio.Semaphore(AT_ONCE)
        self._near = hashlib.sha256(host.site.platform_id.encode()).hexdigest()[:4]

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(_for_ever(self.look, self._every_s))
            both.create_task(_for_ever(self.measure_volumes, self._every_s))

    async def look(self) -> None:
        """Once around all machines that run."""
        now = time.time()
        running = [one for one in self._state.machines.values() if one.state == "started"]
        await asyncio.gather(*(self._look_at(one) for one in running))
        for gone in self._containers.keys() - self._state.machines.keys():
            del self._containers[gone]
        for volume in self._state.volumes.values():
            self._note_volume(volume, now)
        self.memory.forget_silent(now)
        self._looked_at = time.time()

    async def _look_at(self, machine: Machine) -> None:
        try:
            async with self._asked:
                seen = await self._host.stats(machine)
        except DockerError:
            return  # it ended meanwhile
        if not seen.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage"):
            return  # the engine answers with nothing for a container that has just ended
        now, labels = time.time(), self._labels(machine)
        counted = counters(seen)
        if self._looked_at and self._containers.get(machine.id) != seen["id"]:
            for (name, more), _ in counted.items():  # it has counted from nothing since we last looked
                self.memory.note(self._looked_at, name, 0.0, **labels, **dict(more))
        self._containers[machine.id] = seen["id"]
        for (name, more), value in counted.items():
            self.memory.note(now, name, value, **labels, **dict(more))
        for name, value in (gauges(seen) | {"fly_app_concurrency": self._visits(machine.id)}).items():
            self.memory.note(now, name, value, **labels)

    def _labels(self, machine: Machine) -> dict[str, str]:
        return {"app": machine.app, "region": machine.region, "host": self._near, "instance": machine.id}

    # -- volumes

    def _note_volume(self, volume: Volume, now: float) -> None:
        labels = {"app": volume.app, "region": volume.region, "host": self._near, "id": volume.id}
        size = volume.size_gb << 30
        self.memory.note(now, "fly_volume_size_bytes", size, **labels)
        if volume.id in self._used:
            self.memory.note(now, "fly_volume_used_pct", 100 * self._used[volume.id] / size, **labels)

    async def measure_volumes(self) -> None:
        """One after the other; those of machines that sleep once, and then far less often."""
        volumes = dict(self._state.volumes)
        for gone in self._measured.keys() - volumes.keys():
            del self._measured[gone]
            self._used.pop(gone, None)
        for volume in volumes.values():
            if self._is_due(volume):
                await self._measure(volume)

    def _is_due(self, volume: Volume) -> bool:
        measured_at, pause_s, was_quiet = self._measured.get(volume.id, (-math.inf, 0.0, False))
        is_quiet = self._is_quiet(volume)
        if is_quiet and not was_quiet:
            return True  # what it wrote last before it fell asleep
        return time.monotonic() >= measured_at + (10 * pause_s if is_quiet else pause_s)

    def _is_quiet(self, volume: Volume) -> bool:
        """Whether nothing writes to it."""
        machine = self._state.machines.get(volume.machine or "")
        return machine is None or machine.state in AT_REST

    async def _measure(self, volume: Volume) -> None:
        began, was_quiet = time.monotonic(), self._is_quiet(volume)
        used = await self._host.used_bytes(volume)
        ended = time.monotonic()
        pause_s = max(DISK_EVERY * self._every_s, DISK_SHARE * (ended - began))
        self._measured[volume.id] = ended, pause_s, was_quiet
        if used is not None:
            self._used[volume.id] = used


def counters(seen: Mapping[str, Any]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What only rises while a machine runs, by name and labels."""
    usage = seen["cpu_stats"]["cpu_usage"]
    # The engine knows the sum to the nanosecond, and its parts only roughly.
    user, kernel = usage.get("usage_in_usermode", 0), usage.get("usage_in_kernelmode", 0)
    share = user / (user + kernel) if user + kernel else 1.0
    hundredths = usage["total_usage"] / 1e7
    cpu = {"user": hundredths * share, "system": hundredths * (1 - share)}
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {
        ("fly_instance_cpu", (("cpu_id", "0"), ("mode", mode))): value for mode, value in cpu.items()
    }
    for device, net in (seen.get("networks") or {}).items():
        found["fly_instance_net_recv_bytes", (("device", device),)] = net["rx_bytes"]
        found["fly_instance_net_sent_bytes", (("device", device),)] = net["tx_bytes"]
    return found


def gauges(seen: Mapping[str, Any]) -> dict[str, float]:
    """What goes up and down."""
    memory = seen["memory_stats"]
    stats, limit = memory.get("stats", {}), memory["limit"]
    reclaimable = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    used = max(0, memory["usage"] - reclaimable)
    return {
        "fly_instance_up": 1,
        "fly_instance_memory_mem_total": limit,
        "fly_instance_memory_mem_available": max(0, limit - used),
    }


async def _for_ever(work: Callable[[], Any], every_s: float) -> None:
    while True:
        try:
            await work()
        except DockerError as error:
            log.warning("looking at machines failed: %s", error)
        except Exception:
            log.exception("looking at machines failed; it goes on")
        await asyncio.sleep(every_s)
