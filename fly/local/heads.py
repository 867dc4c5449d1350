"""The heads of HTTP/1.1 messages: read strictly, and written anew for the other side.

A head is taken only if every byte of it can be understood in one way, since a shape that two servers read
differently is how requests are smuggled. *Source*: RFC 9110 and 9112.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

END = b"\r\n\r\n"
CHUNKED = -1
"""A length that the body tells chunk by chunk."""
UNTIL_CLOSE = -2
"""A length that only the end of the connection tells."""

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
BODILESS = frozenset({204, 304})

_TEXT = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([^\x00-\x20\x7f]+) HTTP/([0-9]\.[0-9])")
_MINOR = {b"1.0": 0, b"1.1": 1}
_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(rb"[A-Za-z0-9.\-_]*(?::[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,15}")

KEPT = b""
"""The role of a field that goes on untouched."""
DROPPED = b"-"
"""The role of a field that stays here."""
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})
_HOP_BY_HOP = frozenset(
    {b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"proxy"}
)
_OURS = (b"fly-", b"x-forwarded-")

_Noted = dict[bytes, list[bytes]]


class HeadError(Exception):
    """A head that is not taken; `status` is the answer to it."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class _Roles(dict[bytes, bytes]):
    """From a field's name, as it was written, to what becomes of it. Remembers what it has judged."""

    def __init__(self, noted: frozenset[bytes]) -> None:
        super().__init__()
        self._noted = noted

    def __missing__(self, name: bytes) -> bytes:
        if not _TOKEN.fullmatch(name):
            raise HeadError("a header name holds characters that it may not")
        role = self._judge(name, name.lower().replace(b"_", b"-"))
        if len(self) < 4096:
            self[name] = role
        return role

    def _judge(self, name: bytes, meaning: bytes) -> bytes:
        if meaning in self._noted:
            return DROPPED if b"_" in name else meaning  # `Content_Length`: many programs read `_` as `-`
        if meaning in _HOP_BY_HOP or meaning == b"forwarded" or meaning.startswith(_OURS):
            return DROPPED
        return KEPT


_REQUEST_ROLES = _Roles(
    _FRAMING | {b"connection", b"upgrade", b"te", b"expect", b"accept", b"sec-fetch-dest"}
)
_ANSWER_ROLES = _Roles(frozenset({b"content-length", b"transfer-encoding", b"connection", b"upgrade"}))
_NOT_PASSED = frozenset({b"connection", b"upgrade"})
_NO_OPTIONS: frozenset[bytes] = frozenset()
_USUAL_OPTIONS = _FRAMING | {b"", b"close", b"keep-alive", b"upgrade", b"te"}
_REMEMBERED_BYTES = 2048
_HOST_BYTES = 255


@dataclass(frozen=True, slots=True)
class Manner:
    """All of a request but its target: what a visitor repeats with each of them."""

    method: bytes
    passed: bytes
    """The lines that go on to the machine, each with its end."""
    host: bytes
    length: int
    """Of the body, in bytes, or `CHUNKED`."""
    minor: int
    """Of the version, HTTP/1.minor."""
    keep_alive: bool
    websocket: bool
    """One is asked for."""
    html: bool
    """Pages are welcome as an answer."""
    navigation: bool
    """A person looks at a browser and waits for this page."""
    repeatable: bool
    """Asking twice does no harm, and all that is asked is at hand."""


@dataclass(slots=True)
class Request:
    """What a visitor asks."""

    target: bytes
    manner: Manner

    def onward(self, added: bytes) -> bytes:
        """The head for the machine; `added` are whole lines."""
        manner = self.manner
        line = b"%b %b HTTP/1.%d" % (manner.method, self.target, manner.minor)
        return b"%b\r\n%b%b%b\r\n" % (line, manner.passed, added, _connection(manner))


@dataclass(frozen=True, slots=True)
class Response:
    """What a machine answers."""

    status: int
    passed: bytes
    """The status line and the header lines that go on to the visitor, each with its end."""
    length: int
    """Of its body, in bytes, or `CHUNKED`, or `UNTIL_CLOSE`; what HEAD asked for has none all the same."""
    keep_alive: bool
    upgrade: bytes
    """What a 101 switches to."""

    def onward(self, added: bytes) -> bytes:
        """The head for the visitor; `added` are whole lines."""
        return b"%b%b\r\n" % (self.passed, added)


def parse_request(head: bytes) -> Request:
    """The request whose head, without the empty line at its end, is `head`.

    *Errors*: `HeadError`.
    """
    line, _, block = head.partition(b"\r\n")
    if not (match := _REQUEST_LINE.fullmatch(line)):
        raise HeadError("the request line is malformed")
    method, target, version = match.groups()
    read = _remembered_manner if len(block) <= _REMEMBERED_BYTES else _manner
    manner = read(method, version, block)
    if not target.startswith(b"/"):
        target = _origin_form(method, target, manner.host)
    return Request(target, manner)


def parse_response(head: bytes) -> Response:
    """The answer whose head, without the empty line at its end, is `head`.

    *Errors*: `HeadError`.
    """
    return (_remembered_response if len(head) <= _REMEMBERED_BYTES else _response)(head)


def _response(head: bytes) -> Response:
    line, _, block = head.partition(b"\r\n")
    if not (match := _STATUS_LINE.fullmatch(line)):
        raise HeadError("the status line is malformed")
    minor, status = _MINOR[match[1]], int(match[2])
    passed, noted = _fields(block, _ANSWER_ROLES)
    options = _options(noted)
    length = 0 if status < 200 or status in BODILESS else _length(noted, minor, UNTIL_CLOSE)
    return Response(
        status,
        b"HTTP/1.1%b\r\n%b" % (line[8:], _without_named(passed, options)),
        length,
        minor == 1 and b"close" not in options,
        b",".join(noted.get(b"upgrade", ())),
    )


def _manner(method: bytes, version: bytes, block: bytes) -> Manner:
    if version not in _MINOR:
        raise HeadError("only HTTP/1.0 and HTTP/1.1 are spoken here", 505)
    minor = _MINOR[version]
    passed, noted = _fields(block, _REQUEST_ROLES)
    options = _options(noted)
    length = _length(noted, minor, 0)
    plain_get = method == b"GET" and length == 0
    websocket = plain_get and minor == 1 and _asks_for_websocket(noted, options)
    html = any(b"text/html" in value for value in noted.get(b"accept", ()))
    return Manner(
        method=method,
        passed=_without_named(passed, options),
        host=_host(noted, minor),
        length=length,
        minor=minor,
        keep_alive=minor == 1 and b"close" not in options,
        websocket=websocket,
        html=html,
        navigation=html and plain_get and not websocket and _is_document(noted),
        repeatable=length == 0 and method in IDEMPOTENT and not websocket,
    )


_remembered_manner = lru_cache(maxsize=512)(_manner)
_remembered_response = lru_cache(maxsize=512)(_response)


def _connection(manner: Manner) -> bytes:
    if manner.websocket:
        return b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    return b"" if manner.minor else b"Connection: close\r\n"


def is_trailer(line: bytes) -> bool:
    """Whether this line, with its CRLF, may follow the last chunk: not if it frames, routes or vouches."""
    name, colon, _ = line.partition(b":")
    if not colon or line[-2:] != b"\r\n" or line[:-2].translate(None, _TEXT):
        return False
    try:
        return _REQUEST_ROLES[name] == KEPT
    except HeadError:
        return False


def _fields(block: bytes, roles: Mapping[bytes, bytes]) -> tuple[bytes, _Noted]:
    """The lines that go on, each with its end, and the values of those that say something to the door.

    A lone CR or LF and every control character is refused.
    """
    lines = block.split(b"\r\n") if block else []
    if block.translate(None, _TEXT) != b"\r\n" * (len(lines) - 1):
        raise HeadError("the head holds a control character or a lone line end")
    passed: list[bytes] = []
    noted: _Noted = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise HeadError("a header line has no colon")
        role = roles[name]
        if role is not KEPT and role is not DROPPED:
            value = value.strip(b" \t")
            noted.setdefault(role, []).append(value)
        if role is KEPT or _is_passed(role, value):
            passed.append(line)
    passed.append(b"")
    return b"\r\n".join(passed), noted


def _is_passed(role: bytes, value: bytes) -> bool:
    if role == b"te":
        return value.lower() == b"trailers"
    return role is not DROPPED and role not in _NOT_PASSED


def _options(noted: _Noted) -> frozenset[bytes]:
    """What `Connection` lists, in small letters."""
    if not (values := noted.get(b"connection")):
        return _NO_OPTIONS
    return frozenset(option.strip(b" \t").lower() for option in b",".join(values).split(b","))


def _without_named(passed: bytes, options: frozenset[bytes]) -> bytes:
    """The lines without those that `Connection` declares to be for one hop only."""
    named = options - _USUAL_OPTIONS if options else options
    if not named:
        return passed
    return b"".join(
        line for line in passed.splitlines(keepends=True) if line.partition(b":")[0].lower() not in named
    )


def _length(noted: _Noted, minor: int, otherwise: int) -> int:
    """How long the body is, if that can be told in one way only."""
    codings, lengths = noted.get(b"transfer-encoding"), noted.get(b"content-length")
    if codings is not None:
        return _coded(codings, lengths, minor)
    if lengths is None:
        return otherwise
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise HeadError("Content-Length is not one plain number")
    return int(lengths[0])


def _coded(codings: list[bytes], lengths: list[bytes] | None, minor: int) -> int:
    if lengths is not None:
        raise HeadError("Content-Length and Transfer-Encoding exclude each other")
    if minor == 0:
        raise HeadError("HTTP/1.0 has no Transfer-Encoding")
    if len(codings) > 1 or codings[0].lower() != b"chunked":
        raise HeadError("the only Transfer-Encoding spoken here is chunked", 501)
    return CHUNKED


def _host(noted: _Noted, minor: int) -> bytes:
    hosts = noted.get(b"host", [])
    if len(hosts) != 1 and not (minor == 0 and not hosts):
        raise HeadError("exactly one Host is needed")
    host = hosts[0] if hosts else b""
    if len(host) > _HOST_BYTES or not _HOST.fullmatch(host):
        raise HeadError("Host is malformed")
    return host


def _origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    """The target as a path; a whole URL must name the same host as `Host` does."""
    if target == b"*" and method == b"OPTIONS":
        return target
    match = _ABSOLUTE.fullmatch(target)
    if method == b"CONNECT" or not match:
        raise HeadError("the target is not a path")
    if match[1].lower() != host.lower():
        raise HeadError("the target and Host name different hosts")
    return match[2] if match[2].startswith(b"/") else b"/" + match[2]


def _asks_for_websocket(noted: _Noted, options: frozenset[bytes]) -> bool:
    return b"upgrade" in options and [value.lower() for value in noted.get(b"upgrade", ())] == [b"websocket"]


def _is_document(noted: _Noted) -> bool:
    return all(value.lower() in {b"document", b"iframe"} for value in noted.get(b"sec-fetch-dest", ()))
