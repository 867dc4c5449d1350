"""What she has deleted, kept for 30 days: each thing in a folder of its own beside a note of where it was."""

import contextlib
import json
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp.files.draft import place, remove
from webapp.files.entry import kind_of, time_text
from webapp.files.place import Names, Workspace, name_of, read_path, rename_new, written_path
from webapp.problem import Problem, not_found

KEPT_S = 30 * 24 * 3600
CONTENT = "content"
NOTE = "note.json"
GONE = ".gone"
ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Trashed:
    """Something in the trash.

    Shape: {"id": "…", "path": "a/b.txt", "name": "b.txt", "kind": "file", "size": 12,
    "deleted_at": "…", "until": "…"}
    """

    id: str
    path: str
    kind: str
    size: int
    deleted_s: float

    @property
    def names(self) -> Names:
        return read_path(self.path)

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "path": self.path,
            "name": name_of(self.names[-1]),
            "kind": self.kind,
            "size": self.size,
            "deleted_at": time_text(self.deleted_s),
            "until": time_text(self.deleted_s + KEPT_S),
        }


class Trash:
    """Synchronous, for threads."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self._workspace = workspace
        self._folder = folder
        self._swept = False
        self._sweeping = threading.Lock()

    def put(self, names: Names) -> Trashed:
        """Errors: OSError, Problem."""
        self._sweep()
        with self._workspace.parent(names) as source:
            mode = os.stat(source[1], dir_fd=source[0], follow_symlinks=False).st_mode
            home = self._folder / secrets.token_hex(8)
            home.mkdir(parents=True)
            one = Trashed(home.name, written_path(names), kind_of(mode), 0, time.time())
            try:
                _write_note(home, one)  # first, so that nothing lies here of which nobody knows whence
                with _opened(home) as target:
                    rename_new(source, (target, CONTENT.encode()))
            except OSError:
                _remove(home)
                raise
        return self._with_size(home, one)

    def listed(self) -> list[Trashed]:
        """Newest first; what is too old goes now."""
        found = [one for home in self._homes() if (one := _read_note(home))]
        kept = [one for one in found if one.deleted_s > time.time() - KEPT_S]
        for one in set(found) - set(kept):
            _remove(self._folder / one.id)
        return sorted(kept, key=lambda one: one.deleted_s, reverse=True)

    def restore(self, name: str) -> Names:
        """Where it is again. Errors: OSError, Problem 404."""
        home = self._home(name)
        note = _read_note(home)
        if note is None:
            raise not_found("such thing in the trash")
        with self._workspace.made(note.names[:-1]) as folder, _opened(home) as source:
            back = place((source, CONTENT.encode()), folder, note.names[-1], rename=True)
        _remove(home)
        return (*note.names[:-1], back)

    def drop(self, name: str) -> None:
        """Errors: Problem 404."""
        home = self._home(name)
        if not home.is_dir():
            raise not_found("such thing in the trash")
        _remove(home)

    def empty(self) -> None:
        for home in self._homes():
            _remove(home)

    def _home(self, name: str) -> Path:
        if not ID.fullmatch(name):
            raise not_found("such thing in the trash")
        return self._folder / name

    def _sweep(self) -> None:
        """What a server that was killed has left: folders on their way out, and such that hold nothing."""
        with self._sweeping:  # or what another has just begun would seem to hold nothing
            if self._swept:
                return
            self._swept = True
            for home in self._folder.glob("*"):
                if home.suffix == GONE or not os.path.lexists(home / CONTENT):
                    remove(home)

    def _homes(self) -> list[Path]:
        self._sweep()
        with contextlib.suppress(FileNotFoundError):
            return [home for home in self._folder.iterdir() if ID.fullmatch(home.name)]
        return []

    def _with_size(self, home: Path, one: Trashed) -> Trashed:
        """It is in the trash already; that its size cannot be noted is no reason to complain."""
        counted = Trashed(one.id, one.path, one.kind, size_of(home / CONTENT), one.deleted_s)
        with contextlib.suppress(OSError):
            _write_note(home, counted)
        return counted


def _remove(home: Path) -> None:
    """In one step it is nowhere to be seen, then away: nothing half deleted is ever offered for return."""
    gone = home.with_suffix(GONE)
    with contextlib.suppress(FileNotFoundError):  # another was quicker
        home.rename(gone)
    remove(gone)


def size_of(path: Path) -> int:
    """Bytes of all files from there on, without following links.

    What cannot be read does not count."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    total = 0
    pending = [os.fspath(path)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as scan:
            for item in scan:
                if item.is_dir(follow_symlinks=False):
                    pending.append(item.path)
                else:
                    with contextlib.suppress(OSError):
                        total += item.stat(follow_symlinks=False).st_size
    return total


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def _write_note(home: Path, one: Trashed) -> None:
    note = {"path": one.path, "kind": one.kind, "size": one.size, "deleted_s": one.deleted_s}
    draft = home / f"{NOTE}.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(home / NOTE)


def _read_note(home: Path) -> Trashed | None:
    """None if there is nothing behind it: a deletion that was cut off before it began."""
    try:
        note = json.loads((home / NOTE).read_bytes())
        (home / CONTENT).lstat()
        one = Trashed(home.name, note["path"], note["kind"], int(note["size"]), float(note["deleted_s"]))
        return one if one.names else None
    except (OSError, ValueError, KeyError, TypeError, Problem):
        return None
