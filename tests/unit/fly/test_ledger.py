"""The record: who has which workspace, and what happened to it."""

import json
import multiprocessing
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fly.errors import AlreadyThere, LedgerError
from fly.ledger import (
    DESTROYED,
    FAILED,
    LEFT_BEHIND,
    PROVISIONING,
    READY,
    Ledger,
    as_workspace,
    new_id,
    plan_of,
)
from fly.owner import Owner
from fly.plan import Person, Plan
from fly.provision import draft
from tests.support.world import DEAD, IMAGE, PLATFORM


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        yield ledger


def plan(name: str = "Lilach", email: str = "lilach@example.com") -> Plan:
    return draft(PLATFORM, Person(name, email), image=IMAGE)


# --- the file -------------------------------------------------------------------------------------


def test_only_its_owner_can_read_it(folder: Path) -> None:
    before = os.umask(0)
    try:
        with Ledger(folder / "new" / "ledger.sqlite") as ledger:
            ledger.begin(plan())
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "new").iterdir()}
            assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert "ledger.sqlite-wal" in modes, "readers and the writer do not wait for each other"


def test_a_file_that_others_could_read_is_closed_to_them(folder: Path) -> None:
    path = folder / "ledger.sqlite"
    path.touch(0o644)
    path.chmod(0o644)
    with Ledger(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_is_there_for_the_next_one(folder: Path) -> None:
    with Ledger(folder / "ledger.sqlite") as first:
        row = first.finish(first.begin(plan()).id)
    with Ledger(folder / "ledger.sqlite") as second:
        assert second.get(row.id) == row


@pytest.mark.parametrize(
    "content", [b"no database at all, but a long enough text" * 20, b"SQLite format 3\0" + b"x" * 200]
)
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(folder: Path, content: bytes) -> None:
    path = folder / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    assert caught.value.hint
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_told(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(LedgerError, match="refuses"):
        Ledger(folder / "file" / "ledger.sqlite")


def test_a_ledger_of_a_newer_version_is_not_touched(folder: Path) -> None:
    path = folder / "ledger.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerError, match="newer"):
        Ledger(path)


def test_a_ledger_of_an_older_version_is_brought_up_to_date(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "ledger.sqlite"
    with Ledger(path) as old:
        row = old.begin(plan())
    later = (*Ledger.MIGRATIONS, "ALTER TABLE workspaces ADD COLUMN notes TEXT NOT NULL DEFAULT '';")
    monkeypatch.setattr(Ledger, "MIGRATIONS", later)
    with Ledger(path) as new:
        assert new.get(row.id) == row
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert database.execute("SELECT notes FROM workspaces").fetchone() == ("",)
    database.close()


def test_an_update_of_the_schema_that_fails_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "ledger.sqlite"
    Ledger(path).close()
    bad = "ALTER TABLE workspaces ADD COLUMN notes TEXT; ALTER TABLE nothing ADD COLUMN x TEXT;"
    monkeypatch.setattr(Ledger, "MIGRATIONS", (*Ledger.MIGRATIONS, bad))
    with pytest.raises(LedgerError):
        Ledger(path)
    monkeypatch.undo()
    with Ledger(path) as ledger:
        assert ledger.workspaces() == []


def test_many_who_open_a_new_ledger_at_once_all_get_it(folder: Path) -> None:
    start = threading.Barrier(8)
    failures: list[Exception] = []

    def open_it() -> None:
        start.wait(10)
        try:
            Ledger(folder / "ledger.sqlite").close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


# --- a row's life ---------------------------------------------------------------------------------


def test_a_row_begins_owned_by_the_one_who_makes_it(ledger: Ledger) -> None:
    wanted = plan()
    row = ledger.begin(wanted)
    assert row == ledger.get(wanted.id)
    assert (row.state, row.app, row.machine_id, row.left_behind) == (PROVISIONING, wanted.app, "", "")
    assert row.is_worked_on
    assert not row.is_unfinished
    assert plan_of(row) == wanted
    assert row.network == wanted.network


def test_a_finished_row_is_nobodys(ledger: Ledger) -> None:
    row = ledger.begin(plan())
    ledger.note(row.id, volume_id="vol_1", region="fra")
    ledger.note(row.id, machine_id="m1")
    row = ledger.finish(row.id)
    assert (row.state, row.owner, row.volume_id, row.machine_id, row.region) == (
        READY, "", "vol_1", "m1", "fra",
    )  # fmt: skip
    assert not row.is_worked_on
    assert not row.is_unfinished


@pytest.mark.parametrize("state", [PROVISIONING, "destroying"])
def test_a_row_whose_process_is_dead_is_unfinished(ledger: Ledger, state: str) -> None:
    row = ledger.begin(plan())
    row = ledger.note(row.id, owner=DEAD, state=state)
    assert row.is_unfinished
    assert not row.is_worked_on


def test_a_row_with_something_left_behind_is_unfinished(ledger: Ledger) -> None:
    row = ledger.leave_behind(ledger.begin(plan()).id, "app x", "503")
    assert (row.state, row.left_behind, row.is_unfinished) == (LEFT_BEHIND, "app x", True)


def test_a_process_of_another_host_is_believed_for_ten_minutes(ledger: Ledger) -> None:
    row = ledger.begin(plan())
    row = ledger.note(row.id, owner=str(replace(Owner.me(), host="laptop")))
    assert row.is_worked_on
    long_ago = (datetime.now(UTC) - timedelta(minutes=11)).isoformat()
    assert replace(row, updated_at=long_ago).is_unfinished


def test_a_claimed_row_is_refused_to_another(ledger: Ledger) -> None:
    row = ledger.finish(ledger.begin(plan()).id)
    claimed = ledger.claim(row.id, state="destroying")
    assert (claimed.state, claimed.is_worked_on) == ("destroying", True)
    with pytest.raises(LedgerError, match=str(os.getpid())):
        ledger.claim(row.id)
    ledger.release(row.id)
    assert ledger.claim(row.id).owner


def test_a_dead_ones_row_can_be_claimed_once(ledger: Ledger, folder: Path) -> None:
    row = ledger.begin(plan())
    ledger.note(row.id, owner=DEAD)
    start = threading.Barrier(4)
    claimed: list[str] = []

    def claim() -> None:
        with Ledger(folder / "ledger.sqlite") as other:
            start.wait(10)
            with suppress(LedgerError):
                claimed.append(other.claim(row.id).id)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert claimed == [row.id]


def test_a_row_that_is_not_there_is_told(ledger: Ledger) -> None:
    for act in (ledger.get, ledger.finish, ledger.claim, ledger.release, ledger.destroyed):
        with pytest.raises(LedgerError, match="no workspace 01NONE"):
            act("01NONE")


def test_an_unheard_of_state_is_not_written(ledger: Ledger) -> None:
    row = ledger.begin(plan())
    with pytest.raises(LedgerError):
        ledger.note(row.id, state="sleeping")
    assert ledger.get(row.id).state == PROVISIONING
    assert ledger.history(row.id)[-1].what == "begun", "nor is it in the history"


# --- one workspace for an e-mail ------------------------------------------------------------------


def test_an_e_mail_has_one_workspace(ledger: Ledger) -> None:
    first = ledger.finish(ledger.begin(plan()).id)
    with pytest.raises(AlreadyThere, match=first.app) as caught:
        ledger.begin(plan("Lili", "LILACH@example.com"))
    assert caught.value.workspace == first
    assert len(ledger.workspaces(everything=True)) == 1


@pytest.mark.parametrize("close", [Ledger.destroyed, lambda ledger, id_: ledger.fail(id_, "no")])
def test_one_that_is_gone_does_not_count(ledger: Ledger, close: object) -> None:
    assert callable(close)
    close(ledger, ledger.begin(plan()).id)
    assert ledger.begin(plan()).state == PROVISIONING


def test_another_platform_is_another_matter(ledger: Ledger) -> None:
    ledger.begin(plan())
    elsewhere = replace(plan(), platform="local")
    assert ledger.begin(elsewhere).platform == "local"
    assert [row.platform for row in ledger.workspaces("local")] == ["local"]
    assert len(ledger.workspaces()) == 2


def begin_one(path: str) -> None:
    with Ledger(Path(path)) as ledger:
        try:
            ledger.begin(plan("Lilach", "lilach@example.com"))
        except AlreadyThere:
            os._exit(3)


def test_of_many_processes_one_may_begin(folder: Path) -> None:
    path = folder / "ledger.sqlite"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    runs = [context.Process(target=begin_one, args=(str(path),)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert sorted(run.exitcode or 0 for run in runs) == [0, 3, 3, 3]
    with Ledger(path) as ledger:
        assert len(ledger.workspaces()) == 1


# --- finding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["name", "email", "app", "id", "url"])
def test_a_workspace_is_found_by_whatever_names_it(ledger: Ledger, of: str) -> None:
    row = ledger.begin(plan())
    ledger.begin(plan("Dan", "dan@example.com"))
    assert ledger.find(f" {getattr(row, of).upper()} ", PLATFORM.key) == row


def test_two_of_one_name_are_both_named(ledger: Ledger) -> None:
    rows = [ledger.begin(plan("John", f"john{number}@example.com")) for number in range(2)]
    with pytest.raises(LedgerError, match="There are 2") as caught:
        ledger.find("john", PLATFORM.key)
    assert all(row.app in str(caught.value) for row in rows)
    assert ledger.find(rows[1].app, PLATFORM.key) == rows[1]


def test_one_that_is_gone_is_found_only_where_none_exists(ledger: Ledger) -> None:
    gone = ledger.destroyed(ledger.begin(plan()).id)
    assert ledger.find("lilach", PLATFORM.key) == gone
    living = ledger.begin(plan())
    assert ledger.find("lilach", PLATFORM.key) == living


def test_nobody_is_told(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="nobody") as caught:
        ledger.find("nobody", PLATFORM.key)
    assert "invoke users" in caught.value.hint


def test_those_that_are_gone_are_listed_only_when_asked_for(ledger: Ledger) -> None:
    gone = ledger.destroyed(ledger.begin(plan()).id)
    living = ledger.begin(plan())
    assert ledger.workspaces() == [living]
    assert ledger.workspaces(everything=True) == [gone, living]


def test_a_platform_that_is_gone_takes_all_its_rows_along(ledger: Ledger) -> None:
    ledger.begin(plan())
    ledger.begin(replace(plan(), platform="local"))
    closed = ledger.close_all("local", "down --destroy")
    assert [row.state for row in closed] == [DESTROYED]
    assert [row.platform for row in ledger.workspaces()] == [PLATFORM.key]


# --- history --------------------------------------------------------------------------------------


def test_history_tells_who_did_what_when_and_why(ledger: Ledger) -> None:
    row = ledger.begin(plan())
    ledger.note(row.id, machine_id="m1")
    ledger.fail(row.id, "page: 502")
    entries = ledger.history(row.id)
    assert [entry.what for entry in entries] == ["begun", "noted", "failed"]
    assert [entry.detail for entry in entries] == [row.app, "machine_id=m1", "page: 502"]
    assert all("@" in entry.who and entry.at.endswith("Z") for entry in entries)


def test_history_is_only_added_to(ledger: Ledger, folder: Path) -> None:
    ledger.begin(plan())
    database = sqlite3.connect(folder / "ledger.sqlite")
    for statement in ("UPDATE history SET what = 'x'", "DELETE FROM history"):
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            database.execute(statement)
    database.close()


# --- what programs read ---------------------------------------------------------------------------


def test_a_workspace_is_told_with_these_words(ledger: Ledger) -> None:
    told = ledger.begin(plan()).to_json()
    assert list(told) == [
        "name", "email", "app", "url", "machine_id", "volume_id", "region", "state", "image", "created_at",
    ]  # fmt: skip
    assert json.loads(json.dumps(told)) == told
    assert datetime.fromisoformat(told["created_at"]).tzinfo is not None


def test_a_row_that_was_adopted_has_no_plan(ledger: Ledger) -> None:
    found = as_workspace({"id": new_id(), "app": "a-myjarvis-1", "state": READY, "platform": "local"})
    assert plan_of(ledger.adopt(found)) is None
    with pytest.raises(LedgerError):
        ledger.adopt(found)


def test_a_failed_row_stays_in_the_record(ledger: Ledger) -> None:
    row = ledger.fail(ledger.begin(plan()).id, "no capacity")
    assert ledger.get(row.id).state == FAILED


def test_ids_sort_by_the_time_at_which_they_were_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for moment in range(10, 60, 10):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 10**15)
        drawn.append(new_id())
    assert drawn == sorted(drawn)
    assert all(len(one) == 26 for one in drawn)


def test_any_text_is_kept_as_it_was(ledger: Ledger) -> None:
    for text in ("לילך", "a\x00b", "'; DROP TABLE workspaces; --", "👩‍👩‍👧", "%_", "x" * 10_000):
        row = as_workspace({"id": new_id(), "name": text, "app": new_id(), "state": READY})
        assert ledger.adopt(row).name == text
