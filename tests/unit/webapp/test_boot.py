"""What a page is told first, and what it need not wait for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from webapp import __version__

from tests.support.webapp import Served

LATER = {
    "webapp.app",
    "webapp.chat",
    "webapp.terminals",
    "webapp.files.routes",
    "sqlite3",
    "zipfile",
    "websockets",
    "click",
    "multiprocessing",
}
HEAVY = {"claude_agent_sdk", "mcp", "pydantic", "jsonschema", "httpx", "anyio._backends"}


def test_a_page_is_told_all_that_it_draws(served: Served) -> None:
    with served.client() as client:
        boot = client.get("/api/boot").json()
    assert set(boot) == {"user", "auth", "settings", "versions", "workspace"}
    assert boot["user"] == {"name": "Lilach", "email": "lilach@example.com"}
    assert boot["auth"]["state"] == "checking"
    assert boot["workspace"].endswith("/data/workspace")


def test_the_versions_are_those_of_what_is_installed(shared: Served) -> None:
    import claude_agent_sdk
    from claude_agent_sdk._cli_version import __cli_version__

    with shared.client() as client:
        versions = client.get("/api/boot").json()["versions"]
    assert versions == {"app": __version__, "claude": __cli_version__, "sdk": claude_agent_sdk.__version__}


def modules_after(code: str) -> set[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "image")}
    code = (
        "import sys; from webapp.config import read_config; "
        "config = read_config({'JARVIS_DATA': '/nowhere'}); "
        f"environment = {{'HOME': '/nowhere'}}; {code}; print(*sys.modules)"
    )
    return set(
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_the_first_page_is_served_without_what_answers_later() -> None:
    loaded = modules_after(
        "from webapp.front import Front; from webapp.__main__ import uvicorn_config; "
        "app = Front(config, environment).app(); uvicorn_config(lambda: app).load()"
    )
    assert {"webapp.assets", "webapp.access", "h11"} <= loaded
    assert LATER.isdisjoint(loaded)
    assert HEAVY.isdisjoint(loaded)


def test_the_whole_server_is_there_without_what_only_a_turn_needs() -> None:
    loaded = modules_after(
        "from webapp.app import Server; Server(config, environment).app(); "
        "from webapp.boot import versions; versions()"
    )
    assert "webapp.chat" in loaded
    assert HEAVY.isdisjoint(loaded)
