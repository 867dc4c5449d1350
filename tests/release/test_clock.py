"""Story: the machine slept for hours, and its clock has jumped."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import docker
import pytest

from tests.support.clock import Clock
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.livepage import LivePage
from tests.support.login import give_login
from tests.support.run import Run
from tests.support.signing import KEY, ask, locked_with, sign_in
from tests.support.volumes import Volume
from tests.support.wait import wait_until
from tests.support.webapp import Page

NIGHT_H = 9
"""Longer than what Claude was given at its login holds."""
ANSWER = "Tell me [tokens 200 at 10 ms]"
WORDS = [f"word{number}" for number in range(1, 201)]
TOKENS = "/v1/oauth/token"


@pytest.fixture
def clock(docker_client: docker.DockerClient, run: Run, image: str, after_containers: ExitStack) -> Clock:
    """The wall clock of a workspace."""
    clock = Clock(docker_client, run, image)
    after_containers.callback(clock.remove)
    return clock


@pytest.mark.timeout(900)
def test_a_jump_of_the_clock_breaks_nothing(
    clock: Clock, workspaces: Workspaces, kept_volume: Volume, internet: Internet
) -> None:
    """Hours later at once, in an answer and with a terminal open, and back: all goes on, and she stays in."""
    refreshes = _refreshes(internet)
    workspace = clock.start(workspaces, kept_volume, internet=internet, environment=locked_with(KEY))
    give_login(workspace, internet.anthropic)
    cookie = sign_in(workspace)
    terminal = ask(workspace, "POST", "/api/terminals", cookie).json()["id"]
    with (
        LivePage(workspace, cookie=cookie) as page,
        workspace.socket(f"/api/terminals/{terminal}/socket", cookie=cookie) as socket,
    ):
        shell = Page(socket)
        shell.until("$ ")
        page.until(lambda: page.auth.get("state") == "signed_in", "the page to know of the login")
        for hours in (NIGHT_H, 0):
            page.send(ANSWER)
            page.until(lambda: "word20 " in page.said, "the begin of the answer")
            shell.type("sleep 0.5; echo $((6*7))\r")
            clock.jump(workspace, hours)
            wait_until(partial(_is_ahead, workspace, hours), "the clock to have jumped")
            page.until(lambda: page.turn == "idle", "the end of the turn")
            assert page.said.split() == WORDS
            shell.until("42")
            shell.output.clear()
            assert page.ask(f"it is {hours}") == f"You said: it is {hours}"
            assert _refreshes(internet) - refreshes == 1, "the login ran out once"
            assert ask(workspace, "GET", "/api/boot", cookie).status_code == 200
    assert {one["outcome"] for one in page.of("end")} == {"completed"}
    assert "ERROR" not in workspace.log()


def _is_ahead(workspace: Workspace, hours: float) -> bool:
    """Whether the server's own clock is so many hours later than ours."""
    there = parsedate_to_datetime(workspace.get("/health").headers["date"])
    return abs(there - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=5)


def _refreshes(internet: Internet) -> int:
    asked: list[dict[str, Any]] = [
        one.body or {} for one in internet.anthropic.requests(TOKENS) if one.path == TOKENS
    ]
    return [body.get("grant_type") for body in asked].count("refresh_token")
