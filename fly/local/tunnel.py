"""Two connections joined byte for byte, once a WebSocket was agreed on: frames are not looked at."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from fly.local import hangup
from fly.local.hangup import Hangup, Orphans
from fly.local.idle import Visit


class Tunnel:
    """Joins a visitor's connection to a machine's; what one end closes is closed at the other."""

    def __init__(
        self,
        visitor: asyncio.Transport,
        machine: asyncio.Transport,
        visit: Visit,
        ended: Callable[[Tunnel], None],
        *,
        unheard: Callable[[Tunnel, bool], None],
        half_close_s: float,
        pace_s: float,
        pace_bytes: int,
    ) -> None:
        self.visit = visit
        self.deadline = math.inf
        self._half_close_s, self._pace_s, self._pace_bytes = half_close_s, pace_s, pace_bytes
        self._unsent = 0
        """What waited for the visitor when this was last looked at, while it takes nothing more."""
        self._ended, self._told_unheard = ended, unheard
        self._ends = (_VisitorEnd(self, visitor, machine, visit), _MachineEnd(self, machine, visitor, visit))
        self._open = len(self._ends)
        self._half_open = False
        self._unheard: set[asyncio.Transport] = set()

    def join(self) -> None:
        """From here on bytes flow."""
        for end in self._ends:
            end.transport.set_protocol(end)

    def drain(self) -> None:
        """The door closes: a WebSocket would not end by itself."""
        for end in self._ends:
            end.transport.close()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    def expire(self, now: float) -> None:
        """Over once nothing moves any more where it is half closed, or next to nothing where bytes wait."""
        if self._half_open:
            self.deadline = self.visit.last_byte + self._half_close_s
        else:
            before, self._unsent = self._unsent, self._ends[0].transport.get_write_buffer_size()
            self.deadline = now + self._pace_s if before - self._unsent >= self._pace_bytes else now
        if now >= self.deadline:
            self.cut()

    def clogged(self, clogged: bool, now: float) -> None:
        """Whether so much waits for the visitor that the machine is not read from."""
        self._unsent = self._ends[0].transport.get_write_buffer_size()
        if not self._half_open:
            self.deadline = now + self._pace_s if clogged else math.inf

    def unheard(self, end: asyncio.Transport, unheard: bool) -> None:
        """Whether this end is not read from at the moment."""
        (self._unheard.add if unheard else self._unheard.discard)(end)
        self._told_unheard(self, bool(self._unheard))

    def look_round(self, orphans: Orphans) -> None:
        """Looks whether an end has gone while it was not read from."""
        left = {hangup.seen(end, orphans) for end in self._unheard}
        if Hangup.WHOLE in left:
            self.cut()
        elif Hangup.HALF in left and not self._half_open:
            self.half_closed(asyncio.get_running_loop().time())

    def half_closed(self, now: float) -> bool:
        """Whether the other half is still open."""
        first, self._half_open = not self._half_open, True
        self.deadline = now + self._half_close_s
        return first

    def lost(self) -> None:
        self._open -= 1
        if self._open:
            self.half_closed(asyncio.get_running_loop().time())
            for end in self._ends:
                end.transport.close()
        else:
            self._ended(self)


class _End(asyncio.Protocol):
    """One of the two connections; what comes over it goes to the other."""

    __slots__ = ("_halted", "_other", "_time", "_tunnel", "_visit", "_write", "transport")

    def __init__(
        self, tunnel: Tunnel, mine: asyncio.Transport, other: asyncio.Transport, visit: Visit
    ) -> None:
        self._tunnel = tunnel
        self.transport = mine
        self._other = other
        self._write = other.write
        self._visit = visit
        self._time = asyncio.get_running_loop().time
        self._halted = False

    def eof_received(self) -> bool:
        if self._other.is_closing() or not self._other.can_write_eof():
            return False
        self._other.write_eof()
        return self._tunnel.half_closed(self._time())

    def connection_lost(self, _exc: Exception | None) -> None:
        self._tunnel.lost()

    def pause_writing(self) -> None:
        if not self._halted and not self._other.is_closing():
            self._halted = True
            self._other.pause_reading()
            self._tunnel.unheard(self._other, True)

    def resume_writing(self) -> None:
        if self._halted and not self._other.is_closing():
            self._halted = False
            self._other.resume_reading()
            self._tunnel.unheard(self._other, False)


class _VisitorEnd(_End):
    __slots__ = ()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._tunnel.clogged(True, self._time())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._tunnel.clogged(False, self._time())

    def data_received(self, data: bytes) -> None:
        self._visit.last_in = self._time()
        self._write(data)


class _MachineEnd(_End):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self._visit.last_out = self._time()
        self._write(data)
