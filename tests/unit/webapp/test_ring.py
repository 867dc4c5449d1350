"""The last bytes of a shell, and where a screen can begin in them."""

from __future__ import annotations

import re
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webapp.ring import Ring

PIECES = st.sampled_from(
    [
        b"plain text", b"\n", b"\r\n", "שלום".encode(), "🙂".encode(), b"\x1b[31m", b"\x1b[1;2;3m",
        b"\x1b[?1049h",
        b"\x1b]0;a title\x07", b"\x1b]8;;https://x.org/\x1b\\link\x1b]8;;\x1b\\", b"\x1bP1$r0m\x1b\\",
        b"\x1b(B",
        b"\x1b=", b"\x1b_kitty picture\nof lines\x1b\\", b"\x1b]52;c;" + b"QUJD" * 9 + b"\x07",
        b"\x1b[3\x1b[4m",
        b"\x1b]0;cut\x18", b"\x1b7", b"\x07", b"\xff\xfe", b"\x1b[3\n1m", b"\x1b]0;cut off \x1b[m",
        b"\x1b^private\x1b\\", b"\x1bXstring\x1b\\",
    ]
)  # fmt: skip
STREAMS = st.lists(PIECES, max_size=40).map(b"".join)


def ground_positions(data: bytes) -> set[int]:
    """Where a terminal is in the middle of nothing, by a state machine that looks at each byte.

    After the states of ECMA-48 as xterm has them: C0 is obeyed inside of a control sequence; ESC, CAN and SUB
    end everything.
    """
    state, rest, positions = "ground", 0, {0}
    for at, byte in enumerate(data, 1):
        state = _next(state, byte)
        rest = rest - 1 if state == "ground" and 0x80 <= byte < 0xC0 and rest else _bytes_to_come(state, byte)
        if state == "ground" and rest == 0:
            positions.add(at)
    return positions


def _bytes_to_come(state: str, byte: int) -> int:
    if state != "ground" or byte < 0xC2:
        return 0
    return 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3 if byte < 0xF5 else 0


def _next(state: str, byte: int) -> str:
    if byte == 0x1B:
        return "string escape" if state in {"string", "title"} else "escape"
    if byte in {0x18, 0x1A}:
        return "ground"
    if state in {"escape", "string escape"}:
        if byte in b"[":
            return "control"
        if byte in b"]":
            return "title"
        if byte in b"PX^_":
            return "string"
        return "escape" if 0x20 <= byte < 0x30 else "ground"
    if state == "control":
        return "ground" if byte >= 0x40 else "control"
    if state == "title":
        return "ground" if byte == 0x07 else "title"
    return state


def filled(data: bytes, capacity: int = 1 << 16) -> Ring:
    ring = Ring(capacity)
    for begin in range(0, len(data), 1000):
        ring.append(data[begin : begin + 1000])
    return ring


@given(st.lists(st.binary(max_size=500), max_size=40))
def test_it_holds_exactly_the_last_bytes(pieces: list[bytes]) -> None:
    ring, whole = Ring(1024), b""
    for piece in pieces:
        ring.append(piece)
        whole += piece
        assert ring.end == len(whole)
        assert ring.read(ring.start, 10**9) == whole[ring.start :] == whole[-1024:]
        middle = (ring.start + ring.end) // 2
        assert ring.read(middle, 7) == whole[middle : middle + 7]


@given(STREAMS, st.integers(0, 400))
@settings(max_examples=500)
def test_a_screen_never_begins_inside_a_character_or_a_sequence(data: bytes, wanted: int) -> None:
    wanted = min(wanted, len(data))
    position = filled(data).safe_position(wanted)
    assert wanted <= position <= len(data)
    # An ESC begins something new wherever it stands; what is not finished yet is left out up to the very end.
    at_escape = data[position : position + 1] == b"\x1b"
    assert position in ground_positions(data) or at_escape or position == len(data)


def test_a_screen_begins_at_a_line_if_one_is_near() -> None:
    assert filled(b"first line\nsecond line\n").safe_position(3) == 11
    assert filled(b"x" * 9000 + b"\nnext").safe_position(3) == 3


def test_what_was_never_cut_begins_at_its_beginning() -> None:
    assert filled(b"first line\nsecond").safe_position(0) == 0


@pytest.mark.parametrize("size", [10, 100, 70_000])
def test_a_string_of_any_length_is_left_out_whole(size: int) -> None:
    picture = b"\x1b]1337;File=:" + b"A" * size + b"\x07"
    assert filled(b"before" + picture + b"after", 1 << 18).safe_position(6 + size // 2) == 6 + len(picture)


def test_modes_that_are_on_at_a_place_are_known() -> None:
    ring = filled(b"a\x1b[?1049h\x1b[?1h\x1b[?25lb\x1b[?1000;1006hc\x1b[?1000l\x1b[?25hd\x1b[?2026h")
    assert ring.modes_at(1) == b""
    assert modes(ring, b"b") == {b"1049h", b"1h", b"25l"}
    assert modes(ring, b"c") == {b"1049h", b"1h", b"25l", b"1000h", b"1006h"}
    assert modes(ring, b"d") == {b"1049h", b"1h", b"1006h"}
    assert modes(ring, b"") == {b"1049h", b"1h", b"1006h"}  # and never one that would freeze the picture


def modes(ring: Ring, before: bytes) -> set[bytes]:
    data = ring.read(ring.start, 10**9)
    position = data.index(before) if before else len(data)
    return set(re.findall(rb"\x1b\[\?([^\x1b]+)", ring.modes_at(ring.start + position)))


SWITCHES = [b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?2004h", b"\x1b[?2004l", b"\x1b[?1000;1006h", b"x" * 37]


@given(st.lists(st.sampled_from(SWITCHES), max_size=80).map(b"".join), st.integers(1, 90))
@settings(max_examples=300)
def test_modes_outlive_the_bytes_that_switched_them(data: bytes, piece: int) -> None:
    with mock.patch.multiple("webapp.ring", NOTED_EVERY=100, LARGEST_PIECE=100):
        ring = Ring(256)
        for begin in range(0, len(data), piece):
            ring.append(data[begin : begin + piece])
        for position in range(ring.start, ring.end + 1, 13):
            assert set(re.findall(rb"\?(\d+h)", ring.modes_at(position))) == on_at(data[:position])


def on_at(data: bytes) -> set[bytes]:
    """What is on at the end of these bytes, by the letter."""
    on: set[bytes] = set()
    for modes, switch in re.findall(rb"\x1b\[\?([\d;]+)([hl])", data):
        for mode in modes.split(b";"):
            on = on | {mode + b"h"} if switch == b"h" else on - {mode + b"h"}
    return on
