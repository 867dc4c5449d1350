"""What a machine may do when: its states and the ways between them, one lock for each machine.

    created ──▶ starting ──▶ started ──▶ suspending ──▶ suspended ──▶ resuming ──▶ started
                   ▲ │          │ └────▶ stopping ────▶ stopped ────▶ starting
                   │ └▶ failed  ▼
                   └──────── restarting, replacing ◀── updating ◀── any ──▶ destroying ──▶ (gone)

A passing state is an intent, saved before the engine is asked and told by an event: a platform that was
killed on the way goes on from there. Whoever comes in the middle waits for the lock; a forced destroy takes
it away.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from fly.local import machineconfig, probe
from fly.local.docker import DockerError, ExecResult
from fly.local.health import CheckStatus, Health
from fly.local.hosting import Exit, Place, Seen
from fly.local.leases import Leases
from fly.local.likeness import OWN, Likeness
from fly.local.machineconfig import Check
from fly.local.probe import Address
from fly.local.refusal import Refusal, missing, precondition
from fly.local.state import PERSISTENT, Event, Machine, State, Version, now

log = logging.getLogger(__name__)
Source = Literal["user", "flyd"]
"""Who began something: somebody through the API, or the platform."""
USER: Source = "user"
PLATFORM: Source = "flyd"
PATIENCE_S = 10.0
"""How long a call waits for its turn at a machine that is busy."""
WAKE_DEADLINE_S = 60.0
WAKE_STARTS = 3
"""So often a machine that falls asleep again while it is being woken is started."""
DRAIN_S = 10.0
DIAL_EVERY_S, DIAL_AFTER_SHARE = 0.01, 0.05
"""A page is dialled again after so long, or a share of the time since it was first: where many start at once
each takes long, and dialling would take the processor from them."""
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.25, 10.0
STEADY_S = 300.0
"""A run as long as this clears the count of restarts."""
ASLEEP = frozenset({"created", "stopped", "suspended", "failed", "restarting"})
AT_REST = frozenset({"created", "stopped", "suspended", "failed"})
UP = frozenset({"starting", "resuming", "started"})
PASSING = {
    "starting": "start",
    "resuming": "start",
    "stopping": "stop",
    "suspending": "suspend",
    "restarting": "restart",
    "updating": "update",
    "replacing": "update",
    "destroying": "destroy",
}
"""The states that a machine only passes through, and the type of the event that tells of each."""


class WakeFailed(Exception):  # noqa: N818 — an outcome that the door has to expect
    """The machine could not be made to answer; `reason` is a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tended(WakeFailed):
    """Somebody holds it: it wakes when it is let go of."""


@dataclass(frozen=True)
class Target:
    """Where requests for an app go. `awake`: its page answers; else wake it. `up`: it runs at any rate."""

    machine_id: str
    app: str
    address: Address | None
    awake: bool
    autostart: bool
    autostop: Literal["off", "stop", "suspend"]
    health_path: str | None
    up: bool = False


class Hosting(Protocol):
    """What a machine needs of the host that it runs on."""

    async def prepare(self, machine: Machine) -> None: ...
    async def launch(self, machine: Machine) -> Place: ...
    async def look(self, machine: Machine) -> Seen: ...
    async def end(self, machine: Machine, signal: str, timeout_s: float) -> Exit: ...
    async def discard(self, machine: Machine) -> None: ...
    async def freeze(self, machine: Machine) -> None: ...
    async def thaw(self, machine: Machine) -> None: ...
    async def signal(self, machine: Machine, signal: str) -> None: ...
    async def exec(
        self,
        machine: Machine,
        command: list[str],
        stdin: bytes,
        timeout_s: float,
        started: Callable[[], None],
    ) -> ExecResult: ...
    def forget(self, machine: Machine) -> None: ...


@dataclass
class Live:
    """What is true of a machine only while this process runs."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    work: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    place: Place | None = None
    ready: bool = False
    running_since: float = 0.0
    execs: int = 0
    execs_starting: int = 0
    wanted: bool = False
    """Somebody waits for it to wake: a suspend that has not happened yet is given up."""
    unseen_end: bool = False
    """Its container ended while it was busy; look again when it is not."""
    failures: int = 0
    """How often in a row what was begun could not be brought to an end."""
    mending: asyncio.Task[None] | None = None
    waking: asyncio.Task[Address] | None = None


Guard = Callable[[Machine], None]
"""Refuses whoever may not change the machine at this moment: somebody else holds it."""


def anybody(_machine: Machine) -> None:
    """The platform itself."""


class Machines:
    def __init__(self, state: State, host: Hosting, leases: Leases, likeness: Likeness = OWN) -> None:
        self._state, self._host, self._leases, self._likeness = state, host, leases, likeness
        self._live: dict[str, Live] = {}
        self._targets: dict[str, Target] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_sleep: list[Callable[[str], None]] = []
        self._health = Health()

    # -- what the door asks

    def target(self, app: str) -> Target | None:
        """Where requests for the app go; None if there is no such app or it has no machine with a service."""
        return self._targets.get(app)

    def awake(self) -> list[Target]:
        """The running machines that have a service, also those whose page has not answered yet."""
        running = [m for m in self._state.machines.values() if m.state == "started"]
        return [self._target_of(m) for m in running if machineconfig.port(m.config)]

    def running(self, machine_id: str) -> Target | None:
        """One of them."""
        machine = self._state.machines.get(machine_id)
        if machine is None or machine.state != "started" or not machineconfig.port(machine.config):
            return None
        return self._target_of(machine)

    def knows(self, app: str) -> bool:
        """Whether there is such an app, also while nobody can be let into it."""
        known = self._state.apps.get(app)
        return known is not None and not known.deleting

    def missed(self, machine_id: str) -> None:
        """Its page took no connection: it is awake again when it answers, and `wake` waits for that."""
        if machine := self._state.machines.get(machine_id):
            self._of(machine_id).ready = False
            self._refresh(machine.app)

    def on_sleep(self, callback: Callable[[str], None]) -> None:
        """Calls back with a machine's id when it falls asleep: connections to it are dead from then on."""
        self._on_sleep.append(callback)

    async def wake(self, machine_id: str) -> Address:
        """The address of its page, which answers. All who wait share one wake; who leaves ends nothing.

        *Errors*: WakeFailed.
        """
        live = self._of(machine_id)
        if live.waking is None or live.waking.done():
            live.waking = self._spawn(self._wake(machine_id))
        return await asyncio.shield(live.waking)

    async def sleep(self, machine_id: str, still_idle: Callable[[], bool]) -> bool:
        """Suspends or stops it as its config says, if nobody is busy with it and it is still idle."""
        live, machine = self._of(machine_id), self._state.machines.get(machine_id)
        if machine is None or live.lock.locked() or live.execs or not self._may_sleep(machine):
            return False
        async with self._turn(machine_id) as turn:
            machine = turn.machine
            if machine.state != "started" or live.execs or not self._may_sleep(machine) or not still_idle():
                return False
            suspends = machineconfig.autostop(machine.config) == "suspend"
            self._begin(machine, "suspending" if suspends else "stopping", PLATFORM)
            turn.go_on(self._suspend if suspends else self._halt)
        if live.work:
            await asyncio.wait([live.work])
        after = self._state.machines.get(machine_id)
        return after is not None and after.state in {"suspended", "stopped"}

    def _may_sleep(self, machine: Machine) -> bool:
        if machineconfig.autostop(machine.config) == "off" or self._leases.of(machine):
            return False
        running = [m for m in self._state.machines_of(machine.app) if m.state == "started"]
        return len(running) > machineconfig.least_running(machine.config)

    async def _wake(self, machine_id: str) -> Address:
        live = self._of(machine_id)
        live.wanted = True
        self._wake_waiters(live)
        try:
            async with asyncio.timeout(WAKE_DEADLINE_S):
                return await self._until_ready(machine_id, live)
        except TimeoutError as error:
            raise WakeFailed(f"machine {machine_id} did not answer in {WAKE_DEADLINE_S:g} s") from error
        except Refusal as error:
            raise WakeFailed(error.error) from error
        finally:
            live.wanted = False

    async def _until_ready(self, machine_id: str, live: Live) -> Address:
        starts, now_s, dialled_at_s = 0, asyncio.get_running_loop().time, 0.0
        while True:
            machine, changed = self.found(machine_id), live.changed
            if machine.state in ASLEEP and not live.lock.locked():
                if starts and (machine.state in {"stopped", "failed"} or starts == WAKE_STARTS):
                    raise WakeFailed(f"machine {machine_id} did not stay up: {self._last_words(machine_id)}")
                if lease := self._leases.of(machine):
                    raise Tended(f"machine {machine_id}: lease currently held by {lease.owner}")
                starts, dialled_at_s = starts + 1, 0.0
                await self.start(machine_id, PLATFORM)
            elif machine.state in UP and live.place:
                dialled_at_s = dialled_at_s or now_s()
                if address := await self._answers(machine, live):
                    return address
                await asyncio.sleep(max(DIAL_EVERY_S, DIAL_AFTER_SHARE * (now_s() - dialled_at_s)))
            else:
                await changed.wait()

    async def _answers(self, machine: Machine, live: Live) -> Address | None:
        """The address, if the page answers; asked while it is frozen, it answers the moment it thaws."""
        assert live.place is not None
        check = readiness(machine)
        address = live.place.address(check.port)
        if not live.ready and not await self._passes(machine.id, live, address, check):
            return None
        live.ready = True
        self._refresh(machine.app)
        return address

    async def _passes(self, machine_id: str, live: Live, address: Address, check: Check) -> bool:
        """Whether the check passes; given up when the machine is not up any more."""
        asking = self._spawn(probe.ask(address, check))
        try:
            while not asking.done():
                changing = self._spawn(live.changed.wait())
                await asyncio.wait([asking, changing], return_when=asyncio.FIRST_COMPLETED)
                changing.cancel()
                if self.found(machine_id).state not in UP:
                    return False
        finally:
            asking.cancel()
        return bool(asking.result().passed)

    def _last_words(self, machine_id: str) -> str:
        exits = [one.request["exit_event"] for one in self._state.events_of(machine_id) if one.request]
        ended = exits[0] if exits else {}
        return str(ended.get("error") or f"exit code {ended.get('exit_code', 'unknown')}")

    # -- what the API asks

    def found(self, machine_id: str) -> Machine:
        """*Errors*: Refusal 404."""
        machine = self._state.machines.get(machine_id)
        if machine is None:
            raise missing("machine")
        return machine

    def checks(self, machine: Machine) -> list[CheckStatus]:
        """What its health checks found."""
        return self._health.of(machine)

    def add(self, machine: Machine, *, launch: bool) -> Machine:
        """Takes a new machine on, with its volume; it is `created`, then starting if it is to be launched."""
        mount = machineconfig.mount(machine.config)
        volume = self._state.volumes.get(mount["volume"]) if mount else None
        claimed = [replace(volume, machine=machine.id)] if volume else []
        first = Version(machine.instance_id, machine.id, machine.config)
        self._state.note(machine.id, "launch", "created", USER, beside=[machine, first, *claimed])
        self._refresh(machine.app)
        if launch:
            live = self._of(machine.id)
            self._begin(machine, "starting")
            self._work_on(live, machine.id, self._launch)
        return machine

    async def replace(
        self, machine_id: str, draft: Callable[[], Machine], *, launch: bool, may: Guard = anybody
    ) -> Machine:
        """Gives it another config, all of it, and a new container if it is to be launched.

        `draft` is asked when its turn has come: what was true before may be so no more. It may refuse.
        """
        async with self._turn(machine_id, may=may) as turn:
            drafted = draft()
            running = turn.machine.state in {"started", "suspended", "restarting"}
            state = "updating" if launch else "stopping" if running else turn.machine.state
            changed = replace(drafted, state=state, updated_at=now(), restarts=0)
            version = Version(changed.instance_id, machine_id, changed.config)
            self._state.note(machine_id, "update", state, USER, beside=[changed, version])
            self._announce(changed)
            if launch:
                turn.go_on(self._update)
            elif running:
                turn.go_on(self._halt)
            return changed

    async def start(self, machine_id: str, source: Source = USER, *, may: Guard = anybody) -> str:
        """Begins to start it; gives the state that it was in."""
        async with self._turn(machine_id, "start", may) as turn:
            previous = turn.machine.state
            if previous == "suspended":
                self._begin(turn.machine, "resuming", source, restarts=0)
                turn.go_on(self._resume)
            elif previous != "started":
                self._begin(turn.machine, "starting", source, restarts=0)
                turn.go_on(self._launch)
            return previous

    async def stop(
        self,
        machine_id: str,
        signal: str | None = None,
        timeout_s: float | None = None,
        *,
        may: Guard = anybody,
    ) -> None:
        async with self._turn(machine_id, "stop", may) as turn:
            if turn.machine.state in {"started", "suspended", "restarting"}:
                self._begin(turn.machine, "stopping")
                turn.go_on(lambda machine: self._halt(machine, signal, timeout_s))

    async def suspend(self, machine_id: str, *, may: Guard = anybody) -> None:
        async with self._turn(machine_id, "suspend", may) as turn:
            machine = turn.machine
            if machine.state == "suspended":
                return
            if machine.state != "started":
                raise precondition(f"unable to suspend machine from current state: '{machine.state}'")
            if reason := machineconfig.why_not_suspend(machine.config):
                raise precondition(f"machine {machine.id} can not be suspended: {reason}")
            self._begin(machine, "suspending")
            turn.go_on(self._suspend)

    async def restart(
        self,
        machine_id: str,
        signal: str | None,
        timeout_s: float | None,
        *,
        force: bool,
        may: Guard = anybody,
    ) -> None:
        async with self._turn(machine_id, "restart", may) as turn:
            self._begin(turn.machine, "restarting", restarts=0)
            hard = ("SIGKILL", 0.0) if force else (signal, timeout_s)
            turn.go_on(lambda machine: self._relaunch(machine, *hard))

    async def destroy(self, machine_id: str, *, force: bool, may: Guard = anybody) -> None:
        """Begins to destroy it; with force whatever it does and whoever is busy with it."""
        machine, live = self.found(machine_id), self._of(machine_id)
        may(machine)
        if machine.state == "destroying":
            return
        if not force:
            _must_rest(machine)
        elif live.work:
            live.work.cancel()
        try:
            async with self._turn(machine_id, "destroy", may, patient=force) as turn:
                if not force:
                    _must_rest(turn.machine)
                self._begin(turn.machine, "destroying")
                turn.go_on(self._destroy)
        except Exception:  # such as a full disk: what was broken off for it has nobody any more
            if force:
                self._lost(machine_id, live)
            raise

    def busy(self, machine_id: str) -> bool:
        """Whether something is being done with it."""
        return self._of(machine_id).lock.locked()

    async def gone(self, machine_id: str) -> None:
        """Returns when the machine is no more."""
        while machine_id in self._state.machines:
            await self._of(machine_id).changed.wait()

    async def signal(self, machine_id: str, signal: str) -> None:
        machine = self.found(machine_id)
        if machine.state != "started":
            raise precondition(f"unable to signal machine, not currently started: '{machine.state}'")
        await self._host.signal(machine, signal)

    async def exec(self, machine_id: str, command: list[str], stdin: bytes, timeout_s: float) -> ExecResult:
        """Runs a command in it; while one runs the machine is not put to sleep."""
        live = self._of(machine_id)
        async with self._turn(machine_id, "exec") as turn:
            machine = turn.machine
            if machine.state != "started":
                raise precondition(f"unable to exec in machine, not currently started: '{machine.state}'")
            live.execs += 1
            live.execs_starting += 1
        has_started = _once(lambda: self._exec_started(live))
        try:
            return await self._host.exec(machine, command, stdin, timeout_s, has_started)
        finally:
            has_started()
            live.execs -= 1
            self._wake_waiters(live)

    def _exec_started(self, live: Live) -> None:
        live.execs_starting -= 1
        self._wake_waiters(live)

    async def wait(
        self,
        machine_id: str,
        states: Collection[str],
        instance: str | None,
        since: str | None,
        timeout_s: float,
    ) -> tuple[str, Machine | None]:
        """The first wanted state that it reaches, and the machine; None when it is destroyed.

        *Errors*: Refusal 408 when the time is over, 404 when there is no such machine.
        """
        machine = self.found(machine_id)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    changed = self._of(machine_id).changed
                    current = self._state.machines.get(machine_id)
                    if current is None:
                        return _gone(states)
                    machine = current
                    if self._is_in(machine, states, instance) and self._is_past(machine_id, since):
                        return machine.state, machine
                    await changed.wait()
        except TimeoutError as error:
            wanted = ", ".join(sorted(states))
            text = f"machine failed to reach desired state, {wanted}, currently {machine.state}"
            raise Refusal(408, f"deadline_exceeded: {text}") from error

    def _is_in(self, machine: Machine, states: Collection[str], instance: str | None) -> bool:
        if instance and instance != machine.instance_id:
            known = any(v.instance_id == instance for v in self._state.versions_of(machine.id))
            return known and bool(
                {"stopped", "destroyed", "settled"} & set(states)
            )  # an older version has ended
        return machine.state in states or ("settled" in states and machine.state in PERSISTENT)

    def _is_past(self, machine_id: str, event_id: str | None) -> bool:
        events = self._state.events_of(machine_id)
        return not event_id or bool(events and events[0].id > event_id)

    async def while_still(self, machine_id: str | None, work: Callable[[], Awaitable[None]]) -> None:
        """Does `work` while nothing in the machine moves: what it reads is of one moment.

        *Errors*: those of `work`; DockerError, also when the machine is destroyed in the middle; Refusal 404
        when that happens before its turn has come.
        """
        if machine_id is None or machine_id not in self._state.machines:
            return await work()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with self._turn(machine_id, patient=True) as turn:
            turn.go_on(lambda machine: self._hold_still(machine, work, done))
        holding = self._of(machine_id).work
        assert holding
        taken_away = DockerError(409, f"machine {machine_id} was taken away in the middle")
        holding.add_done_callback(lambda _: _tell(done, taken_away))  # also where it never began
        try:
            return await done
        finally:
            if done.cancelled():
                holding.cancel()
                await asyncio.wait([holding])

    async def _hold_still(
        self, machine: Machine, work: Callable[[], Awaitable[None]], done: asyncio.Future[None]
    ) -> None:
        try:
            async with self._frozen(machine):
                await work()
        except Exception as error:  # whatever it is, somebody waits to hear of it
            _tell(done, error)
        else:
            _tell(done, None)

    @contextlib.asynccontextmanager
    async def _frozen(self, machine: Machine) -> AsyncIterator[None]:
        """It runs on afterwards, also when we are killed in between: that it is held is on record."""
        if machine.state != "started":
            yield
            return
        live = self._of(machine.id)
        while live.execs_starting:
            await live.changed.wait()
        self._set(machine, held=True)
        self._health.rest(machine)
        try:
            await self._host.freeze(machine)
            yield
        finally:
            live.unseen_end = True  # whatever becomes of this, it is looked at afterwards
            with contextlib.suppress(DockerError):
                await self._host.thaw(machine)
                self._set(machine, held=False)

    def amend(self, machine: Machine, **changes: Any) -> Machine:
        """Changes what has no part in its run: cordon, metadata."""
        changed = self._state.change(self.found(machine.id), updated_at=now(), **changes)
        self._refresh(machine.app)
        return changed

    # -- the ways between the states
    # Each runs with the machine's lock held, from the passing state that was saved before.

    async def _launch(self, machine: Machine) -> None:
        live = self._of(machine.id)
        live.place = None
        await _pass(self._likeness.cold_start_s)
        try:
            live.place = await self._host.launch(machine)
        except (DockerError, Refusal, TimeoutError) as error:
            await self._give_up(machine, str(error))
            return
        except Exception as error:
            log.exception("machine %s: unexpected", machine.id)
            await self._give_up(machine, f"{type(error).__name__}: {error}")
            return
        self._is_running(machine, booted=True)

    async def _resume(self, machine: Machine) -> None:
        """Where the frozen memory is lost it boots instead, as on Fly."""
        await _pass(self._likeness.resume_s)
        try:
            await self._host.thaw(machine)
        except DockerError as error:
            log.warning("machine %s: resume failed (%s), looking again", machine.id, error)
            if (await self._recovered(machine)).state != "running":
                await self._launch(machine)
                return
        self._is_running(machine)

    def _is_running(self, machine: Machine, *, booted: bool = False) -> None:
        self._of(machine.id).running_since = asyncio.get_running_loop().time()
        self._runs_on(machine, booted=booted)

    def _runs_on(self, machine: Machine, *, booted: bool = False) -> None:
        self._enter(machine, "started", "start", PLATFORM)
        self._health.watch(machine, self._of(machine.id).place, booted=booted)

    async def _update(self, machine: Machine) -> None:
        await self._relaunch(self._begin(machine, "replacing"))

    async def _relaunch(
        self, machine: Machine, signal: str | None = None, timeout_s: float | None = None
    ) -> None:
        await self._end(machine, signal, timeout_s)
        await self._launch(self._begin(machine, "starting", PLATFORM))

    async def _halt(
        self, machine: Machine, signal: str | None = None, timeout_s: float | None = None
    ) -> None:
        await self._end(machine, signal, timeout_s)
        await self._host.prepare(machine)
        self._set(machine, state="stopped")

    async def _end(self, machine: Machine, signal: str | None, timeout_s: float | None) -> None:
        """Ends what runs, and notes how; a frozen process is not woken for it."""
        self._falls_asleep(machine)
        await _pass(self._likeness.stop_s)
        try:
            seen = await self._host.look(machine)
            if seen.state == "running":
                signal = signal or machineconfig.stop_signal(machine.config)
                limit_s = machineconfig.stop_timeout_s(machine.config) if timeout_s is None else timeout_s
                self._note_exit(machine, await self._host.end(machine, signal, limit_s), requested=True)
            elif seen.state != "absent":
                await self._host.discard(machine)
                self._note_exit(machine, seen.exit or Exit(0, False, now()), requested=True)
        except DockerError as error:
            log.warning("machine %s: could not end it (%s), removing it", machine.id, error)
            await self._recovered(machine, keep=False)

    async def _suspend(self, machine: Machine) -> None:
        live = self._of(machine.id)
        self._falls_asleep(machine, keeps_place=True)
        if not await self._drained(live) or live.wanted:
            self._runs_on(machine)
            return
        try:
            await self._host.freeze(machine)
            reached = "suspended"
        except DockerError as error:
            log.warning("machine %s: suspend failed (%s), looking again", machine.id, error)
            seen = await self._recovered(machine)
            reached = {"paused": "suspended", "running": "started"}.get(seen.state, "stopped")
        if reached == "started":
            self._runs_on(machine)
        elif reached == "suspended":
            self._enter(machine, reached, "suspend", PLATFORM)
        else:
            self._set(machine, state=reached)

    async def _drained(self, live: Live) -> bool:
        """Whether no exec is starting; one that runs on is given some time, then frozen with the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while live.execs and not live.wanted:
                    await live.changed.wait()
        return not live.execs_starting

    async def _destroy(self, machine: Machine) -> None:
        self._falls_asleep(machine)
        await self._host.discard(machine)
        self._host.forget(machine)
        live = self._of(machine.id)
        self._state.bury(machine, now())
        self._health.forget(machine)
        self._refresh(machine.app)
        self._live.pop(machine.id, None)
        self._wake_waiters(live)

    async def _recovered(self, machine: Machine, *, keep: bool = True) -> Seen:
        """What is left after the engine failed: a container that it can still speak of, or none."""
        with contextlib.suppress(DockerError, TimeoutError):
            seen = await self._host.look(machine)
            if keep and seen.state in {"running", "paused"}:
                return seen
        with contextlib.suppress(DockerError, TimeoutError):
            await self._host.discard(machine)
        self._note_exit(machine, Exit(-1, False, now(), "the engine lost it"), requested=False)
        return Seen("absent")

    async def _give_up(self, machine: Machine, reason: str) -> None:
        log.error("machine %s: launch failed: %s", machine.id, reason)
        with contextlib.suppress(DockerError, TimeoutError):
            await self._host.discard(machine)
        self._note_exit(machine, Exit(-1, False, now(), reason), requested=False)
        self._set(machine, state="failed")

    def _falls_asleep(self, machine: Machine, *, keeps_place: bool = False) -> None:
        live = self._of(machine.id)
        live.ready = False
        if not keeps_place:
            live.place = None
        self._health.rest(machine)
        self._refresh(machine.app)
        for callback in self._on_sleep:
            callback(machine.id)

    # -- what happens by itself

    def load(self) -> None:
        """From here on `target` knows of the machines on record; they are not looked at yet."""
        for machine in self._state.machines.values():
            self._refresh(machine.app)

    async def adopt(self) -> None:
        """Goes on from the records: takes over what runs, and finishes what was under way."""
        for machine in list(self._state.machines.values()):
            async with self._turn(machine.id, patient=True) as turn:
                turn.go_on(self._settle)

    async def look_again(self) -> None:
        """Called when events of the engine may have been missed."""
        for machine_id in list(self._state.machines):
            await self.ended(machine_id)

    async def ended(self, machine_id: str) -> None:
        """Called when something happened to its container that may not have been our doing."""
        live = self._live.get(machine_id)
        while live and machine_id in self._state.machines:
            if live.lock.locked():
                live.unseen_end = True
                return
            with contextlib.suppress(Refusal):  # the turn was promised to somebody, or the machine went
                async with self._turn(machine_id) as turn:
                    turn.go_on(self._settle)
                return

    async def _settle(self, machine: Machine) -> None:
        """Makes record and container agree: a passing state is gone on from, a lasting one corrected."""
        seen = await self._host.look(machine)
        if machine.held:
            seen = await self._let_go(machine, seen)
        live = self._of(machine.id)
        live.place = seen.place or live.place
        if unfinished := self._unfinished(machine, seen):
            await unfinished(machine)
        elif seen.state == "running" and machine.state != "started":
            self._is_running(machine)
        elif seen.state == "running":
            self._health.watch(machine, live.place)
        elif seen.state == "paused" and machine.state != "suspended":
            self._falls_asleep(machine, keeps_place=True)
            self._enter(machine, "suspended", "suspend", PLATFORM)
        elif seen.state != "paused" and machine.state in {"started", "suspending", "suspended", "restarting"}:
            await self._after_exit(machine, seen)
        elif seen.state == "exited":
            await self._host.discard(machine)

    async def _let_go(self, machine: Machine, seen: Seen) -> Seen:
        """Thaws what was held still when we were killed; what does not thaw counts as suspended."""
        if seen.state == "paused" and machine.state == "started":
            with contextlib.suppress(DockerError):
                await self._host.thaw(machine)
                seen = await self._host.look(machine)
        self._set(machine, held=False)
        return seen

    def _unfinished(
        self, machine: Machine, seen: Seen
    ) -> Callable[[Machine], Coroutine[Any, Any, None]] | None:
        if machine.state in {"starting", "resuming"}:
            return {"paused": self._resume, "running": None}.get(seen.state, self._launch)
        if machine.state == "suspending":
            return self._suspend if seen.state == "running" else None
        if machine.state == "restarting":
            return self._relaunch if seen.state in {"running", "paused"} else None
        return {
            "stopping": self._halt,
            "updating": self._update,
            "replacing": self._relaunch,
            "destroying": self._destroy,
        }.get(machine.state)

    async def _after_exit(self, machine: Machine, seen: Seen) -> None:
        """The process ended by itself: note it, clear up, and start again if the policy says so."""
        live = self._of(machine.id)
        if asyncio.get_running_loop().time() - live.running_since > STEADY_S:
            machine = self._set(machine, restarts=0)
        was_running = machine.state == "started"
        ended = seen.exit or Exit(-1, False, now(), "its container is gone")
        again = was_running and machineconfig.restarts(machine.config, ended.code, machine.restarts)
        self._falls_asleep(machine)
        await self._host.discard(machine)
        if machine.state == "restarting":
            self._restart_later(machine)
            return
        self._note_exit(machine, ended, requested=False, restarting=again)
        machine = self._set(
            machine, state="restarting" if again else "stopped", restarts=machine.restarts + again
        )
        if again:
            self._restart_later(machine)
        elif machine.config.get("auto_destroy"):
            await self._destroy(self._begin(machine, "destroying", PLATFORM))
        else:
            await self._host.prepare(machine)

    def _restart_later(self, machine: Machine) -> None:
        self._spawn(self._restart_after(machine, _back_off_s(machine.restarts)))

    async def _restart_after(self, machine: Machine, back_off_s: float) -> None:
        await asyncio.sleep(back_off_s)
        current = self._state.machines.get(machine.id)
        if current is None or (current.state, current.instance_id) != ("restarting", machine.instance_id):
            return
        async with self._turn(machine.id, patient=True) as turn:
            if turn.machine.state == "restarting":
                self._begin(turn.machine, "starting", PLATFORM)
                turn.go_on(self._launch)

    # -- the lock and the record

    @contextlib.asynccontextmanager
    async def _turn(
        self, machine_id: str, verb: str = "act", may: Guard = anybody, *, patient: bool = False
    ) -> AsyncIterator["Turn"]:
        """The machine to oneself; kept beyond the block by work that goes on.

        Whether one may is asked at once, and again when the turn has come: it may be somebody else's by then.

        *Errors*: Refusal 412 when it stays busy, 404 when it is gone; those of `may`.
        """
        may(self.found(machine_id))
        live = self._of(machine_id)
        try:
            async with asyncio.timeout(None if patient else PATIENCE_S):
                await live.lock.acquire()
        except TimeoutError as error:
            raise precondition(f"machine still active, refusing to {verb}") from error
        turn = Turn(self, machine_id)
        try:
            may(self.found(machine_id))
            yield turn
        finally:
            if turn.work is None:
                self._free(live, machine_id)
            else:
                self._work_on(live, machine_id, turn.work, locked=True)

    def _work_on(
        self,
        live: Live,
        machine_id: str,
        work: Callable[[Machine], Coroutine[Any, Any, None]],
        *,
        locked: bool = False,
    ) -> None:
        if not locked:
            _take_at_once(live.lock)
        live.work = self._spawn(self._worked(machine_id, work))
        live.work.add_done_callback(lambda _: self._free(live, machine_id))

    async def _worked(self, machine_id: str, work: Callable[[Machine], Coroutine[Any, Any, None]]) -> None:
        live = self._of(machine_id)
        try:
            await work(self.found(machine_id))
            live.failures = 0
        except Exception as error:  # whatever it is: no passing state may be left without a way out
            log.exception("machine %s: %s", machine_id, error)
            self._lost(machine_id, live)

    def _lost(self, machine_id: str, live: Live) -> None:
        """What was begun broke off: failed, until a later call finds out more; a destroy is tried again."""
        machine = self._state.machines.get(machine_id)
        if machine is None or machine.state in AT_REST:
            return
        if machine.state != "destroying":
            try:
                self._set(machine, state="failed")
                return
            except sqlite3.Error:  # such as a full disk: not even that can be written down
                log.exception("machine %s: its end can not be put on record", machine_id)
        if live.mending is None or live.mending.done():
            live.failures += 1
            live.mending = self._spawn(self._settle_later(machine_id, _back_off_s(live.failures)))

    async def _settle_later(self, machine_id: str, back_off_s: float) -> None:
        log.warning("machine %s: tried again in %g s", machine_id, back_off_s)
        await asyncio.sleep(back_off_s)
        if machine_id in self._state.machines:
            async with self._turn(machine_id, patient=True) as turn:
                turn.go_on(self._settle)

    def _free(self, live: Live, machine_id: str) -> None:
        live.work = None
        live.lock.release()
        self._wake_waiters(live)
        if live.unseen_end:
            live.unseen_end = False
            self._spawn(self.ended(machine_id))

    def _begin(self, machine: Machine, state: str, source: Source = USER, **changes: Any) -> Machine:
        """Into a passing state."""
        return self._enter(machine, state, PASSING[state], source, **changes)

    def _enter(self, machine: Machine, state: str, event: str, source: Source, **changes: Any) -> Machine:
        """Into a state, and an event that tells of it: both or neither."""
        current = self._state.machines.get(machine.id, machine)
        changed = replace(current, state=state, updated_at=now(), **changes)
        self._state.note(machine.id, event, state, source, beside=[changed])
        self._announce(changed)
        return changed

    def _set(self, machine: Machine, **changes: Any) -> Machine:
        changed = self._state.change(
            self._state.machines.get(machine.id, machine), updated_at=now(), **changes
        )
        self._announce(changed)
        return changed

    def _announce(self, machine: Machine) -> None:
        self._refresh(machine.app)
        self._wake_waiters(self._of(machine.id))

    def _wake_waiters(self, live: Live) -> None:
        live.changed.set()
        live.changed = asyncio.Event()

    def _refresh(self, app: str) -> None:
        """Keeps the answer of `target` at hand: a machine that is awake, else one that may be woken."""
        mine = [m for m in self._state.machines_of(app) if not m.cordoned and m.state != "destroying"]
        targets = [self._target_of(m) for m in mine if machineconfig.port(m.config)]
        if targets:
            self._targets[app] = max(
                targets, key=lambda target: (target.awake, target.autostart, target.machine_id)
            )
        else:
            self._targets.pop(app, None)

    def _target_of(self, machine: Machine) -> Target:
        live = self._of(machine.id)
        port = machineconfig.port(machine.config)
        return Target(
            machine_id=machine.id,
            app=machine.app,
            address=live.place.address(port) if live.place and port else None,
            awake=live.ready and machine.state in UP,
            up=machine.state in UP,
            autostart=machineconfig.autostart(machine.config),
            autostop=machineconfig.autostop(machine.config),
            health_path=machineconfig.health_path(machine.config),
        )

    def _note_exit(
        self, machine: Machine, ended: Exit, *, requested: bool, restarting: bool = False
    ) -> Event:
        request = {
            "exit_event": {
                "exit_code": ended.code,
                "guest_exit_code": ended.code,
                "guest_signal": -1,
                "guest_error": "",
                "oom_killed": ended.oom,
                "requested_stop": requested,
                "restarting": restarting,
                "signal": ended.code - 128 if 128 < ended.code < 192 else -1,
                "error": ended.error,
                "exited_at": ended.at,
            },
            "restart_count": machine.restarts,
        }
        return self._state.note(machine.id, "exit", "stopped", PLATFORM, request)

    def _of(self, machine_id: str) -> Live:
        """Of a machine that is no more, nothing is kept."""
        live = self._live.get(machine_id)
        if live is None:
            live = Live()
            if machine_id in self._state.machines:
                self._live[machine_id] = live
        return live

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error and not isinstance(error, (Refusal, WakeFailed)):
            log.error("unexpected: %s", error, exc_info=error)

    async def close(self) -> None:
        """Leaves the machines as they are, and what is under way to whoever comes next."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._health.close()


@dataclass
class Turn:
    """The lock of one machine, held."""

    machines: Machines
    machine_id: str
    work: Callable[[Machine], Coroutine[Any, Any, None]] | None = None

    @property
    def machine(self) -> Machine:
        return self.machines.found(self.machine_id)

    def go_on(self, work: Callable[[Machine], Coroutine[Any, Any, None]]) -> None:
        """What is to be done with the lock when the caller has its answer."""
        self.work = work


def readiness(machine: Machine) -> Check:
    """The check that tells that the page is there: the one for health, else a connection."""
    port = machineconfig.port(machine.config) or 0
    path = machineconfig.health_path(machine.config)
    return Check("readiness", port, path, "GET", (), interval_s=0, timeout_s=WAKE_DEADLINE_S, grace_s=0)


def _must_rest(machine: Machine) -> None:
    if machine.state not in AT_REST:
        raise precondition("unable to destroy machine, not currently stopped, suspended, failed or created")


def _gone(states: Collection[str]) -> tuple[str, None]:
    if {"destroyed", "settled"} & set(states):
        return "destroyed", None
    raise missing("machine")


def _tell(done: asyncio.Future[None], trouble: Exception | None) -> None:
    """How it ended, to who still wants to know."""
    if done.done():
        return
    if trouble:
        done.set_exception(trouble)
    else:
        done.set_result(None)


def _back_off_s(times: int) -> float:
    return float(min(FIRST_BACK_OFF_S * 2 ** min(times, 10), LONGEST_BACK_OFF_S))


async def _pass(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)


def _take_at_once(lock: asyncio.Lock) -> None:
    """Takes a lock that nobody has, without giving anybody a chance in between."""
    taking = lock.acquire()
    with contextlib.suppress(StopIteration):
        taking.send(None)
    assert lock.locked()


def _once(action: Callable[[], None]) -> Callable[[], None]:
    done = False

    def run() -> None:
        nonlocal done
        if not done:
            done = True
            action()

    return run
