"""Copies of the ledger: whole, for their owner alone, taken before its schema changes; and the way back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fly.errors import LedgerError
from fly.ledger import Ledger
from fly.people import copies
from fly.plan import Person
from tests.support.world import World

NEWEST = len(Ledger.MIGRATIONS)


def test_a_copy_has_all_that_is_committed_and_is_for_its_owner_alone(world: World) -> None:
    row = world.provision()
    copied = copies.copy(world.ledger.path, "test")
    assert copied.stat().st_mode & 0o777 == 0o600
    assert copied.parent.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(copied)) as database:
        assert database.execute("SELECT app FROM workspaces").fetchall() == [(row.app,)]
    assert [one.name for one in copied.parent.iterdir()] == [copied.name]


def test_there_is_one_a_day_and_thirty_are_kept(world: World) -> None:
    assert copies.copy_daily(world.ledger.path) is not None
    assert copies.copy_daily(world.ledger.path) is None
    made = [copies.copy(world.ledger.path, "test") for _ in range(copies.KEPT)]
    assert copies.copies(world.ledger.path) == made


def test_a_ledger_is_copied_before_its_schema_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "ledger.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr("fly.ledger.Ledger.MIGRATIONS", Ledger.MIGRATIONS[:1])
        Ledger(path).close()
    assert copies.copies(path) == []
    Ledger(path).close()
    [copied] = copies.copies(path)
    with closing(sqlite3.connect(copied)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
    Ledger(path).close()
    assert len(copies.copies(path)) == 1


def test_a_schema_is_not_changed_where_no_copy_can_be_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "ledger.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr("fly.ledger.Ledger.MIGRATIONS", Ledger.MIGRATIONS[:1])
        Ledger(path).close()
    copies.folder_of(path).write_text("in the way", encoding="utf-8")
    with pytest.raises(LedgerError):
        Ledger(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


def test_what_was_copied_comes_back_and_what_was_there_is_kept(world: World) -> None:
    path = world.ledger.path
    lilach = world.provision()
    copied = copies.copy(path, "test")
    world.provision(Person("Tom", "tom@example.com"))
    assert copies.restore(path, copied, NEWEST) == 1
    assert [row.app for row in world.ledger.workspaces()] == [lilach.app]
    kept = copies.copies(path)[-1]
    assert copies.restore(path, kept, NEWEST) == 2
    assert len(world.ledger.workspaces()) == 2


def test_an_older_copy_is_brought_up_to_date_when_it_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "ledger.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr("fly.ledger.Ledger.MIGRATIONS", Ledger.MIGRATIONS[:1])
        Ledger(path).close()
    copied = copies.copy(path, "old")
    Ledger(path).close()
    copies.restore(path, copied, NEWEST)
    with Ledger(path) as ledger:
        assert ledger.workspaces() == []


def break_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 3] = b"\xff" * 8192
    path.write_bytes(content)


def raise_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {NEWEST + 1}")


@pytest.mark.parametrize(
    "spoil",
    [
        break_middle,
        raise_version,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a database at all, however long this text may be" * 30),
        lambda path: path.unlink(),
    ],
    ids=["damaged", "newer", "empty", "text", "missing"],
)
def test_a_copy_that_is_not_sound_is_refused_and_nothing_is_changed(world: World, spoil: object) -> None:
    world.provision()
    copied = copies.copy(world.ledger.path, "test")
    spoil(copied)  # type: ignore[operator]
    before = len(copies.copies(world.ledger.path))
    with pytest.raises(LedgerError):
        copies.restore(world.ledger.path, copied, NEWEST)
    assert len(world.rows()) == 1
    assert len(copies.copies(world.ledger.path)) == before


def test_a_damaged_ledger_is_put_aside_and_replaced(folder: Path) -> None:
    path = folder / "ledger.sqlite"
    Ledger(path).close()
    copied = copies.copy(path, "test")
    path.write_bytes(b"rubbish" * 1000)
    copies.restore(path, copied, NEWEST)
    Ledger(path).close()
    assert [one.name[:7] for one in copied.parent.glob("damaged-*.sqlite")] == ["damaged"]
