"""Files on their way in: received piece by piece, in the workspace when they are whole."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from webapp.files.draft import place
from webapp.files.place import Workspace, read_path, written_path
from webapp.problem import Problem, not_found

KEPT_S = 24 * 3600
PIECE = 1 << 20
LEFT_FREE = 16 << 20  # for everything else that has to be written
LARGEST = 1 << 42
ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Upload:
    """How far a file is; `path` is None for what does not go into the workspace.

    Shape: {"id": "…", "path": "a/b.txt", "size": 1000, "rename": true, "arrived": "a/b (2).txt" or null}
    """

    id: str
    path: str | None
    size: int
    rename: bool
    arrived: str | None = None


class Misplaced(Exception):  # noqa: N818 - an answer, rather than an error
    """The bytes that were sent do not follow upon those that are here."""


class Uploads:
    """All that is on its way; what is known of it lies on the disk, so that a restart loses nothing."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self._workspace = workspace
        self._folder = folder
        self._writers: dict[str, asyncio.Task[Any]] = {}

    def begin(self, path: str | None, size: object, rename: bool) -> Upload:
        """Errors: FileExistsError, OSError, Problem 400, 507."""
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST:
            raise Problem(400, "bad_request", "size is the file's length in bytes.")
        if path is not None and not read_path(path):
            raise Problem(400, "bad_path", "path names the file to be made.")
        self._forget_old()
        self._folder.mkdir(parents=True, exist_ok=True)
        _need_room(self._folder, size)
        upload = Upload(secrets.token_hex(16), path, size, rename)
        self._part(upload.id).touch(mode=0o644)
        self._write_note(upload)
        return upload if size or path is None else self._arrive(upload)

    def get(self, name: str) -> Upload:
        """Errors: Problem 404."""
        try:
            if not ID.fullmatch(name):
                raise ValueError(name)
            return Upload(**json.loads(self._note(name).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise not_found("such upload") from error

    def offset(self, upload: Upload) -> int:
        """How many of its bytes are here."""
        if upload.arrived is not None:
            return upload.size
        try:
            return self._part(upload.id).stat().st_size
        except FileNotFoundError as error:
            raise not_found("such upload") from error

    def whole(self, name: str) -> Path:
        """The bytes of an upload that goes elsewhere. Errors: Problem 404, 409."""
        upload = self.get(name)
        if upload.path is not None or self.offset(upload) != upload.size:
            raise Problem(409, "not_whole", "This upload is not complete.")
        return self._part(name)

    def hand_over(self, name: str, to: Path) -> None:
        """Moves the bytes of an upload to where they belong. Errors: OSError, Problem 404, 409."""
        self.whole(name).replace(to)
        self._remove(name)

    async def receive(self, name: str, offset: int, chunks: AsyncIterator[bytes]) -> Upload:
        """Takes bytes in until the page has no more, or goes away. The last one to come writes.

        Errors: Misplaced, OSError, Problem 400, 404, 507.
        """
        upload = self.get(name)
        await self._stop_writer(name)
        if offset != self.offset(upload):
            raise Misplaced
        if upload.arrived is not None:
            return upload
        task = asyncio.ensure_future(self._append(upload, chunks))
        self._writers[name] = task
        try:
            await task
        finally:
            if self._writers.get(name) is task:
                del self._writers[name]
        if upload.path is not None and self.offset(upload) == upload.size:
            return await run_in_threadpool(self._arrive, upload)
        return upload

    async def drop(self, name: str) -> None:
        """Errors: Problem 404."""
        self.get(name)
        await self._stop_writer(name)
        self._remove(name)

    async def _stop_writer(self, name: str) -> None:
        """A connection that died without a word may still be waited for."""
        if task := self._writers.pop(name, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _append(self, upload: Upload, chunks: AsyncIterator[bytes]) -> None:
        left = upload.size - self.offset(upload)
        held = bytearray()
        with self._part(upload.id).open("ab", buffering=0) as file:
            try:
                async for chunk in chunks:
                    left -= len(chunk)
                    if left < 0:
                        raise Problem(400, "too_long", "More was sent than was announced.")
                    held += chunk
                    if len(held) >= PIECE:
                        piece, held = bytes(held), bytearray()
                        await _to_the_end(run_in_threadpool(_write, file.fileno(), piece))
            except ClientDisconnect:
                pass  # what has come counts; the rest may follow
            finally:
                _write(file.fileno(), bytes(held))

    def _arrive(self, upload: Upload) -> Upload:
        """All is here: flushed to the disk, then put in its place in one step."""
        assert upload.path is not None
        names = read_path(upload.path)
        part = self._part(upload.id)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        source = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with self._workspace.made(names[:-1]) as folder:
                name = place((source, part.name.encode()), folder, names[-1], rename=upload.rename)
        finally:
            os.close(source)
        arrived = replace(upload, arrived=written_path((*names[:-1], name)))
        with contextlib.suppress(OSError):
            self._write_note(arrived)  # for a page that did not hear the answer
        return arrived

    def _part(self, name: str) -> Path:
        return self._folder / f"{name}.part"

    def _note(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write_note(self, upload: Upload) -> None:
        draft = self._folder / f"{upload.id}.new"
        draft.write_text(json.dumps(asdict(upload)), encoding="utf-8")
        draft.replace(self._note(upload.id))

    def _remove(self, name: str) -> None:
        self._part(name).unlink(missing_ok=True)
        self._note(name).unlink(missing_ok=True)

    def _forget_old(self) -> None:
        for path in self._folder.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - KEPT_S:
                    path.unlink()


def _need_room(folder: Path, size: int) -> None:
    status = os.statvfs(folder)
    if size + LEFT_FREE > status.f_bavail * status.f_frsize:
        raise disk_full()


def disk_full() -> Problem:
    hint = "Empty the trash, or delete files that are no longer needed."
    return Problem(507, "disk_full", "There is not enough room left in the workspace.", hint)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


async def _to_the_end(work: Any) -> None:
    """Waits for a write also when it is cancelled, so that no two ever write at once."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
