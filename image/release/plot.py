"""Lines over releases, days or hours, as SVG that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 200
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 34


@dataclass(frozen=True)
class Series:
    """One line; None where nothing was measured. `style` is the class of its colour."""

    label: str
    values: Sequence[float | None]
    style: str


def plot(names: Sequence[str], series: Sequence[Series], unit: str, over: str = "verifications") -> str:
    """The values of each series over what `names` names, the oldest first; nothing if there are none.

    `over` says what is named.
    """
    known = [value for one in series for value in one.values if value is not None]
    if not known:
        return ""
    step = _step(max(known))
    top = step * (int(max(known) / step) + 1)
    parts = [_grid(top, step, unit), _names(names)]
    parts += [_line(one, len(names), top, unit, names) for one in series]
    label = escape(f"{', '.join(one.label for one in series)} in {unit}, over {len(names)} {over}")
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _step(highest: float) -> float:
    """A round distance between grid lines, of which there are two to five."""
    size = 10.0 ** (len(str(int(highest))) - 1) if highest >= 1 else 0.1
    return next(size * factor for factor in (0.2, 0.5, 1, 2, 5) if highest / (size * factor) < 5)


def _x(index: int, count: int) -> float:
    room = WIDTH - LEFT - RIGHT
    return LEFT + room / 2 if count == 1 else LEFT + 16 + (room - 32) * index / (count - 1)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _grid(top: float, step: float, unit: str) -> str:
    lines = []
    for number in range(int(top / step + 0.5) + 1):
        value, y = number * step, _y(number * step, top)
        text = f"{value:g}" + (f" {unit}" if number * step + step > top else "")
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(lines)


def _names(names: Sequence[str]) -> str:
    every = max(1, (len(names) + 5) // 6)
    return "".join(
        f'<text class="tick" x="{_x(index, len(names)):.1f}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(name)}</text>"
        for index, name in enumerate(names)
        if (len(names) - 1 - index) % every == 0
    )


def _line(one: Series, count: int, top: float, unit: str, names: Sequence[str]) -> str:
    points = [
        (_x(index, count), _y(value, top), value, names[index])
        for index, value in enumerate(one.values)
        if value is not None
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
        f"<title>{escape(f'{one.label}: {value:g} {unit} ({name})')}</title></circle>"
        for x, y, value, name in points
    )
    return f'<g class="{one.style}"><polyline points="{path}"/>{dots}</g>'
