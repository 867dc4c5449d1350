"""Bars of characters."""

import pytest

from fly.watch.bars import EIGHTHS, bars
from fly.watch.wording import percent, size, span


def test_the_highest_bar_reaches_the_top_and_half_of_it_the_middle() -> None:
    drawn = bars([10, 5, None], ["a", "b", "c"], 40).splitlines()
    assert drawn[0].startswith("    10 ┤███████")
    assert [line.count("█") for line in drawn[:5]] == [7, 7, 7, 14, 14]
    assert drawn[2].count("▄") == 7
    assert drawn[6].split() == ["a", "b", "c"]


def test_what_is_there_at_all_is_seen() -> None:
    assert EIGHTHS[1] in bars([1000, 0.001], ["a", "b"], 40)
    assert EIGHTHS[1] not in bars([1000, 0], ["a", "b"], 40)


@pytest.mark.parametrize("width", [9, 20, 40, 80, 200])
@pytest.mark.parametrize("count", [1, 7, 60, 400])
def test_no_line_is_wider_than_the_terminal_but_for_a_name(width: int, count: int) -> None:
    drawn = bars([float(number) for number in range(count)], [""] * count, width)
    assert max(len(line) for line in drawn.splitlines()) <= width


def test_bars_that_share_a_place_are_as_high_as_their_highest() -> None:
    drawn = bars([0.0] * 99 + [8.0], [str(number) for number in range(100)], 18)
    assert drawn.splitlines()[0].endswith("█")


def test_nothing_at_all_is_drawn_as_nothing() -> None:
    assert not set(bars([None, 0.0], ["a", "b"], 40)) & set(EIGHTHS.strip())


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (span(-3), "0 s"),
        (span(99), "99 s"),
        (span(150), "2 min"),
        (span(7200), "2 h"),
        (span(3 * 86400), "3 days"),
        (size(40 << 10), "40 KB"),
        (size(12 << 20), "12 MB"),
        (size(1.5 * (1 << 30)), "1.5 GB"),
        (percent(0.256), "26 %"),
    ],
)
def test_figures_are_told_as_people_read_them(told: str, words: str) -> None:
    assert told == words
