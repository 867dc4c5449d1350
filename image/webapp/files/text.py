"""A text file to be edited: read with its mark, written only if nobody has written meanwhile."""

import codecs
import contextlib
import errno
import hashlib
import os
import stat
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

from webapp.files.draft import Drafts
from webapp.files.entry import time_text
from webapp.files.place import (
    Names,
    Workspace,
    exchange,
    read_path,
    rename_new,
    reopen_file,
    written_path,
)
from webapp.problem import Problem

LARGEST_TEXT = 4 << 20
FIRST_PART = 256 << 10
LOOKED_AT = 64 << 10
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
EOLS = ("lf", "crlf", "mixed")
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Text:
    """A file's text and the mark of exactly these bytes.

    Shape: {"path": "a.txt", "text": "…", "etag": "…", "size": 12, "state": "text|binary|too_large",
    "encoding": "utf-8", "eol": "lf|crlf|mixed", "modified_at": "…", "writable": true}
    """

    path: str
    text: str | None
    etag: str | None
    size: int
    state: str
    encoding: str
    eol: str
    modified_at: str
    writable: bool

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Changed(Exception):  # noqa: N818 - an answer, rather than an error
    """Somebody else has written meanwhile: what is there now, None if nothing is."""

    def __init__(self, current: Text | None) -> None:
        super().__init__("changed meanwhile")
        self.current = current


def mark(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def read_text(workspace: Workspace, names: Names) -> Text:
    """Errors: OSError, Problem 400 for what is no file."""
    with workspace.file(names) as opened, open(opened, "rb", closefd=False) as file:
        status = os.fstat(opened)
        too_large = status.st_size > LARGEST_TEXT
        data = file.read(FIRST_PART if too_large else LARGEST_TEXT)
        writable = os.access(f"/proc/self/fd/{opened}", os.W_OK)
    text = _text_of(written_path(names), data, status, too_large)
    return replace(text, writable=writable)


def _text_of(path: str, data: bytes, status: os.stat_result, too_large: bool) -> Text:
    encoding = _encoding(data, too_large)
    decoded = data.decode(encoding, "ignore" if too_large else "strict") if encoding else None
    eol = _eol(decoded or "")
    return Text(
        path=path,
        text=decoded.replace("\r\n", "\n") if decoded and eol == "crlf" else decoded,
        etag=None if too_large else mark(data),
        size=status.st_size,
        state="binary" if decoded is None else "too_large" if too_large else "text",
        encoding=encoding or "",
        eol=eol,
        modified_at=time_text(status.st_mtime),
        writable=True,
    )


def _encoding(data: bytes, cut: bool) -> str:
    """ "" for what is no text."""
    for bytes_before, encoding in MARKS:
        if data.startswith(bytes_before):
            return encoding if _decodes(data, encoding, cut) else ""
    if b"\0" in data[:LOOKED_AT]:
        return ""
    return "utf-8" if _decodes(data, "utf-8", cut) else "latin-1"


def _decodes(data: bytes, encoding: str, cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data, final=not cut)
    except UnicodeDecodeError:
        return False
    # What would not come back byte for byte must not be edited.
    return cut or encoding != "utf-16" or data.decode(encoding).encode(encoding) == data


def _eol(text: str) -> str:
    windows = text.count("\r\n")
    if not windows:
        return "mixed" if "\r" in text else "lf"
    return "crlf" if windows == text.count("\n") == text.count("\r") else "mixed"


@dataclass(frozen=True)
class Edit:
    """What a page wants to be in a file, and what it has read there before."""

    names: Names
    text: str
    etag: str | None
    encoding: str
    eol: str


def read_edit(body: dict[str, object]) -> Edit:
    """Errors: Problem 400."""
    text, etag = body.get("text"), body.get("etag")
    encoding, eol = body.get("encoding") or "utf-8", body.get("eol") or "lf"
    if not isinstance(text, str) or not (etag is None or isinstance(etag, str)):
        raise Problem(400, "bad_request", "text must be a text, and etag one or null.")
    if encoding not in ENCODINGS or eol not in EOLS:
        raise Problem(
            400, "bad_request", f"encoding is one of {', '.join(ENCODINGS)}; eol of {', '.join(EOLS)}."
        )
    return Edit(read_path(body.get("path")), text, etag, str(encoding), str(eol))


def encoded(edit: Edit) -> bytes:
    """Errors: Problem 413, 422."""
    text = edit.text.replace("\r\n", "\n").replace("\n", "\r\n") if edit.eol == "crlf" else edit.text
    try:
        data = text.encode(edit.encoding)
    except UnicodeEncodeError as error:
        sign = text[error.start : error.start + 1]
        message = f"{sign!r} cannot be written in this file's encoding ({edit.encoding})."
        raise Problem(422, "not_encodable", message, "Save it as UTF-8.") from error
    if len(data) > LARGEST_TEXT:
        raise Problem(413, "too_large", "The text is too large to be saved from here (4 MB).")
    return data


class Editor:
    """Saves texts, one at a time."""

    def __init__(self, workspace: Workspace, drafts: Drafts) -> None:
        self._workspace = workspace
        self._drafts = drafts
        self._saving = threading.Lock()

    def save(self, edit: Edit) -> Text:
        """Errors: Changed, OSError, Problem."""
        data = encoded(edit)
        with self._saving, self._drafts.new() as draft:
            names = self._workspace.resolved(edit.names)
            current = self._current(names)
            if (current.etag if current else None) != edit.etag or (current and not current.etag):
                raise Changed(current)
            if current and not current.writable:
                raise PermissionError(errno.EACCES, "read-only")
            self._write(draft, data, names if current else None)
            with self._workspace.parent(names) as target:
                self._put(draft, target, edit)
        return replace(read_text(self._workspace, edit.names), text=None)

    def _current(self, names: Names) -> Text | None:
        try:
            return read_text(self._workspace, names)
        except FileNotFoundError:
            return None

    def _write(self, draft: tuple[int, bytes], data: bytes, like: Names | None) -> None:
        """The draft, with the mode of the file that it is to replace."""
        opened = os.open(
            draft[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=draft[0]
        )
        with open(opened, "wb") as file:
            if like is not None:
                with self._workspace.at(like) as found:
                    os.fchmod(opened, stat.S_IMODE(os.fstat(found).st_mode))
            file.write(data)
            file.flush()
            os.fsync(opened)

    def _put(self, draft: tuple[int, bytes], target: tuple[int, bytes], edit: Edit) -> None:
        """Into its place in one step; what it has replaced is looked at, and put back if it is new."""
        if edit.etag is None:
            try:
                rename_new(draft, target)
            except FileExistsError as error:
                raise Changed(self._current(edit.names)) from error
        else:
            try:
                exchange(draft, target)
            except FileNotFoundError as error:
                raise Changed(None) from error
            if _mark_of(draft) != edit.etag:
                exchange(draft, target)
                raise Changed(self._current(edit.names))
        with contextlib.suppress(OSError):
            _sync(target[0])


def _mark_of(place: tuple[int, bytes]) -> str | None:
    """None if it is no file."""
    try:
        found = os.open(place[1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place[0])
        try:
            opened = reopen_file(found)
        finally:
            os.close(found)
    except (OSError, Problem):
        return None
    with open(opened, "rb") as file:
        return mark(file.read(LARGEST_TEXT + 1))


def _sync(folder: int) -> None:
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
