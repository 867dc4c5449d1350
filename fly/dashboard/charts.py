"""Small plots as SVG that needs nothing else: drawn by the server, coloured by the page's style. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 380, 150
LEFT, RIGHT, TOP, BOTTOM = 48, 6, 10, 22
SPARK_WIDTH, SPARK_HEIGHT = 120, 32
STRIP_CELL, STRIP_HEIGHT = 6, 18
TARGET_R = 2.6
LEAST = 1e-9
"""What is less than that is drawn as nothing."""

Values = Sequence[float | None]
Say = Callable[[float], str]


@dataclass(frozen=True)
class Stack:
    """One layer of bars. `style` is the class of its colour; None where nothing is known."""

    label: str
    values: Values
    style: str


@dataclass(frozen=True)
class Cell:
    """One day of a strip. `style` is the class of its colour."""

    style: str
    told: str


def spark(values: Values, label: str) -> str:
    """A line of the last days without axes; where nothing is known it has a gap."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    room = (high - low) or 1.0
    step = SPARK_WIDTH / max(1, len(values) - 1)
    runs = _runs(
        [
            None if value is None else (index * step, 3 + (SPARK_HEIGHT - 6) * (1 - (value - low) / room))
            for index, value in enumerate(values)
        ]
    )
    lines = "".join(f'<polyline points="{_points(run)}"/>' for run in runs)
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" preserveAspectRatio="none"'
        f' role="img" aria-label="{escape(label)}">{lines}</svg>'
    )


def bars(days: Sequence[str], stacks: Sequence[Stack], say: Say, label: str) -> str:
    """Stacked bars, one for each day."""
    sums = [
        sum(value for value in column if value is not None)
        for column in zip(*(stack.values for stack in stacks), strict=True)
    ]
    if not any(sums):
        return ""
    top, step = scale(max(sums))
    slot = (WIDTH - LEFT - RIGHT) / len(days)
    drawn = [_grid(top, step, say)]
    below = [0.0] * len(days)
    for stack in stacks:
        for index, value in enumerate(stack.values):
            if value:
                drawn.append(_bar(index, slot, below[index], value, top, stack.style))
                below[index] += value
    for index, day in enumerate(days):
        drawn.append(_hover(index, slot, f"{day}: {_parts(stacks, index, say)}"))
    return _plot("".join(drawn) + _days(days, slot), label)


def dots(points: Sequence[tuple[float, float, str]], days: Sequence[str], say: Say, label: str) -> str:
    """One dot for each event: how many days from the left, how high, and what it tells; and their median."""
    if not points:
        return ""
    heights = sorted(height for _, height, _ in points)
    top, step = scale(heights[-1])
    slot = (WIDTH - LEFT - RIGHT) / len(days)
    middle = _y(heights[len(heights) // 2], top)
    drawn = "".join(
        f'<circle cx="{LEFT + slot * day:.1f}" cy="{_y(height, top):.1f}" r="{TARGET_R}">'
        f"<title>{escape(told)}: {escape(say(height))}</title></circle>"
        for day, height, told in points
    )
    median = f'<line class="median" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
    return _plot(_grid(top, step, say) + median + drawn + _days(days, slot), label)


def lines(days: Sequence[str], values: Values, say: Say, label: str) -> str:
    """One value for each day, joined where days follow each other."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    top, step = scale(max(known))
    slot = (WIDTH - LEFT - RIGHT) / len(days)
    at = [
        None if value is None else (LEFT + slot * (index + 0.5), _y(value, top))
        for index, value in enumerate(values)
    ]
    drawn = "".join(f'<polyline points="{_points(run)}"/>' for run in _runs(at) if len(run) > 1)
    for point, value, day in zip(at, values, days, strict=True):
        if point and value is not None:
            drawn += (
                f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="{TARGET_R}">'
                f"<title>{escape(day)}: {escape(say(value))}</title></circle>"
            )
    return _plot(_grid(top, step, say) + drawn + _days(days, slot), label)


def strip(cells: Sequence[Cell], label: str) -> str:
    """One small mark for each day."""
    width = STRIP_CELL * len(cells)
    marks = "".join(
        f'<rect class="{cell.style}" x="{index * STRIP_CELL}" y="0" width="{STRIP_CELL - 1.5}"'
        f' height="{STRIP_HEIGHT}" rx="1.5"><title>{escape(cell.told)}</title></rect>'
        for index, cell in enumerate(cells)
    )
    return (
        f'<svg class="strip" viewBox="0 0 {width} {STRIP_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}">{marks}</svg>'
    )


def scale(highest: float) -> tuple[float, float]:
    """The top of an axis and the distance of its lines, of which there are two to five; both round."""
    if highest < LEAST:
        return 1.0, 0.5
    size = 10.0 ** len(str(int(highest)))
    while size / 10 > highest:
        size /= 10
    while size * 2 / 10 > highest:
        size /= 10
    factors = (0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
    step = next(size * factor for factor in factors if highest / (size * factor) <= 4)
    count = int(highest / step - 1e-9) + 1
    return step * count, step


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [run for run in found if run]


def _points(run: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in run)


def _plot(inside: str, label: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{inside}</svg>"
    )


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value, top) / top


def _grid(top: float, step: float, say: Say) -> str:
    drawn = ""
    for number in range(round(top / step) + 1):
        y = _y(number * step, top)
        drawn += f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        drawn += (
            f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{escape(say(number * step))}</text>'
        )
    return drawn


def _days(days: Sequence[str], slot: float) -> str:
    """The names of a few days, the last among them."""
    every = max(1, (len(days) + 4) // 5)
    return "".join(
        f'<text x="{LEFT + slot * (index + 0.5):.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(day)}</text>"
        for index, day in enumerate(days)
        if (len(days) - 1 - index) % every == every // 2
    )


def _bar(index: int, slot: float, below: float, value: float, top: float, style: str) -> str:  # noqa: PLR0917
    y, foot = _y(below + value, top), _y(below, top)
    x, width = LEFT + slot * index + slot * 0.14, slot * 0.72
    high = max(0.5, foot - y)
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{high:.1f}"/>'


def _hover(index: int, slot: float, told: str) -> str:
    """What a day tells, over its whole height."""
    height = HEIGHT - TOP - BOTTOM
    return (
        f'<rect class="hover" x="{LEFT + slot * index:.1f}" y="{TOP}" width="{slot:.1f}" height="{height}">'
        f"<title>{escape(told)}</title></rect>"
    )


def _parts(stacks: Sequence[Stack], index: int, say: Say) -> str:
    told = [f"{stack.label} {say(value)}" for stack in stacks if (value := stack.values[index]) is not None]
    return ", ".join(told) or "nothing is known"
