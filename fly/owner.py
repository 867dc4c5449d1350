"""Which process works on a workspace, and whether it still lives: a pid alone may be somebody else by now."""

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, told apart from every other one that had its pid before or will have it later."""

    host: str
    pid: int
    started: str

    @classmethod
    def me(cls) -> "Owner":
        return cls(socket.gethostname(), os.getpid(), _started(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> "Owner":
        host, pid, started = text.split("|")
        return cls(host, int(pid), started)

    def __str__(self) -> str:
        return f"{self.host}|{self.pid}|{self.started}"

    @property
    def is_elsewhere(self) -> bool:
        """Whether it runs where we cannot see it: on another host, or in a container."""
        return self.host != socket.gethostname()

    @property
    def is_alive(self) -> bool:
        return bool(self.started) and _started(self.pid) == self.started


def _started(pid: int) -> str:
    """When the process began, in whatever words this system has for it; empty when there is none."""
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        # The command's name, in parentheses, may hold spaces and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return ""
    state, *rest = fields.split()
    return "" if state in "ZX" else f"{boot}-{rest[18]}"


def _started_by_ps(pid: int) -> str:
    listed = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = listed.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else " ".join(started.split())
