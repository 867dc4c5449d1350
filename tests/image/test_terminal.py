"""The terminal that the page opens: a live shell of the workspace over a socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.containers import Workspace, Workspaces
from tests.support.shell import without_escapes
from tests.support.wait import wait_until
from tests.support.webapp import Page

GO = "/tmp/go-on"
_END = "\nend\r\n"
FLOOD_BYTES = 10_000_000
"""More than the server keeps of a terminal."""


@pytest.fixture
def terminal(shared_workspace: Workspace) -> Iterator[str]:
    """The id of a new terminal; its shell is gone after the test."""
    made = shared_workspace.ask("POST", "/api/terminals", {"cols": 100, "rows": 30})
    assert made.status_code == 201
    terminal_id = str(made.json()["id"])
    yield terminal_id
    shared_workspace.ask("DELETE", f"/api/terminals/{terminal_id}")


@contextmanager
def _opened(workspace: Workspace, terminal: str, drawn: int = 0) -> Iterator[Page]:
    with workspace.socket(f"/api/terminals/{terminal}/socket") as socket:
        yield Page(socket, drawn)


def _said(page: Page, command: str) -> str:
    """What a command prints; its end is computed, since the terminal echoes what is typed.

    It leaves the shell at its prompt: what is typed before that is shown twice.
    """
    page.output.clear()
    page.type(f"{command}; echo en''d\r")
    page.until(_END)
    shown, _, after = page.output.decode().partition(_END)
    page.output[:] = after.encode()
    page.until("$ ")
    return without_escapes(shown).partition("\n")[2]


def test_it_is_jarviss_shell_in_the_workspace(shared_workspace: Workspace, terminal: str) -> None:
    """It is jarvis's login shell in /data/workspace, in the size asked for and with the image's Claude."""
    with _opened(shared_workspace, terminal) as page:
        page.until("$ ")
        assert _said(page, "id -un; pwd; echo $USER").split() == ["jarvis", "/data/workspace", "jarvis"]
        assert _said(page, "echo $HOME $CLAUDE_CONFIG_DIR").split() == ["/data/home", "/data/claude"]
        assert _said(page, "stty size; shopt login_shell").split() == ["30", "100", "login_shell", "on"]
        assert _said(page, "claude --version").strip() == shared_workspace.run("claude", "--version").strip()


def test_it_inherits_nothing_of_the_server(shared_workspace: Workspace, terminal: str) -> None:
    """Its environment holds nothing of the server's own."""
    with _opened(shared_workspace, terminal) as page:
        page.until("$ ")
        names = {line.partition("=")[0] for line in _said(page, "env").splitlines()}
    assert {"HOME", "PATH", "TERM", "LANG"} <= names
    assert not [name for name in names if name.startswith(("JARVIS_", "USER_", "PYTHON", "FLY_"))]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_a_foreign_page_gets_no_terminal(
    shared_workspace: Workspace, terminal: str, origin: str | None
) -> None:
    """A page of the origin {origin} can neither open a terminal's socket nor make or end a terminal."""
    with (
        pytest.raises(InvalidStatus) as refused,
        shared_workspace.socket(f"/api/terminals/{terminal}/socket", origin=origin),
    ):
        pass
    assert refused.value.response.status_code == 403
    if origin is not None:
        asked = ("POST", "/api/terminals"), ("DELETE", f"/api/terminals/{terminal}")
        assert [shared_workspace.ask(*one, {}, origin=origin).status_code for one in asked] == [403, 403]


def test_it_comes_back_whole(shared_workspace: Workspace, terminal: str) -> None:
    """After the line was cut it goes on at the very byte, with nothing lost and nothing twice."""
    with _opened(shared_workspace, terminal) as page:
        page.until("$ ")
        page.type(
            f"(until [ -e {GO} ]; do sleep 0.1; done; echo; seq 1000 2000; echo al''l) & echo st''arted\r"
        )
        page.until("started\r\n")
        cut_at = page.position
    shared_workspace.run("touch", GO)
    with _opened(shared_workspace, terminal, cut_at) as page:
        page.until("all\r\n")
        assert page.resets == []
        numbers = [line for line in page.output.decode().split("\r\n") if line.isdigit()]
    assert numbers == [str(number) for number in range(1000, 2001)]


def test_a_flood_stops_at_ctrl_c(shared_workspace: Workspace, terminal: str) -> None:
    """While it prints without end Ctrl-C is answered."""
    with _opened(shared_workspace, terminal) as page:
        page.until("$ ")
        page.type("yes\r")
        while page.position < FLOOD_BYTES:
            page.step()
        page.type("\x03")
        page.output.clear()
        page.until("$ ")
        assert _said(page, "echo $((6*7))").strip() == "42"


def test_closing_it_ends_its_programs(workspaces: Workspaces) -> None:
    """Closing a terminal ends its shell and what runs in it, a waiting login too."""
    workspace = workspaces.start()
    terminal = workspace.ask("POST", "/api/terminals", {"cols": 80, "rows": 24}).json()["id"]
    with _opened(workspace, terminal) as page:
        page.until("$ ")
        page.type("sleep 1000 & claude authenticate\r")
        page.until("Paste code")
    assert workspace.ask("DELETE", f"/api/terminals/{terminal}").status_code == 204
    names = ("sleep 1000", "auth login", "bash")
    wait_until(
        lambda: not [one for one in workspace.processes() if any(name in one["CMD"] for name in names)],
        "nothing left of the terminal",
    )
