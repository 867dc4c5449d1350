"""Serves the dashboard on this machine alone, to the browser that was given the token.

The token comes in the address's fragment and is traded for a cookie that no script can read. Whoever asks
under another name than the loopback's, or from a page of somebody else, gets nothing.
"""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fly.dashboard import page
from fly.dashboard.overview import Overview
from fly.settings import Secret

FRESH_S = 10.0
"""Several windows share one reading of the platform."""
NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
LARGEST_TOKEN = 1024
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Dashboard:
    """`look` reads everything anew; it is called by one request at a time."""

    def __init__(self, look: Callable[[], Overview], token: Secret) -> None:
        self._look = look
        self._token = token
        # A browser does not tell ports apart: two dashboards at a time have cookies of two names.
        self._cookie = f"my-jarvis-{hashlib.sha256(token.reveal().encode()).hexdigest()[:8]}"
        self._reading = threading.Lock()
        self._seen: Overview | None = None
        self._seen_at = float("-inf")

    def app(self) -> ASGIApp:
        routes = [
            Route("/", self._page),
            Route("/fleet", self._fleet),
            Route("/enter", self._enter, methods=["POST"]),
            Route("/style.css", _file("style.css", "text/css")),
            Route("/page.js", _file("page.js", "text/javascript")),
            Route("/enter.js", _file("enter.js", "text/javascript")),
        ]
        return Guard(Starlette(routes=routes))

    def _page(self, request: Request) -> Response:
        if not self._is_in(request):
            return HTMLResponse((page.FOLDER / "enter.html").read_text("utf-8"))
        return HTMLResponse(page.whole(self._overview()))

    def _fleet(self, request: Request) -> Response:
        if not self._is_in(request):
            return PlainTextResponse("type `invoke dashboard` once more", 401)
        return HTMLResponse(page.fleet(self._overview()))

    async def _enter(self, request: Request) -> Response:
        said = b""
        async for piece in request.stream():
            if len(said := said + piece) > LARGEST_TOKEN:
                return PlainTextResponse("too long", 413)
        if not hmac.compare_digest(said, self._token.reveal().encode()):
            return PlainTextResponse("wrong", 403)
        answer = Response(status_code=204)
        answer.set_cookie(self._cookie, self._token.reveal(), httponly=True, samesite="strict")
        return answer

    def _is_in(self, request: Request) -> bool:
        shown = request.cookies.get(self._cookie, "").encode("utf-8", "replace")
        return hmac.compare_digest(shown, self._token.reveal().encode())

    def _overview(self) -> Overview:
        with self._reading:
            if self._seen is None or time.monotonic() - self._seen_at > FRESH_S:
                self._seen = self._look()
                self._seen_at = time.monotonic()
            return self._seen


class Guard:
    """Refuses who does not ask this machine by its own name, and pages of others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        if scope["type"] != "http":
            return
        answer = self._app if is_ours(Headers(scope=scope)) else PlainTextResponse("not from there", 403)
        await answer(scope, receive, shielded)


def is_ours(headers: Headers) -> bool:
    """Whether a request was sent to the loopback by a person or by our own page."""
    host = headers.get("host", "")
    name = host.rpartition(":")[0] if ":" in host.removesuffix("]") and not host.endswith("]") else host
    if name not in NAMES or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    def serve(_request: Request) -> Response:
        return FileResponse(page.FOLDER / name, media_type=media_type)

    return serve
