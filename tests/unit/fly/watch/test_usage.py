"""What a workspace used over some days."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fly.errors import PlanError
from fly.ledger import Workspace
from fly.money.usage import COMPUTE, Span
from fly.plan import Person
from fly.watch.samples import Sample, Samples
from fly.watch.usage import MOST_BARS, MOST_DAYS, Usage, drawn, page, usage
from tests.support.world import World

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def samples(folder: Path) -> Iterator[Samples]:
    with Samples(folder / "watch.sqlite") as opened:
        yield opened


@pytest.fixture
def workspace(world: World) -> Workspace:
    return world.provision()


def running(workspace: Workspace, start: datetime, hours: float) -> Span:
    end = start + hours * HOUR
    return Span(COMPUTE, workspace.id, start, end, Decimal(1), "iad", "shared", 1, "m1")


def chart(found: Usage, title: str) -> list[float | None]:
    return next(list(one.values) for one in found.charts if one.title == title)


def test_hours_awake_and_cost_are_told_for_each_day(samples: Samples, workspace: Workspace) -> None:
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    spans = [running(workspace, midnight - 2 * HOUR, 3), running(workspace, NOW - HOUR, 5)]
    found = usage(samples, workspace, spans, 2, NOW)
    assert chart(found, "Awake") == [0, 2, 1 + 1]
    assert found.awake_h == 4
    assert chart(found, "Cost") == pytest.approx([0, 1.86, 1.86], abs=0.01)
    assert found.cost_usd == pytest.approx(Decimal("0.0372"), abs=Decimal("0.0001"))


def test_what_somebody_else_used_is_not_hers(samples: Samples, workspace: Workspace) -> None:
    others = Span(COMPUTE, "another", NOW - HOUR, NOW, Decimal(1), "iad", "shared", 1, "m2")
    samples.add([Sample(NOW - HOUR, "another", "cpu_ratio", 1.0)])
    found = usage(samples, workspace, [others], 1, NOW)
    assert found.is_empty
    assert (found.awake_h, found.cost_usd) == (0.0, Decimal(0))


def test_means_last_values_and_sums_are_of_the_time_of_their_bar(
    samples: Samples, workspace: Workspace
) -> None:
    at = NOW.replace(minute=0)
    for minute, value in ((5, 1.0), (10, 3.0)):
        moment = at + timedelta(minutes=minute)
        samples.add(Sample(moment, workspace.id, name, value) for name in ("cpu_ratio", "egress_bytes"))
        samples.add([Sample(moment, workspace.id, "disk_used_bytes", value * (1 << 30))])
    found = usage(samples, workspace, [], 1, NOW)
    assert chart(found, "CPU")[-2:] == [None, 200.0]
    assert chart(found, "Disk")[-1] == 3.0
    assert found.sent_bytes == 4.0


@pytest.mark.parametrize("days", [1, 2, 7, 30, 365, MOST_DAYS])
def test_there_are_never_more_bars_than_a_line_can_show(
    samples: Samples, workspace: Workspace, days: int
) -> None:
    found = usage(samples, workspace, [], days, NOW)
    assert len(chart(found, "CPU")) <= MOST_BARS
    assert found.start <= NOW - timedelta(days=days * 0.9)
    assert all(len(drawn(one, 80).splitlines()) == 8 for one in found.charts)


@pytest.mark.parametrize("days", [0, -1, MOST_DAYS + 1])
def test_days_that_make_no_sense_are_refused(samples: Samples, workspace: Workspace, days: int) -> None:
    with pytest.raises(PlanError, match=f"{days} days"):
        usage(samples, workspace, [], days, NOW)


def test_the_page_needs_nothing_else_and_no_name_breaks_it(samples: Samples, world: World) -> None:
    workspace = world.ledger.edit(world.provision().id, Person("<b>Noa", "noa@example.com"))
    samples.add([Sample(NOW - HOUR, workspace.id, "cpu_ratio", 0.5)])
    text = page(usage(samples, workspace, [], 1, NOW))
    assert "&lt;b&gt;Noa" in text
    assert "<b>Noa" not in text
    assert "<svg" in text
    assert "Nothing was measured." in text
    assert not re.findall(r"(?:src|href)=|https?://|@import|url\(", text)
