"""How a person logs Claude in: address from the terminal, code from the browser, back to the terminal.

And what that leaves, for stories that begin later.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.support.anthropic.standin import Anthropic, printed_url
from tests.support.containers import Workspace
from tests.support.shell import Shell

ASKS_FOR_CODE = r"Paste code here"
LOGIN_TIMEOUT_S = 40
CREDENTIALS = "/data/claude/.credentials.json"
MONTH_S = 30 * 86_400


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


def give_login(workspace: Workspace, anthropic: Anthropic) -> None:
    """Claude is logged in there as after `log_in`, without a terminal and its second of work."""
    kept = json.dumps({"claudeAiOauth": login_of(anthropic.give_tokens())})
    workspace.put(CREDENTIALS, kept.encode(), mode=0o600, owner=1000)


def login_of(given: dict[str, Any]) -> dict[str, Any]:
    """What Claude keeps of what it is given at a login; who it is it asks for by itself."""
    now_ms = round(time.time() * 1000)
    return {
        "accessToken": given["access_token"],
        "refreshToken": given["refresh_token"],
        "expiresAt": now_ms + given["expires_in"] * 1000,
        "refreshTokenExpiresAt": now_ms + MONTH_S * 1000,
        "scopes": given["scope"].split(),
        "subscriptionType": "max",
        "rateLimitTier": "default_claude_max_5x",
        "accountUuid": given["account"]["uuid"],
        "organizationUuid": given["organization"]["uuid"],
    }


def login_in(workspace: Workspace) -> dict[str, Any]:
    """What Claude keeps there."""
    kept: dict[str, Any] = json.loads(workspace.run("cat", CREDENTIALS))["claudeAiOauth"]
    return kept


def auth_status(workspace: Workspace) -> dict[str, Any]:
    """What `claude auth status` says; its exit code is 1 when logged out."""
    ran = workspace.attempt("claude", "auth", "status", timeout_s=LOGIN_TIMEOUT_S)
    status: dict[str, Any] = json.loads(ran.output)
    assert ran.status == (0 if status["loggedIn"] else 1), ran
    return status
