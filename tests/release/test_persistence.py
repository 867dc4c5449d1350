"""Story: what she has today she has tomorrow."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.login import auth_status, give_login
from tests.support.shell import Shell
from tests.support.volumes import Manifest, Volume, differences

Begin = Callable[[], Workspace]
Replace = Callable[[Workspace], Workspace]

STOPS, SUSPENDS = 50, 100
ASLEEP_S = 2.0
HER_WORK = (
    "cd /data/workspace && mkdir -p 'Letters of 2026/drafts' .hidden",
    "printf 'שלום\\n' > 'Letters of 2026/מכתב.txt'",
    "head -c 3000000 /dev/urandom > photo.jpg",
    "printf '#!/bin/sh\\necho it runs\\n' > run.sh && chmod 750 run.sh && ln -s run.sh link",
    ": > empty && chmod 400 empty",
    "git init -q project && git -C project -c user.name=L -c user.email=l@x commit -q --allow-empty -m first",
    "echo 'alias hello=\"echo hello to you\"' >> ~/.bashrc",
)


def _stopped(workspace: Workspace) -> Workspace:
    assert workspace.stop() == 0
    return workspace.start()


def _suspended(workspace: Workspace) -> Workspace:
    workspace.suspend()
    workspace.resume()
    return workspace.wait_ready()


def _cut_off(workspace: Workspace, replace: Replace) -> Workspace:
    workspace.stop("SIGKILL")
    return workspace.start()


def _replaced(workspace: Workspace, replace: Replace) -> Workspace:
    return replace(workspace)


NIGHTS: dict[str, Callable[[Workspace, Replace], Workspace]] = {
    "cut off from its power and started": _cut_off,
    "replaced by a new one on the same volume": _replaced,
}


@pytest.fixture
def replace(lilachs_workspace: Begin, workspaces: Workspaces) -> Replace:
    """Another container on the volume of the one that it removes."""

    def anew(workspace: Workspace) -> Workspace:
        workspaces.remove(workspace)
        return lilachs_workspace()

    return anew


@pytest.mark.parametrize("night", NIGHTS)
def test_a_night_changes_nothing(
    lilachs_workspace: Begin, replace: Replace, kept_volume: Volume, internet: Internet, night: str
) -> None:
    """After it was {night}, /data is the same byte for byte, she is logged in and the chat goes on."""
    workspace, before = _worked_in(lilachs_workspace(), kept_volume, internet)
    workspace = NIGHTS[night](workspace, replace)
    _assert_it_goes_on(workspace, kept_volume, before)


@pytest.mark.timeout(1800)
def test_many_nights_change_nothing(
    lilachs_workspace: Begin, kept_volume: Volume, internet: Internet
) -> None:
    """After 50 stops and 100 suspends /data is the same byte for byte, and she, chat and files go on."""
    workspace, before = _worked_in(lilachs_workspace(), kept_volume, internet)
    for _ in range(STOPS):
        workspace = _stopped(workspace)
        for _ in range(SUSPENDS // STOPS):
            workspace = _suspended(workspace)
    _assert_it_goes_on(workspace, kept_volume, before)


def _worked_in(workspace: Workspace, volume: Volume, internet: Internet) -> tuple[Workspace, Manifest]:
    """A day of hers, and what it leaves."""
    give_login(workspace, internet.anthropic)
    _work(workspace.wait_settled().shell().settle())
    before = volume.at_rest()
    assert before["workspace/photo.jpg"].kind == "file"
    return workspace, before


def _assert_it_goes_on(workspace: Workspace, volume: Volume, before: Manifest) -> None:
    """The next day."""
    assert workspace.get("/").status_code == 200
    assert differences(before, volume.at_rest()) == []
    assert auth_status(workspace)["email"] == "lilach@example.com"
    _go_on(workspace.shell().settle())


def _work(shell: Shell) -> None:
    for command in HER_WORK:
        shell.run(command)
    assert shell.run("claude -p 'the word is plum'", timeout_s=60) == "You said: the word is plum"
    shell.type("exit")
    shell.expect_end()


def _go_on(shell: Shell) -> None:
    shell.run("cd /data/workspace")
    said = shell.run("claude -p --continue '[recall]'", timeout_s=60)
    assert said == "Earlier you said: the word is plum"
    assert shell.run("./link; hello; cat Letters*/*.txt") == "it runs\nhello to you\nשלום"
    assert shell.run("git -C project --no-pager log --format=%s") == "first"


def test_a_shell_lives_through_a_suspend(lilachs_workspace: Begin) -> None:
    """A shell, its variables and what runs in it go on after a suspend as if nothing had been."""
    workspace = lilachs_workspace()
    shell = workspace.shell().settle()
    shell.run("set +m; word=plum; (sleep 1; echo done > ~/late) &")
    workspace.suspend()
    threading.Event().wait(ASLEEP_S)
    workspace.resume()
    assert shell.run("wait; echo $word; cat ~/late") == "plum\ndone"
