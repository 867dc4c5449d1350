"""Files for Claude, before they are sent."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from webapp import attachments as module
from webapp.attachments import KEPT_UNSENT_S, UNKNOWN, Attachments, mentioned, safe_name, type_of
from webapp.problem import Problem, answer_http_exception, answer_problem

Story = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture
def attachments(tmp_path: Path) -> Attachments:
    (tmp_path / "workspace").mkdir()
    return Attachments(tmp_path / "attachments", tmp_path / "workspace")


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


def test_a_file_that_is_too_large_leaves_nothing(
    attachments: Attachments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 100_000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    async def story(http: httpx.AsyncClient) -> None:
        told = await http.post("/api/attachments?name=a", content=b"x" * 200_000)
        grew = await http.post("/api/attachments?name=a", content=pieces())
        fits = await http.post("/api/attachments?name=a", content=b"x" * 90_000)
        assert [told.status_code, grew.status_code, fits.status_code] == [413, 413, 201]

    browse(attachments, story)
    assert len(left(attachments)) == 2


def test_a_browser_may_keep_a_file_but_asks_each_time_whether_it_may_show_it(
    attachments: Attachments,
) -> None:
    async def story(http: httpx.AsyncClient) -> None:
        given = (await http.post("/api/attachments?name=a.png", content=b"\x89PNG\r\n\x1a\n")).json()
        first = await http.get(f"/api/attachments/{given['id']}")
        assert first.headers["cache-control"] == "private, no-cache"
        again = {"if-none-match": first.headers["etag"]}
        kept = await http.get(f"/api/attachments/{given['id']}", headers=again)
        assert (kept.status_code, kept.content) == (304, b"")
        other = await http.get(f"/api/attachments/{given['id']}", headers={"if-none-match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)

    browse(attachments, story)


def test_an_empty_file_is_refused(attachments: Attachments) -> None:
    async def story(http: httpx.AsyncClient) -> None:
        assert (await http.post("/api/attachments?name=a", content=b"")).status_code == 400

    browse(attachments, story)
    assert left(attachments) == []


def test_a_full_disk_is_said_and_leaves_nothing(
    attachments: Attachments, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(draft: Path, _body: object) -> tuple[int, bytes]:
        draft.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write", full)

    async def story(http: httpx.AsyncClient) -> None:
        answer = await http.post("/api/attachments?name=a", content=b"abc")
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")

    browse(attachments, story)
    assert left(attachments) == []


@pytest.mark.parametrize("wanted", ["a_0", "..%2f..%2fetc%2fpasswd", "a_" + "0" * 32])
def test_what_is_no_attachment_is_not_found(attachments: Attachments, wanted: str) -> None:
    async def story(http: httpx.AsyncClient) -> None:
        assert (await http.get(f"/api/attachments/{wanted}")).status_code == 404

    browse(attachments, story)


def test_what_was_never_sent_goes_after_a_day_and_what_was_sent_stays(
    attachments: Attachments, tmp_path: Path
) -> None:
    ids: list[str] = []

    async def story(http: httpx.AsyncClient) -> None:
        ids.extend([(await http.post("/api/attachments?name=a", content=b"x")).json()["id"] for _ in "ab"])

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
    attachments: Attachments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_PICTURE", 50)
    picture = b"\x89PNG\r\n\x1a\n"
    found: list[dict[str, object]] = []

    async def story(http: httpx.AsyncClient) -> None:
        for content in (picture, picture + bytes(100)):
            found.append((await http.post("/api/attachments?name=p.png", content=content)).json())

    browse(attachments, story)
    content = attachments.content("look", found)
    assert isinstance(content, list)
    small, words, large = content
    assert (small["type"], words["text"]) == ("image", "look")
    assert large["text"] == "<attached-file>uploads/p.png</attached-file>"
    assert (tmp_path / "workspace" / "uploads" / "p.png").stat().st_size == 108
    assert attachments.content("look", found)[2] == large, "a message sent again names the same file"


def test_a_file_for_claude_appears_when_it_is_whole(
    attachments: Attachments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed while it copies leaves no half of it among her files."""
    uploads = tmp_path / "workspace/uploads"

    async def story(http: httpx.AsyncClient) -> None:
        given = (await http.post("/api/attachments", params={"name": "a.csv"}, content=b"1,2")).json()

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
        assert list(uploads.iterdir()) == []
        attachments.content("look", [given])
        assert [(one.name, one.read_bytes()) for one in uploads.iterdir()] == [("a.csv", b"1,2")]
        attachments.tidy({given["id"]}, time.time() + KEPT_UNSENT_S + 1)
        assert sorted(left(attachments)) == [given["id"], f"{given['id']}.json"]

    browse(attachments, story)
