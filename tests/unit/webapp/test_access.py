"""Who may come in: nobody without a cookie of this workspace, and nobody any more once it is taken back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import re
import stat
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from webapp.access import Access
from webapp.app import Server
from webapp.config import read_config
from webapp.problem import Problem, answer_problem
from webapp.throttle import OF_AN_ADDRESS, OVER_ALL
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.support.webapp import NoChat, Served, serving, short_environment, workspace_config

KEY, OTHER_KEY = "the-key-of-this-workspace-0123456789", "the-key-of-another-workspace-0123456"
OPEN = {("GET", "/health"), ("GET", "/api/login"), ("POST", "/api/login")}
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"

Start = Callable[..., AbstractContextManager[Served]]


def hash_of(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def with_link(key: str = KEY) -> dict[str, str]:
    return {"JARVIS_LOGIN": "link", "JARVIS_LOGIN_HASH": hash_of(key)}


def with_a_password() -> dict[str, str]:
    hashed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("correct horse")
    return {
        "JARVIS_LOGIN": "password",
        "JARVIS_LOGIN_HASH": hashed,
        "JARVIS_LOGIN_USER": "lilach@example.com",
    }


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A server of this workspace; the second one finds what the first left."""

    @contextlib.contextmanager
    def start(folder: str = "workspace", **environ: str) -> Iterator[Served]:
        with serving(
            workspace_config(tmp_path / folder, environ=(environ or with_link())), NoChat()
        ) as served:
            yield served

    return start


@pytest.fixture
def locked(start: Start) -> Iterator[Served]:
    with start() as served:
        yield served


@pytest.fixture(scope="module")
def shared_locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(
        workspace_config(tmp_path_factory.mktemp("locked"), environ=with_link()), NoChat()
    ) as served:
        yield served


@contextlib.contextmanager
def sign_in(served: Served, key: str = KEY, **headers: str) -> Iterator[httpx.Client]:
    """A browser that has traded the key for a cookie."""
    with served.client() as client:
        answer = client.post("/api/login", json={"key": key}, headers=headers)
        assert answer.status_code == 204, answer.text
        yield client


def open_socket(served: Served, path: str, client: httpx.Client) -> ClientConnection:
    return served.connect(path, cookie=f"jarvis={client.cookies['jarvis']}")


def close_code(socket: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=60)
    return socket.close_code


# --- nothing without a cookie, generated from the server's own routes -------------------------------


def routes() -> list[BaseRoute]:
    nowhere = read_config({"JARVIS_DATA": "/nonexistent"})
    return Server(nowhere, short_environment(nowhere)).routes()


def asked() -> list[tuple[str, str]]:
    """Every method of every route, with a value for each variable of its path."""
    http = [
        (method, route.path)
        for route in routes()
        if isinstance(route, Route)
        for method in route.methods or ()
    ]
    return sorted({(method, re.sub(r"{[^}]*}", "x", path)) for method, path in http if method != "HEAD"})


def sockets() -> list[str]:
    return [re.sub(r"{[^}]*}", "x", r.path) for r in routes() if isinstance(r, WebSocketRoute)]


def test_every_route_is_one_that_these_tests_can_ask_for() -> None:
    assert all(isinstance(route, Route | WebSocketRoute) for route in routes())
    assert set(asked()) >= OPEN
    assert len(asked()) > 20


@pytest.mark.parametrize(("method", "path"), [one for one in asked() if one not in OPEN])
def test_no_route_answers_a_stranger(shared_locked: Served, method: str, path: str) -> None:
    with shared_locked.client() as client:
        answer = client.request(method, path, headers={"cookie": "jarvis=guessed; __Host-jarvis=guessed"})
        assert answer.status_code == 401
        if path.startswith("/api/"):
            assert answer.json()["error"]["code"] == "signed_out"


@pytest.mark.parametrize("path", sockets())
@pytest.mark.parametrize("cookie", ["", "jarvis=guessed", "__Host-jarvis=guessed"])
def test_no_socket_opens_to_a_stranger(shared_locked: Served, path: str, cookie: str) -> None:
    with pytest.raises(InvalidStatus) as refused, shared_locked.connect(path, cookie=cookie):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("path", ["/", "/c/anything", "/assets/page-1a2b3c4d.js", "/index.html", "/sw.js"])
def test_a_stranger_finds_the_sign_in_page_everywhere(shared_locked: Served, path: str) -> None:
    with shared_locked.client() as client:
        answer = client.get(path)
    assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store")
    assert "Sign in" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/sign-in/../assets/page-1a2b3c4d.js",
        "/sign-in/%2e%2e/assets/page-1a2b3c4d.js",
        "/sign-in/..%2fassets/page-1a2b3c4d.js",
        "//assets/page-1a2b3c4d.js",
        "/sign-in//../index.html",
        "/icon.svg/../assets/page-1a2b3c4d.js",
        "/sign-in/none.js",
        "/icon-none.png",
        "/manifest.webmanifest",
        "/health/x",
        "/health%0a",
        "/api/login/x",
        "/api/login/",
        "/API/boot",
        "/sign-in/index.html",
    ],
)
def test_no_way_around_the_gate_leads_to_a_file_of_hers(shared_locked: Served, path: str) -> None:
    with httpx.Client(trust_env=False) as client:
        answer = client.get(httpx.URL(shared_locked.url).copy_with(raw_path=path.encode()))
    assert answer.status_code in {401, 404}
    assert "export" not in answer.text
    assert "my-jarvis" not in answer.text


def test_the_health_check_is_for_everybody(shared_locked: Served) -> None:
    with shared_locked.client() as client:
        assert client.get("/health", headers={"host": "machine.internal"}).json()["status"] == "ok"


# --- in ---------------------------------------------------------------------------------------------


def test_the_key_opens(locked: Served) -> None:
    with sign_in(locked) as client:
        assert client.get("/api/boot").status_code == 200
        assert client.get("/").text.startswith("<!doctype html><title>my-jarvis</title>")
        assert client.get("/api/login").json() == {"login": "link", "signed_in": True}
        with open_socket(locked, "/api/live", client) as socket:
            assert json.loads(socket.recv(timeout=60))["type"] == "hello"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(locked: Served) -> None:
    with locked.client() as client:
        plain = client.post("/api/login", json={"key": KEY}).headers["set-cookie"]
        https = client.post("/api/login", json={"key": KEY}, headers={"x-forwarded-proto": "https"})
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(plain.split("; "))
    assert "Secure" not in plain
    assert https.headers["set-cookie"].startswith("__Host-jarvis=")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} <= set(https.headers["set-cookie"].split("; "))
    assert "Domain" not in plain + https.headers["set-cookie"]


def test_where_the_public_address_is_https_the_cookie_is_always_secure(start: Start) -> None:
    environ = {**with_link(), "JARVIS_URL": "https://lilach.example"}
    with start(**environ) as served, served.client() as client:
        sent = client.post("/api/login", json={"key": KEY}).headers["set-cookie"]
    assert sent.startswith("__Host-jarvis=")
    assert "Secure" in sent.split("; ")


def test_over_https_only_the_cookie_of_https_counts(locked: Served) -> None:
    with sign_in(locked) as client:
        answer = client.get("/api/boot", headers={"x-forwarded-proto": "https"})
    assert answer.status_code == 401


def test_signing_in_twice_makes_one_device(locked: Served) -> None:
    with sign_in(locked) as client:
        assert client.post("/api/login", json={"key": KEY}).status_code == 204
        assert len(client.get("/api/access").json()["devices"]) == 1


def test_every_visit_begins_the_cookie_anew(locked: Served) -> None:
    with sign_in(locked) as client:
        answer = client.get("/")
        assert f"jarvis={client.cookies['jarvis']}" in answer.headers["set-cookie"]
        assert "set-cookie" not in client.get("/api/boot").headers


@pytest.mark.parametrize("key", [OTHER_KEY, "", "x" * 5000, KEY.upper(), hash_of(KEY), "\ud800"])
def test_a_wrong_key_does_not(locked: Served, key: str) -> None:
    with locked.client() as client:
        answer = client.post("/api/login", content=json.dumps({"key": key}))
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "wrong_key")
        assert "set-cookie" not in answer.headers
        assert client.get("/api/boot").status_code == 401


@pytest.mark.parametrize("body", ["{}", '{"key": 1}', "[]", "{", '{"user": "x", "password": "y"}'])
def test_what_is_no_key_at_all_is_refused(locked: Served, body: str) -> None:
    with locked.client() as client:
        assert client.post("/api/login", content=body).status_code == 400


def test_another_site_cannot_sign_anybody_in(locked: Served) -> None:
    with locked.client() as client:
        answer = client.post("/api/login", json={"key": KEY}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_one_workspaces_cookie_opens_no_other(start: Start) -> None:
    with start("one") as one, start("other", **with_link(OTHER_KEY)) as other, sign_in(one) as client:
        cookie = {"cookie": f"jarvis={client.cookies['jarvis']}"}
        assert httpx.get(f"{one.url}/api/boot", headers=cookie).status_code == 200
        assert httpx.get(f"{other.url}/api/boot", headers=cookie).status_code == 401


def test_a_returning_device_needs_no_key(start: Start, tmp_path: Path) -> None:
    with start() as served, sign_in(served, **{"user-agent": CHROME}) as client:
        cookie = {"cookie": f"jarvis={client.cookies['jarvis']}"}
    with again(tmp_path, with_link()) as served:
        answer = httpx.get(f"{served.url}/api/access", headers=cookie)
    [device] = answer.json()["devices"]
    assert (device["name"], device["current"]) == ("Chrome on Windows", True)


@pytest.mark.parametrize(
    "changed",
    [with_link(OTHER_KEY), {"JARVIS_LOGIN": ""}, {"JARVIS_LOGIN": "password", "JARVIS_LOGIN_HASH": "x"}],
)
def test_another_key_signs_every_device_out(start: Start, tmp_path: Path, changed: dict[str, str]) -> None:
    with start() as served, sign_in(served) as client:
        cookie = {"cookie": f"jarvis={client.cookies['jarvis']}"}
    with again(tmp_path, changed) as served:
        assert httpx.get(f"{served.url}/api/boot", headers=cookie).status_code == 401


@contextlib.contextmanager
def again(tmp_path: Path, environ: dict[str, str]) -> Iterator[Served]:
    """A server on the same data, later."""
    config = workspace_config(tmp_path / "later", environ=environ)
    (config.app / "devices.json").write_bytes((tmp_path / "workspace/data/app/devices.json").read_bytes())
    with serving(config, NoChat()) as served:
        yield served


def test_what_is_kept_opens_nothing(locked: Served) -> None:
    with sign_in(locked) as client:
        path = locked.config.app / "devices.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        kept = path.read_text()
        assert client.cookies["jarvis"] not in kept
        assert KEY not in kept


def test_a_list_of_devices_that_cannot_be_read_keeps_nobody_out(tmp_path: Path) -> None:
    config = workspace_config(tmp_path, environ=with_link())
    (config.app / "devices.json").write_text('{"devices": [1, {"id": "d_1"}, {"since": "yesterday"}]}')
    with serving(config, NoChat()) as served, sign_in(served) as client:
        assert len(client.get("/api/access").json()["devices"]) == 1


# --- out --------------------------------------------------------------------------------------------


def test_signing_out_ends_this_device_and_its_sockets_alone(locked: Served) -> None:
    with sign_in(locked) as mine, sign_in(locked) as other:
        terminal = mine.post("/api/terminals", json={}).json()["id"]
        with (
            open_socket(locked, "/api/live", mine) as live,
            open_socket(locked, f"/api/terminals/{terminal}/socket", mine) as shell,
            open_socket(locked, "/api/live", other) as others,
        ):
            answer = mine.post("/api/access/sign-out")
            assert (answer.status_code, "jarvis" in mine.cookies) == (204, False)
            assert answer.headers["clear-site-data"] == '"storage", "cache"'
            assert (close_code(live), close_code(shell)) == (4403, 4403)
            others.send('{"type":"ping"}')
            assert "hello" in str(others.recv(timeout=60))
            assert "pong" in str(others.recv(timeout=60))
        assert mine.get("/api/boot").status_code == 401
        assert other.get("/api/boot").status_code == 200


def test_signing_out_everywhere_ends_all(locked: Served) -> None:
    with sign_in(locked) as mine, sign_in(locked) as other:
        with open_socket(locked, "/api/live", other) as socket:
            assert mine.post("/api/access/sign-out-everywhere").status_code == 204
            assert close_code(socket) == 4403
        assert other.get("/api/boot").status_code == mine.get("/api/boot").status_code == 401


def test_a_device_can_be_put_out_from_another(locked: Served) -> None:
    with sign_in(locked) as mine, sign_in(locked) as other:
        listed = mine.get("/api/access").json()["devices"]
        assert [device["current"] for device in listed] == [True, False]
        assert mine.delete(f"/api/access/devices/{listed[1]['id']}").status_code == 204
        assert other.get("/api/boot").status_code == 401
        assert mine.get("/api/boot").status_code == 200
        assert mine.delete(f"/api/access/devices/{listed[1]['id']}").status_code == 404


def test_a_cookie_that_was_taken_back_stays_dead_after_a_restart(start: Start, tmp_path: Path) -> None:
    with start() as served, sign_in(served) as client:
        cookie = {"cookie": f"jarvis={client.cookies['jarvis']}"}
        client.post("/api/access/sign-out")
    with again(tmp_path, with_link()) as served:
        assert httpx.get(f"{served.url}/api/boot", headers=cookie).status_code == 401


# --- guessing ---------------------------------------------------------------------------------------


def test_guessing_slows_down_and_the_right_key_still_opens(locked: Served) -> None:
    with locked.client() as client:
        answers = [client.post("/api/login", json={"key": f"guess-{n}"}) for n in range(10)]
    assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 4
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    with sign_in(locked):
        pass


def test_a_guesser_elsewhere_is_slowed_down_by_herself(locked: Served) -> None:
    def guess(address: str) -> int:
        with locked.client() as client:
            headers = {"fly-client-ip": address}
            return client.post("/api/login", json={"key": "guess"}, headers=headers).status_code

    assert [guess("203.0.113.7") for _ in range(7)] == [401] * 6 + [429]
    assert guess("203.0.113.8") == 401
    assert [guess(f"2001:db8::{n}") for n in range(7)] == [401] * 6 + [429], (
        "one network of IPv6 is one address"
    )


ATTACKERS = st.lists(st.integers(0, 120), min_size=1, max_size=160)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attackers=ATTACKERS)
@example(attackers=[n % 121 for n in range(160)])
@example(attackers=[7] * 40)
def test_racing_attackers_get_no_further_than_one_who_waits(tmp_path: Path, attackers: list[int]) -> None:
    """All at once, from many addresses: while one is being checked the others are counted already."""
    nobody_tried = tmp_path / uuid.uuid4().hex
    config = read_config({"JARVIS_DATA": str(nobody_tried), **with_a_password()})
    began = time.monotonic()
    answers = asyncio.run(_race(Access(config), attackers))
    span_s = time.monotonic() - began
    tried = Counter(attacker for attacker, status in answers if status == 401)
    assert {status for _, status in answers} <= {401, 429}
    assert tried.total() <= OVER_ALL.burst + math.ceil(span_s / OVER_ALL.every_s)
    assert max(tried.values()) <= OF_AN_ADDRESS.burst + math.ceil(span_s / OF_AN_ADDRESS.every_s)


async def _race(access: Access, attackers: list[int]) -> list[tuple[int, int]]:
    app = Starlette(routes=access.routes(), exception_handlers={Problem: answer_problem})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://workspace") as client:

        async def guess(attacker: int) -> tuple[int, int]:
            given = {"user": "lilach@example.com", "password": f"guess-{attacker}"}
            headers = {"fly-client-ip": f"203.0.113.{attacker}"}
            return attacker, (await client.post("/api/login", json=given, headers=headers)).status_code

        return await asyncio.gather(*map(guess, attackers))


# --- passwords, and the rest ------------------------------------------------------------------------


@pytest.fixture
def with_password(start: Start) -> Iterator[Served]:
    with start(**with_a_password()) as served:
        yield served


@pytest.mark.parametrize("user", ["lilach@example.com", " Lilach@Example.com "])
def test_name_and_password_open(with_password: Served, user: str) -> None:
    with with_password.client() as client:
        given = {"user": user, "password": "correct horse"}
        assert client.post("/api/login", json=given).status_code == 204
        assert client.get("/api/access").json()["login"] == "password"


@pytest.mark.parametrize(
    ("user", "password"),
    [("lilach@example.com", "wrong"), ("noam@example.com", "correct horse"), ("", ""), ("x", "y" * 5000)],
)
def test_a_wrong_name_or_password_does_not(with_password: Served, user: str, password: str) -> None:
    with with_password.client() as client:
        answer = client.post("/api/login", json={"user": user, "password": password})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "wrong_password")
        assert client.post("/api/login", json={"key": password}).status_code == 400


def test_guessing_is_as_slow_after_the_server_started_anew(start: Start) -> None:
    def guess(served: Served, password: str = "guess") -> int:
        given = {"user": "lilach@example.com", "password": password}
        return httpx.post(f"{served.url}/api/login", json=given).status_code

    with start(**with_a_password()) as served:
        assert [guess(served) for _ in range(6)] == [401] * 6
        kept = served.config.app / "attempts.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert "127.0.0.1" not in kept.read_text()
        counted = json.loads(kept.read_text())
    assert len(counted["paid"]) == 1
    config = served.config
    with serving(config, NoChat()) as served:
        assert guess(served, "correct horse") == 429


def test_right_passwords_are_never_slowed_down(with_password: Served) -> None:
    given = {"user": "lilach@example.com", "password": "correct horse"}
    for _ in range(8):
        assert httpx.post(f"{with_password.url}/api/login", json=given).status_code == 204


def test_without_any_way_to_sign_in_nobody_comes_in(start: Start) -> None:
    with start(JARVIS_LOGIN="") as served, served.client() as client:
        assert client.get("/api/login").json() == {"login": "closed", "signed_in": False}
        for given in ({"key": ""}, {"user": "", "password": ""}):
            answer = client.post("/api/login", json=given)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "closed")
        assert client.get("/api/boot").status_code == 401
        assert client.get("/health").status_code == 200


def test_where_no_login_was_asked_for_everybody_is_in_and_nobody_can_be_put_out(served: Served) -> None:
    with served.client() as client:
        assert client.get("/api/login").json() == {"login": "none", "signed_in": True}
        assert client.get("/api/access").json() == {"login": "none", "devices": []}
        for path in ("/api/access/sign-out", "/api/access/sign-out-everywhere"):
            answer = client.post(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_login")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "lilach.fly.dev.evil.example", "lilach.fly.dev.", "a@lilach.fly.dev", "x y", ""],
)
def test_a_foreign_host_finds_no_workspace(start: Start, host: str) -> None:
    hosts = "lilach.fly.dev, jarvis.example.com"
    with start(JARVIS_HOSTS=hosts, **with_link()) as served, sign_in(served) as client:
        for path in ("/api/boot", "/", "/sign-in/index.html", "/api/login"):
            assert client.get(path, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["lilach.fly.dev", "LILACH.fly.dev:443", "jarvis.example.com", "[::1]:3000"])
def test_each_of_its_own_names_leads_to_it(start: Start, host: str) -> None:
    hosts = "lilach.fly.dev, jarvis.example.com"
    with start(JARVIS_HOSTS=hosts, **with_link()) as served, served.client() as client:
        assert client.get("/api/login", headers={"host": host}).status_code == 200


def test_a_socket_at_a_foreign_host_stays_shut(start: Start) -> None:
    with start(JARVIS_LOGIN="none") as served:
        address = ("127.0.0.1", int(served.url.rpartition(":")[2]))
        origin = Origin("http://evil.example")
        with (
            pytest.raises(InvalidStatus) as refused,
            connect("ws://evil.example/api/live", origin=origin, proxy=None, address=address),
        ):
            pass
    assert refused.value.response.status_code == 421
