"""Each check: what it finds, from when on, and what it says is to be done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fly.alarm.checks import CHECKS, Limits, run
from fly.alarm.facts import Disagreement, Facts, Fleet
from fly.alarm.findings import CRITICAL, FINE, WARNING, Finding, worst

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = Facts(
    id="W1",
    name="Lilach",
    app="lilach-myjarvis-x",
    url="https://lilach-myjarvis-x.fly.dev",
    now=NOW,
    state="started",
    state_since=NOW - timedelta(hours=2),
    awake_since=NOW - timedelta(hours=2),
    certificate_until=NOW + timedelta(days=60),
    disk_share=0.4,
    backup_at=NOW - timedelta(hours=12),
    backups_are_made=True,
    born=NOW - timedelta(days=90),
    image_made=NOW - timedelta(days=10),
    claude="2.1.330",
    addresses=2,
    hours_last_day=5.0,
    hours_usual_day=4.0,
    cost_usd=Decimal(2),
    cap="20 h a month",
    cap_share=0.3,
)


def fleet(*workspaces: Facts, **more: Any) -> Fleet:
    whole: dict[str, Any] = {"newest_claude": "2.1.330", "metered_at": NOW - timedelta(minutes=30)}
    return Fleet(NOW, workspaces, **whole | more)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def found(**changes: Any) -> list[Finding]:
    return run(fleet(replace(WELL, **changes)))


def test_of_a_workspace_that_is_well_nothing_is_found() -> None:
    assert found() == []
    assert worst([]) == FINE


def test_a_sleeping_workspace_is_well() -> None:
    assert found(state="suspended", state_since=ago(days=20), awake_since=None, addresses=None) == []


def test_what_nobody_could_tell_is_no_trouble() -> None:
    known = ("id", "name", "app", "url", "now", "state")
    bare = Facts(**{name: getattr(WELL, name) for name in known})
    assert [one for check in CHECKS if (one := check(bare, Limits()))] == []


@pytest.mark.parametrize(
    ("changes", "kind", "level", "told"),
    [
        ({"state": "gone"}, "down", CRITICAL, "no such machine"),
        ({"state": "failed"}, "down", CRITICAL, "has failed"),
        ({"host_trouble": "unreachable"}, "down", CRITICAL, "unreachable"),
        ({"state": "starting", "state_since": ago(minutes=11)}, "down", CRITICAL, "starting for 11 min"),
        ({"page_trouble": "no answer in time"}, "down", CRITICAL, "no answer in time"),
        ({"failing": ("health: no answer in 5 s",)}, "unhealthy", CRITICAL, "no answer in 5 s"),
        ({"restarts": 3}, "unhealthy", WARNING, "3 times within an hour"),
        ({"disk_share": 0.80}, "disk", WARNING, "80% full"),
        ({"disk_share": 0.93}, "disk", CRITICAL, "93% full"),
        ({"backup_at": ago(hours=36)}, "backup", WARNING, "36 h old"),
        ({"backup_at": ago(days=4)}, "backup", CRITICAL, "4 days old"),
        ({"backup_at": None}, "backup", CRITICAL, "she has no backup"),
        ({"image_made": ago(days=45)}, "image", WARNING, "45 days ago"),
        ({"claude": "2.1.99"}, "claude", WARNING, "2.1.99"),
        ({"addresses": 5}, "shared", WARNING, "5 places"),
        ({"hours_last_day": 12.0}, "spike", WARNING, "12.0 h within a day; usual are 4.0 h"),
        ({"awake_since": ago(hours=16)}, "awake", WARNING, "awake for 16 h"),
        ({"awake_since": ago(hours=48)}, "awake", CRITICAL, "awake for 2 days"),
        ({"cap_share": 0.80}, "cap", WARNING, "80% of her cap of 20 h a month"),
        ({"cap_share": 1.02, "is_paused": True}, "cap", WARNING, "she sees a page that says so"),
        ({"certificate_until": NOW + timedelta(days=21)}, "certificate", WARNING, "ends on 2026-12-14"),
        ({"certificate_until": NOW - timedelta(days=1)}, "certificate", CRITICAL, "ended on 2026-11-22"),
    ],
)  # fmt: skip
def test_a_trouble_is_found_once_and_named(changes: dict[str, Any], kind: str, level: int, told: str) -> None:
    [one] = found(**changes)
    assert (one.kind, one.level, one.about, one.who) == (kind, level, "W1", "Lilach")
    assert told in one.what
    assert one.cure


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "starting", "state_since": ago(minutes=9)},
        {"state": "stopped", "failing": ("health: old",), "awake_since": None},
        {"failing": ("health: refused",), "state_since": ago(minutes=2)},
        {"restarts": 2},
        {"disk_share": 0.799},
        {"backup_at": ago(hours=35)},
        {"backup_at": None, "born": ago(hours=20)},
        {"image_made": ago(days=44)},
        {"claude": "2.1.1000"},
        {"addresses": 4},
        {"hours_last_day": 5.9, "hours_usual_day": 0.5},
        {"awake_since": ago(hours=15)},
        {"cap_share": 0.79},
        {"certificate_until": NOW + timedelta(days=22)},
    ],
)
def test_just_below_its_limit_nothing_is_found(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


def test_the_worst_is_told_first_and_decides_the_exit_code() -> None:
    told = found(disk_share=0.85, page_trouble="no answer in time")
    assert [one.kind for one in told] == ["down", "disk"]
    assert worst(told) == CRITICAL
    assert worst(told[1:]) == WARNING


def test_where_the_platform_cannot_be_asked_that_alone_is_told() -> None:
    [one] = run(fleet(unreachable="connection refused"))
    assert (one.kind, one.level) == ("platform", CRITICAL)


def test_ledger_and_platform_that_disagree_are_told_one_by_one() -> None:
    differing = [Disagreement("orphan", app, "not in this ledger") for app in ("one", "two")]
    told = run(fleet(WELL, disagreements=tuple(differing)))
    assert [one.who for one in told] == ["one", "two"]
    assert len({one.key for one in told}) == 2


@pytest.mark.parametrize(
    ("metered_at", "level"), [(None, WARNING), (ago(hours=6), WARNING), (ago(days=1), CRITICAL)]
)
def test_a_meter_that_stands_still_is_told_since_nothing_is_billed(
    metered_at: datetime | None, level: int
) -> None:
    [one] = run(fleet(WELL, metered_at=metered_at))
    assert (one.kind, one.level) == ("meter", level)


def test_that_nobody_is_backed_up_is_told_once_and_not_for_each() -> None:
    without = replace(WELL, backups_are_made=False, backup_at=None)
    told = run(fleet(without, replace(without, id="W2")))
    assert [(one.kind, one.about) for one in told] == [("backup", "fleet")]


def test_an_empty_fleet_is_well() -> None:
    assert run(fleet(metered_at=None)) == []
