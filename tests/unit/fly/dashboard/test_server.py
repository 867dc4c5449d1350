"""Who gets to see the dashboard: the browser that was given the token, on this machine, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from fly.dashboard.overview import DAYS, Overview
from fly.dashboard.server import Dashboard
from fly.settings import Secret

TOKEN = "the-token-of-this-dashboard"
OPEN = ("/", "/style.css", "/page.js", "/enter.js")


def empty(trouble: str = "") -> Overview:
    nothing, unknown = (0.0,) * DAYS, (None,) * DAYS
    now = datetime.now(UTC)
    return Overview(
        now, "Platform: Fly", trouble, (), (), (), (), unknown, nothing, nothing, nothing, None
    )  # fmt: skip


def client(trouble: str = "", **headers: str) -> TestClient:
    app = Dashboard(lambda: empty(trouble), Secret(TOKEN)).app()
    return TestClient(app, base_url="http://127.0.0.1:4444", headers=headers)


def inside() -> TestClient:
    browser = client()
    assert browser.post("/enter", content=TOKEN).status_code == 204
    return browser


def test_with_the_token_there_is_the_fleet() -> None:
    browser = inside()
    assert "The fleet" in browser.get("/").text
    assert "The fleet" in browser.get("/fleet").text


def test_without_it_there_is_nothing_to_see() -> None:
    browser = client()
    assert "The fleet" not in browser.get("/").text
    assert browser.get("/fleet").status_code == 401


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "é" * 10])
def test_another_token_opens_nothing(token: str) -> None:
    browser = client()
    assert browser.post("/enter", content=token.encode()).status_code == 403
    assert browser.get("/fleet").status_code == 401


def test_what_is_far_too_long_is_not_read() -> None:
    assert client().post("/enter", content=b"x" * 100_000).status_code == 413


def test_no_script_can_read_the_cookie_and_no_other_site_sends_it() -> None:
    answer = client().post("/enter", content=TOKEN)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_two_dashboards_at_a_time_do_not_put_each_other_out() -> None:
    other = TestClient(Dashboard(empty, Secret("another")).app(), base_url="http://127.0.0.1:5555")
    cookies = [
        browser.post("/enter", content=token) for browser, token in ((client(), TOKEN), (other, "another"))
    ]
    assert len({answer.headers["set-cookie"].partition("=")[0] for answer in cookies}) == 2


@pytest.mark.parametrize(
    "host", ["attacker.example", "127.0.0.1.attacker.example:4444", "192.168.1.5:4444", ""]
)
def test_under_another_name_nobody_is_answered(host: str) -> None:
    browser = inside()
    for path in (*OPEN, "/fleet"):
        assert browser.get(path, headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:4444", "localhost:4444", "[::1]:4444", "localhost"])
def test_by_its_own_names_it_answers(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://attacker.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_from_elsewhere_gets_nothing(headers: dict[str, str]) -> None:
    browser = inside()
    assert browser.get("/fleet", headers=headers).status_code == 403
    assert browser.post("/enter", content=TOKEN, headers=headers).status_code == 403


@pytest.mark.parametrize("path", [*OPEN, "/fleet", "/nowhere"])
def test_every_answer_says_that_nothing_else_may_run_or_frame_it(path: str) -> None:
    headers = client().get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_windows_share_one_reading_of_the_platform() -> None:
    looks = []
    app = Dashboard(lambda: looks.append(1) or empty(), Secret(TOKEN)).app()  # type: ignore[func-returns-value]
    browser = TestClient(app, base_url="http://127.0.0.1:4444")
    browser.post("/enter", content=TOKEN)
    for _ in range(5):
        browser.get("/fleet")
    assert len(looks) == 1


def test_a_platform_that_cannot_be_asked_is_told_on_the_page() -> None:
    browser = client("no <answer> came")
    browser.post("/enter", content=TOKEN)
    page = browser.get("/").text
    assert "The platform cannot be asked: no &lt;answer&gt; came" in page
