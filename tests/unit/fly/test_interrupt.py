"""Ctrl-C ends the work once, and never the undoing."""

import signal
import threading

import pytest

from fly.interrupt import later_interrupt, one_interrupt


def strike() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_one_is_heard_and_the_second_is_not() -> None:
    with one_interrupt():
        with pytest.raises(KeyboardInterrupt):
            strike()
        strike()


def test_none_is_heard_once_the_undoing_has_begun() -> None:
    with one_interrupt() as undoing:
        undoing()
        strike()


def test_afterwards_it_is_heard_again() -> None:
    with one_interrupt() as undoing:
        undoing()
    with pytest.raises(KeyboardInterrupt):
        strike()


def begin_and_strike(begun: list[bool]) -> None:
    with later_interrupt():
        strike()
        begun.append(True)


def test_while_something_begins_it_is_heard_once_that_has_begun() -> None:
    begun: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        begin_and_strike(begun)
    assert begun == [True]


def test_something_that_begins_while_another_is_undone_hears_none() -> None:
    begun: list[bool] = []
    with one_interrupt() as undoing:
        undoing()
        begin_and_strike(begun)
    assert begun == [True]


def test_in_another_thread_there_is_nothing_to_hear() -> None:
    done: list[bool] = []

    def work() -> None:
        with one_interrupt() as undoing:
            undoing()
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert done == [True]
