"""Waiting for something to become true, and noticing soon when it never will."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from image.patience import patience

T = TypeVar("T")
GROWTH, LONGEST_S = 1.3, 0.25
"""Each look costs a processor's time, which who is waited for could use."""
HOPE_EVERY_S = 0.5


class NeverHappenedError(AssertionError):
    """What was waited for did not come."""


def wait_until(
    probe: Callable[[], T | None],
    what: str,
    *,
    timeout_s: float = 30,
    interval_s: float = 0.02,
    hopeless: Callable[[], str] = lambda: "",
) -> T:
    """The first true answer of `probe`, which is asked after `interval_s` and then less and less often.

    `timeout_s` is meant for a free machine; on a busy one it is longer, as the load is at that moment.
    Errors: `NeverHappenedError` after `timeout_s`, or soon after `hopeless` has a reason; it names `what`.
    """
    began = time.monotonic()
    hoped = -HOPE_EVERY_S
    while not (answer := probe()):
        waited_s = time.monotonic() - began
        if waited_s - hoped >= HOPE_EVERY_S:
            hoped = waited_s
            if reason := hopeless():
                raise NeverHappenedError(f"waited for {what}, but {reason}")
        if waited_s > timeout_s * patience():
            raise NeverHappenedError(f"waited {waited_s:.1f} s for {what}; last answer: {answer!r}")
        time.sleep(interval_s)
        interval_s = max(interval_s, min(interval_s * GROWTH, LONGEST_S))
    return answer
