"""Programs of others: what they said, and that they end with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from image.program import run_program
from tests.support.wait import wait_until

INTERRUPTED = """
import sys
from image.program import run_program
run_program(["sh", "-c", sys.argv[1]], tidying_s=float(sys.argv[2]))
"""
TIDY = "trap 'echo tidied > {folder}/tidied; exit 1' INT; echo $$ > {folder}/pid; sleep 600 & wait"
STUBBORN = "trap '' INT; sleep 600 & echo $! > {folder}/pid; wait"
PATIENCE_S = 60


def test_what_it_said_and_how_it_ended_is_told() -> None:
    done = run_program(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


def test_one_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run_program(["no-such-program"])


def interrupted(script: str, folder: Path, tidying_s: float) -> int:
    """Runs it, sends our process alone a Ctrl-C once it is under way; its process, or one that it started."""
    command = (sys.executable, "-c", INTERRUPTED, script.format(folder=folder), str(tidying_s))
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        pid = folder / "pid"
        wait_until(lambda: pid.exists() and pid.read_text().strip(), "it is under way", timeout_s=PATIENCE_S)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) != 0
    return int(pid.read_text())


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_ctrl_c_lets_it_tidy_up(tmp_path: Path) -> None:
    pid = interrupted(TIDY, tmp_path, PATIENCE_S)
    assert (tmp_path / "tidied").exists(), "it was killed before it could put its things away"
    wait_until(lambda: is_gone(pid), "it is gone", timeout_s=PATIENCE_S)


def test_one_that_does_not_listen_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    pid = interrupted(STUBBORN, tmp_path, 0.2)
    wait_until(lambda: is_gone(pid), "what it had started is gone", timeout_s=PATIENCE_S)
