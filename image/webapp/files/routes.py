"""The page's routes to her files."""

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from webapp.config import Config
from webapp.files import changes
from webapp.files.bundle import bundle
from webapp.files.completion import Completion
from webapp.files.draft import Drafts
from webapp.files.entry import entry_at, listing
from webapp.files.media import PAGES, page_headers, table_kind, view_headers, view_type
from webapp.files.place import Names, Workspace, name_of, outside, read_path
from webapp.files.search import Question, Search
from webapp.files.sending import attached, attachment, sent
from webapp.files.sheet import Part, read_sheet
from webapp.files.text import Changed, Editor, read_edit, read_text
from webapp.files.trash import Trash
from webapp.files.uploads import Misplaced, Upload, Uploads, disk_full
from webapp.files.watching import Watching
from webapp.problem import Problem, json_object, not_found

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]
Message = dict[str, Any]

NO_LIMIT = 1 << 62
TEXT_BODY = 32 << 20  # 4 MB of text, each sign perhaps written as \uXXXX
MOST_MATCHES = 2000
MOST_COMPLETIONS = 100
MOST_ROWS = 2000


class Files:
    """Everything that the page may do with the workspace."""

    def __init__(
        self, config: Config, environment: Mapping[str, str], publish: Callable[[Message], None]
    ) -> None:
        self._environment = environment
        self._publish = publish
        self.workspace = Workspace(config.workspace)
        self.drafts = Drafts(config.app / "drafts")
        self.trash = Trash(self.workspace, config.app / "trash")
        self.uploads = Uploads(self.workspace, config.app / "uploads")
        self.watching = Watching(self.workspace)
        self._editor = Editor(self.workspace, self.drafts)
        self._search = Search(self.workspace, environment)
        self._completion = Completion(self.workspace, self._search)

    def routes(self) -> list[BaseRoute]:
        return [
            answering("GET", "/api/files", self._list),
            answering("POST", "/api/files", self._make),
            answering("DELETE", "/api/files", self._delete),
            answering("GET", "/api/files/entry", self._entry),
            answering("POST", "/api/files/move", self._move),
            answering("POST", "/api/files/copy", self._copy),
            answering("GET", "/api/files/text", self._read_text),
            answering("PUT", "/api/files/text", self._write_text, TEXT_BODY),
            answering("GET", "/api/files/table", self._table),
            answering("GET", "/api/files/view", self._view),
            answering("GET", "/api/files/page", self._page),
            answering("GET", "/api/files/download", self._download),
            answering("GET", "/api/files/zip", self._zip),
            answering("GET", "/api/files/search", self._find),
            answering("GET", "/api/files/complete", self._complete),
            answering("GET", "/api/trash", self._list_trash),
            answering("DELETE", "/api/trash", self._empty_trash),
            answering("POST", "/api/trash/{id}/restore", self._restore),
            answering("DELETE", "/api/trash/{id}", self._drop_trashed),
            answering("POST", "/api/uploads", self._begin_upload),
            answering("GET", "/api/uploads/{id}", self._get_upload),
            answering("PUT", "/api/uploads/{id}", self._receive, NO_LIMIT),
            answering("DELETE", "/api/uploads/{id}", self._drop_upload),
        ]

    # --- folders and files ---

    async def _list(self, request: Request) -> Response:
        hidden = request.query_params.get("hidden") == "1"
        return await _json(listing, self.workspace, _path(request), hidden)

    async def _entry(self, request: Request) -> Response:
        return await self._entry_of(_path(request))

    async def _entry_of(self, names: Names, status: int = 200) -> Response:
        entry = await run_in_threadpool(entry_at, self.workspace, names)
        return JSONResponse(entry.json(), status)

    async def _make(self, request: Request) -> Response:
        body = await json_object(request)
        names = read_path(body.get("path"))
        await run_in_threadpool(changes.make, self.workspace, names, body.get("kind"))
        return await self._entry_of(names, 201)

    async def _move(self, request: Request) -> Response:
        change = changes.read_change(await json_object(request))
        return await self._entry_of(await run_in_threadpool(changes.move, self.workspace, change))

    async def _copy(self, request: Request) -> Response:
        change = changes.read_change(await json_object(request))
        return await self._entry_of(
            await run_in_threadpool(changes.copy, self.workspace, self.drafts, change)
        )

    async def _delete(self, request: Request) -> Response:
        trashed = await run_in_threadpool(self.trash.put, _path(request))
        self._publish({"type": "trash_changed"})
        return JSONResponse(trashed.json())

    # --- texts and previews ---

    async def _read_text(self, request: Request) -> Response:
        text = await run_in_threadpool(read_text, self.workspace, _path(request))
        return JSONResponse(text.json())

    async def _write_text(self, request: Request) -> Response:
        edit = read_edit(await json_object(request))
        try:
            text = await run_in_threadpool(self._editor.save, edit)
        except Changed as changed:
            error = {
                "code": "changed",
                "message": "Somebody else has changed this file meanwhile.",
                "hint": "",
            }
            current = changed.current.json() if changed.current else None
            return JSONResponse({"error": error, "current": current}, 409)
        return JSONResponse(text.json())

    async def _table(self, request: Request) -> Response:
        names = _path(request)
        kind = table_kind(name_of(names[-1])) if names else None
        if kind is None:
            raise Problem(415, "no_table", "This is no table that can be shown.")
        part = Part(
            kind=kind,
            sheet=request.query_params.get("sheet", "").replace("\0", ""),
            offset=_number(request, "offset", 0, 1 << 31),
            limit=_number(request, "limit", 200, MOST_ROWS),
        )
        reading = read_sheet(self.workspace, names, part, self._environment)
        return Response(await _unless_left(request, reading), media_type="application/json")

    async def _view(self, request: Request) -> Response:
        names = _path(request)
        content_type = view_type(name_of(names[-1])) if names else None
        if content_type is None:
            raise Problem(415, "no_view", "This cannot be shown here.", "Download it to open it elsewhere.")
        headers = view_headers(content_type)
        return await run_in_threadpool(sent, self.workspace, names, content_type, headers)

    async def _page(self, request: Request) -> Response:
        names = _path(request)
        if not name_of(names[-1] if names else b"").lower().endswith(tuple(PAGES)):
            raise Problem(415, "no_view", "This is no web page.")
        headers = page_headers(in_frame=request.headers.get("sec-fetch-dest") == "iframe")
        return await run_in_threadpool(sent, self.workspace, names, "text/html", headers)

    # --- out and in ---

    async def _download(self, request: Request) -> Response:
        return await run_in_threadpool(attached, self.workspace, _path(request))

    async def _zip(self, request: Request) -> Response:
        chosen = [read_path(path) for path in request.query_params.getlist("path")]
        if not chosen:
            raise Problem(400, "bad_path", "path names what is wanted.")
        name = request.query_params.get("name") or (name_of(chosen[0][-1]) if chosen[0] else "workspace")
        headers = {"content-disposition": attachment(f"{name.removesuffix('.zip')}.zip")}
        pieces = await run_in_threadpool(bundle, self.workspace, chosen)
        return StreamingResponse(pieces, headers=headers, media_type="application/zip")

    async def _begin_upload(self, request: Request) -> Response:
        body = await json_object(request)
        path, rename = body.get("path"), changes.wants_rename(body, "rename")
        if not (path is None or isinstance(path, str)):
            raise Problem(400, "bad_path", "path names the file to be made.")
        upload = await run_in_threadpool(self.uploads.begin, path, body.get("size"), rename)
        return JSONResponse(await self._told(upload), 201)

    async def _get_upload(self, request: Request) -> Response:
        return JSONResponse(await self._told(self.uploads.get(request.path_params["id"])))

    async def _receive(self, request: Request) -> Response:
        name = request.path_params["id"]
        offset = _number(request, "offset", 0, NO_LIMIT)
        try:
            upload = await self.uploads.receive(name, offset, request.stream())
        except Misplaced:
            error = {
                "code": "offset",
                "message": "The upload stands elsewhere.",
                "hint": "Go on from its offset.",
            }
            upload = self.uploads.get(name)
            return JSONResponse({"error": error, "upload": await self._told(upload)}, 409)
        return JSONResponse(await self._told(upload))

    async def _drop_upload(self, request: Request) -> Response:
        await self.uploads.drop(request.path_params["id"])
        return Response(status_code=204)

    async def _told(self, upload: Upload) -> Message:
        """An upload for the page. A file that has gone on elsewhere since it arrived has no entry."""
        entry = None
        if upload.arrived is not None:
            with contextlib.suppress(OSError, Problem):
                names = read_path(upload.arrived)
                entry = (await run_in_threadpool(entry_at, self.workspace, names)).json()
        offset = self.uploads.offset(upload)
        return {"id": upload.id, "path": upload.path, "size": upload.size, "offset": offset, "entry": entry}

    # --- finding ---

    async def _find(self, request: Request) -> Response:
        words = request.query_params.get("q", "")
        if not words.strip() or "\0" in words or "\n" in words:
            raise Problem(400, "bad_request", "q is what is looked for, on one line.")
        question = Question(
            words=words,
            folder=_path(request),
            in_names=request.query_params.get("names", "1") == "1",
            in_content=request.query_params.get("content", "1") == "1",
            limit=_number(request, "limit", 500, MOST_MATCHES),
        )
        matches, more = await _unless_left(request, self._search.ask(question))
        return JSONResponse({"matches": [match.json() for match in matches], "more": more})

    async def _complete(self, request: Request) -> Response:
        limit = _number(request, "limit", 20, MOST_COMPLETIONS)
        query = request.query_params.get("q", "")
        return JSONResponse({"matches": await _unless_left(request, self._completion.ask(query, limit))})

    # --- the trash ---

    async def _list_trash(self, _request: Request) -> Response:
        listed = await run_in_threadpool(self.trash.listed)
        return JSONResponse(
            {"entries": [one.json() for one in listed], "size": sum(one.size for one in listed)}
        )

    async def _empty_trash(self, _request: Request) -> Response:
        await run_in_threadpool(self.trash.empty)
        self._publish({"type": "trash_changed"})
        return Response(status_code=204)

    async def _restore(self, request: Request) -> Response:
        names = await run_in_threadpool(self.trash.restore, request.path_params["id"])
        self._publish({"type": "trash_changed"})
        return await self._entry_of(names)

    async def _drop_trashed(self, request: Request) -> Response:
        await run_in_threadpool(self.trash.drop, request.path_params["id"])
        self._publish({"type": "trash_changed"})
        return Response(status_code=204)


def answering(method: str, path: str, handler: Handler, largest_body: int | None = None) -> Route:
    """A route whose answer to a system's "no" is one that the page understands."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except OSError as error:
            raise problem_of(error) from error

    return Route(path, handle, methods=[method], max_body_size=largest_body)


def problem_of(error: OSError) -> Problem:
    """What a failed call to the system means to the page."""
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return not_found("such file or folder")
        case errno.EEXIST | errno.ENOTEMPTY:
            return Problem(409, "exists", "Something of this name is there already.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Problem(403, "no_permission", "This may not be read or changed.")
        case errno.ENOSPC | errno.EDQUOT:
            return disk_full()
        case errno.ENAMETOOLONG:
            return Problem(400, "bad_path", "The name is too long.")
        case errno.ELOOP:
            return outside()
    return Problem(500, "not_done", f"The disk said no: {error.strerror or error}.")


def _path(request: Request) -> Names:
    return read_path(request.query_params.get("path", ""))


def _number(request: Request, name: str, default: int, largest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Problem(400, "bad_request", f"{name} is a number.")
    return min(int(text), largest)


async def _json(work: Callable[..., Any], *arguments: Any) -> Response:
    """The answer of a function, found and written in a thread: a long list holds up nobody."""
    return await run_in_threadpool(lambda: JSONResponse(work(*arguments)))


async def _unless_left(request: Request, work: Awaitable[T]) -> T:
    """The result, unless the page goes away before: then the work ends at once."""
    working, left = asyncio.ensure_future(work), asyncio.create_task(_until_left(request))
    try:
        await asyncio.wait({working, left}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Problem(499, "left", "Nobody waits for this any more.")
        return working.result()
    finally:
        for task in (working, left):
            task.cancel()
        await asyncio.gather(working, left, return_exceptions=True)


async def _until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
