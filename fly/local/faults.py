"""Trouble on demand: what Fly's API does on a bad day, for tests and rehearsals.

A fault says which requests it befalls (method, path with `*`, how many pass first, how often) and what
happens: before the request is carried out, or after it was. They are kept until they are cleared, and end
with the platform.
"""

import asyncio
import fnmatch
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fly.local.likeness import Likeness
from fly.local.names import ulid
from fly.local.rates import Rates
from fly.local.refusal import missing
from fly.local.shapes import Number, Text, Whole

OWN_PATHS = "/_local/"
TRANSPORT = "my-jarvis.transport"
"""The connection, among the extensions of a request's scope: ASGI has no way to break one off."""
EFFECTS = (
    "refuse",
    "commit_then_refuse",
    "drop",
    "commit_then_drop",
    "commit_then_malformed",
    "delay",
    "rate_limit",
    "insufficient_capacity",
)
SHAPE = {
    "method": Text(16, r"[A-Za-z]*"),
    "path": Text(1024),
    "effect": Text(among=EFFECTS),
    "after": Whole(0, 10**6),
    "times": Whole(0, 10**6),
    "status": Whole(400, 599),
    "error": Text(),
    "code": Text(64),
    "retry_after_s": Whole(0, 3600),
    "delay_s": Number(),
}


@dataclass
class Fault:
    """One kind of trouble; `times` 0: until it is cleared."""

    effect: str
    method: str = ""
    path: str = "*"
    after: int = 0
    times: int = 1
    status: int = 503
    error: str = "unavailable: a fault that was asked for"
    code: str = ""
    retry_after_s: int = 1
    delay_s: float = 1.0
    id: str = field(default_factory=lambda: ulid().lower())
    seen: int = 0
    struck: int = 0

    def befalls(self, method: str, path: str) -> bool:
        """Whether it is this request's turn; counts it."""
        if self.method.upper() not in {"", method} or not re.fullmatch(fnmatch.translate(self.path), path):
            return False
        self.seen += 1
        if self.seen <= self.after or self.is_spent:
            return False
        self.struck += 1
        return True

    @property
    def is_spent(self) -> bool:
        return 0 < self.times <= self.struck

    @property
    def commits(self) -> bool:
        return self.effect.startswith("commit_then_")

    def answer(self) -> JSONResponse:
        """What it says instead of the answer."""
        if self.effect == "rate_limit":
            return too_many(self.retry_after_s)
        if self.effect == "insufficient_capacity":
            return JSONResponse({"error": "out of capacity", "status": "insufficient_capacity"}, 422)
        body = {"error": self.error} | ({"status": self.code} if self.code else {})
        return JSONResponse(body, self.status)


class Faults:
    """Those that wait for their requests."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, wanted: dict[str, Any]) -> Fault:
        fault = Fault(**wanted)
        self._faults.append(fault)
        return fault

    def listed(self) -> list[dict[str, Any]]:
        """Also those that are used up: how often they struck is of interest."""
        return [asdict(fault) for fault in self._faults]

    def clear(self, fault_id: str = "") -> None:
        """One of them, or all.

        *Errors*: Refusal 404.
        """
        kept = [fault for fault in self._faults if fault_id and fault.id != fault_id]
        if fault_id and len(kept) == len(self._faults):
            raise missing("fault")
        self._faults = kept

    def befalling(self, method: str, path: str) -> Fault | None:
        """The first that it is the turn of."""
        return next((fault for fault in self._faults if fault.befalls(method, path)), None)


class Troubled:
    """The app with its faults, and with the limits and the pace of Fly if they are asked for."""

    def __init__(self, app: ASGIApp, faults: Faults, likeness: Likeness, clock: Callable[[], float]) -> None:
        self._app, self._faults, self._likeness = app, faults, likeness
        self._rates = Rates(clock) if likeness.rate_limited else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path.startswith(OWN_PATHS):
            await self._app(scope, receive, send)
            return
        if self._likeness.answer_s:
            await asyncio.sleep(self._likeness.answer_s)
        if self._rates and (wait_s := self._rates.wait_s(method, path)):
            await too_many(math.ceil(wait_s))(scope, receive, send)
        elif fault := self._faults.befalling(method, path):
            await self._strike(fault, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        if fault.commits:
            await self._app(scope, receive, keep)
        if fault.effect == "delay":
            await asyncio.sleep(fault.delay_s)
            await self._app(scope, receive, send)
        elif fault.effect.endswith("drop"):
            await _drop(scope, receive)
        elif fault.effect == "commit_then_malformed":
            await _send_half(kept, send)
        else:
            await fault.answer()(scope, receive, send)


def too_many(retry_after_s: int) -> JSONResponse:
    return JSONResponse({"error": "rate limit exceeded"}, 429, {"Retry-After": str(retry_after_s)})


async def _drop(scope: Scope, receive: Receive) -> None:
    """Ends the connection without a word."""
    if transport := scope["extensions"].get(TRANSPORT):
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_half(kept: list[Message], send: Send) -> None:
    """The answer, cut in the middle and yet whole as HTTP: what a proxy that broke off passes on."""
    body = b"".join(message.get("body", b"") for message in kept)
    half = body[: len(body) // 2] or json.dumps({"ok": True})[:4].encode()
    start = dict(kept[0])
    start["headers"] = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    start["headers"].append((b"content-length", str(len(half)).encode()))
    start["status"] = 200 if start["status"] == 204 else start["status"]
    await send(start)
    await send({"type": "http.response.body", "body": half})
