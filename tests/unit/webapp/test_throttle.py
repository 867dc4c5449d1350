"""Guessing is slow whatever is tried, the memory it takes is bounded, and it locks nobody else out."""

from __future__ import annotations

import itertools
import json
import sys

from hypothesis import given
from hypothesis import strategies as st
from webapp.throttle import OF_AN_ADDRESS, OVER_ALL, REMEMBERED, Throttle

ADDRESSES = st.sampled_from(
    ["203.0.113.7", "203.0.113.8", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::", "no", ""]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.just(10**400) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
STEPS = st.lists(st.tuples(ADDRESSES, st.floats(min_value=0, max_value=30)), max_size=120)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(STEPS)
def test_no_pattern_gets_more_attempts_than_its_rate(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    taken: dict[str, list[float]] = {}
    for address, pause_s in steps:
        clock.now += pause_s
        if throttle.take(address) == 0:
            taken.setdefault(address, []).append(clock.now)
    for times in taken.values():
        assert _most_within(times, 60) <= OF_AN_ADDRESS.burst + 60 / OF_AN_ADDRESS.every_s
    assert (
        _most_within(sorted(itertools.chain.from_iterable(taken.values())), 60)
        <= OVER_ALL.burst + 60 / OVER_ALL.every_s
    )


def _most_within(times: list[float], span_s: float) -> int:
    return max((sum(start <= time < start + span_s for time in times) for start in times), default=0)


@given(STEPS)
def test_who_waits_as_long_as_she_is_told_may_try(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    for address, pause_s in steps:
        clock.now += pause_s
        if wait_s := throttle.take(address):
            clock.now += wait_s + 1e-6
            assert throttle.take(address) == 0


def test_many_addresses_together_are_slow_too_and_where_somebody_signed_in_is_not_locked_out() -> None:
    throttle = Throttle(clock=Clock())
    assert throttle.take("198.51.100.1") == 0
    throttle.was_right("198.51.100.1")
    tried = [throttle.take(f"10.0.{n // 250}.{n % 250}") == 0 for n in range(500)]
    assert sum(tried) == OVER_ALL.burst
    assert throttle.take("10.9.9.9") > 0
    assert throttle.take("198.51.100.1") == 0


def test_its_memory_is_bounded() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    for n in range(3 * REMEMBERED):
        clock.now += 2
        throttle.take(f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")
    assert len(throttle._paid) == REMEMBERED
    assert sys.getsizeof(throttle._paid) < 1 << 20


@given(STEPS)
def test_a_start_anew_between_any_two_attempts_changes_nothing(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    lasting, restarted = Throttle(clock=clock), Throttle(clock=clock)
    for number, (address, pause_s) in enumerate(steps):
        clock.now += pause_s
        restarted = Throttle(json.loads(json.dumps(restarted.json())), clock=clock)
        waits = lasting.take(address), restarted.take(address)
        assert waits[0] == waits[1]
        if not waits[0] and number % 5 == 0:
            lasting.was_right(address)
            restarted.was_right(address)


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    clock.now = 1e9
    while not throttle.take("203.0.113.7"):
        pass
    clock.now = 0.0
    assert throttle.take("203.0.113.7") <= OF_AN_ADDRESS.every_s
    assert throttle.take("203.0.113.8") <= OVER_ALL.every_s


def test_what_is_kept_names_no_address() -> None:
    throttle = Throttle(key="of this workspace", clock=Clock())
    throttle.take("203.0.113.7")
    throttle.was_right("203.0.113.7")
    throttle.take("203.0.113.8")
    assert "203.0.113" not in json.dumps(throttle.json())
    other = Throttle(key="of another", clock=Clock())
    other.take("203.0.113.8")
    assert not other.json()["paid"].keys() & throttle.json()["paid"].keys()


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("paid", "paid_over_all", "trusted"), JSON)))
def test_whatever_lies_on_the_disk_the_next_attempt_is_possible_within_seconds(
    stored: dict[str, object],
) -> None:
    assert Throttle(stored, clock=Clock()).take("203.0.113.7") <= OF_AN_ADDRESS.every_s
