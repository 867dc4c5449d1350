"""Counts and times of the door, for those who watch it."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

_BOUNDS_MS = (5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0)


class Times:
    """How long something took: a histogram of all, percentiles of the last 1,000."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=1000)
        self._buckets = [0] * (len(_BOUNDS_MS) + 1)

    def add(self, seconds: float) -> None:
        self._recent.append(seconds * 1000)
        self._buckets[bisect_left(_BOUNDS_MS, seconds * 1000)] += 1

    def report(self) -> dict[str, object]:
        """*Shape*: `{"count": 3, "p50_ms": 12.1, "p99_ms": 14.0, "max_ms": 14.0, "up_to_ms": {"15": 3}}`"""
        names = [f"{bound:g}" for bound in _BOUNDS_MS] + ["more"]
        return {
            "count": sum(self._buckets),
            "p50_ms": self._percentile(0.50),
            "p99_ms": self._percentile(0.99),
            "max_ms": self._percentile(1.0),
            "up_to_ms": {name: count for name, count in zip(names, self._buckets, strict=True) if count},
        }

    def _percentile(self, share: float) -> float | None:
        if not self._recent:
            return None
        return round(sorted(self._recent)[min(len(self._recent) - 1, int(share * len(self._recent)))], 3)


@dataclass(slots=True)
class Figures:
    requests: int = 0
    refused: int = 0
    retried: int = 0
    upgraded: int = 0
    failed_wakes: int = 0
    wakes: Times = field(default_factory=Times)
    """From the first request that had to wait until the machine is ready."""
    cold_answers: Times = field(default_factory=Times)
    """From a request that had to wait until the first byte of its answer."""
