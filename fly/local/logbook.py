"""What machines wrote, kept beyond the container that wrote it. Bounded."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KEPT_BYTES = 1 << 20
PAGE = 100


@dataclass(frozen=True)
class Line:
    machine: str
    at: str
    text: str

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{self.machine}{self.at}{self.text}".encode()).hexdigest()[:24]


def parse(machine: str, raw: bytes) -> list[Line]:
    """Lines as the engine gives them: a time in RFC 3339 with nanoseconds, a space, the text."""
    cut = (line.partition(" ") for line in raw.decode(errors="replace").splitlines())
    return [Line(machine, at, text) for at, _, text in cut if at[:1].isdigit()]


class Logbook:
    """One file a machine, oldest line first, of which the newest part is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, machine: str, raw: bytes) -> None:
        path = self._path(machine)
        old = path.read_bytes() if path.exists() else b""
        path.write_bytes(_newest(old + raw + (b"" if raw.endswith(b"\n") or not raw else b"\n")))
        path.chmod(0o600)

    def read(self, machine: str) -> bytes:
        path = self._path(machine)
        return path.read_bytes() if path.exists() else b""

    def forget(self, machine: str) -> None:
        self._path(machine).unlink(missing_ok=True)

    def _path(self, machine: str) -> Path:
        return self._folder / f"{machine}.log"


def page(lines: Iterable[Line], token: str) -> tuple[list[Line], str]:
    """The lines after `token`, or the newest ones, and the token to go on from."""
    ordered = sorted(lines, key=lambda line: line.at)
    found = [line for line in ordered if line.at > token][:PAGE] if token else ordered[-PAGE:]
    return found, found[-1].at if found else token


def _newest(raw: bytes) -> bytes:
    if len(raw) <= KEPT_BYTES:
        return raw
    return raw[-KEPT_BYTES:].partition(b"\n")[2]
