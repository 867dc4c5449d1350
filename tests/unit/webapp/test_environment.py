"""What shells and Claude are given of the server's environment."""

import pytest
from webapp.config import read_config
from webapp.environment import environment

CONFIG = read_config({"JARVIS_DATA": "/data"})
ALWAYS = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "CLAUDE_CONFIG_DIR", "COLORTERM", "DISABLE_AUTOUPDATER",
    "DISABLE_INSTALLATION_CHECKS",
    "DISABLE_TELEMETRY", "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "USER",
}  # fmt: skip


def test_the_servers_own_variables_stay_with_it() -> None:
    server = {
        "JARVIS_KEY": "secret",
        "FLY_API_TOKEN": "secret",
        "PYTHONPATH": "/x",
        "PATH": "/evil",
        "USER_NAME": "x",
    }
    assert set(environment(CONFIG, server)) == ALWAYS
    assert "secret" not in "".join(environment(CONFIG, server).values())


def test_home_and_claude_lie_on_the_volume() -> None:
    given = environment(CONFIG, {})
    assert (given["HOME"], given["CLAUDE_CONFIG_DIR"]) == ("/data/home", "/data/claude")
    assert given["PATH"].split(":") == ["/data/home/.local/bin", "/usr/local/bin", "/usr/bin", "/bin"]


@pytest.mark.parametrize(
    "name", ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "no_proxy"]
)
def test_what_the_operator_sets_for_claude_is_passed_on(name: str) -> None:
    assert environment(CONFIG, {name: "value"})[name] == "value"
    assert name not in environment(CONFIG, {name: ""})


def test_variables_of_one_user_are_handed_on_and_override_nothing_of_ours() -> None:
    server = {"JARVIS_HANDED_ON": "MY_KEY,GONE,HOME,JARVIS_LOGIN_HASH", "MY_KEY": "k", "HOME": "/root"}
    given = environment(CONFIG, server | {"JARVIS_LOGIN_HASH": "sha256:x", "OTHER": "o"})
    assert set(given) == ALWAYS | {"MY_KEY"}
    assert (given["MY_KEY"], given["HOME"]) == ("k", "/data/home")
