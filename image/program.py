"""Programs of others that are run to their end, and that are told when ours is not to come."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from fly.interrupt import later_interrupt

TIDYING_S = 60
"""For what a program has mounted and unpacked: it alone knows what that is."""


def run_program(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    tidying_s: float = TIDYING_S,
) -> "subprocess.CompletedProcess[str]":
    """What it said and how it ended. Ctrl-C here ends it and all that it has started, after it has tidied up.

    *Errors*: OSError if it cannot be started.
    """
    # Files, not pipes: a pipe ends only when the last process that it was left to is gone.
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = None
        try:
            with later_interrupt():
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,  # Ctrl-C reaches it once, through us
                )
            process.wait()
        except BaseException:
            if process:
                _end(process, tidying_s)
            raise
        return subprocess.CompletedProcess(command, process.returncode, _text(stdout), _text(stderr))


def _end(process: "subprocess.Popen[bytes]", tidying_s: float) -> None:
    try:
        _signal(process, signal.SIGINT)
        process.wait(tidying_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, signal.SIGKILL)  # whoever of its group has stayed all the same
        process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
