"""`claude` as a person types it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from image.context import FOLDER

BINARY = "/opt/claude/claude"


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    """The wrapper in front of a binary that tells its arguments, one a line, and its exit code."""
    binary = tmp_path / "binary"
    binary.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 7\n')
    binary.chmod(0o755)
    text = (FOLDER / "claude").read_text()
    assert text.count(BINARY) == 1
    wrapper = tmp_path / "claude"
    wrapper.write_text(text.replace(BINARY, str(binary)))
    wrapper.chmod(0o755)
    return wrapper


def told(wrapper: Path, *arguments: str) -> list[str]:
    done = subprocess.run([wrapper, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 7, "the binary's exit code is the wrapper's"
    return done.stdout.removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["authenticate"], ["auth", "login"]),
        (["authenticate", "--console"], ["auth", "login", "--console"]),
        (["authenticate", "a b", "", "*"], ["auth", "login", "a b", "", "*"]),
    ],
)
def test_authenticate_is_a_login(wrapper: Path, typed: list[str], meant: list[str]) -> None:
    assert told(wrapper, *typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        ["auth", "status"],
        ["-p", "authenticate"],
        ["authenticated"],
        ["authenticate me, please"],
        ["Authenticate"],
        ["a  b", "", "*", "$HOME", "-n", "\\t"],
    ],
)
def test_everything_else_passes_unchanged(wrapper: Path, typed: list[str]) -> None:
    assert told(wrapper, *typed) == typed


def test_without_arguments_there_are_none(wrapper: Path) -> None:
    assert told(wrapper) == [""]
