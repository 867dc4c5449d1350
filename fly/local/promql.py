"""As much of Prometheus's query language as our own tools speak: a metric chosen by labels, its mean or rise.

    fly_instance_up
    fly_volume_used_pct{app="a"}
    {__name__=~"fly_volume_size_bytes|fly_volume_used_pct"}
    rate(fly_instance_cpu{mode!="idle"}[2m])
    increase(fly_instance_net_sent_bytes[5m])
    avg_over_time(fly_instance_memory_mem_available[5m])

*Source*: Prometheus, "Querying"; where it leaves a choice, VictoriaMetrics's, which Fly runs.
"""

import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from typing import Any

LOOKBACK_S = 60.0
"""A series that has been silent for so long has no value any more."""
STEPS_AT_MOST = 11_000
NAME = "__name__"

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SELECTOR = r"(?P<name>[a-zA-Z_:][\w:]*)?\s*(?:\{(?P<labels>(?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\})?"
_PLAIN = re.compile(rf"\s*{_SELECTOR}\s*")
_RISING = re.compile(
    rf"\s*(?P<how>rate|increase|avg_over_time)\s*\(\s*{_SELECTOR}\s*\[(?P<window>\d+(?:ms|[smhdw]))\]\s*\)\s*"
)
_MATCHER = re.compile(r"\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*\"((?:[^\"\\]|\\.)*)\"\s*(?:,|$)")


class BadQuery(ValueError):  # noqa: N818 — Prometheus's own word is bad_data
    """Nothing that is understood here."""


@dataclass(frozen=True)
class Matcher:
    label: str
    sign: str
    text: str

    def fits(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.label, "")
        same = re.fullmatch(self.text, value) is not None if self.sign[-1] == "~" else value == self.text
        return same is not self.sign.startswith("!")


@dataclass(frozen=True)
class Query:
    matchers: tuple[Matcher, ...]
    how: str = ""
    """`rate` (by the second), `increase` or `avg_over_time`; else the value itself."""
    window_s: float = 0.0


@dataclass
class Series:
    """The values of one metric with one set of labels; times rise."""

    labels: dict[str, str]
    times: MutableSequence[float] = field(default_factory=lambda: array("d"))
    values: MutableSequence[float] = field(default_factory=lambda: array("d"))


def parse(text: str) -> Query:
    """*Errors*: BadQuery."""
    if found := _RISING.fullmatch(text):
        return Query(_matchers(found["name"], found["labels"]), found["how"], seconds(found["window"]))
    if found := _PLAIN.fullmatch(text):
        return Query(_matchers(found["name"], found["labels"]))
    raise BadQuery(f"{text!r}: only a metric, or rate, increase or avg_over_time of one, is understood here")


def seconds(text: str) -> float:
    """`"300"`, `"5m"`.

    *Errors*: BadQuery.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhdw])?", text)
    if not found:
        raise BadQuery(f"{text!r} is no length of time")
    return float(found[1]) * _UNITS_S[found[2] or "s"]


def _matchers(name: str | None, labels: str | None) -> tuple[Matcher, ...]:
    found = [Matcher(NAME, "=", name)] if name else []
    rest = (labels or "").strip()
    while rest:
        one = _MATCHER.match(rest)
        if not one:
            raise BadQuery(f"{rest!r} is no list of labels")
        found.append(Matcher(one[1], one[2], _text(one[3])))
        rest = rest[one.end() :].strip()
    if not found:
        raise BadQuery("a query names a metric or a label")
    for one_of in found:
        _must_compile(one_of)
    return tuple(found)


def _text(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


def _must_compile(matcher: Matcher) -> None:
    try:
        re.compile(matcher.text if matcher.sign[-1] == "~" else "")
    except re.error as error:
        raise BadQuery(f"{matcher.text!r} is no pattern: {error}") from error


def instant(query: Query, series: Sequence[Series], at: float) -> list[dict[str, Any]]:
    """*Shape*: `[{"metric": {"__name__": "up", …}, "value": [1700000000.0, "1"]}]`"""
    found = [(one, value_of(query, one, at)) for one in _chosen(query, series)]
    return [{"metric": _shown(query, one), "value": [at, str(v)]} for one, v in found if v is not None]


def ranged(
    query: Query, series: Sequence[Series], start: float, end: float, step: float
) -> list[dict[str, Any]]:
    """*Shape*: `[{"metric": {…}, "values": [[1700000000.0, "1"], …]}]`

    *Errors*: BadQuery.
    """
    if step <= 0 or end < start or (end - start) / step > STEPS_AT_MOST:
        raise BadQuery(f"a range goes forward, in at most {STEPS_AT_MOST} steps")
    moments = [start + number * step for number in range(int((end - start) / step) + 1)]
    found = []
    for one in _chosen(query, series):
        values = [[at, str(v)] for at in moments if (v := value_of(query, one, at)) is not None]
        if values:
            found.append({"metric": _shown(query, one), "values": values})
    return found


def _chosen(query: Query, series: Sequence[Series]) -> list[Series]:
    return [one for one in series if all(matcher.fits(one.labels) for matcher in query.matchers)]


def _shown(query: Query, series: Series) -> dict[str, str]:
    """What was made of a metric is another one, so it has no name."""
    return {label: text for label, text in series.labels.items() if not (query.how and label == NAME)}


def value_of(query: Query, series: Series, at: float) -> float | None:
    """The value at this moment; None where there was none lately."""
    end = bisect_right(series.times, at)
    if not query.how:
        return series.values[end - 1] if end and series.times[end - 1] > at - LOOKBACK_S else None
    first = bisect_right(series.times, at - query.window_s)
    if first == end:
        return None
    if query.how == "avg_over_time":
        return math.fsum(series.values[first:end]) / (end - first)
    if query.how == "increase":
        return _risen(series, max(first - 1, 0), end)
    # A machine that slept did nothing meanwhile: a rate is over the time in which it was looked at.
    if first and series.times[first] - series.times[first - 1] <= LOOKBACK_S:
        first -= 1
    lasted = series.times[end - 1] - series.times[first]
    return _risen(series, first, end) / lasted if lasted > 0 else None


def _risen(series: Series, first: int, end: int) -> float:
    """How much a counter rose; one that fell has begun anew at nothing."""
    values = series.values
    steps = ((values[number - 1], values[number]) for number in range(first + 1, end))
    return math.fsum(new - old if new >= old else new for old, new in steps)
