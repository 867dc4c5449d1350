"""Copies in a folder, behind the same interface as restic's; each operation can fail as a request can."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from fly.backup.courier import Seal
from fly.backup.records import Copy
from fly.backup.repository import Kept, Repository

T = TypeVar("T")
Perform = Callable[[str, Callable[[], Any]], Any]


def at_once(_what: str, act: Callable[[], T]) -> T:
    return act()


class FolderRepository(Repository):
    """The copies below `folder`; `perform` carries out what it is given, or fails."""

    def __init__(self, folder: Path, perform: Perform = at_once) -> None:
        self.location = "folder"
        self._folder, self._perform = folder, perform

    def ensure(self) -> bool:
        is_new = not self._folder.is_dir()
        self._folder.mkdir(exist_ok=True)
        return is_new

    def store(
        self, copy_id: str, workspace: str, at: datetime, feed: Callable[[Callable[[bytes], Any]], Seal]
    ) -> tuple[Seal, int]:
        def stored() -> tuple[Seal, int]:
            pieces: list[bytes] = []
            seal = feed(pieces.append)
            return seal, self._stream(copy_id).write_bytes(b"".join(pieces))

        self.ensure()
        done: tuple[Seal, int] = self._perform("backup", stored)
        return done

    def finish(self, copy: Copy) -> None:
        self._perform("tag", lambda: self._facts(copy.id).write_text(json.dumps(asdict(copy))))

    def copies(self, workspace: str = "") -> list[Kept]:
        found = [Copy(**json.loads(path.read_text()) | {"mark": ""}) for path in self._folder.glob("*.json")]
        kept = [Kept(copy, copy.id) for copy in found if workspace in ("", copy.workspace)]
        listed: list[Kept] = self._perform(
            "snapshots", lambda: sorted(kept, key=lambda one: (one.copy.at, one.copy.id))
        )
        return listed

    @contextmanager
    def opened(self, copy: Copy) -> Iterator[Iterator[bytes]]:
        yield iter([self._perform("dump", self._stream(copy.id).read_bytes)])

    def remove(self, copies: Iterable[Copy]) -> None:
        for copy in copies:
            self._facts(copy.id).unlink(missing_ok=True)
            self._stream(copy.id).unlink(missing_ok=True)

    def _stream(self, copy_id: str) -> Path:
        return self._folder / f"{copy_id}.tar"

    def _facts(self, copy_id: str) -> Path:
        return self._folder / f"{copy_id}.json"
