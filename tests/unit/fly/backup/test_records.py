"""What is written down about copies."""

from dataclasses import replace
from pathlib import Path

import pytest

from fly.backup.records import Backups, Borrowed, Copy, Drill, Swap, confirmed, latest
from fly.errors import BackupError

COPY = Copy(
    "01A", "W1", "lilach-myjarvis-x", "lilach@example.com", "2026-11-23T01:00:00.000Z", 10, 4, 2, "ab", "/b"
)
LATER = replace(COPY, id="01B", at="2026-11-24T01:00:00.000Z")
DRILL = Drill("01B", "W1", "2026-11-25T01:00:00.000Z", True, "2 files", 1.5)


def test_the_latest_copy_tells_when_it_was_made_and_when_one_was_proven(folder: Path) -> None:
    path = folder / "backups.sqlite"
    assert latest(path, "W1") is None
    with Backups(path) as backups:
        for copy in (LATER, COPY):
            backups.add(copy)
        found = backups.latest("W1")
        assert found is not None
        assert (found.copy, found.confirmed_at, found.proven_at) == (LATER, LATER.at, "")
        backups.note(replace(DRILL, ok=False))
        backups.note(DRILL)
    found = latest(path, "W1")
    assert found is not None
    assert found.proven_at == DRILL.at
    assert latest(path, "W2") is None
    assert {whose: at.isoformat() for whose, at in confirmed(path).items()} == {
        "W1": "2026-11-24T01:00:00+00:00"
    }
    assert confirmed(folder / "none") == {}


def test_a_workspace_that_did_not_run_since_is_confirmed_without_a_copy(folder: Path) -> None:
    with Backups(folder / "backups.sqlite") as backups:
        backups.add(COPY)
        backups.confirm(COPY)
        found = backups.latest("W1")
        assert found is not None
        assert found.copy == COPY
        assert found.confirmed_at > COPY.at
        assert found.age.total_seconds() < 60


def test_copies_that_left_the_repository_leave_the_record(folder: Path) -> None:
    elsewhere = replace(COPY, id="01C", repository="/other")
    with Backups(folder / "backups.sqlite") as backups:
        for copy in (COPY, LATER, elsewhere):
            backups.add(copy)
        backups.keep_only("/b", [LATER.id])
        assert [copy.id for copy in backups.copies()] == ["01C", "01B"]


def test_drills_are_only_added_to(folder: Path) -> None:
    with Backups(folder / "backups.sqlite") as backups:
        backups.note(DRILL)
        with pytest.raises(BackupError, match="only added to"):
            backups._execute("UPDATE drills SET ok = 1")
        assert backups.drills("W1") == [DRILL]


def test_what_a_dead_process_borrowed_is_abandoned_and_what_we_borrowed_is_not(folder: Path) -> None:
    with Backups(folder / "backups.sqlite") as backups:
        backups.borrow(Borrowed("copy-1", "jarviscopy-1"), "local")
        assert backups.abandoned("local") == []
        backups._execute("UPDATE borrowed SET owner = replace(owner, '-', '-9')")
        assert [one.app for one in backups.abandoned("local")] == ["copy-1"]
        assert backups.abandoned("fly/personal") == []
        backups.returned("copy-1")
        assert backups.abandoned("local") == []


def test_a_swap_is_found_again_as_far_as_it_went(folder: Path) -> None:
    with Backups(folder / "backups.sqlite") as backups:
        backups.begin(Swap("W1", "restore", "m1", "v1", "started", "{}"))
        backups.went_on("W1", new_volume="v2", stage="filled")
        found = backups.swap("W1")
        assert found is not None
        assert (found.new_volume, found.stage, found.is_worked_on) == ("v2", "filled", True)
        backups.ended("W1")
        assert backups.swaps() == []
