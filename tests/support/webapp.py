"""The server of a workspace in this process, and those who speak to it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp
from webapp.__main__ import uvicorn_config
from webapp.app import Server
from webapp.config import Config, read_config
from webapp.environment import environment
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.support.wait import wait_until

NO_CHAT = "refused by the chat that is none"
MUCH = 64 << 20
"""Bytes of a terminal: whatever is waited for comes before, or never."""


class NoChat:
    """The chat's side of the server, without Claude; it notes what it is told."""

    def __init__(self) -> None:
        self.handled: list[tuple[dict[str, Any], str]] = []
        self.left: list[str] = []
        self.calls: list[str] = []
        self.is_busy = False
        self.stirred: Callable[[], None] = lambda: None

    async def handle(
        self, message: dict[str, Any], reply: Callable[[dict[str, Any]], None], session: str
    ) -> None:
        self.handled.append((message, session))
        if message.get("text") == "break":
            raise RuntimeError("broken on purpose")
        for _ in range(int(message.get("replies", 1))):
            reply({"type": "refused", "of": message["type"], "code": "no_chat", "message": NO_CHAT})

    def gone(self, session: str) -> None:
        self.left.append(session)

    def busy(self) -> bool:
        return self.is_busy

    def turns(self) -> int:
        return int(self.is_busy)

    def routes(self) -> list[Any]:
        return []

    async def keep_house(self) -> None:
        """There is no house."""

    async def warm(self) -> None:
        self.calls.append("warm")

    async def auth_changed(self, *, signed_in: bool = False) -> None:
        self.calls.append("auth_changed")

    async def close(self) -> None:
        self.calls.append("close")


SIGN_IN = "<!doctype html><title>Sign in</title>"


def workspace_config(
    folder: Path, claude: Path | None = None, environ: Mapping[str, str] | None = None
) -> Config:
    """A workspace as the entrypoint leaves it, with a few files of a page; open to all, unless told."""
    config = read_config(
        {
            "JARVIS_DATA": str(folder / "data"),
            "JARVIS_STATIC": str(folder / "static"),
            "JARVIS_CLAUDE": str(claude or folder / "no-claude"),
            "JARVIS_PORT": "0",
            "JARVIS_TOLD": str(folder / "told.json"),
            "USER_NAME": "Lilach",
            "USER_EMAIL": "lilach@example.com",
            "JARVIS_LOGIN": "none",
            **(environ or {}),
        }
    )
    for part in (config.home, config.claude_config, config.workspace, config.app, config.static / "assets"):
        part.mkdir(parents=True)
    (config.static / "index.html").write_text("<!doctype html><title>my-jarvis</title>")
    (config.static / "assets" / "page-1a2b3c4d.js").write_text("export {};\n")
    (config.static / "sign-in").mkdir()
    (config.static / "sign-in" / "index.html").write_text(SIGN_IN)
    # A prompt that tests can wait for, and nothing of this machine's own bash.
    (config.home / ".bash_profile").write_text("PS1='ready> '; bind 'set enable-bracketed-paste off'\n")
    return config


def short_environment(config: Config) -> dict[str, str]:
    return environment(config, {"PATH": os.environ["PATH"]})


@dataclass
class Served:
    """A server that answers on the loopback."""

    url: str
    server: uvicorn.Server
    config: Config
    chat: NoChat

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=20)

    def connect(self, path: str, origin: str | None = "own", *, cookie: str = "") -> ClientConnection:
        """A socket as the page opens it, or from elsewhere."""
        own = Origin(self.url)
        return connect(
            self.socket_url + path,
            origin=own if origin == "own" else None if origin is None else Origin(origin),
            additional_headers={"cookie": cookie} if cookie else None,
            compression=None,
            max_size=None,
            proxy=None,
        )


@contextmanager
def serving(config: Config, chat: NoChat) -> Iterator[Served]:
    """All but Claude, behind the very server that serves it in a workspace."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn_config(lambda: _app(config, chat)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
    thread.start()
    try:
        wait_until(lambda: server.started, "the server", hopeless=lambda: _why_dead(thread))
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", server, config, chat)
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        assert not thread.is_alive(), "the server does not end"


def _app(config: Config, chat: NoChat) -> ASGIApp:
    server = Server(config, short_environment(config))
    server.chat = chat  # type: ignore[assignment]
    return server.app()


def _why_dead(thread: threading.Thread) -> str:
    return "" if thread.is_alive() else "the server's thread has ended"


class Page:
    """A page's terminal: what it has drawn, byte by byte, and everything else it was told."""

    def __init__(self, socket: ClientConnection, drawn: int = 0) -> None:
        self.socket = socket
        self.position = drawn
        self.acked = drawn
        self.output = bytearray()
        self.sizes: list[tuple[int, int, int]] = []
        self.resets: list[int] = []
        self.kinds: list[str] = []
        self.exit_code: int | None = None
        self.acks = True
        self.send("h", struct.pack(">Q", drawn))

    @property
    def size(self) -> tuple[int, int] | None:
        """The columns and rows that hold now, as far as the page has been told."""
        return self.sizes[-1][1:] if self.sizes else None

    def send(self, kind: str, body: bytes = b"") -> None:
        self.socket.send(kind.encode() + body)

    def type(self, text: str) -> None:
        self.send("i", text.encode())

    def resize(self, cols: int, rows: int) -> None:
        self.send("r", struct.pack(">HH", cols, rows))

    def ack(self) -> None:
        self.acked = self.position
        with suppress(ConnectionClosed):  # what is left can be drawn all the same
            self.send("a", struct.pack(">Q", self.position))

    def step(self, timeout_s: float = 60) -> str:
        """Takes one frame in and says which kind it was."""
        frame = self.socket.recv(timeout=timeout_s)
        assert isinstance(frame, bytes)
        kind, body = frame[:1].decode(), frame[1:]
        self.kinds.append(kind)
        if kind == "o":
            self._draw(struct.unpack(">Q", body[:8])[0], body[8:])
        elif kind == "r":
            self.position = self.acked = struct.unpack(">Q", body)[0]
            self.resets.append(self.position)
            self.output.clear()
        elif kind == "z":
            self.sizes.append(struct.unpack(">QHH", body))
        elif kind == "x":
            self.exit_code = struct.unpack(">i", body)[0]
        else:
            assert (kind, body) == ("e", b"")
        return kind

    def _draw(self, position: int, data: bytes) -> None:
        assert position == self.position, "a byte was lost or came twice"
        self.position += len(data)
        self.output += data
        if self.acks and self.position - self.acked >= 65536:
            self.ack()

    def until(self, wanted: str) -> None:
        """Draws until this has been printed; a flood that goes on without it is none to wait for."""
        sought, looked_at = wanted.encode(), 0
        while self.output.find(sought, max(0, looked_at - len(sought))) < 0:
            assert len(self.output) <= MUCH, f"{wanted!r} has not come in {MUCH} bytes"
            looked_at = len(self.output)
            if self.step() == "r":
                looked_at = 0

    def until_kind(self, wanted: str) -> None:
        while self.step() != wanted:
            pass

    def drain(self, quiet_s: float = 0.3) -> None:
        """Draws until nothing comes for a while."""
        try:
            while True:
                self.step(quiet_s)
        except TimeoutError:
            return


def run_async(work: Callable[[], Any]) -> Any:
    """Runs one coroutine function to its end, in a loop of its own."""
    return asyncio.run(work())
