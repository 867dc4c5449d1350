"""`invoke check`, `probe` and `cap` as cron and an operator see them: what is printed, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from fly.alarm import verbs
from fly.alarm.caps import Use
from fly.alarm.verbs import cap, check, probe
from fly.backup.records import Backups, Borrowed
from fly.desk import Desk
from fly.ledger import Workspace
from fly.money.bill import Month
from fly.settings import Platform
from tests.support.world import PLATFORM, World
from tests.unit.fly.alarm.conftest import Door, Watch


@pytest.fixture
def row(world: World, watch: Watch, door: Door, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Lilach's workspace, on a platform that the verbs find."""
    row = world.provision()
    world.client.platform = door.platform
    world.fly.told = {"turns": 0, "addresses": 1, "connected": True, "claude": ""}
    monkeypatch.setenv("JARVIS_HOME", str(watch.settings.home))
    monkeypatch.setenv("JARVIS_SMTP_URL", watch.settings.smtp_url.reveal())
    monkeypatch.setenv("JARVIS_MAIL_FROM", watch.settings.mail_from)
    monkeypatch.setattr(verbs, "choose_platform", lambda *_: door.platform)

    @contextmanager
    def client(_platform: Platform) -> Iterator[Any]:
        yield world.client

    @contextmanager
    def desk(_flag: str = "") -> Iterator[Desk]:
        yield Desk(watch.settings, door.platform, world.client, world.ledger)

    monkeypatch.setattr(verbs, "Client", client)
    monkeypatch.setattr(verbs, "desk", desk)
    return row


def typed(verb: Any, **options: Any) -> int:
    """The exit code."""
    try:
        verb(Context(), **options)
    except Exit as end:
        return int(end.code or 0)
    return 0


def read(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_all_is_well(row: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(check, json=True) == 0
    assert read(capsys) == {"level": "fine", "findings": []}
    assert typed(check, quiet=True) == 0
    assert capsys.readouterr().out == ""


def test_what_a_killed_copy_left_is_told(
    row: Workspace, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Backups(watch.settings.backups) as backups:
        backups.borrow(Borrowed("copy-1", "jarviscopy-1"), row.platform)
        backups.abandon("copy-1")
    assert typed(check, json=True) == 1
    [finding] = read(capsys)["findings"]
    assert "it may hold a user's data" in finding["what"]


def test_a_page_that_does_not_answer_ends_with_two_and_is_mailed_once(
    row: Workspace, door: Door, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    door.status = 502
    for _ in range(3):
        assert typed(check, mail=True, json=True) == 2
        [found] = read(capsys)["findings"]
    assert (found["kind"], found["who"], found["level"]) == ("down", "Lilach", "critical")
    assert found["since"]
    assert watch.subjects == ["[my-jarvis] Lilach: its page does not answer: 502 from the platform"]


def test_a_dry_run_shows_the_mail_and_sends_none(
    row: Workspace, door: Door, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    door.status = 502
    assert typed(check, mail=True, dry_run=True) == 2
    assert "its page does not answer" in capsys.readouterr().out
    assert watch.subjects == []
    assert watch.alerts.lasting() == []


def test_a_platform_that_does_not_answer_is_critical_and_is_told(
    row: Workspace, world: World, watch: Watch
) -> None:
    world.fly.inject(0, "no connection", lasting="all")
    assert typed(check, mail=True, quiet=True) == 2
    assert "the platform cannot be asked" in watch.subjects[0]


def test_without_a_mail_server_it_says_so_before_anything_is_looked_at(
    row: Workspace, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JARVIS_SMTP_URL")
    assert typed(check, mail=True) == 2, "never mistaken for a warning"
    assert door.asked == []


def test_a_mail_that_was_put_off_goes_out_with_a_later_check(
    row: Workspace, door: Door, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.status = 502
    watch.server.taken.at_data.append("451 later")
    typed(check, mail=True, quiet=True)
    assert watch.subjects == []
    watch.outbox._execute("UPDATE outbox SET next_at = '2000'")
    typed(check, mail=True, quiet=True)
    assert len(watch.subjects) == 1


def test_a_cap_that_is_used_up_is_kept_to_only_where_mail_goes_out(
    row: Workspace, world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "uses", lambda _accounts, now: {row.id: _used(row, now)})
    assert typed(cap, name="Lilach", hours="10") == 0
    env = world.fly.machines[row.machine_id]["config"]["env"]
    assert typed(check, quiet=True) == 1
    assert "JARVIS_PAUSED_UNTIL" not in env
    assert typed(check, mail=True, quiet=True) == 1
    assert "JARVIS_PAUSED_UNTIL" in world.fly.machines[row.machine_id]["config"]["env"]
    assert any(one.startswith("Your workspace rests") for one in watch.subjects)
    assert typed(cap, name="Lilach", lift=True) == 0
    assert "JARVIS_PAUSED_UNTIL" not in world.fly.machines[row.machine_id]["config"]["env"]


def _used(row: Workspace, now: Any) -> Any:
    return Use(row.id, Month.of(now), Decimal(11), Decimal(0))


def test_probe_tells_uptime_and_ends_with_two_where_a_page_is_down(
    row: Workspace, door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(probe, json=True) == 0
    [told] = read(capsys)
    assert (told["ok"], told["state"], told["uptime"]) == (True, "started", 1.0)
    door.status = 502
    assert typed(probe, json=True) == 2
    assert read(capsys)[0]["trouble"].startswith("502")


@pytest.mark.parametrize(
    "options", [{"hours": "3"}, {"none": True}, {"name": "Lilach", "hours": "3", "none": True}]
)
def test_a_cap_needs_a_name_and_one_thing_at_a_time(row: Workspace, options: dict[str, Any]) -> None:
    assert typed(cap, **options) != 0


def test_another_platforms_workspaces_are_not_looked_at(
    row: Workspace, door: Door, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = replace(PLATFORM, org="another", door_url=door.url)
    world.client.platform = elsewhere
    monkeypatch.setattr(verbs, "choose_platform", lambda *_: elsewhere)
    world.fly.machines.clear()
    typed(check, quiet=True)
    assert door.asked == []


def test_state_is_readable_by_its_owner_alone(row: Workspace, watch: Watch) -> None:
    typed(check, quiet=True)
    files: list[Path] = list(watch.settings.home.glob("*.sqlite"))
    assert files
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
