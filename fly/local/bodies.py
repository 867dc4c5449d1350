"""The bodies of HTTP/1.1 messages: where they end. Their bytes are counted and checked, never changed."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Protocol

from fly.local.heads import CHUNKED, UNTIL_CLOSE, is_trailer

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_LINE_BYTES = 4096
_TRAILER_BYTES = 16 * 1024


class BodyError(Exception):
    """The body is not framed as it should be."""


class Body(Protocol):
    done: bool

    def feed(self, data: bytes) -> int:
        """How many of these bytes still belong to the body.

        *Errors*: `BodyError`.
        """


def body_of(length: int) -> Body:
    """What tells the end of a body of this length (in bytes, or one of the constants of `heads`)."""
    if length == CHUNKED:
        return Chunked()
    return UntilClose() if length == UNTIL_CLOSE else Sized(length)


class Sized:
    """Ends after a known number of bytes."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def feed(self, data: bytes) -> int:
        size = len(data)
        if size < self._left:
            self._left -= size
            return size
        size, self._left, self.done = self._left, 0, True
        return size


class UntilClose:
    """Ends with the connection."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> int:
        return len(data)


class _Expects(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class Chunked:
    """Ends with the chunk of size 0 and the trailers behind it."""

    __slots__ = ("_expects", "_left", "_line", "_trailer_bytes", "done")

    def __init__(self) -> None:
        self.done = False
        self._expects = _Expects.SIZE
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.done:
            at = self._skip(data, at) if self._expects is _Expects.DATA else self._take_line(data, at)
        return at

    def _skip(self, data: bytes, at: int) -> int:
        step = min(self._left, len(data) - at)
        self._left -= step
        if not self._left:
            self._expects = _Expects.DATA_END
        return at + step

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        line = self._line + data[at : end or len(data)]
        if len(line) > _LINE_BYTES:
            raise BodyError("a line between chunks is too long")
        if not end:
            self._line = line
            return len(data)
        self._line = b""
        self._read(line)
        return end

    def _read(self, line: bytes) -> None:
        if self._expects is _Expects.SIZE:
            self._read_size(line)
        elif self._expects is _Expects.TRAILER:
            self._read_trailer(line)
        elif line == b"\r\n":
            self._expects = _Expects.SIZE
        else:
            raise BodyError("a chunk is longer than it said")

    def _read_size(self, line: bytes) -> None:
        if not (match := _CHUNK_SIZE.fullmatch(line)):
            raise BodyError("the size of a chunk is malformed")
        self._left = int(match[1], 16)
        self._expects = _Expects.DATA if self._left else _Expects.TRAILER

    def _read_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if line == b"\r\n":
            self.done = True
        elif self._trailer_bytes > _TRAILER_BYTES or not is_trailer(line):
            raise BodyError("a trailer is malformed, too long, or not allowed there")
