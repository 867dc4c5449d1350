"""What the operator may know of a workspace: a few numbers, never what is in it or who came.

From how many places somebody who is in has come within the last hour: counted by hashes under a key that is
drawn anew at every start and kept nowhere, forgotten after the hour. No address is written down or logged.
"""

import asyncio
import hashlib
import ipaddress
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webapp.jsonfile import save_object

HOUR_S = 3600.0
TOLD_EVERY_S = 5.0
MOST = 1000
"""More places than that are as suspicious as this many."""

Facts = Callable[[], dict[str, Any]]


class Places:
    """From how many places people came; `clock` goes on while the machine sleeps."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._seen: dict[bytes, float] = {}

    def note(self, address: str) -> None:
        mark = hashlib.blake2b(_place(address).encode(), key=self._key, digest_size=16).digest()
        if mark in self._seen or len(self._seen) < MOST:
            self._seen[mark] = self._clock()

    def count(self) -> int:
        """Within the last hour."""
        since = self._clock() - HOUR_S
        self._seen = {mark: at for mark, at in self._seen.items() if at > since}
        return len(self._seen)


def _place(address: str) -> str:
    """One network at somebody's home has many addresses of IPv6, and changes them all the time."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


async def keep_told(path: Path, facts: Facts) -> None:
    """For ever: the facts in a file that the operator's tools read through the platform."""
    told: dict[str, Any] | None = None
    while True:
        if (now := facts()) != told:
            await asyncio.to_thread(save_object, path, now, "What the operator may know")
            told = now
        await asyncio.sleep(TOLD_EVERY_S)
