"""Copies of the ledger: one a day, one before each change of its schema, and the way back."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from fly.errors import LedgerError

KEPT = 30
DAILY, BY_HAND, BEFORE_RESTORE = "daily", "by-hand", "before-restore"


def folder_of(ledger: Path) -> Path:
    return ledger.parent / "ledger-copies"


def copies(ledger: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder_of(ledger).glob("ledger-*.sqlite"))


def copy(ledger: Path, why: str) -> Path:
    """A whole and checked copy of what is committed, for its owner alone; the oldest ones go.

    *Errors*: LedgerError.
    """
    folder = folder_of(ledger)
    name = f"ledger-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{why}.sqlite"
    partial = folder / f".{name}.{os.getpid()}"
    try:
        with _explained(ledger):
            folder.mkdir(exist_ok=True, mode=0o700)
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            with closing(_reader(ledger)) as source, closing(sqlite3.connect(partial)) as target:
                source.backup(target)
                # A file by itself: with nothing beside it that could be left out when it is moved.
                target.execute("PRAGMA journal_mode = DELETE")
            _check(partial)
            partial.rename(folder / name)
    finally:
        partial.unlink(missing_ok=True)
    for old in copies(ledger)[:-KEPT]:
        old.unlink(missing_ok=True)
    return folder / name


def copy_daily(ledger: Path) -> Path | None:
    """The first copy of the day, by UTC; None where there is one."""
    today = f"ledger-{datetime.now(UTC):%Y%m%d}T"
    if not ledger.exists() or any(one.name.startswith(today) for one in copies(ledger)):
        return None
    return copy(ledger, DAILY)


def restore(ledger: Path, chosen: Path, newest_schema: int) -> int:
    """Puts a copy in the ledger's place; how many workspaces are in it. The ledger as it was is kept.

    One that an older my-jarvis wrote is brought up to date when the ledger is next opened.

    *Errors*: LedgerError, before anything is changed: no ledger, damaged, from a newer my-jarvis.
    """
    count = examine(chosen, newest_schema)
    if ledger.exists():
        _keep_aside(ledger)
    with _explained(ledger):
        os.close(os.open(ledger, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(_reader(chosen)) as source, closing(sqlite3.connect(ledger, timeout=20)) as target:
            source.backup(target)
        _check(ledger)
    return count


def examine(chosen: Path, newest_schema: int) -> int:
    """How many workspaces are in a copy that can be restored.

    *Errors*: LedgerError: it can not.
    """
    if not chosen.is_file():
        raise LedgerError(f"There is no file {chosen}.", hint="invoke ledger-backup --list")
    with _explained(chosen):
        _check(chosen)
        with closing(_reader(chosen)) as copy_:
            version: int = copy_.execute("PRAGMA user_version").fetchone()[0]
            if not 1 <= version <= newest_schema:
                raise LedgerError(
                    f"{chosen} has schema {version}; this my-jarvis knows 1 to {newest_schema}.",
                    hint="the my-jarvis that wrote it can restore it",
                )
            return int(copy_.execute("SELECT count(*) FROM workspaces").fetchone()[0])


def _keep_aside(ledger: Path) -> None:
    """A copy of it; where it is too damaged for that, the file itself."""
    try:
        copy(ledger, BEFORE_RESTORE)
    except LedgerError:
        folder = folder_of(ledger)
        folder.mkdir(exist_ok=True, mode=0o700)
        moved = folder / f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.sqlite"
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                ledger.with_name(ledger.name + ending).rename(moved.with_name(moved.name + ending))


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=20)


def _check(path: Path) -> None:
    with closing(_reader(path)) as database:
        found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(5)")]
        if found != ["ok"] or database.execute("PRAGMA foreign_key_check").fetchone():
            raise LedgerError(f"{path} is damaged: {found[0]}", hint="choose another copy")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(
            f"{path} can not be copied or read: {error}",
            hint="look at the disk's space and the folder's rights",
        ) from error
