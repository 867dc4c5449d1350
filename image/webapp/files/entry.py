"""What a page is told about a file or folder, and a folder's content."""

import os
import re
import stat
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from webapp.files.place import Names, Workspace, name_of, reopen_folder, written_path
from webapp.problem import Problem

MOST_ENTRIES = 20_000
LATEST_S = 253_402_300_799  # the end of the year 9999, which is as far as dates go
DIGITS = re.compile(r"(\d{1,18})")


@dataclass(frozen=True)
class Entry:
    """A file or folder in a list.

    Shape: {"path": "a/b.txt", "name": "b.txt", "kind": "file|folder|link|other", "link": false, "size": 12,
    "modified_at": "2026-11-23T01:07:50.123Z", "version": "…"}
    """

    path: str
    name: str
    kind: str
    link: bool
    size: int | None
    modified_at: str
    version: str

    def json(self) -> dict[str, Any]:
        return asdict(self)


def time_text(seconds: float) -> str:
    moment = datetime.fromtimestamp(min(max(seconds, 0.0), LATEST_S), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def version_of(status: os.stat_result) -> str:
    """Changes whenever the content may have changed."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def entry_at(workspace: Workspace, names: Names) -> Entry:
    """Errors: OSError, Problem."""
    with workspace.at(names, follow=False) as found:
        return _entry(workspace, names, os.fstat(found))


def _entry(workspace: Workspace, names: Names, status: os.stat_result) -> Entry:
    link = stat.S_ISLNK(status.st_mode)
    if link:
        kind, status = _behind(workspace, names, status)
    else:
        kind = kind_of(status.st_mode)
    return Entry(
        path=written_path(names),
        name=name_of(names[-1]) if names else "",
        kind=kind,
        link=link,
        size=status.st_size if kind == "file" else None,
        modified_at=time_text(status.st_mtime),
        version=version_of(status),
    )


def kind_of(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "link" if stat.S_ISLNK(mode) else "other"


def _behind(workspace: Workspace, names: Names, status: os.stat_result) -> tuple[str, os.stat_result]:
    """What a link leads to, if that lies in the workspace."""
    try:
        with workspace.at(names) as found:
            target = os.fstat(found)
    except (OSError, Problem):
        return "link", status
    return kind_of(target.st_mode), target


def listing(workspace: Workspace, names: Names, hidden: bool) -> dict[str, Any]:
    """A folder and what lies in it, folders first, and when that was so. Errors: OSError, Problem."""
    at = time.monotonic()
    with workspace.folder(names) as found:
        folder = _entry(workspace, names, os.fstat(found))
        opened = reopen_folder(found)
    try:
        with os.scandir(opened) as scan:
            listed = [item for item in scan if hidden or not item.name.startswith(".")]
        listed.sort(key=_order)
        entries = [entry for item in listed[:MOST_ENTRIES] if (entry := _listed(workspace, names, item))]
        entries.sort(key=lambda entry: entry.kind != "folder")
    finally:
        os.close(opened)
    return {
        "folder": folder.json(),
        "entries": [entry.json() for entry in entries],
        "more": len(listed) > MOST_ENTRIES,
        "at": at,
    }


def _listed(workspace: Workspace, names: Names, item: os.DirEntry[str]) -> Entry | None:
    try:
        return _entry(workspace, (*names, os.fsencode(item.name)), item.stat(follow_symlinks=False))
    except FileNotFoundError:
        return None  # gone since it was listed


def _order(item: os.DirEntry[str]) -> tuple[list[Any], str]:
    """Numbers by value, capitals like small letters."""
    parts: list[Any] = DIGITS.split(item.name.casefold())
    parts[1::2] = map(int, parts[1::2])
    return parts, item.name
