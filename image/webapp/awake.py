"""Keeps the machine awake while Claude works and nobody looks: a request to our own address stays open.

A platform's proxy puts a machine to sleep that has no open connection. Where that is all it looks at, the way
out and back in through it is the only way to be seen working.
"""

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from webapp.problem import Problem

log = logging.getLogger("webapp")

PATH = "/api/awake"
HEADER = "x-jarvis-awake"
LONGEST_S = 300.0
"""Then the next one is opened: proxies end what lasts too long."""
BEAT_S = 10.0
CONNECT_WITHIN_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0


class Awake:
    """Opens its request when a turn begins (`stir`), and ends it with the last turn."""

    def __init__(self, url: str, busy: Callable[[], bool]) -> None:
        """`url` is our own public address; "" where nothing needs to be held open."""
        self._url = url
        self._busy = busy
        self._token = ""
        self._stirred = asyncio.Event()
        self._pause_s = FIRST_PAUSE_S

    def stir(self) -> None:
        """A turn began, waits or ended."""
        self._stirred.set()

    async def watch(self) -> None:
        """For as long as the server lives."""
        while self._url:
            self._stirred.clear()
            if not self._busy():
                await self._stirred.wait()
            else:
                await self._hold()

    def routes(self) -> list[Route]:
        return [Route(PATH, self._get)]

    async def _hold(self) -> None:
        """One request, until the turn is over; a failure is waited out and is no trouble to anybody."""
        try:
            await _open_until_ended(self._url, self._new_token())
            self._pause_s = FIRST_PAUSE_S
        except (OSError, TimeoutError) as error:
            log.info("The machine cannot be held awake: %s", error)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)

    def _new_token(self) -> str:
        self._token = secrets.token_urlsafe(24)
        return self._token

    async def _get(self, request: Request) -> Response:
        token, self._token = self._token, ""  # each opens one request
        if not token or not hmac.compare_digest(token, request.headers.get(HEADER, "")):
            self._token = token
            raise Problem(401, "signed_out", "Only the server itself may ask for this.")
        return StreamingResponse(self._beats(), media_type="text/plain")

    async def _beats(self) -> AsyncIterator[bytes]:
        deadline = asyncio.get_running_loop().time() + LONGEST_S
        while self._busy() and asyncio.get_running_loop().time() < deadline:
            yield b"."
            self._stirred.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._stirred.wait()


async def _open_until_ended(url: str, token: str) -> None:
    """Errors: OSError, TimeoutError."""
    parts = urlsplit(url)
    secure, host = parts.scheme == "https", parts.hostname or ""
    async with asyncio.timeout(CONNECT_WITHIN_S):
        reader, writer = await asyncio.open_connection(
            host, parts.port or (443 if secure else 80), ssl=secure
        )
    try:
        head = (
            f"GET {PATH} HTTP/1.1\r\nhost: {parts.netloc}\r\n{HEADER}: {token}\r\nconnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        async with asyncio.timeout(CONNECT_WITHIN_S):
            status = await reader.readline()
        if status.split()[1:2] != [b"200"]:
            raise ConnectionError(f"{url} answers {status.decode(errors='replace').strip() or 'nothing'}")
        while await _next(reader):
            pass
    finally:
        writer.close()


async def _next(reader: asyncio.StreamReader) -> bytes:
    """Not by `wait_for`: before Python 3.12 it forgets that it was cancelled when both happen at once."""
    async with asyncio.timeout(3 * BEAT_S):
        return await reader.read(4096)
