"""The platform as one thing that starts and stops: state, engine, machines, API and door, in this order."""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from fly.errors import PlatformError
from fly.local import api, container, networks
from fly.local.apps import Apps
from fly.local.container import Site
from fly.local.docker import DockerError, Engine, addresses
from fly.local.door import Door
from fly.local.gauges import EVERY_S, Gauges
from fly.local.hosting import Host
from fly.local.idle import Rule
from fly.local.leases import Leases
from fly.local.likeness import LIKE_FLY, OWN, Likeness
from fly.local.limits import Limits
from fly.local.machines import Machines
from fly.local.names import app_id
from fly.local.platform import Parts, Platform
from fly.local.state import State
from fly.local.volumes import Volumes

log = logging.getLogger(__name__)
VERSION = "0.1.0"
LOOPBACK = "127.0.0.1"
FAREWELL_S = 1
AGAIN_S = 1.0
"""Before the engine's events are listened to again."""


@dataclass(frozen=True)
class Options:
    state_dir: Path
    api_port: int
    door_port: int
    idle_after_s: float
    """How long after its last use a machine is put to sleep."""
    labels: Mapping[str, str]
    """What containers, volumes and networks carry besides our own labels."""
    look_every_s: float = EVERY_S
    """How often it looks at what machines use."""
    certificate: Path | None = None
    """PEM, with its `key`: the door then speaks https."""
    key: Path | None = None
    max_awake_s: float | None = None
    """A machine that has been awake so long is put to sleep, whatever happens."""
    like_fly: bool | None = None
    """Whether it is as slow and as strict as Fly; None: as it was last time."""


@contextlib.asynccontextmanager
async def platform(options: Options) -> AsyncIterator[dict[str, Any]]:
    """The platform while it runs; gives what `platform.json` holds.

    *Errors*: PlatformError, when it can not start.
    """
    folder = options.state_dir
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_alone(folder))
        listening = stack.enter_context(contextlib.closing(_listening(options.api_port)))
        parts = await _parts(options, stack)
        door = await _open_door(parts, options, stack)
        about = {
            "api_url": f"http://{LOOPBACK}:{listening.getsockname()[1]}",
            "door_url": f"{'https' if options.certificate else 'http'}://{LOOPBACK}:{door.port}",
            "door_certificate": str(options.certificate) if options.certificate else None,
            "token": token(folder),
            "state_dir": str(folder),
            "pid": os.getpid(),
            "platform_id": parts.host.site.platform_id,
            "version": VERSION,
            "like_fly": parts.likeness is LIKE_FLY,
            "max_awake_s": options.max_awake_s,
        }
        await parts.machines.adopt()
        parts.apps.resume_deletions()
        with contextlib.suppress(DockerError):  # they are listed as orphans then
            await parts.host.remove_carriers()
        watching = asyncio.create_task(_watch(parts.host.engine, parts.host.site, parts.machines))
        stack.push_async_callback(_cancel, watching)
        stack.push_async_callback(_cancel, asyncio.create_task(parts.volumes.keep_tidy()))
        gauges = Gauges(parts.state, parts.host, door.visits, options.look_every_s)
        stack.push_async_callback(_cancel, asyncio.create_task(gauges.watch()))
        served = api.build(_served(parts, door, about, gauges))
        await stack.enter_async_context(_serving(served, listening))
        announcement = folder / "platform.json"
        stack.callback(announcement.unlink, missing_ok=True)
        write_privately(announcement, json.dumps(about, indent=2) + "\n")
        yield about


async def _parts(options: Options, stack: contextlib.AsyncExitStack) -> Parts:
    """Everything behind API and door, closed with the stack."""
    state = _records(options.state_dir)
    stack.callback(state.close)
    engine = await _engine()
    platform_id = state.fact("platform_id", app_id())
    site = Site(platform_id, engine.cpus, await _is_direct(engine), options.labels)
    host, leases = Host(state, engine, site, options.state_dir), Leases(state, platform_id)
    likeness = _likeness(state, options.like_fly)
    machines = Machines(state, host, leases, likeness)
    volumes = Volumes(state, host, machines.while_still)
    apps = Apps(state, host, machines, volumes)
    for part in (machines, volumes, apps):
        stack.push_async_callback(part.close)
    volumes.tidy()
    machines.load()
    return Parts(state, host, leases, machines, volumes, apps, likeness)


def _likeness(state: State, wanted: bool | None) -> Likeness:
    """As it is asked for, else as it was last time."""
    if wanted is not None:
        state.set_fact("like_fly", str(wanted))
    return LIKE_FLY if state.fact("like_fly", str(False)) == str(True) else OWN


def _served(parts: Parts, door: Door, about: Mapping[str, Any], gauges: Gauges) -> Platform:
    told = {key: value for key, value in about.items() if key != "token"}
    return Platform(
        **vars(parts),
        token=about["token"],
        about=lambda: told | {"door": door.metrics()},
        activity=door.activity,
        measured=gauges.memory.series,
    )


def _records(folder: Path) -> State:
    try:
        return State(folder / "platform.sqlite")
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise PlatformError(
            f"The embedded platform's records in {folder} can not be read: {error}.",
            hint="put platform.sqlite of a backup there, or remove it to begin anew",
        ) from error


def token(folder: Path) -> str:
    """The bearer token of this platform, made when it is first asked for."""
    path = folder / "token"
    if not path.exists():
        write_privately(path, f"local_{secrets.token_urlsafe(32)}\n")
    return path.read_text().strip()


def write_privately(path: Path, text: str) -> None:
    """All of the text or none of it, for the owner's eyes."""
    fresh = path.with_suffix(f".{os.getpid()}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder to oneself; the kernel frees it when we end, however we end."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        what = f"The embedded platform can not use {folder}: {error.strerror}."
        raise PlatformError(what, hint="choose a folder that can be written to") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    except BlockingIOError as error:
        raise PlatformError(
            f"Another embedded platform already runs on {folder}.",
            hint="stop it first, or give another --state-dir",
        ) from error
    finally:
        os.close(descriptor)


def _listening(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((LOOPBACK, port))
        found.listen(1024)
    except OSError as error:
        found.close()
        raise _port_taken(port, "API", error) from error
    return found


async def _open_door(parts: Parts, options: Options, stack: contextlib.AsyncExitStack) -> Door:
    rule = Rule(idle_after_s=options.idle_after_s, max_awake_s=options.max_awake_s)
    limits = Limits(idle=rule, drain_s=FAREWELL_S)
    if parts.likeness.autostop_pass_s:
        limits = replace(limits, pass_s=parts.likeness.autostop_pass_s)
    door = Door(parts.machines, LOOPBACK, options.door_port, limits, tls=_tls(options))
    try:
        await door.start()
    except OSError as error:
        raise _port_taken(options.door_port, "door", error) from error
    stack.push_async_callback(door.stop)
    return door


def _tls(options: Options) -> ssl.SSLContext | None:
    if not options.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        raise PlatformError(
            f"The door can not use the certificate {options.certificate}: {error}.",
            hint="a PEM file with the certificate, and one with its key",
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _port_taken(port: int, whose: str, error: OSError) -> PlatformError:
    what = f"The embedded platform's {whose} can not listen on {LOOPBACK}:{port}: {error.strerror or error}."
    return PlatformError(what, hint=f"free port {port}, or choose another one: JARVIS_{whose.upper()}_PORT=…")


async def _engine() -> Engine:
    """The first engine that answers."""
    failed: DockerError | None = None
    for address in addresses():
        try:
            engine = Engine(address)
            await engine.greet()
            return engine
        except DockerError as error:
            failed = error
    raise PlatformError(
        f"The embedded platform needs a Docker Engine: {failed}.", hint="start Docker, or set DOCKER_HOST"
    )


async def _is_direct(engine: Engine) -> bool:
    """Whether this host is where the engine's bridges are."""
    bridge = await engine.network("bridge")
    gateways = [
        c.get("Gateway") or c["Subnet"].rsplit(".", 1)[0] + ".1"
        for c in (bridge or {})["IPAM"]["Config"] or []
    ]
    return any(networks.is_local(gateway) for gateway in gateways)


async def _watch(engine: Engine, site: Site, machines: Machines) -> None:
    """Tells the machines of what happens to their containers; after a gap they all look for themselves."""
    while True:
        try:
            async for event in engine.events(f"{container.PLATFORM}={site.platform_id}"):
                if machine_id := event["Actor"]["Attributes"].get(container.MACHINE):
                    await machines.ended(machine_id)
        except DockerError as error:
            log.warning("the engine's events broke off: %s", error)
        except Exception:  # whatever it is: who did not listen any more would never learn of an end
            log.exception("the engine's events could not be followed; it goes on")
        await asyncio.sleep(AGAIN_S)
        await machines.look_again()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for the process, which has more to stop than this."""
        yield


@contextlib.asynccontextmanager
async def _serving(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=FAREWELL_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 — uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task
