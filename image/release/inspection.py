"""What an image holds, read out of it: packages, what its server imports, the page's files, each layer's."""

from __future__ import annotations

import hashlib
import io
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from os.path import commonpath
from typing import IO, TYPE_CHECKING, Any

from fly.lazy import Lazy
from image.build import STAGE_LABEL

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

PYTHON = "/opt/jarvis/venv/bin/python"
PIECES: Mapping[str, str] = {
    "debian": r"dpkg-query -W -f '${Package} ${Version}\n'",
    "python": f"{PYTHON} -Ic 'import importlib.metadata as m;"
    " [print(d.name, d.version) for d in m.distributions()]'",
    "imports": f"for time in 1 2 3; do {PYTHON} -IX importtime -c 'import webapp.app' 2>&1; done",
    "npm": "grep -B1 -xE -- '-{72}' /opt/jarvis/app/static/licences.txt | grep -xE '@?[a-z][^ ]* [0-9][^ ]*'",
    "claude": "cat /opt/claude/version",
    "assets": "cd /opt/jarvis/app/static && find . -name '*.br' -printf '%P %s\\n'",
}
MARK = "=== piece "
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
HASH = re.compile(r"-[\w-]{8}(?=\.)")
LARGEST_FILES = 12
SMALLEST_LAYER = tarfile.BLOCKSIZE * 2


def inspect(client: docker.DockerClient, image: str) -> dict[str, Any]:
    """What it tells of itself, to be kept for comparisons. What it cannot tell is missing.

    *Shape*: {"debian": {"bash": "5.2"}, "python": {…}, "npm": {…}, "imports": {"starlette": 12.5},
    "assets": {"main.js": 20.1}, "claude": "2.1.0"}
    *Units*: imports in milliseconds, assets in KB as sent.
    """
    try:
        said = _ask(client, image)
    except (docker.errors.DockerException, requests.RequestException) as error:
        return {"trouble": str(error)}
    return {
        "debian": _versions(said["debian"]),
        "python": _versions(said["python"]),
        "npm": _versions(said["npm"]),
        "imports": _imports(said["imports"]),
        "assets": _assets(said["assets"]),
        "claude": " ".join(said["claude"]).partition(" ")[0],
    }


def _ask(client: docker.DockerClient, image: str) -> dict[str, list[str]]:
    script = "".join(f"echo '{MARK}{name}'\n({command}) 2>/dev/null\n" for name, command in PIECES.items())
    output = client.containers.run(
        image,
        entrypoint=["sh", "-c"],
        command=[script + "true"],
        network_mode="none",
        user="root",
        remove=True,
        labels={STAGE_LABEL: "reading"},
    )
    pieces: dict[str, list[str]] = {name: [] for name in PIECES}
    name = ""
    for line in output.decode(errors="replace").splitlines():
        if line.startswith(MARK):
            name = line.removeprefix(MARK)
        elif name in pieces:
            pieces[name].append(line)
    return pieces


def _versions(lines: Iterable[str]) -> dict[str, str]:
    return dict(sorted(line.split(" ", 1) for line in lines if " " in line))


def _imports(lines: Iterable[str]) -> dict[str, float]:
    """The best time of each, by package: the server's own modules one by one, others together."""
    best: dict[str, int] = {}
    for line in lines:
        if found := IMPORT.match(line):
            best[found[2]] = min(int(found[1]), best.get(found[2], sys.maxsize))
    spent: dict[str, float] = defaultdict(float)
    for module, took_us in best.items():
        spent[module if module.startswith("webapp.") else module.partition(".")[0]] += took_us / 1000
    return {name: round(ms, 2) for name, ms in sorted(spent.items(), key=lambda item: -item[1])}


def _assets(lines: Iterable[str]) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in lines if " " in line)
    return {HASH.sub("", name).removesuffix(".br"): int(size) / 1000 for name, size in pairs}


# --- layers -----------------------------------------------------------------------------------------


def read_layers(client: docker.DockerClient, image: str) -> dict[str, Any]:
    """By each layer's digest the folder that holds all of it, and its largest files.

    *Shape*: {"layers": {"sha256:…": {"folder": "/opt/a", "files": {"/opt/a/b": 381121}}}}
    *Units*: bytes.
    """
    try:
        return {"layers": _layers(client.images.get(image))}
    except (docker.errors.DockerException, requests.RequestException, tarfile.TarError) as error:
        return {"trouble": str(error)}


def _layers(found: Any) -> dict[str, dict[str, Any]]:
    """Read as a stream, never on disk."""
    layers = {}
    with tarfile.open(fileobj=Stream(found.save(chunk_size=1 << 20)), mode="r|") as saved:
        for member in saved:
            stream = saved.extractfile(member) if member.isfile() and member.size >= SMALLEST_LAYER else None
            if stream is None:
                continue
            hashing = _Hashing(stream)
            if (told := _read_layer(hashing)) is not None:
                layers[hashing.digest()] = told
    return layers


def _read_layer(stream: _Hashing) -> dict[str, Any] | None:
    """None for what is no tar: the JSON that lies beside the layers."""
    sizes: dict[str, int] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|") as layer:
            for entry in layer:
                if entry.isfile():
                    sizes[f"/{entry.name.removeprefix('./')}"] = entry.size
    except tarfile.ReadError:
        return None
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:LARGEST_FILES]
    return {"folder": _folder(sizes), "files": dict(largest), "count": len(sizes)}


def _folder(sizes: Mapping[str, int]) -> str:
    """The deepest folder that nearly all of its weight lies in."""
    weight = sum(sizes.values())
    heavy, seen = [], 0
    for path, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if seen >= 0.9 * weight:
            break
        heavy.append(path.rpartition("/")[0] or "/")
        seen += size
    return commonpath(heavy) if heavy else "/"


class Stream(io.RawIOBase):
    """The chunks of an answer as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, b"")):
            self._rest += chunk
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class _Hashing(io.RawIOBase):
    """A file whose SHA-256 is taken while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._hash.update(content)
        return content

    def digest(self) -> str:
        """Of all of it, also of what nobody has read yet."""
        while self.read(1 << 20):
            pass
        return f"sha256:{self._hash.hexdigest()}"
