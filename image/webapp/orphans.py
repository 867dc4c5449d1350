"""Claude processes that a killed server left: they would write into transcripts beside the new ones."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("webapp")

MARK = "JARVIS_CHAT"
"""The variable by which a server knows its own processes; a Claude in a terminal has none."""
GO_WITHIN_S = 3.0
PROC = Path("/proc")


def end_orphans(claude: Path, mark: str) -> int:
    """Ends every process of this program that carries this mark; how many there were."""
    found = list(_marked(claude, f"{MARK}={mark}".encode()))
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in filter(_lives, found):
            _signal(pid, how)
        # Also after the second: one that is being killed on a busy machine may still write.
        deadline = time.monotonic() + GO_WITHIN_S
        while any(map(_lives, found)) and time.monotonic() < deadline:
            time.sleep(0.02)
    if found:
        log.warning("Ended %d Claude processes of a server that was killed", len(found))
    return len(found)


def _marked(claude: Path, mark: bytes) -> Iterator[int]:
    program = claude.resolve()
    for place in PROC.glob("[0-9]*"):
        # Processes come and go meanwhile, and those of others cannot be read.
        with contextlib.suppress(OSError):
            if (place / "exe").readlink() != program or mark not in _variables(place):
                continue
            if int(place.name) != os.getpid():
                yield int(place.name)


def _variables(place: Path) -> list[bytes]:
    return (place / "environ").read_bytes().split(b"\0")


def _lives(pid: int) -> bool:
    try:
        state = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z"


def _signal(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, which)
