"""What lies in the layers, also what a later layer hides: whoever can pull the image can read all of it."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from typing import IO, Any

import docker

from image.release.inspection import Stream

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


def test_no_layer_holds_a_secret_or_hides_a_file(docker_client: docker.DockerClient, image: str) -> None:
    """No layer holds a secret, hides what a layer below holds, or holds Claude's binary a second time."""
    secrets, hidden, claudes = [], [], []
    for layer, entry, content in _all_entries(docker_client, image):
        if any(sign in content for sign in SIGNS) and SECRET.search(content):
            secrets.append(f"{layer}: {entry.name}")
        folder, _, name = entry.name.rpartition("/")
        if name.startswith(".wh.") and name != OPAQUE and not MAY_BE_HIDDEN.match(folder):
            hidden.append(f"{layer}: {entry.name}")
        if entry.name.removeprefix("./") == CLAUDE:
            claudes.append(layer)
    assert (secrets, hidden) == ([], [])
    assert len(claudes) == 1


def _all_entries(client: docker.DockerClient, image: str) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """Layer, entry and (of small files) content; read from the engine's stream, never on disk."""
    found: Any = client.images.get(image)
    layers = 0
    with tarfile.open(fileobj=Stream(found.save(chunk_size=1 << 20)), mode="r|") as saved:
        for member in saved:
            if (stream := _layer(saved, member)) is None:
                continue
            layers += 1
            with tarfile.open(fileobj=stream, mode="r|*") as layer:
                for entry in layer:
                    yield f"layer {layers}", entry, _content(layer, entry)
    assert layers == len(set(found.attrs["RootFS"]["Layers"])), f"only {layers} layers were read"


def _layer(saved: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes] | None:
    """The tar of a layer; None for the JSON and other short notes that lie beside them."""
    stream = saved.extractfile(member) if member.isfile() else None
    if stream is None or member.size > LARGEST_TEXT:
        return stream
    whole = stream.read()
    return io.BytesIO(whole) if len(whole) >= tarfile.BLOCKSIZE and whole[:1] not in b"{[" else None


def _content(layer: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = layer.extractfile(entry) if entry.isfile() and entry.size <= LARGEST_TEXT else None
    return stream.read() if stream else b""
