"""What is being written: it lies on the volume, but not in the workspace, until it is whole."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from webapp.files.place import LONGEST_NAME, rename_new

NUMBERED = re.compile(r"^(?P<stem>.*) \((?P<number>\d{1,6})\)$", re.DOTALL)
TWO_PARTS = (".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst")


class Drafts:
    """A folder for what is unfinished; what a killed server has left there is removed at the next start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False
        self._sweeping = threading.Lock()

    @contextlib.contextmanager
    def new(self) -> Iterator[tuple[int, bytes]]:
        """A folder and a free name in it; whatever bears that name in the end is removed."""
        with self._sweeping:  # or the second of two would sweep away what the first has begun
            if not self._swept:
                remove(self._folder)
                self._swept = True
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        name = secrets.token_hex(8)
        try:
            yield folder, name.encode()
        finally:
            os.close(folder)
            remove(self._folder / name)


def remove(path: Path) -> None:
    """Away with a file, a link, or a folder and all that is in it, also where that is read-only."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            for *_, opened in os.fwalk(path):
                with contextlib.suppress(OSError):
                    os.fchmod(opened, 0o700)
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def place(source: tuple[int, bytes], folder: int, name: bytes, *, rename: bool) -> bytes:
    """Moves a draft to its place, or with `rename` to the next free name; what it is called there.

    Errors: FileExistsError, OSError.
    """
    while True:
        try:
            rename_new(source, (folder, name))
        except FileExistsError:
            if not rename:
                raise
            name = next_name(name)
        else:
            return name


def next_name(name: bytes) -> bytes:
    """ "a.txt" -> "a (2).txt" -> "a (3).txt" """
    text = os.fsdecode(name)
    end = next((part for part in TWO_PARTS if text.lower().endswith(part)), "")
    stem, suffix = (text[: -len(end)], text[-len(end) :]) if end else os.path.splitext(text)
    number = 2
    if found := NUMBERED.match(stem):
        stem, number = found["stem"], int(found["number"]) + 1
    more = os.fsencode(f" ({number}){suffix}")
    return _short(os.fsencode(stem), LONGEST_NAME - len(more)) + more


def _short(stem: bytes, longest: int) -> bytes:
    if longest < 1:
        raise OSError(errno.ENAMETOOLONG, "The name is too long")
    return stem if len(stem) <= longest else os.fsencode(stem[:longest].decode("utf-8", "ignore"))
