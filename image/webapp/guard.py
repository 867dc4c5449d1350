"""Who may speak to the server (the page that it has served), and what a browser may do with the answers."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.problem import Problem

HEALTH = "/health"
DEFAULT_PORTS = {"http": 80, "https": 443}
FORWARDED = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}
STRICT_TRANSPORT = "max-age=31536000"


def page_policy(script_hashes: Iterable[str] = (), style_hashes: Iterable[str] = ()) -> str:
    """The page's Content-Security-Policy: our own files, and the inline parts with these hashes."""
    scripts = " ".join(["'self'", *script_hashes])
    styles = " ".join(["'self'", *style_hashes])
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src {styles}",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "frame-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def same_origin(headers: Headers, origin_needed: bool) -> bool:
    """Whether a request comes from the page of the host that it was sent to.

    The platform's proxy passes the browser's Host on, ends TLS, and says so in X-Forwarded-Proto.
    """
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or len(origins) > 1:
        return False
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return False
    if not origins:
        return not origin_needed
    forwarded = FORWARDED.get(headers.get("x-forwarded-proto", ""))
    scheme = forwarded or origins[0].partition("://")[0]
    asked = _address(f"{scheme}://{hosts[0]}", scheme)
    return asked is not None and _address(origins[0], scheme) == asked


def is_ours(headers: Headers, hosts: frozenset[str]) -> bool:
    """Whether a request was sent to this workspace: by one of its names, or past all names.

    A page elsewhere whose name was made to lead here cannot choose what the browser puts into Host.
    """
    found = headers.getlist("host")
    address = _address(f"http://{found[0]}", "http") if len(found) == 1 else None
    return address is not None and (address[0] in hosts or _is_nameless(address[0]))


def _is_nameless(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _address(url: str, scheme: str) -> tuple[str, int] | None:
    """Host and port of a URL of this scheme that has nothing else in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in DEFAULT_PORTS or url != f"{scheme}://{parts.netloc}" or "@" in parts.netloc or not host:
        return None
    return host, DEFAULT_PORTS[scheme] if port is None else port


class Guard:
    """Refuses foreign requests before anything else sees them; gives every answer its security headers."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        shielded = _with_headers(send, _answer_headers(scope, headers))
        refusal = self._refusal(scope, headers)
        answer: ASGIApp = refusal.response() if refusal else self._app
        await answer(scope, receive, shielded)

    def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        if scope["path"] == HEALTH and scope["type"] == "http":
            return None  # the platform asks by whatever name it has for the machine
        if not is_ours(headers, self._hosts):
            return Problem(421, "foreign_host", "There is no workspace at this address.")
        if _is_open(scope) or same_origin(headers, origin_needed=scope["type"] == "websocket"):
            return None
        return Problem(403, "foreign_origin", "This address answers only the page that it has served itself.")


def _is_open(scope: Scope) -> bool:
    """The page's files are the same for everybody, and change nothing."""
    return scope["type"] == "http" and not _is_api(scope)


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == "/api" or path.startswith("/api/")


def _answer_headers(scope: Scope, headers: Headers) -> dict[str, str]:
    more = {"cache-control": "no-store"} if _is_api(scope) else {}
    if headers.get("x-forwarded-proto") == "https":
        more["strict-transport-security"] = STRICT_TRANSPORT
    return {**SECURITY_HEADERS, **more}


def _with_headers(send: Send, more: dict[str, str]) -> Send:
    async def shielded(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            headers = MutableHeaders(scope=message)
            for name, value in more.items():
                headers.setdefault(name, value)
        await send(message)

    return shielded
