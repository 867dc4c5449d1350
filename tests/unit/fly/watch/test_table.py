"""The table of everybody: what is in it, and that it fits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from fly import console
from fly.ledger import LEFT_BEHIND, Workspace
from fly.model import Check, Machine
from fly.watch.measured import Reading
from fly.watch.status import Known, Status
from fly.watch.verbs import fitting
from tests.support.world import IMAGE, World

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GB = 1 << 30
FULL = Reading(0.5, 512 << 20, 1 * GB, 2 * GB, 10 * GB, 2)


@pytest.fixture
def workspace(world: World) -> Workspace:
    return world.provision()


def machine(state: str = "started", hours: float = 1, **facts: object) -> Machine:
    since = (NOW - timedelta(hours=hours)).isoformat()
    return replace(Machine("m", state, updated_at=since, config={"image": IMAGE}), **facts)  # type: ignore[arg-type]


def known(workspace: Workspace, **facts: object) -> Known:
    return replace(Known(NOW, IMAGE, {workspace.id: Decimal("1.234")}), **facts)  # type: ignore[arg-type]


def cells(status: Status, width: int = 200) -> dict[str, str]:
    titles, [row] = fitting([status], width)
    return dict(zip(titles, row, strict=True))


def test_everything_is_told_of_a_machine_that_runs(workspace: Workspace) -> None:
    facts = known(workspace, backups={workspace.id: NOW - timedelta(hours=3)})
    assert cells(Status(workspace, machine(), None, FULL, facts)) == {
        "Name": "Lilach",
        "State": "started",
        "Why awake": "2 connections open",
        "Last use": "now",
        "CPU": "50 %",
        "Memory": "512 MB 50 %",
        "Disk": "2.0 GB 20 %",
        "Image": "a1a1a1a1a1a1 ✓",
        "Backup": "3 h",
        "Month": "$1.23",
        "Warnings": "",
    }


def test_a_machine_that_sleeps_has_a_disk_and_a_last_use(workspace: Workspace) -> None:
    asleep = Reading(disk_used_bytes=2 * GB, disk_size_bytes=10 * GB)
    found = cells(Status(workspace, machine("suspended", 30), None, asleep, known(workspace)))
    told = {name: found[name] for name in ("State", "Last use", "CPU", "Memory", "Disk")}
    assert told == {
        "State": "suspended",
        "Last use": "30 h",
        "CPU": "–",
        "Memory": "–",
        "Disk": "2.0 GB 20 %",
    }
    assert "Why awake" not in found, "nobody is awake, so nobody has to be told why"


def test_an_older_image_is_named_as_that(workspace: Workspace) -> None:
    other = known(workspace, newest_image="registry.fly.io/x@sha256:" + "c3" * 32)
    assert cells(Status(workspace, machine(), None, FULL, other))["Image"] == "a1a1a1a1a1a1 old"


@pytest.mark.parametrize(
    ("status", "warning"),
    [
        ({"machine": None}, "machine gone: invoke repair"),
        ({"machine": machine("failed")}, "machine failed"),
        ({"machine": machine("stopping", 1)}, "stopping for 60 min"),
        ({"machine": machine("started", 20)}, "awake for 20 h"),
        ({"machine": machine(host_status="unreachable")}, "host unreachable"),
        ({"machine": machine(checks=(Check("health", "critical"),))}, "health: critical"),
        ({"reading": Reading(disk_used_bytes=9.0, disk_size_bytes=10.0)}, "disk 90 % full"),
        ({"reading": Reading(memory_bytes=99.0, memory_limit_bytes=100.0)}, "memory 99 % full"),
        ({"known": Known(NOW, backups={"somebody": NOW})}, "no backup"),
    ],
)
def test_what_somebody_should_look_at_is_a_warning(
    workspace: Workspace, status: dict[str, object], warning: str
) -> None:
    found = replace(Status(workspace, machine(), known=Known(NOW)), **status)  # type: ignore[arg-type]
    assert found.warnings == [warning]
    assert replace(Status(workspace, machine(), known=Known(NOW))).warnings == []


def test_an_old_backup_and_a_row_left_behind_are_warnings(workspace: Workspace) -> None:
    facts = known(workspace, backups={workspace.id: NOW - timedelta(days=4)})
    assert Status(workspace, machine(), known=facts).warnings == ["backup 4 days old"]
    row = replace(workspace, state=LEFT_BEHIND)
    assert Status(row, machine(), known=known(workspace)).warnings == ["left behind: invoke repair"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200])
def test_what_is_shown_fits_the_line_and_says_who_is_in_trouble(workspace: Workspace, width: int) -> None:
    found = [
        Status(workspace, machine(), None, FULL, known(workspace)),
        Status(replace(workspace, name="Ábel-Żaneta von Something-Long"), None, known=known(workspace)),
    ]
    titles, rows = fitting(found, width)
    assert {"Name", "State", "Warnings"} <= set(titles)
    assert "machine gone: invoke repair" in rows[1]
    with console.stdout.capture() as told:
        console.stdout.print(console.table(titles, rows), width=width)
    assert max(len(line) for line in told.get().splitlines()) <= width


def test_a_file_that_can_not_be_written_is_a_sentence(folder: Path) -> None:
    console.write_file(str(folder / "page.html"), "text")
    assert (folder / "page.html").read_text() == "text"
    with pytest.raises(Exit, match="can not be written: No such file or directory"):
        console.write_file(str(folder / "nowhere" / "page.html"), "text")
