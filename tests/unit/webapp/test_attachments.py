"""Files for Claude, before they are sent."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from webapp import attachments as module
from webapp.attachments import KEPT_UNSENT_S, UNKNOWN, Attachments, mentioned, safe_name, type_of
from webapp.config import Config
from webapp.files.uploads import Uploads
from webapp.problem import Problem, answer_http_exception, answer_problem

from tests.support.uploading import attach, uploaded, uploads_of

Story = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture
def uploads(config: Config) -> Uploads:
    return uploads_of(config)


@pytest.fixture
def attachments(config: Config, uploads: Uploads) -> Attachments:
    config.workspace.mkdir(parents=True, exist_ok=True)
    return Attachments(config.app / "attachments", config.workspace, uploads)


def browse(attachments: Attachments, story: Story) -> None:
    async def life() -> None:
        handlers = {Problem: answer_problem, HTTPException: answer_http_exception}
        app = Starlette(routes=attachments.routes(), exception_handlers=handlers)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://w") as http:
            await story(http)

    asyncio.run(life())


def left(attachments: Attachments) -> list[str]:
    return [path.name for path in attachments._folder.glob("*")]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        (".bashrc", "bashrc"),
        ("", "file"),
        ("a\x00b\u202ec\n.txt", "abc.txt"),
        ("דוח.xlsx", "דוח.xlsx"),
    ],
)
def test_a_name_is_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_long_name_keeps_its_ending() -> None:
    name = safe_name("é" * 500 + ".docx")
    assert name.endswith("é.docx")
    assert len(name.encode()) <= 150


@pytest.mark.parametrize(
    ("beginning", "told", "type_"),
    [
        (b"\x89PNG\r\n\x1a\n....", "text/html", "image/png"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "", "image/webp"),
        (b"%PDF-1.7", "", "application/pdf"),
        (b"<svg onload=alert(1)>", "image/svg+xml", UNKNOWN),
        (b"<html>", "image/png", UNKNOWN),
        (b"a,b", "text/csv; charset=utf-8", "text/csv"),
        (b"a,b", "text/csv\r\nset-cookie: x", UNKNOWN),
    ],
)
def test_a_type_is_what_the_first_bytes_say(beginning: bytes, told: str, type_: str) -> None:
    assert type_of(beginning, told) == type_


def test_a_file_that_is_too_large_is_refused(
    attachments: Attachments, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 100)

    async def story(http: httpx.AsyncClient) -> None:
        assert (await attach(http, uploads, b"x" * 101)).status_code == 413
        assert left(attachments) == []
        assert (await attach(http, uploads, b"x" * 100)).status_code == 201

    browse(attachments, story)


def test_who_did_not_hear_the_answer_gets_the_same_one_again(
    attachments: Attachments, uploads: Uploads, config: Config
) -> None:
    async def story(http: httpx.AsyncClient) -> None:
        asked = {"upload": await uploaded(uploads, b"a,b"), "name": "a.csv", "type": "text/csv"}
        answers = [await http.post("/api/attachments", json=asked) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert [answer.status_code for answer in answers] == [201, 201]
        assert (await http.get(f"/api/attachments/{answers[0].json()['id']}")).content == b"a,b"

    browse(attachments, story)
    assert list((config.app / "uploads").iterdir()) == []


def test_only_what_is_whole_and_has_no_place_of_its_own_goes_along(
    attachments: Attachments, uploads: Uploads
) -> None:
    half = uploads.begin(None, 3, rename=True).id
    own = uploads.begin("mine.txt", 3, rename=True).id

    async def story(http: httpx.AsyncClient) -> None:
        for upload, status in (
            (half, 409),
            (own, 409),
            ("0" * 32, 404),
            ("../../workspace", 404),
            (None, 404),
        ):
            answer = await http.post("/api/attachments", json={"upload": upload, "name": "a"})
            assert answer.status_code == status, upload

    browse(attachments, story)
    assert left(attachments) == []


def test_a_browser_may_keep_a_file_but_asks_each_time_whether_it_may_show_it(
    attachments: Attachments, uploads: Uploads
) -> None:
    async def story(http: httpx.AsyncClient) -> None:
        given = (await attach(http, uploads, b"\x89PNG\r\n\x1a\n", "a.png")).json()
        first = await http.get(f"/api/attachments/{given['id']}")
        assert first.headers["cache-control"] == "private, no-cache"
        again = {"if-none-match": first.headers["etag"]}
        kept = await http.get(f"/api/attachments/{given['id']}", headers=again)
        assert (kept.status_code, kept.content) == (304, b"")
        other = await http.get(f"/api/attachments/{given['id']}", headers={"if-none-match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)

    browse(attachments, story)


def test_an_empty_file_is_refused(attachments: Attachments, uploads: Uploads) -> None:
    async def story(http: httpx.AsyncClient) -> None:
        assert (await attach(http, uploads, b"")).status_code == 400

    browse(attachments, story)
    assert left(attachments) == []


def test_a_full_disk_is_said_and_the_file_may_be_asked_for_again(
    attachments: Attachments, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def story(http: httpx.AsyncClient) -> None:
        asked = {"upload": await uploaded(uploads, b"abc"), "name": "a"}
        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_text", full)
            answer = await http.post("/api/attachments", json=asked)
            assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
        assert left(attachments) == []
        assert (await http.post("/api/attachments", json=asked)).status_code == 201

    browse(attachments, story)


@pytest.mark.parametrize("wanted", ["a_0", "..%2f..%2fetc%2fpasswd", "a_" + "0" * 32])
def test_what_is_no_attachment_is_not_found(attachments: Attachments, wanted: str) -> None:
    async def story(http: httpx.AsyncClient) -> None:
        assert (await http.get(f"/api/attachments/{wanted}")).status_code == 404

    browse(attachments, story)


def test_what_was_never_sent_goes_after_a_day_and_what_was_sent_stays(
    attachments: Attachments, uploads: Uploads, tmp_path: Path
) -> None:
    ids: list[str] = []

    async def story(http: httpx.AsyncClient) -> None:
        ids.extend([(await attach(http, uploads, b"x")).json()["id"] for _ in "ab"])

    browse(attachments, story)
    journal = tmp_path / "journal.jsonl"
    journal.write_text(f'{{"sent": {{"attachments": [{{"id": "{ids[0]}"}}]}}}}\n')
    used = mentioned([journal, tmp_path / "none"])
    assert used == {ids[0]}
    attachments.tidy(used, time.time())
    assert attachments.get(ids[1])
    attachments.tidy(used, time.time() + KEPT_UNSENT_S + 60)
    assert (attachments.get(ids[1]), bool(attachments.get(ids[0]))) == (None, True)


def test_what_is_too_large_for_a_message_is_named(
    attachments: Attachments, uploads: Uploads, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_PICTURE", 50)
    picture = b"\x89PNG\r\n\x1a\n"
    found: list[dict[str, object]] = []

    async def story(http: httpx.AsyncClient) -> None:
        for content in (picture, picture + bytes(100)):
            found.append((await attach(http, uploads, content, "p.png")).json())

    browse(attachments, story)
    content = attachments.content("look", found)
    assert isinstance(content, list)
    small, words, large = content
    assert (small["type"], words["text"]) == ("image", "look")
    assert large["text"] == "<attached-file>uploads/p.png</attached-file>"
    assert (config.workspace / "uploads" / "p.png").stat().st_size == 108
    assert attachments.content("look", found)[2] == large, "a message sent again names the same file"


def test_a_file_for_claude_appears_when_it_is_whole(
    attachments: Attachments, uploads: Uploads, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed while it copies leaves no half of it among her files."""
    folder = config.workspace / "uploads"

    async def story(http: httpx.AsyncClient) -> None:
        given = (await attach(http, uploads, b"1,2", "a.csv")).json()

        class KilledError(BaseException):
            pass

        def copied(_source: Path, target: Path) -> None:
            target.write_bytes(b"1")
            raise KilledError

        with monkeypatch.context() as patched:
            patched.setattr("shutil.copyfile", copied)
            patched.setattr(Path, "unlink", lambda *_paths, **_options: None)
            with pytest.raises(KilledError):
                attachments.content("look", [given])
        assert list(folder.iterdir()) == []
        attachments.content("look", [given])
        assert [(one.name, one.read_bytes()) for one in folder.iterdir()] == [("a.csv", b"1,2")]
        attachments.tidy({given["id"]}, time.time() + KEPT_UNSENT_S + 1)
        assert sorted(left(attachments)) == [given["id"], f"{given['id']}.json"]

    browse(attachments, story)
