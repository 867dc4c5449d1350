"""The live socket of each page: what changes goes out to all, what a page wants of the chat comes in."""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from webapp.board import refusal
from webapp.boot import Boot
from webapp.problem import Problem
from webapp.websocket import (
    CLOSED_PROTOCOL_ERROR,
    CLOSED_TOO_FAR_BEHIND,
    ProtocolError,
    close,
    until_one_ends,
)

log = logging.getLogger("webapp")

Message = dict[str, Any]

LONGEST_QUEUE = 2000
HEAVIEST_QUEUE = 4 * 2**20
"""Characters: many pages that stand still must not fill the memory."""
FOR_THE_CHAT = frozenset({"send", "retry", "continue", "stop", "take_back", "answer", "follow", "unfollow"})


HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON writes half a character, alone or with its other half."""


class Conversations(Protocol):
    """What the socket needs of the chat."""

    async def handle(self, message: Message, reply: Callable[[Message], None], session: str) -> None: ...
    def gone(self, session: str) -> None: ...


class Watching(Protocol):
    """What the socket needs of the files."""

    async def watch(self, session: str, paths: object, reply: Callable[[Message], None]) -> None: ...
    async def gone(self, session: str) -> None: ...


class Live:
    """All pages that are open now."""

    def __init__(self) -> None:
        self._sockets: set[Socket] = set()

    def anybody(self) -> bool:
        return bool(self._sockets)

    def is_looked_at(self) -> bool:
        """Whether a page is in front of somebody."""
        return any(socket.is_looked_at for socket in self._sockets)

    def publish(self, message: Message) -> None:
        """To every page."""
        text = _encode(message)
        for socket in list(self._sockets):
            socket.enqueue(text)

    def routes(
        self, boot: Boot, chat: Conversations, watching: Watching, arrived: Callable[[], None]
    ) -> list[WebSocketRoute]:
        async def serve(websocket: WebSocket) -> None:
            await websocket.accept()
            socket = Socket(websocket, chat, watching)
            socket.reply({"type": "hello", "boot": boot()})
            self._sockets.add(socket)
            arrived()
            try:
                await socket.run()
            finally:
                self._sockets.discard(socket)

        return [WebSocketRoute("/api/live", serve)]


class Socket:
    """One page's socket; its queue is bounded: who falls too far behind is sent away, and comes back."""

    def __init__(self, websocket: WebSocket, chat: Conversations, watching: Watching) -> None:
        self._websocket = websocket
        self._chat = chat
        self._watching = watching
        self._session = uuid.uuid4().hex
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._waiting = 0
        self.is_looked_at = False
        self._overflow = asyncio.Event()

    @property
    def is_too_far_behind(self) -> bool:
        return self._overflow.is_set()

    def reply(self, message: Message) -> None:
        self.enqueue(_encode(message))

    def enqueue(self, text: str) -> None:
        is_too_heavy = self._waiting > 0 and self._waiting + len(text) > HEAVIEST_QUEUE
        if self._queue.qsize() >= LONGEST_QUEUE or is_too_heavy:
            self._overflow.set()
        if not self.is_too_far_behind:
            self._waiting += len(text)
            self._queue.put_nowait(text)

    async def run(self) -> None:
        """Until the page leaves, or falls too far behind."""
        try:
            await until_one_ends(self._receive(), self._send(), self._overflow.wait())
        except ProtocolError:
            await close(self._websocket, CLOSED_PROTOCOL_ERROR)
        finally:
            self._chat.gone(self._session)
            await self._watching.gone(self._session)
        if self.is_too_far_behind:
            await close(self._websocket, CLOSED_TOO_FAR_BEHIND)

    async def _send(self) -> None:
        while True:
            text = await self._queue.get()
            await self._websocket.send_text(text)
            self._waiting -= len(text)

    async def _receive(self) -> None:
        while True:
            try:
                text = await self._websocket.receive_text()
            except KeyError as error:  # a binary frame
                raise ProtocolError from error
            await self._handle(text)

    async def _handle(self, text: str) -> None:
        message = _decode(text)
        kind = message.get("type")
        if kind == "ping":
            self.reply({"type": "pong"})
        elif kind == "looking":
            self.is_looked_at = message.get("is") is True
        elif isinstance(kind, str) and kind in FOR_THE_CHAT:
            await self._ask_chat(message)
        elif kind == "watch":
            await self._watch(message)
        else:
            self.reply(refusal(message, "unknown", "The server does not know this request."))

    async def _ask_chat(self, message: Message) -> None:
        try:
            await self._chat.handle(message, self.reply, self._session)
        except Exception:
            log.exception("The chat failed on a request of the type %s", message["type"])
            self.reply(refusal(message, "broken", "Something went wrong in the workspace."))

    async def _watch(self, message: Message) -> None:
        try:
            await self._watching.watch(self._session, message.get("paths"), self.reply)
        except Problem as problem:
            self.reply(refusal(message, problem.code, problem.message))


def _encode(message: Message) -> str:
    return _whole(json.dumps(message, separators=(",", ":"), ensure_ascii=False))


def _whole(text: str) -> str:
    """With a question mark for half a character: JSON can hold one, a socket or a file cannot."""
    return text.encode("utf-8", "replace").decode()


def _decode(text: str) -> Message:
    try:
        message = json.loads(text)
        if HALF.search(text):
            message = json.loads(_whole(json.dumps(message, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
