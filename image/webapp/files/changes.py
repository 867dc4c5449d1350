"""To make, move and copy files and folders; nothing that is there is ever replaced."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from webapp.files.draft import Drafts, place
from webapp.files.place import Names, Workspace, read_path, reopen_file, reopen_folder
from webapp.problem import Problem

CHOICES = ("refuse", "rename")


@dataclass(frozen=True)
class Change:
    """From where to where, and whether a taken name may become another."""

    source: Names
    target: Names
    rename: bool


def read_change(body: dict[str, object]) -> Change:
    """Errors: Problem 400."""
    return Change(read_path(body.get("path")), read_path(body.get("to")), wants_rename(body, "refuse"))


def wants_rename(body: dict[str, object], default: str) -> bool:
    """Errors: Problem 400."""
    existing = body.get("existing", default)
    if existing not in CHOICES:
        raise Problem(400, "bad_request", f"existing is one of {', '.join(CHOICES)}.")
    return existing == "rename"


def make(workspace: Workspace, names: Names, kind: object) -> None:
    """A new empty file or folder. Errors: FileExistsError, OSError, Problem 400."""
    if kind not in ("file", "folder") or not names:
        raise Problem(400, "bad_request", "kind is file or folder, and path names it.")
    with workspace.made(names[:-1]) as folder:
        if kind == "folder":
            os.mkdir(names[-1], dir_fd=folder)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(names[-1], flags, 0o644, dir_fd=folder))


def move(workspace: Workspace, change: Change) -> Names:
    """Where it is now. Errors: FileExistsError, OSError, Problem."""
    if change.source == change.target:
        return change.source
    _not_into_itself(workspace, change)
    with workspace.parent(change.source) as source, workspace.parent(change.target) as (folder, name):
        there = place(source, folder, name, rename=change.rename)
    return (*change.target[:-1], there)


def copy(workspace: Workspace, drafts: Drafts, change: Change) -> Names:
    """Where the copy is. It appears when it is whole. Errors: FileExistsError, OSError, Problem."""
    _not_into_itself(workspace, change)
    with (
        workspace.at(change.source, follow=False) as found,
        workspace.parent(change.target) as (folder, name),
    ):
        if not change.rename and _exists(folder, name):
            raise FileExistsError(errno.EEXIST, "File exists")
        with drafts.new() as draft:
            _copy(found, draft)
            there = place(draft, folder, name, rename=change.rename)
    return (*change.target[:-1], there)


def _exists(folder: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _not_into_itself(workspace: Workspace, change: Change) -> None:
    """Errors: Problem 400, 403."""
    if not change.source or not change.target:
        raise Problem(400, "bad_path", "The workspace itself cannot be moved or copied.")
    source = (*workspace.resolved(change.source[:-1]), change.source[-1])
    target = workspace.resolved(change.target[:-1])
    if target[: len(source)] == source:
        raise Problem(400, "into_itself", "A folder cannot be put into itself.")


def _copy(found: int, target: tuple[int, bytes]) -> None:
    """What an O_PATH descriptor is of: a file, a link, or a folder with all that is in it."""
    mode = os.fstat(found).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(b"", dir_fd=found), target[1], dir_fd=target[0])
    elif stat.S_ISDIR(mode):
        _copy_folder(found, target)
    else:
        opened = reopen_file(found)
        with open(opened, "rb") as file:
            _copy_file(file.fileno(), target)


def _copy_file(source: int, target: tuple[int, bytes]) -> None:
    status = os.fstat(source)
    made = os.open(target[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target[0])
    with open(source, "rb", closefd=False) as reader, open(made, "wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fchmod(made, stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_folder(found: int, target: tuple[int, bytes]) -> None:
    status = os.fstat(found)
    os.mkdir(target[1], 0o700, dir_fd=target[0])
    with _opened(found) as source, _opened_at(target) as made:
        with os.scandir(source) as scan:
            names = [os.fsencode(item.name) for item in scan]
        for name in names:
            _copy_child(source, name, made)
        os.fchmod(made, stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_child(source: int, name: bytes, made: int) -> None:
    try:
        child = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    except FileNotFoundError:
        return  # gone since it was listed
    try:
        if stat.S_IFMT(os.fstat(child).st_mode) in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
            _copy(child, (made, name))
    finally:
        os.close(child)


@contextlib.contextmanager
def _opened(found: int) -> Iterator[int]:
    opened = reopen_folder(found)
    try:
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def _opened_at(place: tuple[int, bytes]) -> Iterator[int]:
    opened = os.open(place[1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place[0])
    try:
        yield opened
    finally:
        os.close(opened)
