"""Freezing, thawing and next runs, with an engine whose own record of them lags behind the kernel's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fly.local import container, hosting, machineconfig
from fly.local.container import Site
from fly.local.docker import DockerError, Engine
from fly.local.hosting import Host
from fly.local.names import ulid
from fly.local.state import App, Machine, Network, State, Volume, now
from tests.support.door import run

ALREADY = DockerError(409, "Container jarvis-a-m is already paused")
NOT_PAUSED = DockerError(409, "Container jarvis-a-m is not paused")
NOT_FROZEN = DockerError(500, "unable to freeze")


class LaggingEngine:
    """Refuses with these, one after the other, before it does as it is told."""

    def __init__(self, *refusals: DockerError, really: bool = False, running: bool = True) -> None:
        self._refusals = list(refusals)
        self.asked: list[str] = []
        self._seen = {"Id": "", "State": {"Paused": really, "Running": running}}

    async def execs_starting(self, _name: str) -> bool:
        return False

    async def inspect(self, _name: str) -> Any:
        return self._seen

    async def pause(self, _name: str, _timeout_s: float) -> None:
        self._do("pause")

    async def unpause(self, _name: str, _timeout_s: float) -> None:
        self._do("unpause")

    def _do(self, verb: str) -> None:
        self.asked.append(verb)
        if self._refusals:
            raise self._refusals.pop(0)


@pytest.fixture
def machine() -> Machine:
    return Machine("m", "a", "n", "iad", "started", ulid(), {}, {}, {}, "10.0.0.2", now(), now())


def host(folder: Path, engine: LaggingEngine) -> Host:
    return Host(State(":memory:"), cast(Engine, engine), Site("p", 2, True), folder)


@pytest.mark.parametrize("refusals", [(ALREADY,), (ALREADY, ALREADY), (NOT_FROZEN, ALREADY)])
def test_a_machine_that_is_said_to_be_frozen_and_is_not_is_frozen_again(
    tmp_path: Path, machine: Machine, refusals: tuple[DockerError, ...]
) -> None:
    engine = LaggingEngine(*refusals, really=False)
    run(host(tmp_path, engine).freeze(machine))
    assert engine.asked == ["pause"] * (len(refusals) + 1)


def test_a_machine_that_is_frozen_already_is_left_alone(tmp_path: Path, machine: Machine) -> None:
    engine = LaggingEngine(ALREADY, really=True)
    run(host(tmp_path, engine).freeze(machine))
    assert engine.asked == ["pause"]


def test_a_machine_that_runs_already_is_left_alone(tmp_path: Path, machine: Machine) -> None:
    engine = LaggingEngine(NOT_PAUSED, really=False)
    run(host(tmp_path, engine).thaw(machine))
    assert engine.asked == ["unpause"]


def test_a_machine_that_is_said_to_run_and_is_frozen_is_thawed_again(
    tmp_path: Path, machine: Machine
) -> None:
    engine = LaggingEngine(NOT_PAUSED, NOT_PAUSED, really=True)
    run(host(tmp_path, engine).thaw(machine))
    assert engine.asked == ["unpause"] * 3


def test_the_kernel_is_believed_rather_than_the_engine(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "freezer.state"
    state.write_text("THAWED\n")
    monkeypatch.setattr(hosting, "_freezers", lambda _id: [(tmp_path / "none", ""), (state, "")])
    engine = LaggingEngine(NOT_PAUSED, really=True)  # the engine has it the other way round
    run(host(tmp_path, engine).thaw(machine))
    assert engine.asked == ["unpause"]


@pytest.mark.parametrize("refusal", [ALREADY, DockerError(404, "No such container")])
def test_what_does_not_pass_is_an_error_in_the_end(
    tmp_path: Path, machine: Machine, refusal: DockerError
) -> None:
    engine = LaggingEngine(*[refusal] * 9, really=False, running=False)
    with pytest.raises(DockerError, match=str(refusal)):
        run(host(tmp_path, engine).freeze(machine))
    assert len(engine.asked) == (hosting.FREEZE_ATTEMPTS if refusal is ALREADY else 1)


class FullEngine:
    """Has the one container that it has, and no room for another."""

    def __init__(self, found: Any = None) -> None:
        self._found = found
        self.asked: list[str] = []

    async def inspect(self, _name: str) -> Any:
        return self._found

    async def remove(self, _name: str) -> None:
        self.asked.append("remove")

    async def create(self, _name: str, _body: Any) -> str:
        self.asked.append("create")
        raise DockerError(500, "no space left on device")


def prepared_by(engine: FullEngine, folder: Path, machine: Machine) -> list[str]:
    state = State(":memory:")
    state.save(App("a", "i", 1, "personal", "default", 0))
    state.save(NETWORK)
    run(Host(state, cast(Engine, engine), Site("p", 2, True), folder).prepare(machine))
    return engine.asked


NETWORK = Network("n", "personal", "default", "10.117.0.0/22")


@pytest.fixture
def stopped(machine: Machine) -> Machine:
    return replace(machine, config=machineconfig.complete({"image": "image"}), image={"id": "sha256:0"})


def test_a_next_run_that_can_not_be_prepared_is_left_to_the_start(tmp_path: Path, stopped: Machine) -> None:
    assert prepared_by(FullEngine(), tmp_path, stopped) == ["create"]


@pytest.mark.parametrize(
    ("status", "changes", "expected"),
    [
        ("created", {}, []),
        ("created", {"secrets": {"KEY": "new"}}, ["remove", "create"]),
        ("created", {"image": {"id": "sha256:1"}}, ["remove", "create"]),
        ("created", {"private_ip": "10.117.0.3"}, ["remove", "create"]),
        ("exited", {}, ["remove", "create"]),
    ],
)
def test_only_what_was_made_of_the_same_and_never_ran_is_kept_for_the_next_run(
    tmp_path: Path, stopped: Machine, status: str, changes: dict[str, Any], expected: list[str]
) -> None:
    made_of = container.body(stopped, None, NETWORK, Site("p", 2, True))
    found = {"State": {"Status": status}, "Config": {"Labels": made_of["Labels"]}}
    assert prepared_by(FullEngine(found), tmp_path, replace(stopped, **changes)) == expected


class GrowingEngine:
    """While it is asked for anything, a machine is made with all that it needs."""

    def __init__(self, state: State, machine: Machine) -> None:
        self._state, self._machine = state, machine
        self._volume = Volume("v", "a", "data", "iad", 1, "created", True, "ext4", 5, True, now(), now())

    def _make(self) -> None:
        self._state.save(NETWORK, self._volume, self._machine)

    async def containers(self, _label: str) -> list[Any]:
        self._make()
        return [{"Names": [f"/{container.container_name(self._machine)}"]}]

    async def volumes(self, _label: str) -> list[Any]:
        self._make()
        return [{"Name": container.volume_name(self._volume)}]

    async def networks(self) -> list[Any]:
        self._make()
        return [{"Name": container.network_name(NETWORK), "Labels": {container.PLATFORM: "p"}}]


def test_what_is_made_while_strays_are_looked_for_is_none(tmp_path: Path, machine: Machine) -> None:
    async def work() -> None:
        state = State(":memory:")
        engine = cast(Engine, GrowingEngine(state, machine))
        found = await Host(state, engine, Site("p", 2, True), tmp_path).orphans()
        assert found == {"containers": [], "volumes": [], "networks": []}

    run(work())


class LoggingEngine:
    """Its one container has written something."""

    removed = False

    async def logs(self, _name: str, tail: str) -> bytes:
        return b"2026-11-30T00:00:00Z a line"

    async def remove(self, _name: str) -> None:
        self.removed = True


def test_a_container_is_cleared_away_also_where_what_it_wrote_can_not_be_kept(
    tmp_path: Path, machine: Machine
) -> None:
    engine = LoggingEngine()
    one = Host(State(":memory:"), cast(Engine, engine), Site("p", 2, True), tmp_path)
    (tmp_path / "logs" / f"{machine.id}.log").mkdir()
    run(one.discard(machine))
    assert engine.removed
