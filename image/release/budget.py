"""What a release may weigh and cost, held against what was measured; what grew is named.

Time is only ever compared as a ratio against a static server in the same image: a noisy machine slows both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fly.errors import SettingsError
from image.release.content import Content
from image.release.records import Records, Verification

GREW_BY_BYTES = 100_000
SHOWN = 3


@dataclass(frozen=True)
class Line:
    """Where a line of the budget is measured, what to multiply the figure by, and what may be at fault."""

    label: str
    figure: str
    scale: float
    unit: str
    suspects: str
    against: str = ""
    """The figure to divide by: then it is a ratio."""


def figure_name(what: str, unit: str) -> str:
    """The name that a figure of a test has in the record."""
    return f"{what}: {unit}"


LINES: Mapping[str, Line] = {
    "image_mb": Line("Image", "image: kilobytes", 1 / 1000, "MB", "layers"),
    "image_without_claude_mb": Line(
        "Image without Claude", "image without the Claude binary: kilobytes", 1 / 1000, "MB", "layers"
    ),
    "first_page_kb": Line("First page", "first page load, compressed: kilobytes", 1, "KB", "assets"),
    # The best of each: what else the machine does only ever makes a start or a wake longer.
    "cold_start_ratio": Line(
        *("Cold start, in static servers’ starts", "stopped -> 200: min_ms", 1, "×", "imports"),
        against="stopped -> 200, static server in the same image: min_ms",
    ),
    "wake_ratio": Line(
        *("Wake, in static servers’ wakes", "suspended -> 200: min_ms", 1, "×", "imports"),
        against="suspended -> 200, static server in the same image: min_ms",
    ),
    "memory_at_rest_mb": Line("Memory at rest", "memory at rest: kilobytes", 1 / 1000, "MB", "imports"),
}


@dataclass(frozen=True)
class Limit:
    """The most that is allowed of a line: what the budget says, or less, `because` of the last release."""

    most: float
    because: str = ""


def limits(
    budget: Mapping[str, float], growth: Mapping[str, float], before: Mapping[str, float]
) -> dict[str, Limit]:
    """For each line of the budget. `growth` is in per cent of the release whose figures are `before`.

    *Errors*: SettingsError for a line that nothing measures, or that may grow and has no budget.
    """
    if unknown := sorted(set(budget) - set(LINES)):
        raise SettingsError(
            f"Nothing measures the budget's {', '.join(unknown)}.", hint=f"there are: {', '.join(LINES)}"
        )
    if without := sorted(set(growth) - set(budget)):
        raise SettingsError(
            f"No budget is stated of what may grow: {', '.join(without)}.", hint="pyproject.toml"
        )
    return {name: _limit(name, most, growth.get(name), before) for name, most in budget.items()}


def _limit(name: str, most: float, percent: float | None, before: Mapping[str, float]) -> Limit:
    last = value_of(name, before)
    if percent is None or last is None or last * (1 + percent / 100) >= most:
        return Limit(most)
    because = f"{percent:g} % more than the last release's {last:.2f}"
    return Limit(last * (1 + percent / 100), because)


@dataclass(frozen=True)
class Breach:
    """A line of the budget that is not kept; `reason` says by how much, and what grew."""

    name: str
    value: float | None
    limit: float
    reason: str


def breaches(
    records: Records, number: int, content: Content, allowed: Mapping[str, Limit], last: Verification | None
) -> list[Breach]:
    """Every line that is exceeded or was not measured."""
    figures = records.figures(number)
    return [
        _breach(name, limit, figures, _grown(records, number, content, last, LINES[name].suspects))
        for name, limit in allowed.items()
        if not _is_kept(name, limit.most, figures)
    ]


def value_of(name: str, figures: Mapping[str, float]) -> float | None:
    """A line's value in its own unit."""
    line = LINES[name]
    measured, reference = figures.get(line.figure), figures.get(line.against) if line.against else 1.0
    return None if measured is None or not reference else measured * line.scale / reference


def _is_kept(name: str, limit: float, figures: Mapping[str, float]) -> bool:
    value = value_of(name, figures)
    return value is not None and value <= limit


def _breach(name: str, limit: Limit, figures: Mapping[str, float], grown: list[str]) -> Breach:
    value, unit = value_of(name, figures), LINES[name].unit
    if value is None:
        return Breach(name, None, limit.most, f"{LINES[name].figure!r} was not measured")
    reason = f"{value:.2f} {unit}, and {limit.most:.4g} are allowed"
    reason += f" ({limit.because})" if limit.because else ""
    return Breach(name, value, limit.most, "; ".join([reason, *grown]))


def _grown(
    records: Records, number: int, content: Content, last: Verification | None, suspects: str
) -> list[str]:
    """What is at fault, the worst first: what grew since the last release, or what is largest."""
    if suspects == "layers":
        return [f"{'grew' if last else 'largest'}: {one}" for one in _layers(records, content, last)]
    before = (records.kept(last.number, suspects) or {}) if last else {}
    now = records.kept(number, suspects) or {}
    unit = "ms to import" if suspects == "imports" else "KB"
    grown = sorted(((now[name] - before.get(name, 0), name) for name in now), reverse=True)[:SHOWN]
    word = "grew" if before else "largest"
    return [f"{word}: {name} {'+' if before else ''}{by:.1f} {unit}" for by, name in grown if by > 0]


def _layers(records: Records, content: Content, last: Verification | None) -> list[str]:
    changes = layer_changes(content.to_json(), records.facts(last.image) if last else {})
    grown = [one for one in changes if one["delta_bytes"] > GREW_BY_BYTES]
    ordered = sorted(grown, key=lambda one: -int(one["delta_bytes"]))[:SHOWN]
    return [
        f"{_called(one['made_by'])} {'+' if last else ''}{one['delta_bytes'] / 1e6:.1f} MB" for one in ordered
    ]


def layer_changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each layer with its size, and how much larger it is than the one in its place before.

    Layers that both have are the same to the last byte. Of the others those stand for each other that the
    same line of the Dockerfile made (what it copies aside), or that are at the same place.
    """
    old = {layer["diff_id"]: layer for layer in before.get("layers", [])}
    layers = now["layers"]
    kept = {layer["diff_id"] for layer in layers} & set(old)
    gone = [layer for layer in before.get("layers", []) if layer["diff_id"] not in kept]
    changes = []
    for layer in layers:
        match = old.get(layer["diff_id"]) or _match(layer, gone)
        if match in gone:
            gone.remove(match)
        size_before = match["size_bytes"] if match else 0
        state = "same" if layer["diff_id"] in kept else "changed" if match else "new"
        changes.append({**layer, "state": state, "delta_bytes": layer["size_bytes"] - size_before})
    removed = [
        {**one, "state": "removed", "delta_bytes": -one["size_bytes"], "size_bytes": 0} for one in gone
    ]
    return [*changes, *removed]


def _match(layer: Mapping[str, Any], gone: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The closest in size of those that were made in the same way."""
    alike = [one for one in gone if _way(one["made_by"]) == _way(layer["made_by"])]
    return min(alike, key=lambda one: abs(one["size_bytes"] - layer["size_bytes"]), default=None)


def _way(made_by: str) -> str:
    return " ".join(made_by.split()[:2]).split(":")[0]


def _called(made_by: str) -> str:
    return f"“{made_by[:70]}…”" if len(made_by) > 70 else f"“{made_by}”"
