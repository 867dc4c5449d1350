"""What the server is told by its environment."""

from pathlib import Path

import pytest
from webapp.config import ConfigError, read_config


def test_without_variables_it_is_the_image() -> None:
    config = read_config({})
    assert (config.data, config.port) == (Path("/data"), 3000)
    assert (config.static, config.claude) == (Path("/opt/jarvis/app/static"), Path("/opt/claude/claude"))
    assert config.workspace == Path("/data/workspace")
    assert (config.home, config.claude_config, config.app) == (
        Path("/data/home"),
        Path("/data/claude"),
        Path("/data/app"),
    )


def test_variables_say_where_and_who() -> None:
    config = read_config(
        {"JARVIS_DATA": "/x", "JARVIS_PORT": "81", "USER_NAME": " Lilach ", "USER_EMAIL": "l@x.org"}
    )
    assert (config.data, config.port, config.user_name, config.user_email) == (
        Path("/x"),
        81,
        "Lilach",
        "l@x.org",
    )


@pytest.mark.parametrize("port", ["", "http", "-1", "65536", "3000.0", "٣"])
def test_a_port_that_is_none_is_refused_by_name(port: str) -> None:
    with pytest.raises(ConfigError, match="JARVIS_PORT"):
        read_config({"JARVIS_PORT": port})
