"""What a courier would answer, on a volume of the fake platform: its own streams and seals, in memory."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import PurePosixPath

import httpx

from fly.backup import courier
from fly.backup.courier import Broken, Entry, Seal, Sealing

FOLDER = "/"
"""What stands for a folder in the contents of a fake volume."""


def answer(request: httpx.Request, there: dict[str, str]) -> httpx.Response:
    """For whoever has shown the key; `there` is what lies on the volume, text by path."""
    asked = f"{request.method} {request.url.path}"
    if asked == "GET /courier":
        return httpx.Response(200, json={"ready": True, "trouble": ""})
    if asked == "GET /courier/copy":
        return httpx.Response(200, content=stream_of(there))
    if asked == "GET /courier/seal":
        return httpx.Response(200, json=asdict(seal_of(there)))
    if asked == "PUT /courier/data":
        return _filled(request.content, there)
    return httpx.Response(503)


def _filled(stream: bytes, there: dict[str, str]) -> httpx.Response:
    there.clear()
    try:
        there.update(contents_of(stream))
    except Broken:
        return httpx.Response(500)
    return httpx.Response(200, json=asdict(seal_of(there)))


def stream_of(there: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        for entry, content in _entries(there):
            tar.addfile(courier._member(entry), io.BytesIO(content))
        said = json.dumps(asdict(seal_of(there))).encode()
        info = tarfile.TarInfo(courier.SEAL)
        info.size = len(said)
        tar.addfile(info, io.BytesIO(said))
    return out.getvalue()


def seal_of(there: dict[str, str]) -> Seal:
    sealing = Sealing()
    for entry, content in _entries(there):
        sealing.add(entry, hashlib.sha256(content).digest() if entry.kind == courier.FILE else b"")
    return sealing.seal()


def contents_of(stream: bytes) -> dict[str, str]:
    """*Errors*: Broken."""
    found: dict[str, str] = {}

    def take(entry: Entry, pieces: Iterator[bytes]) -> None:
        if entry.name:
            is_file = entry.kind == courier.FILE
            found[entry.name.decode()] = b"".join(pieces).decode() if is_file else FOLDER

    courier.read(io.BytesIO(stream), take)
    return found


def _entries(there: dict[str, str]) -> Iterator[tuple[Entry, bytes]]:
    """Depth first, in order; a file's folders are there too."""
    above = {str(folder): FOLDER for path in there for folder in PurePosixPath(path).parents if folder.name}
    yield Entry(courier.FOLDER, b"", 0o755, 0, 0, 0), b""
    for path, text in sorted((above | there).items(), key=lambda item: item[0].split("/")):
        content = b"" if text == FOLDER else text.encode()
        kind = courier.FOLDER if text == FOLDER else courier.FILE
        yield Entry(kind, path.encode(), 0o644, 1000, 1000, 0, len(content)), content
