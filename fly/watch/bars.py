"""Bars of characters, an eighth of a line exact: for a terminal of any width. Pure."""

from collections.abc import Iterable, Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"
LINES = 5
EDGE = 8
"""Characters for the figures beside the bars."""


def bars(values: Sequence[float | None], names: Sequence[str], width: int) -> str:
    """The values as bars beside each other, with a scale and as many names as there is room for.

    Where there are more bars than room, neighbours share one that is as high as the highest of them.
    """
    room = max(1, width - EDGE)
    share = -(-len(values) // room)
    heights = [max(group) for group in _groups([value or 0.0 for value in values], share)]
    wide = max(1, min(8, room // len(heights)))
    top = _top(heights)
    eighths = [_eighths(height, top) for height in heights]
    lines = [
        f"{_figure(top * line / LINES):>{EDGE - 2}} ┤"
        + "".join(_cell(filled - 8 * (line - 1), wide) for filled in eighths)
        for line in range(LINES, 0, -1)
    ]
    lines.append(f"{'0':>{EDGE - 2}} └" + "─" * (wide * len(heights)))
    lines.append(" " * EDGE + _named([names[number * share] for number in range(len(heights))], wide))
    return "\n".join(line.rstrip() for line in lines)


def _groups(values: Sequence[float], share: int) -> Iterable[Sequence[float]]:
    return (values[start : start + share] for start in range(0, len(values), share))


def _eighths(height: float, top: float) -> int:
    """What is there at all is seen."""
    return max(1, round(8 * LINES * height / top)) if height > 0 else 0


def _cell(filled: int, wide: int) -> str:
    """One bar's part of a line, with a gap to the next one where there is room."""
    block = EIGHTHS[min(max(filled, 0), 8)]
    return block * (wide - 1) + " " if wide > 1 else block


def _named(names: Sequence[str], wide: int) -> str:
    """Each name below the beginning of its bar, unless the one before is in its way."""
    line = ""
    for number, name in enumerate(names):
        if number * wide >= len(line) + (2 if line else 0):
            line = line.ljust(number * wide) + name
    return line


def _top(heights: Sequence[float]) -> float:
    """The lowest round figure that none is above."""
    highest = max(heights)
    if highest <= 0:
        return 1.0
    size = 1e-9
    while size * 10 <= highest:
        size *= 10
    return next(size * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= highest * 0.999)


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
