"""Who may speak to the server. Each of these fails when its guard is taken away."""

from __future__ import annotations

import httpx
import pytest
from starlette.datastructures import Headers
from webapp.guard import same_origin
from websockets.exceptions import InvalidStatus

from tests.support.webapp import Served

SOCKETS = ["/api/live", "/api/terminals/t_0/socket"]


def asked(origin_needed: bool = False, **headers: str) -> bool:
    return same_origin(
        Headers({name.replace("_", "-"): value for name, value in headers.items()}), origin_needed
    )


@pytest.mark.parametrize(
    ("host", "origin", "proto"),
    [
        ("app.fly.dev", "https://app.fly.dev", "https"),  # TLS ends at the platform's proxy
        ("app.fly.dev", "https://app.fly.dev", "wss"),
        ("app.fly.dev", "https://app.fly.dev", ""),
        ("app.fly.dev:443", "https://app.fly.dev", "https"),
        ("lilach.localhost:8080", "http://lilach.localhost:8080", "http"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000", ""),
        ("[::1]:3000", "http://[::1]:3000", ""),
        ("APP.fly.dev", "https://app.fly.dev", "https"),
    ],
)
def test_the_page_itself_may_ask(host: str, origin: str, proto: str) -> None:
    assert asked(True, host=host, origin=origin, x_forwarded_proto=proto)


@pytest.mark.parametrize(
    ("host", "origin", "proto"),
    [
        ("app.fly.dev", "https://evil.example", "https"),
        ("app.fly.dev", "https://app.fly.dev.evil.example", "https"),
        ("app.fly.dev", "https://evil.example#app.fly.dev", ""),
        ("app.fly.dev", "https://app.fly.dev@evil.example", ""),
        ("app.fly.dev", "https://evil.example/app.fly.dev", ""),
        ("app.fly.dev", "https://evil.example@app.fly.dev", ""),
        ("evil@app.fly.dev", "https://app.fly.dev", ""),
        ("app.fly.dev", "https://app.fly.dev:8443", "https"),
        ("app.fly.dev", "http://app.fly.dev", "https"),  # the same host, read in clear by anybody on the way
        ("app.fly.dev", "https://app.fly.dev.", "https"),
        ("app.fly.dev.", "https://app.fly.dev", "https"),
        ("app.fly.dev", "null", "https"),
        ("app.fly.dev", "file://", ""),
        ("app.fly.dev", "", ""),
        ("app.fly.dev", "https://", ""),
        ("app.fly.dev", "https://[app.fly.dev", ""),
        ("app.fly.dev", "https://app.fly.dev:https", ""),
        ("lilach.localhost:8080", "http://noam.localhost:8080", "http"),
        ("evil.example/@app.fly.dev", "https://app.fly.dev", ""),
        ("", "https://app.fly.dev", ""),
    ],
)
def test_any_other_origin_may_not(host: str, origin: str, proto: str) -> None:
    assert not asked(False, host=host, origin=origin, x_forwarded_proto=proto)


def test_without_an_origin_only_sockets_are_refused() -> None:
    assert asked(False, host="app.fly.dev")
    assert not asked(True, host="app.fly.dev")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_says_that_the_page_is_foreign_is_believed(site: str) -> None:
    assert not asked(False, host="app.fly.dev", sec_fetch_site=site)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_browser_on_our_own_page_is_let_in(site: str) -> None:
    assert asked(False, host="app.fly.dev", sec_fetch_site=site)


@pytest.mark.parametrize("name", [b"host", b"origin"])
def test_two_headers_where_one_belongs_are_refused(name: bytes) -> None:
    raw = [(b"host", b"app.fly.dev"), (b"origin", b"https://app.fly.dev")]
    assert same_origin(Headers(raw=raw), origin_needed=True)
    assert not same_origin(Headers(raw=[*raw, *(one for one in raw if one[0] == name)]), origin_needed=True)


def test_a_foreign_page_cannot_post(shared: Served) -> None:
    with shared.client() as client:
        answer = client.post("/api/terminals", json={}, headers={"origin": "https://evil.example"})
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "foreign_origin"
        assert client.get("/api/terminals").json() == {"terminals": []}
        assert (
            client.post("/api/terminals", headers={"origin": shared.url}, json={"cols": 0}).status_code == 400
        )


def test_a_host_that_is_not_the_origins_cannot_post(shared: Served) -> None:
    with shared.client() as client:
        answer = client.post("/api/terminals", headers={"host": "localhost", "origin": shared.url})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_a_foreign_page_gets_no_socket(shared: Served, path: str, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused, shared.connect(path, origin):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/health", "/", "/assets/page-1a2b3c4d.js"])
def test_the_page_and_the_health_check_are_open(shared: Served, path: str) -> None:
    with shared.client() as client:
        assert (
            client.get(path, headers={"origin": "https://elsewhere.example", "host": "10.0.0.7"}).status_code
            == 200
        )


@pytest.mark.parametrize("path", ["/", "/health", "/api/boot", "/api/nothing", "/assets/none.js"])
def test_every_answer_tells_the_browser_what_it_may_do(shared: Served, path: str) -> None:
    with shared.client() as client:
        headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_refusals_have_the_headers_too(shared: Served) -> None:
    with shared.client() as client:
        refused = client.post("/api/terminals", headers={"origin": "https://evil.example"})
        too_large = client.put("/api/settings", content=b" " * (2 << 20))
    for answer in (refused, too_large):
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (refused.status_code, too_large.status_code) == (403, 413)


def test_answers_of_the_api_are_never_kept(shared: Served) -> None:
    with shared.client() as client:
        assert client.get("/api/boot").headers["cache-control"] == "no-store"


def test_https_is_demanded_where_https_is_spoken(shared: Served) -> None:
    with shared.client() as client:
        assert "strict-transport-security" not in client.get("/").headers
        assert "max-age" in _asked_by_https(client)["strict-transport-security"]


def _asked_by_https(client: httpx.Client) -> httpx.Headers:
    return client.get("/", headers={"x-forwarded-proto": "https"}).headers
