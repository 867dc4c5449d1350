"""What lies in the layers, also what a later layer hides: whoever can pull the image can read all of it."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from image.release.inspection import layers_of, save
from tests.support.wait import wait_until

SECRET = re.compile(
    rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----"
    rb"|sk-ant-(?:oat|ort|api)\d\d-[\w-]{20}|\bFlyV1 [\w+/=]{20}|\bgh[pousr]_\w{36}",
    re.MULTILINE,
)
SIGNS = (b"PRIVATE KEY", b"sk-ant-", b"FlyV1 ", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")
"""One of these stands in every secret; looking for them first is many times faster."""
LARGEST_TEXT = 1 << 20
OPAQUE = ".wh..wh..opq"
"""Stands in each new folder of some storage drivers, and tells nothing."""
MAY_BE_HIDDEN = re.compile(r"(etc|run|tmp|var|usr/share/(doc|info|locale|man|lintian))(/|$)")
CLAUDE = "opt/claude/claude"
CAPABILITIES = "SCHILY.xattr.security.capability"
"""As the engine writes what `setcap` gave a file."""


@pytest.fixture(scope="module")
def saved(
    docker_client: docker.DockerClient,
    image: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """All of the image in one file: the one that whoever started the tests saves for himself, or our own."""
    given: Path | None = request.config.getoption("--saved")
    if given is not None:
        wait_until(given.exists, "the image to be saved", timeout_s=60)
        yield given
    else:
        own = save(docker_client, image, tmp_path_factory.mktemp("saved") / "image.tar")
        yield own
        own.unlink()


def test_no_layer_holds_a_secret_or_hides_a_file(saved: Path) -> None:
    """No layer holds a secret, hides what a layer below holds, or holds Claude's binary a second time."""
    secrets, hidden, claudes = [], [], []
    for layer, entry, content in _all_entries(saved):
        if any(sign in content for sign in SIGNS) and SECRET.search(content):
            secrets.append(f"{layer}: {entry.name}")
        folder, _, name = entry.name.rpartition("/")
        if name.startswith(".wh.") and name != OPAQUE and not MAY_BE_HIDDEN.match(folder):
            hidden.append(f"{layer}: {entry.name}")
        if entry.name.removeprefix("./") == CLAUDE:
            claudes.append(layer)
    assert (secrets, hidden) == ([], [])
    assert len(claudes) == 1


def test_no_layer_holds_a_file_with_capabilities(saved: Path) -> None:
    """No file in any layer gives the program that it is a capability of root's."""
    given = [
        entry.name for _, layer in layers_of(saved) for entry in layer if CAPABILITIES in entry.pax_headers
    ]
    assert given == []


def _all_entries(saved: Path) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """Layer, entry and (of small files) content."""
    for number, (_, layer) in enumerate(layers_of(saved), 1):
        for entry in layer:
            yield f"layer {number}", entry, _content(layer, entry)


def _content(layer: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = layer.extractfile(entry) if entry.isfile() and entry.size <= LARGEST_TEXT else None
    return stream.read() if stream else b""
