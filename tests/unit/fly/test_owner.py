"""Which process works on a workspace, and whether it still lives."""

import os
import subprocess
import sys
from dataclasses import replace

from fly import owner
from fly.owner import Owner


def test_this_process_is_alive_and_here() -> None:
    me = Owner.me()
    assert me.pid == os.getpid()
    assert me.is_alive
    assert not me.is_elsewhere


def test_it_comes_back_from_text_as_it_was() -> None:
    assert Owner.parse(str(Owner.me())) == Owner.me()


def test_a_process_that_has_ended_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = replace(Owner.me(), pid=child.pid, started=owner._started(child.pid))
    assert known.is_alive
    child.communicate(b"\n")
    assert not known.is_alive


def test_a_killed_process_that_nobody_has_buried_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = replace(Owner.me(), pid=child.pid, started=owner._started(child.pid))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not known.is_alive
    child.communicate()


def test_another_process_with_the_same_pid_is_not_taken_for_it() -> None:
    assert not replace(Owner.me(), started="long ago").is_alive


def test_a_process_of_another_host_is_elsewhere() -> None:
    assert replace(Owner.me(), host="another").is_elsewhere


def test_where_there_is_no_proc_ps_is_asked() -> None:
    started = owner._started_by_ps(os.getpid())
    assert started
    assert owner._started_by_ps(os.getpid()) == started
    assert owner._started_by_ps(2**22 + 1) == ""
