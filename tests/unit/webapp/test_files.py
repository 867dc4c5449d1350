"""Her files over HTTP: lists, changes, the trash, texts, previews, downloads."""

from __future__ import annotations

import io
import json
import os
import sys
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from webapp.files.completion import Known, best
from webapp.files.draft import next_name
from webapp.files.place import Workspace, read_path, written
from webapp.files.trash import Trash

from tests.support.webapp import Served


@pytest.fixture
def page(served: Served) -> Iterator[httpx.Client]:
    """The page's requests, in a workspace that has the search program."""
    programs = served.config.home / ".local/bin"
    programs.mkdir(parents=True)
    (programs / "rg").symlink_to(Path(sys.executable).parent / "rg")
    with served.client() as client:
        yield client


@pytest.fixture
def root(served: Served) -> Path:
    return served.config.workspace


def listed(page: httpx.Client, path: str = "", **more: str) -> list[str]:
    answer = page.get("/api/files", params={"path": path, **more})
    assert answer.status_code == 200, answer.text
    return [entry["name"] for entry in answer.json()["entries"]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_folder_lists_folders_first_in_the_order_people_count(page: httpx.Client, root: Path) -> None:
    for name in ("b10.txt", "b9.txt", "Ä.txt", ".hidden", "a"):
        (root / name).write_text("x")
    (root / "z").mkdir()
    assert listed(page) == ["z", "a", "b9.txt", "b10.txt", "Ä.txt"]
    assert listed(page, hidden="1") == ["z", ".hidden", "a", "b9.txt", "b10.txt", "Ä.txt"]


def test_an_entry_says_what_the_page_shows(page: httpx.Client, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "b.txt").write_text("twelve bytes")
    os.utime(root / "a" / "b.txt", (0, 1_700_000_000))
    entry = page.get("/api/files/entry", params={"path": "a/b.txt"}).json()
    version = entry.pop("version")
    assert entry == {
        "path": "a/b.txt",
        "name": "b.txt",
        "kind": "file",
        "link": False,
        "size": 12,
        "modified_at": "2023-11-14T22:13:20.000Z",
    }
    (root / "a" / "b.txt").write_text("twelve bytes")
    assert page.get("/api/files/entry", params={"path": "a/b.txt"}).json()["version"] != version


@pytest.mark.parametrize(
    "path",
    ["..", "a/../..", "/etc", "a//b", "./a", "a/.", "\0", "a\0b", "\ufffd2e2e", "\ufffd2f", "\ufffdxx"],
)
def test_a_path_that_makes_no_sense_is_refused(page: httpx.Client, path: str) -> None:
    answer = page.get("/api/files", params={"path": path})
    assert refusal(answer) == (400, "bad_path")


@pytest.mark.parametrize(
    "target", ["/etc", "../..", "../app", "/data/workspace-of-another", "inner/../../../x"]
)
def test_a_link_that_leaves_the_workspace_is_shown_and_refused(
    page: httpx.Client, root: Path, target: str
) -> None:
    (root / "inner").mkdir()
    (root / "out").symlink_to(target)
    entry = page.get("/api/files/entry", params={"path": "out"}).json()
    assert (entry["kind"], entry["link"]) == ("link", True)
    for path in ("out", "out/passwd"):
        assert refusal(page.get("/api/files", params={"path": path})) == (403, "outside")
        assert refusal(page.get("/api/files/download", params={"path": path})) == (403, "outside")
    answer = page.post("/api/files", json={"path": "out/new.txt", "kind": "file"})
    assert refusal(answer) == (403, "outside")


def test_a_link_within_the_workspace_is_followed(page: httpx.Client, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "b.txt").write_text("here")
    (root / "relative").symlink_to("a/../a")
    (root / "absolute").symlink_to(root / "a")
    (root / "loop").symlink_to("loop")
    for name in ("relative", "absolute"):
        assert page.get("/api/files/download", params={"path": f"{name}/b.txt"}).text == "here"
    assert refusal(page.get("/api/files", params={"path": "loop"})) == (403, "outside")


def test_a_name_that_is_no_text_can_be_listed_and_fetched(page: httpx.Client, root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.txt"))).write_bytes(b"latin")
    entry = page.get("/api/files").json()["entries"][0]
    assert entry["name"] == "caf\ufffd.txt"
    assert page.get("/api/files/download", params={"path": entry["path"]}).content == b"latin"


@given(
    st.binary(min_size=1, max_size=255).filter(
        lambda name: name not in {b".", b".."} and not set(name) & set(b"/\0")
    )
)
def test_every_name_a_disk_can_hold_comes_back_from_a_path(name: bytes) -> None:
    assert read_path(f"a/{written(name)}") == (b"a", name)
    json.dumps(written(name), ensure_ascii=False).encode()


def test_files_and_folders_are_made_with_what_is_missing_above_them(page: httpx.Client, root: Path) -> None:
    answer = page.post("/api/files", json={"path": "a/b/c.txt", "kind": "file"})
    assert (answer.status_code, answer.json()["path"]) == (201, "a/b/c.txt")
    assert (root / "a/b/c.txt").read_bytes() == b""
    assert refusal(page.post("/api/files", json={"path": "a/b/c.txt", "kind": "folder"})) == (409, "exists")
    assert refusal(page.post("/api/files", json={"path": "a/b/c.txt/d", "kind": "file"})) == (
        404,
        "not_found",
    )
    assert refusal(page.post("/api/files", json={"path": "x" * 300, "kind": "file"})) == (400, "bad_path")
    kinds: tuple[object, ...] = ("link", None, ["file"], {})
    for kind in kinds:
        assert refusal(page.post("/api/files", json={"path": "n", "kind": kind})) == (400, "bad_request")


def test_moving_never_replaces_what_is_there(page: httpx.Client, root: Path) -> None:
    (root / "a.txt").write_text("a")
    (root / "b.txt").write_text("b")
    assert refusal(page.post("/api/files/move", json={"path": "a.txt", "to": "b.txt"})) == (409, "exists")
    answer = page.post("/api/files/move", json={"path": "a.txt", "to": "b.txt", "existing": "rename"})
    assert answer.json()["path"] == "b (2).txt"
    assert {path.name: path.read_text() for path in root.iterdir()} == {"b.txt": "b", "b (2).txt": "a"}


def test_a_folder_cannot_be_put_into_itself(page: httpx.Client, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "link").symlink_to("a/b")
    for to in ("a/b/c", "a/c", "link/c"):
        for verb in ("move", "copy"):
            assert refusal(page.post(f"/api/files/{verb}", json={"path": "a", "to": to})) == (
                400,
                "into_itself",
            )
    assert refusal(page.post("/api/files/move", json={"path": "", "to": "x"})) == (400, "bad_path")


def test_a_copy_is_the_same_in_content_mode_and_date(page: httpx.Client, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/run.sh").write_text("#!/bin/sh\n")
    (root / "a/b/run.sh").chmod(0o755)
    (root / "a/link").symlink_to("/etc/passwd")
    os.mkfifo(root / "a/pipe")
    os.utime(root / "a/b/run.sh", (1, 1_700_000_000))
    assert page.post("/api/files/copy", json={"path": "a", "to": "c"}).json()["path"] == "c"
    status = (root / "c/b/run.sh").stat()
    assert (status.st_mode & 0o777, status.st_mtime) == (0o755, 1_700_000_000)
    assert (root / "c/link").readlink() == Path("/etc/passwd")
    assert sorted(one.name for one in (root / "c").iterdir()) == ["b", "link"]


@pytest.mark.parametrize(
    ("name", "after"),
    [
        (b"a.txt", b"a (2).txt"),
        (b"a (2).txt", b"a (3).txt"),
        (b"a", b"a (2)"),
        (b".bashrc", b".bashrc (2)"),
        (b"x.tar.gz", b"x (2).tar.gz"),
        (b"caf\xe9.txt", b"caf\xe9 (2).txt"),
    ],
)
def test_a_taken_name_is_numbered_before_its_ending(name: bytes, after: bytes) -> None:
    assert next_name(name) == after


def test_a_long_taken_name_stays_a_name() -> None:
    after = next_name("ä".encode() * 125 + b".txt")
    assert len(after) <= 255
    assert after.endswith(b" (2).txt")
    after.decode()


def test_what_is_deleted_can_be_taken_back(page: httpx.Client, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/c.txt").write_text("kept")
    trashed = page.delete("/api/files", params={"path": "a/b"}).json()
    assert (trashed["path"], trashed["name"], trashed["kind"], trashed["size"]) == ("a/b", "b", "folder", 4)
    assert not (root / "a/b").exists()
    assert page.get("/api/trash").json() == {"entries": [trashed], "size": 4}
    (root / "a").rmdir()
    assert page.post(f"/api/trash/{trashed['id']}/restore").json()["path"] == "a/b"
    assert (root / "a/b/c.txt").read_text() == "kept"
    assert page.get("/api/trash").json() == {"entries": [], "size": 0}


def test_taking_back_does_not_replace_what_came_meanwhile(page: httpx.Client, root: Path) -> None:
    (root / "a.txt").write_text("old")
    trashed = page.delete("/api/files", params={"path": "a.txt"}).json()
    (root / "a.txt").write_text("new")
    assert page.post(f"/api/trash/{trashed['id']}/restore").json()["path"] == "a (2).txt"
    assert ((root / "a.txt").read_text(), (root / "a (2).txt").read_text()) == ("new", "old")


def test_a_link_goes_to_the_trash_and_not_what_it_leads_to(
    page: httpx.Client, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (root / "out").symlink_to(tmp_path / "precious")
    assert page.delete("/api/files", params={"path": "out"}).json()["kind"] == "link"
    assert page.delete("/api/trash").status_code == 204
    assert (tmp_path / "precious").is_dir()


def test_the_trash_empties_also_what_is_read_only(page: httpx.Client, served: Served, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/c").write_text("x")
    (root / "a/b").chmod(0o555)
    trashed = page.delete("/api/files", params={"path": "a"}).json()
    assert page.delete(f"/api/trash/{trashed['id']}").status_code == 204
    assert list((served.config.app / "trash").iterdir()) == []
    assert refusal(page.delete(f"/api/trash/{trashed['id']}")) == (404, "not_found")


def test_what_a_killed_server_has_left_in_the_trash_goes_away(
    page: httpx.Client, served: Served, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a folder is never offered for return, and takes no room."""
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/c.txt").write_text("x")
    trash = Trash(Workspace(root), served.config.app / "trash")
    kept = trash.put((b"a", b"b"))
    (root / "a/d.txt").write_text("y")
    lost = trash.put((b"a", b"d.txt"))

    class KilledError(BaseException):
        pass

    def killed(_path: Path) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr("webapp.files.trash.remove", killed)
        with pytest.raises(KilledError):
            trash.drop(lost.id)
        patched.setattr("webapp.files.trash.rename_new", lambda *_: killed(root))
        (root / "e").write_text("stays")
        with pytest.raises(KilledError):
            trash.put((b"e",))
    assert [entry["id"] for entry in page.get("/api/trash").json()["entries"]] == [kept.id]
    assert [home.name for home in (served.config.app / "trash").iterdir()] == [kept.id]
    assert page.post(f"/api/trash/{kept.id}/restore").status_code == 200
    assert ((root / "a/b/c.txt").read_text(), (root / "e").read_text()) == ("x", "stays")


def test_a_text_comes_back_as_it_was_written(page: httpx.Client, root: Path) -> None:
    (root / "a.txt").write_text("one\ntwo\n")
    (root / "a.txt").chmod(0o755)
    text = page.get("/api/files/text", params={"path": "a.txt"}).json()
    assert (text["text"], text["state"], text["encoding"], text["eol"]) == (
        "one\ntwo\n",
        "text",
        "utf-8",
        "lf",
    )
    saved = page.put("/api/files/text", json={**text, "text": "three"}).json()
    assert saved["etag"] != text["etag"]
    assert saved["text"] is None
    assert (root / "a.txt").read_text() == "three"
    assert (root / "a.txt").stat().st_mode & 0o777 == 0o755


def test_nobodys_change_is_lost(page: httpx.Client, root: Path) -> None:
    (root / "a.txt").write_text("one")
    text = page.get("/api/files/text", params={"path": "a.txt"}).json()
    (root / "a.txt").write_text("Claude's")
    answer = page.put("/api/files/text", json={**text, "text": "mine"})
    assert refusal(answer) == (409, "changed")
    assert answer.json()["current"]["text"] == "Claude's"
    assert (root / "a.txt").read_text() == "Claude's"
    again = page.put("/api/files/text", json={**answer.json()["current"], "text": "mine"})
    assert again.status_code == 200
    (root / "a.txt").unlink()
    answer = page.put("/api/files/text", json={**again.json(), "text": "mine"})
    assert (refusal(answer), answer.json()["current"]) == ((409, "changed"), None)
    assert not (root / "a.txt").exists()


def test_a_new_text_does_not_replace_a_file(page: httpx.Client, root: Path) -> None:
    body = {"path": "new.txt", "text": "one", "etag": None}
    assert page.put("/api/files/text", json=body).status_code == 200
    assert refusal(page.put("/api/files/text", json=body)) == (409, "changed")
    assert (root / "new.txt").read_text() == "one"


def test_a_text_is_saved_through_a_link(page: httpx.Client, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a/real.txt").write_text("one")
    (root / "link.txt").symlink_to("a/real.txt")
    text = page.get("/api/files/text", params={"path": "link.txt"}).json()
    assert page.put("/api/files/text", json={**text, "text": "two"}).status_code == 200
    assert (root / "link.txt").is_symlink()
    assert (root / "a/real.txt").read_text() == "two"


@pytest.mark.parametrize(
    ("data", "encoding", "eol"),
    [
        (b"a\r\nb\r\n", "utf-8", "crlf"),
        (b"a\r\nb\nc\rd", "utf-8", "mixed"),
        (b"\xef\xbb\xbfa\n", "utf-8-sig", "lf"),
        ("a\r\nä\r\n".encode("utf-16"), "utf-16", "crlf"),
        (b"caf\xe9\n", "latin-1", "lf"),
        (b"", "utf-8", "lf"),
        ("🦀\u2028\n".encode(), "utf-8", "lf"),
    ],
)
def test_saving_what_was_read_changes_no_byte(
    page: httpx.Client, root: Path, data: bytes, encoding: str, eol: str
) -> None:
    (root / "a").write_bytes(data)
    text = page.get("/api/files/text", params={"path": "a"}).json()
    assert (text["encoding"], text["eol"]) == (encoding, eol)
    assert page.put("/api/files/text", json=text).status_code == 200
    assert (root / "a").read_bytes() == data


def test_a_sign_that_the_encoding_does_not_have_is_said(page: httpx.Client, root: Path) -> None:
    (root / "a").write_bytes(b"caf\xe9")
    text = page.get("/api/files/text", params={"path": "a"}).json()
    assert refusal(page.put("/api/files/text", json={**text, "text": "€"})) == (422, "not_encodable")
    assert page.put("/api/files/text", json={**text, "text": "€", "encoding": "utf-8"}).status_code == 200
    assert (root / "a").read_bytes() == "€".encode()


def test_what_is_no_text_or_too_much_is_said(page: httpx.Client, root: Path) -> None:
    (root / "binary").write_bytes(b"\x7fELF\0\0")
    (root / "large").write_bytes(b"x" * (4 << 20) + b"y")
    os.mkfifo(root / "pipe")
    binary = page.get("/api/files/text", params={"path": "binary"}).json()
    large = page.get("/api/files/text", params={"path": "large"}).json()
    assert (binary["state"], binary["text"]) == ("binary", None)
    assert (large["state"], large["etag"], len(large["text"])) == ("too_large", None, 256 << 10)
    assert refusal(page.put("/api/files/text", json={**large, "text": "short"})) == (409, "changed")
    assert refusal(page.get("/api/files/text", params={"path": "pipe"})) == (400, "not_a_file")
    assert refusal(page.get("/api/files/text", params={"path": ""})) == (400, "not_a_file")


def test_a_download_has_ranges_and_a_name_that_every_browser_reads(page: httpx.Client, root: Path) -> None:
    name = 'a"ü;\n€.html'
    (root / name).write_bytes(bytes(range(256)))
    answer = page.get("/api/files/download", params={"path": name})
    assert answer.content == bytes(range(256))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    quoted = urllib.parse.quote(name)
    assert (
        answer.headers["content-disposition"]
        == f"attachment; filename=\"a__;__.html\"; filename*=UTF-8''{quoted}"
    )
    part = page.get("/api/files/download", params={"path": name}, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-range"] == "bytes 10-19/256"


def test_a_file_that_grows_while_it_is_downloaded_arrives_as_it_was(page: httpx.Client, root: Path) -> None:
    size = (32 << 20) + 1  # so that its last piece holds what comes later, too
    with (root / "log").open("ab", buffering=0) as log:
        log.truncate(size)
        with page.stream("GET", "/api/files/download", params={"path": "log"}) as answer:
            pieces = answer.iter_bytes(1 << 20)
            arrived = len(next(pieces))
            log.write(b"more" * 100_000)
            arrived += sum(map(len, pieces))
    assert (arrived, int(answer.headers["content-length"])) == (size, size)


def test_a_zip_holds_what_was_chosen_and_follows_no_link(page: httpx.Client, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/ü.txt").write_text("deep")
    (root / "a/out").symlink_to("/etc")
    (root / "other").mkdir()
    (root / "other/b").write_text("same name")
    answer = page.get("/api/files/zip", params={"path": ["a", "other/b", "a/b"]})
    assert answer.headers["content-disposition"].startswith('attachment; filename="a.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        content = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    assert content == {"a/b/ü.txt": b"deep", "b": b"same name", "2 b/ü.txt": b"deep"}
    assert refusal(page.get("/api/files/zip", params={"path": "none"})) == (404, "not_found")


def test_a_file_that_grows_is_in_a_zip_as_it_was(page: httpx.Client, root: Path) -> None:
    size = (32 << 20) + 1
    with (root / "film.mp4").open("ab", buffering=0) as film:
        film.truncate(size)
        with page.stream("GET", "/api/files/zip", params={"path": "film.mp4"}) as answer:
            pieces = answer.iter_bytes(1 << 20)
            archive = bytearray(next(pieces))
            film.write(b"more" * 100_000)
            archive += b"".join(pieces)
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert [one.file_size for one in found.infolist()] == [size]
        assert found.testzip() is None


def test_what_is_shown_can_run_nothing_on_our_origin(page: httpx.Client, root: Path) -> None:
    (root / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (root / "a.html").write_text("<script>alert(1)</script>")
    shown = page.get("/api/files/view", params={"path": "a.svg"})
    assert shown.headers["content-type"].startswith("image/svg+xml")
    assert shown.headers["content-security-policy"].endswith("; sandbox")
    assert refusal(page.get("/api/files/view", params={"path": "a.html"})) == (415, "no_view")
    alone = page.get("/api/files/page", params={"path": "a.html"})
    assert alone.headers["content-security-policy"].endswith("; sandbox")
    framed = page.get("/api/files/page", params={"path": "a.html"}, headers={"sec-fetch-dest": "iframe"})
    policy = framed.headers["content-security-policy"]
    assert "allow-same-origin" not in policy
    assert policy.endswith("sandbox allow-scripts")
    assert "default-src 'none'" in policy


def test_a_table_of_separated_values_is_read_in_parts(page: httpx.Client, root: Path) -> None:
    lines = ["name;price", *(f'"row; {number}";{number},5' for number in range(1000))]
    (root / "a.csv").write_text("\n".join(lines), encoding="cp1252")
    table = page.get("/api/files/table", params={"path": "a.csv", "offset": 1, "limit": 2}).json()
    assert table["rows"] == [["row; 0", "0,5"], ["row; 1", "1,5"]]
    assert (table["columns"], table["more"], table["total"]) == (2, True, None)
    table = page.get("/api/files/table", params={"path": "a.csv", "offset": 1000, "limit": 20}).json()
    assert (len(table["rows"]), table["more"], table["total"]) == (1, False, 1001)


def test_a_damaged_workbook_is_said(page: httpx.Client, root: Path) -> None:
    (root / "a.xlsx").write_bytes(b"PK\x03\x04 and nothing behind it")
    assert refusal(page.get("/api/files/table", params={"path": "a.xlsx"})) == (422, "not_readable")
    assert refusal(page.get("/api/files/table", params={"path": "a.txt"})) == (415, "no_table")


def test_search_finds_names_and_lines_and_respects_gitignore(page: httpx.Client, root: Path) -> None:
    (root / "src").mkdir()
    (root / "src/needle.py").write_text("x")
    (root / "src/b.py").write_text("one\nein Nädelöhr für needle\n")
    (root / ".gitignore").write_text("dist/\n")
    (root / "dist").mkdir()
    (root / "dist/needle.js").write_text("needle")
    (root / "out").symlink_to("/etc")
    answer = page.get("/api/files/search", params={"q": "needle"}).json()
    found = sorted(answer["matches"], key=lambda match: match["path"])
    assert [match["path"] for match in found] == ["src/b.py", "src/needle.py"]
    assert found[0]["lines"] == [{"number": 2, "text": "ein Nädelöhr für needle", "at": [[17, 23]]}]
    assert found[1]["lines"] == []
    assert page.get("/api/files/search", params={"q": "Needle"}).json()["matches"] == []
    below = page.get("/api/files/search", params={"q": "needle", "path": "src", "content": "0"}).json()
    assert [match["path"] for match in below["matches"]] == ["src/needle.py"]
    assert page.get("/api/files/search", params={"q": "--version"}).json()["matches"] == []


def test_completion_finds_what_somebody_means(page: httpx.Client, root: Path) -> None:
    (root / "src/webapp").mkdir(parents=True)
    for name in ("src/webapp/terminal.py", "src/webapp/terminals.py", "README.md"):
        (root / name).write_text("x")
    answer = page.get("/api/files/complete", params={"q": "term"}).json()["matches"]
    assert [match["name"] for match in answer] == ["terminal.py", "terminals.py"]
    assert answer[0]["at"] == [11, 12, 13, 14]
    assert page.get("/api/files/complete", params={"q": "swt"}).json()["matches"][0]["name"] == "terminal.py"
    assert {match["path"] for match in page.get("/api/files/complete").json()["matches"]} == {
        "src",
        "README.md",
    }


@given(st.lists(st.text("abc/._é ", min_size=1, max_size=12), max_size=20), st.text("abc/é", max_size=4))
def test_what_completion_marks_are_the_letters_that_were_typed(paths: list[str], query: str) -> None:
    known = Known(paths, frozenset(), [path.lower() for path in paths], 0.0)
    for match in best(known, query, 10):
        assert "".join(match["path"][place] for place in match["at"]) == query
        assert match["at"] == sorted(set(match["at"]))


def upload(page: httpx.Client, path: str, data: bytes, **more: Any) -> dict[str, Any]:
    begun = page.post("/api/uploads", json={"path": path, "size": len(data), **more})
    assert begun.status_code == 201, begun.text
    answer = page.put(f"/api/uploads/{begun.json()['id']}", params={"offset": 0}, content=data)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_an_upload_appears_when_it_is_whole(page: httpx.Client, root: Path) -> None:
    data = os.urandom(3 << 20)
    begun = page.post("/api/uploads", json={"path": "new/a.bin", "size": len(data)}).json()
    url = f"/api/uploads/{begun['id']}"
    first = page.put(url, params={"offset": 0}, content=data[: 1 << 20]).json()
    assert (first["offset"], first["entry"]) == (1 << 20, None)
    assert list(root.iterdir()) == []
    wrong = page.put(url, params={"offset": 5}, content=data)
    assert (refusal(wrong), wrong.json()["upload"]["offset"]) == ((409, "offset"), 1 << 20)
    last = page.put(url, params={"offset": 1 << 20}, content=data[1 << 20 :]).json()
    assert last["entry"]["path"] == "new/a.bin"
    assert (root / "new/a.bin").read_bytes() == data
    assert page.get(url).json() == last


def test_an_upload_of_a_taken_name_gets_another(page: httpx.Client, root: Path) -> None:
    assert upload(page, "a.txt", b"one")["entry"]["path"] == "a.txt"
    assert upload(page, "a.txt", b"two")["entry"]["path"] == "a (2).txt"
    assert (root / "a.txt").read_bytes() == b"one"


def test_an_empty_file_can_be_uploaded(page: httpx.Client, root: Path) -> None:
    begun = page.post("/api/uploads", json={"path": "empty", "size": 0}).json()
    assert begun["entry"]["size"] == 0
    assert (root / "empty").read_bytes() == b""


def test_an_upload_that_is_too_long_or_too_large_is_refused(page: httpx.Client, served: Served) -> None:
    begun = page.post("/api/uploads", json={"path": "a", "size": 3}).json()
    answer = page.put(f"/api/uploads/{begun['id']}", params={"offset": 0}, content=b"four")
    assert refusal(answer) == (400, "too_long")
    assert refusal(page.post("/api/uploads", json={"path": "a", "size": 1 << 41})) == (507, "disk_full")
    assert refusal(page.post("/api/uploads", json={"path": "../a", "size": 1})) == (400, "bad_path")
    assert page.delete(f"/api/uploads/{begun['id']}").status_code == 204
    assert list((served.config.app / "uploads").iterdir()) == []


def test_a_foreign_page_gets_none_of_it(served: Served) -> None:
    with served.client() as client:
        for method, path in (("GET", "/api/files"), ("DELETE", "/api/trash"), ("POST", "/api/uploads")):
            answer = client.request(method, path, headers={"origin": "https://evil.example"})
            assert refusal(answer) == (403, "foreign_origin")


def test_a_page_hears_of_changes_in_the_folders_that_it_watches(served: Served, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    with served.connect("/api/live") as socket, served.client() as page:

        def told() -> dict[str, Any]:
            return dict(json.loads(socket.recv(10)))

        def listed() -> float:
            return float(page.get("/api/files", params={"path": "a"}).json()["at"])

        assert told()["type"] == "hello"
        before = listed()
        socket.send(json.dumps({"type": "watch", "paths": ["a"]}))
        begun = told()
        assert (begun["type"], begun["paths"]) == ("files_changed", ["a"])
        assert before < begun["at"] < listed()  # what came before the watch stood is looked for by her page
        socket.send(json.dumps({"type": "watch", "paths": ["a"]}))  # nothing new in it
        socket.send(json.dumps({"type": "ping"}))
        assert told()["type"] == "pong"
        (root / "elsewhere.txt").write_text("not watched")
        (root / "a/b/deeper.txt").write_text("not watched")
        (root / "a/new.txt").write_text("watched")
        after = listed()
        changed = told()
        assert (changed["type"], changed["paths"]) == ("files_changed", ["a"])
        assert changed["at"] > after
        (root / "a").rename(root / "c")
        assert told()["paths"] == ["a"]
        socket.send(json.dumps({"type": "watch", "paths": [".."]}))
        assert told()["code"] == "bad_path"
