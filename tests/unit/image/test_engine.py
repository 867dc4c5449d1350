from __future__ import annotations

import os
import shutil
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from fly.errors import EngineError
from image import engine
from image.engine import find_engine, find_image, stop_started_engine
from tests.support.wait import wait_until

Said = list[str]


class Answering:
    """As much of docker-py's client as finding an engine needs."""

    def __init__(self, api_version: str = "1.41") -> None:
        self.api = self
        self.timeout = 0
        self._api_version = api_version

    def ping(self) -> bool:
        return True

    def version(self) -> dict[str, str]:
        return {"ApiVersion": self._api_version, "Version": "20.10"}


def refusing(reason: str) -> Callable[..., Any]:
    def from_env(**_options: Any) -> Any:
        raise DockerException(f"Error while fetching server API version: {reason}")

    return from_env


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Debian machine without a Docker Engine, seen by root; nothing is installed and no engine started."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(docker, "from_env", refusing("[Errno 2] No such file or directory"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "_is_debian", lambda: True)
    monkeypatch.setattr(engine, "_install", lambda _report: pytest.fail("installed something"))
    monkeypatch.setattr(engine, "_start", lambda _report, _state: pytest.fail("started something"))
    return monkeypatch


def without_dockerd(name: str, **_options: Any) -> str | None:
    return None if name == "dockerd" else f"/usr/bin/{name}"


def with_dockerd(name: str, **_options: Any) -> str | None:
    return f"/usr/bin/{name}"


def find(tmp_path: Path) -> Any:
    return find_engine(lambda _line: None, tmp_path)


# --- one question ---------------------------------------------------------------------------------


@contextmanager
def listening(at: Path, status: str, body: bytes) -> Iterator[list[bytes]]:
    """An engine that gives one answer; gives what it was asked."""
    asked: list[bytes] = []

    class Engine(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())
            self.wfile.write(
                b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)
            )

    with socketserver.UnixStreamServer(str(at), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [("200 OK", b'{"Id": "sha256:1"}', "sha256:1"), ("404 Not Found", b"{}", None)],
)
def test_the_engine_is_asked_for_an_image_without_a_client(
    machine: pytest.MonkeyPatch, tmp_path: Path, status: str, body: bytes, found: str | None
) -> None:
    machine.setattr(engine, "SOCKET", tmp_path / "engine.sock")
    with listening(engine.SOCKET, status, body) as asked:
        assert find_image("my-jarvis:latest") == found
    assert asked == [b"GET /v1.41/images/my-jarvis:latest/json HTTP/1.1\r\n"]


def test_an_engine_that_stumbles_or_is_away_does_not_answer_that(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.setattr(engine, "SOCKET", tmp_path / "engine.sock")
    with listening(engine.SOCKET, "500 Oh", b"{}"), pytest.raises(OSError, match="answered 500"):
        find_image("my-jarvis:latest")
    with pytest.raises(ConnectionRefusedError):
        find_image("my-jarvis:latest")


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"])
def test_where_another_engine_may_have_been_chosen_this_machines_is_not_asked(
    machine: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "elsewhere"}')
    machine.setattr(engine, "SOCKET", tmp_path / "engine.sock")
    machine.setenv(variable, str(tmp_path))
    with (
        listening(engine.SOCKET, "200 OK", b'{"Id": "sha256:1"}') as asked,
        pytest.raises(OSError, match="may have been chosen"),
    ):
        find_image("my-jarvis:latest")
    assert asked == []


# --- which one ------------------------------------------------------------------------------------


def test_an_engine_that_answers_is_taken(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(docker, "from_env", lambda **_options: Answering())
    assert find(tmp_path).timeout == engine.CALL_LIMIT_S


def test_an_engine_that_is_too_old_is_refused(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(docker, "from_env", lambda **_options: Answering("1.40"))
    with pytest.raises(EngineError, match="too old"):
        find(tmp_path)


def test_a_newer_engine_is_not_taken_for_an_old_one(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(docker, "from_env", lambda **_options: Answering("1.100"))
    assert find(tmp_path)


def test_an_engine_chosen_by_the_person_is_never_replaced(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    machine.setattr(docker, "from_env", refusing("[Errno 111] Connection refused"))
    with pytest.raises(EngineError, match=r"DOCKER_HOST=tcp://127\.0\.0\.1:1 .*: Connection refused$"):
        find(tmp_path)


def test_an_engine_that_may_not_be_used_is_not_replaced(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(docker, "from_env", refusing("PermissionError(13, 'Permission denied')"))
    with pytest.raises(EngineError, match="may not use") as raised:
        find(tmp_path)
    assert "usermod" in raised.value.hint


@pytest.mark.parametrize(
    ("which", "hint"), [(with_dockerd, "systemctl"), (without_dockerd, "docs.docker.com")]
)
def test_who_is_not_root_is_told_what_to_do(
    machine: pytest.MonkeyPatch, tmp_path: Path, which: Callable[..., str | None], hint: str
) -> None:
    machine.setattr(os, "geteuid", lambda: 1000)
    machine.setattr(shutil, "which", which)
    with pytest.raises(EngineError, match="only root") as raised:
        find(tmp_path)
    assert hint in raised.value.hint


def test_on_other_systems_nothing_is_installed(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(shutil, "which", without_dockerd)
    machine.setattr(engine, "_is_debian", lambda: False)
    with pytest.raises(EngineError, match="only on Debian and Ubuntu") as raised:
        find(tmp_path)
    assert "docs.docker.com" in raised.value.hint


@pytest.mark.parametrize(
    ("which", "done"), [(without_dockerd, ["installed", "started"]), (with_dockerd, ["started"])]
)
def test_root_gets_what_is_missing(
    machine: pytest.MonkeyPatch, tmp_path: Path, which: Callable[..., str | None], done: Said
) -> None:
    said: Said = []

    def start(_report: object, _state: Path) -> None:
        said.append("started")
        machine.setattr(docker, "from_env", lambda **_options: Answering())

    machine.setattr(shutil, "which", which)
    machine.setattr(engine, "_install", lambda _report: said.append("installed"))
    machine.setattr(engine, "_start", start)
    assert find(tmp_path)
    assert said == done


@pytest.mark.parametrize(
    ("release", "is_debian"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n', True),
        ("ID=ubuntu\nID_LIKE=debian\n", True),
        ('ID="linuxmint"\nID_LIKE="ubuntu debian"\n', True),
        ("ID=fedora\n", False),
        ("", False),
    ],
)
def test_debian_and_its_children_are_known(
    machine: pytest.MonkeyPatch, tmp_path: Path, release: str, is_debian: bool
) -> None:
    machine.undo()
    machine.setattr(shutil, "which", with_dockerd)
    file = tmp_path / "os-release"
    file.write_text(release)
    assert engine._is_debian(file) is is_debian


# --- starting one ---------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "state"
    yield state
    stop_started_engine(state)


class Dockerd:
    """A `dockerd` written by the test; it says that it answers by making the file `up`."""

    def __init__(self, folder: Path, script: str) -> None:
        self._up = folder / "up"
        self._program = folder / "dockerd"
        self._program.write_text(f"#!/bin/sh\nanswer() {{ touch {self._up}; exec sleep 60; }}\n{script}\n")
        self._program.chmod(0o755)
        self.said: Said = []

    def start(self, state: Path, limit_s: float = 10) -> None:
        command = [str(self._program)]
        engine._start_directly(command, state, self._up.exists, self.said.append, limit_s)


def running(state: Path) -> engine._Process:
    process = engine._Record(state).read()
    assert process is not None
    assert process.is_running()
    return process


def test_it_runs_in_a_session_of_its_own(state: Path, tmp_path: Path) -> None:
    Dockerd(tmp_path, "answer").start(state)
    assert os.getsid(running(state).pid) == running(state).pid


def test_exactly_the_engine_that_was_started_is_stopped(state: Path, tmp_path: Path) -> None:
    Dockerd(tmp_path, "answer").start(state)
    process = running(state)
    assert stop_started_engine(state)
    assert not process.is_running()
    assert not stop_started_engine(state)


def test_another_process_with_the_same_number_is_left_alone(state: Path) -> None:
    state.mkdir()
    engine._Record(state).write(engine._Process(os.getpid(), began=1))
    assert not stop_started_engine(state)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"pid": "x", "began": 1}'])
def test_a_spoilt_record_stops_nothing(state: Path, content: str) -> None:
    state.mkdir()
    (state / "dockerd.json").write_text(content)
    assert not stop_started_engine(state)


def test_where_no_state_is_nothing_is_stopped(state: Path) -> None:
    assert not stop_started_engine(state)
    assert not state.exists()


def test_a_failure_shows_the_last_lines_of_its_log(state: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="mount cgroup: no such device") as raised:
        Dockerd(tmp_path, "echo 'mount cgroup: no such device' >&2; exit 1").start(state)
    assert "dockerd.log" in raised.value.hint
    assert engine._Record(state).read() is None


def test_one_that_never_answers_is_ended(state: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(EngineError, match="still thinking"):
        Dockerd(tmp_path, f"echo $$ > {pid}; echo still thinking; exec sleep 60").start(state, limit_s=1)
    wait_until(lambda: engine._began(int(pid.read_text())) == -1, "its end")


def test_the_older_iptables_are_tried_for_it_alone(state: Path, tmp_path: Path) -> None:
    dockerd = Dockerd(
        tmp_path,
        f"""case "$(command -v iptables)" in {state}/*) answer ;; esac
        echo 'failed to start daemon: iptables: Protocol not supported'; exit 1""",
    )
    legacy = tmp_path / "iptables-legacy"
    legacy.write_text("#!/bin/sh\n")
    legacy.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_legacy_iptables", lambda state: _linked(state, legacy))
        dockerd.start(state)
    assert dockerd.said == [
        "starting it again with the older iptables, since this kernel lacks what the newer needs"
    ]


def _linked(state: Path, legacy: Path) -> Path:
    folder = state / "iptables"
    folder.mkdir()
    (folder / "iptables").symlink_to(legacy)
    return folder


def test_legacy_iptables_are_links_to_debians(tmp_path: Path) -> None:
    for _ in range(2):
        folder = engine._legacy_iptables(tmp_path)
    assert {link.name: str(link.readlink()) for link in folder.iterdir()} == {
        "iptables": "/usr/sbin/iptables-legacy",
        "ip6tables": "/usr/sbin/ip6tables-legacy",
    }


def test_plain_copies_are_tried_where_the_disk_has_no_overlays(state: Path, tmp_path: Path) -> None:
    dockerd = Dockerd(
        tmp_path,
        """case "$*" in *--storage-driver=vfs*) answer ;; esac
        echo 'error initializing graphdriver: overlay2: not supported'; exit 1""",
    )
    dockerd.start(state)
    assert len(dockerd.said) == 1


def test_a_remedy_that_does_not_help_is_not_tried_again(state: Path, tmp_path: Path) -> None:
    dockerd = Dockerd(tmp_path, "echo 'overlay and iptables: no'; exit 1")
    with pytest.raises(EngineError, match="overlay and iptables"):
        dockerd.start(state)
    assert len(dockerd.said) == 2


def test_a_dead_engines_number_is_forgotten_and_a_living_ones_kept(tmp_path: Path) -> None:
    dead, nonsense, living = tmp_path / "dead", tmp_path / "nonsense", tmp_path / "living"
    dead.write_text(str(os.getpid()))  # alive, but no dockerd
    nonsense.write_text("x")
    living.write_text("4242")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_name_of", lambda pid: "dockerd" if pid == 4242 else "python")
        engine._forget_dead_engines([dead, nonsense, living, tmp_path / "missing"])
    assert [path.name for path in (dead, nonsense, living) if path.exists()] == ["nonsense", "living"]
