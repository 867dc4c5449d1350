"""Nobody comes in without a key of this very container: asked of every route that its own server has."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from contextlib import closing

import httpx
import pytest
from argon2 import PasswordHasher
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.support.containers import PLAIN, REQUEST_LIMIT_S, Workspace, Workspaces
from tests.support.run import Run
from tests.support.signing import KEY, locked_with
from tests.support.volumes import Volume

GUESSES = 30
"""Far more than are free at once, should the machine be so slow that some come back meanwhile."""
OTHER_KEY = "o" * 32
OPEN = {("GET", "/health"), ("GET", "/api/login"), ("POST", "/api/login")}
ROUTES = """
import json, re
from pathlib import Path
from starlette.routing import WebSocketRoute
from webapp.app import Server
from webapp.config import read_config
config = read_config({"JARVIS_DATA": "/nonexistent"})
print(json.dumps([
    ["SOCKET" if isinstance(route, WebSocketRoute) else method, re.sub("{[^}]*}", "x", route.path)]
    for route in Server(config, {"HOME": "/"}).routes()
    for method in getattr(route, "methods", None) or ["SOCKET"]
]))
"""


def client_of(workspace: Workspace) -> httpx.Client:
    return httpx.Client(base_url=workspace.url, trust_env=False, timeout=REQUEST_LIMIT_S, verify=PLAIN)


@contextlib.contextmanager
def signed_in(workspace: Workspace, given: Mapping[str, str]) -> Iterator[httpx.Client]:
    with client_of(workspace) as client:
        answer = client.post("/api/login", json=given)
        assert answer.status_code == 204, answer.text
        yield client


def open_socket(workspace: Workspace, path: str, cookie: str = "") -> ClientConnection:
    url = workspace.url.replace("http", "ws", 1) + path
    headers = {"cookie": f"jarvis={cookie}"} if cookie else None
    return connect(
        url,
        origin=Origin(workspace.url),
        additional_headers=headers,
        proxy=None,
        open_timeout=REQUEST_LIMIT_S,
        ping_timeout=None,
    )


@pytest.fixture(scope="module")
def locked(run: Run, image: str) -> Iterator[Workspace]:
    """For tests that only try to come in, or do and leave everything as it is."""
    with closing(Workspaces(run, image)) as made:
        yield made.start(environment=locked_with(KEY))


@pytest.fixture
def own_locked(workspaces: Workspaces, kept_volume: Volume) -> Workspace:
    """For tests that use something up: its devices, its patience, its life."""
    return workspaces.start(kept_volume, environment=locked_with(KEY))


def test_no_route_of_the_server_answers_a_stranger(locked: Workspace) -> None:
    """Every route and socket that the server has, each by every method, answers a stranger with 401."""
    table = json.loads(locked.run("/opt/jarvis/venv/bin/python", "-Ic", ROUTES).splitlines()[-1])
    assert len(table) > 20
    answered = []
    with client_of(locked) as client:
        for method, path in table:
            if method == "SOCKET":
                with pytest.raises(InvalidStatus) as refused:
                    open_socket(locked, path)
                answered.append((method, path, refused.value.response.status_code))
            elif method != "HEAD" and (method, path) not in OPEN:
                answered.append((method, path, client.request(method, path).status_code))
    assert [one for one in answered if one[2] != 401] == []
    assert {"SOCKET", "GET", "POST", "DELETE", "PUT"} <= {method for method, _, _ in answered}


def test_no_file_of_the_page_is_given_to_a_stranger(locked: Workspace) -> None:
    """Of the page's files a stranger gets those of the sign-in page, and no other."""
    files = locked.run("find", "/opt/jarvis/app/static", "-type", "f", "-printf", "/%P\n").split()
    with client_of(locked) as client:
        given = {path for path in files if client.get(path).status_code == 200}
    plain = {path for path in files if not path.endswith((".br", ".gz", ".html"))}
    assert given == {
        path for path in plain if path.startswith(("/sign-in/", "/icon")) or path == "/manifest.webmanifest"
    }
    assert len(given) >= 5


def test_the_key_opens_one_container_and_no_other(locked: Workspace, workspaces: Workspaces) -> None:
    """Neither the key nor the cookie of one workspace opens another."""
    other = workspaces.start(environment=locked_with(OTHER_KEY))
    with signed_in(locked, {"key": KEY}) as client, client_of(other) as elsewhere:
        cookie = client.cookies["jarvis"]
        assert client.get("/api/boot").status_code == 200
        assert elsewhere.get("/api/boot", headers={"cookie": f"jarvis={cookie}"}).status_code == 401
        assert elsewhere.post("/api/login", json={"key": KEY}).status_code == 401
        with pytest.raises(InvalidStatus):
            open_socket(other, "/api/live", cookie)


def test_a_device_stays_in_over_a_restart_until_the_key_is_another(
    own_locked: Workspace, workspaces: Workspaces, kept_volume: Volume
) -> None:
    """A device needs its key once, whatever restarts; another key signs every device out."""
    with signed_in(own_locked, {"key": KEY}) as client:
        cookie = {"cookie": f"jarvis={client.cookies['jarvis']}"}
    own_locked.stop()
    own_locked.start()
    with client_of(own_locked) as client:
        assert client.get("/api/boot", headers=cookie).status_code == 200
    workspaces.remove(own_locked)
    renewed = workspaces.start(kept_volume, environment=locked_with(OTHER_KEY))
    with client_of(renewed) as client:
        assert client.get("/api/boot", headers=cookie).status_code == 401
        assert client.post("/api/login", json={"key": KEY}).status_code == 401
    with signed_in(renewed, {"key": OTHER_KEY}) as client:
        assert len(client.get("/api/access").json()["devices"]) == 1


def test_signing_out_everywhere_closes_what_is_open(own_locked: Workspace) -> None:
    """To sign out everywhere closes open pages and terminals at once."""
    with signed_in(own_locked, {"key": KEY}) as one, signed_in(own_locked, {"key": KEY}) as other:
        terminal = other.post("/api/terminals", json={}).json()["id"]
        cookie = other.cookies["jarvis"]
        with (
            open_socket(own_locked, "/api/live", cookie) as live,
            open_socket(own_locked, f"/api/terminals/{terminal}/socket", cookie) as shell,
        ):
            assert one.post("/api/access/sign-out-everywhere").status_code == 204
            assert (close_code(live), close_code(shell)) == (4403, 4403)


def close_code(socket: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=REQUEST_LIMIT_S)
    return socket.close_code


def test_guessing_is_slow_over_new_connections_too(own_locked: Workspace) -> None:
    """Whoever guesses keys is slowed down, and the right key opens all the same."""
    answers = (_guess(own_locked, f"guess-{number}") for number in range(GUESSES))
    refused = next((answer for answer in answers if answer.status_code == 429), None)
    assert refused is not None, f"{GUESSES} guesses, one after the other, and none was refused"
    assert int(refused.headers["retry-after"]) > 0
    with signed_in(own_locked, {"key": KEY}) as client:
        assert client.get("/api/boot").status_code == 200


def _guess(workspace: Workspace, key: str) -> httpx.Response:
    """Over a connection of its own."""
    return httpx.post(
        f"{workspace.url}/api/login",
        json={"key": key},
        trust_env=False,
        timeout=REQUEST_LIMIT_S,
        verify=PLAIN,
    )


def test_name_and_password_open(workspaces: Workspaces) -> None:
    """Where the operator chose so, a name and a password open, and nothing else does."""
    hashed = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash("ab2cd-ef3gh")
    environment = {
        "JARVIS_LOGIN": "password",
        "JARVIS_LOGIN_HASH": hashed,
        "JARVIS_LOGIN_USER": "lilach@example.com",
    }
    workspace = workspaces.start(environment=environment)
    with client_of(workspace) as client:
        wrong = client.post("/api/login", json={"user": "lilach@example.com", "password": "no"})
        assert wrong.status_code == 401
    with signed_in(workspace, {"user": "lilach@example.com", "password": "ab2cd-ef3gh"}) as client:
        assert client.get("/api/access").json()["login"] == "password"


def test_a_container_that_was_told_nothing_lets_nobody_in(workspaces: Workspaces) -> None:
    """A workspace that was told of no way to sign in lets nobody in, and its log says so."""
    workspace = workspaces.start(environment={"JARVIS_LOGIN": ""})
    assert workspace.get("/api/boot").status_code == workspace.get("/").status_code == 401
    assert workspace.get("/api/login").json()["login"] == "closed"
    assert "Nobody can sign in" in workspace.log()


def test_no_shell_can_read_what_lets_one_in(locked: Workspace) -> None:
    """Neither an environment, nor an open descriptor, nor a file shows a shell what lets people in."""
    with signed_in(locked, {"key": KEY}) as client:
        token = client.cookies["jarvis"]
        terminal = client.post("/api/terminals", json={}).json()["id"]
        with open_socket(locked, f"/api/terminals/{terminal}/socket", token) as shell:
            shell.send(b"h" + bytes(8))
            look = "cat /proc/[0-9]*/environ; timeout 2 cat /proc/[0-9]*/fd/3; cat /data/app/*; env"
            shell.send(b"i" + f"({look}; echo look''ed) 2>/dev/null\n".encode())
            seen = b""
            while b"looked" not in seen:
                frame = shell.recv(timeout=REQUEST_LIMIT_S)
                assert isinstance(frame, bytes)
                seen += frame
    hashed = locked_with(KEY)["JARVIS_LOGIN_HASH"].encode()
    assert b"USER_NAME=Lilach" in seen, "environments were read"
    assert b'"devices"' in seen, "files were read"
    for secret in (b"JARVIS_LOGIN_HASH", hashed, KEY.encode(), token.encode()):
        assert secret not in seen


def test_git_knows_her_from_the_first_commit_on(workspaces: Workspaces, kept_volume: Volume) -> None:
    """The first commit works, in her name; what she says about git herself stays."""
    workspace = workspaces.start(kept_volume)
    script = "git init -q a && cd a && git commit -q --allow-empty -m x && git log --format='%an <%ae>'"
    environment = {"HOME": "/data/home"}
    said = workspace.attempt("bash", "-c", f"cd /data/workspace && {script}", environment=environment)
    assert said.output.strip() == "Lilach <lilach@example.com>", said.errors
    workspace.run("git", "config", "--file", "/data/home/.gitconfig", "user.name", "L")
    workspaces.remove(workspace)
    later = workspaces.start(kept_volume, environment={"USER_NAME": "Noam"})
    assert later.run("git", "config", "--file", "/data/home/.gitconfig", "user.name").strip() == "L"
