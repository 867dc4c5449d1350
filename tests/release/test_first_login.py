"""Story: the first login, with the real Claude and a stand-in of its makers' servers."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.livepage import LivePage
from tests.support.login import ASKS_FOR_CODE, auth_status, begin_login, log_in, login_in, login_of
from tests.support.shell import CTRL_C
from tests.support.signing import KEY, ask, locked_with, sign_in
from tests.support.volumes import Volume
from tests.support.wait import wait_until
from tests.support.webapp import Page

Begin = Callable[[], Workspace]
EMAIL = "lilach@example.com"
TOKEN_PATH = "/v1/oauth/token"
GAP = r"(?: |\x1b\[\d*[CG])+"
ANSWER = GAP.join(("You", "said:", "good", "morning"))
"""A full-screen program moves the cursor where it could write a space."""
REFUSAL = re.compile(r"wasn't accepted|failed|invalid", re.IGNORECASE)


@pytest.mark.parametrize("columns", [80, 200])
def test_she_logs_in_and_claude_answers(lilachs_workspace: Begin, internet: Internet, columns: int) -> None:
    """On a terminal of {columns} columns she logs in, Claude knows her and answers her."""
    workspace = lilachs_workspace()
    assert auth_status(workspace)["loggedIn"] is False
    shell = workspace.shell(columns=columns).settle()
    log_in(shell, internet.anthropic)
    status = auth_status(workspace)
    known = status["loggedIn"], status.get("email"), status.get("authMethod")
    assert known == (True, EMAIL, "claude.ai")
    other_stories_begin_with = login_of(internet.anthropic.give_tokens())
    assert other_stories_begin_with.keys() <= login_in(workspace).keys()
    assert shell.run("claude -p 'good morning'", timeout_s=60) == "You said: good morning"
    _assert_page_knows(workspace, "signed_in")


def test_she_talks_with_claude_in_the_terminal(lilachs_workspace: Begin, internet: Internet) -> None:
    """She types `claude`, asks on its own screen, is answered there, and /exit brings her back."""
    shell = lilachs_workspace().shell(columns=120, rows=40).settle()
    log_in(shell, internet.anthropic)
    shell.type("claude")
    shell.expect("❯", timeout_s=40)
    shell.press("good morning")
    shell.expect("morning")
    shell.type("")
    shell.expect(ANSWER, timeout_s=40)
    shell.press("/exit")
    shell.expect("/exit")
    shell.type("")
    assert shell.finished()[0] == 0


def _assert_page_knows(workspace: Workspace, state: str) -> None:
    wait_until(lambda: workspace.get("/api/auth").json()["state"] == state, f"the page to know: {state}")


def test_wrong_codes_are_refused(lilachs_workspace: Begin, internet: Internet) -> None:
    """Half a code and a wrong code are refused in words; then the right one works."""
    workspace = lilachs_workspace()
    shell = workspace.shell().settle()
    right = internet.anthropic.authorise(begin_login(shell))
    half, _, state = right.partition("#")
    shell.type(half)
    shell.expect(r"full code")
    shell.expect(ASKS_FOR_CODE)
    shell.type(f"code-that-is-wrong#{state}")
    status, said = shell.finished(40)
    assert status != 0
    assert REFUSAL.search(said), said
    assert auth_status(workspace)["loggedIn"] is False
    log_in(shell, internet.anthropic)
    assert auth_status(workspace)["email"] == EMAIL


def test_a_code_holds_once(lilachs_workspace: Begin, internet: Internet) -> None:
    """A code of an earlier, given up login is refused."""
    workspace = lilachs_workspace()
    shell = workspace.shell().settle()
    code = internet.anthropic.authorise(begin_login(shell))
    shell.press(CTRL_C)
    shell.finished()
    begin_login(shell)
    shell.type(code)
    status, _ = shell.finished(40)
    assert status != 0
    assert auth_status(workspace)["loggedIn"] is False


def test_she_logs_in_twice(lilachs_workspace: Begin, internet: Internet) -> None:
    """Logging in again while logged in works."""
    workspace = lilachs_workspace()
    shell = workspace.shell().settle()
    log_in(shell, internet.anthropic)
    log_in(shell, internet.anthropic)
    assert auth_status(workspace)["email"] == EMAIL


def test_she_logs_out(lilachs_workspace: Begin, internet: Internet) -> None:
    """After a logout nobody is logged in, the credentials are gone and Claude answers no more."""
    workspace = lilachs_workspace()
    shell = workspace.shell().settle()
    log_in(shell, internet.anthropic)
    shell.run("claude auth logout")
    assert auth_status(workspace)["loggedIn"] is False
    assert (
        workspace.run("sh", "-c", "cat /data/claude/.credentials.json 2>/dev/null || true").count("sk-ant")
        == 0
    )
    status, said = shell.attempt("claude -p 'still there?'", timeout_s=60)
    assert status != 0
    assert "login" in said.lower()
    _assert_page_knows(workspace, "signed_out")


def test_an_expired_login_is_renewed(lilachs_workspace: Begin, internet: Internet) -> None:
    """When the access has expired Claude renews it by itself and answers."""
    workspace = lilachs_workspace()
    shell = workspace.shell().settle()
    log_in(shell, internet.anthropic)
    internet.anthropic.expire_tokens()
    assert shell.run("claude -p 'hello again'", timeout_s=60) == "You said: hello again"
    asked = [one.body for one in internet.anthropic.requests(TOKEN_PATH) if one.path == TOKEN_PATH]
    assert asked[-1]["grant_type"] == "refresh_token"


def test_an_api_key_is_the_other_way(lilachs_workspace: Begin, internet: Internet) -> None:
    """With an API key in the environment Claude answers without any login."""
    workspace = lilachs_workspace()
    shell = workspace.shell().settle()
    key = internet.anthropic.environment(by="key")["ANTHROPIC_API_KEY"]
    shell.run(f"export ANTHROPIC_API_KEY={key}")
    assert shell.run("claude -p 'by key'", timeout_s=60) == "You said: by key"


def test_no_secret_reaches_the_log(workspaces: Workspaces, kept_volume: Volume, internet: Internet) -> None:
    """A day with her link, terminal, login, chat and logout leaves no secret and no complaint in the log."""
    workspace = workspaces.start(kept_volume, internet=internet, environment=locked_with(KEY))
    shell = workspace.shell().settle()
    cookie = sign_in(workspace)
    terminal = f"/api/terminals/{ask(workspace, 'POST', '/api/terminals', cookie).json()['id']}/socket"
    with LivePage(workspace, cookie=cookie) as page, workspace.socket(terminal, cookie=cookie) as socket:
        Page(socket).until("$ ")
        log_in(shell, internet.anthropic)
        page.until(lambda: page.auth.get("state") == "signed_in", "the page to know")
        assert page.ask("hello") == "You said: hello"
        shell.run("claude auth logout")
        page.until(lambda: page.auth.get("state") == "signed_out", "the page to know")
    workspace.stop()
    for secret in (KEY, cookie.partition("=")[2], "sk-ant", "code-"):
        assert secret not in workspace.log()
    assert workspace.complaints() == []
