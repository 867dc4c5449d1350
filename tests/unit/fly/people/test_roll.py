"""Everybody as a table, in and out; notes; a user who changes her name."""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from openpyxl import load_workbook

from fly.errors import AlreadyThere, LedgerError, PlanError
from fly.money.accounts import Accounts, Payment, Terms
from fly.people.notes import Notes
from fly.people.roll import COLUMNS, read_entries, roll, take_in, write
from fly.people.sheet import guarded, unguarded
from fly.plan import Person
from tests.support.world import World


@contextmanager
def books(world: World) -> Iterator[tuple[Accounts, Notes]]:
    with Accounts(world.ledger.path) as accounts, Notes(world.ledger.path) as notes:
        yield accounts, notes


@pytest.mark.parametrize("name", ["=SUM(A1)", "+49", "@home", "Lilach, “the” first"])
def test_no_cell_is_a_formula_in_csv_or_xlsx(world: World, folder: Path, name: str) -> None:
    world.provision(Person(name, "lilach@example.com"))
    with books(world) as (accounts, notes):
        notes.add(world.rows()[0].id, "-1 day")
        lines = roll(world.rows(), accounts, notes)
    for file in (folder / "users.csv", folder / "users.xlsx"):
        write(file, lines)
        assert file.stat().st_mode & 0o777 == 0o600
    with (folder / "users.csv").open(encoding="utf-8-sig", newline="") as text:
        read = list(csv.reader(text))
    sheet = load_workbook(folder / "users.xlsx").active
    assert sheet is not None
    cells = [[str(cell.value or "") for cell in row] for row in sheet.iter_rows()]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "inlineStr", "n"}
    assert read == cells
    assert read[0] == list(COLUMNS)
    assert read[1][0] == guarded(name)
    assert unguarded(read[1][0]) == name


def test_a_file_that_can_not_be_written_is_told(folder: Path) -> None:
    with pytest.raises(PlanError, match="can not be written"):
        write(folder / "nowhere" / "users.csv", [])


def test_notes_are_kept_with_time_and_who_and_never_changed(world: World) -> None:
    row = world.provision()
    with Notes(world.ledger.path) as notes:
        notes.add(row.id, "  pays in cash ")
        notes.add(row.id, "call her in May")
        assert [note.text for note in notes.of(row.id)] == ["pays in cash", "call her in May"]
        assert all(note.at and "@" in note.who for note in notes.of(row.id))
        for statement in ("UPDATE notes SET text = ''", "DELETE FROM notes"):
            with pytest.raises(LedgerError, match="only added to"):
                notes._execute(statement)
        with pytest.raises(PlanError):
            notes.add(row.id, "  ")


def test_a_new_name_and_address_are_in_the_ledger_and_the_old_ones_in_its_history(world: World) -> None:
    row = world.provision()
    world.ledger.edit(row.id, Person("Lilach Levi", "levi@example.com"))
    edited = world.ledger.find("levi@example.com", row.platform)
    assert (edited.id, edited.name, edited.app) == (row.id, "Lilach Levi", row.app)
    told = world.ledger.history(row.id)[-1]
    assert told.what == "edited"
    assert told.detail == "name: Lilach → Lilach Levi; email: lilach@example.com → levi@example.com"
    world.assert_whole(edited)


def test_nobody_gets_an_address_that_another_user_has(world: World) -> None:
    row = world.provision()
    world.provision(Person("Tom", "tom@example.com"))
    with pytest.raises(AlreadyThere):
        world.ledger.edit(row.id, Person("Lilach", "TOM@example.com"))
    assert world.ledger.get(row.id).email == "lilach@example.com"


def test_a_founders_table_is_taken_in_once(world: World, folder: Path) -> None:
    world.provision()
    file = folder / "mine.csv"
    file.write_text(
        "User;E-Mail;Price;Start;Paid;Payment date;Comments\n"
        "Lilach;LILACH@example.com;$20;2026-10-01;20.00;2026-10-03;likes tea\n"
        "Tom;tom@example.com;20;;;;\n",
        encoding="utf-8",
    )
    with books(world) as (accounts, notes):
        lilach, tom = read_entries(file, world.rows())
        told = ["terms: fixed, $20.00 from 2026-10-01", "payment: $20.00 on 2026-10-03", "note"]
        assert take_in(lilach, accounts, notes, dry_run=True) == told
        assert accounts.terms(world.rows()[0].id) == []
        assert take_in(lilach, accounts, notes) == told
        assert take_in(lilach, accounts, notes) == []
        assert tom.row is None
        assert take_in(tom, accounts, notes) == []
        [terms] = accounts.terms(world.rows()[0].id)
        assert (terms.since, terms.fee_cents) == (date(2026, 10, 1), 2000)
        assert [note.text for note in notes.of(world.rows()[0].id)] == ["likes tea"]


def test_our_own_table_taken_in_again_says_nothing_new(world: World, folder: Path) -> None:
    row, file = world.provision(), folder / "ours.csv"
    with books(world) as (accounts, notes):
        accounts.agree(Terms(row.id, date(2026, 10, 1), "fixed", 2000))
        for day in (date(2026, 10, 3), date(2026, 11, 3)):
            accounts.pay(Payment(row.id, day, 2000, "bank", f"by hand {day}"))
        for text in ("likes tea", "pays in cash"):
            notes.add(row.id, text)
        write(file, roll([row], accounts, notes))
        [entry] = read_entries(file, world.rows())
        assert take_in(entry, accounts, notes) == []
        one_more = replace(entry, payment=Payment(row.id, date(2026, 12, 3), 2000, "imported", "new"))
        assert take_in(one_more, accounts, notes) == ["payment: $20.00 on 2026-12-03"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,email,paid\nA,a@example.com,20\n", "row 2 .*not when"),
        ("name,email,since\nA,a@example.com,soon\n", "row 2 .*not a day"),
        ("name,email\nA,a@example.com\nB,nowhere\n", "row 3"),
    ],
)
def test_a_table_with_bad_rows_is_refused_whole(folder: Path, text: str, says: str) -> None:
    file = folder / "mine.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=says):
        read_entries(file, [])


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    file = folder / "mine.csv"
    file.write_bytes(b"name,email\n\xff\xfe,a\n")
    with pytest.raises(PlanError, match="not text"):
        read_entries(file, [])


def test_the_books_are_in_the_ledgers_own_file(world: World) -> None:
    with Notes(world.ledger.path):
        pass
    database = sqlite3.connect(world.ledger.path)
    assert database.execute("SELECT count(*) FROM notes").fetchone() == (0,)
    database.close()
