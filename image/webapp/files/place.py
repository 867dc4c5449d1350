"""Where in the workspace something lies, and how to get there without ever leaving it.

A path is walked one name at a time, each opened relative to the folder before it, so that nothing that is
moved or replaced meanwhile leads astray. A link is followed by walking its target in the same way.
"""

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from webapp.problem import Problem

Names = tuple[bytes, ...]

STRANGE = "\ufffd"  # begins a name that cannot be written as text
LONGEST_NAME = 255
MOST_LINKS = 40
_ANY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = _ANY | os.O_DIRECTORY
_NO_REPLACE, _EXCHANGE = 1, 2


def outside() -> Problem:
    return Problem(403, "outside", "This leads out of the workspace.")


def name_of(name: bytes) -> str:
    """A name for people: what is no text becomes U+FFFD."""
    return name.decode("utf-8", "replace")


def written(name: bytes) -> str:
    """A name as it stands in a path; `read_path` gets the same bytes back."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = STRANGE
    return STRANGE + name.hex() if text.startswith(STRANGE) else text


def written_path(names: Sequence[bytes]) -> str:
    return "/".join(map(written, names))


def read_path(text: object) -> Names:
    """The names in a path that a page has sent.

    Errors: Problem 400.
    """
    if not isinstance(text, str):
        raise Problem(400, "bad_path", "A path is needed.")
    return tuple(_read_name(part) for part in text.split("/")) if text else ()


def _read_name(text: str) -> bytes:
    try:
        name = bytes.fromhex(text[1:]) if text.startswith(STRANGE) else text.encode()
    except ValueError:
        name = b""
    if name in {b"", b".", b".."} or b"/" in name or b"\0" in name or len(name) > LONGEST_NAME:
        raise Problem(400, "bad_path", "This is no path in the workspace.")
    return name


class Workspace:
    """The one folder that a page may look into."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def at(self, names: Names, *, follow: bool = True) -> Iterator[int]:
        """An O_PATH descriptor of what lies there; `follow` is about a link at the very end.

        Errors: OSError, Problem 403 if it leads outside.
        """
        with _Walk(self.root) as walk:
            walk.go(names, follow)
            yield walk.here

    @contextlib.contextmanager
    def folder(self, names: Names) -> Iterator[int]:
        """The same for a folder. Errors: also NotADirectoryError."""
        with self.at(names) as found:
            if not stat.S_ISDIR(os.fstat(found).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
            yield found

    @contextlib.contextmanager
    def parent(self, names: Names) -> Iterator[tuple[int, bytes]]:
        """The folder that something lies in or will lie in, and its name there, which is not followed."""
        if not names:
            raise Problem(400, "bad_path", "The workspace itself cannot be changed.")
        with self.folder(names[:-1]) as folder:
            yield folder, names[-1]

    @contextlib.contextmanager
    def made(self, names: Names) -> Iterator[int]:
        """The same as `folder`; what is missing on the way is made."""
        with _Walk(self.root) as walk:
            for name in names:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=walk.here)
                walk.go((name,), follow=True)
            if not stat.S_ISDIR(os.fstat(walk.here).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
            yield walk.here

    def resolved(self, names: Names) -> Names:
        """Where it really lies, with no link left in the way; the last name may be missing."""
        with _Walk(self.root) as walk:
            walk.go(names[:-1], follow=True)
            if not names:
                return ()
            try:
                walk.go(names[-1:], follow=True)
            except FileNotFoundError:
                if _is_link(walk.here, names[-1]):
                    raise
                return (*walk.names, *names[-1:])
            return tuple(walk.names)

    @contextlib.contextmanager
    def file(self, names: Names) -> Iterator[int]:
        """A descriptor to read a regular file from.

        Errors: OSError, Problem 400 if it is something else.
        """
        with self.at(names) as found:
            opened = reopen_file(found)
        try:
            yield opened
        finally:
            os.close(opened)


def reopen_file(found: int) -> int:
    """From an O_PATH descriptor one to read with. Errors: Problem 400 for what is no regular file."""
    if not stat.S_ISREG(os.fstat(found).st_mode):
        raise Problem(400, "not_a_file", "This is no file that can be opened.")
    return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)


def reopen_folder(found: int) -> int:
    """From an O_PATH descriptor one to list with."""
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found)


class _Walk:
    """A descent from the workspace; closes what it has opened."""

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)
        self._open = [os.open(root, _FOLDER)]
        self._links = 0
        self.names: list[bytes] = []

    def __enter__(self) -> "_Walk":
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.pop())

    @property
    def here(self) -> int:
        return self._open[-1]

    def go(self, names: Names, follow: bool) -> None:
        ahead = list(reversed(names))
        while ahead:
            name = ahead.pop()
            if name == b"..":
                self._up()
            elif name not in {b"", b"."}:
                self._into(name, ahead, follow)

    def _up(self) -> None:
        if len(self._open) == 1:
            raise outside()
        os.close(self._open.pop())
        self.names.pop()

    def _into(self, name: bytes, ahead: list[bytes], follow: bool) -> None:
        found = os.open(name, _ANY, dir_fd=self.here)
        if stat.S_ISLNK(os.fstat(found).st_mode) and (follow or ahead):
            try:
                target = os.readlink(b"", dir_fd=found)
            finally:
                os.close(found)
            ahead.extend(reversed(self._target(target)))
        else:
            self._open.append(found)
            self.names.append(name)

    def _target(self, target: bytes) -> list[bytes]:
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, "Too many links")
        if not target.startswith(b"/"):
            return target.split(b"/")
        if not f"{target.decode(errors='surrogateescape')}/".startswith(f"{os.fsdecode(self._root)}/"):
            raise outside()
        while len(self._open) > 1:
            self._up()
        return target[len(self._root) :].split(b"/")


def _is_link(folder: int, name: bytes) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


# --- renaming that looks and acts in one step ---

_libc = ctypes.CDLL(None, use_errno=True)


def rename_new(source: tuple[int, bytes], target: tuple[int, bytes]) -> None:
    """Moves something to a name that is free. Errors: FileExistsError, OSError."""
    _rename(source, target, _NO_REPLACE)


def exchange(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    """Two things change their places. Errors: OSError."""
    _rename(one, other, _EXCHANGE)


def _rename(source: tuple[int, bytes], target: tuple[int, bytes], how: int) -> None:
    if _libc.renameat2(source[0], source[1], target[0], target[1], ctypes.c_uint(how)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name_of(target[1]))
