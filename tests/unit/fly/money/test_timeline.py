"""From what was seen to what was used, for whatever was seen: nothing twice, nothing forgotten."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from fly.money.readings import Change, Reading, Seen
from fly.money.timeline import GONE, RUNNING, spans
from fly.money.usage import COMPUTE, IPV4, ROOTFS, VOLUME, Span

BORN = datetime(2028, 2, 28, 20, tzinfo=UTC)
LASTS = timedelta(days=3)
GB = Decimal("0.75")
moments = st.integers(-3600, int(LASTS.total_seconds()) + 3600).map(lambda s: BORN + timedelta(seconds=s))
statuses = st.sampled_from(
    ["created", "starting", "started", "stopping", "stopped", "suspended", "destroyed"]
)


@st.composite
def sightings(draw: st.DrawFn) -> Reading:
    memory_mb, volume_gb = draw(st.sampled_from([1024, 2048])), draw(st.sampled_from([10, 20]))
    seen = Seen(
        "m1", draw(statuses), "iad", "shared", 1, memory_mb, "v1", volume_gb, 0, draw(st.integers(0, 2))
    )
    at = draw(moments)
    return Reading("A", at, at, seen)


changes = st.builds(Change, st.just("A"), st.just("m1"), moments, statuses)


def at(found: list[Span], moment: datetime, component: str) -> list[Span]:
    return [one for one in found if one.component == component and one.start <= moment < one.end]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(sightings(), min_size=1, max_size=5, unique_by=lambda one: one.first_at),
    st.lists(changes, max_size=8, unique_by=lambda one: one.at),
    st.lists(moments, max_size=5),
)
def test_at_any_moment_it_is_what_was_told_last(
    readings: list[Reading], told: list[Change], asked: list[datetime]
) -> None:
    readings.sort(key=lambda one: one.first_at)
    found = spans(readings, told, BORN, BORN + LASTS, GB)
    for moment in [one for one in asked if BORN <= one < BORN + LASTS]:
        heard = [(one.first_at, 0, one.seen.state) for one in readings] + [
            (one.at, 1, one.status) for one in told
        ]
        state = max((one for one in heard if one[0] <= moment), default=(0, 0, "created"))[2]
        seen = ([one for one in readings if one.first_at <= moment] or readings[:1])[-1].seen
        running = at(found, moment, COMPUTE)
        assert len(running) == (state in RUNNING)
        assert [one.gb for one in running] in ([], [Decimal(seen.memory_mb) / 1024])
        assert len(at(found, moment, ROOTFS)) == (state not in RUNNING | GONE)
        assert [one.gb for one in at(found, moment, VOLUME)] == [seen.volume_gb]
        assert len(at(found, moment, IPV4)) == seen.dedicated_ipv4


@settings(max_examples=60, deadline=None)
@given(
    st.lists(sightings(), min_size=1, max_size=5, unique_by=lambda one: one.first_at),
    st.lists(changes, max_size=8),
)
def test_spans_of_a_thing_do_not_overlap_and_are_as_few_as_can_be(
    readings: list[Reading], told: list[Change]
) -> None:
    found = spans(sorted(readings, key=lambda one: one.first_at), told, BORN, BORN + LASTS, GB)
    for component in (COMPUTE, ROOTFS, VOLUME):
        mine = [one for one in found if one.component == component]
        assert all(one.start < one.end for one in mine)
        for before, after in pairwise(mine):
            assert before.end < after.start or (before.end == after.start and before.gb != after.gb)
    whole = sum((one.seconds for one in found if one.component == VOLUME), Decimal(0))
    assert whole == int(LASTS.total_seconds())


def test_a_workspace_that_moved_has_one_machine_at_a_time() -> None:
    """The old one's stop comes after the new one's start: it is not taken for the new one's."""
    old = Seen("m1", "started", "iad", "shared", 1, 1024, "v1", 10, 0, 0)
    new = Seen("m2", "started", "fra", "shared", 2, 2048, "v2", 10, 0, 0)
    hour = timedelta(hours=1)
    told = [
        Change("A", "m1", BORN, "started"),
        Change("A", "m2", BORN + 2 * hour, "started"),
        Change("A", "m1", BORN + 2.1 * hour, "stopped"),
        Change("A", "m1", BORN + 2.2 * hour, "destroyed"),
    ]
    readings = [
        Reading("A", BORN + hour, BORN + hour, old),
        Reading("A", BORN + 3 * hour, BORN + 4 * hour, new),
    ]
    found = spans(readings, told, BORN, BORN + 5 * hour, GB)
    assert [(one.component, one.thing, one.region, int(one.gb), int(one.seconds)) for one in found] == [
        (COMPUTE, "m1", "iad", 1, 7200),
        (COMPUTE, "m2", "fra", 2, 3 * 3600),
        (VOLUME, "v1", "iad", 10, 7200),
        (VOLUME, "v2", "fra", 10, 3 * 3600),
    ]
