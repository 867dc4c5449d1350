"""The form of an archive: a compressed tar that says first what it is, and at its end that it is whole.

The first member names its maker. The last one holds the number of members before it and a digest of them all.
"""

import hashlib
import json
import os
import stat
import tarfile
from dataclasses import asdict, dataclass
from typing import Any

from webapp.files.place import Names

FORMAT = 1
HEAD = "my-jarvis/export.json"
END = "my-jarvis/end.json"
LARGEST_NOTE = 1 << 20
BLOCK = tarfile.BLOCKSIZE
NS = 1_000_000_000


class BadArchive(Exception):  # noqa: N818 - an answer, rather than an error
    """This is no archive of ours, or not all of it; the message says why, for people."""


@dataclass(frozen=True)
class Origin:
    """Whose archive it is.

    Shape: {"name": "Lilach", "email": "…", "made_at": "2026-11-23T01:07:50Z", "secrets": false}
    """

    name: str
    email: str
    made_at: str
    secrets: bool

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Seal:
    """Counts the members of an archive, and digests what they say and hold."""

    def __init__(self) -> None:
        self._count = 0
        self._digest = hashlib.sha256()

    def add(self, info: tarfile.TarInfo, content: bytes) -> None:
        """`content` is the digest of a file's bytes, or where a link leads."""
        self._count += 1
        what = f"{info.type!r} {info.mode:o} {time_ns(info)} {info.size} {info.name}\0"
        self._digest.update(what.encode("utf-8", "surrogateescape") + content)

    def json(self) -> dict[str, Any]:
        return {"entries": self._count, "digest": self._digest.hexdigest()}


def member(name: str, status: os.stat_result) -> tarfile.TarInfo:
    """The header of something on the disk, with its date to the nanosecond."""
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode) & 0o777
    info.mtime = status.st_mtime_ns // NS
    info.pax_headers = {"mtime": f"{status.st_mtime_ns // NS}.{status.st_mtime_ns % NS:09d}"}
    return info


def time_ns(info: tarfile.TarInfo) -> int:
    """Errors: BadArchive."""
    whole, _, part = str(info.pax_headers.get("mtime", int(info.mtime))).partition(".")
    try:
        return int(whole) * NS + int(part[:9].ljust(9, "0"))
    except ValueError as error:
        raise BadArchive("A date in it makes no sense.") from error


def note(name: str, content: dict[str, Any]) -> tuple[tarfile.TarInfo, bytes]:
    data = json.dumps(content).encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def name_in(part: str, names: Names) -> str:
    return "/".join([part, *map(os.fsdecode, names)])


def names_of(name: str) -> tuple[str, Names]:
    """The part that a member belongs to, and where in it. Errors: BadArchive."""
    part, *below = name.split("/")
    names = tuple(os.fsencode(one) for one in below)
    if not names or any(one in {b"", b".", b".."} or b"\0" in one for one in names):
        raise BadArchive("A name in it leads elsewhere.")
    return part, names
