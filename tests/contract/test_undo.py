"""A bump that is killed: what it has left is undone, on a real engine's names and real files."""

from __future__ import annotations

import io
import secrets
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from fly.errors import BuildError
from image.release import undo

FILES = ("pyproject.toml", "image/node.lock")
KILLED = """
import os, signal, sys
from pathlib import Path
import docker
from image.release import undo
folder, tag, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
client = docker.from_env()
with undo.only_one(folder), undo.written_down(client, folder, folder, sys.argv[4:], [tag]):
    (folder / "pyproject.toml").write_text("half")
    (folder / "image/node.lock").write_text("new")
    repository, _, name = tag.rpartition(":")
    client.api.tag(other, repository, name)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def images(docker_client: docker.DockerClient) -> Iterator[tuple[str, str, str]]:
    """A name, and two images: it stands for the first."""
    repository, name = "my-jarvis-undo", secrets.token_hex(4)
    names = (name, f"{name}-first", f"{name}-second")
    try:
        first, second = (_import(docker_client, repository, one) for one in names[1:])
        docker_client.api.tag(first, repository, name)
        yield f"{repository}:{name}", first, second
    finally:
        for one in names:
            with suppress(docker.errors.ImageNotFound):
                docker_client.images.remove(f"{repository}:{one}", force=True)


def _import(client: docker.DockerClient, repository: str, name: str) -> str:
    content, packed = name.encode(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("content")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    client.api.import_image_from_data(packed.getvalue(), repository, name)
    return str(client.images.get(f"{repository}:{name}").id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_bytes(b"a = 1\r\n")
    (tmp_path / "image").mkdir()
    return tmp_path


def test_a_killed_bump_is_undone_once_and_nothing_is_lost(
    docker_client: docker.DockerClient, images: tuple[str, str, str], folder: Path
) -> None:
    tag, first, second = images
    command = (sys.executable, "-c", KILLED, str(folder), tag, second, *FILES)
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert docker_client.images.get(tag).id == second

    with undo.only_one(folder):
        assert undo.undo_killed(docker_client, folder, folder) == [*FILES, tag]
    assert (folder / "pyproject.toml").read_bytes() == b"a = 1\r\n"
    assert not (folder / "image/node.lock").exists()
    assert docker_client.images.get(tag).id == first
    assert (folder / undo.ASIDE / "pyproject.toml").read_text() == "half"
    assert undo.undo_killed(docker_client, folder, folder) == []


def test_a_bump_that_fails_is_undone_at_once_and_one_that_is_whole_stays(
    docker_client: docker.DockerClient, images: tuple[str, str, str], folder: Path
) -> None:
    (tag, first, second), path = images, folder / "pyproject.toml"

    def moves(trouble: type[BaseException] | None) -> None:
        with undo.written_down(docker_client, folder, folder, FILES, [tag]):
            path.write_text("moved")
            repository, _, name = tag.rpartition(":")
            docker_client.api.tag(second, repository, name)
            if trouble:
                raise trouble

    with pytest.raises(KeyboardInterrupt):
        moves(KeyboardInterrupt)
    assert path.read_bytes() == b"a = 1\r\n"
    assert docker_client.images.get(tag).id == first
    moves(None)
    assert path.read_text() == "moved"
    assert docker_client.images.get(tag).id == second
    assert undo.undo_killed(docker_client, folder, folder) == []


def test_two_bumps_at_once_are_one_too_many(folder: Path) -> None:
    with undo.only_one(folder), pytest.raises(BuildError, match="under way"), undo.only_one(folder):
        pass
