"""The server as a process: one line when it starts, one when it ends, and it ends when it is told to."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from webapp.__main__ import _listen
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.support.wait import wait_until
from tests.support.webapp import workspace_config

IMAGE = str(Path(__file__).parents[3] / "image")
STARTED = re.compile(r"^INFO webapp: my-jarvis \S+ serves on port (\d+)$", re.MULTILINE)


class Program:
    """`python -m webapp`, and what it has logged."""

    def __init__(self, folder: Path, *, code: str = "", **more: str) -> None:
        workspace_config(folder)
        self._log = (folder / "log").open("w+")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": IMAGE,
            "JARVIS_DATA": str(folder / "data"),
            "JARVIS_STATIC": str(folder / "static"),
            "JARVIS_CLAUDE": "/bin/false",
            "JARVIS_PORT": "0",
            "JARVIS_TOLD": str(folder / "told.json"),
            "JARVIS_LOGIN": "none",
            "JARVIS_SECRET": "hidden-value",
            **more,
        }
        run = ["-c", code] if code else ["-m", "webapp"]
        self.process = subprocess.Popen(
            [sys.executable, *run], env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def url(self) -> str:
        started = wait_until(lambda: STARTED.search(self.log), "the first line", hopeless=self.why_hopeless)
        url = f"http://127.0.0.1:{started[1]}"
        wait_until(lambda: self._answers(url), "an answer", hopeless=self.why_hopeless)
        return url

    def _answers(self, url: str) -> bool:
        try:
            return httpx.get(f"{url}/health", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def why_hopeless(self) -> str:
        return f"it has ended: {self.log}" if self.process.poll() is not None else ""

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=5)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


@contextmanager
def program(folder: Path, **more: str) -> Iterator[Program]:
    made = Program(folder, **more)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_it_is_told_to(tmp_path: Path, number: int) -> None:
    with program(tmp_path) as running:
        url = running.url()
        assert httpx.get(url, trust_env=False).status_code == 200
        assert running.end(number) == 0
        assert len(running.log.splitlines()) == 2, running.log
        assert running.log.splitlines()[1] == "INFO webapp: my-jarvis has ended"


@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.2, 0.3])
def test_it_ends_cleanly_also_while_it_starts(tmp_path: Path, delay_s: float) -> None:
    with program(tmp_path) as running:
        wait_until(lambda: _catches(running.process.pid, signal.SIGTERM), "its handler")
        time.sleep(delay_s)  # somewhere between the first import and the first answer
        assert running.end(signal.SIGTERM) == 0
        assert "Traceback" not in running.log


def _catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


def test_it_ends_within_five_seconds_whatever_is_open(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        url = running.url()
        terminal = httpx.post(f"{url}/api/terminals", trust_env=False).json()["id"]
        live = connect(f"{url.replace('http', 'ws')}/api/live", origin=Origin(url), proxy=None)
        shell = connect(
            f"{url.replace('http', 'ws')}/api/terminals/{terminal}/socket", origin=Origin(url), proxy=None
        )
        port = int(url.rpartition(":")[2])
        with live, shell, socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(b"PUT /api/settings HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            shell.send(b"h" + bytes(8))
            shell.send(b"itrap '' HUP TERM; while :; do sleep 1; done\r")
            wait_until(lambda: _title(url) == "sleep", "the stubborn program")
            began = time.monotonic()
            assert running.end(signal.SIGTERM) == 0
            assert time.monotonic() - began < 5


def _title(url: str) -> str:
    return str(httpx.get(f"{url}/api/terminals", trust_env=False).json()["terminals"][0]["title"])


def test_what_it_starts_cannot_inherit_its_environment() -> None:
    code = (
        "import os, uvicorn, webapp.__main__ as program\n"
        "async def shown(server, sockets): print(*os.environ, flush=True)\n"
        "uvicorn.Server.serve = shown; program.main()"
    )
    environment = {**os.environ, "PYTHONPATH": IMAGE, "JARVIS_PORT": "0", "JARVIS_SECRET": "hidden-value"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert {"HOME", "PATH", "CLAUDE_CONFIG_DIR"} <= set(ran.stdout.split())
    assert not {name for name in ran.stdout.split() if name.startswith(("JARVIS", "PYTHON"))}


def test_without_its_parts_it_ends_and_says_why(tmp_path: Path) -> None:
    missing = "import webapp.front as front; front.IN_THIS_ORDER = ('webapp.missing',); "
    with program(tmp_path, code=f"{missing}import webapp.__main__ as program; program.main()") as running:
        httpx.get(running.url(), trust_env=False)
        assert running.process.wait(timeout=10) == 1
        assert "ModuleNotFoundError: No module named 'webapp.missing'" in running.log


def test_what_is_small_is_sent_at_once() -> None:
    """A key's echo, or a word of Claude's, would wait for the one before it to be acknowledged."""
    with _listen(0) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with program(tmp_path, JARVIS_PORT=str(port)) as running:
            assert running.process.wait(timeout=60) == 2
            assert running.log == f"ERROR webapp: Port {port} cannot be had: Address already in use\n"


def test_an_environment_that_makes_no_sense_is_said(tmp_path: Path) -> None:
    with program(tmp_path, JARVIS_PORT="http") as running:
        assert running.process.wait(timeout=60) == 2
        assert running.log.startswith("ERROR webapp: JARVIS_PORT is 'http'")
        assert "Traceback" not in running.log
