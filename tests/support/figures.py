"""Measured figures, reported beside the tests' verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class Figures:
    """Reports what one test measured."""

    def __init__(self, properties: list[tuple[str, Any]]) -> None:
        self._properties = properties

    def times(self, what: str, seconds: Sequence[float]) -> None:
        """How long something took, over repeated tries."""
        in_ms = [one * 1000 for one in seconds]
        self._report(
            what,
            p50_ms=round(percentile(in_ms, 50), 1),
            p99_ms=round(percentile(in_ms, 99), 1),
            min_ms=round(min(in_ms), 1),
            n=len(in_ms),
        )

    def ratio(self, what: str, value: float) -> None:
        self._report(what, ratio=round(value, 2))

    def _report(self, what: str, **values: float) -> None:
        self._properties.append(("figure", {"what": what, **values}))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
