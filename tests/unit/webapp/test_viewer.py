"""Which frame a page gets next."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from webapp.history import REPLAY_BYTES, History
from webapp.ring import Ring
from webapp.viewer import LARGEST_FRAME, WINDOW, Viewer

MEGABYTE = 1 << 20


def history(*pieces: bytes, capacity: int = 8 * MEGABYTE) -> History:
    made = History(Ring(capacity), 80, 24)
    for piece in pieces:
        for begin in range(0, len(piece), 50_000):
            made.ring.append(piece[begin : begin + 50_000])
    return made


def viewer(history: History, drawn: int = 0) -> Viewer:
    made = Viewer(history, lambda _frame: None)
    made.begin(drawn)
    return made


def frames(viewer: Viewer, acking: bool = True) -> list[tuple[str, tuple[int, ...], bytes]]:
    """All that comes now, taken apart."""
    got = []
    while (frame := viewer.next_frame()) is not None:
        kind, form = (
            frame[:1].decode(),
            {"o": ">Q", "z": ">QHH", "r": ">Q", "x": ">i", "e": ">"}[frame[:1].decode()],
        )
        size = struct.calcsize(form)
        got.append((kind, struct.unpack(form, frame[1 : 1 + size]), frame[1 + size :]))
        if kind == "o" and acking:
            viewer.ack(got[-1][1][0] + len(got[-1][2]))
    return got


def output(got: list[tuple[str, tuple[int, ...], bytes]]) -> bytes:
    return b"".join(rest for kind, _, rest in got if kind == "o")


def test_a_new_page_gets_the_size_the_output_and_then_life() -> None:
    assert frames(viewer(history(b"hello"))) == [
        ("z", (0, 80, 24), b""),
        ("o", (0,), b"hello"),
        ("e", (), b""),
    ]


def test_a_page_that_comes_back_gets_exactly_what_it_misses() -> None:
    got = frames(viewer(history(b"hello world"), drawn=5))
    assert [one for one in got if one[0] != "z"] == [("o", (5,), b" world"), ("e", (), b"")]


def test_a_page_that_has_everything_gets_nothing_twice() -> None:
    assert output(frames(viewer(history(b"hello"), drawn=5))) == b""


def test_what_is_printed_later_follows_without_a_gap() -> None:
    shown = history(b"one")
    watching = viewer(shown)
    frames(watching)
    shown.ring.append(b"two")
    assert frames(watching) == [("o", (3,), b"two")]


def test_sizes_come_where_they_held() -> None:
    shown = history(b"wide")
    shown.resize(40, 10)
    shown.ring.append(b"narrow")
    shown.resize(50, 10)
    shown.resize(60, 10)
    got = frames(viewer(shown))
    assert got == [
        ("z", (0, 80, 24), b""),
        ("o", (0,), b"wide"),
        ("z", (4, 40, 10), b""),
        ("o", (4,), b"narrow"),
        ("z", (10, 60, 10), b""),
        ("e", (), b""),
    ]


def test_a_page_that_comes_back_learns_the_size_that_holds_there() -> None:
    shown = history(b"wide")
    shown.resize(40, 10)
    shown.ring.append(b"narrow")
    assert frames(viewer(shown, drawn=6))[0] == ("z", (4, 40, 10), b"")


def test_no_more_than_the_window_is_under_way() -> None:
    watching = viewer(history(b"x" * MEGABYTE))
    assert len(output(frames(watching, acking=False))) == WINDOW
    watching.ack(100_000)
    assert len(output(frames(watching, acking=False))) == 100_000
    assert watching.is_behind


def test_an_ack_of_what_was_never_sent_opens_nothing() -> None:
    watching = viewer(history(b"x" * MEGABYTE))
    frames(watching, acking=False)
    watching.ack(10**9)
    assert frames(watching) == []


def test_frames_have_a_bounded_size() -> None:
    got = frames(viewer(history(b"x" * MEGABYTE)))
    assert max(len(rest) for kind, _, rest in got if kind == "o") <= LARGEST_FRAME


def test_a_page_that_knows_nothing_is_spared_the_oldest() -> None:
    got = frames(viewer(history(b"a line of some length\n" * 200_000)))
    kind, (position,), _ = got[0]
    assert kind == "r"
    assert REPLAY_BYTES - 4096 <= len(output(got)) <= REPLAY_BYTES
    assert output(got).startswith(b"a line of some length\n")
    assert position + len(output(got)) == 200_000 * 22


def test_a_page_that_was_away_for_long_begins_anew() -> None:
    shown = history(b"x" * 100 + b"\n" + b"line\n" * 1_000_000, capacity=4 * MEGABYTE)
    got = frames(viewer(shown, drawn=50))
    assert [kind for kind, _, _ in got[:2]] == ["r", "z"]
    assert output(got).startswith(b"line\n")


def test_a_page_that_says_nonsense_begins_anew() -> None:
    got = frames(viewer(history(b"hello"), drawn=999))
    assert got[0] == ("r", (0,), b"")
    assert output(got) == b"hello"


def test_a_cleared_screen_is_brought_into_the_right_modes_and_positions_stay_true() -> None:
    shown = history(b"\x1b[?1049h\x1b[?2004h" + b"line\n" * 1_000_000)
    got = frames(viewer(shown))
    (_, (reset,), _), (_, (first,), modes) = got[0], got[1]
    assert (reset, modes) == (first, b"\x1b[?1049h\x1b[?2004h")
    second = next(begin for kind, (begin, *_), _ in got[2:] if kind == "o")
    assert second == first + len(modes)


def test_life_begins_only_when_all_that_was_there_is_drawn() -> None:
    shown = history(b"x" * MEGABYTE)
    watching = viewer(shown)
    early = frames(watching, acking=False)
    assert "e" not in [kind for kind, _, _ in early]
    watching.ack(WINDOW)
    assert [kind for kind, _, _ in frames(watching)][-1] == "e"


def test_the_exit_code_is_the_last_frame() -> None:
    shown = history(b"bye")
    watching = viewer(shown)
    shown.exit_code = 7
    assert frames(watching)[-1] == ("x", (7,), b"")
    assert watching.has_all.is_set()
    assert frames(watching) == []


@given(
    st.lists(st.one_of(st.binary(min_size=1, max_size=300), st.tuples(st.integers(1, 9), st.integers(1, 9)))),
    st.data(),
)
def test_nothing_is_lost_or_doubled_however_often_a_page_leaves(
    pieces: list[bytes | tuple[int, int]], data: st.DataObject
) -> None:
    shown, page, whole = history(), bytearray(), bytearray()
    watching = viewer(shown)
    for piece in pieces:
        if isinstance(piece, bytes):
            shown.ring.append(piece)
            whole += piece
        else:
            shown.resize(*piece)
        if data.draw(st.booleans()):
            page += output(frames(watching))
        if data.draw(st.booleans()):
            watching = viewer(shown, drawn=len(page))
    page += output(frames(watching))
    assert page == whole
