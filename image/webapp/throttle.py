"""Slows guessing down, per address and over all, in bounded memory and whatever connection it comes by.

What it has counted outlives the server: who makes it start anew, or waits until it sleeps, gains nothing, and
where the owner has signed in stays free. Addresses are kept as hashes under the workspace's own key.
"""

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

REMEMBERED = 1024


@dataclass(frozen=True)
class Rate:
    """So many at once, then one each `every_s`."""

    burst: int
    every_s: float


OF_AN_ADDRESS = Rate(burst=6, every_s=10)
OVER_ALL = Rate(burst=60, every_s=1)


class Throttle:
    """Counts attempts, those of each address and those of all together; one that was right is given back."""

    def __init__(
        self, stored: Mapping[str, Any] | None = None, key: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        """As a former one has `stored` it; `clock` goes on while the machine sleeps."""
        stored, self._clock = stored or {}, clock
        self._key = hashlib.blake2b(key.encode()).digest()
        self._paid = OrderedDict(_moments(stored.get("paid")))  # until when an address has used its rate up
        self._paid_over_all = _moment(stored.get("paid_over_all"))
        self._trusted = OrderedDict.fromkeys(_texts(stored.get("trusted")))

    def json(self) -> dict[str, Any]:
        """What the next one needs."""
        now = self._clock()
        paid = {place: until for place, until in self._paid.items() if until > now}
        return {"paid": paid, "paid_over_all": self._paid_over_all, "trusted": list(self._trusted)}

    def take(self, address: str) -> float:
        """0 if an attempt may be made, which counts it; else in how many seconds.

        What one address may not do costs the others nothing; where somebody has signed in before, nobody
        elsewhere can use the common rate up.
        """
        now, place = self._clock(), self._mark(address)
        of_it = _used_up(self._paid.get(place, 0.0), now, OF_AN_ADDRESS)
        over_all = _used_up(self._paid_over_all, now, OVER_ALL)
        wait_s = _wait_s(of_it, now, OF_AN_ADDRESS)
        if not wait_s and place not in self._trusted:
            wait_s = _wait_s(over_all, now, OVER_ALL)
        if not wait_s:
            _remember(self._paid, place, of_it + OF_AN_ADDRESS.every_s)
            self._paid_over_all = over_all + OVER_ALL.every_s
        return wait_s

    def was_right(self, address: str) -> None:
        """After an attempt that was taken: it did not count."""
        place = self._mark(address)
        self._paid.pop(place, None)
        self._paid_over_all -= OVER_ALL.every_s
        _remember(self._trusted, place, None)

    def _mark(self, address: str) -> str:
        return hashlib.blake2b(_place(address).encode(), key=self._key, digest_size=16).hexdigest()


def _used_up(until: float, now: float, rate: Rate) -> float:
    """Never further ahead than the rate allows: a clock that was set back locks nobody out for long."""
    return min(max(until, now), now + rate.burst * rate.every_s)


def _wait_s(paid_until: float, now: float, rate: Rate) -> float:
    return max(0.0, paid_until - now - (rate.burst - 1) * rate.every_s)


def _remember(known: OrderedDict[str, T], place: str, value: T) -> None:
    known[place] = value
    known.move_to_end(place)
    if len(known) > REMEMBERED:
        known.popitem(last=False)


def _moments(stored: object) -> dict[str, float]:
    return {str(place): _moment(one) for place, one in stored.items()} if isinstance(stored, dict) else {}


def _moment(stored: object) -> float:
    """A whole number may be too large for any clock, and a text is none."""
    try:
        found = float(stored) if isinstance(stored, int | float) else 0.0
    except OverflowError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def _texts(stored: object) -> list[str]:
    return [one for one in stored if isinstance(one, str)] if isinstance(stored, list) else []


def _place(address: str) -> str:
    """Who has one address of IPv6 has 2^64 of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "elsewhere"
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
