"""The wake-on-request proxy: accepts, finds, wakes, joins the two streams; and puts idle machines to sleep.

It speaks HTTP/1.1 at the level of the protocol: heads are read and written anew, bodies and WebSockets pass
as they come. What is kept of one machine is in `route`, of one visitor's connection in `visitor`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import resource
import ssl
import time
from collections import Counter
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from fly.local import busy, hangup
from fly.local.answers import TENDED, UNKNOWN, Answer
from fly.local.figures import Figures
from fly.local.idle import Visit, verdict
from fly.local.limits import Limits
from fly.local.machines import Target
from fly.local.probe import Address
from fly.local.route import Machines, Route
from fly.local.tunnel import Tunnel
from fly.local.upstream import Upstream
from fly.local.visitor import Visitor

__all__ = ["Door", "Limits", "Machines"]

log = logging.getLogger(__name__)

_HOST = re.compile(r"([a-z0-9-]+)\.([a-z0-9.-]+?)\.?(?::[0-9]*)?")
_SILENT_QUESTIONS = 3
"""A workspace that does not say so often in a row whether it is busy is not asked again."""
_GLANCES = 32
"""So many machines are asked at once when somebody wants to know of all of them."""


class Door:
    """Where visitors come in: `http://<app>.<domain>:<port>`."""

    def __init__(
        self,
        machines: Machines,
        host: str = "127.0.0.1",
        port: int = 8080,
        limits: Limits | None = None,
        *,
        domains: tuple[str, ...] = ("localhost",),
        region: str = "local",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.figures = Figures()
        self.draining = False
        self.port = port
        """The one that it really listens on, once started."""
        self._host = host
        self._domains = frozenset(domains)
        self._region = region.encode()
        self._tls = tls
        self._machines = machines
        self._routes: dict[str, Route] = {}
        self._present: dict[Visitor | Tunnel, str] = {}
        """With the address that each comes from."""
        self._of_one: Counter[str] = Counter()
        """How many come from each address."""
        self._unheard: set[Visitor | Tunnel] = set()
        """Those present that are not read from."""
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None
        self._bedtimes: dict[str, asyncio.Task[None]] = {}
        """The machines that are being put to sleep."""
        self._requests = time.time_ns()
        """Rises with each; begins so that no two runs of the door give the same id."""
        self._glances = asyncio.Semaphore(_GLANCES)
        machines.on_sleep(self._slept)

    async def start(self) -> None:
        """*Errors*: OSError, when it can not listen."""
        loop = asyncio.get_running_loop()
        _make_room(2 * self.limits.connections + 256)
        self._server = await loop.create_server(
            partial(Visitor, self),
            self._host,
            self.port,
            ssl=self._tls,
            ssl_handshake_timeout=self.limits.handshake_s if self._tls else None,
            backlog=1024,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._watching = loop.create_task(self._watch())

    async def stop(self) -> None:
        """Takes no more visitors, lets answers that are under way finish for a while, then closes all."""
        if self._server is None:
            return
        self.draining = True
        self._server.close()
        for one in list(self._present):
            one.drain()
        await self._until_empty(self.limits.drain_s)
        await self._end_tasks()
        for route in self._routes.values():
            await route.close()
        for one in list(self._present):
            one.cut()
        await self._until_empty(1.0)
        self._server = None

    async def activity(self, machine_id: str) -> dict[str, Any]:
        """Whether a machine is awake, why, and when it will sleep; asking for it is no use of it.

        *Shape*: `{"awake": true, "why": "an answer under way (1), last byte 0 s ago", "open_connections": 1,
        "last_activity_s": 0.1, "sleeps_in_s": 299.9}`; the last two may be null
        """
        if (target := self._machines.running(machine_id)) is not None:
            await self._glance(self._route(machine_id), target)
            target = self._machines.running(machine_id)
        if target is None:
            route = self._routes.get(machine_id)
            return _tell(False, _why_asleep(route), len(route.waiting) if route else 0)
        now, route = asyncio.get_running_loop().time(), self._route(machine_id)
        route.noticed_awake(now)
        judged = verdict(route.seen, self.limits.idle, target.autostop, now)
        sleeps_in_s = None if judged.sleeps_at is None else max(0.0, judged.sleeps_at - now)
        last_s = None if route.seen.last_byte == -math.inf else now - route.seen.last_byte
        return _tell(True, judged.reason, len(route.seen.visits), last_s, sleeps_in_s)

    def visits(self, machine_id: str) -> int:
        """How many requests, streams and WebSockets it has open."""
        route = self._routes.get(machine_id)
        return len(route.seen.visits) if route else 0

    def metrics(self) -> dict[str, Any]:
        """Counts since the start, and of this moment."""
        tunnels = sum(isinstance(one, Tunnel) for one in self._present)
        return {
            "requests": self.figures.requests,
            "refused": self.figures.refused,
            "retried": self.figures.retried,
            "websockets": self.figures.upgraded,
            "failed_wakes": self.figures.failed_wakes,
            "wakes": self.figures.wakes.report(),
            "cold_answers": self.figures.cold_answers.report(),
            "held": sum(len(route.waiting) for route in self._routes.values()),
            "open": sum(len(route.seen.visits) for route in self._routes.values()),
            "open_websockets": tunnels,
            "visitor_connections": len(self._present),
            "machine_connections": sum(len(route.transports) for route in self._routes.values()),
            "file_descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        }

    # What visitors need.

    def welcome(self, visitor: Visitor) -> bool:
        ip = self._enter(visitor, visitor.transport)
        full = len(self._present) > self.limits.connections
        return not full and self._of_one[ip] <= self.limits.connections_of_one

    def _enter(self, one: Visitor | Tunnel, transport: asyncio.Transport) -> str:
        ip = self._present[one] = _ip(transport)
        self._of_one[ip] += 1
        return ip

    def parted(self, one: Visitor | Tunnel) -> None:
        self._unheard.discard(one)
        ip = self._present.pop(one, None)
        if ip is not None:
            self._of_one[ip] -= 1
            if not self._of_one[ip]:
                del self._of_one[ip]

    def unheard(self, one: Visitor | Tunnel, unheard: bool) -> None:
        (self._unheard.add if unheard else self._unheard.discard)(one)

    def find(self, host: bytes) -> tuple[Route, Target] | None:
        app = _app_of(host, self._domains)
        target = self._machines.target(app) if app else None
        return None if target is None else (self._route(target.machine_id), target)

    def excuse(self, host: bytes) -> Answer:
        app = _app_of(host, self._domains)
        return TENDED if app and self._machines.knows(app) else UNKNOWN

    def stamp(self, transport: asyncio.Transport) -> bytes:
        ip = _ip(transport)
        proto, tls = ("https", "on") if self._tls else ("http", "off")
        return (
            f"Fly-Client-IP: {ip}\r\nFly-Forwarded-Port: {self.port}\r\nFly-Forwarded-Proto: {proto}\r\n"
            f"Fly-Forwarded-Ssl: {tls}\r\nFly-Region: {self._region.decode()}\r\nX-Forwarded-For: {ip}\r\n"
            f"X-Forwarded-Port: {self.port}\r\nX-Forwarded-Proto: {proto}\r\nX-Forwarded-Ssl: {tls}\r\n"
            "Via: 1.1 fly.io\r\n"
        ).encode()

    def request_id(self) -> bytes:
        self._requests += 1
        return b"Fly-Request-Id: 01%024X-%b\r\n" % (self._requests, self._region)

    def join(self, route: Route, visit: Visit, visitor: asyncio.Transport, upstream: Upstream) -> None:
        self.figures.upgraded += 1
        ended = partial(self._tunnel_ended, route, upstream.transport)
        tunnel = Tunnel(
            visitor,
            upstream.transport,
            visit,
            ended,
            unheard=self.unheard,
            half_close_s=self.limits.half_close_s,
            pace_s=self.limits.pace_s,
            pace_bytes=self.limits.pace_bytes,
        )
        self._enter(tunnel, visitor)
        tunnel.join()

    def _tunnel_ended(self, route: Route, transport: asyncio.Transport, tunnel: Tunnel) -> None:
        self.parted(tunnel)
        route.transports.discard(transport)
        route.seen.left(tunnel.visit, success=True)

    # Watching over time.

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        next_pass = next_look = loop.time()
        while True:
            await asyncio.sleep(self.limits.tick_s)
            now = loop.time()
            try:
                self._expire(now)
                if now >= next_look:
                    next_look = now + self.limits.look_round_s
                    await self._look_for_leavers()
                if now >= next_pass:
                    next_pass = now + self.limits.pass_s
                    self._look_around(now)
            except Exception:
                log.exception("the door's round failed; it goes on")

    def _expire(self, now: float) -> None:
        for one in [one for one in self._present if one.deadline <= now]:
            one.expire(now)

    async def _look_for_leavers(self) -> None:
        if not self._unheard:
            return
        orphans = await asyncio.to_thread(hangup.orphans)  # the kernel's list can be long
        for one in list(self._unheard):
            one.look_round(orphans)

    def _look_around(self, now: float) -> None:
        awake = {target.machine_id: target for target in self._machines.awake()}
        for machine_id, route in list(self._routes.items()):
            route.trim(now)
            if machine_id not in awake:
                route.noticed_asleep()
                if route.empty and not route.failure:
                    del self._routes[machine_id]
        for target in awake.values():
            self._consider(target, now)

    def _consider(self, target: Target, now: float) -> None:
        """Puts the machine to sleep if it may."""
        route = self._route(target.machine_id)
        route.noticed_awake(now)
        judged = verdict(route.seen, self.limits.idle, target.autostop, now)
        lately = now < route.considered_at + self.limits.reconsider_s
        if judged.may_sleep and not lately and target.machine_id not in self._bedtimes:
            task = asyncio.get_running_loop().create_task(self._put_to_sleep(route, target, judged.reason))
            self._bedtimes[target.machine_id] = task

    async def _put_to_sleep(self, route: Route, target: Target, reason: str) -> None:
        try:
            if await self._may_be_asked(route, target) and await self._machines.sleep(
                target.machine_id, partial(self._still_idle, route, target)
            ):
                log.info("machine %s sleeps: %s", target.machine_id, reason)
        except Exception:
            log.exception("machine %s could not be put to sleep", target.machine_id)
        finally:
            route.falling_asleep = False
            route.considered_at = asyncio.get_running_loop().time()
            del self._bedtimes[target.machine_id]

    async def _may_be_asked(self, route: Route, target: Target) -> bool:
        """Asks the workspace whether it is busy, for the verdict; False while that is not known."""
        if target.health_path is None or target.address is None:
            return True
        if await self._ask_whether_busy(route, target.address, target.health_path, self.limits.busy_s):
            route.unanswered = 0
            return True
        route.unanswered += 1
        return route.unanswered >= _SILENT_QUESTIONS

    async def _ask_whether_busy(
        self, route: Route, address: Address, health_path: str, timeout_s: float
    ) -> bool:
        """Whether it said so."""
        route.asked_at = asyncio.get_running_loop().time()
        busy_s = await busy.ask(address, health_path, timeout_s)
        if busy_s is not None:
            now = asyncio.get_running_loop().time()
            route.seen.busy_until = now + min(busy_s, self.limits.busy_at_most_s)
        return busy_s is not None

    async def _glance(self, route: Route, target: Target) -> None:
        """Asks an awake machine whether it is busy, unless that is known or changes nothing."""
        now = asyncio.get_running_loop().time()
        route.noticed_awake(now)
        if not target.awake or target.address is None or target.health_path is None:
            return
        judged = verdict(route.seen, self.limits.idle, target.autostop, now)
        lasts = judged.sleeps_at is None or judged.sleeps_at > now + self.limits.busy_at_most_s
        if not lasts and now >= route.asked_at + self.limits.glance_kept_s:
            async with self._glances:
                await self._ask_whether_busy(route, target.address, target.health_path, self.limits.glance_s)

    def _still_idle(self, route: Route, target: Target) -> bool:
        """Asked under the machine's lock; who comes after a yes waits, and wakes it again."""
        now = asyncio.get_running_loop().time()
        route.falling_asleep = verdict(route.seen, self.limits.idle, target.autostop, now).may_sleep
        return route.falling_asleep

    def _slept(self, machine_id: str) -> None:
        if route := self._routes.get(machine_id):
            route.slept()

    def _route(self, machine_id: str) -> Route:
        if (route := self._routes.get(machine_id)) is None:
            route = self._routes[machine_id] = Route(machine_id, self._machines, self.limits, self.figures)
        return route

    # Ending.

    async def _until_empty(self, timeout_s: float) -> None:
        """Waits until nobody is present, or so long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._present and loop.time() < deadline:
            self._expire(loop.time())
            await asyncio.sleep(0.01)

    async def _end_tasks(self) -> None:
        tasks = [*self._bedtimes.values(), *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ip(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else "unknown"


def _make_room(descriptors: int) -> None:
    """Lets this process have so many, if it may: each visitor needs two, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@lru_cache(maxsize=4096)
def _app_of(host: bytes, domains: frozenset[str]) -> str | None:
    """The app that a Host header names: `<app>.<domain>[:port]`."""
    match = _HOST.fullmatch(host.decode("latin-1").lower())
    return match[1] if match and match[2] in domains else None


def _tell(
    awake: bool, why: str, connections: int, last_s: float | None = None, sleeps_in_s: float | None = None
) -> dict[str, Any]:
    return {
        "awake": awake,
        "why": why,
        "open_connections": connections,
        "last_activity_s": None if last_s is None else round(last_s, 1),
        "sleeps_in_s": None if sleeps_in_s is None else round(sleeps_in_s, 1),
    }


def _why_asleep(route: Route | None) -> str:
    if route is None:
        return "asleep"
    if route.waking:
        return f"waking up, {len(route.waiting)} requests wait for it"
    return f"asleep; it did not wake the last time: {route.failure}" if route.failure else "asleep"
