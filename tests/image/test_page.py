"""What the server says over its one port."""

from __future__ import annotations

import re
from urllib.parse import unquote

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.containers import PERSON, PLAIN, Workspace
from tests.support.wait import wait_until

LIVE = "/api/live"
STATIC = "/opt/jarvis/app/static"


def test_health_is_ok(shared_workspace: Workspace) -> None:
    """GET /health answers 200 and that nothing is under way."""
    answer = shared_workspace.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "busy": False})


def test_the_page_is_whole(shared_workspace: Workspace) -> None:
    """The page and everything that it loads at first are there, compressed."""
    page = shared_workspace.get("/", **{"accept-encoding": "gzip"})
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    parts = re.findall(r"(?:src|href)=\"(/assets/[^\"]+)\"", page.text)
    assert parts
    for part in parts:
        answer = shared_workspace.get(part, **{"accept-encoding": "gzip, br"})
        assert answer.status_code == 200, part
        assert answer.headers.get("content-encoding") in {"br", "gzip"}, part
        assert "immutable" in answer.headers["cache-control"], part


def test_the_page_runs_only_its_own_scripts(shared_workspace: Workspace) -> None:
    """A browser lets the page run and reach nothing but its own files, and in no other page's frame."""
    policy = shared_workspace.get("/").headers["content-security-policy"]
    said = {words[0]: words[1:] for part in policy.split(";") if (words := part.split())}
    assert said["default-src"] == ["'none'"]
    assert said["frame-ancestors"] == ["'none'"]
    assert said["connect-src"] == ["'self'"]
    allowed = re.compile(r"'self'|'sha256-[\w+/]+={0,2}'")
    scripts = said["script-src"] + said.get("script-src-elem", []) + said.get("worker-src", [])
    assert [source for source in scripts if not allowed.fullmatch(source)] == []


def test_it_knows_its_person(shared_workspace: Workspace) -> None:
    """The page is told whose workspace it is, and which versions run in it."""
    boot = shared_workspace.get("/api/boot").json()
    assert boot["user"] == {"name": PERSON["USER_NAME"], "email": PERSON["USER_EMAIL"]}
    assert boot["versions"]["claude"] == shared_workspace.run("claude", "--version").split()[0]
    assert boot["workspace"] == "/data/workspace"


def test_it_comes_to_know_that_nobody_is_logged_in(shared_workspace: Workspace) -> None:
    """The page says "signed out" in a new workspace, by itself."""
    wait_until(lambda: shared_workspace.get("/api/auth").json()["state"] == "signed_out", "signed out")


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/assets/../../../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/venv/pyvenv.cfg",
    ],
)
def test_only_the_page_is_served(shared_workspace: Workspace, path: str) -> None:
    """{path} leads to nothing but the page: no address leads out of its folder."""
    shared_workspace.run("test", "-f", f"{STATIC}{unquote(path)}")
    with httpx.Client(trust_env=False, verify=PLAIN) as client:
        request = client.build_request("GET", shared_workspace.url)
        request.url = httpx.URL(shared_workspace.url).copy_with(raw_path=path.encode())
        answer = client.send(request)
    page = shared_workspace.get("/")
    assert answer.status_code in {400, 403, 404} or answer.content == page.content


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_foreign_pages_are_refused(shared_workspace: Workspace, origin: str) -> None:
    """A page of the origin {origin} can neither ask anything nor open a socket."""
    assert shared_workspace.get("/api/boot", origin=origin).status_code == 403
    with (
        pytest.raises(InvalidStatus) as refused,
        shared_workspace.socket(LIVE, origin=origin),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_a_socket_needs_an_origin(shared_workspace: Workspace) -> None:
    """A socket that names no origin is refused."""
    with pytest.raises(InvalidStatus) as refused, shared_workspace.socket(LIVE, origin=None):
        pass
    assert refused.value.response.status_code == 403
