"""What a program calls its window (OSC 0 and 2), as text that is safe to show."""

import re

LONGEST = 60
LONGEST_SEQUENCE = 1024
_BEGINS = b"\x1b]"
_TITLE = re.compile(rb"\x1b\][02];([^\x07\x1b]*)(?:\x07|\x1b\\)")
_SPACES = re.compile(r"\s+")


class TitleListener:
    """Finds titles in a stream of bytes, wherever it is cut into pieces."""

    def __init__(self) -> None:
        self._half = b""

    def heard(self, data: bytes) -> str | None:
        """The last title that was said up to here; None if there was none in this piece."""
        if not self._half and b"\x1b" not in data:
            return None
        data = self._half + data
        found = None
        for found in _TITLE.finditer(data):  # noqa: B007 - the last one counts
            pass
        rest = data[found.end() if found else 0 :]
        begins = rest.rfind(_BEGINS)
        # An escape alone may be the first half of a beginning.
        self._half = rest[begins:] if begins >= 0 else rest[-1:] if rest.endswith(b"\x1b") else b""
        if len(self._half) > LONGEST_SEQUENCE or self._half.endswith(b"\x07"):
            self._half = b""
        return shown(found.group(1).decode("utf-8", "replace")) if found else None


def shown(text: str) -> str:
    """One line without control, format or direction characters."""
    line = _SPACES.sub(" ", text)
    return "".join(letter for letter in line if letter.isprintable()).strip()[:LONGEST]
