"""What a workspace holds before anybody has asked for anything, and how its page comes: reported."""

from __future__ import annotations

import re
import time

import httpx

from tests.support.containers import PLAIN, Workspace, Workspaces
from tests.support.figures import Figures, percentile
from tests.support.static import static_server
from tests.support.webapp import Page

PYTHON = "/opt/jarvis/venv/bin/python"
AT_REST_MB = 150
LOADS = 20
END_S = 5
LIVE = "/api/live"
SERVING = "starlette.applications, uvicorn, websockets"
LOADED = "import re; print(*sorted(set(re.findall(r'/\\S+[.]so\\S*', open('/proc/self/maps').read()))))"


def _libraries(workspace: Workspace, imported: str) -> set[str]:
    return set(workspace.run(PYTHON, "-Ic", f"import {imported}; {LOADED}").split())


def test_nothing_of_the_sdk_is_loaded_before_it_is_needed(workspaces: Workspaces) -> None:
    """A workspace that nobody has opened a page of has loaded nothing that only the chat needs."""
    workspace = workspaces.start()
    loaded = _libraries(workspace, "claude_agent_sdk") - _libraries(workspace, SERVING)
    chats = [library for library in loaded if "/site-packages/" in library]
    assert chats, "the Agent SDK brings no library by which it could be known"
    script = "cat /proc/$(pgrep --full ^/opt/jarvis/venv/bin/python)/maps"
    maps = workspace.run("sh", "-ec", script)
    assert [library for library in chats if library in maps] == []


def test_at_rest_it_is_small(workspaces: Workspaces, figures: Figures) -> None:
    """At rest a workspace takes less than a sixth of the smallest machine's memory."""
    workspace, static = workspaces.start(), static_server(workspaces)
    assert workspace.get("/api/boot").status_code == 200  # whole from now on: what answers first is a third
    used_mb, reference_mb = workspace.memory_mb(), static.memory_mb()
    figures.size("memory at rest", int(used_mb * 1e6))
    figures.ratio("memory at rest against a static server in the same image", used_mb / reference_mb)
    assert used_mb < AT_REST_MB, f"{used_mb:.0f} MB"


def test_the_page_comes_at_once(workspaces: Workspaces, figures: Figures) -> None:
    """The page and all that it loads at first come over one connection, each time and completely."""
    workspace, static = workspaces.start(), static_server(workspaces)
    parts = ["/", *re.findall(r"(?:src|href)=\"(/assets/[^\"]+)\"", workspace.get("/").text)]
    page_s = [_load_time(workspace, parts) for _ in range(LOADS)]
    static_s = [_load_time(static, parts) for _ in range(LOADS)]
    figures.times("first page with all that it loads", page_s)
    figures.ratio("first page against a static server", percentile(page_s, 50) / percentile(static_s, 50))
    assert len(parts) > 1


def test_it_ends_in_the_time_that_the_engine_gives_it(workspaces: Workspaces, figures: Figures) -> None:
    """SIGTERM ends it by itself within 5 s, with a page open and a stubborn program in a terminal."""
    workspace = workspaces.start()
    terminal = workspace.ask("POST", "/api/terminals", {"cols": 80, "rows": 24}).json()["id"]
    with workspace.socket(LIVE), workspace.socket(f"/api/terminals/{terminal}/socket") as socket:
        shell = Page(socket)
        shell.until("$ ")
        shell.type("trap '' TERM HUP; echo $((6*7)); sleep 1000\r")
        shell.until("42\r\n")
        began = time.perf_counter()
        workspace.container.stop(timeout=END_S)  # then the engine kills it, and the exit code says so
        figures.times("SIGTERM -> the end", [time.perf_counter() - began])
    assert workspace.wait_ended() == 0


def _load_time(workspace: Workspace, paths: list[str]) -> float:
    with httpx.Client(base_url=workspace.url, trust_env=False, verify=PLAIN) as client:
        began = time.perf_counter()
        assert {client.get(path).status_code for path in paths} == {200}
        return time.perf_counter() - began
