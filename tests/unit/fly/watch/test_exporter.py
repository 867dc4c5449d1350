"""What a Prometheus may read, and the dashboard that rests on it."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import fly.watch.exporter
from fly.model import Activity
from fly.plan import Person
from fly.watch.exporter import Fleet
from fly.watch.measured import Reading
from fly.watch.metrics import METRICS, SHARED, TIMED
from fly.watch.samples import Sample
from fly.watch.status import Known, Status
from tests.support.world import IMAGE, World

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DASHBOARD = json.loads((Path(fly.watch.exporter.__file__).with_name("grafana.json")).read_text())
FLY = Path(fly.watch.exporter.__file__).parents[1]
DESCRIBING = {"metrics.py", "exporter.py", "verbs.py", "status.py"}
Told = dict[str, dict[tuple[tuple[str, str], ...], float]]


def told(fleet: Fleet) -> Told:
    """What the endpoint answers, read by Prometheus's own reader: values by name and labels."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(fleet)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    found: Told = {}
    for family in families:
        assert family.documentation
        values = found.setdefault(family.name, {})
        values.update({tuple(sorted(one.labels.items())): one.value for one in family.samples})
    return found


@pytest.fixture
def fleet(world: World) -> Fleet:
    """Two users, one of whom is awake, of whom everything is known."""
    rows = [world.provision(Person(name, f"{name}@example.com")) for name in ("Noa", "Tamar")]
    known = Known(
        at=NOW,
        newest_image=IMAGE,
        costs={row.id: Decimal("1.25") for row in rows},
        backups={row.id: NOW - timedelta(hours=1) for row in rows},
    )
    machines = [world.client.machine(row.app, row.machine_id) for row in rows]
    reading = Reading(0.5, 512.0, 1024.0, 90.0, 100.0, 2.0)
    activity = Activity(True, "last used 60 s ago", 2, 240.0, 60.0)
    found = [
        Status(rows[0], machines[0], activity, reading, known),
        Status(rows[1], None, None, Reading(disk_used_bytes=1.0, disk_size_bytes=100.0), known),
    ]
    lately = {name: [Sample(NOW, rows[0].id, name, 1000.0 * n) for n in range(1, 5)] for name in TIMED}
    lately |= {name: [Sample(NOW, rows[0].id, name, float(n > 0)) for n in range(4)] for name in SHARED}
    return Fleet(lambda: (found, lately))


def test_everything_that_is_known_is_told_in_its_unit(fleet: Fleet) -> None:
    found = told(fleet)
    noa = next(labels for labels in found["myjarvis_workspace_awake"] if ("name", "Noa") in labels)
    values = {name.removeprefix("myjarvis_workspace_"): one[noa] for name, one in found.items() if noa in one}
    assert values["cpu_ratio"] == 0.5
    assert values["cost_usd"] == 1.25
    assert values["idle_seconds"] == 60
    assert values["backup_age_seconds"] == 3600
    assert values["image_is_newest"] == 1
    assert values["warnings"] == 1, "her disk is nearly full"
    assert found["myjarvis_wake_seconds"][("quantile", "0.5"),] == 2.5
    assert found["myjarvis_probe_ok_share"][()] == 0.75
    assert found["myjarvis_workspaces"][("state", "started"),] == 1


def test_what_is_not_known_is_not_told(fleet: Fleet) -> None:
    found = told(fleet)
    assert len(found["myjarvis_workspace_disk_used_bytes"]) == 2
    assert len(found["myjarvis_workspace_cpu_ratio"]) == 1


def test_no_address_of_a_user_is_told(fleet: Fleet) -> None:
    assert "example.com" not in str(told(fleet))


def test_a_platform_that_does_not_answer_is_told_as_that() -> None:
    assert told(Fleet(lambda: None)) == {"myjarvis_platform_up": {(): 0.0}}


def test_a_fleet_of_nobody_is_told_too() -> None:
    empty = Fleet(lambda: ([], {name: [] for name in (*TIMED, *SHARED)}))
    assert told(empty)["myjarvis_workspaces"][("state", "started"),] == 0


def queries() -> list[tuple[str, str]]:
    """Every query of the dashboard, with what its lines are called by."""
    return [(one["expr"], one["legendFormat"]) for panel in DASHBOARD["panels"] for one in panel["targets"]]


def test_every_query_of_the_dashboard_names_what_is_really_told(fleet: Fleet) -> None:
    found = told(fleet)
    assert len(queries()) >= len(DASHBOARD["panels"]) >= 15
    for query, legend in queries():
        names = re.findall(r"myjarvis_\w+", query)
        assert names
        for name in names:
            assert found.get(name), f"{query}: nobody tells {name}"
            labels = {label for series in found[name] for label, _ in series}
            assert set(re.findall(r"{{(\w+)}}", legend)) <= labels


def test_everything_that_is_told_is_on_the_dashboard(fleet: Fleet) -> None:
    drawn = {name for query, _ in queries() for name in re.findall(r"myjarvis_\w+", query)}
    assert told(fleet).keys() <= drawn


def test_no_panel_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_whatever_is_described_as_measured_is_measured_by_somebody() -> None:
    writers = [path for folder in ("watch", "alarm") for path in (FLY / folder).glob("*.py")]
    named = [path.read_text(encoding="utf-8") for path in writers if path.name not in DESCRIBING]
    assert [name for name in METRICS if not any(re.search(rf"\b{name}\b", text) for text in named)] == []
