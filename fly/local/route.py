"""The way to one machine: who waits for it, who is there, and the connections that can be used again."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from fly.local.answers import ASLEEP, CROWDED, NOT_WOKEN, TENDED, UNREACHABLE, Answer
from fly.local.figures import Figures
from fly.local.idle import Seen, Visit
from fly.local.limits import Limits
from fly.local.machines import Target, Tended, WakeFailed
from fly.local.probe import Address
from fly.local.upstream import Asker, Upstream

log = logging.getLogger(__name__)


class Machines(Protocol):
    """Who wakes the machines and puts them to sleep."""

    def target(self, app: str) -> Target | None: ...

    async def wake(self, machine_id: str) -> Address: ...

    async def sleep(self, machine_id: str, still_idle: Callable[[], bool]) -> bool: ...

    def awake(self) -> list[Target]: ...

    def running(self, machine_id: str) -> Target | None: ...

    def knows(self, app: str) -> bool: ...

    def missed(self, machine_id: str) -> None: ...

    def on_sleep(self, callback: Callable[[str], None]) -> None: ...


class Guest(Asker, Protocol):
    """Who comes along this way."""

    visit: Visit

    @property
    def repeatable(self) -> bool: ...

    def reached(self, upstream: Upstream) -> None: ...

    def held(self, now: float) -> None:
        """It waits from now on, for a machine that wakes."""

    def released(self) -> None:
        """It waits no more."""

    def missed(self) -> None:
        """The machine took no connection."""

    def turned_away(self, answer: Answer) -> None: ...


class Route:
    """One machine as the door sees it."""

    def __init__(self, machine_id: str, machines: Machines, limits: Limits, figures: Figures) -> None:
        self.machine_id = machine_id
        self.waiting: dict[Guest, None] = {}
        """In the order in which they came."""
        self.falling_asleep = False
        """From the decision that it may sleep until it does: who comes now waits."""
        self.transports: set[asyncio.Transport] = set()
        self.unanswered = 0
        """How often in a row it did not say whether it is busy."""
        self.considered_at = -math.inf
        """When it was last tried to put it to sleep."""
        self.asked_at = -math.inf
        """When it was last asked whether it is busy."""
        self._known_awake = False
        self._misses = 0
        """How often in a row its page took no connection."""
        self._excuse = NOT_WOKEN
        self._loop = asyncio.get_running_loop()
        self._machines = machines
        self._limits = limits
        self._figures = figures
        self.seen = Seen(awake_since=self._loop.time())
        self._rested: list[Upstream] = []
        self._address: tuple[str, int] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._failed_until = -math.inf
        self.failure = ""
        """Why the last wake failed."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        return len(self.transports)

    @property
    def waking(self) -> bool:
        return self._waking is not None

    def admit(self, guest: Guest, target: Target) -> None:
        """Brings the guest to the machine, which is woken if need be."""
        if target.awake and target.address is not None and not self.falling_asleep and self._waking is None:
            if not self._known_awake:
                self.noticed_awake(self._loop.time())
            self._connect(guest, target.address)
        else:
            self.hold(guest, target)

    def hold(self, guest: Guest, target: Target) -> None:
        """The guest waits until the machine says that it is ready."""
        now = self._loop.time()
        if not (target.autostart or target.up):
            guest.turned_away(ASLEEP)
        elif len(self.waiting) >= self._limits.held_requests:
            guest.turned_away(CROWDED)
        elif now < self._failed_until:
            guest.turned_away(self._excuse)
        else:
            self.waiting[guest] = None
            guest.held(now)
            if self._waking is None:
                self._waking = self._start(self._wake(target.address))

    @property
    def empty(self) -> bool:
        return not (self.transports or self.waiting or self.seen.visits or self._tasks)

    def noticed_awake(self, now: float) -> None:
        if not self._known_awake:
            self._known_awake = True
            self.seen.woke(now)

    def noticed_asleep(self) -> None:
        self._known_awake = False

    def forget(self, guest: Guest) -> None:
        """The guest waits no more."""
        self.waiting.pop(guest, None)

    def slept(self) -> None:
        """The machine sleeps: no connection to it is worth anything now."""
        self._known_awake = False
        self._misses = 0
        self._rested.clear()
        for transport in list(self.transports):
            transport.abort()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.slept()

    # The home of its connections.

    def arrived(self, upstream: Upstream) -> None:
        self.transports.add(upstream.transport)

    def rested(self, upstream: Upstream) -> None:
        if len(self._rested) < self._limits.pooled:
            upstream.since = self._loop.time()
            self._rested.append(upstream)
        else:
            upstream.transport.abort()

    def departed(self, upstream: Upstream) -> None:
        self.transports.discard(upstream.transport)
        if upstream in self._rested:
            self._rested.remove(upstream)

    def trim(self, now: float) -> None:
        """Lets go of connections that nobody used for a while."""
        while self._rested and self._rested[0].since < now - self._limits.pooled_s:
            self._rested.pop(0).transport.abort()

    def _take_rested(self, guest: Guest) -> Upstream | None:
        """The one used last. What can't be asked twice goes over one that is not about to be closed."""
        if not self._rested:
            return None
        age_s = self._limits.pooled_s if guest.repeatable else self._limits.fresh_s
        if self._rested[-1].since < self._loop.time() - age_s:
            return None
        upstream = self._rested.pop()
        return None if upstream.transport.is_closing() else upstream

    def _connect(self, guest: Guest, address: Address) -> None:
        peer = (address.host, address.port)
        if peer != self._address:
            self._move(peer)
        if upstream := self._take_rested(guest):
            guest.reached(upstream)
        else:
            self._start(self._bring(guest, guest.visit, peer))

    def _move(self, peer: tuple[str, int]) -> None:
        """Connections to another address than the present one lead nowhere."""
        self._address = peer
        for upstream in list(self._rested):
            upstream.transport.abort()
        self._rested.clear()

    async def _bring(self, guest: Guest, visit: Visit, peer: tuple[str, int]) -> None:
        upstream = await self._dial(peer)
        if guest.visit is not visit:  # it left meanwhile
            if upstream:
                self.rested(upstream)
        elif upstream:
            self._misses = 0
            guest.reached(upstream)
        else:
            await self._miss()
            if guest.visit is visit:
                guest.missed()

    async def _miss(self) -> None:
        """Its server may only be starting anew; where it refuses again and again there is no hurry."""
        self._machines.missed(self.machine_id)
        self._misses += 1
        if self._misses > 1:
            await asyncio.sleep(self._limits.redial_s)

    async def _dial(self, peer: tuple[str, int]) -> Upstream | None:
        make = partial(Upstream, self, self._limits.answer_head_bytes, self._limits.buffer_bytes)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, upstream = await self._loop.create_connection(make, *peer)
        except OSError:  # TimeoutError is one of them
            return None
        return upstream

    # Waking.

    async def _wake(self, known: Address | None) -> None:
        """Wakes it for all who wait, and meanwhile dials, since its kernel answers before it does."""
        began = self._loop.time()
        early = self._start(self._dial_early((known.host, known.port))) if known else None
        try:
            address = await self._ready()
        except Tended as error:
            return self._wake_failed(error.reason, TENDED)
        except (WakeFailed, TimeoutError) as error:
            excuse = UNREACHABLE if self._misses else NOT_WOKEN
            return self._wake_failed(str(error) or f"not ready after {self._limits.wake_s:g} s", excuse)
        except Exception:
            log.exception("machine %s: unexpected", self.machine_id)
            return self._wake_failed("something went wrong that should not", NOT_WOKEN)
        finally:
            self._waking = None
        self._figures.wakes.add(self._loop.time() - began)
        self.noticed_awake(self._loop.time())
        self.failure = ""
        if early:
            await asyncio.wait([early], timeout=0.005)
        self._release(address)
        return None

    async def _ready(self) -> Address:
        """*Errors*: WakeFailed, TimeoutError."""
        async with asyncio.timeout(self._limits.wake_s):
            return await self._machines.wake(self.machine_id)

    async def _dial_early(self, peer: tuple[str, int]) -> None:
        self._move(peer)
        if upstream := await self._dial(peer):
            self.rested(upstream)

    def _wake_failed(self, reason: str, excuse: Answer) -> None:
        log.warning("machine %s did not wake: %s", self.machine_id, reason)
        self._figures.failed_wakes += 1
        self._failed_until = self._loop.time() + self._limits.failed_wake_s
        self.failure, self._excuse = reason, excuse
        for guest in self._let_go():
            guest.turned_away(excuse)

    def _release(self, address: Address) -> None:
        for guest in self._let_go():
            guest.released()
            self._connect(guest, address)

    def _let_go(self) -> list[Guest]:
        guests = list(self.waiting)
        self.waiting.clear()
        return guests

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
