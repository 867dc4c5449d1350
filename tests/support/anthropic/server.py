"""The servers of Anthropic, as far as the Claude binary speaks to them, from the standard library alone.

Two listeners share one state. *Plain* speaks HTTP: the API for ``ANTHROPIC_BASE_URL``, and ``/_control/…``.
*TLS* is five hosts at once (`HOSTS`), each answering only what the real one answers; for logging in.

``python -m tests.support.anthropic.server --plain 8000 --tls 443 --certificate FILE --key FILE``
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import html
import json
import re
import secrets
import ssl
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.anthropic import script

Json = dict[str, Any]

HOSTS = ("platform.claude.com", "api.anthropic.com", "claude.ai", "claude.com", "console.anthropic.com")
API_KEY = "sk-ant-api03-stand-in"
SUBSCRIPTION = "sk-ant-oat01-stand-in-of-a-year"
"""What `claude setup-token` would have printed: a login without its flow."""
SCOPE = "org:create_api_key user:profile user:inference user:sessions:claude_code user:mcp_servers"
BY_USE, SCOPE_BY_USE = "claude_api", "org:create_api_key user:profile"
"""An account that pays by use: its login may make a key, and asks Claude nothing itself."""
_KEPT_REQUESTS = 5_000
_BREAK_AFTER_S = 0.2
_MAX_BODY = 64 * 2**20


@dataclass(frozen=True)
class Request:
    """What a client asked, and what it got."""

    number: int
    host: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    status: int = 0

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass
class Account:
    """Who logs in."""

    email: str = "lilach@example.com"
    name: str = "Lilach"
    organisation: str = "Lilach's Organization"
    kind: str = "claude_max"
    account_id: str = "11111111-1111-4111-8111-111111111111"
    organisation_id: str = "22222222-2222-4222-8222-222222222222"


@dataclass
class State:
    """All that the stand-in knows; ``expires_in_s`` holds for tokens given out from now on."""

    account: Account = field(default_factory=Account)
    expires_in_s: int = 28_800
    revocable: bool = True
    refreshable: bool = True
    codes: dict[str, str] = field(default_factory=dict)
    """code -> the challenge that its login showed"""
    access: dict[str, float] = field(default_factory=dict)
    """access token -> when it expires"""
    refresh: set[str] = field(default_factory=set)
    given: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    """how often a counted error was given: (conversation, messages, step)"""
    requests: deque[Request] = field(default_factory=lambda: deque(maxlen=_KEPT_REQUESTS))
    count: int = 0

    def accepts(self, request: Request) -> bool:
        if "x-api-key" in request.headers:
            return request.headers["x-api-key"] == API_KEY
        return request.bearer == SUBSCRIPTION or self.access.get(request.bearer, 0) > time.time()


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    media: str = "application/json"

    def encoded(self) -> bytes:
        return (
            self.body.encode()
            if isinstance(self.body, str)
            else json.dumps({} if self.body is None else self.body).encode()
        )


class BrokenOffError(Exception):
    """The connection is to break here."""


Stream = AsyncIterator[bytes]
Handler = Callable[[State, Request], Awaitable[Answer | Stream]]


def failure(status: int, kind: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An error as the API words it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_standin"}
    return Answer(status, body, headers)


SHORT = re.compile(r"[A-Za-z]-([\w-]{43})")
"""A letter (z with a plan, T with a key, from 2.1.332 on), and the challenge, which is the state as well."""
NOT_FOUND = failure(404, "not_found_error", "Not found")
UNAUTHORISED = failure(401, "authentication_error", "Invalid authentication credentials")


# --- logging in -----------------------------------------------------------------------------------


def challenge_of(verifier: str) -> str:
    """What a login shows of its verifier (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorise(state: State, url: str) -> str:
    """The ``CODE#STATE`` that a person would be shown at this URL, in either of its two shapes."""
    parts = urlsplit(url)
    if parts.hostname not in HOSTS or not parts.path.endswith("/oauth/authorize"):
        raise ValueError(f"not an address to log in at: {url}")
    if short := SHORT.fullmatch(parts.query):
        challenge = after = short[1]
    else:
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if query.get("code_challenge_method") != "S256" or query.get("response_type") != "code":
            raise ValueError(f"the address lacks what a login needs: {url}")
        challenge, after = query["code_challenge"], query["state"]
    code = "code-" + secrets.token_urlsafe(24)
    state.codes[code] = challenge
    return f"{code}#{after}"


async def authorise_page(state: State, request: Request) -> Answer:
    try:
        code = authorise(state, f"https://{request.host}{request.path}?{request.query}")
    except (KeyError, ValueError) as error:
        return Answer(400, str(error), media="text/plain")
    told = f"<h1>Paste this into Claude Code</h1><code>{html.escape(code)}</code>"
    return Answer(200, f"<!doctype html><title>Claude</title>{told}", media="text/html")


async def token(state: State, request: Request) -> Answer:
    body = request.body if isinstance(request.body, dict) else {}
    match body.get("grant_type"):
        case "authorization_code":
            challenge = state.codes.pop(str(body.get("code")), None)
            if challenge is None or challenge != challenge_of(str(body.get("code_verifier"))):
                return _refused("the code is unknown, used, or not for this verifier")
        case "refresh_token":
            if not state.refreshable or body.get("refresh_token") not in state.refresh:
                return _refused("the refresh token is unknown, used or revoked")
            state.refresh.discard(body["refresh_token"])
        case _:
            return _refused("unsupported grant type")
    return Answer(200, _new_tokens(state))


def _refused(message: str) -> Answer:
    return Answer(400, {"error": "invalid_grant", "error_description": message})


def _new_tokens(state: State) -> Json:
    access = "sk-ant-oat01-" + secrets.token_urlsafe(48)
    refresh = "sk-ant-ort01-" + secrets.token_urlsafe(48)
    state.access[access] = time.time() + state.expires_in_s
    state.refresh.add(refresh)
    account = state.account
    return {
        "token_type": "Bearer",
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": state.expires_in_s,
        "scope": SCOPE_BY_USE if account.kind == BY_USE else SCOPE,
        "account": {"uuid": account.account_id, "email_address": account.email},
        "organization": {"uuid": account.organisation_id, "name": account.organisation},
    }


async def revoke(state: State, request: Request) -> Answer:
    if not state.revocable:
        return NOT_FOUND
    gone = request.body.get("token") if isinstance(request.body, dict) else None
    state.access.pop(str(gone), None)
    state.refresh.discard(str(gone))
    return Answer()


async def profile(state: State, request: Request) -> Answer:
    if not state.accepts(request):
        return UNAUTHORISED
    account = state.account
    return Answer(
        200,
        {
            "account": {
                "uuid": account.account_id,
                "email": account.email,
                "full_name": account.name,
                "display_name": account.name,
                "has_claude_max": account.kind == "claude_max",
                "has_claude_pro": account.kind == "claude_pro",
            },
            "organization": {
                "uuid": account.organisation_id,
                "name": account.organisation,
                "organization_type": account.kind,
                "rate_limit_tier": "default_claude_max_5x",
            },
        },
    )


async def create_key(state: State, request: Request) -> Answer:
    return Answer(200, {"raw_key": API_KEY}) if state.accepts(request) else UNAUTHORISED


async def roles(state: State, request: Request) -> Answer:
    if not state.accepts(request):
        return UNAUTHORISED
    account = state.account
    return Answer(
        200,
        {
            "organization_uuid": account.organisation_id,
            "organization_name": account.organisation,
            "organization_role": "admin",
            "workspace_role": None,
        },
    )


# --- answering ------------------------------------------------------------------------------------

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


async def messages(state: State, request: Request) -> Answer | Stream:
    if not state.accepts(request):
        return UNAUTHORISED
    body: Json = request.body
    if not body.get("tools"):
        return await _given(body, script.Response([script.Text(("A side ", "job's ", "answer"))]), [])
    turn = script.turn_of(body["messages"])
    try:
        response = script.response(turn)
    except script.ScriptError as error:
        return failure(400, "invalid_request_error", f"the test's script is wrong: {error}")
    conversation = request.headers.get("x-claude-code-session-id", "")
    for step in response.failures:
        if _is_due(state, (conversation, len(body["messages"]), repr(step)), step.times):
            return _failed(step)
    cuts = [
        step
        for step in response.cuts
        if _is_due(state, (conversation, len(body["messages"]), repr(step)), step.times)
    ]
    return await _given(body, response, cuts)


def _is_due(state: State, key: tuple[str, int, str], times: int | None) -> bool:
    state.given[key] += 1
    return times is None or state.given[key] <= times


def _failed(step: script.Failure) -> Answer:
    headers = step.headers
    if step.reset_in_s is not None:
        headers += (("anthropic-ratelimit-unified-reset", str(int(time.time()) + step.reset_in_s)),)
    kind = _ERRORS.get(step.status, "api_error")
    return failure(step.status, kind, f"The script asked for {step.status}", headers)


async def _given(body: Json, response: script.Response, cuts: list[script.Cut]) -> Answer | Stream:
    events = _events(body.get("model", "claude"), response, cuts)
    if body.get("stream"):
        return _sse(events)
    return Answer(200, await _gathered(events))


async def _sse(events: AsyncIterator[Json]) -> Stream:
    async for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


async def _events(model: str, response: script.Response, cuts: list[script.Cut]) -> AsyncIterator[Json]:
    """The events of one response, in the pace that its script asks for."""
    pieces = _Pieces(min((cut.after for cut in cuts), default=None))
    usage = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    message = {"id": "msg_" + secrets.token_hex(12), "type": "message", "role": "assistant", "model": model}
    empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": message | empty}
    index = 0
    for step in response.steps:
        if isinstance(step, script.Wait):
            await asyncio.sleep(step.seconds)
        if not isinstance(step, script.Text | script.Tool):
            continue
        yield {"type": "content_block_start", "index": index, "content_block": _opened(step)}
        async for delta in pieces.of(step):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
        index += 1
    reason = "tool_use" if response.calls_tool else "end_turn"
    ended = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": usage | {"output_tokens": max(pieces.sent, 1)}}
    yield {"type": "message_stop"}


def _opened(step: script.Text | script.Tool) -> Json:
    if isinstance(step, script.Tool):
        return {"type": "tool_use", "id": "toolu_" + secrets.token_hex(12), "name": step.name, "input": {}}
    if step.thinking:
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


@dataclass
class _Pieces:
    """Counts what was sent, so that the connection can break after so many."""

    cut_after: int | None
    sent: int = 0

    async def of(self, step: script.Text | script.Tool) -> AsyncIterator[Json]:
        if isinstance(step, script.Tool):
            given = json.dumps(step.input)
            for part in (given[: len(given) // 2], given[len(given) // 2 :]):
                yield self._counted({"type": "input_json_delta", "partial_json": part})
            return
        for word in step.words:
            yield self._counted(
                {"type": "thinking_delta", "thinking": word}
                if step.thinking
                else {"type": "text_delta", "text": word}
            )
            if step.pause_s:
                await asyncio.sleep(step.pause_s)
        if step.thinking:
            yield {"type": "signature_delta", "signature": base64.b64encode(b"stand-in").decode()}

    def _counted(self, delta: Json) -> Json:
        if self.cut_after is not None and self.sent >= self.cut_after:
            raise BrokenOffError
        self.sent += 1
        return delta


async def _gathered(events: AsyncIterator[Json]) -> Json:
    """The same response as one document."""
    message: Json = {}
    parts: dict[int, str] = {}
    async for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
                parts[event["index"]] = ""
            case "content_block_delta":
                parts[event["index"]] += _written(event["delta"])
            case "message_delta":
                message |= event["delta"] | {"usage": event["usage"]}
    for index, block in enumerate(message["content"]):
        field_name = {"text": "text", "thinking": "thinking", "tool_use": "input"}[block["type"]]
        block[field_name] = json.loads(parts[index]) if field_name == "input" else parts[index]
    return message


def _written(delta: Json) -> str:
    return str(delta.get("text") or delta.get("thinking") or delta.get("partial_json") or "")


# --- what tests may ask of it ---------------------------------------------------------------------


async def control(state: State, request: Request) -> Answer:
    """``/_control/…``: requests, settings, authorise, expire, forget, clear."""
    body: Json = request.body or {}
    match request.path.removeprefix("/_control/"):
        case "requests":
            kept = [one for one in state.requests if one.path.startswith(body.get("path", ""))]
            return Answer(200, [asdict(one) for one in kept])
        case "clear":
            state.requests.clear()
            state.given.clear()
        case "settings":
            state.account = replace(state.account, **body.pop("account", {}))
            if unknown := set(body) - {"expires_in_s", "revocable", "refreshable"}:
                return failure(400, "invalid_request_error", f"no such settings: {unknown}")
            for name, value in body.items():
                setattr(state, name, value)
        case "authorise":
            try:
                return Answer(200, {"code": authorise(state, body["url"])})
            except (KeyError, ValueError) as error:
                return failure(400, "invalid_request_error", str(error))
        case "give":
            return Answer(200, _new_tokens(state))
        case "expire":
            state.access.clear()
        case "forget":
            state.access.clear()
            state.refresh.clear()
        case "ready":
            pass
        case _:
            return NOT_FOUND
    return Answer()


_API: dict[tuple[str, str], Handler] = {
    ("POST", "/v1/messages"): messages,
    ("GET", "/api/oauth/profile"): profile,
    ("GET", "/api/oauth/claude_cli/roles"): roles,
    ("POST", "/api/oauth/claude_cli/create_api_key"): create_key,
}
_PLATFORM: dict[tuple[str, str], Handler] = {
    ("POST", "/v1/oauth/token"): token,
    ("POST", "/v1/oauth/token/revoke"): revoke,
    ("GET", "/oauth/authorize"): authorise_page,
}
_ROUTES: dict[str, dict[tuple[str, str], Handler]] = {
    "api.anthropic.com": _API,
    "platform.claude.com": _PLATFORM,
    "console.anthropic.com": _PLATFORM,
    "claude.ai": {("GET", "/oauth/authorize"): authorise_page},
    "claude.com": {("GET", "/cai/oauth/authorize"): authorise_page},
}


async def answer(state: State, request: Request, *, plain: bool) -> Answer | Stream:
    """What this host says to this request."""
    if plain and request.path.startswith("/_control/"):
        return await control(state, request)
    routes = _API if plain else _ROUTES.get(request.host, {})
    handler = routes.get((request.method, request.path))
    return await handler(state, request) if handler else NOT_FOUND


# --- HTTP -----------------------------------------------------------------------------------------


class Server:
    """Both listeners and their state, on the running loop."""

    def __init__(self) -> None:
        self.state = State()
        self._listeners: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port that it listens on; plain without ``tls``."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            await self._connection(reader, writer, plain=tls is None)

        listener = await asyncio.start_server(serve, host, port, ssl=tls, limit=2**20)
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, plain: bool
    ) -> None:
        try:
            while request := await _read(reader, writer):
                await self._exchange(request, writer, plain=plain)
        except BrokenOffError:
            # What was sent must arrive: a reset takes away even what lies unread at the other end.
            await asyncio.sleep(_BREAK_AFTER_S)
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, request: Request, writer: asyncio.StreamWriter, *, plain: bool) -> None:
        given = await answer(self.state, request, plain=plain)
        status = given.status if isinstance(given, Answer) else 200
        if not (plain and request.path.startswith("/_control/")):
            self.state.count += 1
            self.state.requests.append(replace(request, number=self.state.count, status=status))
        if isinstance(given, Answer):
            await _write(writer, given, bodiless=request.method == "HEAD")
        else:
            await _stream(writer, given)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    raw = await _read_body(reader, headers)
    parts = urlsplit(target)
    host = headers.get("host", "").partition(":")[0]
    return Request(0, host, method, parts.path, parts.query, headers, _parsed(raw, headers))


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        whole = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            whole += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return whole
    size = int(headers.get("content-length", "0"))
    if size > _MAX_BODY:
        raise ConnectionError("a body larger than any that a test sends")
    return await reader.readexactly(size)


def _parsed(raw: bytes, headers: dict[str, str]) -> Any:
    if not raw:
        return None
    text = raw.decode("utf-8", "replace")
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        return {name: values[0] for name, values in parse_qs(text).items()}
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text


def _head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Overloaded"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _write(writer: asyncio.StreamWriter, given: Answer, *, bodiless: bool) -> None:
    body = given.encoded()
    headers = (
        ("content-type", given.media),
        ("content-length", str(len(body))),
        ("request-id", "req_standin"),
    )
    writer.write(_head(given.status, headers + given.headers) + (b"" if bodiless else body))
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, given: Stream) -> None:
    writer.write(_head(200, (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))))
    async for part in given:
        writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _main(plain: int, tls: int, certificate: str, key: str) -> None:
    server = Server()
    await server.listen("0.0.0.0", plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    await server.listen("0.0.0.0", tls, context)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", type=int, required=True)
    parser.add_argument("--tls", type=int, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    given_arguments = parser.parse_args()
    asyncio.run(_main(**vars(given_arguments)))
