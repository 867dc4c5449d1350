"""Containers of the image under test, run the way the platform runs them.

testcontainers starts and removes them; what a test does to one (stop, suspend, kill, look inside) is here.
"""

from __future__ import annotations

import io
import re
import ssl
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import httpx
import requests
from docker.errors import APIError
from testcontainers.core.config import ConnectionMode, testcontainers_config
from testcontainers.core.container import DockerContainer
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from fly.plan import HEALTH_PATH, MOUNT_PATH, PORT
from image.patience import patience
from tests.support.command import Ran, run_in
from tests.support.evidence import Piece, masked, tail
from tests.support.internet import TRUST_PATH, Internet
from tests.support.run import Run
from tests.support.shell import Shell, without_escapes
from tests.support.volumes import Volume
from tests.support.wait import NeverHappenedError, wait_until

USER = "jarvis"
PERSON = {"USER_NAME": "Lilach", "USER_EMAIL": "lilach@example.com"}
OPEN = {"JARVIS_LOGIN": "none"}
"""Who may come in is the question of some tests alone."""
REQUEST_LIMIT_S = 60
"""Longer than any answer takes, also on a busy machine."""
ONCE_LIMIT_S = 40
"""How long a command may take that has a container of its own, on a machine that has nothing else to do."""
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify` where no TLS is spoken: without it httpx reads every authority of this machine each time."""
_COMPLAINT = re.compile(
    r"(?i:^\W*(warn|err|crit|fatal|traceback)|permission denied|exception)|\b(WARNING|ERROR|CRITICAL)\b"
)
_TOO_BUSY = "claude auth status gave no answer in"
_NO_DNS = ["127.0.0.1"]
"""Names that no test serves fail at once instead of leaving this machine."""
_UNWATCHED = {"test": ["NONE"]}
"""As on Fly, which asks by itself: the image's own health check is the question of some tests alone."""
_LATE = ("already paused", "not paused", "unable to freeze")
"""What the engine says of a container that it, or a busy machine's kernel, will be done with in a moment."""
_LOOPBACK: Any = ("127.0.0.1", None)
"""A free port that only this machine reaches; testcontainers' own types know of no address."""

# The reaper would have to be pulled; ports are published on the loopback even if this machine is a container.
testcontainers_config.ryuk_disabled = True
testcontainers_config.connection_mode_override = ConnectionMode.docker_host


class CommandFailedError(AssertionError):
    """A command in a container did not exit with 0."""


class Workspace:
    """One container of the image."""

    def __init__(self, started: DockerContainer) -> None:
        self._testcontainer = started
        self.container: Any = started.get_wrapped_container()
        self._shells: list[Shell] = []

    # --- its life ---------------------------------------------------------------------------------

    def wait_ready(self, timeout_s: float = 40) -> Workspace:
        """Waits until the page's server answers; a container that died fails at once, with its log."""
        wait_until(
            self.is_healthy, f"{HEALTH_PATH} to answer 200", timeout_s=timeout_s, hopeless=self.why_hopeless
        )
        return self

    def wait_settled(self) -> Workspace:
        """Waits until its server is whole and knows of the login: by itself it writes nothing more."""
        wait_until(lambda: self.get("/api/auth").json()["state"] != "checking", "the server to have settled")
        return self

    def is_healthy(self) -> bool:
        try:
            answer = httpx.get(self.url + HEALTH_PATH, trust_env=False, timeout=10, verify=PLAIN)
            return answer.status_code == 200
        except httpx.TransportError:
            return False

    def why_hopeless(self) -> str:
        """Why waiting makes no sense any more; nothing while it runs."""
        state = self.state()
        if state["Running"] or state["Status"] == "created":
            return ""
        return f"the container exited with {state['ExitCode']}; its log:\n{masked(tail(self.log()))}"

    def state(self) -> dict[str, Any]:
        """`State` of `docker inspect`, fresh."""
        return dict(self.attrs()["State"])

    def attrs(self) -> dict[str, Any]:
        """All of `docker inspect`, fresh."""
        self.container.reload()
        return dict(self.container.attrs)

    def stop(self, signal: str = "SIGTERM", timeout_s: float = 5) -> int:
        """A signal, then the end; the exit code."""
        self.container.kill(signal=signal)
        return self.wait_ended(f"the end after {signal}", timeout_s=timeout_s)

    def wait_ended(self, what: str = "the end of the container", timeout_s: float = 30) -> int:
        """Its exit code; the engine says so by itself, so nobody has to ask again and again."""
        limit_s = timeout_s * patience()
        try:
            return int(self.container.wait(timeout=limit_s)["StatusCode"])
        except requests.RequestException:
            raise NeverHappenedError(f"waited {limit_s:.1f} s for {what}") from None
        finally:
            self.container.reload()

    def start(self) -> Workspace:
        """Starts the stopped container again."""
        self.container.start()
        return self.wait_ready()

    def suspend(self) -> None:
        _once_settled(self.container.pause)

    def resume(self) -> None:
        _once_settled(self.container.unpause)

    def remove(self) -> None:
        """Ends it by force and forgets it; a named volume stays."""
        for shell in self._shells:
            shell.close()
        self._testcontainer.stop()

    # --- its page ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where its page is; another one after each start."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        bound = self.container.attrs["NetworkSettings"]["Ports"].get(f"{PORT}/tcp")
        if not bound:
            self.container.reload()
            bound = self.container.attrs["NetworkSettings"]["Ports"].get(f"{PORT}/tcp")
        return int(bound[0]["HostPort"]) if bound else 0

    def get(self, path: str, **headers: str) -> httpx.Response:
        """What the page's server answers; a proxy of this machine is none of its business."""
        return httpx.get(
            self.url + path, headers=headers, trust_env=False, timeout=REQUEST_LIMIT_S, verify=PLAIN
        )

    def ask(self, method: str, path: str, body: object = None, *, origin: str = "own") -> httpx.Response:
        """What the server answers its own page, or one from elsewhere."""
        headers = {"origin": self.url if origin == "own" else origin}
        return httpx.request(
            method,
            self.url + path,
            json=body,
            headers=headers,
            trust_env=False,
            timeout=REQUEST_LIMIT_S,
            verify=PLAIN,
        )

    def socket(
        self, path: str, *, origin: str | None = "own", cookie: str = ""
    ) -> AbstractContextManager[ClientConnection]:
        """A socket to enter, as its own page opens it or from elsewhere; None names no origin."""
        opening: AbstractContextManager[ClientConnection] = connect(
            self.url.replace("http", "ws", 1) + path,
            origin=Origin(self.url) if origin == "own" else None if origin is None else Origin(origin),
            additional_headers={"cookie": cookie} if cookie else None,
            compression=None,
            max_size=None,
            proxy=None,
            open_timeout=REQUEST_LIMIT_S,
            ping_timeout=None,
        )
        return opening

    # --- what is inside ---------------------------------------------------------------------------

    def attempt(
        self,
        *command: str,
        user: str = USER,
        environment: Mapping[str, str] | None = None,
        timeout_s: int = 30,
    ) -> Ran:
        """Runs a command (an argument list; no shell) under a time limit of its own."""
        return run_in(self.container, command, user=user, environment=environment or {}, timeout_s=timeout_s)

    def run(self, *command: str, user: str = USER, timeout_s: int = 30) -> str:
        """What a command prints. Errors: `CommandFailedError` unless it exits with 0."""
        ran = self.attempt(*command, user=user, timeout_s=timeout_s)
        if ran.status != 0:
            raise CommandFailedError(f"{command} exited with {ran.status}: {ran.output}{ran.errors}")
        return ran.output

    def shell(self, *, columns: int = 80, rows: int = 24, user: str = USER, **options: Any) -> Shell:
        """A terminal session in it."""
        shell = Shell(
            self.container.client.api, self.container.id, user=user, columns=columns, rows=rows, **options
        )
        self._shells.append(shell)
        return shell

    def close(self, shell: Shell) -> None:
        """Leaves a terminal session, and with it what it showed."""
        self._shells.remove(shell)
        shell.close()

    def put(self, path: str, content: bytes, *, mode: int = 0o644, owner: int = 0) -> None:
        """Writes a file into it."""
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w") as archive:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, owner, owner
            entry.mtime = int(time.time())
            archive.addfile(entry, io.BytesIO(content))
        assert self.container.put_archive("/", whole.getvalue())

    def processes(self) -> list[dict[str, str]]:
        """Every process: UID, PID, PPID, STAT, CMD."""
        top = self.container.top(ps_args="-eo uid,pid,ppid,stat,args")
        return [
            dict(zip(("UID", "PID", "PPID", "STAT", "CMD"), row, strict=True)) for row in top["Processes"]
        ]

    def memory_mb(self) -> float:
        """What its processes hold, without the files that the kernel keeps in memory for them."""
        api = self.container.client.api
        used = api.stats(self.container.id, stream=False, one_shot=True)["memory_stats"]["stats"]
        return float(used.get("total_rss", used.get("anon", 0))) / 1e6  # cgroups of version 1 and 2

    def log(self) -> str:
        return str(self.container.logs().decode(errors="replace"))

    def complaints(self) -> list[str]:
        """The lines of the log that a good day does not write, where the machine has the time for one."""
        lines = without_escapes(self.log()).splitlines()
        return [line for line in lines if _COMPLAINT.search(line) and _TOO_BUSY not in line]

    def evidence(self) -> list[Piece]:
        """What each terminal showed, and the log."""
        shown = [
            (f"terminal {number}", tail(shell.transcript)) for number, shell in enumerate(self._shells, 1)
        ]
        return [*shown, (f"log of {self.container.name}", tail(self.log()))]


class Workspaces:
    """Makes containers of one image, and removes them."""

    def __init__(self, run: Run, image: str) -> None:
        self._run = run
        self._image = image
        self._made: list[Workspace] = []

    def start(
        self,
        volume: Volume | None = None,
        *,
        internet: Internet | None = None,
        environment: Mapping[str, str] | None = None,
        ready: bool = True,
        **options: Any,
    ) -> Workspace:
        """A running container; `options` are those of docker-py's `containers.create`, and win.

        Without `internet` it has no name service; with it, Anthropic's names lead to the stand-in.
        """
        made = DockerContainer(self._image).with_envs(**{**PERSON, **OPEN, **(environment or {})})
        if volume is not None:
            made.with_volume_mapping(volume.name, MOUNT_PATH, "rw")
        if internet is not None:
            made.with_envs(**internet.environment)
            made.with_volume_mapping(internet.trust.name, TRUST_PATH, "ro")
        made.ports[f"{PORT}/tcp"] = _LOOPBACK
        made.with_name(self._run.name("workspace"))
        network = internet.network.name if internet else "bridge"
        defaults = {
            "network": network,
            "labels": self._run.labels,
            "dns": _NO_DNS,
            "mem_limit": "1024m",
            "healthcheck": _UNWATCHED,
        }
        _configure(made, {**defaults, **options})
        workspace = Workspace(made.__enter__())
        self._made.append(workspace)
        return workspace.wait_ready() if ready else workspace

    def run_once(self, *command: str, **options: Any) -> Ran:
        """What one command in a container of its own does, to its end; `options` are docker-py's."""
        made = DockerContainer(self._image).with_command(list(command)).with_name(self._run.name("once"))
        _configure(made, {"network": "none", "labels": self._run.labels, **options})
        with made:
            try:
                status = made.get_wrapped_container().wait(timeout=ONCE_LIMIT_S * patience())["StatusCode"]
            except requests.RequestException:
                raise AssertionError(f"{' '.join(command)} had no end") from None
            output, errors = (part.decode(errors="replace") for part in made.get_logs())
            return Ran(status, output, errors)

    def remove(self, workspace: Workspace) -> None:
        """One of them, before the test is over."""
        self._made.remove(workspace)
        workspace.remove()

    def close(self) -> None:
        while self._made:
            self._made.pop().remove()

    def evidence(self) -> list[Piece]:
        return [piece for workspace in self._made for piece in workspace.evidence()]


def _once_settled(change: Callable[[], None]) -> None:
    """Pauses or unpauses; the engine may hear late of the last change, and refuse this one until it did."""

    def done() -> bool:
        try:
            change()
        except APIError as error:
            if error.status_code in {409, 500} and any(word in str(error) for word in _LATE):
                return False
            raise
        return True

    wait_until(done, "the engine to know whether the container is paused")


def _configure(made: DockerContainer, options: dict[str, Any]) -> None:
    """Hands docker-py's options on; testcontainers refuses those that it has methods for."""
    made.volumes.update(options.pop("volumes", {}))
    made.tmpfs.update(options.pop("tmpfs", {}))
    if "command" in options:
        made.with_command(options.pop("command"))
    made.with_kwargs(**options)
