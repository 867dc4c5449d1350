"""How a time was spent, from single answers: what nobody looked at is never up."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fly.alarm.uptime import HOLDS, Answer, stretches, uptime

START = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
MONTH_S = (END - START).total_seconds()
MINUTES = st.integers(-5000, 50_000)
ANSWERS = st.lists(
    st.builds(lambda minute, ok: Answer(START + timedelta(minutes=minute), ok), MINUTES, st.booleans()),
    max_size=60,
)


def answers(*told: tuple[float, bool]) -> list[Answer]:
    return [Answer(START + timedelta(minutes=minute), ok) for minute, ok in told]


def test_nobody_looked() -> None:
    found = uptime([], START, END)
    assert found.share is None
    assert found.unknown_s == MONTH_S
    assert found.known_share == 0


def test_always_up() -> None:
    found = uptime(answers(*((5 * beat, True) for beat in range(12 * 24 * 30))), START, END)
    assert (found.share, found.known_share) == (1.0, 1.0)


def test_one_bad_answer_counts_until_the_next_good_one() -> None:
    told = answers((0, True), (5, False), (10, True))
    found = uptime(told, START, START + timedelta(minutes=20))
    assert (found.up_s, found.down_s, found.unknown_s) == (15 * 60, 5 * 60, 0)


def test_a_gap_is_unknown_from_when_the_last_answer_no_longer_holds() -> None:
    told = answers((0, True), (600, True))
    found = uptime(told, START, START + timedelta(minutes=615))
    assert found.up_s == 2 * HOLDS.total_seconds()
    assert found.unknown_s == (600 - 15) * 60
    assert found.share == 1.0


def test_an_answer_from_before_counts_as_far_as_it_holds() -> None:
    found = uptime(answers((-10, False)), START, START + timedelta(minutes=60))
    assert (found.down_s, found.unknown_s) == (5 * 60, 55 * 60)


def test_what_comes_after_the_end_does_not_count() -> None:
    assert uptime(answers((60 * 24 * 31, True)), START, END).up_s == 0


@given(ANSWERS)
def test_the_parts_are_always_the_whole(told: list[Answer]) -> None:
    found = uptime(told, START, END)
    assert found.up_s + found.down_s + found.unknown_s == pytest.approx(MONTH_S)
    assert min(found.up_s, found.down_s, found.unknown_s) >= 0


@given(ANSWERS)
def test_stretches_follow_each_other_and_differ(told: list[Answer]) -> None:
    found = stretches(told, START, END)
    assert (found[0].start, found[-1].end) == (START, END)
    for one, other in pairwise(found):
        assert one.end == other.start
        assert one.ok is not other.ok


@given(ANSWERS)
def test_more_answers_never_make_less_known(told: list[Answer]) -> None:
    known = [uptime(told[:count], START, END).known_share for count in range(len(told) + 1)]
    assert known == sorted(known)


@given(ANSWERS, st.integers(0, 30 * 24 * 60))
def test_a_month_in_two_halves_is_the_same_month(told: list[Answer], minute: int) -> None:
    middle = START + timedelta(minutes=minute)
    halves = [uptime(told, START, middle), uptime(told, middle, END)]
    whole = uptime(told, START, END)
    assert sum(half.up_s for half in halves) == pytest.approx(whole.up_s)
    assert sum(half.down_s for half in halves) == pytest.approx(whole.down_s)
