"""The embedded platform as a process of its own: started beside us, found again, and stopped.

Whether it runs is told by the lock that it holds on its folder, which the kernel frees with the process;
a pid alone may long be somebody else's.
"""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from fly.errors import PlatformError

START_S, STOP_S = 30.0, 10.0
LOOK_EVERY_S = 0.05
LOG_LINES = 15


def is_running(state_dir: Path) -> bool:
    """Whether a platform holds this folder."""
    return _holder(state_dir) is not None


def ensure_running(
    state_dir: Path,
    api_port: int,
    door_port: int,
    certificate: Path | None = None,
    key: Path | None = None,
    *,
    max_awake_s: float | None = None,
    like_fly: bool | None = None,
) -> dict[str, Any]:
    """What `platform.json` of this folder says; starts a platform, in a session of its own, if none runs.

    `max_awake_s`: how long a machine may be awake at a stretch; None: for ever. `like_fly`: as slow and as
    strict as Fly; None: as it is. One that runs otherwise is started again; its machines stay as they are.

    *Errors*: PlatformError, with the last lines of its log.
    """
    state_dir = state_dir.resolve()
    if is_running(state_dir):
        about = _until_ready(state_dir, None)
        if like_fly in {None, about["like_fly"]} and max_awake_s == about.get("max_awake_s"):
            return about
        stop(state_dir)
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(f"The embedded platform can not use {state_dir}: {error.strerror}.") from error
    (state_dir / "platform.json").unlink(missing_ok=True)
    options = ["--api-port", str(api_port), "--door-port", str(door_port)]
    if certificate and key:
        options += ["--certificate", str(certificate), "--key", str(key)]
    if max_awake_s is not None:
        options += ["--max-awake", f"{max_awake_s:g}"]
    if like_fly is not None:
        options.append("--like-fly" if like_fly else "--no-like-fly")
    return _until_ready(state_dir, _spawn(state_dir, options))


def stop(state_dir: Path) -> bool:
    """Ends the platform on this folder; its machines stay as they are. Says whether there was one.

    *Errors*: PlatformError, when it does not end.
    """
    pid = _holder(state_dir)
    if pid is None:
        return False
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        _tell(pid, signal_number)
        if _wait_for(lambda: not is_running(state_dir), STOP_S):
            (state_dir / "platform.json").unlink(missing_ok=True)
            return True
    raise PlatformError(
        f"The embedded platform (process {pid}) does not end.", hint=f"see {log_path(state_dir)}"
    )


def platform_id(state_dir: Path) -> str:
    """What its containers, volumes and networks are labelled with; empty if none ever ran here."""
    records = state_dir / "platform.sqlite"
    if not records.exists():
        return ""
    with closing(sqlite3.connect(f"file:{records}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT value FROM facts WHERE name = 'platform_id'").fetchone()
    return str(row[0]) if row else ""


def log_path(state_dir: Path) -> Path:
    return state_dir / "platform.log"


def _holder(state_dir: Path) -> int | None:
    """The process that holds the folder's lock."""
    path = state_dir / "lock"
    if not path.exists():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid_in(path)
    return None


def _pid_in(path: Path) -> int:
    """The lock is taken a moment before its holder writes who it is."""
    _wait_for(lambda: path.read_text().strip().isdecimal(), 1.0)
    return int(path.read_text())


def _tell(pid: int, signal_number: int) -> None:
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise PlatformError(f"The embedded platform (process {pid}) belongs to another user.") from error


class _Detached(subprocess.Popen[bytes]):
    """A process that is meant to outlive us."""

    def __del__(self, *_: object) -> None:
        """Nothing is wrong with one that still runs."""


def _spawn(state_dir: Path, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    root = Path(__file__).resolve().parents[2]
    command = [
        sys.executable,
        "-m",
        "fly.local",
        "--state-dir",
        str(state_dir),
        "--log",
        str(log_path(state_dir)),
    ]
    command += options
    output = os.open(state_dir / "platform.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return _Detached(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    finally:
        os.close(output)


def _until_ready(state_dir: Path, process: "subprocess.Popen[bytes] | None") -> dict[str, Any]:
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        if process and process.poll() is not None:
            break
        about = _announced(state_dir)
        if about and _answers(about):
            return about
        if process is None and not is_running(state_dir):
            break
        time.sleep(LOOK_EVERY_S)
    raise _failure(state_dir)


def _announced(state_dir: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((state_dir / "platform.json").read_text()))
    except (OSError, ValueError):
        return None


def _answers(about: Mapping[str, Any]) -> bool:
    """Whether the API answers there, to our token, as this very process."""
    headers = {"Authorization": f"Bearer {about['token']}"}
    try:
        with urlopen(Request(f"{about['api_url']}/_local/platform", headers=headers), timeout=5) as answer:  # noqa: S310
            return bool(json.load(answer)["pid"] == about["pid"])
    except (URLError, OSError, ValueError, KeyError):
        return False


def _failure(state_dir: Path) -> PlatformError:
    """What the process said on its way out, else the end of its log."""
    said = _tail(state_dir / "platform.out")
    words = said or _tail(log_path(state_dir)) or "it said nothing"
    return PlatformError(f"The embedded platform did not start:\n{words}", hint=f"see {log_path(state_dir)}")


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").strip().splitlines()[-LOG_LINES:])
    except OSError:
        return ""


def _wait_for(condition: Any, limit_s: float) -> bool:
    ends = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(LOOK_EVERY_S)
    return True
