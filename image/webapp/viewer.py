"""One page that looks at a terminal: what it has drawn, and which frame it gets next."""

import asyncio
import struct
from collections import deque
from collections.abc import Callable

from webapp.history import History, Size

WINDOW = 400_000  # bytes that may be under way to a page; xterm throws away what is far beyond it
LARGEST_FRAME = 64 << 10


class Viewer:
    def __init__(self, history: History, say: Callable[[bytes], None]) -> None:
        """`say` sends a frame at once: what is under way is bounded by what the page has drawn."""
        self._history = history
        self._say = say
        self._prelude: deque[bytes] = deque()
        self._size: Size | None = None
        self._position = 0
        self._replayed_at = 0
        self._is_live = False
        self.acked = 0
        self.waited_for_since: float | None = None  # when the shell began to wait for this page
        self.wanted_size: tuple[int, int] | None = None
        self.has_all = asyncio.Event()  # the shell has ended, and the page has been told
        self.sent_away = asyncio.Event()

    def begin(self, drawn: int) -> None:
        """Sets out what the page is missing."""
        place = self._history.place_to_begin(drawn)
        if place is None:
            place, modes = self._history.place_to_begin_anew()
            # The modes stand where the bytes before the cut stood, so that positions stay true.
            before = place - len(modes)
            self._prelude.append(struct.pack(">cQ", b"r", before))
            if modes:
                self._prelude.append(struct.pack(">cQ", b"o", before) + modes)
        self._position = self.acked = place
        self._replayed_at = self._history.end

    def ack(self, drawn: int) -> None:
        if self.acked < drawn <= self._position:
            self.acked = drawn
            self.waited_for_since = None

    def show(self) -> None:
        """Sends what the page may get now."""
        while (frame := self.next_frame()) is not None:
            self._say(frame)

    @property
    def is_behind(self) -> bool:
        """The shell must not print more before this page has drawn some."""
        return self._history.end - self.acked >= WINDOW

    def next_frame(self) -> bytes | None:
        """What the page gets now; None if there is nothing, or it must draw first."""
        if self._prelude:
            return self._prelude.popleft()
        size = self._history.size_at(self._position)
        if size is not self._size:
            self._size = size
            return struct.pack(">cQHH", b"z", max(size.position, 0), size.cols, size.rows)
        if not self._is_live and self._position >= self._replayed_at:
            self._is_live = True
            return b"e"
        return self._output() or self._exit()

    def _output(self) -> bytes | None:
        begin = self._position
        until = min(self._history.same_size_until(begin), self.acked + WINDOW, begin + LARGEST_FRAME)
        if until <= begin:
            return None
        self._position = until
        return struct.pack(">cQ", b"o", begin) + self._history.ring.read(begin, until - begin)

    def _exit(self) -> bytes | None:
        code = self._history.exit_code
        if code is None or self.has_all.is_set() or self._position < self._history.end:
            return None
        self.has_all.set()
        return struct.pack(">ci", b"x", code)
