"""A long day in minutes: does anything get lost, grow or slow down?

    python benchmarks/soak.py [--requests 100000] [--sockets 2000] [--cycles 500] [--json]

The door, in a process of its own before a small page: requests over connections that come and go, WebSockets
that stay open meanwhile and are each asked for echoes, then a page that dies under open requests. Nothing may
be lost, and memory and file descriptors of the door have to come back to where they were after a few rounds.

Then the whole embedded platform with a container of the image: it is suspended and woken through the door
again and again, killed and started anew half way; the last fifth of the latencies is put beside the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.door import SMALL, SWITCH, request, running, serve_door, serve_origin
from fly.local.limits import Limits
from tests.support.operator import Operator

AT_ONCE = 64
REQUESTS_A_CONNECTION = 50
ECHOES = 5
OPEN_WHEN_IT_DIES = 200
TOLD_WITHIN_S = Limits().hold_s + 30
"""So long the door waits for a page to start anew before it says that there is none."""
WARM_UPS = 3
"""The allocator keeps what it once needed: memory is at home only after a few rounds."""
MEMORY_SLACK_MB = 4.0
SLOWER_AT_MOST = 1.3
"""The last fifth of the wakes, to the first: what comes with the cycles is a leak."""
FRAME = b"\x82\x20" + b"e" * 32


@dataclass
class Tally:
    """What a part of the day came to."""

    facts: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def expect(self, holds: bool, complaint: str) -> None:
        if not holds:
            self.complaints.append(complaint)


# The door by itself.


@contextlib.contextmanager
def door_and_page() -> Iterator[tuple[int, int, int]]:
    """The door's port and process, and the page's process."""
    with (
        running(serve_origin) as (origin_port, origin_pid, _),
        running(serve_door, origin_port, origin_pid) as (port, pid, _control),
    ):
        yield port, pid, origin_pid


async def visits(port: int, wanted: int) -> int:
    """Answers that came whole, over connections that are each used for a while."""
    left = wanted

    async def visitor() -> int:
        nonlocal left
        whole = 0
        while left > 0:
            share = min(REQUESTS_A_CONNECTION, left)
            left -= share
            whole += await one_connection(port, share)
        return whole

    return sum(await asyncio.gather(*(visitor() for _ in range(AT_ONCE))))


async def one_connection(port: int, times: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    whole = 0
    try:
        for _ in range(times):
            writer.write(request("/"))
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(len(SMALL.partition(b"\r\n\r\n")[2]))
            whole += head.startswith(b"HTTP/1.1 200") and body == SMALL.partition(b"\r\n\r\n")[2]
    finally:
        writer.close()
    return whole


class Socket:
    """One WebSocket through the door, to a page that echoes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Socket:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/ws", "Connection: Upgrade", "Upgrade: websocket"))
        if not (await reader.readuntil(b"\r\n\r\n")).startswith(SWITCH[:12]):
            raise RuntimeError("the door did not agree to a WebSocket")
        return cls(reader, writer)

    async def echoes(self) -> bool:
        self._writer.write(FRAME)
        return await self._reader.readexactly(len(FRAME)) == FRAME

    def close(self) -> None:
        self._writer.close()


async def sockets_and_visits(port: int, sockets: int, requests: int) -> tuple[int, int]:
    """Whole answers and right echoes."""
    opened = [await Socket.open(port) for _ in range(sockets)]
    whole = right = 0
    for _ in range(ECHOES):
        whole += await visits(port, requests // ECHOES)
        right += sum(await asyncio.gather(*(one.echoes() for one in opened)))
    for one in opened:
        one.close()
    return whole, right


async def dies_under_visitors(port: int, origin_pid: int) -> int:
    """How many of those who waited for a page that died were told so."""
    os.kill(origin_pid, signal.SIGSTOP)
    waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(OPEN_WHEN_IT_DIES)]
    for _, writer in waiting:
        writer.write(request("/"))
    await asyncio.sleep(0.5)
    os.kill(origin_pid, signal.SIGKILL)
    told = 0
    for reader, writer in waiting:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TOLD_WITHIN_S)
        told += answer.startswith((b"HTTP/1.1 502", b"HTTP/1.1 503", b"HTTP/1.1 504"))
        writer.close()
    return told


def memory_mb(pid: int) -> float:
    """What the process itself holds, files of libraries not counted."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def settled(pid: int, wanted: int) -> int:
    """Descriptors, once connections that are about to close are closed."""
    deadline = time.monotonic() + 15
    while descriptors(pid) > wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return descriptors(pid)


def soak_the_door(requests: int, sockets: int) -> Tally:
    tally = Tally()
    with door_and_page() as (port, pid, origin_pid):
        at_first = descriptors(pid)
        for _ in range(WARM_UPS):
            uvloop.run(sockets_and_visits(port, sockets, requests // 10))
        before_mb = memory_mb(pid)
        whole, right = uvloop.run(sockets_and_visits(port, sockets, requests))
        after_mb, left_open = memory_mb(pid), settled(pid, at_first)
        told = uvloop.run(dies_under_visitors(port, origin_pid))
        left_open_dead = settled(pid, at_first)
        tally.facts = {
            "requests": requests, "answered": whole, "sockets": sockets, "echoes": right,
            "memory_mb": [round(before_mb, 1), round(after_mb, 1)],
            "descriptors": [at_first, left_open, left_open_dead], "told_that_the_page_died": told,
        }  # fmt: skip
    tally.expect(whole == requests // ECHOES * ECHOES, f"{requests - whole} requests were lost")
    tally.expect(right == sockets * ECHOES, f"{sockets * ECHOES - right} echoes were lost")
    tally.expect(after_mb <= before_mb + MEMORY_SLACK_MB, f"memory grew by {after_mb - before_mb:.1f} MB")
    tally.expect(left_open <= at_first, f"{left_open - at_first} descriptors were left open")
    tally.expect(told == OPEN_WHEN_IT_DIES, "a dead page left visitors without an answer")
    tally.expect(left_open_dead <= at_first, "a dead page left descriptors open")
    return tally


# The whole platform.


def soak_the_platform(cycles: int) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        operator = Operator(Path(folder) / "home")
        operator.runs("up")
        try:
            return _cycled(operator, cycles)
        finally:
            operator.runs("down", "--destroy", "--keep-cache", "--yes")


def _cycled(operator: Operator, cycles: int) -> Tally:
    tally, took_ms, lost = Tally(), [], 0
    about, user = operator.reads("platform"), operator.reads("users")[0]
    opened = []
    for number in range(cycles):
        if number == cycles // 2:
            about = _restarted(operator, about)
        _suspend(about, user)
        began = time.perf_counter()
        lost += operator.visits(user["url"]).status_code != 200
        took_ms.append((time.perf_counter() - began) * 1000)
        opened.append(descriptors(about["pid"]))
    fifth = max(1, cycles // 5)
    first, last = statistics.median(took_ms[:fifth]), statistics.median(took_ms[-fifth:])
    growth = max(opened[-fifth:]) - max(opened[cycles // 2 : cycles // 2 + fifth])
    tally.facts = {
        "cycles": cycles, "lost": lost,
        "first_fifth_p50_ms": round(first, 1), "last_fifth_p50_ms": round(last, 1),
        "last_to_first": round(last / first, 2), "descriptors_grew_by": growth,
    }  # fmt: skip
    tally.expect(lost == 0, f"{lost} visits did not wake the machine")
    tally.expect(
        last / first <= SLOWER_AT_MOST, f"the last wakes took {last / first:.2f}x the first ones' time"
    )
    tally.expect(growth <= 3, f"the platform holds {growth} descriptors more than before")
    return tally


def _suspend(about: dict[str, Any], user: dict[str, Any]) -> None:
    machine = f"{about['api_url']}/v1/apps/{user['app']}/machines/{user['machine_id']}"
    headers = {"authorization": f"Bearer {about['token']}"}
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as api:
        api.post(f"{machine}/suspend").raise_for_status()
        api.get(f"{machine}/wait", params={"state": "suspended"}).raise_for_status()


def _restarted(operator: Operator, about: dict[str, Any]) -> dict[str, Any]:
    """Killed, and started again by the operator: the machine is still there."""
    os.kill(about["pid"], signal.SIGKILL)
    operator.runs("up")
    found: dict[str, Any] = operator.reads("platform")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--cycles", type=int, default=500, help="0 leaves the platform out")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    parts = {"door": soak_the_door(given.requests, given.sockets)}
    if given.cycles:
        parts["platform"] = soak_the_platform(given.cycles)
    if given.json:
        print(json.dumps({name: vars(one) for name, one in parts.items()}, indent=2))
    else:
        for name, one in parts.items():
            print(f"{name}: {'; '.join(one.complaints) or 'nothing lost, nothing grew'}")
            for fact, value in one.facts.items():
                print(f"  {fact.replace('_', ' '):26}{value}")
    return 1 if any(one.complaints for one in parts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
