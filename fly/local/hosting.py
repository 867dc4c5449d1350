"""A machine on this host: its container, its volume, its network. `machines` decides what becomes of them."""

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Literal

from fly.local import container, machineconfig, networks
from fly.local.container import Site
from fly.local.docker import DockerError, Engine, ExecResult
from fly.local.logbook import Line, Logbook, parse
from fly.local.names import ulid
from fly.local.probe import Address
from fly.local.refusal import aborted
from fly.local.state import App, Machine, Network, Snapshot, State, Volume, now

log = logging.getLogger(__name__)
PAUSE_LIMIT_S = 10.0
STILL_LIMIT_S = 600.0
"""No machine is held still for longer: a copy of its volume that takes longer is none."""
FREEZE_ATTEMPTS = 5
ALREADY_PAUSED, NOT_PAUSED = "already paused", "is not paused"
"""What the engine says while it has not heard yet of the last change."""
NOT_FROZEN = "unable to freeze"
"""What the runtime says, and thaws again, when processes come and go faster than it freezes (cgroup v1)."""
MOVES = 8
OVERLAP = "overlaps with other one"
EXEC_START_LIMIT_S = 5.0
KILLED_LIMIT_S = 15.0
HARVESTED_LINES = "2000"
CARRIER = "jarvis-copy-"
"""How the names of those containers begin through which volumes are copied."""


Still = Callable[[str | None, Callable[[], Awaitable[None]]], Awaitable[None]]
"""Does something while nothing moves in the machine of this id."""


@dataclass(frozen=True)
class Exit:
    """How a machine's process ended."""

    code: int
    oom: bool
    at: str
    error: str = ""


@dataclass(frozen=True)
class Seen:
    """A machine's container as the engine has it; one that never ran is none yet."""

    state: Literal["running", "paused", "exited", "absent"]
    place: "Place | None" = None
    exit: Exit | None = None


@dataclass(frozen=True)
class Place:
    """Where a running machine's ports are: at its own address, or one by one on the loopback."""

    host: str
    published: tuple[tuple[int, int], ...] = ()

    def address(self, port: int) -> Address:
        return Address(self.host, dict(self.published).get(port, port))


class Host:
    """*Errors*: DockerError, from everything that asks the engine."""

    def __init__(self, state: State, engine: Engine, site: Site, folder: Path) -> None:
        self.engine, self.site = engine, site
        self._state = state
        self._logbook = Logbook(folder / "logs")
        self._snapshots = folder / "snapshots"
        self._snapshots.mkdir(mode=0o700, exist_ok=True)
        self._network_lock = asyncio.Lock()
        self._networks_present: set[str] = set()
        self._carriers: set[str] = set()

    # -- a machine's run

    async def launch(self, machine: Machine) -> Place:
        """Runs it on a fresh root file system, as every start on Fly does.

        Where somebody else has taken the addresses of its network meanwhile, the network moves.
        """
        for _ in range(MOVES):
            try:
                return await self._launch(machine)
            except DockerError as error:
                if OVERLAP not in str(error):
                    raise
                machine = await self._move(machine)
        raise aborted(networks.NO_ROOM)

    async def _launch(self, machine: Machine) -> Place:
        network, volume = self._network_of(machine), await self._contain(machine)
        await _together(self._present(network), self._furnish(machine, volume))
        await self._start(container.container_name(machine), network)
        if self.site.direct:
            return Place(machine.private_ip)
        seen = await self.look(machine)
        return seen.place or Place(machine.private_ip)

    async def prepare(self, machine: Machine) -> None:
        """Makes the container of its next run: for a start somebody waits, for what follows a stop nobody.

        The start makes what is missing then, and makes anew what was made of something else.
        """
        try:
            await self._contain(machine)
        except DockerError as error:
            log.warning("machine %s: its next run could not be prepared: %s", machine.id, error)

    async def _contain(self, machine: Machine) -> Volume | None:
        """Sees to it that there is a container for it that never ran; gives its volume."""
        volume = self._volume_of(machine)
        if volume:
            volume = await self._prepared(volume)
        name = container.container_name(machine)
        body = container.body(machine, volume, self._network_of(machine), self.site)
        found = await self.engine.inspect(name)
        if found is None or not container.is_ready(found, body):
            if found:
                await self.engine.remove(name)
            await self._create(name, body)
        return volume

    async def _create(self, name: str, body: dict[str, Any]) -> None:
        """Seen to its end even when nobody wants it any more: only what is there can be cleared away."""
        creating = asyncio.ensure_future(self.engine.create(name, body))
        try:
            await asyncio.shield(creating)
        except asyncio.CancelledError:
            with contextlib.suppress(DockerError, TimeoutError):
                await creating
            raise

    async def _start(self, name: str, network: Network) -> None:
        try:
            await self.engine.start(name)
        except DockerError as error:
            if error.status != 404:
                raise
            self._networks_present.discard(network.id)  # somebody removed the network under us
            await self._present(network)
            await self.engine.start(name)

    async def _furnish(self, machine: Machine, volume: Volume | None) -> None:
        """What must be there before the process runs: the volume's first content, and the config's files."""
        name = container.container_name(machine)
        mount = machineconfig.mount(machine.config)
        if volume and mount and not volume.filled:
            source = self._snapshot_path(volume.snapshot) if volume.snapshot else container.new_file_system()
            await self.engine.put_archive(name, mount["path"], source)
            self._state.change(self._state.volumes[volume.id], filled=True, state="created")
        if files := container.files(machine):
            await self.engine.put_archive(name, "/", files)

    async def look(self, machine: Machine) -> Seen:
        found = await self.engine.inspect(container.container_name(machine))
        return Seen("absent") if found is None or container.never_ran(found) else _seen(found, self.site)

    async def end(self, machine: Machine, signal: str, timeout_s: float) -> Exit:
        """Asks the process to end, makes it end when it does not, and clears its container away."""
        name = container.container_name(machine)
        with _unless_ended():
            await self.engine.kill(name, signal)
        if not await self._ended(name, timeout_s):
            with _unless_ended():
                await self.engine.kill(name, "SIGKILL")
            await self._ended(name, KILLED_LIMIT_S)
        seen = await self.look(machine)
        await self.discard(machine)
        return seen.exit or Exit(0, False, now())

    async def _ended(self, name: str, timeout_s: float) -> bool:
        try:
            return await self.engine.wait(name, timeout_s)
        except DockerError as error:
            if error.status == 404:
                return True
            raise

    async def discard(self, machine: Machine) -> None:
        """Clears the container away, whatever it does; what it wrote is kept, where that can be."""
        name = container.container_name(machine)
        try:
            with contextlib.suppress(DockerError):
                self._logbook.keep(machine.id, await self.engine.logs(name, tail=HARVESTED_LINES))
        except OSError as error:  # such as a full disk: to clear away is what helps
            log.warning("machine %s: what it wrote last is lost: %s", machine.id, error)
        try:
            await self.engine.remove(name)
        except DockerError as error:
            if error.status != 408:
                raise
            await self._thaw_by_hand(name)
            await self.engine.remove(name)

    async def freeze(self, machine: Machine) -> None:
        """Pauses, but never while an exec is starting: that hangs the engine for good (Docker 20.10)."""
        name = container.container_name(machine)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXEC_START_LIMIT_S):
                while await self.engine.execs_starting(name):  # noqa: ASYNC110 — the engine tells nobody
                    await asyncio.sleep(0.02)
        await self._until_believed(name, self.engine.pause, "paused", ALREADY_PAUSED)

    async def thaw(self, machine: Machine) -> None:
        name = container.container_name(machine)
        await self._until_believed(name, self.engine.unpause, "running", NOT_PAUSED)

    async def _until_believed(
        self, name: str, change: Callable[[str, float], Awaitable[None]], wanted: str, behind: str
    ) -> None:
        """Pauses or unpauses, and again while the engine's own record is behind the kernel's (Docker 20.10).

        What it refuses as done already is done only when the kernel says so too.
        """
        for attempt in range(FREEZE_ATTEMPTS):
            try:
                await change(name, PAUSE_LIMIT_S)
                return
            except DockerError as error:
                if behind in str(error):
                    if await self._really(name) == wanted:
                        return
                elif NOT_FROZEN not in str(error):
                    raise
                if attempt == FREEZE_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.05 * 2**attempt)

    async def _really(self, name: str) -> str:
        """Whether its processes run, in the kernel's own words; the engine's where those are out of reach."""
        found = await self.engine.inspect(name)
        if found is None or not found["State"]["Running"]:
            return "gone"
        for path, _ in _freezers(str(found["Id"])):
            with contextlib.suppress(OSError):
                return "paused" if path.read_text().strip() in {"FROZEN", "1"} else "running"
        return "paused" if found["State"]["Paused"] else "running"

    async def _thaw_by_hand(self, name: str) -> None:
        """The way out when the engine hangs on what it froze half-way: past it, in the kernel's files."""
        found = await self.engine.inspect(name)
        for path, word in _freezers(str(found["Id"]) if found else ""):
            with contextlib.suppress(OSError):
                path.write_text(word)
                log.warning("thawed %s by hand: the engine did not answer", name)

    async def signal(self, machine: Machine, signal: str) -> None:
        await self.engine.kill(container.container_name(machine), signal)

    async def exec(
        self,
        machine: Machine,
        command: list[str],
        stdin: bytes,
        timeout_s: float,
        started: Callable[[], None],
    ) -> ExecResult:
        return await self.engine.exec(container.container_name(machine), command, stdin, timeout_s, started)

    async def processes(self, machine: Machine) -> list[dict[str, str]]:
        """*Shape*: `[{"PID": "1", "RSS": "120", …}]`"""
        seen = await self.engine.top(
            container.container_name(machine), "-o pid,pcpu,rss,etimes,cputimes,args"
        )
        return [dict(zip(seen["Titles"], row, strict=False)) for row in seen["Processes"]]

    async def stats(self, machine: Machine) -> dict[str, Any]:
        """What its container uses, in the engine's words."""
        return dict(await self.engine.stats(container.container_name(machine)))

    async def memory(self, machine: Machine) -> tuple[int, int]:
        """What it uses and what it may. *Units*: bytes"""
        memory = (await self.stats(machine))["memory_stats"]
        used = int(memory.get("usage", 0)) - int(memory.get("stats", {}).get("total_inactive_file", 0))
        return used, int(memory.get("limit", machine.config["guest"]["memory_mb"] << 20))

    async def limit_memory(self, machine: Machine, limit_mb: int) -> None:
        await self.engine.limit_memory(container.container_name(machine), limit_mb << 20)

    async def lines(self, machine: Machine) -> list[Line]:
        """What the machine wrote, in this run and before."""
        kept = parse(machine.id, self._logbook.read(machine.id))
        with contextlib.suppress(DockerError):
            kept += parse(
                machine.id, await self.engine.logs(container.container_name(machine), tail=HARVESTED_LINES)
            )
        return kept

    def forget(self, machine: Machine) -> None:
        self._logbook.forget(machine.id)

    # -- volumes

    async def create_volume(self, volume: Volume) -> None:
        labels = container.labels(self.site, app=volume.app, volume=volume.id)
        await self.engine.create_volume(container.volume_name(volume), labels)

    async def remove_volume(self, volume: Volume) -> None:
        await self.engine.remove_volume(container.volume_name(volume))

    async def _prepared(self, volume: Volume) -> Volume:
        """The volume, which is there: the engine would make a missing one anew, and nobody would learn of it.

        Where its folder is in reach it gets what a new file system holds; asking the engine costs 60 ms more.
        """
        found = await self.engine.volume(container.volume_name(volume))
        if found is None:
            raise DockerError(404, f"volume {volume.id} is gone from the engine: its data is lost")
        in_reach = self.site.direct and os.geteuid() == 0
        if volume.filled or volume.snapshot or not (in_reach and _make_file_system(found["Mountpoint"])):
            return volume
        return self._state.change(volume, filled=True)

    async def used_bytes(self, volume: Volume) -> int | None:
        """What is on it; None where it is out of reach, or holds nothing yet."""
        found = await self.engine.volume(container.volume_name(volume))
        if found is None:
            return None
        if self.site.direct and os.geteuid() == 0:
            return await _weighed(found["Mountpoint"])
        return await self.engine.volume_bytes(container.volume_name(volume))

    async def take_snapshot(self, volume: Volume, snapshot: Snapshot, still: Still) -> tuple[int, str]:
        """Copies what is on the volume now; gives the size in bytes and a digest of the copy.

        It is read while its machine is held `still`: the copy is what a sudden end would have left.
        """
        path = self._snapshot_path(snapshot.id)
        digest = hashlib.sha256()
        async with self._carrier(volume) as name:
            with path.with_suffix(".part").open("wb") as file:

                def keep(piece: bytes) -> None:
                    file.write(piece)
                    digest.update(piece)

                await still(
                    volume.machine,
                    lambda: self.engine.get_archive(name, f"{container.CARRIED}/.", keep, STILL_LIMIT_S),
                )
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        path.with_suffix(".part").replace(path)
        return path.stat().st_size, f"sha256:{digest.hexdigest()}"

    @contextlib.asynccontextmanager
    async def _carrier(self, volume: Volume) -> AsyncIterator[str]:
        name = f"{CARRIER}{ulid().lower()}"
        body = container.carrier(volume, await self.engine.any_image(), self.site)
        self._carriers.add(name)
        try:
            yield await self.engine.create(name, body)
        finally:
            await self.engine.remove(name)
            self._carriers.discard(name)

    async def remove_carriers(self) -> None:
        """Those of copies that were cut off by our end."""
        label = f"{container.PLATFORM}={self.site.platform_id}"
        for one in await self.engine.containers(label):
            name = one["Names"][0].lstrip("/")
            if name.startswith(CARRIER) and name not in self._carriers:
                await self.engine.remove(name)

    def _snapshot_path(self, snapshot: str) -> Path:
        return self._snapshots / f"{snapshot}.tar"

    def remove_snapshot(self, snapshot: Snapshot) -> None:
        path = self._snapshot_path(snapshot.id)
        path.unlink(missing_ok=True)
        path.with_suffix(".part").unlink(missing_ok=True)

    # -- networks

    async def join(self, org: str, name: str) -> Network:
        """The organisation's network of this name, with addresses of its own."""
        async with self._network_lock:
            known = next((n for n in self._state.networks.values() if (n.org, n.name) == (org, name)), None)
            if known:
                return known
            return await self._new_network(org, name)

    async def _new_network(self, org: str, name: str) -> Network:
        """Made in the engine at once: only there do platforms beside us see that its addresses are taken."""
        lost: list[IPv4Network] = []
        while True:
            network = Network(ulid().lower()[-12:], org, name, await self._free_subnet(name, lost))
            self._state.save(network)
            try:
                await self._create_network(network)
            except DockerError as error:
                self._state.drop(network)
                if OVERLAP not in str(error):
                    raise
                lost.append(IPv4Network(network.subnet))  # another platform was quicker
            else:
                self._networks_present.add(network.id)
                return network

    async def _create_network(self, network: Network) -> None:
        labels = container.labels(self.site, network=network.name)
        await self.engine.create_network(container.network_name(network), network.subnet, labels)

    async def _free_subnet(self, name: str, lost: Iterable[IPv4Network] = ()) -> str:
        ours = [IPv4Network(n.subnet) for n in self._state.networks.values()]
        engines = list(networks.subnets_in(await self.engine.networks()))
        return networks.free_subnet(
            networks.POOL, [*ours, *engines, *lost, *networks.routed()], default=name == "default"
        )

    def free_address(self, network: Network) -> str:
        taken = [m.private_ip for m in self._state.machines.values()]
        return networks.free_address(network.subnet, taken)

    async def _present(self, network: Network) -> None:
        if network.id in self._networks_present:
            return
        async with self._network_lock:
            if await self.engine.network(container.network_name(network)) is None:
                await self._create_network(network)
            self._networks_present.add(network.id)

    async def _move(self, machine: Machine) -> Machine:
        """Gives the network other addresses; none of its machines runs, since the engine does not have it."""
        async with self._network_lock:
            network = self._network_of(machine)
            moved = self._state.change(network, subnet=await self._free_subnet(network.name))
            log.warning("network %s moves from %s to %s", network.name, network.subnet, moved.subnet)
            for mine in [m for m in self._state.machines.values() if self._network_of(m).id == moved.id]:
                self._state.change(mine, private_ip=self.free_address(moved))
            return self._state.machines[machine.id]

    async def leave(self, app: App) -> None:
        """Removes the app's network once no app is in it."""
        async with self._network_lock:
            others = [
                a
                for a in self._state.apps.values()
                if (a.org, a.network) == (app.org, app.network) and a.id != app.id
            ]
            network = next(
                (n for n in self._state.networks.values() if (n.org, n.name) == (app.org, app.network)), None
            )
            if network and not others:
                await self.engine.remove_network(container.network_name(network))
                self._networks_present.discard(network.id)
                self._state.drop(network)

    # -- what is there

    async def orphans(self) -> dict[str, list[dict[str, Any]]]:
        """Containers, volumes and networks with our label that no record knows."""
        label = f"{container.PLATFORM}={self.site.platform_id}"
        found = [(c["Names"][0].lstrip("/"), c) for c in await self.engine.containers(label)]
        found_volumes, found_nets = await self.engine.volumes(label), await self.engine.networks()
        # Only now, since whatever is made meanwhile is on record before it is in the engine.
        machines = {container.container_name(m) for m in self._state.machines.values()} | self._carriers
        volumes = {container.volume_name(v) for v in self._state.volumes.values()}
        nets = {container.network_name(n) for n in self._state.networks.values()}
        return {
            "containers": [_orphan(name, c) for name, c in found if name not in machines],
            "volumes": [_orphan(v["Name"], v) for v in found_volumes if v["Name"] not in volumes],
            "networks": [
                _orphan(n["Name"], n)
                for n in found_nets
                if (n["Labels"] or {}).get(container.PLATFORM) == self.site.platform_id
                and n["Name"] not in nets
            ],
        }

    async def remove_orphans(self) -> dict[str, list[dict[str, Any]]]:
        """Removes them, and says what they were; containers first, since they hold the rest."""
        found = await self.orphans()
        for one in found["containers"]:
            await self.engine.remove(one["name"])
        for one in found["volumes"]:
            await self.engine.remove_volume(one["name"])
        for one in found["networks"]:
            await self.engine.remove_network(one["name"])
        return found

    def _network_of(self, machine: Machine) -> Network:
        app = self._state.apps[machine.app]
        return next(n for n in self._state.networks.values() if (n.org, n.name) == (app.org, app.network))

    def _volume_of(self, machine: Machine) -> Volume | None:
        mount = machineconfig.mount(machine.config)
        return self._state.volumes.get(mount["volume"]) if mount else None


async def _weighed(folder: str) -> int | None:
    """What a folder takes up on its disk, found without haste."""
    weighing = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19", "du", "--summarize", "--one-file-system", "--block-size=1", "--", folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await weighing.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            weighing.kill()
        await weighing.wait()
        raise
    word = said.split(maxsplit=1)[0] if said.strip() else b""
    return int(word) if word.isdigit() else None


def _make_file_system(folder: str) -> bool:
    """Whether the folder could be given what a new file system holds."""
    try:
        (Path(folder) / container.LOST_AND_FOUND).mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return True


def _orphan(name: str, found: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "labels": found.get("Labels") or {}, "state": found.get("State", "")}


def _seen(found: dict[str, Any], site: Site) -> Seen:
    state = found["State"]
    place = _place(found, site)
    if state["Paused"]:
        return Seen("paused", place)
    if state["Running"]:
        return Seen("running", place)
    return Seen(
        "exited",
        exit=Exit(int(state["ExitCode"]), bool(state["OOMKilled"]), state["FinishedAt"], state["Error"]),
    )


def _place(found: dict[str, Any], site: Site) -> Place | None:
    settings = found["NetworkSettings"]
    if site.direct:
        addresses = [
            network["IPAddress"] for network in settings["Networks"].values() if network["IPAddress"]
        ]
        return Place(addresses[0]) if addresses else None
    bound = {port: where for port, where in (settings["Ports"] or {}).items() if where}
    return Place(
        "127.0.0.1",
        tuple((int(port.split("/")[0]), int(where[0]["HostPort"])) for port, where in bound.items()),
    )


def _freezers(container_id: str) -> list[tuple[Path, str]]:
    if not container_id:
        return []
    root = Path("/sys/fs/cgroup")
    return [
        (root / "freezer/docker" / container_id / "freezer.state", "THAWED"),
        (root / f"system.slice/docker-{container_id}.scope/cgroup.freeze", "0"),
        (root / "docker" / container_id / "cgroup.freeze", "0"),
    ]


@contextlib.contextmanager
def _unless_ended() -> Any:
    """A process that is gone, or whose container is, can not be told anything: that is what was wanted."""
    try:
        yield
    except DockerError as error:
        if error.status not in {404, 409}:
            raise


async def _together(*steps: Any) -> None:
    """All steps at once; the first failure counts once all have come to an end."""
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
