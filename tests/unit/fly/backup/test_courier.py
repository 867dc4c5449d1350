"""What carries a volume: what it holds arrives exactly, and what does not arrive is noticed."""

import io
import os
import socket
from pathlib import Path

import pytest

from fly.backup.courier import Broken, Seal, fill, measure, read, write

NAME, DEEP = "a name of twenty one!", 300
"""More than the 4096 signs that a path may have."""


@pytest.fixture
def lived_in(folder: Path) -> Path:
    top = folder / "data"
    (top / "workspace" / "Letters of 2026").mkdir(parents=True)
    (top / "workspace" / "Letters of 2026" / "מכתב.txt").write_text("שלום")
    (top / "workspace" / "empty").touch(mode=0o600)
    script = top / "workspace" / "run.sh"
    script.write_text("echo it runs")
    script.chmod(0o4750)
    (top / "workspace" / "link").symlink_to("/nowhere/at all")
    os.link(script, top / "workspace" / "same.sh")
    os.mkfifo(top / "workspace" / "pipe", 0o620)
    (top / os.fsdecode(b"no \xff utf-8 \n")).write_bytes(os.urandom(1_100_001))
    hole = top / "hole"
    hole.touch()
    os.truncate(hole, 20_000_000)
    for number, path in enumerate(sorted(top.rglob("*"))):
        os.utime(path, ns=(1, 1_700_000_000_123_456_789 + number), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(path, 1000 + number, 1000, follow_symlinks=False)
    (top / "lost+found").mkdir(mode=0o700)
    (top / "lost+found" / "#12").touch()
    top.chmod(0o711)
    return top


def packed(top: Path) -> tuple[bytes, Seal]:
    out = io.BytesIO()
    seal = write(str(top), out.write)
    return out.getvalue(), seal


def exact(top: Path) -> dict[Path, tuple[int, ...]]:
    """Dates to the nanosecond too."""
    found = {path.relative_to(top): path.lstat() for path in sorted(top.rglob("*"))}
    return {
        path: (one.st_mode, one.st_uid, one.st_gid, one.st_mtime_ns, one.st_nlink)
        for path, one in found.items()
        if path.parts[0] != "lost+found"
    }


def test_everything_arrives_exactly_as_it_was(lived_in: Path, folder: Path) -> None:
    stream, seal = packed(lived_in)
    target = folder / "target"
    (target / "lost+found").mkdir(parents=True)
    (target / "what an earlier try left" / "deep").mkdir(parents=True)
    assert read(io.BytesIO(stream)) == seal == measure(str(lived_in))
    assert fill(str(target), io.BytesIO(stream)) == seal
    assert measure(str(target)) == seal
    assert exact(target) == exact(lived_in)
    assert (target / "hole").stat().st_blocks < 100
    assert (target / "workspace" / "run.sh").stat().st_nlink == 2
    assert list((target / "lost+found").iterdir()) == []


def test_a_path_may_be_longer_than_the_system_takes(folder: Path) -> None:
    top = folder / "data"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(DEEP):
        os.mkdir(NAME, dir_fd=at)
        below = os.open(NAME, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    stream, seal = packed(top)
    (folder / "target").mkdir()
    assert fill(str(folder / "target"), io.BytesIO(stream)) == seal == measure(str(folder / "target"))


def test_the_same_content_makes_the_same_stream(lived_in: Path) -> None:
    assert packed(lived_in) == packed(lived_in)


def test_sockets_stay_behind(lived_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = measure(str(lived_in)).files
    monkeypatch.chdir(lived_in)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("agent.sock")
        stream, seal = packed(lived_in)
    assert seal.files == before
    assert b"agent.sock" not in stream


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999999])
def test_a_stream_that_breaks_off_is_noticed(lived_in: Path, kept: float) -> None:
    stream, _ = packed(lived_in)
    with pytest.raises(Broken):
        read(io.BytesIO(stream[: int(len(stream) * kept) if kept < 0.99 else len(stream) - 1024 - 10240]))


def test_a_bit_that_turned_over_is_noticed(lived_in: Path) -> None:
    stream, _ = packed(lived_in)
    at = stream.index("שלום".encode())
    with pytest.raises(Broken, match="not what its seal says"):
        read(io.BytesIO(stream[:at] + b"\0" + stream[at + 1 :]))


@pytest.mark.parametrize("change", ["content", "mode", "mtime", "gone", "link"])
def test_no_change_on_the_volume_keeps_its_seal(lived_in: Path, change: str) -> None:
    before = measure(str(lived_in))
    file, link = lived_in / "workspace" / "run.sh", lived_in / "workspace" / "link"
    match change:
        case "content":
            stamp = file.stat().st_mtime_ns
            file.write_text("echo it Runs")
            os.utime(file, ns=(stamp, stamp))
        case "mode":
            file.chmod(0o755)
        case "mtime":
            os.utime(file, ns=(1, file.stat().st_mtime_ns + 1_000_000_000))
        case "gone":
            stamp = link.parent.stat().st_mtime_ns
            link.unlink()
            os.utime(link.parent, ns=(stamp, stamp))
        case "link":
            stamp, above = link.lstat().st_mtime_ns, link.parent.stat().st_mtime_ns
            link.unlink()
            link.symlink_to("/elsewhere")
            os.utime(link, ns=(stamp, stamp), follow_symlinks=False)
            os.utime(link.parent, ns=(above, above))
    assert measure(str(lived_in)) != before
