"""Everything that is hers, as one archive, made while it is sent."""

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from webapp.config import Config
from webapp.data.archive import BLOCK, END, FORMAT, HEAD, Origin, Seal, member, name_in, note
from webapp.data.parts import Part, parts
from webapp.files.place import Names, reopen_file
from webapp.files.tree import Found, tree
from webapp.problem import Problem

PIECE = 256 << 10
ZEROS = bytes(PIECE)


def export(config: Config, *, secrets: bool) -> Iterator[bytes]:
    """The archive's bytes, in pieces. What cannot be read is left out, as are pipes and sockets."""
    made_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    origin = Origin(config.user_name, config.user_email, made_at, secrets)
    writer = _Writer()
    with writer:
        writer.note(HEAD, {"format": FORMAT, **origin.json()})
        for part in parts(config, secrets=secrets).values():
            if part.folder.is_dir():
                yield from _add_part(writer, part)
        writer.note(END, writer.seal.json())
    yield writer.take()


def _add_part(writer: "_Writer", part: Part) -> Iterator[bytes]:
    top = os.open(part.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for one in tree(top, _leave_out, part.takes):
            yield from writer.add(name_in(part.name, one.names), one)
    finally:
        os.close(top)


def _leave_out(_names: Names) -> None:
    """A file that she herself may not read is not hers to take along."""


class _Sink(io.RawIOBase):
    def __init__(self) -> None:
        super().__init__()
        self.held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.held += data
        return len(data)


class _Writer:
    """A tar that is made piece by piece, also within a file."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._packed = gzip.GzipFile("", "wb", 1, self._sink, 0)
        self._tar = tarfile.open(  # noqa: SIM115 - closed in __exit__
            fileobj=self._packed,
            mode="w|",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self.seal = Seal()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._tar.close()
            self._packed.close()

    def take(self) -> bytes:
        held, self._sink.held = bytes(self._sink.held), bytearray()
        return held

    def note(self, name: str, content: dict[str, Any]) -> None:
        info, data = note(name, content)
        self._tar.addfile(info, io.BytesIO(data))

    def add(self, name: str, one: Found) -> Iterator[bytes]:
        info = member(name, one.status)
        if one.is_folder:
            info.type = tarfile.DIRTYPE
            self._tar.addfile(info)
            self.seal.add(info, b"")
        elif one.is_link:
            info.type = tarfile.SYMTYPE
            info.linkname = os.fsdecode(os.readlink(b"", dir_fd=one.at))
            self._tar.addfile(info)
            self.seal.add(info, os.fsencode(info.linkname))
        elif one.is_file:
            yield from self._add_file(info, one)
        if len(self._sink.held) >= PIECE:
            yield self.take()

    def _add_file(self, info: tarfile.TarInfo, one: Found) -> Iterator[bytes]:
        try:
            opened = reopen_file(one.at)
        except (OSError, Problem):
            return
        digest = hashlib.sha256()
        with open(opened, "rb") as file:
            info.size = os.fstat(opened).st_size
            # addfile() would want the whole file at once.
            self._write(
                info.tobuf(self._tar.format, self._tar.encoding or "utf-8", self._tar.errors or "strict")
            )
            left = info.size
            while left:
                # A file that became shorter meanwhile is filled up: its length stands before it already.
                piece = file.read(min(PIECE, left)) or ZEROS[:left]
                left -= len(piece)
                digest.update(piece)
                self._write(piece)
                if len(self._sink.held) >= PIECE:
                    yield self.take()
            self._write(bytes(-info.size % BLOCK))
        self.seal.add(info, digest.digest())

    def _write(self, data: bytes) -> None:
        stream: Any = self._tar.fileobj
        stream.write(data)
        self._tar.offset += len(data)


def file_name(config: Config) -> str:
    name = "".join(sign if sign.isalnum() else "-" for sign in config.user_name.lower()).strip("-")
    return f"my-jarvis-{name or 'workspace'}-{datetime.now(UTC):%Y-%m-%d}.tar.gz"
