"""One connection of somebody who came to the door: requests are read, brought on, and answered in order."""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import socket
import struct
from enum import Enum, auto
from typing import Protocol, cast

from fly.local import answers, hangup
from fly.local.answers import Answer
from fly.local.bodies import Body, BodyError, UntilClose, body_of
from fly.local.figures import Figures
from fly.local.hangup import Hangup, Orphans
from fly.local.heads import END, HeadError, Request, Response, parse_request
from fly.local.idle import Visit, succeeded
from fly.local.limits import Limits
from fly.local.machines import Target
from fly.local.route import Route
from fly.local.upstream import Upstream

log = logging.getLogger(__name__)

_NOBODY = Visit(0.0, 0.0)
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class House(Protocol):
    """Where visitors come in."""

    limits: Limits
    figures: Figures
    draining: bool

    def welcome(self, visitor: Visitor) -> bool:
        """Whether there is room for one more, and for one more from there."""

    def parted(self, visitor: Visitor) -> None: ...

    def unheard(self, one: Visitor, unheard: bool) -> None:
        """Whether it is not read from at the moment: it could leave, and nobody would hear of it."""

    def find(self, host: bytes) -> tuple[Route, Target] | None:
        """The machine of the app that `host` names. Wakes nothing."""

    def excuse(self, host: bytes) -> Answer:
        """What to say when there is none."""

    def stamp(self, transport: asyncio.Transport) -> bytes:
        """What the door vouches for to the machine, about everything that comes over one connection."""

    def request_id(self) -> bytes:
        """A header line with an id that no other request has."""

    def join(self, route: Route, visit: Visit, visitor: asyncio.Transport, upstream: Upstream) -> None:
        """From here on the two connections are one."""


class _Phase(Enum):
    READING = auto()
    """Waits for a request, or for the rest of its head."""
    ASKING = auto()
    """A request is held, sent, or being answered."""
    ENDING = auto()
    """All is said; what still comes is thrown away until the visitor has closed too."""


class Visitor(asyncio.Protocol):
    __slots__ = (
        "_ahead", "_answered", "_begun", "_body", "_came", "_clogged", "_deaf", "_door", "_framed",
        "_half_closed", "_id", "_keep", "_limits", "_missed", "_pace_ends", "_paced", "_pending", "_phase",
        "_repeated", "_request", "_route", "_stamp", "_status", "_time", "_turning", "_unsent", "_upstream",
        "_upstream_clogged", "_waits", "deadline", "transport", "visit",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, door: House) -> None:
        self._door = door
        self._limits = door.limits
        self._time = asyncio.get_running_loop().time
        self._phase = _Phase.READING
        self._ahead = b""
        """Read, but not yet looked at."""
        self._deaf = self._clogged = self._half_closed = self._turning = False
        self.deadline = self._unsent = math.inf
        self._forget_request()

    def _forget_request(self) -> None:
        self.visit = _NOBODY
        self._request: Request | None = None
        self._route: Route | None = None
        self._upstream: Upstream | None = None
        self._body: Body | None = None
        self._pending: list[bytes] = []
        """Of the body, until there is a connection that takes it."""
        self._answered = self._begun = self._repeated = self._missed = self._waits = (
            self._upstream_clogged
        ) = False
        self._framed = self._keep = True
        self._status, self._id = 0, b""
        self._came = 0.0
        """When it had to begin to wait; 0 when it never had to."""
        self._paced = 0
        """How much of the body came since it was last looked whether it gets on."""
        self._pace_ends = math.inf
        """When that is looked at next."""

    # What the connection tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(self._limits.buffer_bytes)
        self._stamp = self._door.stamp(self.transport)
        self.deadline = self._time() + self._limits.head_s
        if not self._door.welcome(self):
            self._reply(answers.CROWDED)

    def data_received(self, data: bytes) -> None:
        if self._phase is not _Phase.ENDING:
            self._ahead = self._ahead + data if self._ahead else data
            self._turn()

    def eof_received(self) -> bool:
        """A visitor that has asked all and closed its half may still wait for the answer."""
        if self._phase is not _Phase.ASKING or self._body is not None or not self.transport.can_write_eof():
            return False
        self._half_closed = True
        self._allow(self._limits.half_close_s)
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        self._phase = _Phase.ENDING
        self._leave()
        self._door.parted(self)

    def pause_writing(self) -> None:
        self._clogged = True
        if self._upstream is not None:
            self._upstream.halt(True)
        if self._answered:
            self._unsent = self.transport.get_write_buffer_size()
            self._allow(self._limits.pace_s)

    def resume_writing(self) -> None:
        self._clogged = False
        if self._upstream is not None:
            self._upstream.halt(False)
        if self._answered:
            self._allow(math.inf)
        self._turn()

    # Reading requests.

    def _turn(self) -> None:
        """Goes on with what has been read, as far as that is possible now."""
        if self._turning:
            return
        self._turning = True
        while self._ahead and self._step():
            pass
        self._turning = False
        if self._ahead or self._pending or self._deaf:
            self._listen()

    def _step(self) -> bool:
        """Whether something was done."""
        if self._phase is _Phase.READING:
            return not self._clogged and self._read_head()
        if self._phase is _Phase.ASKING and self._body is not None:
            return self._read_body(self._body)
        return False

    def _listen(self) -> None:
        """Stops reading while enough waits to be worked on."""
        waiting = len(self._ahead) + sum(map(len, self._pending)) if self._ahead or self._pending else 0
        deaf = self._upstream_clogged or (
            waiting > self._limits.buffer_bytes and self._phase is _Phase.ASKING
        )
        if deaf is not self._deaf and not self.transport.is_closing():
            self._deaf = deaf
            self._door.unheard(self, deaf)
            (self.transport.pause_reading if deaf else self.transport.resume_reading)()

    def _read_head(self) -> bool:
        data = self._ahead.removeprefix(b"\r\n")
        end = data.find(END)
        if end < 0 or end > self._limits.head_bytes:
            return self._wait_for_head(data)
        self._ahead = data[end + 4 :]
        try:
            self._begin(parse_request(data[:end]))
        except HeadError as error:
            self._refuse(error.status, str(error))
        return True

    def _wait_for_head(self, data: bytes) -> bool:
        if len(data) > self._limits.head_bytes:
            self._refuse(431, "the head of the request is too long")
        elif data.count(b"\n") != data.count(b"\r\n"):
            self._refuse(400, "lines have to end with CR LF")
        elif not self._begun:
            self._begun = True
            self._allow(self._limits.head_s)
        return False

    def _begin(self, request: Request) -> None:
        now = self._time()
        manner = request.manner
        self._request, self._phase, self._keep = request, _Phase.ASKING, manner.keep_alive
        self._body = None if manner.length == 0 else body_of(manner.length)
        self._door.figures.requests += 1
        if (found := self._door.find(manner.host)) is None:
            return self._reply(self._door.excuse(manner.host))
        self._route, target = found
        self.visit = Visit(now, now, now)
        self._route.seen.visits.add(self.visit)
        self._pace(now)
        self._route.admit(self, target)
        return None

    def _allow(self, seconds: float) -> None:
        """So long from now on; less to one that may be gone."""
        self.deadline = self._time() + (
            min(seconds, self._limits.half_close_s) if self._half_closed else seconds
        )

    def _pace(self, now: float) -> None:
        """From here on it has to get on."""
        self._paced, self._pace_ends = 0, now + self._limits.pace_s
        self._await_answer(now)

    def _await_answer(self, now: float) -> None:
        if self._body is None:
            self._allow(self._limits.first_byte_s)
        else:
            self._allow(min(self._limits.body_s, self._pace_ends - now))

    def _read_body(self, body: Body) -> bool:
        data = self._ahead
        try:
            size = body.feed(data)
        except BodyError as error:
            self._refuse(400, str(error))
            return True
        self._ahead = data[size:]
        if body.done:
            self._body = None
        now = self.visit.last_in = self._time()
        self._paced += size
        if not self._answered and not self._waits:
            self._await_answer(now)
        self._send(data if size == len(data) else data[:size])
        return True

    def _send(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.transport.write(data)
        else:
            self._pending.append(data)

    # On the way to the machine.

    @property
    def method(self) -> bytes:
        return self._request.manner.method if self._request else b""

    @property
    def wants_socket(self) -> bool:
        return self._request is not None and self._request.manner.websocket

    @property
    def repeatable(self) -> bool:
        return self._request is not None and self._request.manner.repeatable

    @property
    def has_asked_all(self) -> bool:
        return self._body is None

    def held(self, now: float) -> None:
        assert self._request is not None
        self._waits = True
        self._came = self._came or now
        limit_s = self._limits.page_s if self._request.manner.navigation else self._limits.hold_s
        self._allow(max(0.0, self._came + limit_s - now))

    def released(self) -> None:
        self._waits = False
        self._pace(self._time())

    def reached(self, upstream: Upstream) -> None:
        assert self._request is not None
        self._upstream = upstream
        self._id = self._door.request_id()
        head = self._request.onward(self._stamp + self._id)
        upstream.ask(self, b"".join((head, *self._pending)) if self._pending else head)
        self._pending.clear()
        if self._clogged:
            upstream.halt(True)
        if self._deaf:
            self._listen()

    def missed(self) -> None:
        """Held again, until it answers or until the time to wait is over."""
        self._missed = True
        self._came = self._came or self._time()
        if self._time() >= self._came + self._limits.hold_s:
            self.turned_away(answers.UNREACHABLE)
        else:
            self._find_again()

    def turned_away(self, answer: Answer) -> None:
        self._reply(answer)
        self._turn()

    def upstream_clogged(self, clogged: bool) -> None:
        self._upstream_clogged = clogged
        if not self._answered:
            self._paced, self._pace_ends = 0, self._time() + self._limits.pace_s
            self._allow(self._limits.first_byte_s)
        self._listen()

    def look_round(self, orphans: Orphans) -> None:
        """Looks whether it left while it was not read from; who may still wait for the answer has not."""
        left = hangup.seen(self.transport, orphans)
        if left is Hangup.NONE or (left is Hangup.HALF and self._half_closed):
            return
        if left is Hangup.HALF and self._has_sent_all():
            self._half_closed = True
            self._allow(self._limits.half_close_s)
        else:
            self._leave()
            self.transport.abort()

    def _has_sent_all(self) -> bool:
        """Whether the rest of the request's body lies ready to be read."""
        if self._body is None:
            return True
        rest = copy.copy(self._body)
        try:
            rest.feed(self._ahead + hangup.unread(self.transport))
        except (BodyError, OSError):
            return False
        return rest.done

    # The machine's answer.

    def answer_announced(self, response: Response) -> None:
        if self._request is not None and self._request.manner.minor:
            self.transport.write(response.onward(b""))

    def answer_began(self, response: Response, body: Body, data: bytes) -> None:
        self._answered, self._status = True, response.status
        self.visit.good = response.status < 400
        self._framed = not isinstance(body, UntilClose)
        self._keep = self._keep and self._framed and self._body is None and not self._is_last
        if self._came:
            self._door.figures.cold_answers.add(self._time() - self._came)
        self.visit.last_out = self._time()
        self._allow(math.inf)
        head = response.onward(self._id if self._keep else self._id + b"Connection: close\r\n")
        self.transport.write(head + data)

    def answer_went_on(self, data: bytes) -> None:
        self.visit.last_out = self._time()
        self.transport.write(data)

    def answer_ended(self) -> None:
        self._upstream = None
        self._part()
        self._turn()

    def answer_broke_off(self, *, sensed: bool) -> None:
        self._upstream = None
        self._upstream_clogged = False
        if self._answered:
            self._cut()
        elif not sensed and self.repeatable and not self._repeated:
            self._ask_again()
        else:
            self.turned_away(answers.BROKE_OFF)

    def _ask_again(self) -> None:
        assert self._request is not None
        self._repeated = True
        self._door.figures.retried += 1
        self._find_again()

    def _find_again(self) -> None:
        """To the machine that serves the app by now."""
        assert self._request is not None
        host = self._request.manner.host
        if (found := self._door.find(host)) is None:
            return self.turned_away(self._door.excuse(host))
        route, target = found
        if self._route is not None and route is not self._route:
            self._route.seen.visits.discard(self.visit)
            route.seen.visits.add(self.visit)
        self._route = route
        return route.admit(self, target)

    def _cut(self) -> None:
        """The visitor must see that the answer is incomplete, also when only its end would tell."""
        framed = self._framed
        self._leave()
        if framed:
            return self._end()
        endpoint: socket.socket = self.transport.get_extra_info("socket")
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.transport.abort()
        return None

    def socket_opened(self, upstream: Upstream, response: Response, rest: bytes) -> None:
        assert self._route is not None
        self._upstream = None
        self._status, self.visit.socket = response.status, True
        self._log_visit()
        self._door.join(self._route, self.visit, self.transport, upstream)
        if self._deaf:
            self._door.unheard(self, False)
            self.transport.resume_reading()
        agreed = response.onward(self._id + b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        self.transport.write(agreed + rest)
        if self._ahead:
            upstream.transport.write(self._ahead)
        self._door.parted(self)

    # The door's own answers, and the end.

    def _refuse(self, status: int, reason: str) -> None:
        self._door.figures.refused += 1
        self._keep = False
        self._reply(answers.refused(status, reason))

    def _reply(self, answer: Answer) -> None:
        """Says it, unless an answer is already under way: then only the end can tell."""
        if self._phase is _Phase.ENDING:
            return None
        if self._answered:
            return self._cut()
        request = self._request
        self._keep = self._keep and request is not None and self._body is None and not self._is_last
        page, bodiless = request is not None and request.manner.html, self.method == b"HEAD"
        self._status = answer.status
        self.transport.write(answer.wire(page=page, body=not bodiless, keep_alive=self._keep))
        self._part()
        return None

    @property
    def _is_last(self) -> bool:
        """No request can follow this one."""
        return self._door.draining or (self._half_closed and not self._ahead)

    def _part(self) -> None:
        """The answer is complete."""
        self._log_visit()
        keep = self._keep and self._body is None and not self._is_last
        self._leave()
        if not keep:
            return self._end()
        self._phase = _Phase.READING
        self._allow(self._limits.keep_alive_s)
        return None

    def _leave(self) -> None:
        """Whatever the request holds is let go."""
        self._close_visit()
        upstream = self._upstream
        self._forget_request()
        if upstream is not None:
            upstream.leave()

    def _log_visit(self) -> None:
        """One line for each request; those that had to wait for a machine are worth more attention."""
        level = logging.INFO if self._came else logging.DEBUG
        if self._request is None or self._route is None or not log.isEnabledFor(level):
            return
        path = self._request.target.partition(b"?")[0].decode("latin-1")
        took_ms = (self._time() - self.visit.began) * 1000
        cold = " cold" if self._came else ""
        log.log(
            level,
            "%s %s %s %s %.1f ms%s",
            self._route.machine_id,
            self.method.decode(),
            path,
            self._status,
            took_ms,
            cold,
        )

    def _close_visit(self) -> None:
        if self._route is not None:
            self._route.forget(self)
            self._route.seen.left(self.visit, success=succeeded(self._status))

    def _end(self) -> None:
        """Closes so that the visitor still gets all that was written, though it may not have been read."""
        self._leave()
        self._phase, self._ahead, self._unsent = _Phase.ENDING, b"", math.inf
        self.deadline = self._time() + self._limits.linger_s
        if self._half_closed or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self._listen()

    def expire(self, now: float) -> None:
        """The deadline is over; what that means depends on what was waited for."""
        if self._phase is _Phase.ENDING:
            self._expire_ending(now)
        elif self._phase is _Phase.READING:
            self._expire_reading()
        elif self._half_closed:
            self._expire_half_closed(now)
        elif self._answered:
            self._expire_answered(now)
        elif not self._sends_on(now):
            self._reply(self._lateness())
            self._turn()

    def _expire_ending(self, now: float) -> None:
        if not self._takes_on(now):
            self.transport.abort()

    def _expire_answered(self, now: float) -> None:
        if not self._takes_on(now):
            self._leave()
            self.transport.abort()

    def _takes_on(self, now: float) -> bool:
        """Who still takes what was written, slowly but not as good as never, may have it all."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        self.deadline = now + self._limits.pace_s
        return self._unsent > 0 and before - self._unsent >= self._limits.pace_bytes

    def _sends_on(self, now: float) -> bool:
        """Who is slow with a body, but not as good as silent, may send it all."""
        if self._body is None or self._waits or self._deaf or now < self._pace_ends:
            return False
        if self._paced < self._limits.pace_bytes or self.visit.last_in + self._limits.body_s <= now:
            return False
        self._pace(now)
        return True

    def _expire_reading(self) -> None:
        if self._ahead:
            self._keep = False
            self._reply(answers.TOO_SLOW)
        elif self.transport.get_write_buffer_size():
            self._end()
        else:
            self.transport.close()

    def _expire_half_closed(self, now: float) -> None:
        self.deadline = self.visit.last_byte + self._limits.half_close_s
        if now >= self.deadline:
            self._leave()
            self.transport.abort()

    def _lateness(self) -> Answer:
        if self._waits and self._request and self._request.manner.navigation:
            return answers.WAKING
        if self._waits:
            return answers.UNREACHABLE if self._missed else answers.TOO_SLOW_TO_WAKE
        if self._body is not None and not self._deaf:
            return answers.TOO_SLOW
        return answers.NO_ANSWER

    def drain(self) -> None:
        """The door closes: who asks nothing goes at once, who asks gets the answer."""
        if self._phase is _Phase.READING:
            self.transport.close()

    def cut(self) -> None:
        self.transport.abort()
