"""A shell in somebody's machine, for an operator: what it runs, how it wakes, and the terminal in between."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import socket
import struct
import termios
import threading
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from fly.client import Client
from fly.errors import ApiError, JarvisError, NotFound, PlanError
from fly.lazy import Lazy
from fly.ledger import Workspace
from fly.model import Exec

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")

COMMAND_S = 600
WAKE_S = 90
WAKES = 3
NOT_AWAKE = 412
"""How the platform refuses what only a machine that runs can do; then nothing of it was done."""
SHELL = ("bash", "-l")
MARK = "\x1e"
"""Record separator: where a line's output ends and the folder that it left us in begins."""
# The line runs in this very shell, so that `cd` and `exit` mean what they always mean.
_LINE = f"""
cd -- "$1" 2>/dev/null || cd /
trap 'printf "\\n{MARK}%s" "$PWD"' EXIT
eval "$2"
"""
WIDE_AWAKE_S = 30


def wake(client: Client, workspace: Workspace) -> bool:
    """Whether the machine had to be woken: it is awake now.

    *Errors*: PlanError, where there is none; NotInTime.
    """
    if not workspace.machine_id:
        raise PlanError(f"{workspace.app} has no machine.", hint="invoke repair")
    try:
        machine = client.machine(workspace.app, workspace.machine_id)
    except NotFound as error:
        raise PlanError(f"The machine of {workspace.app} is gone.", hint="invoke repair") from error
    if machine.state == "started":
        return False
    client.start(workspace.app, workspace.machine_id)
    client.wait(workspace.app, workspace.machine_id, "started", timeout_s=WAKE_S)
    return True


def run(client: Client, workspace: Workspace, command: str) -> Exec:
    """What a command said, and how it ended."""
    return _execute(client, workspace, ["bash", "-lc", command])


def _execute(
    client: Client, workspace: Workspace, words: Sequence[str], *, timeout_s: int = COMMAND_S
) -> Exec:
    """In a machine that may fall asleep in the moment in which it is spoken to: then it is woken again."""
    for _ in range(WAKES):
        try:
            return client.exec(workspace.app, workspace.machine_id, words, timeout_s=timeout_s)
        except ApiError as error:
            if error.status != NOT_AWAKE:
                raise
        wake(client, workspace)
    return client.exec(workspace.app, workspace.machine_id, words, timeout_s=timeout_s)


@dataclass
class Lines:
    """A shell a line at a time, for where the platform has nothing better: each line is a process of its own.

    The folder is kept from line to line; variables are not, and nothing can ask back.
    """

    client: Client
    workspace: Workspace
    folder: str = "/data/workspace"

    def run(self, line: str) -> Exec:
        words = ["bash", "-c", _LINE, "bash", self.folder, line]
        said = _execute(self.client, self.workspace, words)
        out, mark, folder = said.stdout.rpartition(f"\n{MARK}")
        if not mark:
            return said
        self.folder = folder.strip() or self.folder
        return Exec(said.exit_code, out, said.stderr)


def flyctl(workspace: Workspace) -> list[str]:
    """The words that open a real terminal over Fly's own tool; none where it is not installed."""
    tool = shutil.which("flyctl") or shutil.which("fly")
    where = ["--app", workspace.app, "--machine", workspace.machine_id]
    return [tool, "ssh", "console", *where] if tool else []


# --- a terminal in a container of this machine ----------------------------------------------------


@dataclass
class Terminal:
    """A shell in the container of a machine of the embedded platform, joined to a terminal of ours."""

    engine: docker.DockerClient
    workspace: Workspace
    command: Sequence[str] = SHELL
    _exec_id: str = field(default="", init=False)

    def join(self, read_from: int, write_to: int) -> int:
        """Joins the two until the shell ends; gives its exit code.

        *Errors*: PlanError, where the container is not on this machine's engine.
        """
        api = cast(Any, self.engine.api)
        created = api.exec_create(
            self._container(), list(self.command), stdin=True, tty=True, environment=_terminal_of_ours()
        )
        self._exec_id = str(created["Id"])
        stream = api.exec_start(self._exec_id, tty=True, socket=True)
        plug: socket.socket = getattr(stream, "_sock", stream)
        try:
            with _raw(read_from), self._resized(read_from):
                _pass_on(plug, read_from, write_to)
        finally:
            stream.close()
            plug.close()
        return int(api.exec_inspect(self._exec_id)["ExitCode"] or 0)

    def _container(self) -> str:
        label = f"my-jarvis.machine={self.workspace.machine_id}"
        found = self.engine.containers.list(filters={"label": label})
        if not found:
            raise PlanError(
                f"The container of {self.workspace.app} is not on this machine's Docker Engine.",
                hint="DOCKER_HOST=… as the embedded platform has it",
            )
        return str(found[0].id)

    @contextmanager
    def _resized(self, terminal: int) -> Iterator[None]:
        """As large as ours, also when ours changes."""

        def fit(*_: object) -> None:
            with suppress(OSError, docker.errors.APIError):
                rows, columns = _size(terminal)
                cast(Any, self.engine.api).exec_resize(self._exec_id, height=rows, width=columns)

        before = signal.signal(signal.SIGWINCH, fit)
        try:
            fit()
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)


def _terminal_of_ours() -> dict[str, str]:
    return {"TERM": "xterm-256color", "LANG": "C.UTF-8"}


def _size(terminal: int) -> tuple[int, int]:
    packed = fcntl.ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8)
    rows, columns, _, _ = struct.unpack("HHHH", packed)
    return rows or 24, columns or 80


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Every key goes through, Ctrl-C too; the terminal is as before in the end, however that comes."""
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal, termios.TCSADRAIN)  # what was typed ahead is not lost
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pass_on(plug: socket.socket, read_from: int, write_to: int) -> None:
    plug.setblocking(True)
    sources: list[socket.socket | int] = [plug, read_from]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if plug in ready:
            said = plug.recv(65536)
            if not said:
                return
            _write(write_to, said)
        if read_from in ready:
            typed = os.read(read_from, 65536)
            if not typed:
                sources.remove(read_from)
                plug.shutdown(socket.SHUT_WR)
            else:
                plug.sendall(typed)


def _write(descriptor: int, said: bytes) -> None:
    while said:
        said = said[os.write(descriptor, said) :]


@contextmanager
def kept_awake(client: Client, workspace: Workspace) -> Iterator[None]:
    """While a command runs in it a machine of the embedded platform does not fall asleep: one always runs."""
    done = threading.Event()

    def keep() -> None:
        while not done.is_set():
            began = client.clock()
            with suppress(JarvisError):
                _execute(client, workspace, ["sleep", str(WIDE_AWAKE_S)], timeout_s=WIDE_AWAKE_S + 30)
            if client.clock() - began < 1:  # it was refused
                done.wait(5)

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
