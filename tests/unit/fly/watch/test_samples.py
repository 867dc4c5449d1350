"""The record of what was measured."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fly.errors import PlanError
from fly.watch.metrics import METRICS
from fly.watch.samples import KEPT_DAYS, WHOLE_DAYS, Sample, Samples

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=WHOLE_DAYS + 1)
EVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def samples(folder: Path) -> Iterator[Samples]:
    with Samples(folder / "watch.sqlite") as opened:
        yield opened


def at(minutes: float, metric: str, value: float, *, who: str = "a", start: datetime = NOW) -> Sample:
    return Sample(start + timedelta(minutes=minutes), who, metric, value)


def values(samples: Samples, metric: str, who: str | None = "a") -> list[float]:
    return [one.value for one in samples.series(who, metric, EVER, NOW + timedelta(days=1))]


def test_what_was_added_comes_back_oldest_first(samples: Samples) -> None:
    later, sooner = at(5, "cpu_ratio", 0.5), at(0, "cpu_ratio", 0.25)
    samples.add([later, sooner, at(0, "cpu_ratio", 9, who="b"), at(0, "awake", 1)])
    assert samples.series("a", "cpu_ratio", EVER, NOW + timedelta(hours=1)) == [sooner, later]


def test_a_series_begins_at_since_and_ends_before_until(samples: Samples) -> None:
    samples.add([at(minute, "awake", minute) for minute in range(4)])
    found = samples.series("a", "awake", NOW + timedelta(minutes=1), NOW + timedelta(minutes=3))
    assert [one.value for one in found] == [1, 2]


def test_a_series_can_be_of_every_workspace(samples: Samples) -> None:
    samples.add([at(0, "awake", 1), at(0, "awake", 0, who="b")])
    found = samples.series(None, "awake", EVER, NOW + timedelta(days=1))
    assert [(one.workspace_id, one.value) for one in found] == [("a", 1), ("b", 0)]


def test_the_first_sample_of_a_moment_stands(samples: Samples) -> None:
    assert samples.add([at(0, "awake", 1)]) == 1
    assert samples.add([at(0, "awake", 0), at(1, "awake", 0)]) == 1
    assert values(samples, "awake") == [1, 0]


def test_a_metric_that_nobody_described_is_refused_and_nothing_is_added(samples: Samples) -> None:
    with pytest.raises(PlanError, match="cpu_ration"):
        samples.add([at(0, "awake", 1), at(0, "cpu_ration", 1)])
    assert samples.latest("a") == {}


def test_the_latest_of_each_metric_is_found_for_many_workspaces_at_once(samples: Samples) -> None:
    samples.add([at(0, "awake", 1), at(1, "awake", 0), at(0, "cpu_ratio", 0.5), at(0, "awake", 1, who="b")])
    found = samples.latest_of(["a", "b", "nobody"])
    assert {name: one.value for name, one in found["a"].items()} == {"awake": 0, "cpu_ratio": 0.5}
    assert found["b"] == samples.latest("b")
    assert found["nobody"] == {}


@pytest.mark.parametrize(
    ("metric", "folded"), [("cpu_ratio", [3.0]), ("egress_bytes", [9.0]), ("disk_used_bytes", [4.0])]
)
def test_an_old_hour_becomes_one_sample_as_its_metric_says(
    samples: Samples, metric: str, folded: list[float]
) -> None:
    samples.add([at(minute, metric, value, start=OLD) for minute, value in ((0, 2), (20, 3), (40, 4))])
    assert samples.thin(NOW) == 3
    assert values(samples, metric) == folded
    assert samples.latest("a")[metric] == at(40, metric, folded[0], start=OLD)


@pytest.mark.parametrize(
    ("metric", "folded"), [("cpu_ratio", 3.0), ("egress_bytes", 9.0), ("disk_used_bytes", 4.0)]
)
def test_what_comes_late_joins_its_hour(samples: Samples, metric: str, folded: float) -> None:
    samples.add([at(minute, metric, value, start=OLD) for minute, value in ((0, 2), (40, 4))])
    samples.thin(NOW)
    samples.add([at(20, metric, 3, start=OLD)])
    samples.thin(NOW)
    assert values(samples, metric) == [folded]


def test_no_two_hours_and_no_two_workspaces_are_mixed(samples: Samples) -> None:
    samples.add(
        [at(0, "awake", 1, start=OLD), at(60, "awake", 0, start=OLD), at(0, "awake", 0, who="b", start=OLD)]
    )
    samples.thin(NOW)
    assert values(samples, "awake", None) == [1, 0, 0]


def test_young_samples_and_single_events_stay_whole(samples: Samples) -> None:
    samples.add([at(minute, "wake_ms", 100 + minute, start=OLD) for minute in range(3)])
    samples.add([at(minute, "awake", 1) for minute in range(3)])
    assert samples.thin(NOW) == 0
    assert values(samples, "wake_ms") == [100, 101, 102]
    assert values(samples, "awake") == [1, 1, 1]


def test_after_four_hundred_days_a_sample_goes(samples: Samples) -> None:
    samples.add([at(0, name, 1, start=NOW - timedelta(days=KEPT_DAYS + 1)) for name in METRICS])
    samples.thin(NOW)
    assert samples.latest("a") == {}


def test_nobody_rewrites_or_erases_what_is_young(samples: Samples) -> None:
    samples.add([Sample(datetime.now(UTC), "a", "awake", 1)])
    with closing(sqlite3.connect(samples.path)) as database:
        for statement in ("UPDATE samples SET value = 2", "DELETE FROM samples"):
            with pytest.raises(sqlite3.IntegrityError):
                database.execute(statement)
    assert samples.latest("a")["awake"].value == 1


def test_every_metric_has_a_unit_and_a_meaning() -> None:
    assert all(one.unit and one.meaning and name == one.name for name, one in METRICS.items())
