"""Who may speak to the server: only the page that came from the very address that is asked. And what browsers may do with it."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.problem import Problem

DEFAULT_PORTS = {"http": 80, "https": 443}

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}
STRICT_TRANSPORT = "max-age=31536000"


def page_policy(script_hashes: Iterable[str] = (), style_hashes: Iterable[str] = ()) -> str:
    """The page's Content-Security-Policy: nothing but our own files, and the inline parts with these hashes."""
    scripts = " ".join(["'self'", *script_hashes])
    styles = " ".join(["'self'", *style_hashes])
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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
    scheme = headers.get("x-forwarded-proto", "")
    return _address_of_origin(origins[0], scheme) == _address_of_host(hosts[0], origins[0], scheme) is not None


def _address_of_origin(origin: str, scheme: str) -> tuple[str, int] | None:
    own = origin.partition("://")[0]
    if own not in DEFAULT_PORTS or (scheme and own != scheme):
        return None
    address = _address(origin, own)
    return address if address and urlsplit(origin).path == "" else None


def _address_of_host(host: str, origin: str, scheme: str) -> tuple[str, int] | None:
    scheme = scheme or origin.partition("://")[0]
    return _address(f"{scheme}://{host}", scheme) if not set(host) & set("/?#@\\") else None


def _address(url: str, scheme: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None or scheme not in DEFAULT_PORTS:
        return None
    return parts.hostname, DEFAULT_PORTS[scheme] if port is None else port


class Guard:
    """Refuses foreign requests before anything else sees them, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        shielded = _with_security_headers(send, headers.get("x-forwarded-proto") == "https")
        if _is_open(scope) or same_origin(headers, origin_needed=scope["type"] == "websocket"):
            await self._app(scope, receive, shielded)
        else:
            refusal = Problem(403, "foreign_origin", "This address answers only the page that it has served itself.")
            await refusal.response()(scope, receive, shielded)


def _is_open(scope: Scope) -> bool:
    """The page's files and the health check are the same for everybody, and change nothing."""
    return scope["type"] == "http" and not (scope["path"] == "/api" or scope["path"].startswith("/api/"))


def _with_security_headers(send: Send, is_https: bool) -> Send:
    async def shielded(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if is_https:
                headers.setdefault("strict-transport-security", STRICT_TRANSPORT)
        await send(message)

    return shielded
