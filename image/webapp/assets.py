"""The page and its files: compressed when the page was built, cached for ever where the name holds a hash."""

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from webapp.guard import page_policy
from webapp.problem import not_found

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
ENCODINGS = {"br": ".br", "gzip": ".gz"}  # best first
STRANGE = frozenset("\\\0")
FOR_EVER = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"
HASHED = ("assets/", "sign-in/assets/")
FILES_ALONE = (
    "assets/",
    "sign-in/",
    "icon",
    "manifest.webmanifest",
)  # never the page in their place
INLINE = re.compile(rb"<(script|style)\b([^>]*)>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Content:
    """A file's bytes as they are sent, and the name of exactly these bytes."""

    data: bytes
    etag: str


class Assets:
    def __init__(self, root: Path) -> None:
        self._root = root

    def routes(self) -> list[Route]:
        """To be the last: everything that nothing else answered."""
        return [Route("/{path:path}", self._serve, methods=["GET"])]

    async def _serve(self, request: Request) -> Response:
        path: str = request.path_params["path"]
        if path == "api" or path.startswith("api/"):
            raise not_found("such route")
        if any(part.startswith(".") or set(part) & STRANGE for part in path.split("/")):
            raise not_found("such page")
        file = self._find(path)
        if file is None and path.startswith(FILES_ALONE):
            raise not_found("such file")
        return self._page(request) if file is None else _answer(request, file)

    def _find(self, path: str) -> Path | None:
        """The file of this path, if it is one of the page's and not its frame."""
        if path.endswith("index.html") or Path(path).suffix not in TYPES:
            return None
        file = self._root.joinpath(*path.split("/"))
        return file if file.is_file() else None

    def _page(self, request: Request) -> Response:
        """The frame of the page, for `/` and for every address that the page itself takes apart."""
        index = self._root / "index.html"
        if not index.is_file():
            return PlainTextResponse(f"page not built: there is no {index}\n", 500)
        response = _answer(request, index)
        response.headers["content-security-policy"] = _policy(_content(index))
        return response

    def sign_in(self, _request: Request) -> Response:
        """The page for who is not in, whatever page was asked for: it leads there, once she is."""
        index = self._root / "sign-in" / "index.html"
        if not index.is_file():
            return PlainTextResponse(f"page not built: there is no {index}\n", 500)
        headers = {"cache-control": "no-store", "content-security-policy": page_policy()}
        return Response(_content(index).data, 401, headers, media_type=TYPES[".html"])


def _answer(request: Request, file: Path) -> Response:
    encoding, content = _choose(file, request.headers)
    headers = {
        "cache-control": FOR_EVER if request.path_params["path"].startswith(HASHED) else ASK_EACH_TIME,
        "etag": content.etag,
        "vary": "accept-encoding",
    }
    if content.etag in _etags(request.headers):
        return Response(status_code=304, headers=headers)
    if encoding:
        headers["content-encoding"] = encoding
    return Response(content.data, headers=headers, media_type=TYPES[file.suffix])


def _choose(file: Path, headers: Headers) -> tuple[str | None, Content]:
    accepted = _accepted_encodings(headers.get("accept-encoding", ""))
    for encoding, suffix in ENCODINGS.items():
        compressed = file.with_name(file.name + suffix)
        if encoding in accepted and compressed.is_file():
            return encoding, _content(compressed)
    return None, _content(file)


def _content(path: Path) -> Content:
    status = path.stat()
    return _read(path, status.st_ino, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=128)
def _read(path: Path, *_version: int) -> Content:
    """Kept in memory. Named by the bytes, since an image's files all bear the same date."""
    data = path.read_bytes()
    return Content(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')


def _etags(headers: Headers) -> set[str]:
    return {etag.strip().removeprefix("W/") for etag in headers.get("if-none-match", "").split(",")}


def _accepted_encodings(header: str) -> set[str]:
    names = set()
    for part in header.split(","):
        name, _, weight = part.partition(";")
        if weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            names.add(name.strip().lower())
    return names


@lru_cache(maxsize=4)
def _policy(index: Content) -> str:
    """The page's policy, with the hash of each inline script and style that the build left in it."""
    hashes: dict[bytes, list[str]] = {b"script": [], b"style": []}
    for tag, attributes, text in INLINE.findall(index.data):
        if text.strip() and b"src=" not in attributes:
            digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
            hashes[tag.lower()].append(f"'sha256-{digest}'")
    return page_policy(hashes[b"script"], hashes[b"style"])
