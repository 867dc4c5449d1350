"""Facts: read from what was looked at, measured, metered and agreed, and unknown where nobody could tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fly.alarm.caps import HOURS, Cap, Caps, Use
from fly.alarm.facts import Facts
from fly.alarm.gather import Image, Sources, awake_since, changes_of, gather, moment
from fly.alarm.rounds import Look, Told
from fly.ledger import Workspace
from fly.model import Event, Machine
from fly.money.bill import Account, Month
from fly.money.usage import COMPUTE, Span
from fly.watch.samples import Sample, Samples
from tests.support.world import IMAGE, World

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def event(status: str, at: datetime, kind: str = "", **request: Any) -> Event:
    return Event(kind or status, status, "user", round(at.timestamp() * 1000), request)


def machine(*events: Event, state: str = "started", **more: Any) -> Machine:
    return Machine("m1", state, updated_at=ago(minutes=5).isoformat(), events=events, **more)


@pytest.fixture
def samples(world: World) -> Iterator[Samples]:
    with Samples(world.ledger.path.with_name("watch.sqlite")) as samples:
        yield samples


@pytest.fixture
def sources(world: World, samples: Samples) -> Iterator[Sources]:
    with Caps(world.ledger.path) as caps:
        yield Sources(samples, {}, {}, caps, {})


@pytest.fixture
def row(world: World) -> Workspace:
    return world.provision()


def facts(row: Workspace, sources: Sources, seen: Machine | None = None, **more: Any) -> Facts:
    look = Look(row, NOW, seen or machine(), **({"trouble": ""} | more))
    [found] = gather([look], sources)
    return found


def test_of_a_machine_alone_little_is_known_and_nothing_invented(row: Workspace, sources: Sources) -> None:
    found = facts(row, sources)
    assert (found.state, found.app, found.page_trouble) == ("started", row.app, "")
    unknown = (found.disk_share, found.backup_at, found.addresses, found.cap_share, found.hours_usual_day)
    assert unknown == (None,) * 5
    assert not found.backups_are_made


def test_a_machine_that_is_gone_is_told_as_such(row: Workspace, sources: Sources) -> None:
    [found] = gather([Look(row, NOW, None, "no such machine")], sources)
    assert (found.state, found.page_trouble) == ("gone", "no such machine")


def test_it_is_awake_since_its_last_start_whatever_happened_in_between() -> None:
    events = (
        event("started", ago(hours=30)),
        event("suspended", ago(hours=20)),
        event("starting", ago(hours=9, seconds=2)),
        event("started", ago(hours=9)),
        event("started", ago(hours=1)),
    )
    assert awake_since(machine(*events)) == ago(hours=9, seconds=2)
    assert awake_since(machine(*events, state="suspended")) is None


def test_ends_that_nobody_asked_for_are_counted_for_an_hour(row: Workspace, sources: Sources) -> None:
    asked = {"exit_event": {"exit_code": 0, "requested_stop": True}}
    crash = {"exit_event": {"exit_code": 1, "requested_stop": False}}
    events = (
        event("stopped", ago(hours=2), "exit", **crash),
        event("stopped", ago(minutes=50), "exit", **crash),
        event("stopped", ago(minutes=40), "exit", **asked),
        event("stopped", ago(minutes=30), "exit", **crash),
    )
    assert facts(row, sources, machine(*events)).restarts == 2


def test_a_sleeping_disk_is_as_full_as_it_was(row: Workspace, sources: Sources, samples: Samples) -> None:
    at = ago(days=3)
    samples.add([Sample(at, row.id, "disk_used_bytes", 9e9), Sample(at, row.id, "disk_size_bytes", 10e9)])
    assert facts(row, sources, machine(state="suspended")).disk_share == pytest.approx(0.9)


def test_trouble_is_told_since_the_first_probe_that_found_it(
    row: Workspace, sources: Sources, samples: Samples
) -> None:
    for minutes, ok in ((60, 0), (45, 1), (30, 0), (15, 0)):
        samples.add([Sample(ago(minutes=minutes), row.id, "probe_ok", ok)])
    assert facts(row, sources, trouble="502").page_trouble_since == ago(minutes=30)
    assert facts(row, sources).page_trouble_since is None


def test_what_the_workspace_tells_goes_before_what_its_image_says(row: Workspace, sources: Sources) -> None:
    known = replace(sources, images={IMAGE: Image(ago(days=50), "2.1.1")})
    seen = machine(config={"image": IMAGE})
    assert facts(row, known, seen).claude == "2.1.1"
    told = facts(row, known, seen, told=Told(True, 3, 0, "2.1.2"))
    assert (told.claude, told.addresses, told.image_made) == ("2.1.2", 3, ago(days=50))


def test_backups_are_made_as_soon_as_anybody_has_one(row: Workspace, sources: Sources) -> None:
    found = facts(row, replace(sources, backups={"somebody": NOW}))
    assert (found.backups_are_made, found.backup_at) == (True, None)
    assert facts(row, replace(sources, backups={row.id: NOW})).backup_at == NOW


def test_usual_are_the_days_before_the_last_one(row: Workspace, sources: Sources) -> None:
    def ran(begin: datetime, hours: float) -> Span:
        return Span(COMPUTE, row.id, begin, begin + timedelta(hours=hours), Decimal(1), "iad", "shared", 1)

    def account(born: datetime) -> dict[str, Account]:
        spans = [ran(ago(days=day), 2) for day in range(2, 16)] + [ran(ago(hours=20), 15)]
        return {row.id: Account(row.id, "L", "l@x", born, None, spans, (), ())}

    found = facts(row, replace(sources, accounts=account(ago(days=60))))
    assert (found.hours_last_day, found.hours_usual_day) == (15, 2)
    young = facts(row, replace(sources, accounts=account(ago(days=3))))
    assert young.hours_usual_day is None, "two days tell nothing of what is usual"


def test_a_cap_that_is_lifted_is_none(row: Workspace, sources: Sources) -> None:
    month = Month.of(NOW)
    used = replace(sources, uses={row.id: Use(row.id, month, Decimal(9), Decimal(1))})
    sources.caps.set(row.id, Cap(HOURS, Decimal(10)))
    assert facts(row, used).cap_share == pytest.approx(0.9)
    sources.caps.lift(row.id, month)
    assert facts(row, used).cap_share is None


def test_the_meter_is_told_what_the_machine_says_of_itself(row: Workspace) -> None:
    look = Look(row, NOW, machine(event("started", ago(hours=1)), Event("launch")), "")
    assert [(one.status, one.at) for one in changes_of(look)] == [("started", ago(hours=1))]


@pytest.mark.parametrize("text", ["", "soon", "2026-11-23", "2026-11-23T10:00:00"])
def test_a_time_that_is_none_is_unknown(text: str) -> None:
    assert moment(text) is None
