"""Tables of their own in the ledger's file, for what is known about people."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from fly.errors import LedgerError


class Book:
    """A connection to the ledger's file, with the tables of `SCHEMA` in it.

    *Errors*: LedgerError, when it can not be read or written.
    """

    SCHEMA: ClassVar[str] = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            self._database = sqlite3.connect(path, timeout=20, isolation_level=None)
            self._database.executescript(self.SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _execute(self, statement: str, *values: object) -> int:
        """How many rows it has changed."""
        with self._explained():
            return self._database.execute(statement, values).rowcount

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(
                f"The ledger {self._path} refuses: {error}",
                hint="look at the disk's space and the folder's rights",
            ) from error


def stamp(moment: datetime | None = None) -> str:
    """A moment (now), as the ledger writes it: ISO 8601 in UTC, so that text sorts as time does."""
    return (moment or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
