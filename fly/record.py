"""What is written down for good, in SQLite: a file of our own, or tables of our own in the ledger's file."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from fly.errors import JarvisError, LedgerError

BUSY_S = 20
"""How long to wait for another process that is writing."""


class Record:
    """The database at `path`, made if it is not there, readable by its owner alone.

    *Errors*: `REFUSAL`: unreadable, written by a newer version, locked for too long, disk full.
    """

    CALLED: ClassVar[str] = "The record"
    """How errors begin: "The ledger"."""

    HINT: ClassVar[str] = "look at the disk's space and the folder's rights; JARVIS_HOME moves it"

    REFUSAL: ClassVar[type[JarvisError]] = LedgerError

    MIGRATIONS: ClassVar[tuple[str, ...]] = ()
    """For the owner of the file: what makes each version of it from the one before; `user_version` counts."""

    TABLES: ClassVar[str] = ""
    """For a guest in a file that has an owner: what is made `IF NOT EXISTS`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
            self._database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def _prepare(self) -> None:
        with self._explained():
            self._use_wal()
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA foreign_keys = ON")
            self._database.execute("PRAGMA secure_delete = ON")  # a key that is forgotten is overwritten
            self._run(self.TABLES)
        if self.MIGRATIONS and self._version() != len(self.MIGRATIONS):
            self._migrate()

    def _migrate(self) -> None:
        with self._transaction():
            version, newest = self._version(), len(self.MIGRATIONS)
            if version > newest:
                raise self.REFUSAL(
                    f"{self.CALLED} {self.path} was written by a newer my-jarvis (version {version}).",
                    hint="use that one, or set JARVIS_HOME to another folder",
                )
            if 0 < version < newest:
                self._keep(version)
            for script in self.MIGRATIONS[version:]:
                self._run(script)
            self._database.execute(f"PRAGMA user_version = {newest}")

    def _version(self) -> int:
        return int(self._rows("PRAGMA user_version")[0][0])

    def _keep(self, version: int) -> None:
        """Called before a file of an older version is changed."""

    def _use_wal(self) -> None:
        """Readers and the writer do not wait for each other then; SQLite does not wait to change to this."""
        for _ in range(BUSY_S * 20):
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            time.sleep(0.05)
        self._database.execute("PRAGMA journal_mode = WAL")

    def _run(self, script: str) -> None:
        """Statement by statement: `executescript` would end the transaction that they belong to."""
        for statement in _statements(script):
            self._database.execute(statement)

    def _execute(self, statement: str, *values: object) -> int:
        """How many rows it has changed."""
        with self._explained():
            return self._database.execute(statement, values).rowcount

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, and one writer at a time from its first read on."""
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
        try:
            with self._explained():
                yield
                self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self.REFUSAL(f"{self.CALLED} {self.path} refuses: {error}", hint=self.HINT) from error


def append_only(table: str) -> str:
    """SQL that lets nobody change or remove what is in this table."""
    return "".join(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{done} BEFORE {verb} ON {table}\n"
        f"    BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END;\n"
        for verb, done in (("UPDATE", "are_not_rewritten"), ("DELETE", "are_not_erased"))
    )


def stamp(moment: datetime | None = None) -> str:
    """A moment (now), as records write it: ISO 8601 in UTC, so that text sorts as time does."""
    return (moment or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _statements(script: str) -> Iterable[str]:
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError(f"half a statement: {statement.strip()}")
