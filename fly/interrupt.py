"""Ctrl-C while something is made: it ends the work once, and never the undoing."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def one_interrupt() -> Iterator[Callable[[], None]]:
    """Yields what says that undoing has begun; from then on, or after the first Ctrl-C, it is not heard."""
    if threading.current_thread() is not threading.main_thread():
        yield _nothing
        return
    deaf = threading.Event()

    def strike(_signal: int, _frame: FrameType | None) -> None:
        if not deaf.is_set():
            deaf.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, strike)
    try:
        yield deaf.set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def later_interrupt() -> Iterator[None]:
    """Ctrl-C while something begins is heard once it has begun, when there is something to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = threading.Event()
    before = signal.signal(signal.SIGINT, lambda _signal, _frame: heard.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard.is_set():
        signal.raise_signal(signal.SIGINT)


def _nothing() -> None:
    pass
