"""Records in SQLite: what owners of a file and guests in it share."""

from pathlib import Path

import pytest

from fly.errors import LedgerError
from fly.record import Record, append_only


class Visits(Record):
    CALLED = "The list of visits"
    MIGRATIONS = ("CREATE TABLE visits (who TEXT NOT NULL) STRICT;\n" + append_only("visits"),)


class Guests(Record):
    CALLED = "The list of visits"
    TABLES = "CREATE TABLE IF NOT EXISTS guests (who TEXT NOT NULL) STRICT;"


def test_a_record_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "visits.sqlite"
    with Visits(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("statement", ["UPDATE visits SET who = ''", "DELETE FROM visits"])
def test_what_is_only_added_to_is_neither_changed_nor_removed(tmp_path: Path, statement: str) -> None:
    with Visits(tmp_path / "visits.sqlite") as visits:
        visits._execute("INSERT INTO visits VALUES (?)", "Lilach")
        with pytest.raises(LedgerError, match="only added to"):
            visits._execute(statement)
        assert visits._rows("SELECT who FROM visits") == [("Lilach",)]


@pytest.mark.parametrize("first", [Visits, Guests])
def test_owner_and_guest_share_a_file_whoever_comes_first(tmp_path: Path, first: type[Record]) -> None:
    path = tmp_path / "visits.sqlite"
    first(path).close()
    with Visits(path) as visits, Guests(path) as guests:
        visits._execute("INSERT INTO visits VALUES ('a')")
        guests._execute("INSERT INTO guests VALUES ('b')")
        assert guests._rows("SELECT who FROM visits") == [("a",)]


def test_an_older_file_is_brought_up_to_date_and_a_newer_one_is_left_alone(tmp_path: Path) -> None:
    path, kept = tmp_path / "visits.sqlite", []

    class Later(Visits):
        MIGRATIONS = (*Visits.MIGRATIONS, "ALTER TABLE visits ADD COLUMN at TEXT NOT NULL DEFAULT '';")

        def _keep(self, version: int) -> None:
            kept.append(version)

    with Visits(path) as visits:
        visits._execute("INSERT INTO visits VALUES ('a')")
    for _ in range(2):
        with Later(path) as visits:
            assert visits._rows("SELECT who, at FROM visits") == [("a", "")]
    assert kept == [1]
    with pytest.raises(LedgerError, match="newer my-jarvis"):
        Visits(path)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "visits.sqlite"
    Visits(path).close()

    class Bad(Visits):
        MIGRATIONS = (*Visits.MIGRATIONS, "CREATE TABLE more (x TEXT) STRICT;\nCREATE TABLE visits (x TEXT);")

    with pytest.raises(LedgerError, match="refuses"):
        Bad(path)
    with Visits(path) as visits:
        assert visits._rows("SELECT name FROM sqlite_master WHERE type = 'table'") == [("visits",)]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with Visits(tmp_path / "visits.sqlite") as visits:
        with pytest.raises(ZeroDivisionError), visits._transaction():
            visits._execute("INSERT INTO visits VALUES ('a')")
            _ = 1 / 0
        assert visits._rows("SELECT * FROM visits") == []


def test_half_a_statement_is_a_mistake_of_ours(tmp_path: Path) -> None:
    class Half(Visits):
        MIGRATIONS = ("CREATE TABLE visits (who TEXT)",)

    with pytest.raises(ValueError, match="half a statement"):
        Half(tmp_path / "visits.sqlite")
