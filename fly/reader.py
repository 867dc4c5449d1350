"""Whoever reads what verbs print may leave (`| head`): work under way is ended, and nobody complains."""

import atexit
import os
import sys
from types import TracebackType
from typing import TextIO

NOBODY_READS = 128 + 13
"""What a shell shows for a program that ended by SIGPIPE."""


def end_quietly_without_a_reader() -> None:
    """For the whole program, also for what Invoke itself prints."""
    sys.excepthook = _hook
    atexit.register(_flush)


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, BrokenPipeError):
        sys.__excepthook__(kind, error, trace)
        return
    into_nothing(sys.stdout)
    os._exit(NOBODY_READS)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        into_nothing(sys.stdout)
        os._exit(NOBODY_READS)


def into_nothing(stream: TextIO) -> None:
    """What is written there from here on is lost, and no error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
