"""Measured figures, reported beside the tests' verdicts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROPERTY = "figure"


class Figures:
    """Reports what one test measured."""

    def __init__(self, topic: str, properties: list[tuple[str, Any]]) -> None:
        self._topic = topic
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

    def size(self, what: str, size_bytes: int) -> None:
        self._report(what, kilobytes=round(size_bytes / 1000, 1))

    def _report(self, what: str, **values: float) -> None:
        self._properties.append((PROPERTY, {"topic": self._topic, "what": what, **values}))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def worded(figure: dict[str, Any]) -> str:
    """One line for people."""
    values = (f"{name} {value}" for name, value in figure.items() if name not in {"topic", "what"})
    return f"{figure['what']}: {'  '.join(values)}"


def write(folder: Path, image: str, figures: Sequence[dict[str, Any]]) -> None:
    """One file for each topic, such as `latency.json`."""
    folder.mkdir(exist_ok=True)
    for topic in {figure["topic"] for figure in figures}:
        about = [figure for figure in figures if figure["topic"] == topic]
        content = json.dumps({"image": image, "figures": about}, indent=2)
        (folder / f"{topic}.json").write_text(content + "\n", encoding="utf-8")
