"""Files that a person gives to Claude with a message.

Pictures and PDFs of a size that the API takes go into the message itself. Everything else is put into the
workspace's folder `uploads`, and the message names it: Claude's tools read it there. What is kept here is
what pages show again.
"""

import asyncio
import base64
import contextlib
import errno
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from webapp.files.uploads import Uploads
from webapp.problem import Problem, json_object, not_found

log = logging.getLogger("webapp")

Json = dict[str, Any]

LARGEST = 100 * 2**20
LARGEST_PICTURE = 5 * 2**20 * 3 // 4
"""The API's limit counts what base64 makes of it."""
LARGEST_INLINE = 20 * 2**20
"""Of all in one message: the API takes requests of 32 MB."""
KEPT_UNSENT_S = 24 * 3600.0
LONGEST_NAME_BYTES = 150
UPLOADS = "uploads"
ID = re.compile(r"a_[0-9a-f]{32}")
COPYING, NOTING = UNFINISHED = (".copy", ".new")
"""How the names of what is not whole yet end."""

PDF = "application/pdf"
UNKNOWN = "application/octet-stream"
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": PDF,
}
_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,90}")


@dataclass(frozen=True)
class Attachment:
    """A file as pages see it; `type` is what its first bytes say, where they can."""

    id: str
    name: str
    type: str
    size: int

    @property
    def is_picture(self) -> bool:
        return self.type.startswith("image/")


class Attachments:
    """The files in a folder; two for each: the content, and what is known of it."""

    def __init__(self, folder: Path, workspace: Path, uploads: Uploads) -> None:
        self._folder = folder
        self._workspace = workspace
        self._uploads = uploads

    def get(self, attachment_id: str) -> Attachment | None:
        """Synchronous, as all but the routes."""
        known = self._known(attachment_id)
        return Attachment(**known["file"]) if known else None

    def content(self, text: str, attachments: Iterable[Json]) -> str | list[Json]:
        """A message's content as the API wants it.

        Errors: OSError.
        """
        blocks: list[Json] = []
        named: list[Json] = []
        left = LARGEST_INLINE
        for one in (Attachment(**each) for each in attachments):
            inline = (one.is_picture and one.size <= LARGEST_PICTURE) or one.type == PDF
            if inline and one.size <= left:
                left -= one.size
                blocks.append(self._inline(one))
            else:
                named.append({"type": "text", "text": self._by_name(one)})
        if not blocks and not named:
            return text
        words = [{"type": "text", "text": text}] if text.strip() else []
        return [*blocks, *words, *named]

    def tidy(self, used: set[str], now_s: float) -> None:
        """Removes what was never sent, or whose conversations are gone for good."""
        for path in self._folder.glob("a_*"):
            is_needed = path.name[:34] in used and path.suffix not in UNFINISHED
            with contextlib.suppress(OSError):
                if not is_needed and path.stat().st_mtime < now_s - KEPT_UNSENT_S:
                    path.unlink()

    def routes(self) -> list[Route]:
        return [
            Route("/api/attachments", self._post, methods=["POST"]),
            Route("/api/attachments/{id}", self._get),
        ]

    # --- what Claude gets ---

    def _inline(self, one: Attachment) -> Json:
        data = base64.b64encode(self._path(one.id).read_bytes()).decode()
        source = {"type": "base64", "media_type": one.type, "data": data}
        if one.type == PDF:
            return {"type": "document", "source": source, "title": one.name}
        return {"type": "image", "source": source}

    def _by_name(self, one: Attachment) -> str:
        place = self._in_workspace(one).relative_to(self._workspace)
        return f"<attached-file>{place}</attached-file>"

    def _in_workspace(self, one: Attachment) -> Path:
        """Where the file lies for Claude: put there once, though it be sent again."""
        known = (self._known(one.id) or {}).get("place")
        if known and (self._workspace / str(known)).exists():
            return self._workspace / str(known)
        place = _put(self._path(one.id), self._workspace / UPLOADS, one.name)
        self._remember(one, str(place.relative_to(self._workspace)))
        return place

    # --- the folder ---

    def _path(self, attachment_id: str) -> Path:
        return self._folder / attachment_id

    def _known(self, attachment_id: str) -> Json | None:
        if not ID.fullmatch(attachment_id) or not self._path(attachment_id).is_file():
            return None
        try:
            known: Json = json.loads((self._folder / f"{attachment_id}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return known

    def _remember(self, one: Attachment, place: str = "") -> None:
        draft = self._folder / f"{one.id}.json{NOTING}"
        draft.write_text(json.dumps({"file": asdict(one), "place": place}), encoding="utf-8")
        draft.replace(self._folder / f"{one.id}.json")

    def _take(self, upload: str, name: str, told: str) -> Attachment:
        """Makes what was uploaded an attachment; who has not heard the answer asks again, and gets it."""
        attachment_id = f"a_{upload}"
        if one := self.get(attachment_id):
            return one
        content = self._uploads.whole(upload)
        size = content.stat().st_size
        if not size:
            raise Problem(400, "empty", "The file is empty.")
        if size > LARGEST:
            raise Problem(413, "too_large", "The file is too large to go along.", "Put it into your files.")
        with content.open("rb") as file:
            one = Attachment(attachment_id, name, type_of(file.read(16), told), size)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remember(one)
        self._uploads.hand_over(upload, self._path(attachment_id))
        return one

    # --- HTTP ---

    async def _post(self, request: Request) -> Response:
        asked = await json_object(request)
        upload, name, told = (str(asked.get(key, "")) for key in ("upload", "name", "type"))
        try:
            one = await asyncio.to_thread(self._take, upload, safe_name(name), told)
        except OSError as error:
            raise _no_room(error) from error
        return JSONResponse(asdict(one), 201)

    async def _get(self, request: Request) -> Response:
        one = await asyncio.to_thread(self.get, request.path_params["id"])
        if not one:
            raise not_found("such attachment")
        if answer := already_there(request, one.id):
            return answer
        how = "inline" if one.is_picture or one.type == PDF else "attachment"
        name = {"content-disposition": f"{how}; filename*=UTF-8''{quote(one.name, safe='')}"}
        shown = one.type if how == "inline" else UNKNOWN
        return FileResponse(self._path(one.id), media_type=shown, headers=kept_as(one.id) | name)


def kept_as(mark: str) -> dict[str, str]:
    """The headers of something that never changes, which no script runs in.

    A browser may keep it, but shows it only to who is still signed in: it asks each time.
    """
    return {
        "etag": f'"{mark}"',
        "cache-control": "private, no-cache",
        "content-security-policy": "default-src 'none'; sandbox",
    }


def already_there(request: Request, mark: str) -> Response | None:
    """The answer to a browser that has kept it."""
    has = f'"{mark}"' in request.headers.get("if-none-match", "")
    return Response(status_code=304, headers=kept_as(mark)) if has else None


def safe_name(name: str) -> str:
    """A file's name without anything that a folder, a header or a page could stumble over."""
    last = PurePosixPath(name.replace("\\", "/")).name
    last = "".join(letter for letter in last if letter.isprintable() and letter not in '/\\<>:"|?*').strip()
    last = last.lstrip(".") or "file"
    stem, suffix = Path(last).stem, Path(last).suffix
    room = LONGEST_NAME_BYTES - len(suffix.encode()[:20])
    return stem.encode()[:room].decode(errors="ignore") + suffix.encode()[:20].decode(errors="ignore")


def type_of(beginning: bytes, told: str) -> str:
    """A file's type; nobody is believed who calls something a picture."""
    for mark, type_ in _BEGINNINGS.items():
        if beginning.startswith(mark):
            return type_
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    told = told.partition(";")[0].strip().lower()
    return told if _TYPE.fullmatch(told) and not told.startswith("image/") and told != PDF else UNKNOWN


def _put(source: Path, folder: Path, name: str) -> Path:
    """A copy under this name in the folder, or under the next that is free; it appears when it is whole."""
    folder.mkdir(exist_ok=True)
    draft = source.with_name(f"{source.name}.{uuid.uuid4().hex[:8]}{COPYING}")
    stem, suffix = Path(name).stem, Path(name).suffix
    try:
        shutil.copyfile(source, draft)
        for number in range(1, 10_000):
            place = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
            with contextlib.suppress(FileExistsError):
                os.link(draft, place)
                return place
    finally:
        draft.unlink(missing_ok=True)
    raise FileExistsError(errno.EEXIST, "There are too many files of this name", name)


def _no_room(error: OSError) -> Problem:
    log.warning("An attachment could not be kept: %s", error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(
            507, "disk_full", "There is no room for this file.", "Remove files that are not needed."
        )
    return Problem(507, "not_saved", f"The file could not be saved: {error.strerror}.", "Try again.")


def mentioned(journals: Iterable[Path]) -> set[str]:
    """All attachments that these journals speak of."""
    found: set[str] = set()
    for path in journals:
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                found.update(ID.findall(line))
    return found
