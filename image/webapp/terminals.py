"""All shells of the workspace, and what pages may do with them."""

import asyncio
import logging
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from webapp.problem import Problem, json_object, not_found
from webapp.terminal import Terminal
from webapp.title import LONGEST, shown
from webapp.viewer import Viewer
from webapp.websocket import (
    CLOSED_NORMALLY,
    CLOSED_PROTOCOL_ERROR,
    CLOSED_TOO_FAR_BEHIND,
    CLOSED_UNKNOWN,
    ProtocolError,
    close,
    until_one_ends,
)

if TYPE_CHECKING:
    from webapp.protocol import Socket

log = logging.getLogger("webapp")

MOST_TERMINALS = 12
SMALLEST, LARGEST = 1, 1000
HELLO_WITHIN_S = 10.0


class Terminals:
    def __init__(
        self,
        workspace: Path,
        environment: Mapping[str, str],
        publish: Callable[[dict[str, Any]], None],
    ) -> None:
        self._publish = publish
        self._workspace = workspace
        self._environment = environment
        self._terminals: dict[str, Terminal] = {}

    def open(self, cols: int, rows: int, like: Terminal | None = None) -> Terminal:
        """A new one, in the folder where that one is.

        Errors: Problem 409 if there are too many, 503 if the machine has no more to give.
        """
        self._make_room()
        folder = like.folder() if like else None
        if not folder or not os.access(folder, os.X_OK):
            folder = self._folder()
        try:
            terminal = Terminal(folder, self._environment, cols, rows, self._changed)
        except OSError as error:
            log.warning("No shell could be started: %s", error)
            hint = "Close terminals or programs that are no longer needed."
            raise Problem(503, "no_shell", f"No shell could be started: {error.strerror}.", hint) from error
        self._terminals[terminal.id] = terminal
        self._changed(terminal)
        return terminal

    def _changed(self, terminal: Terminal) -> None:
        if terminal.id in self._terminals:
            self._publish({"type": "terminal", "terminal": terminal.json()})

    async def close(self) -> None:
        """Hangs all shells up."""
        await asyncio.gather(*(terminal.end() for terminal in self._terminals.values()))

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/terminals", self._list),
            Route("/api/terminals", self._post, methods=["POST"]),
            Route("/api/terminals/{id}", self._patch, methods=["PATCH"]),
            Route("/api/terminals/{id}", self._delete, methods=["DELETE"]),
            WebSocketRoute("/api/terminals/{id}/socket", self._socket),
        ]

    def _make_room(self) -> None:
        """The oldest ones that have ended go first."""
        ended = [terminal.id for terminal in self._terminals.values() if not terminal.is_running]
        for name in ended[: max(0, len(self._terminals) - MOST_TERMINALS + 1)]:
            del self._terminals[name]
            self._publish({"type": "terminal_gone", "id": name})
        if len(self._terminals) >= MOST_TERMINALS:
            message = f"There are {MOST_TERMINALS} terminals already."
            raise Problem(409, "too_many_terminals", message, "Close one that is no longer needed.")

    def _folder(self) -> Path:
        home = Path(self._environment["HOME"])
        return next((folder for folder in (self._workspace, home) if folder.is_dir()), Path("/"))

    async def _list(self, _request: Request) -> Response:
        return JSONResponse({"terminals": [terminal.json() for terminal in self._terminals.values()]})

    async def _post(self, request: Request) -> Response:
        wanted = await json_object(request)
        cols, rows = _side(wanted, "cols", 80), _side(wanted, "rows", 24)
        like = self._terminals.get(str(wanted.get("like")))
        return JSONResponse(self.open(cols, rows, like).json(), 201)

    async def _patch(self, request: Request) -> Response:
        terminal, wanted = self._terminals.get(request.path_params["id"]), await json_object(request)
        if terminal is None:
            raise not_found("such terminal")
        title = wanted.get("title")
        if not isinstance(title, str) or len(title) > LONGEST or shown(title) != title.strip():
            raise Problem(400, "bad_title", f"A title is one line of at most {LONGEST} characters.")
        terminal.name = title.strip()
        self._changed(terminal)
        return JSONResponse(terminal.json())

    async def _delete(self, request: Request) -> Response:
        terminal = self._terminals.pop(request.path_params["id"], None)
        if terminal is None:
            raise not_found("such terminal")
        await terminal.end()
        self._publish({"type": "terminal_gone", "id": terminal.id})
        return Response(status_code=204)

    async def _socket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        terminal = self._terminals.get(websocket.path_params["id"])
        if terminal is None:
            await close(websocket, CLOSED_UNKNOWN)
        else:
            await _serve(websocket, terminal)


def _side(wanted: dict[str, object], name: str, default: int) -> int:
    value = wanted.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not SMALLEST <= value <= LARGEST:
        raise Problem(400, "bad_size", f"{name} must be a number from {SMALLEST} to {LARGEST}.")
    return value


async def _serve(websocket: WebSocket, terminal: Terminal) -> None:
    """One page on one terminal, from its hello until either has enough."""
    try:
        drawn = await _hello(websocket)
        socket: Socket = websocket.state.socket
        viewer = terminal.attach(drawn, socket.say)
        page = _Page(terminal, viewer, socket)
        try:
            page.listen()
            await until_one_ends(
                _left(websocket), page.serve(), viewer.has_all.wait(), viewer.sent_away.wait()
            )
        finally:
            page.leave()
    except WebSocketDisconnect:
        return
    except (ProtocolError, TimeoutError):
        await close(websocket, CLOSED_PROTOCOL_ERROR)
        return
    if viewer.sent_away.is_set():
        await close(websocket, CLOSED_TOO_FAR_BEHIND)
    elif viewer.has_all.is_set():
        await close(websocket, CLOSED_NORMALLY)


async def _hello(websocket: WebSocket) -> int:
    async with asyncio.timeout(HELLO_WITHIN_S):
        kind, body = await _frame(websocket)
    if kind != b"h":
        raise ProtocolError
    return _numbers(">Q", body)[0]


class _Page:
    """Does what a page says, as it is heard."""

    def __init__(self, terminal: Terminal, viewer: Viewer, socket: "Socket") -> None:
        self._terminal = terminal
        self._viewer = viewer
        self._socket = socket
        self._stirred = asyncio.Event()
        self._fault: ProtocolError | None = None

    def listen(self) -> None:
        self._socket.listen(self._hear)

    async def serve(self) -> None:
        """Makes the page wait while the program takes no input. Errors: ProtocolError, once one is heard."""
        while not self._fault:
            await self._stirred.wait()
            self._stirred.clear()
            if not self._terminal.has_room.is_set():
                self._socket.hold(True)
                await self._terminal.has_room.wait()
                self._socket.hold(False)
        raise self._fault

    def leave(self) -> None:
        self._socket.listen(lambda _frame: None)
        self._terminal.detach(self._viewer)

    def _hear(self, frame: bytes) -> None:
        if self._fault:
            return
        try:
            self._obey(frame[:1], frame[1:])
        except ProtocolError as fault:
            self._fault = fault
        if self._fault or not self._terminal.has_room.is_set():
            self._stirred.set()

    def _obey(self, kind: bytes, body: bytes) -> None:
        if kind == b"i":
            self._terminal.type(self._viewer, body)
        elif kind == b"a":
            self._terminal.ack(self._viewer, _numbers(">Q", body)[0])
        elif kind == b"r":
            self._terminal.resize(self._viewer, *_size(body))
        else:
            raise ProtocolError


async def _left(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        """Nothing else comes this way."""


async def _frame(websocket: WebSocket) -> tuple[bytes, bytes]:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    frame = message.get("bytes")
    if not frame:
        raise ProtocolError
    return frame[:1], frame[1:]


def _numbers(form: str, body: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack(form, body)
    except struct.error as error:
        raise ProtocolError from error


def _size(body: bytes) -> tuple[int, int]:
    cols, rows = _numbers(">HH", body)
    if not (SMALLEST <= cols <= LARGEST and SMALLEST <= rows <= LARGEST):
        raise ProtocolError
    return cols, rows
