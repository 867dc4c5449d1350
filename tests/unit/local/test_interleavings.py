"""Whatever comes in whatever order, with whatever going wrong on the way: every state has a way out."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fly.local import machines as module
from fly.local.docker import DockerError
from fly.local.machines import WakeFailed
from fly.local.names import ulid
from fly.local.refusal import Refusal
from fly.local.state import PERSISTENT, Machine, State
from tests.support.door import run, until
from tests.support.host import FakeHost, Scene, scene

WAYS = {
    "created": {"starting", "restarting", "updating", "started", "suspended"},
    "starting": {"started", "failed", "starting", "resuming", "updating", "restarting", "stopping"},
    "resuming": {"started", "failed"},
    "started": {"suspending", "stopping", "restarting", "updating", "stopped", "suspended"},
    "suspending": {"suspended", "started", "stopped", "restarting"},
    "suspended": {"resuming", "stopping", "restarting", "updating", "started", "stopped"},
    "stopping": {"stopped", "started", "suspended"},
    "stopped": {"starting", "restarting", "updating", "started", "suspended"},
    "restarting": {"starting", "stopping", "updating", "stopped", "started", "suspended"},
    "updating": {"replacing"},
    "replacing": {"starting"},
    "failed": {"starting", "restarting", "updating", "started", "suspended"},
    "destroying": set[str](),
}
"""From each state the states that may come next; besides `destroying`, `failed` and the same once more."""
BEGUN_ANEW = {"starting", "restarting", "updating"}
"""What a call may begin from anywhere, once a full disk has left a passing state that nobody works on."""
VERBS = ["start", "stop", "suspend", "restart", "update", "wake", "sleep", "exec", "destroy", "quiet update"]
TROUBLE: dict[str, Exception] = {
    "engine": DockerError(500, "the engine stumbled"),
    "time": TimeoutError(),
    "ours": KeyError("Pid"),
    "disk": sqlite3.OperationalError("database or disk is full"),
}
ENGINE = ["any", "launch", "look", "discard", "freeze", "thaw", "end SIGINT 5", "exec", "exec starts"]

kills = st.tuples(
    st.just("kill"), st.sampled_from(VERBS), st.just("any") | st.sampled_from(ENGINE), st.booleans()
)
mishaps = st.tuples(
    st.just("mishap"), st.sampled_from(VERBS), st.sampled_from(ENGINE), st.sampled_from(sorted(TROUBLE))
)
acts = st.one_of(
    st.tuples(st.just("do"), st.sampled_from(VERBS)),
    st.tuples(st.just("hold"), st.sampled_from(ENGINE), st.booleans()),
    st.tuples(st.just("let go"), st.sampled_from(ENGINE)),
    st.tuples(st.just("break"), st.sampled_from(ENGINE), st.sampled_from(sorted(TROUBLE))),
    st.tuples(st.just("full disk"), st.integers(1, 3)),
    st.tuples(st.just("container"), st.sampled_from(["exited", "absent", "paused", "running"])),
    st.tuples(st.just("pass"), st.integers(1, 40)),
    kills,
    kills,
    mishaps,
    mishaps,
)


@dataclass
class Story:
    """One machine, what is asked of it, and what befalls it."""

    scene: Scene
    machine: Machine
    asked: list[asyncio.Task[Any]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    unwritten: int = 0
    """So often nothing more can be written down."""

    async def tell(self, act: tuple[Any, ...]) -> None:
        host = self.scene.host
        match act:
            case ("do", verb):
                self.asked.append(asyncio.create_task(self._asking(verb)))
            case ("hold", verb, after) if verb not in host.gates:
                host.gate(verb, after=after)
            case ("let go", verb):
                self._let_go(verb)
            case ("break", verb, how):
                host.fails[verb] = [TROUBLE[how]]
            case ("mishap", verb, at, how):
                await self.tell(("break", at, how))
                await self.tell(("do", verb))
                await self.tell(("pass", 30))
            case ("full disk", times):
                self.unwritten = times
            case ("container", state):
                if host.seen[self.machine.id] != "absent":
                    host.seen[self.machine.id] = state
                    self.asked.append(asyncio.create_task(self.scene.machines.ended(self.machine.id)))
            case ("pass", steps):
                for _ in range(steps):
                    await asyncio.sleep(0)
            case ("kill", verb, at, after):
                await self.tell(("hold", at, after))
                await self.tell(("do", verb))
                await self.tell(("pass", 30))
                await self.kill()

    def _let_go(self, verb: str) -> None:
        if gate := self.scene.host.gates.pop(verb, None):
            gate.opened.set()

    async def _asking(self, verb: str) -> None:
        with suppress(Refusal, WakeFailed, *(type(one) for one in TROUBLE.values())):  # a clear answer too
            await self._ask(verb)

    def _ask(self, verb: str) -> Awaitable[Any]:
        machines, id_ = self.scene.machines, self.machine.id
        ways: dict[str, Callable[[], Awaitable[Any]]] = {
            "start": lambda: machines.start(id_),
            "stop": lambda: machines.stop(id_),
            "suspend": lambda: machines.suspend(id_),
            "restart": lambda: machines.restart(id_, None, None, force=False),
            "update": lambda: machines.replace(id_, self._draft, launch=True),
            "quiet update": lambda: machines.replace(id_, self._draft, launch=False),
            "wake": lambda: machines.wake(id_),
            "sleep": lambda: machines.sleep(id_, lambda: True),
            "exec": lambda: machines.exec(id_, ["true"], b"", 5),
            "destroy": lambda: machines.destroy(id_, force=True),
        }
        return ways[verb]()

    def _draft(self) -> Machine:
        return replace(self.machine, instance_id=ulid())

    async def kill(self) -> None:
        """kill -9, and another start: what the old one does at its end reaches neither records nor host."""
        old = self.scene.machines
        nowhere = State(":memory:")
        old._state, old._host = nowhere, FakeHost(nowhere)
        for task in self.asked:
            task.cancel()
        await asyncio.gather(*self.asked, return_exceptions=True)
        self.asked.clear()
        self.scene = await self.scene.again()
        nowhere.close()
        self.scene.machines.load()
        self.asked.append(asyncio.create_task(self.scene.machines.adopt()))

    async def end(self) -> None:
        """Nothing is held up or breaks any more, and all who asked have their answer."""
        for verb in list(self.scene.host.gates):
            self._let_go(verb)
        self.scene.host.fails.clear()
        self.unwritten = 0
        await asyncio.gather(*self.asked)
        await self._rest()
        await self.scene.machines.look_again()  # as when the engine is there again
        await self._rest()

    async def _rest(self) -> None:
        await until(lambda: not self.scene.machines.busy(self.machine.id) and self._lasts(), "rest")

    def _lasts(self) -> bool:
        return self.state in PERSISTENT

    @property
    def state(self) -> str:
        found = self.scene.state.machines.get(self.machine.id)
        return found.state if found else "destroyed"


def watched(story: Story) -> None:
    """Every state that is written down, in its order."""
    state, save = story.scene.state, story.scene.state.save

    def saved(*records: Any, **rest: Any) -> None:
        if story.unwritten:
            story.unwritten -= 1
            raise TROUBLE["disk"]
        save(*records, **rest)
        story.states += [one.state for one in records if type(one) is Machine]

    state.save = saved  # type: ignore[method-assign]


def leaps(states: list[str], besides: set[str]) -> list[tuple[str, str]]:
    """The steps that no machine may take."""
    always = {"destroying", "failed"} | besides
    return [(a, b) for a, b in pairwise(states) if a != b and b not in WAYS[a] | always]


@example(
    begins="created",
    told=[("kill", "start", "any", False), ("full disk", 1), ("mishap", "destroy", "any", "disk")],
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    begins=st.sampled_from(["created", "running", "suspended", "stopped"]), told=st.lists(acts, max_size=12)
)
def test_whatever_happens_a_machine_comes_to_rest_and_can_be_started_and_destroyed(
    begins: str, told: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("FIRST_BACK_OFF_S", 0.001), ("DRAIN_S", 0.02), ("PATIENCE_S", 0.5)):
        monkeypatch.setattr(module, name, seconds)

    async def work() -> None:
        async with scene() as one:
            story = Story(one, one.machine() if begins == "created" else await getattr(one, begins)())
            watched(story)
            try:
                for act in told:
                    await story.tell(act)
                await story.end()
                await leaves(story)
            finally:
                await story.scene.machines.close()
            if not any("destroy" in act for act in told):  # that takes the lock away, whatever is half done
                was_full = any("full disk" in act for act in told)
                assert leaps(story.states, BEGUN_ANEW if was_full else set()) == []

    run(work())


async def leaves(story: Story) -> None:
    host, machines = story.scene.host, story.scene.machines
    fits = {"started": "running", "suspended": "paused"}
    assert host.seen[story.machine.id] == fits.get(story.state, "absent")
    if story.state == "destroyed":
        return
    await machines.wake(story.machine.id)
    assert (story.state, host.seen[story.machine.id]) == ("started", "running")
    await machines.destroy(story.machine.id, force=True)
    await machines.gone(story.machine.id)
    assert host.seen[story.machine.id] == "absent"
