"""Waiting for something to become true, and noticing at once when it never will."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from image.patience import patience

T = TypeVar("T")


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
    """The first true answer of `probe`.

    `timeout_s` is meant for a free machine; on a busy one it is longer, as the load is at that moment.
    Errors: `NeverHappenedError` after `timeout_s`, or as soon as `hopeless` gives a reason; it names `what`.
    """
    began = time.monotonic()
    while not (answer := probe()):
        if reason := hopeless():
            raise NeverHappenedError(f"waited for {what}, but {reason}")
        if (waited_s := time.monotonic() - began) > timeout_s * patience():
            raise NeverHappenedError(f"waited {waited_s:.1f} s for {what}; last answer: {answer!r}")
        time.sleep(interval_s)
    return answer
