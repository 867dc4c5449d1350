"""When a machine may sleep: a table of what was seen, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fly.local.idle import Rule, Seen, Visit, span, succeeded, verdict

RULE = Rule(idle_after_s=300, idle_stream_s=1800)
NOW = 10_000.0


def seen(
    *visits: Visit, awake_s: float = 5000, success_s: float = math.inf, busy_s: float = -math.inf
) -> Seen:
    """What was seen of a machine, told in seconds before now (and from now on, for `busy_s`)."""
    return Seen(NOW - awake_s, set(visits), NOW - success_s, NOW + busy_s)


def socket(silent_s: float) -> Visit:
    return Visit(NOW - silent_s, NOW - 3000, socket=True)


def request(silent_s: float) -> Visit:
    return Visit(NOW - 3000, NOW - silent_s, good=True)


def unanswered(since_s: float) -> Visit:
    """Its body comes, byte by byte, to this moment."""
    return Visit(NOW, NOW, NOW - since_s)


@dataclass(frozen=True)
class Case:
    seen: Seen
    may_sleep: bool
    reason: str
    sleeps_in_s: float | None
    rule: Rule = RULE
    autostop: str = "suspend"


OPEN = "an open terminal or page connection"
NEVER = "it never sleeps by itself (autostop is off)"
TABLE = {
    "never used": Case(seen(awake_s=301), True, "not used for 5 min", 0),
    "just woken": Case(seen(awake_s=10), False, "woken 10 s ago", 290),
    "used lately": Case(seen(success_s=100), False, "last used 100 s ago", 200),
    "used long ago": Case(seen(success_s=300), True, "not used for 5 min", 0),
    "autostop off": Case(seen(), False, NEVER, None, autostop="off"),
    "autostop stop": Case(seen(), True, "not used for 83 min", 0, autostop="stop"),
    "an open socket": Case(
        seen(socket(3)), False, OPEN + " (1), last byte 3 s ago", 1797
    ),
    "two open sockets": Case(
        seen(socket(500), socket(3)), False, OPEN + " (2), last byte 3 s ago", 1797
    ),
    "a silent socket": Case(seen(socket(1800)), True, "not used for 83 min", 0),
    "a silent socket beside a living one": Case(
        seen(socket(1800), socket(0)), False, OPEN + " (1), last byte 0 s ago", 1800
    ),
    "an answer under way": Case(seen(request(1)), False, "an answer under way (1), last byte 1 s ago", 1799),
    "no answer yet": Case(
        seen(unanswered(100)), False, "an answer under way (1), last byte 100 s ago", 1700
    ),
    "no answer for long": Case(seen(unanswered(1800)), True, "not used for 83 min", 0),
    "a socket and an answer": Case(
        seen(socket(60), request(1)), False, OPEN + " (1), last byte 60 s ago", 1799
    ),
    "busy": Case(seen(busy_s=25), False, "the workspace is at work, for 25 s more at least", 25),
    "busy no more": Case(seen(busy_s=0), True, "not used for 83 min", 0),
    "awake too long": Case(
        seen(socket(0), awake_s=7260, busy_s=30, success_s=0), True,
        "awake for 2 h 1 min, the longest that is allowed", 0,
        replace(RULE, max_awake_s=7200),
    ),
    "soon awake too long": Case(
        seen(socket(0), awake_s=7100), False,
        OPEN + " (1), last byte 0 s ago; it may be awake for 100 s more at most", 100,
        replace(RULE, max_awake_s=7200),
    ),
    "awake too long without autostop": Case(
        seen(awake_s=7260), False, NEVER, None,
        replace(RULE, max_awake_s=7200), "off",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_verdicts(name: str) -> None:
    case = TABLE[name]
    judged = verdict(case.seen, case.rule, case.autostop, NOW)
    assert (judged.may_sleep, judged.reason) == (case.may_sleep, case.reason)
    sleeps_in_s = None if judged.sleeps_at is None else judged.sleeps_at - NOW
    assert sleeps_in_s == (None if case.sleeps_in_s is None else pytest.approx(case.sleeps_in_s))


def test_an_open_connection_that_ends_well_counts_from_its_last_byte() -> None:
    record, visit = seen(), socket(100)
    record.visits.add(visit)
    record.left(visit, success=True)
    assert verdict(record, RULE, "stop", NOW).reason == "last used 100 s ago"


def test_an_answer_that_is_a_refusal_leaves_no_trace() -> None:
    record, visit = seen(), request(0)
    record.visits.add(visit)
    record.left(visit, success=False)
    assert verdict(record, RULE, "stop", NOW).may_sleep


def test_a_machine_that_woke_again_starts_anew() -> None:
    record = seen(success_s=10, busy_s=100)
    record.woke(NOW)
    assert verdict(record, RULE, "stop", NOW).reason == "woken 0 s ago"


@pytest.mark.parametrize(
    ("status", "good"),
    [(200, True), (204, True), (101, True), (304, True), (302, False), (404, False), (0, False)],
)
def test_only_good_answers_are_use(status: int, good: bool) -> None:
    assert succeeded(status) is good


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h 0 min"), (math.inf, "ever")],
)
def test_lengths_of_time_are_told_in_words(seconds: float, text: str) -> None:
    assert span(seconds) == text


times = st.floats(0, NOW)
visits = st.builds(Visit, times, times, times, socket=st.booleans(), good=st.booleans())
records = st.builds(
    Seen, times, st.sets(visits, max_size=4), times | st.just(-math.inf), st.floats(0, NOW + 700)
)
rules = st.builds(Rule, st.floats(0, 900), st.floats(1, 4000), st.none() | st.floats(1, 20_000))


@given(records, rules)
def test_it_sleeps_exactly_when_it_was_said_to(record: Seen, rule: Rule) -> None:
    judged = verdict(record, rule, "stop", NOW)
    assert judged.sleeps_at is not None
    assert judged.may_sleep is (judged.sleeps_at <= NOW)
    if not judged.may_sleep:
        assert verdict(record, rule, "stop", judged.sleeps_at).may_sleep
        assert not verdict(record, rule, "stop", math.nextafter(judged.sleeps_at, 0)).may_sleep


@given(records, rules, st.floats(0, 5000))
def test_who_may_sleep_may_sleep_later_too(record: Seen, rule: Rule, later_s: float) -> None:
    if verdict(record, rule, "suspend", NOW).may_sleep:
        assert verdict(record, rule, "suspend", NOW + later_s).may_sleep


@given(records, rules)
def test_autostop_off_means_never(record: Seen, rule: Rule) -> None:
    assert verdict(record, rule, "off", NOW).sleeps_at is None


@given(records, rules)
def test_a_living_connection_holds_it_unless_it_was_awake_too_long(record: Seen, rule: Rule) -> None:
    record.visits.add(Visit(NOW, NOW, good=True))
    too_long = rule.max_awake_s is not None and NOW - record.awake_since >= rule.max_awake_s
    if not too_long:
        assert not verdict(record, rule, "stop", NOW).may_sleep


@given(records, rules)
def test_there_is_always_a_reason(record: Seen, rule: Rule) -> None:
    assert verdict(record, rule, "stop", NOW).reason
