"""The last bytes that a shell has printed, each under its position since the shell began."""

import mmap
import re
from collections import deque

CAPACITY = 8 << 20
# Private modes that are on from the start, and those that must not outlive a cut (2026 freezes the picture).
ON_AT_FIRST = frozenset({b"7", b"25"})
NOT_RESTORED = frozenset({b"2026"})

MODE = re.compile(rb"\x1b\[\?([\d;]{1,64})([hl])")
ESCAPE = b"\x1b"
LONGEST_MODE = 68
NOTED_EVERY = 128 << 10
LARGEST_PIECE = 128 << 10
# What begins with an ESC, up to its end, to the next ESC, or to where the bytes end: a control sequence,
# a string (title, link, picture), or a short sequence.
SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[\x00-\x17\x19\x1c-\x3f]*(?:[\x18\x1a\x40-\xff]|(?=\x1b)|\Z)"
    rb"|\][^\x07\x18\x1a\x1b]*(?:[\x07\x18\x1a]|\x1b\\|(?=\x1b)|\Z)"
    rb"|[PX^_][^\x18\x1a\x1b]*(?:[\x18\x1a]|\x1b\\|(?=\x1b)|\Z)"
    rb"|[\x20-\x2f]*(?:[^\x1b\x20-\x2f]|(?=\x1b)|\Z)"
    rb")"
)
REST_OF_CHARACTER = re.compile(rb"[\x80-\xbf]{0,3}")
LINE_WITHIN = 4096


class Ring:
    """A window of fixed size on an endless stream of bytes.

    The memory is the kernel's and grows with what is written.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        # A little more than it shows, so that modes can be followed from before the start.
        self._size = capacity + NOTED_EVERY + LARGEST_PIECE + LONGEST_MODE
        self._memory = mmap.mmap(-1, self._size)
        self._modes: dict[bytes, bool] = {}
        self._escape_at = -LONGEST_MODE  # the last one
        self._modes_at: deque[tuple[int, dict[bytes, bool]]] = deque([(0, {})])  # oldest first
        self.end = 0

    @property
    def start(self) -> int:
        """The oldest position that is still there."""
        return max(0, self.end - self._capacity)

    def append(self, data: bytes) -> None:
        assert len(data) <= LARGEST_PIECE
        at = self.end % self._size
        head = data[: self._size - at]
        self._memory[at : at + len(head)] = head
        if len(head) < len(data):
            self._memory[: len(data) - len(head)] = data[len(head) :]
        escape = data.rfind(ESCAPE)
        # A sequence may come in parts: what follows closely upon an ESC may end one.
        may_set_modes = escape >= 0 or self.end - self._escape_at < LONGEST_MODE
        if escape >= 0:
            self._escape_at = self.end + escape
        self.end += len(data)
        if may_set_modes:
            self._note_modes(len(data))
        self._keep_modes()

    def read(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from this position on."""
        assert max(0, self.end - self._size) <= position <= self.end
        size = min(size, self.end - position)
        at = position % self._size
        head = self._memory[at : min(at + size, self._size)]
        return head + self._memory[: size - len(head)] if len(head) < size else head

    def safe_position(self, wanted: int) -> int:
        """The first position from `wanted` on where a screen can begin.

        That is outside of every character and every sequence, and if one is near, at the start of a line.
        """
        if wanted == 0 == self.start:
            return 0
        first = self.start
        data = self.read(first, self.end - first)
        at = _outside(data, max(0, wanted - first))
        line = data.find(b"\n", at, at + LINE_WITHIN) + 1
        return first + (line if line and _outside(data, line) == line else at)

    def modes_at(self, position: int) -> bytes:
        """What brings a fresh screen into the private modes that hold there: full screen, mouse, …"""
        noted, known = next(one for one in reversed(self._modes_at) if one[0] <= position)
        modes = dict(known)
        begin = max(0, noted - LONGEST_MODE)
        _note(modes, self.read(begin, position - begin))
        return b"".join(
            b"\x1b[?%s%s" % (mode, b"h" if is_on else b"l")
            for mode, is_on in modes.items()
            if is_on != (mode in ON_AT_FIRST) and mode not in NOT_RESTORED
        )

    def close(self) -> None:
        self._memory.close()

    def _note_modes(self, size: int) -> None:
        """Follows the modes through the newest bytes, and a few older ones: a sequence may come in parts."""
        begin = max(0, self.end - size - LONGEST_MODE)
        _note(self._modes, self.read(begin, self.end - begin))

    def _keep_modes(self) -> None:
        if self.end - self._modes_at[-1][0] >= NOTED_EVERY:
            self._modes_at.append((self.end, dict(self._modes)))
        while len(self._modes_at) > 1 and self._modes_at[1][0] <= self.start:
            self._modes_at.popleft()


def _note(modes: dict[bytes, bool], data: bytes) -> None:
    for match in MODE.finditer(data):
        for mode in match[1].split(b";"):
            modes[mode] = match[2] == b"h"


def _outside(data: bytes, at: int) -> int:
    """The first place from `at` on that is inside of no sequence and no character."""
    escape = data.rfind(b"\x1b", 0, at)
    while escape >= 0:
        sequence = SEQUENCE.match(data, escape)
        assert sequence is not None
        at = max(at, sequence.end())
        escape = data.rfind(b"\x1b", escape + 1, at)
    rest = REST_OF_CHARACTER.match(data, at)
    return rest.end() if rest else at
