"""What the operator is told by mail: each trouble once, and once more when it is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fly.alarm.alerts import CALM, Alerts
from fly.alarm.findings import CRITICAL, WARNING, Finding
from fly.alarm.telling import preview, tell
from fly.errors import SettingsError
from fly.people.outbox import SENT, Mail
from fly.people.post import send_to_operator
from fly.settings import Secret
from tests.unit.fly.alarm.conftest import PLATFORM, Watch

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FULL = Finding("disk", "W1", "Lilach", WARNING, "her disk is 85% full", "invoke usage --name lilach")
DOWN = Finding("down", "W2", "Noa", CRITICAL, "no answer in time", "invoke status --name noa")


def look(watch: Watch, minutes: float, *findings: Finding, **more: Any) -> Mail | None:
    """What `invoke check --mail` does, so many minutes after the first time."""
    at = NOW + timedelta(minutes=minutes)
    watch.alerts.note(findings, at, **more)
    return tell(watch.settings, watch.alerts, watch.outbox, PLATFORM, at)


def test_a_trouble_that_lasts_is_mailed_once(watch: Watch) -> None:
    mail = look(watch, 0, FULL)
    assert mail is not None
    assert mail.state == SENT
    assert all(look(watch, 5 * beat, FULL) is None for beat in range(1, 40))
    assert watch.subjects == ["[my-jarvis] Lilach: her disk is 85% full"]


def test_the_mail_says_who_what_since_when_and_what_to_type(watch: Watch) -> None:
    look(watch, 0, replace(FULL, since=NOW - timedelta(hours=3)))
    [mail] = watch.server.taken.mails
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        text = body.get_content()
        for part in ("Lilach", "85% full", "since 2026-11-23 09:00 UTC", "invoke usage --name lilach"):
            assert part in text
    assert mail["To"] == "jarvis@example.com"


def test_when_it_is_over_that_is_mailed_once(watch: Watch) -> None:
    look(watch, 0, FULL)
    assert look(watch, 5) is None, "it may come back"
    assert look(watch, 16) is not None
    assert look(watch, 21) is None
    assert watch.subjects[1:] == ["[my-jarvis] over – Lilach: her disk is 85% full"]
    assert [one.over_at[:16] for one in watch.alerts.past()] == ["2026-11-23T12:16"]


def test_a_trouble_that_flickers_is_one_trouble(watch: Watch) -> None:
    for beat in range(20):
        look(watch, 5 * beat, *([DOWN] if beat % 2 == 0 else []))
    assert len(watch.subjects) == 1


def test_a_trouble_that_comes_back_after_it_was_over_is_a_new_one(watch: Watch) -> None:
    for minutes, findings in ((0, [DOWN]), (20, []), (60, [DOWN])):
        look(watch, minutes, *findings)
    assert len(watch.subjects) == 3


def test_a_trouble_that_gets_worse_is_mailed_again_and_one_that_gets_better_is_not(watch: Watch) -> None:
    look(watch, 0, FULL)
    look(watch, 5, replace(FULL, level=CRITICAL, what="her disk is 95% full"))
    look(watch, 10, FULL)
    assert watch.subjects[1:] == ["[my-jarvis] Lilach: her disk is 95% full"]


def test_several_troubles_at_once_are_one_mail(watch: Watch) -> None:
    look(watch, 0, FULL, DOWN)
    assert watch.subjects == ["[my-jarvis] 2 new (critical)"]


def test_nothing_is_over_while_nobody_can_look(watch: Watch) -> None:
    look(watch, 0, FULL)
    blind = Finding("platform", "fleet", "everybody", CRITICAL, "no answer", "wait")
    for minutes in (20, 40):
        look(watch, minutes, blind, blind=True)
    assert [one.kind for one in watch.alerts.lasting()] == ["disk", "platform"]
    look(watch, 60, FULL)
    assert watch.subjects[-1].startswith("[my-jarvis] over – everybody")


@pytest.mark.parametrize("killed_at", ["before the outbox", "before it was noted", "before it was sent"])
def test_a_run_that_is_killed_neither_tells_twice_nor_forgets(
    watch: Watch, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = {
        "before the outbox": (type(watch.outbox), "put"),
        "before it was noted": (Alerts, "put"),
        "before it was sent": (type(watch.outbox), "send"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*where[killed_at], lambda *_a, **_k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            look(watch, 0, FULL)
    assert watch.subjects == []
    look(watch, 5, FULL, DOWN)
    for mail in watch.outbox.due():
        send_to_operator(watch.settings, watch.outbox, mail)
    look(watch, 10, FULL, DOWN)
    text = "\n".join(watch.subjects)
    told = [mail.get_body(("plain",)).get_content() for mail in watch.server.taken.mails]  # type: ignore[union-attr]
    assert "\n".join(told).count("85% full") == 1, text
    assert "\n".join(told).count("no answer in time") == 1, text


def test_without_a_mail_server_nothing_is_lost(watch: Watch) -> None:
    mute = replace(watch, settings=replace(watch.settings, smtp_url=Secret("")))
    with pytest.raises(SettingsError):
        look(mute, 0, FULL)
    [mail] = watch.outbox.due()
    assert mail.facts["new"].startswith("Lilach")


def test_a_preview_tells_all_and_changes_nothing(watch: Watch) -> None:
    watch.alerts.note([FULL], NOW)
    letter = preview(watch.settings, watch.alerts.pending(), PLATFORM)
    assert "85% full" in letter.text
    assert watch.alerts.pending().new
    assert watch.outbox.mails() == []


def test_a_name_that_holds_markup_is_shown_as_it_is(watch: Watch) -> None:
    watch.alerts.note([replace(FULL, who="<b>Eve</b>")], NOW)
    letter = preview(watch.settings, watch.alerts.pending(), PLATFORM)
    assert "&lt;b&gt;Eve" in letter.html
    assert "<b>Eve" in letter.text


def test_platforms_do_not_see_each_others_alerts(watch: Watch) -> None:
    watch.alerts.note([FULL], NOW)
    with Alerts(watch.settings.ledger, "local") as others:
        assert others.lasting() == []
        others.note([], NOW + 2 * CALM)
    assert len(watch.alerts.lasting()) == 1
