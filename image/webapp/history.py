"""What a shell has printed, at which widths, and how it ended: all that a page needs to draw its screen."""

from bisect import bisect_right
from dataclasses import dataclass

from webapp.ring import Ring

REPLAY_BYTES = 1 << 20  # a page that knows nothing gets this much, and not a slow megabyte more


@dataclass(frozen=True)
class Size:
    """How wide and high the screen is from a position on."""

    position: int
    cols: int
    rows: int


class History:
    def __init__(self, ring: Ring, cols: int, rows: int) -> None:
        self.ring = ring
        self.exit_code: int | None = None
        self._sizes = [Size(0, cols, rows)]

    @property
    def end(self) -> int:
        return self.ring.end

    @property
    def size(self) -> Size:
        return self._sizes[-1]

    def resize(self, cols: int, rows: int) -> None:
        if self._sizes[-1].position == self.end:
            self._sizes.pop()
        self._sizes.append(Size(self.end, cols, rows))
        self._forget_sizes()

    def size_at(self, position: int) -> Size:
        if self.size.position <= position:
            return self.size
        return self._sizes[max(0, self._index(position) - 1)]

    def same_size_until(self, position: int) -> int:
        """The next position at which the size changes, or the end."""
        if self.size.position <= position:
            return self.end
        return self._sizes[self._index(position)].position

    def place_to_begin(self, drawn: int) -> int | None:
        """Where a page that has drawn up to here goes on; None if it must clear its screen."""
        is_there = self.ring.start <= drawn <= self.end
        knows_nothing = drawn == 0 and self.end > REPLAY_BYTES
        return drawn if is_there and not knows_nothing else None

    def place_to_begin_anew(self) -> tuple[int, bytes]:
        """Where a cleared screen begins, and the modes that it must be in there."""
        position = self.ring.safe_position(max(self.ring.start, self.end - REPLAY_BYTES))
        return position, self.ring.modes_at(position)

    def _index(self, position: int) -> int:
        return bisect_right(self._sizes, position, key=lambda size: size.position)

    def _forget_sizes(self) -> None:
        """Those that no byte in the ring was printed at."""
        del self._sizes[: max(0, self._index(self.ring.start) - 1)]
