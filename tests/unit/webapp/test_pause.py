"""A workspace whose month is used up: she is told so, keeps her data, and is back when the month turns."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from webapp.config import ConfigError, read_config
from webapp.pause import Pause
from websockets.exceptions import InvalidStatus

from tests.support.webapp import NoChat, serving, workspace_config

FIRST = datetime(2026, 12, 1, tzinfo=UTC)
FAR = "2999-12-01T00:00:00Z"


def at_rest(**more: str) -> dict[str, str]:
    return {"JARVIS_PAUSED_UNTIL": FAR, "JARVIS_CONTACT": "jarvis@example.com", **more}


def test_her_page_says_what_is_the_matter_until_when_and_how_to_go_on(tmp_path: Path) -> None:
    config = workspace_config(tmp_path, environ=at_rest())
    with serving(config, NoChat()) as served, served.client() as client:
        for path in ("/", "/c/some-conversation"):
            page = client.get(path, headers={"accept": "text/html"})
            assert page.status_code == 200
            assert page.headers["cache-control"] == "no-store"
            assert "rests until 1\u00a0December" in page.text
            assert "Your files and conversations are safe" in page.text
            assert 'href="mailto:jarvis@example.com"' in page.text
        assert client.get("/health").json()["status"] == "ok"


def test_her_data_can_be_taken_along(tmp_path: Path) -> None:
    config = workspace_config(tmp_path, environ=at_rest())
    (config.workspace / "letter.txt").write_text("dear")
    with serving(config, NoChat()) as served, served.client() as client:
        archive = client.get("/api/data/export")
        with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
            assert any(name.endswith("letter.txt") for name in tar.getnames())


@pytest.mark.parametrize("path", ["/api/boot", "/api/terminals", "/api/files?path=", "/api/nonsense"])
def test_nothing_else_is_to_be_had(tmp_path: Path, path: str) -> None:
    with serving(workspace_config(tmp_path, environ=at_rest()), NoChat()) as served:
        with served.client() as client:
            answer = client.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "paused")
            assert client.post("/api/terminals", json={"cols": 80, "rows": 24}).status_code == 403
        with pytest.raises(InvalidStatus) as refused, served.connect("/api/live"):
            pass
        assert refused.value.response.status_code == 403


def test_a_stranger_learns_nothing_of_it(tmp_path: Path) -> None:
    link = {"JARVIS_LOGIN": "link", "JARVIS_LOGIN_HASH": "sha256:" + "a" * 64}
    config = workspace_config(tmp_path, environ=at_rest(**link))
    with serving(config, NoChat()) as served, served.client() as client:
        page = client.get("/", headers={"accept": "text/html"})
        assert page.status_code == 401
        assert "rests" not in page.text
        assert client.get("/api/data/export").status_code == 401


def test_when_the_month_turns_she_is_back_without_anybody_doing_anything() -> None:
    now = FIRST - timedelta(seconds=1)
    inner = Starlette(routes=[Route("/", lambda _request: PlainTextResponse("her workspace"))])
    with TestClient(Pause(inner, FIRST, "", lambda: now)) as client:
        assert "rests until 1\u00a0December" in client.get("/").text
        now = FIRST
        assert client.get("/").text == "her workspace"


def test_a_contact_is_text_and_nothing_else(tmp_path: Path) -> None:
    hostile = at_rest(JARVIS_CONTACT='"><script>alert(1)</script>')
    config = workspace_config(tmp_path, environ=hostile)
    with serving(config, NoChat()) as served, served.client() as client:
        assert "<script" not in client.get("/").text


@pytest.mark.parametrize("text", ["tomorrow", "2026-12-01", "2026-12-01T00:00:00"])
def test_a_moment_that_is_none_is_refused_before_anything_is_served(text: str) -> None:
    with pytest.raises(ConfigError, match="JARVIS_PAUSED_UNTIL"):
        read_config({"JARVIS_PAUSED_UNTIL": text})
