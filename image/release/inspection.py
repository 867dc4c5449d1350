"""What an image holds, read out of it: packages, what its server imports, the page's files, each layer's."""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from os.path import commonpath
from pathlib import Path
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


def save(client: docker.DockerClient, image: str, path: Path) -> Path:
    """All of the image in one archive, as `docker save` writes it; it is at its path only once it is whole.

    The engine works for seconds on each: so there is one for all who read layers.
    """
    part = part_of(path)
    found: Any = client.images.get(image)
    with part.open("wb") as file:
        for chunk in found.save(chunk_size=1 << 20):
            file.write(chunk)
    return part.rename(path)


def part_of(path: Path) -> Path:
    """Where it is before it is whole."""
    return path.with_suffix(".part")


def read_layers(archive: Path) -> dict[str, Any]:
    """By each layer's digest the folder that holds all of it, and its largest files.

    *Shape*: {"layers": {"sha256:…": {"folder": "/opt/a", "files": {"/opt/a/b": 381121}}}}
    *Units*: bytes.
    """
    try:
        return {"layers": {digest: _read_layer(layer) for digest, layer in layers_of(archive)}}
    except (OSError, tarfile.TarError) as error:
        return {"trouble": str(error)}


def layers_of(archive: Path) -> Iterator[tuple[str, tarfile.TarFile]]:
    """Each layer of a saved image, the lowest first, by the digest that the image calls it."""
    with tarfile.open(archive) as saved:
        manifest = json.load(_member(saved, "manifest.json"))[0]
        digests = json.load(_member(saved, manifest["Config"]))["rootfs"]["diff_ids"]
        for digest, name in zip(digests, manifest["Layers"], strict=True):
            with tarfile.open(fileobj=_member(saved, name)) as layer:
                yield digest, layer


def _member(saved: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of the archive; where two layers are the same the second may be a link to the first."""
    found = saved.extractfile(name)
    assert found is not None, name
    return found


def _read_layer(layer: tarfile.TarFile) -> dict[str, Any]:
    sizes = {f"/{entry.name.removeprefix('./')}": entry.size for entry in layer if entry.isfile()}
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
