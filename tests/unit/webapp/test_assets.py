"""The page and its files."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import socket
from urllib.parse import urlsplit

import pytest
from webapp.config import Config

from tests.support.webapp import Served

SCRIPT = "/assets/page-1a2b3c4d.js"


def raw(served: Served, request: str) -> bytes:
    """An answer to a request that no decent client would send."""
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("path", ["/", "/settings", "/c/1c0e6a5e-0000-4000-8000-000000000000", "/index.html"])
def test_every_address_of_the_page_is_the_page(shared: Served, path: str) -> None:
    with shared.client() as client:
        answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "my-jarvis" in answer.text
    assert answer.headers["cache-control"] == "no-cache"


def test_hashed_files_are_kept_for_ever(shared: Served) -> None:
    with shared.client() as client:
        answer = client.get(SCRIPT)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", None), ("", None)],
)
def test_files_come_as_the_build_has_compressed_them(
    served: Served, config: Config, accepted: str, encoding: str | None
) -> None:
    script = config.static / SCRIPT[1:]
    bodies = {"br": b"made by brotli", "gzip": gzip.compress(b"made by gzip"), None: script.read_bytes()}
    script.with_name(script.name + ".br").write_bytes(b"made by brotli")
    script.with_name(script.name + ".gz").write_bytes(bodies["gzip"])
    with (
        served.client() as client,
        client.stream("GET", SCRIPT, headers={"accept-encoding": accepted}) as answer,
    ):
        assert answer.headers.get("content-encoding") == encoding
        assert answer.headers["vary"] == "accept-encoding"
        assert b"".join(answer.iter_raw()) == bodies[encoding]


def test_what_has_not_changed_is_not_sent_again(shared: Served) -> None:
    with shared.client() as client:
        first = client.get("/")
        again = client.get("/", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


def test_a_new_page_of_the_same_size_and_date_is_sent(served: Served, config: Config) -> None:
    """Images bear the same dates in every file, and hashes in names have the same length."""
    index = config.static / "index.html"
    date = index.stat().st_mtime_ns
    with served.client() as client:
        etag = client.get("/").headers["etag"]
        index.with_name("new").write_text(index.read_text().replace("my-jarvis", "my-second"))
        os.utime(index.with_name("new"), ns=(date, date))
        index.with_name("new").replace(index)
        answer = client.get("/", headers={"if-none-match": etag})
    assert (answer.status_code, "my-second" in answer.text) == (200, True)


def test_head_is_get_without_the_body(shared: Served) -> None:
    with shared.client() as client:
        got, head = client.get("/"), client.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["etag"] == got.headers["etag"]


def test_inline_parts_are_allowed_by_their_hash_alone(served: Served, config: Config) -> None:
    (config.static / "index.html").write_text(
        "<style>p{color:red}</style><script>go()</script><script src='/x.js'></script>"
    )
    with served.client() as client:
        policy = client.get("/").headers["content-security-policy"]
    for part in (b"p{color:red}", b"go()"):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(part).digest()).decode()}'" in policy
    assert policy.count("sha256-") == 2
    assert "unsafe" not in policy


def test_a_page_that_is_not_built_is_said(served: Served, config: Config) -> None:
    (config.static / "index.html").unlink()
    with served.client() as client:
        answer = client.get("/")
    assert (answer.status_code, "page not built" in answer.text) == (500, True)


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api", "/api/terminals/t_0/nothing", "/assets/none-1a2b.js"]
)
def test_what_is_not_there_is_said_in_json(shared: Served, path: str) -> None:
    with shared.client() as client:
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/nothing", 404),
        ("PUT", "/api/terminals", 405),
        ("POST", "/", 405),
        ("DELETE", SCRIPT, 405),
    ],
)
def test_other_methods_are_refused(shared: Served, method: str, path: str, status: int) -> None:
    with shared.client() as client:
        answer = client.request(method, path)
    assert (answer.status_code, set(answer.json()["error"])) == (status, {"code", "message", "hint"})


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.json",
        "/assets/../../secret.json",
        "/assets/%2e%2e/%2e%2e/secret.json",
        "/assets/..%2f..%2fsecret.json",
        "/%5c..%5csecret.json",
        "/.hidden.json",
        "/assets/x%00.js",
    ],
)
def test_no_address_leads_out_of_the_page(shared: Served, path: str) -> None:
    (shared.config.static.parent / "secret.json").write_text('"secret"')
    (shared.config.static / ".hidden.json").write_text('"secret"')
    answer = raw(shared, f"GET {path} HTTP/1.1")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"secret" not in answer


def test_only_files_of_a_page_are_served(served: Served, config: Config) -> None:
    (config.static / "notes.py").write_text("secret")
    with served.client() as client:
        answer = client.get("/notes.py")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "secret" not in answer.text


def test_files_beside_the_frame_are_served(served: Served, config: Config) -> None:
    (config.static / "favicon.svg").write_text("<svg/>")
    with served.client() as client:
        answer = client.get("/favicon.svg")
    assert (answer.headers["content-type"], answer.text) == ("image/svg+xml", "<svg/>")
    assert answer.headers["cache-control"] == "no-cache"
