"""How fast a terminal prints through the container's WebSocket, and how soon a key is echoed.

    python benchmarks/terminal.py [--megabytes 100] [--keys 500] [--image my-jarvis:latest] [--json]

A container of the image, spoken to as the page does, with acknowledgements, at the address that the door
dials. Where `ttyd` is installed on this machine it is measured in the same run, with the same client and the
same shell; beside both stands the floor: the same bytes through a pseudo-terminal on this machine and no
network at all. They take turns, so that what else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import docker
import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fly.plan import PORT
from tests.support.containers import OPEN, PERSON

READY = b"re-ady"
SAY_READY = "echo re''-ady; stty -echo; PS1=; PROMPT_COMMAND=\r"
DONE = b"do-ne"
ROUNDS = 3


class Way(Protocol):
    """A shell somewhere."""

    def type(self, text: bytes) -> None: ...
    def read(self) -> bytes: ...


class Ours:
    """The page's protocol: offsets, and an acknowledgement for each 64 KiB drawn."""

    def __init__(self, socket_: ClientConnection) -> None:
        self._socket = socket_
        self._drawn = self._acked = 0
        socket_.send(b"h" + bytes(8))

    def type(self, text: bytes) -> None:
        self._socket.send(b"i" + text)

    def read(self) -> bytes:
        while True:
            frame = self._socket.recv(timeout=60)
            assert isinstance(frame, bytes)
            if frame[:1] == b"o":
                break
        self._drawn = struct.unpack(">Q", frame[1:9])[0] + len(frame) - 9
        if self._drawn - self._acked >= 65536:
            self._acked = self._drawn
            self._socket.send(b"a" + struct.pack(">Q", self._drawn))
        return frame[9:]


class Ttyd:
    """ttyd's own protocol: no acknowledgement, but it may be told to pause."""

    def __init__(self, socket_: ClientConnection) -> None:
        self._socket = socket_
        socket_.send(json.dumps({"AuthToken": "", "columns": 80, "rows": 24}).encode())

    def type(self, text: bytes) -> None:
        self._socket.send(b"0" + text)

    def read(self) -> bytes:
        while True:
            frame = self._socket.recv(timeout=60)
            assert isinstance(frame, bytes)
            if frame[:1] == b"0":
                return frame[1:]


class Pty:
    """No network: the pseudo-terminal itself."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def type(self, text: bytes) -> None:
        os.write(self._fd, text)

    def read(self) -> bytes:
        return os.read(self._fd, 65536)


def until(way: Way, wanted: bytes) -> int:
    """Reads until this was printed; how many bytes that took."""
    tail, size = b"", 0
    while wanted not in tail:
        piece = way.read()
        size += len(piece)
        tail = (tail + piece)[-len(wanted) - len(piece) :]
    return size


def throughput(way: Way, megabytes: int) -> float:
    """Megabytes a second."""
    size = megabytes * 1_000_000
    began = time.perf_counter()
    # Lines, as programs print them, without the time that a program needs to make them.
    way.type(f"yes {'x' * 78} | head -c {size}; echo do''-ne\r".encode())
    got = until(way, DONE)
    return got / (time.perf_counter() - began) / 1_000_000


def echoes(way: Way, keys: int) -> list[float]:
    """How long each key took to come back, milliseconds: the terminal's own echo."""
    way.type(b"stty echo; cat >/dev/null; stty -echo; echo re''-ady\r")
    time.sleep(0.5)
    samples = []
    for number in range(keys):
        key = b"abcdefghij"[number % 10 : number % 10 + 1]
        began = time.perf_counter()
        way.type(key)
        while key not in way.read():
            continue
        samples.append((time.perf_counter() - began) * 1000)
        time.sleep(0.002)
        if number % 50 == 49:
            way.type(b"\r")
            way.read()
    way.type(b"\r\x04")
    until(way, READY)
    return samples


def rows(ways: dict[str, Way], megabytes: int, keys: int) -> dict[str, dict[str, float]]:
    """*Shape*: MB a second (the best of some rounds), and echo in milliseconds; by way."""
    for way in ways.values():
        way.type(SAY_READY.encode())
        until(way, READY)
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    delays: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            speeds[name].append(throughput(way, megabytes))
            delays[name] += echoes(way, keys // ROUNDS)
    return {name: _figures(speeds[name], sorted(delays[name])) for name in ways}


def _figures(speeds: list[float], ordered: list[float]) -> dict[str, float]:
    p99 = ordered[round(0.99 * (len(ordered) - 1))]
    return {"MB/s": max(speeds), "echo p50 ms": statistics.median(ordered), "echo p99 ms": p99}


@contextlib.contextmanager
def ours(image: str) -> Iterator[tuple[Way, Callable[[], float]]]:
    """A shell in a container, and how much memory its server takes now."""
    client: Any = docker.from_env(timeout=120)
    container = client.containers.run(
        image,
        detach=True,
        ports={"3000/tcp": ("127.0.0.1", None)},
        environment={**PERSON, **OPEN},
    )
    try:
        container.reload()
        url = f"http://127.0.0.1:{container.ports['3000/tcp'][0]['HostPort']}"
        terminal = _opened(url)
        url = _own_address(container) or url
        address = f"{url.replace('http', 'ws', 1)}/api/terminals/{terminal}/socket"
        with _connected(address, origin=Origin(url)) as socket_:
            yield Ours(socket_), lambda: _memory_mb(container)
    finally:
        container.remove(force=True, v=True)
        client.close()


def _own_address(container: Any) -> str | None:
    """Without the engine's own proxy before it; None where the engine is on another machine than this one."""
    for network in container.attrs["NetworkSettings"]["Networks"].values():
        with contextlib.suppress(OSError), socket.create_connection((network["IPAddress"], PORT), timeout=1):
            return f"http://{network['IPAddress']}:{PORT}"
    return None


def _connected(address: str, **options: Any) -> ClientConnection:
    """Without pings: nobody reads while it is another's turn."""
    made: ClientConnection = connect(
        address, proxy=None, max_size=None, compression=None, ping_interval=None, **options
    )
    return made


def _opened(url: str) -> str:
    with httpx.Client(base_url=url, trust_env=False, headers={"origin": url}) as http:
        while True:
            try:
                answer = http.post("/api/terminals", json={"cols": 80, "rows": 24})
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return str(answer.raise_for_status().json()["id"])


def _memory_mb(container: Any) -> float:
    """Of the largest process: the server. What ends while it is looked at is left out."""
    look = "for one in /proc/[0-9]*/status; do grep -h VmRSS $one 2>/dev/null; done"
    found = container.exec_run(["bash", "-c", look], user="jarvis")
    return max(int(line.split()[1]) for line in found.output.decode().splitlines()) / 1024


@contextlib.contextmanager
def ttyd() -> Iterator[Way | None]:
    program = shutil.which("ttyd")
    if not program:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "--writable", "--interface", "127.0.0.1", "--port", str(port), "bash", "-l"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with _patiently(f"ws://127.0.0.1:{port}/ws") as socket_:
            yield Ttyd(socket_)
    finally:
        process.kill()
        process.wait()


def _patiently(address: str) -> ClientConnection:
    while True:
        try:
            return _connected(address, subprotocols=[Subprotocol("tty")])
        except OSError:
            time.sleep(0.05)


@contextlib.contextmanager
def bare() -> Iterator[Way]:
    """A shell on a pseudo-terminal of this machine."""
    here, there = os.openpty()
    command = ["setsid", "--ctty", "bash", "-l"]
    process = subprocess.Popen(command, stdin=there, stdout=there, stderr=there)
    os.close(there)
    try:
        yield Pty(here)
    finally:
        process.kill()
        process.wait()
        os.close(here)


def measure(image: str, megabytes: int, keys: int) -> dict[str, dict[str, float]]:
    with bare() as floor, ttyd() as other, ours(image) as (way, memory_mb):
        ways: dict[str, Way] = {"the pseudo-terminal alone": floor, "the workspace": way}
        if other:
            ways["ttyd"] = other
        before = memory_mb()
        result = rows(ways, megabytes, keys)
        result["the workspace"]["server MB before"] = before
        result["the workspace"]["server MB after"] = memory_mb()
    return result


def table(result: dict[str, dict[str, float]]) -> str:
    columns = list(result["the workspace"])
    lines = [f"{'way':<28}" + "".join(f"{name:>18}" for name in columns)]
    for way, figures in result.items():
        cells = (f"{figures[name]:>18.2f}" if name in figures else f"{'-':>18}" for name in columns)
        lines.append(f"{way:<28}{''.join(cells)}")
    if "ttyd" not in result:
        lines.append("ttyd is not installed on this machine: there is nothing to compare with")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=100, help="for each round (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--image", default="my-jarvis:latest")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    given = parser.parse_args()
    result = measure(given.image, given.megabytes, given.keys)
    print(json.dumps(result, indent=2) if given.json else table(result))


if __name__ == "__main__":
    main()
