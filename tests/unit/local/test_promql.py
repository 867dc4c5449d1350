"""The part of Prometheus's query language that the platform understands."""

from array import array
from typing import Any

import pytest

from fly.local.promql import NAME, BadQuery, Series, instant, parse, ranged, seconds, value_of


def series(name: str, *points: tuple[float, float], **labels: str) -> Series:
    return Series(
        {NAME: name, **labels},
        array("d", [at for at, _ in points]),
        array("d", [value for _, value in points]),
    )


COUNTER = series("sent", (0, 100), (15, 130), (30, 10), (45, 40))
"""It began anew between 15 and 30."""


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("up", True),
        ("down", False),
        ('up{app="a"}', True),
        ('up{app="a",}', True),
        ('up{app="a", region!="iad"}', True),
        ('up{app=~"b|a"}', True),
        ('up{app=~"b|ab"}', False),
        ('up{app!~"b.*"}', True),
        ('{__name__=~"up|down"}', True),
        ('{app="a"}', True),
        ('up{host=""}', True),
        ("rate(up[1m])", True),
        (' increase( up{app="a"}[90s] ) ', True),
    ],
)
def test_a_query_chooses_by_name_and_labels(query: str, fits: bool) -> None:
    one = series("up", (0, 1), (15, 2), app="a", region="fra")
    assert bool(instant(parse(query), [one], 20.0)) is fits


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{}",
        "up[5m]",
        "rate(up)",
        "sum(up)",
        "up + 1",
        'up{app="a"',
        'up{app=~"("}',
        "up{app=a}",
        "rate(up[x])",
    ],
)
def test_what_is_not_understood_is_refused_in_words(query: str) -> None:
    with pytest.raises(BadQuery):
        parse(query)


def test_a_value_is_the_last_one_unless_that_is_long_ago() -> None:
    one = series("up", (100, 1), (115, 2))
    values = [value_of(parse("up"), one, at) for at in (99.0, 100.0, 120.0, 170.0, 180.0)]
    assert values == [None, 1, 2, 2, None]


def test_an_increase_loses_nothing_when_a_counter_begins_anew() -> None:
    assert value_of(parse("increase(sent[1m])"), COUNTER, 45.0) == 30 + 10 + 30


def test_increases_of_neighbouring_times_add_up_to_all_of_it() -> None:
    halves = [value_of(parse("increase(sent[20s])"), COUNTER, at) for at in (20.0, 40.0, 60.0)]
    assert sum(half or 0 for half in halves) == value_of(parse("increase(sent[60s])"), COUNTER, 60.0)


def test_what_rose_while_nobody_looked_counts_where_it_was_seen() -> None:
    slept = series("sent", (0, 5), (3600, 25))
    assert value_of(parse("increase(sent[1m])"), slept, 3605.0) == 20


def test_a_rate_is_over_the_time_in_which_it_was_looked_at() -> None:
    slept = series("cpu", (0, 0), (3600, 10), (3615, 25))
    assert value_of(parse("rate(cpu[1m])"), slept, 3620.0) == 1.0
    assert value_of(parse("rate(cpu[1m])"), slept, 3605.0) is None


def test_a_mean_is_of_what_was_seen_in_the_time() -> None:
    assert value_of(parse("avg_over_time(sent[20s])"), COUNTER, 30.0) == (130 + 10) / 2
    assert value_of(parse("avg_over_time(sent[20s])"), COUNTER, 90.0) is None


def test_what_rises_has_no_name_of_its_own() -> None:
    [found] = instant(parse("rate(sent[1m])"), [COUNTER], 45.0)
    assert found["metric"] == {}
    [found] = instant(parse("sent"), [COUNTER], 45.0)
    assert found == {"metric": {NAME: "sent"}, "value": [45.0, "40.0"]}


def test_a_range_has_a_value_for_each_step_at_which_there_is_one() -> None:
    [found] = ranged(parse("up"), [series("up", (0, 1), (15, 2))], 0.0, 300.0, 30.0)
    assert found["values"] == [[0.0, "1.0"], [30.0, "2.0"], [60.0, "2.0"]]


@pytest.mark.parametrize(("start", "end", "step"), [(10, 0, 1), (0, 10, 0), (0, 1e6, 1)])
def test_a_range_that_makes_no_sense_is_refused(start: float, end: float, step: float) -> None:
    with pytest.raises(BadQuery):
        ranged(parse("up"), [COUNTER], start, end, step)


@pytest.mark.parametrize(("text", "found"), [("300", 300.0), ("1.5", 1.5), ("5m", 300.0), ("1d", 86400.0)])
def test_lengths_of_time(text: str, found: Any) -> None:
    assert seconds(text) == found
