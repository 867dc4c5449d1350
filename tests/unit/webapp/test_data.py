"""All of her data at once: how much it is, out as one archive, and in again."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from webapp.config import Config
from webapp.data.archive import END, HEAD, BadArchive
from webapp.data.export import export
from webapp.data.intake import Import, Intake
from webapp.files.place import Workspace
from webapp.files.trash import Trash

from tests.support.webapp import NoChat, Served, serving, workspace_config

UUID = "0b7e1c9e-1111-4222-8333-944445555666"


def fill(config: Config) -> None:
    """What somebody has after some days, with all that a disk can hold."""
    (config.workspace / "a/b").mkdir(parents=True)
    (config.workspace / "a/b/run.sh").write_text("#!/bin/sh\n")
    (config.workspace / "a/b/run.sh").chmod(0o750)
    (config.workspace / "a/empty").mkdir()
    (config.workspace / "a/out").symlink_to("/etc/passwd")
    (config.workspace / "a/dangling").symlink_to("nowhere")
    (config.workspace / "large.bin").write_bytes(os.urandom(700_001))
    Path(os.fsdecode(os.fsencode(config.workspace) + b"/caf\xe9 \n.txt")).write_bytes(b"raw name")
    (config.workspace / ("long" * 60)).write_text("a long name")
    os.mkfifo(config.workspace / "pipe")
    os.utime(config.workspace / "a/b/run.sh", ns=(1, 1_700_000_000_123_456_789))
    (config.workspace / "a/b").chmod(0o555)
    os.utime(config.workspace / "a/b", ns=(1, 1_600_000_000_987_654_321))
    projects = config.claude_config / "projects/-data-workspace"
    projects.mkdir(parents=True)
    (projects / f"{UUID}.jsonl").write_text('{"type":"user"}\n')
    (config.claude_config / "CLAUDE.md").write_text("Be kind.\n")
    (config.claude_config / ".credentials.json").write_text('{"secret":"sk-ant-oat"}')
    (config.claude_config / ".claude.json").write_text('{"primaryApiKey":"sk-ant-api"}')
    (config.claude_config / "settings.json").write_text('{"env":{"KEY":"sk-env"}}')
    (config.app / "chat").mkdir()
    (config.app / "chat" / f"{UUID}.jsonl").write_text('{"a":1}\n')
    (config.app / "settings.json").write_text('{"theme": "dark"}')
    (config.app / "access.json").write_text('{"key":"sk-access"}')
    (config.home / ".ssh").mkdir()
    (config.home / ".ssh/id").write_text("sk-ssh")


def manifest(top: Path) -> dict[str, Any]:
    """Every name below, with kind, mode, date and content; of pipes nothing."""
    found: dict[str, Any] = {}
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in folders + files:
            path = Path(os.fsdecode(folder + b"/" + name))
            status = path.lstat()
            if path.is_symlink():
                found[str(path.relative_to(top))] = ("link", str(path.readlink()))
            elif path.is_dir():
                found[str(path.relative_to(top))] = (oct(status.st_mode), status.st_mtime_ns)
            elif path.is_file():
                found[str(path.relative_to(top))] = (
                    oct(status.st_mode),
                    status.st_mtime_ns,
                    path.read_bytes(),
                )
    return found


def archive_of(config: Config, secrets: bool = False) -> bytes:
    return b"".join(export(config, secrets=secrets))


@pytest.fixture
def full(tmp_path: Path) -> Config:
    config = workspace_config(tmp_path / "old")
    fill(config)
    return config


@pytest.fixture
def fresh(tmp_path: Path) -> Config:
    return workspace_config(tmp_path / "new")


def intake(config: Config, told: Callable[[Import], None] = lambda _now: None) -> Intake:
    return Intake(config, Trash(Workspace(config.workspace), config.app / "trash"), told)


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "archive.tar.gz"
        path.write_bytes(data)
        return path

    return write


def test_what_goes_out_comes_in_byte_for_byte(
    full: Config, fresh: Config, put: Callable[[bytes], Path]
) -> None:
    arriving = intake(fresh)
    ready = arriving.check(put(archive_of(full)))
    assert (ready.state, ready.differ) == ("ready", 0)
    assert list(fresh.workspace.iterdir()) == []
    assert arriving.apply("keep").state == "done"
    assert manifest(fresh.workspace) == manifest(full.workspace)
    assert manifest(fresh.claude_config / "projects") == manifest(full.claude_config / "projects")
    assert manifest(fresh.app / "chat") == manifest(full.app / "chat")
    assert (fresh.app / "settings.json").read_text() == '{"theme": "dark"}'
    assert (fresh.claude_config / "CLAUDE.md").read_text() == "Be kind.\n"


def test_pages_hear_how_a_check_has_ended_after_they_heard_that_it_goes_on(
    full: Config, fresh: Config, put: Callable[[bytes], Path]
) -> None:
    """An answer to another question may overtake what a socket says."""
    heard: list[str] = []
    arriving = intake(fresh, lambda now: heard.append(now.state))
    data = archive_of(full)
    arriving.check(put(data))
    assert (heard[0], heard[-1]) == ("checking", "ready")
    with pytest.raises(BadArchive):
        arriving.check(put(data[: len(data) // 2]))
    assert heard[-1] == "none"


def test_no_secret_is_in_an_archive_unless_asked_for(full: Config) -> None:
    plain = gzip.decompress(archive_of(full))
    everything = gzip.decompress(archive_of(full, secrets=True))
    for secret in (b"sk-ant-oat", b"sk-ant-api", b"sk-env", b"sk-ssh"):
        assert secret not in plain
        assert secret in everything
    assert b"sk-access" not in plain + everything


def test_any_program_can_unpack_an_archive(full: Config) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive_of(full))) as tar:
        names = tar.getnames()
        assert (names[0], names[-1]) == (HEAD, END)
        file = tar.extractfile("workspace/a/b/run.sh")
        assert file is not None
        assert file.read() == b"#!/bin/sh\n"


@pytest.mark.parametrize("cut", [0, 1, 100, 0.5, -1, -9, -600])
def test_an_archive_that_is_cut_off_brings_nothing_in(
    full: Config, fresh: Config, put: Callable[[bytes], Path], cut: float
) -> None:
    data = archive_of(full)
    end = int(len(data) * cut) if isinstance(cut, float) else cut
    arriving = intake(fresh)
    with pytest.raises(BadArchive):
        arriving.check(put(data[:end]))
    assert (list(fresh.workspace.iterdir()), list(fresh.app.iterdir())) == ([], [])
    assert arriving.now().state == "none"


def test_an_archive_with_another_byte_brings_nothing_in(
    full: Config, fresh: Config, put: Callable[[bytes], Path]
) -> None:
    data = gzip.decompress(archive_of(full)).replace(b"#!/bin/sh", b"#!/bin/rm", 1)
    with pytest.raises(BadArchive, match="not what it was"):
        intake(fresh).check(put(gzip.compress(data, 1)))


def forged(*members: tuple[str, str, bytes]) -> bytes:
    """An archive of somebody who means harm: (kind, name, content or target)."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        head = b'{"format":1,"name":"a","email":"b","made_at":"c","secrets":true}'
        for kind, name, content in [
            ("file", HEAD, head),
            *members,
            ("file", END, b'{"entries":0,"digest":""}'),
        ]:
            info = tarfile.TarInfo(name)
            info.type = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}[kind]
            if kind == "file":
                info.size = len(content)
            else:
                info.linkname = content.decode()
            tar.addfile(info, io.BytesIO(content))
    return held.getvalue()


@pytest.mark.parametrize(
    "members",
    [
        [("file", "workspace/../../escaped", b"x")],
        [("file", "/escaped", b"x")],
        [("file", "../escaped", b"x")],
        [("file", "workspace", b"x")],
        [("file", "app/access.json", b"x")],
        [("file", "elsewhere/a", b"x")],
        [("link", "workspace/out", b"{outside}"), ("file", "workspace/out/escaped", b"x")],
        [("link", "workspace/out", b"{outside}/escaped"), ("file", "workspace/out", b"x")],
        [("hard", "workspace/out", b"/etc/passwd")],
    ],
)
def test_an_archive_that_means_harm_writes_nothing_outside(
    fresh: Config, put: Callable[[bytes], Path], tmp_path: Path, members: list[tuple[str, str, bytes]]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    aimed = [(kind, name, data.replace(b"{outside}", str(outside).encode())) for kind, name, data in members]
    with pytest.raises(BadArchive):
        intake(fresh).check(put(forged(*aimed)))
    assert list(tmp_path.rglob("escaped")) == []
    assert list(fresh.app.iterdir()) == []


@pytest.mark.parametrize(
    ("existing", "after", "trashed"),
    [
        ("keep", {"large.bin": b"mine"}, []),
        ("rename", {"large.bin": b"mine", "large (2).bin": b"theirs"}, []),
        ("trash", {"large.bin": b"theirs"}, ["large.bin"]),
    ],
)
def test_what_is_there_already_is_never_lost(
    full: Config,
    fresh: Config,
    put: Callable[[bytes], Path],
    existing: str,
    after: dict[str, bytes],
    trashed: list[str],
) -> None:
    (full.workspace / "large.bin").write_bytes(b"theirs")
    (fresh.workspace / "large.bin").write_bytes(b"mine")
    (fresh.app / "settings.json").write_text('{"theme": "light"}')
    arriving = intake(fresh)
    ready = arriving.check(put(archive_of(full)))
    assert sorted(ready.differing) == ["app/settings.json", "workspace/large.bin"]
    arriving.apply(existing)
    assert {path.name: path.read_bytes() for path in fresh.workspace.glob("large*")} == after
    trash = Trash(Workspace(fresh.workspace), fresh.app / "trash")
    assert [one.path for one in trash.listed()] == trashed
    assert (fresh.app / "settings.json").read_text() == '{"theme": "light"}'


def test_an_import_that_was_killed_anywhere_goes_on_from_there(
    full: Config, tmp_path: Path, put: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = put(archive_of(full))
    wanted = manifest(full.workspace)
    for step in range(200):
        config = workspace_config(tmp_path / f"try-{step}")
        intake(config).check(data)
        calls = iter(range(step))
        for name in ("rename", "mkdir", "utime", "unlink", "link", "open"):
            real = getattr(os, name)

            def dying(*arguments: Any, real: Any = real, calls: Any = calls, **more: Any) -> Any:
                if next(calls, None) is None:
                    raise KeyboardInterrupt  # like a kill: nothing that comes after it is done
                return real(*arguments, **more)

            monkeypatch.setattr(f"webapp.data.intake.os.{name}", dying)
        try:
            intake(config).apply("rename")
            finished = True
        except KeyboardInterrupt:
            finished = False
        monkeypatch.undo()
        again = intake(config)
        assert again.now().state in {"ready", "applying", "done"}
        again.apply("rename")
        assert manifest(config.workspace) == wanted, step
        if finished:
            return
    raise AssertionError("it never came to its end")


@pytest.fixture
def page(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def test_the_page_exports_and_another_workspace_imports(
    served: Served, page: httpx.Client, tmp_path: Path
) -> None:
    fill(served.config)
    answer = page.get("/api/data/export")
    assert answer.headers["content-disposition"].startswith('attachment; filename="my-jarvis-lilach-')
    other = workspace_config(tmp_path / "other")
    with serving(other, NoChat()) as there, there.client() as client:
        size = len(answer.content)
        upload = client.post("/api/uploads", json={"path": None, "size": size}).json()
        early = client.post("/api/data/import", json={"upload": upload["id"]})
        assert early.status_code == 409
        client.put(f"/api/uploads/{upload['id']}", params={"offset": 0}, content=answer.content)
        ready = client.post("/api/data/import", json={"upload": upload["id"]}).json()
        assert (ready["state"], ready["from"]["name"], ready["files"]) == ("ready", "Lilach", 8)
        assert client.get("/api/data/import").json() == ready
        assert client.post("/api/data/import/apply", json={}).json()["state"] == "done"
        assert client.get("/api/boot").json()["settings"]["theme"] == "dark"
        assert client.delete("/api/data/import").status_code == 204
        assert client.get("/api/data/import").json()["state"] == "none"
    assert manifest(other.workspace) == manifest(served.config.workspace)


def test_what_is_no_archive_is_said(page: httpx.Client) -> None:
    upload = page.post("/api/uploads", json={"path": None, "size": 5}).json()
    page.put(f"/api/uploads/{upload['id']}", params={"offset": 0}, content=b"hello")
    answer = page.post("/api/data/import", json={"upload": upload["id"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_archive")
    assert page.post("/api/data/import/apply", json={}).status_code == 409


def test_usage_counts_each_part_once(served: Served, page: httpx.Client) -> None:
    (served.config.workspace / "a").write_bytes(b"x" * 1000)
    (served.config.app / "trash").mkdir()
    (served.config.app / "trash/b").write_bytes(b"x" * 100)
    projects = served.config.claude_config / "projects"
    projects.mkdir()
    (projects / "c").write_bytes(b"x" * 10)
    answer = page.get("/api/data/usage").json()
    wanted = {"workspace": 1000, "trash": 100, "conversations": 10, "claude": 0}
    assert {name: answer["parts"][name] for name in wanted} == wanted
    assert 0 < answer["disk"]["free"] <= answer["disk"]["total"]
