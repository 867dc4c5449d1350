"""What the dashboard tells of a fleet, and how it is drawn."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fly.alarm.uptime import Uptime
from fly.dashboard import charts, page
from fly.dashboard.charts import Cell, Stack
from fly.dashboard.look import look
from fly.dashboard.overview import Making, Overview, add, by_day, day_of, days_until, makings
from fly.desk import Desk
from fly.ledger import Ledger
from fly.money.verbs import accounts_of
from fly.plan import Person
from fly.settings import Secret, Settings
from fly.watch.samples import Sample
from tests.support.fleet import evening, populate
from tests.support.world import World

AMOUNTS = st.lists(st.one_of(st.none(), st.floats(0, 1e7)), min_size=1, max_size=40)


@pytest.fixture
def settings(folder: Path) -> Settings:
    return Settings(root=folder, home=folder, token=Secret(""))


def seen(world: World, settings: Settings, now: datetime) -> Overview:
    here = Desk(settings, world.client.platform, world.client, world.ledger)
    return look(settings, world.client, world.ledger, accounts_of(here), now)


def test_a_fleet_with_a_month_behind_it(world: World, settings: Settings) -> None:
    now = evening()
    populate(world, settings, now, users=6)
    found = seen(world, settings, now)
    assert [len(found.users), len(found.alerts), found.provisioned] == [6, 3, (6, 6)]
    assert found.connected == (6, 6)
    assert 0.97 < (found.uptime.share or 0) < 1
    assert 0 < found.uptime.known_share < 1, "days on which cron did not run are not known"
    assert sum(user.hours for user in found.users) > 50
    assert sum(found.compute_by_day) + sum(found.storage_by_day) == pytest.approx(
        float(found.cost), rel=0.5
    ), "thirty days beside the month so far"
    shown = page.whole(found)
    for user in found.users:
        assert user.row.name in shown
    assert "None" not in re.sub(r"<[^>]*>", "", shown)


def test_of_an_empty_fleet_it_says_what_to_type(world: World, settings: Settings) -> None:
    shown = page.whole(seen(world, settings, evening()))
    assert "invoke onboard" in shown
    assert "invoke meter" in shown
    assert '<svg class="plot"' not in shown


def test_a_platform_that_cannot_be_asked_leaves_what_is_known_here(world: World, settings: Settings) -> None:
    now = evening()
    populate(world, settings, now, users=6)
    world.fly.inject(0, "no connection", lasting="all")
    found = seen(world, settings, now)
    assert found.trouble
    assert [user.state for user in found.users] == ["unknown"] * 6
    assert "Chloé Martin" in page.whole(found)


def test_a_name_that_holds_markup_is_shown_as_it_is(world: World, settings: Settings) -> None:
    world.provision(Person("<script>alert(1)</script>", "eve@example.com"))
    shown = page.whole(seen(world, settings, datetime.now(UTC)))
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)" in shown


def test_what_failed_and_what_was_made_is_told_from_the_ledgers_history(world: World) -> None:
    world.provision()
    world.fly.inject(3, "422", lasting="same")
    with pytest.raises(Exception, match="failed"):
        world.provision(Person("Noa", "noa@example.com"))
    world.fly.heal()
    rows = world.ledger.workspaces(everything=True)
    with Ledger(world.ledger.path) as ledger:
        history = {row.id: ledger.history(row.id) for row in rows}
    made, failed = makings(rows, history, datetime.now(UTC) - timedelta(days=1))
    assert made.seconds is not None
    assert failed == Making("Noa", failed.at, None)
    assert makings(rows, history, datetime.now(UTC) + timedelta(days=1)) == []


# --- arithmetic -----------------------------------------------------------------------------------


def test_days_are_those_of_utc_and_end_today() -> None:
    days = days_until(datetime(2026, 3, 1, 0, 30, tzinfo=UTC))
    assert (days[-1], days[-2]) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC))
    assert day_of(days[5] + timedelta(hours=23, minutes=59), days) == 5
    assert day_of(days[0] - timedelta(microseconds=1), days) is None
    assert day_of(days[-1] + timedelta(days=1), days) is None


def test_a_day_tells_its_median() -> None:
    days = days_until(datetime(2026, 3, 1, 12, tzinfo=UTC))
    told = [Sample(days[3] + timedelta(hours=hour), "W", "probe_ms", hour) for hour in (1, 2, 9)]
    found = by_day(told, days)
    assert found[3] == 2
    assert found[4] is None


def test_uptimes_add_up() -> None:
    assert add([Uptime(1, 2, 3), Uptime(10, 20, 30)]) == Uptime(11, 22, 33)
    assert add([]).share is None


@pytest.mark.parametrize(
    ("share", "told"), [(None, "–"), (1.0, "100%"), (0.99999, "99.99%"), (0.9968, "99.68%"), (0.5, "50.0%")]
)
def test_what_was_down_for_a_second_is_never_called_all(share: float | None, told: str) -> None:
    assert page._percent(share) == told


# --- plots ----------------------------------------------------------------------------------------


@given(st.floats(1e-6, 1e9))
def test_an_axis_is_round_and_reaches_above_the_highest(highest: float) -> None:
    top, step = charts.scale(highest)
    assert top >= highest * (1 - 1e-9)
    assert 1 <= round(top / step) <= 5
    assert top <= highest * 2.5 + step


@given(AMOUNTS)
@example([5e-324])
@example([0.0, None, 0.0])
def test_every_plot_is_sound_and_stays_within_its_frame(values: list[float | None]) -> None:
    days = [f"{number} Nov" for number in range(len(values))]
    points = [(float(number), value, "x") for number, value in enumerate(values) if value is not None]
    say = "{:.3g}".format
    for svg in (
        charts.bars(days, [Stack("a", values, "one"), Stack("b", values, "two")], say, "a & b"),
        charts.lines(days, values, say, "<lines>"),
        charts.dots(points, days, say, "dots"),
        charts.spark(values, "spark"),
        charts.strip([Cell("up", "a < b")] * len(values), "strip"),
    ):
        if not svg:
            continue
        root = ET.fromstring(svg)
        assert root.attrib["aria-label"]
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for one in root.iter():
            assert 0 <= float(one.attrib.get("y", 0)) <= height
            assert 0 <= float(one.attrib.get("cy", 0)) <= height
            assert float(one.attrib.get("x", 0)) <= width
            assert float(one.attrib.get("height", 1)) >= 0


def test_where_nothing_is_known_a_line_has_a_gap() -> None:
    svg = charts.lines(["a", "b", "c", "d", "e"], [1, 2, None, 4, 5], str, "gap")
    assert svg.count("<polyline") == 2
    assert charts.lines(["a"], [None], str, "nothing") == ""


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    shown = page.FOLDER
    for file in shown.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org)", text), file.name
        assert " style=" not in text, f"{file.name}: the policy forbids it"


def test_a_drawn_page_has_no_style_of_its_own(world: World, settings: Settings) -> None:
    now = evening()
    populate(world, settings, now, users=6)
    found = seen(world, settings, now)
    assert " style=" not in page.whole(replace(found, trouble="x"))
