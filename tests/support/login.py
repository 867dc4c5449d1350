"""How a person logs Claude in: address from the terminal, code from the browser, back to the terminal."""

from __future__ import annotations

import json
from typing import Any

from tests.support.anthropic.standin import Anthropic, printed_url
from tests.support.containers import Workspace
from tests.support.shell import Shell

ASKS_FOR_CODE = r"Paste code here"
LOGIN_TIMEOUT_S = 40


def begin_login(shell: Shell) -> str:
    """Types `claude authenticate` and gives the address that it shows."""
    shell.type("claude authenticate")
    shell.expect(ASKS_FOR_CODE, timeout_s=LOGIN_TIMEOUT_S)
    return printed_url(shell.before)


def log_in(shell: Shell, anthropic: Anthropic) -> None:
    """The whole way, to "Login successful."."""
    code = anthropic.authorise(begin_login(shell))
    shell.type(code)
    status, said = shell.finished(LOGIN_TIMEOUT_S)
    assert status == 0, said
    assert "Login successful" in said, said


def auth_status(workspace: Workspace) -> dict[str, Any]:
    """What `claude auth status` says; its exit code is 1 when logged out."""
    ran = workspace.attempt("claude", "auth", "status", timeout_s=LOGIN_TIMEOUT_S)
    status: dict[str, Any] = json.loads(ran.output)
    assert ran.status == (0 if status["loggedIn"] else 1), ran
    return status
