"""Repairing at a terminal: what can be brought back is kept, and who was without is written to."""

from dataclasses import replace
from pathlib import Path

from fly.backup.records import Backups, Borrowed, Copy
from fly.ledger import DESTROYED, READY
from fly.owner import Owner
from tests.support.fake_fly import ORG, AppState
from tests.support.mailserver import mail_server
from tests.support.oneuser import a_user
from tests.support.operator import Operator
from tests.support.world import LILACH

DEAD = str(replace(Owner.me(), started="long ago"))


def test_what_can_be_brought_back_is_closed_only_when_told_so(folder: Path) -> None:
    with a_user(folder) as (fly, ledger, user):
        row = ledger.get(user)
        with Backups(folder / "backups.sqlite") as backups:
            backups.add(
                Copy("01A", user, row.app, row.email, "2026-11-20T03:15:00.000Z", 9, 9, 1, "m", "/kept")
            )
        fly.apps.pop(row.app)
        fly.machines.pop(row.machine_id)
        operator = Operator(folder)
        [found] = operator.reads("repair")
        assert (found["kind"], found["outcome"]) == ("restorable", "left as it is")
        assert "there is a copy of 2026-11-20 03:15 UTC" in found["what"]
        assert ledger.get(user).state == READY
        [found] = operator.reads("repair", "--close", "--yes")
        assert (found["kind"], ledger.get(user).state) == ("vanished", DESTROYED)


def test_what_a_killed_copy_left_is_shown_and_removed(folder: Path) -> None:
    with a_user(folder) as (fly, _ledger, _user):
        with Backups(folder / "backups.sqlite") as backups:
            backups.borrow(Borrowed("copy-1", "jarviscopy-1"), "local")
            backups.abandon("copy-1")
        fly.apps["copy-1"] = AppState("copy-1", ORG, "jarviscopy-1")
        operator = Operator(folder)
        [found] = operator.reads("repair", "--dry-run")
        assert (found["kind"], found["app"], found["outcome"]) == ("throw-away abandoned", "copy-1", "")
        [found] = operator.reads("repair")
        assert (found["outcome"], found["ok"]) == ("removed", True)
        assert "Ledger and platform agree" in operator.runs("repair")


def test_a_repository_that_cannot_be_read_closes_no_row(folder: Path) -> None:
    with a_user(folder) as (fly, ledger, user):
        row = ledger.get(user)
        fly.apps.pop(row.app)
        fly.machines.pop(row.machine_id)
        repository = folder / "unmounted"
        [found] = Operator(
            folder, JARVIS_BACKUP_REPOSITORY=str(repository), JARVIS_BACKUP_PASSWORD="hush"
        ).reads("repair")
        assert "whether there is a copy nobody knows" in found["what"]
        assert ledger.get(user).state == READY


def test_who_was_without_is_written_to_once(folder: Path) -> None:
    with a_user(folder) as (_fly, ledger, user), mail_server(folder) as mails:
        operator = Operator(
            folder,
            JARVIS_SMTP_URL=mails.url().reveal(),
            JARVIS_MAIL_FROM="My Jarvis <jarvis@example.com>",
            SSL_CERT_FILE=str(mails.certificate),
        )
        for _ in range(2):
            ledger.note(user, owner=DEAD, state="provisioning", machine_id="", volume_id="")
            assert f"Sent to {LILACH.email}" in operator.runs("repair", "--tell")
            assert ledger.get(user).state == READY
        [mail] = mails.taken.mails
        assert (str(mail["Subject"]), LILACH.email in str(mail["To"])) == (
            "Your workspace was repaired",
            True,
        )


def test_without_a_mail_server_nothing_is_begun(folder: Path) -> None:
    with a_user(folder) as (_fly, ledger, user):
        ledger.note(user, owner=DEAD, state="provisioning")
        assert "JARVIS_MAIL_FROM" in Operator(folder).runs("repair", "--tell", status=1)
        assert ledger.get(user).is_unfinished
