"""Only who is signed in comes through; whoever is signed out is put out at once."""

import asyncio
import contextlib
import re
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.access import Access
from webapp.devices import Device
from webapp.problem import Problem
from webapp.websocket import CLOSE_WITHIN_S, CLOSED_SIGNED_OUT

# What a browser needs before anybody is in, or fetches without cookies: nothing in it is anybody's. And what
# holds the machine awake, which shows a key of its own.
OPEN = re.compile(
    r"/health|/api/login|/api/awake|/sign-in/.+|/icon(-[a-z0-9-]+)?\.(png|svg)|/manifest\.webmanifest",
    re.ASCII,
)


class Gate:
    """`stranger` answers who asks for a page and is not in."""

    def __init__(self, app: ASGIApp, access: Access, stranger: Callable[[Request], Response]) -> None:
        self._app = app
        self._access = access
        self._stranger = stranger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_open(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._access.is_open:
            self._access.came_in(scope, headers)
            await self._app(scope, receive, send)
            return
        device = self._access.device_of(headers)
        if device is None:
            await self._refusal(scope)(scope, receive, send)
            return
        self._access.came_in(scope, headers)
        scope.setdefault("state", {})["device"] = device
        if scope["type"] == "websocket":
            await self._socket(device, scope, receive, send)
        else:
            await self._app(scope, receive, self._renewing(scope, headers, send))

    def _refusal(self, scope: Scope) -> Response:
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and not _is_api(scope):
            return self._stranger(Request(scope))
        return Problem(401, "signed_out", "This device is not signed in.", "Reload the page.").response()

    async def _socket(self, device: Device, scope: Scope, receive: Receive, send: Send) -> None:
        """The socket, until it ends or its device is signed out."""
        served = asyncio.ensure_future(self._app(scope, receive, send))
        put_out = asyncio.create_task(device.signed_out.wait())
        try:
            await asyncio.wait({served, put_out}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            put_out.cancel()
            if not served.done():
                served.cancel()
                await asyncio.gather(served, return_exceptions=True)
        if not device.signed_out.is_set():
            served.result()
            return
        with contextlib.suppress(RuntimeError, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await send({"type": "websocket.close", "code": CLOSED_SIGNED_OUT, "reason": "signed out"})

    def _renewing(self, scope: Scope, headers: Headers, send: Send) -> Send:
        """With a page, the device's cookie begins anew."""
        if _is_api(scope) or scope["path"].startswith("/assets/"):
            return send

        async def renewing(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._access.renew(MutableHeaders(scope=message), headers)
            await send(message)

        return renewing


def _is_open(scope: Scope) -> bool:
    return scope["type"] == "http" and OPEN.fullmatch(scope["path"]) is not None


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == "/api" or path.startswith("/api/")
