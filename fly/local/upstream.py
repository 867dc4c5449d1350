"""One connection to a machine's page: a request goes out, its answer comes back, then perhaps the next."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from fly.local.bodies import Body, BodyError, UntilClose, body_of
from fly.local.heads import END, HeadError, Response, parse_response


class Asker(Protocol):
    """Who asks: told of the answer piece by piece, as it comes."""

    @property
    def method(self) -> bytes: ...

    @property
    def wants_socket(self) -> bool: ...

    @property
    def has_asked_all(self) -> bool:
        """The whole request was sent."""

    def answer_announced(self, response: Response) -> None:
        """An interim answer (1xx)."""

    def answer_began(self, response: Response, body: Body, data: bytes) -> None:
        """`data`: what came of the body along with the head."""

    def answer_went_on(self, data: bytes) -> None: ...

    def answer_ended(self) -> None: ...

    def answer_broke_off(self, *, sensed: bool) -> None:
        """No more comes. `sensed`: at least one byte of an answer was seen."""

    def socket_opened(self, upstream: Upstream, response: Response, rest: bytes) -> None:
        """The machine agreed to a WebSocket (101); `rest` already came over it."""

    def upstream_clogged(self, clogged: bool) -> None:
        """Whether the machine takes no more bytes at the moment."""


class Home(Protocol):
    """Where connections to one machine are kept."""

    def arrived(self, upstream: Upstream) -> None: ...

    def rested(self, upstream: Upstream) -> None:
        """It can be asked again."""

    def departed(self, upstream: Upstream) -> None: ...


class Upstream(asyncio.Protocol):
    __slots__ = (
        "_body",
        "_halted",
        "_head",
        "_home",
        "_limits",
        "_reusable",
        "_sensed",
        "asker",
        "since",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, home: Home, head_bytes: int, buffer_bytes: int) -> None:
        self._home = home
        self._limits = (head_bytes, buffer_bytes)
        self._head = b""
        self._body: Body | None = None
        self._halted = self._reusable = self._sensed = False
        self.asker: Asker | None = None
        self.since = 0.0
        """Since when nobody asks; kept by its home."""

    def ask(self, asker: Asker, data: bytes) -> None:
        self.asker, self._sensed = asker, False
        self.transport.write(data)

    def leave(self) -> None:
        """The asker wants no more of it."""
        self.asker = None
        self.transport.abort()

    def halt(self, halted: bool) -> None:
        """Stop or go on reading, while the asker can or can not take more."""
        if halted is not self._halted and not self.transport.is_closing():
            self._halted = halted
            (self.transport.pause_reading if halted else self.transport.resume_reading)()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(self._limits[1])
        self._home.arrived(self)

    def data_received(self, data: bytes) -> None:
        self._sensed = True
        if self.asker is None:
            self.transport.abort()  # it speaks though nobody asked
        elif self._body is None:
            self._read_head(self._head + data if self._head else data)
        else:
            self._read_body(self._body, self.asker, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._home.departed(self)
        if self.asker is None:
            return
        asker, self.asker = self.asker, None
        if exc is None and isinstance(self._body, UntilClose):
            asker.answer_ended()
        else:
            asker.answer_broke_off(sensed=self._sensed)

    def pause_writing(self) -> None:
        if self.asker is not None:
            self.asker.upstream_clogged(True)

    def resume_writing(self) -> None:
        if self.asker is not None:
            self.asker.upstream_clogged(False)

    def _read_head(self, data: bytes) -> None:
        while self.asker is not None and self._body is None and data:
            end = data.find(END)
            if end < 0 or end > self._limits[0]:
                return self._wait_for_head(data)
            try:
                response = parse_response(data[:end])
            except HeadError:
                return self._fail()
            self._head, data = b"", data[end + 4 :]
            if response.status >= 200:
                return self._begin(self.asker, response, data)
            self._announce(self.asker, response, data)
        return None

    def _wait_for_head(self, data: bytes) -> None:
        self._head = data
        if len(data) > self._limits[0]:
            self._fail()

    def _announce(self, asker: Asker, response: Response, rest: bytes) -> None:
        if response.status != 101:
            asker.answer_announced(response)
        elif asker.wants_socket and response.upgrade.lower() == b"websocket":
            self.asker = None
            asker.socket_opened(self, response, rest)
        else:
            self._fail()

    def _begin(self, asker: Asker, response: Response, data: bytes) -> None:
        self._reusable = response.keep_alive
        self._body = body = body_of(0 if asker.method == b"HEAD" else response.length)
        size = self._feed(body, data)
        if size is not None:
            asker.answer_began(response, body, data[:size])
            if body.done:
                self._end(asker, clean=size == len(data))

    def _read_body(self, body: Body, asker: Asker, data: bytes) -> None:
        size = self._feed(body, data)
        if size is not None:
            asker.answer_went_on(data[:size])
            if body.done:
                self._end(asker, clean=size == len(data))

    def _feed(self, body: Body, data: bytes) -> int | None:
        """How many of these bytes belong to the body; None when that can't be told, and all is over."""
        try:
            return body.feed(data)
        except BodyError:
            self._fail()
            return None

    def _end(self, asker: Asker, *, clean: bool) -> None:
        self.asker = self._body = None
        if clean and self._reusable and asker.has_asked_all and not self.transport.is_closing():
            if self._halted:
                self.halt(False)
            self._home.rested(self)
        else:
            self.transport.abort()
        asker.answer_ended()

    def _fail(self) -> None:
        """The machine speaks no HTTP that could be passed on."""
        asker, self.asker = self.asker, None
        self.transport.abort()
        if asker is not None:
            asker.answer_broke_off(sensed=True)
