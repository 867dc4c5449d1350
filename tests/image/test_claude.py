"""The `claude` on the path: the real binary, with one more word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.login import ASKS_FOR_CODE, auth_status
from tests.support.run import Run
from tests.support.shell import CTRL_C, without_escapes
from tests.support.volumes import Volume
from tests.support.wait import wait_until

QUIET = ("DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")
TELLS = re.compile(r"log|metric|telemetry|event|statsig|update|release|version", re.IGNORECASE)


def test_everything_passes_through_the_wrapper(shared_workspace: Workspace) -> None:
    """`claude` hands arguments, output and exit code through unchanged."""
    direct = shared_workspace.attempt("/opt/claude/claude", "--help")
    assert shared_workspace.attempt("claude", "--help") == direct
    strange = ("claude", "--no such option *", "two words", "", "*", "$HOME")
    wrapped = shared_workspace.attempt(*strange)
    assert wrapped == shared_workspace.attempt("/opt/claude/claude", *strange[1:])
    assert wrapped.status != 0
    assert "--no such option *" in wrapped.errors


@pytest.fixture(scope="module")
def asking(run: Run, image: str) -> Iterator[tuple[Workspace, str]]:
    """A workspace in which `claude authenticate` waits for its code, and what it has shown."""
    with closing(Workspaces(run, image)) as made:
        workspace = made.start()
        shell = workspace.shell(columns=200).settle()
        shell.type("claude authenticate")
        shell.expect(ASKS_FOR_CODE, timeout_s=40)
        yield workspace, shell.before


def test_the_wrapper_leaves_no_process_between(asking: tuple[Workspace, str]) -> None:
    """The wrapper becomes Claude, so that a signal to it reaches Claude itself."""
    workspace, _ = asking
    claudes = [one["CMD"] for one in workspace.processes() if re.search(r"/claude\b.* auth", one["CMD"])]
    assert len(claudes) == 1, claudes
    assert claudes[0].startswith("/opt/claude/claude auth login")


def test_authenticate_is_the_login(asking: tuple[Workspace, str]) -> None:
    """`claude authenticate` shows an address to log in at and asks for the code."""
    _, shown = asking
    assert re.search(r"https://\S+/oauth/authorize\?", shown)


def test_authenticate_takes_the_logins_options(shared_workspace: Workspace) -> None:
    """`claude authenticate --help` is the help of the login."""
    assert shared_workspace.run("claude", "authenticate", "--help") == shared_workspace.run(
        "claude", "auth", "login", "--help"
    )


def test_a_given_up_login_leaves_nothing(workspaces: Workspaces) -> None:
    """Ctrl-C in the middle of a login brings the prompt back, and no process of it stays."""
    workspace = workspaces.start()
    shell = workspace.shell().settle()
    shell.type("claude authenticate")
    shell.expect(ASKS_FOR_CODE, timeout_s=40)
    shell.press(CTRL_C)
    shell.finished()
    wait_until(
        lambda: not [one for one in workspace.processes() if "auth login" in one["CMD"]], "no login process"
    )
    assert auth_status(workspace)["loggedIn"] is False


def test_nobody_is_logged_in_at_first(shared_workspace: Workspace) -> None:
    """A new workspace is logged out, and Claude's folder is the one under /data."""
    status = auth_status(shared_workspace)
    assert status["loggedIn"] is False
    assert status["configDirectory"] == "/data/claude"


def test_there_is_no_wizard(workspaces: Workspaces, kept_volume: Volume, internet: Internet) -> None:
    """The first `claude` in the workspace is ready at once: no question about theme, login or trust."""
    workspace = workspaces.start(kept_volume, internet=internet)
    shell = workspace.shell(columns=120, rows=40).settle()
    shell.type("claude")
    shell.expect("❯", timeout_s=40)
    for question in ("text style", "trust", "Select login"):
        assert question not in without_escapes(shell.transcript)


def test_claude_stays_the_one_of_the_image(workspaces: Workspaces, internet: Internet) -> None:
    """In shells and for the chat Claude neither replaces itself nor tells anybody what it does."""
    workspace = workspaces.start(internet=internet)
    for_the_chat = (
        "import os, webapp.config as c, webapp.environment as e; "
        "print(*map('='.join, e.environment(c.read_config(os.environ), os.environ).items()), sep='\\n')"
    )
    for command in (("bash", "-lc", "env"), ("/opt/jarvis/venv/bin/python", "-Ic", for_the_chat)):
        assert {f"{name}=1" for name in QUIET} - set(workspace.run(*command).splitlines()) == set()
    before = len(internet.anthropic.requests())
    key = internet.anthropic.environment(by="key")["ANTHROPIC_API_KEY"]
    said = workspace.attempt("claude", "-p", "hello", environment={"ANTHROPIC_API_KEY": key})
    assert said.output.strip() == "You said: hello", said
    asked = [one.path for one in internet.anthropic.requests()[before:]]
    assert asked
    assert [path for path in asked if TELLS.search(path)] == []
