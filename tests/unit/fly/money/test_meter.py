"""What machines did, written down, and what they used."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fly.errors import LedgerError
from fly.money.meter import Meter, read_all
from fly.money.readings import Change, Reading, Seen
from fly.money.timeline import spans
from fly.money.usage import COMPUTE, ROOTFS, SNAPSHOTS, VOLUME
from tests.support.world import World

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SEEN = Seen("m1", "started", "iad", "shared", 1, 1024, "vol_1", 10, 0, 0)


def seen(**changed: object) -> Seen:
    return Seen(**vars(SEEN) | changed)


def reading(hours: float, **changed: object) -> Reading:
    at = NOON + hours * HOUR
    return Reading("A", at, at, seen(**changed))


def change(hours: float, status: str) -> Change:
    return Change("A", "m1", NOON + hours * HOUR, status)


def used(readings: list[Reading], changes: list[Change], until: float = 10) -> dict[str, Decimal]:
    """Gigabyte hours by component."""
    found: dict[str, Decimal] = {}
    for span in spans(readings, changes, NOON, NOON + until * HOUR, Decimal(1)):
        found[span.component] = found.get(span.component, Decimal(0)) + span.gb * span.seconds / 3600
    return found


def test_events_say_when_it_ran_to_the_millisecond() -> None:
    changes = [change(0, "started"), change(2, "suspended"), change(5.5, "started"), change(6, "stopped")]
    assert used([reading(9, state="stopped")], changes) == {
        COMPUTE: Decimal("2.5"), ROOTFS: Decimal("7.5"), VOLUME: Decimal(100),
    }  # fmt: skip


def test_where_events_were_lost_a_reading_speaks() -> None:
    assert used([reading(4, state="suspended")], [change(0, "started")])[COMPUTE] == 4


def test_a_larger_volume_costs_more_from_when_it_was_seen() -> None:
    assert used([reading(0), reading(6, volume_gb=20)], [])[VOLUME] == 60 + 80


def test_snapshots_count_by_what_they_hold() -> None:
    assert used([reading(0, snapshots_bytes=3 << 30)], [])[SNAPSHOTS] == 30


def test_of_what_was_never_seen_nothing_is_known() -> None:
    assert used([], [change(0, "started")]) == {}


def test_the_same_state_read_twice_is_one_row(tmp_path: Path) -> None:
    with Meter(tmp_path / "meter.sqlite") as meter:
        for hours in range(3):
            meter.note("A", SEEN, NOON + hours * HOUR, [change(0, "started")])
        meter.note("A", seen(state="stopped"), NOON + 3 * HOUR)
        assert [(one.first_at, one.last_at) for one in meter.readings("A")] == [
            (NOON, NOON + 2 * HOUR), (NOON + 3 * HOUR, NOON + 3 * HOUR),
        ]  # fmt: skip
        assert meter.changes("A") == [change(0, "started")]


def test_a_record_that_is_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / "meter.sqlite"
    path.write_text("no database" * 100)
    with pytest.raises(LedgerError, match="meter"):
        Meter(path)


def test_every_workspace_is_read_and_one_that_is_gone_is_named(world: World, tmp_path: Path) -> None:
    lilach = world.provision()
    with Meter(tmp_path / "meter.sqlite") as meter:
        assert read_all(world.client, world.ledger, meter, NOON) == []
        [found] = meter.readings(lilach.id)
        assert (found.seen.machine, found.seen.volume_gb, found.seen.memory_mb) == (
            lilach.machine_id,
            10,
            1024,
        )
        del world.fly.machines[lilach.machine_id]
        assert [one.id for one in read_all(world.client, world.ledger, meter, NOON + HOUR)] == [lilach.id]
