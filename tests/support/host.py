"""A host for machines without an engine: does what it is told, fails when told to, and keeps a list."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from fly.local import machineconfig
from fly.local.docker import DockerError, ExecResult
from fly.local.hosting import Exit, Place, Seen
from fly.local.leases import Leases
from fly.local.machines import Machines
from fly.local.names import machine_id, machine_name, ulid
from fly.local.state import App, Machine, State, now
from tests.support.door import until

PORT = 3000


@dataclass
class Gate:
    """Holds up one verb until it is opened, before it does anything or after it did."""

    after: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class FakeHost:
    """Machines run here by being said to; each has a page of its own on the loopback."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.calls: list[str] = []
        self.seen: dict[str, str] = defaultdict(lambda: "absent")
        self.exit = Exit(0, False, now())
        self.fails: dict[str, list[Exception]] = defaultdict(list)
        self.gates: dict[str, Gate] = {}
        self.launched = "running"
        self.page_port = 0
        self.server: asyncio.Server
        """Of all the pages."""
        self._visits: set[asyncio.StreamWriter] = set()
        self.page_answers = asyncio.Event()
        self.page_answers.set()

    async def _do(self, verb: str, machine: Machine, becomes: str | None = None) -> None:
        self.calls.append(verb)
        gate = self.gates.get(verb) or self.gates.get("any")
        if gate and not gate.after:
            gate.reached.set()
            await gate.opened.wait()
        if self.fails[verb]:
            raise self.fails[verb].pop(0)
        if becomes:
            self.seen[machine.id] = becomes
        if gate and gate.after:
            gate.reached.set()
            await gate.opened.wait()

    def gate(self, verb: str, *, after: bool = False) -> Gate:
        self.gates[verb] = Gate(after)
        return self.gates[verb]

    @property
    def place(self) -> Place:
        return Place("127.0.0.1", ((PORT, self.page_port),))

    async def prepare(self, machine: Machine) -> None:
        await self._do("prepare", machine)

    async def launch(self, machine: Machine) -> Place:
        await self._do("launch", machine, self.launched)
        return self.place

    async def look(self, machine: Machine) -> Seen:
        await self._do("look", machine)
        state: Any = self.seen[machine.id]
        return Seen(
            state,
            self.place if state in {"running", "paused"} else None,
            self.exit if state == "exited" else None,
        )

    async def end(self, machine: Machine, signal: str, timeout_s: float) -> Exit:
        await self._do(f"end {signal} {timeout_s:g}", machine, "absent")
        return self.exit

    async def discard(self, machine: Machine) -> None:
        await self._do("discard", machine, "absent")

    async def freeze(self, machine: Machine) -> None:
        await self._do("freeze", machine, "paused")

    async def thaw(self, machine: Machine) -> None:
        await self._do("thaw", machine, "running")

    async def signal(self, machine: Machine, signal: str) -> None:
        await self._do(f"signal {signal}", machine)

    async def exec(
        self,
        machine: Machine,
        command: list[str],
        stdin: bytes,
        timeout_s: float,
        started: Callable[[], None],
    ) -> ExecResult:
        self.calls.append("exec starts")
        if gate := self.gates.get("exec starts"):
            gate.reached.set()
            await gate.opened.wait()
        started()
        await self._do("exec", machine)
        return ExecResult(0, b"", b"")

    def forget(self, machine: Machine) -> None:
        self.calls.append("forget")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The page of every machine."""
        self._visits.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await self.page_answers.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()
        self._visits.discard(writer)

    async def close(self) -> None:
        """Answers those who still wait for a page."""
        self.page_answers.set()
        await until(lambda: not self._visits, "the last visitor to leave")


@dataclass
class Scene:
    state: State
    host: FakeHost
    leases: Leases
    machines: Machines

    def machine(self, state: str = "created", **config: Any) -> Machine:
        """A machine of the app `app`, in a state, with a container that fits."""
        made = Machine(
            id=machine_id(),
            app="app",
            name=machine_name(),
            region="iad",
            state=state,
            instance_id=ulid(),
            config=machineconfig.complete({"image": "image", "services": [service()]} | config),
            image={"id": "sha256:0", "ref": {}},
            secrets={},
            private_ip="10.117.0.2",
            created_at=now(),
            updated_at=now(),
        )
        return self.machines.add(made, launch=False)

    async def running(self, **config: Any) -> Machine:
        machine = self.machine(**config)
        await self.machines.start(machine.id)
        await self.reach(machine, "started")
        return self.now(machine)

    async def stopped(self, **config: Any) -> Machine:
        machine = await self.running(**config)
        await self.machines.stop(machine.id)
        await self.reach(machine, "stopped")
        return self.now(machine)

    async def suspended(self, **config: Any) -> Machine:
        machine = await self.running(**config)
        await self.machines.suspend(machine.id)
        await self.reach(machine, "suspended")
        return self.now(machine)

    def now(self, machine: Machine) -> Machine:
        return self.machines.found(machine.id)

    async def reach(self, machine: Machine, *states: str) -> None:
        await self.machines.wait(machine.id, states, None, None, 5)
        await until(lambda: not self.machines.busy(machine.id), "nobody to be busy with it")

    async def again(self) -> Scene:
        """A new platform on the same records and the same host."""
        await self.machines.close()
        return Scene(self.state, self.host, self.leases, Machines(self.state, self.host, self.leases))


def service(**given: Any) -> dict[str, Any]:
    check = {"type": "http", "path": "/health", "interval": "60s"}
    return {"internal_port": PORT, "autostop": "suspend", "autostart": True, "checks": [check]} | given


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    state = State(":memory:")
    state.save(App("app", "a" * 16, 1, "personal", "default", 0))
    host = FakeHost(state)
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.page_port, host.server = server.sockets[0].getsockname()[1], server
    leases = Leases(state, "test")
    made = Scene(state, host, leases, Machines(state, host, leases))
    try:
        yield made
    finally:
        await made.machines.close()
        await host.close()
        server.close()
        state.close()


def engine_error(status: int = 500, text: str = "the engine stumbled") -> DockerError:
    return DockerError(status, text)
