"""The environment of shells and of Claude Code: a short list, never the server's own."""

import os
import pwd
from collections.abc import Mapping

from webapp.config import Config

# What an operator may set for the machine and Claude needs: certificates, proxies, another API, a key for it.
FROM_THE_OPERATOR = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
    "https_proxy",
    "http_proxy",
    "no_proxy",
)

HANDED_ON = "JARVIS_HANDED_ON"
"""Names of variables of this user's own that the operator has set besides, with commas."""

# The version of Claude Code is the image's, and it calls home for nothing but answers.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_INSTALLATION_CHECKS": "1",
    "DISABLE_TELEMETRY": "1",
}


def environment(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """All variables that a shell or Claude starts with."""
    user = _user_name()
    return {
        **{name: environ[name] for name in _handed_on(environ) if environ.get(name)},
        "HOME": str(config.home),
        "PATH": f"{config.home}/.local/bin:/usr/local/bin:/usr/bin:/bin",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "SHELL": "/bin/bash",
        "USER": user,
        "LOGNAME": user,
        "CLAUDE_CONFIG_DIR": str(config.claude_config),
        **QUIET,
        **{name: environ[name] for name in FROM_THE_OPERATOR if environ.get(name)},
    }


def _handed_on(environ: Mapping[str, str]) -> list[str]:
    """Never what is the server's own, whatever the list says."""
    names = environ.get(HANDED_ON, "").split(",")
    return [name for name in names if not name.startswith(("JARVIS_", "FLY_"))]


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "jarvis"
