"""A Docker Engine: one that answers, else the machine's own started, else (Debian, root) one installed."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fly.errors import EngineError
from fly.lazy import Lazy

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

Report = Callable[[str], None]

STATE = Path(__file__).resolve().parent.parent / ".jarvis" / "engine"
OLDEST_API = (1, 41)  # Docker 20.10
SOCKET = Path("/var/run/docker.sock")
PID_FILES = (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid"))
CONNECT_LIMIT_S = 15
CALL_LIMIT_S = 600  # long enough for a push; build and pull know no limit
START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0
LAST_LINES = 12
INSTALL_HINT = "install and start Docker Engine 20.10 or newer: https://docs.docker.com/engine/install/"


def find_engine(report: Report, state_dir: Path = STATE) -> docker.DockerClient:
    """A client of an engine that answers.

    `state_dir` keeps the log and the process id of an engine that had to be started; it outlives us.

    Errors: EngineError.
    """
    client, refusal = _connect()
    if client is None:
        _must_be_ours_to_start(refusal)
        if shutil.which("dockerd") is None:
            _install(report)
        _start(report, state_dir)
        client, refusal = _connect()
    if client is None:
        raise EngineError(f"The Docker Engine was started, but does not answer: {refusal}", hint=INSTALL_HINT)
    _check_version(client)
    return client


def stop_started_engine(state_dir: Path = STATE) -> bool:
    """Ends the engine that `find_engine` has started, and no other; whether there was one.

    Errors: EngineError if it does not end.
    """
    record = _Record(state_dir)
    process = record.read()
    record.forget()
    if process is None or not process.is_running():
        return False
    os.kill(process.pid, signal.SIGTERM)
    if not _wait(lambda: not process.is_running(), STOP_LIMIT_S):
        record.write(process)
        raise EngineError(
            f"dockerd (process {process.pid}) did not end in {STOP_LIMIT_S:.0f} s.",
            hint=f"look at {state_dir / 'dockerd.log'}, then: kill {process.pid}",
        )
    return True


# --- an engine that is there ----------------------------------------------------------------------


def find_image(ref: str) -> str | None:
    """The id of an image of this machine's own engine. One question: a client takes longer to load.

    Errors: OSError where no such engine answers it, or another one was chosen.
    """
    if _may_be_elsewhere():
        raise OSError("another engine may have been chosen")
    with closing(_Socket()) as asking:
        asking.request("GET", f"/v{'.'.join(map(str, OLDEST_API))}/images/{quote(ref, safe='/:@')}/json")
        answer = asking.getresponse()
        text = answer.read()
    if answer.status not in (200, 404):
        raise OSError(f"the engine answered {answer.status}")
    return str(json.loads(text)["Id"]) if answer.status == 200 else None


class _Socket(http.client.HTTPConnection):
    def __init__(self) -> None:
        super().__init__("docker", timeout=CONNECT_LIMIT_S)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(SOCKET))


def _connect() -> tuple[docker.DockerClient | None, str]:
    """The engine of DOCKER_HOST, of the active context, or of the usual socket; or why there is none."""
    try:
        client = docker.from_env(timeout=CONNECT_LIMIT_S)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        return None, _reason(error)
    client.api.timeout = CALL_LIMIT_S
    return client, ""


def _reason(error: Exception) -> str:
    """The system's own words, out of the four exceptions that libraries have wrapped around them."""
    words = re.search(r"\[Errno -?\d+\] ([^\"')]+)|Error\(\d+, '([^']+)'\)", str(error))
    return (words[1] or words[2]) if words else str(error)


def _check_version(client: docker.DockerClient) -> None:
    version = client.version()
    api = tuple(int(part) for part in version["ApiVersion"].split("."))
    if api < OLDEST_API:
        raise EngineError(
            f"This Docker Engine is too old: {version['Version']}, and 20.10 is needed.", hint=INSTALL_HINT
        )


def _must_be_ours_to_start(refusal: str) -> None:
    """Errors: EngineError if it is elsewhere, forbidden, or nothing that we could install or start."""
    elsewhere = _chosen_elsewhere()
    if elsewhere:
        raise EngineError(
            f"The Docker Engine of {elsewhere} does not answer: {refusal}",
            hint=f"start it, or do without {elsewhere}",
        )
    if "Permission denied" in refusal:
        raise EngineError(
            f"You may not use the Docker Engine: {SOCKET} refuses.",
            hint="sudo usermod -aG docker $USER, log in again, and run this again; or run this as root",
        )
    if os.geteuid() != 0:
        hint = "start it (sudo systemctl start docker)" if shutil.which("dockerd") else INSTALL_HINT
        raise EngineError("No Docker Engine answers, and only root could start one here.", hint=hint)
    if shutil.which("dockerd") is None and not _is_debian():
        raise EngineError(
            "There is no Docker Engine, and only on Debian and Ubuntu can it be installed by us.",
            hint=INSTALL_HINT,
        )


def _chosen_elsewhere() -> str:
    """What the person has chosen instead of this machine's own engine."""
    if host := os.environ.get("DOCKER_HOST"):
        return f"DOCKER_HOST={host}"
    with suppress(docker.errors.DockerException, OSError, ValueError):
        context = docker.context.ContextAPI.get_current_context()
        if context and context.name != "default":
            return f"docker context {context.name}"
    return ""


def _may_be_elsewhere() -> bool:
    """Whether a person may have chosen another engine, asked without docker-py."""
    if {"DOCKER_HOST", "DOCKER_CONTEXT"} & set(os.environ):
        return True
    config = Path(os.environ.get("DOCKER_CONFIG", "~/.docker")).expanduser() / "config.json"
    try:
        return "currentContext" in config.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def _is_debian(release: Path = Path("/etc/os-release")) -> bool:
    if shutil.which("apt-get") is None or not release.exists():
        return False
    lines = (line.partition("=") for line in release.read_text().splitlines())
    facts = {name: value.strip("\"'") for name, _, value in lines}
    return "debian" in [facts.get("ID"), *facts.get("ID_LIKE", "").split()]


# --- one that must be installed or started --------------------------------------------------------


def can_install(program: str) -> bool:
    """Whether this program is missing, and Debian and our rights let us install it."""
    return shutil.which(program) is None and os.geteuid() == 0 and _is_debian()


def install_packages(report: Report, *packages: str, if_known: Sequence[str] = ()) -> None:
    """Installs Debian packages; of `if_known` those that this release has.

    Errors: EngineError.
    """
    report("asking Debian for its list of packages")
    _apt("update")
    chosen = [*packages, *filter(_is_known, if_known)]
    report(f"installing {' '.join(chosen)}")
    _apt("install", "--yes", "--no-install-recommends", *chosen)


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise EngineError(
            f"{' '.join(command)} failed:\n{_last_lines(done.stdout)}",
            hint="check the network and the disk, or install it yourself, and run this again",
        )


def _is_known(package: str) -> bool:
    return subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).returncode == 0


def _install(report: Report) -> None:
    # With AppArmor in the kernel and without its parser no container starts; a pull needs certificates.
    packages = ("docker.io", "apparmor", "ca-certificates", *_cgroup_mounter())
    install_packages(report, *packages, if_known=["docker-cli"])


def _cgroup_mounter() -> list[str]:
    return [] if any(Path("/sys/fs/cgroup").iterdir()) else ["cgroupfs-mount"]


def _start(report: Report, state_dir: Path) -> None:
    report("starting the Docker Engine")
    if Path("/run/systemd/system").is_dir():
        _start_by_systemd()
    else:
        _forget_dead_engines()
        _start_directly(["dockerd"], state_dir, lambda: _connect()[0] is not None, report)


def _start_by_systemd() -> None:
    done = subprocess.run(["systemctl", "start", "docker"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError(
            f"systemd could not start Docker: {_last_lines(done.stderr)}",
            hint="journalctl --unit docker --lines 50",
        )


def _forget_dead_engines(pid_files: Sequence[Path] = PID_FILES) -> None:
    """After a crash a number that now belongs to another process would keep dockerd from starting."""
    for file in pid_files:
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            if _name_of(pid) not in {"dockerd", "containerd"}:
                file.unlink()


@dataclass(frozen=True)
class _Remedy:
    """What a failed start said, and what to change for the next one."""

    said: str
    explanation: str
    arguments: tuple[str, ...] = ()
    legacy_iptables: bool = False


REMEDIES = (
    _Remedy(
        "iptables",
        "with the older iptables, since this kernel lacks what the newer needs",
        legacy_iptables=True,
    ),
    _Remedy(
        "overlay", "with plain copies of files, since this disk has no overlays", ("--storage-driver=vfs",)
    ),
)


def _start_directly(
    command: Sequence[str],
    state_dir: Path,
    answers: Callable[[], bool],
    report: Report,
    limit_s: float = START_LIMIT_S,
) -> None:
    """Starts dockerd as a process of its own; again, where what it said suggests a cure."""
    state_dir.mkdir(parents=True, exist_ok=True)
    log, record = state_dir / "dockerd.log", _Record(state_dir)
    arguments, environment, remedies = list(command), dict(os.environ), list(REMEDIES)
    while True:
        process = _spawn(arguments, environment, log)
        record.write(process)
        if _comes_up(process, answers, limit_s):
            return
        process.end()
        record.forget()
        said = log.read_text(errors="replace")
        remedy = next((remedy for remedy in remedies if remedy.said in said), None)
        if remedy is None:
            raise EngineError(f"dockerd could not be started:\n{_last_lines(said)}", hint=f"look at {log}")
        report(f"starting it again {remedy.explanation}")
        remedies.remove(remedy)
        arguments += remedy.arguments
        if remedy.legacy_iptables:
            environment["PATH"] = f"{_legacy_iptables(state_dir)}{os.pathsep}{environment['PATH']}"


def _comes_up(process: _Process, answers: Callable[[], bool], limit_s: float) -> bool:
    is_settled = _wait(lambda: answers() or not process.is_running(), limit_s)
    return is_settled and process.is_running()


def _legacy_iptables(state_dir: Path) -> Path:
    """A folder in which `iptables` is the older one: for our dockerd alone, the machine keeps its choice."""
    folder = state_dir / "iptables"
    folder.mkdir(exist_ok=True)
    for name in ("iptables", "ip6tables"):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(f"/usr/sbin/{name}-legacy")
    return folder


# --- processes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Process:
    """A process that cannot be taken for another one which got its number later."""

    pid: int
    began: int  # clock ticks since the machine's start

    def is_running(self) -> bool:
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # if it is our own child and has ended, it shall be gone
        return self.began == _began(self.pid) != _NEVER

    def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.is_running():
                os.kill(self.pid, number)
                _wait(lambda: not self.is_running(), 10)


class _Record:
    """The engine that we have started, on disk."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "dockerd.json"

    def write(self, process: _Process) -> None:
        self._file.write_text(json.dumps({"pid": process.pid, "began": process.began}))

    def read(self) -> _Process | None:
        try:
            content = json.loads(self._file.read_text())
            return _Process(int(content["pid"]), int(content["began"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)


def _spawn(command: Sequence[str], environment: dict[str, str], log: Path) -> _Process:
    """A process in a session of its own, which neither Ctrl-C here nor our end reaches."""
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise EngineError(f"There is no program {command[0]}.", hint=INSTALL_HINT)
    truncated = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), truncated, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(program, list(command), environment, file_actions=files, setsid=True)
    return _Process(pid, _began(pid))


_NEVER = -1


def _began(pid: int) -> int:
    """When a process began; `_NEVER` if there is none, or it has ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _NEVER
    return _NEVER if after_name[0] == "Z" else int(after_name[19])


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _wait(happened: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LAST_LINES:])
