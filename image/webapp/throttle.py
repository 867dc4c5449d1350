"""Slows guessing down, per address and over all, in bounded memory and whatever connection it comes by."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

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

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paid: OrderedDict[str, float] = OrderedDict()  # until when an address has used its rate up
        self._paid_over_all = 0.0
        self._trusted: OrderedDict[str, None] = OrderedDict()

    def take(self, address: str) -> float:
        """0 if an attempt may be made, which counts it; else in how many seconds.

        What one address may not do costs the others nothing; where somebody has signed in before, nobody
        elsewhere can use the common rate up.
        """
        now, place = self._clock(), _place(address)
        of_it = max(self._paid.get(place, 0.0), now)
        over_all = max(self._paid_over_all, now)
        wait_s = _wait_s(of_it, now, OF_AN_ADDRESS)
        if not wait_s and place not in self._trusted:
            wait_s = _wait_s(over_all, now, OVER_ALL)
        if not wait_s:
            _remember(self._paid, place, of_it + OF_AN_ADDRESS.every_s)
            self._paid_over_all = over_all + OVER_ALL.every_s
        return wait_s

    def was_right(self, address: str) -> None:
        """After an attempt that was taken: it did not count."""
        place = _place(address)
        self._paid.pop(place, None)
        self._paid_over_all -= OVER_ALL.every_s
        _remember(self._trusted, place, None)


def _wait_s(paid_until: float, now: float, rate: Rate) -> float:
    return max(0.0, paid_until - now - (rate.burst - 1) * rate.every_s)


def _remember(known: OrderedDict[str, T], place: str, value: T) -> None:
    known[place] = value
    known.move_to_end(place)
    if len(known) > REMEMBERED:
        known.popitem(last=False)


def _place(address: str) -> str:
    """Who has one address of IPv6 has 2^64 of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "elsewhere"
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
