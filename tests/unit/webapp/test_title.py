"""Titles in what a terminal prints."""

from __future__ import annotations

import pytest
from webapp.title import LONGEST, TitleListener, shown


def heard(*pieces: bytes) -> list[str]:
    listener = TitleListener()
    return [title for piece in pieces if (title := listener.heard(piece)) is not None]


@pytest.mark.parametrize(
    "data",
    [b"\x1b]0;vim\x07", b"\x1b]2;vim\x1b\\", b"text \x1b[31m\x1b]0;one\x07\x1b]2;vim\x07 more"],
)
def test_a_title_is_heard(data: bytes) -> None:
    assert heard(data) == ["vim"]


@pytest.mark.parametrize("at", range(1, 16))
def test_a_title_is_heard_wherever_it_is_cut(at: int) -> None:
    data = "x\x1b]0;naïve\x1b\\y".encode()
    assert heard(data[:at], data[at:]) == ["naïve"]


def test_what_is_no_title_is_none() -> None:
    assert (
        heard(b"\x1b]8;;http://a\x07link\x1b]8;;\x07", b"\x1b]1;icon\x07", b"plain", b"\x1b", b"[31m") == []
    )


def test_a_title_that_never_ends_is_forgotten() -> None:
    assert heard(b"\x1b]0;" + b"x" * 5000, b"\x1b]0;short\x07") == ["short"]


def test_what_could_deceive_is_left_out() -> None:
    assert shown("a\u202eb\u200bc\x00d \t\n e") == "abcd e"
    assert len(shown("x" * 500)) == LONGEST
