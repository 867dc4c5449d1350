"""Files and folders as one zip, made while it is sent."""

import io
import os
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from webapp.files.place import Names, Workspace, name_of, reopen_file
from webapp.files.tree import Found, tree
from webapp.problem import Problem

PIECE = 256 << 10
EARLIEST = (1980, 1, 1, 0, 0, 0)
LATEST = (2107, 12, 31, 23, 59, 58)
LEFT_OUT = "left out.txt"
PACKED_ALREADY = frozenset(
    f".{end}"
    for end in (
        *("7z", "avif", "bz2", "docx", "gif", "gz", "heic", "jpeg", "jpg", "m4a", "mkv", "mov", "mp3", "mp4"),
        *("ogg", "pdf", "png", "pptx", "webm", "webp", "xlsx", "xz", "zip", "zst"),
    )
)


def bundle(workspace: Workspace, chosen: list[Names]) -> Iterator[bytes]:
    """The zip's bytes, in pieces. Links are left out; what cannot be read is named in it.

    Errors: OSError, Problem if one of the chosen is not there: before the first byte.
    """
    for names in chosen:
        with workspace.at(names):
            pass
    return _pieces(workspace, chosen)


def _pieces(workspace: Workspace, chosen: list[Names]) -> Iterator[bytes]:
    making = _Making()
    with making.archive:
        for names, called in zip(chosen, _called(chosen), strict=True):
            with workspace.at(names) as found:
                yield from making.add(found, called)
        if making.left_out:
            making.archive.writestr(LEFT_OUT, "\n".join([*making.left_out, ""]))
    yield making.sink.take()


def _called(chosen: list[Names]) -> list[str]:
    """What each is called in the archive: no two alike."""
    called: list[str] = []
    for names in chosen:
        name = wanted = name_of(names[-1]) if names else "workspace"
        number = 2
        while name in called:
            name, number = f"{number} {wanted}", number + 1
        called.append(name)
    return called


class _Making:
    """A zip that is being made."""

    def __init__(self) -> None:
        self.sink = _Sink()
        self.archive = zipfile.ZipFile(self.sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.left_out: list[str] = []

    def add(self, found: int, called: str) -> Iterator[bytes]:
        """A file, or a folder and all that is in it."""

        def path_of(below: Names) -> str:
            return "/".join([called, *map(name_of, below)])

        status = os.fstat(found)
        if not stat.S_ISDIR(status.st_mode):
            yield from self._add_file(called, Found((), found, status))
            return
        self.archive.writestr(_info(f"{called}/", status), b"")
        for one in tree(found, lambda below: self.left_out.append(path_of(below))):
            if one.is_folder:
                self.archive.writestr(_info(f"{path_of(one.names)}/", one.status), b"")
            elif one.is_file:
                yield from self._add_file(path_of(one.names), one)

    def _add_file(self, path: str, one: Found) -> Iterator[bytes]:
        try:
            opened = reopen_file(one.at)
        except (OSError, Problem):
            self.left_out.append(path)
            return
        info = _info(path, one.status)
        packed = Path(path).suffix.lower() in PACKED_ALREADY
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        with open(opened, "rb") as file, self.archive.open(info, "w", force_zip64=True) as target:
            left = one.status.st_size  # a file that something writes into all the time has an end, too
            while piece := file.read(min(PIECE, left)):
                left -= len(piece)
                target.write(piece)
                if self.sink.full():
                    yield self.sink.take()


def _info(path: str, status: os.stat_result) -> zipfile.ZipInfo:
    when = time.localtime(status.st_mtime)[:6]
    info = zipfile.ZipInfo(path, min(max(when, EARLIEST), LATEST))
    info.external_attr = (status.st_mode & 0xFFFF) << 16
    if path.endswith("/"):
        info.external_attr |= 0x10
    return info


class _Sink(io.RawIOBase):
    """A file that hands on what is written into it."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def full(self) -> bool:
        return len(self._held) >= PIECE

    def take(self) -> bytes:
        held, self._held = bytes(self._held), bytearray()
        return held
