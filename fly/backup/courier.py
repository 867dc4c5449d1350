"""What a machine runs while its volume is copied, filled or measured, in place of the workspace's server.

It comes as a file in the machine's config and needs nothing but Python's standard library, so that it works
with every image that was ever released. The operator's side reads the same streams with the same code.

A stream is a tar: `data` and all below it, depth first and in order of the names' bytes, then `seal.json`,
which says how many entries there were and what they digest to. Whoever reads it can prove it; whoever walks
the volume that it was unpacked to must find the same seal.
"""

import hashlib
import hmac
import io
import json
import os
import resource
import shutil
import signal
import stat
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOP, SEAL = "data", "seal.json"
LOST_AND_FOUND = b"lost+found"
PIECE = 1 << 20
NS = 1_000_000_000
BEAT_S = 5.0
ALONE_S = 1800.0
"""So long nobody asks for anything until it ends by itself: whoever began this is gone."""
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
FILE, FOLDER, LINK, HARD_LINK, PIPE = "file", "folder", "link", "hard link", "pipe"
TYPES = {
    FILE: tarfile.REGTYPE,
    FOLDER: tarfile.DIRTYPE,
    LINK: tarfile.SYMTYPE,
    HARD_LINK: tarfile.LNKTYPE,
    PIPE: tarfile.FIFOTYPE,
}
KINDS = {type_: kind for kind, type_ in TYPES.items()}


class Broken(Exception):  # noqa: N818 - it is read after "raise"
    """The stream is not what it should be; says why, for people."""


@dataclass(frozen=True)
class Seal:
    """What a volume holds, in three numbers. *Units*: `size` is the bytes of all files."""

    files: int
    size: int
    digest: str


@dataclass(frozen=True)
class Entry:
    """Something on the volume; `target` is where a link leads. `name` is empty for the volume's root."""

    kind: str
    name: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    target: bytes = b""


class Sealing:
    """A seal in the making."""

    def __init__(self) -> None:
        self._files = self._size = 0
        self._digest = hashlib.sha256()

    def add(self, entry: Entry, content: bytes = b"") -> None:
        """`content` is the digest of a file's bytes."""
        self._files += entry.kind != FOLDER
        self._size += entry.size
        # Dates to the second: some snapshots keep no more. Nothing of the volume's root, which belongs to
        # whoever mounts it: the image's entrypoint makes it right at every start.
        dated = entry.mtime_ns // NS
        facts = f"{entry.kind} {entry.mode:o} {entry.uid} {entry.gid} {dated} {entry.size}"
        facts = facts if entry.name else entry.kind
        said = (facts.encode(), entry.name, entry.target, content)
        self._digest.update(b"".join(len(part).to_bytes(4, "big") + part for part in said))

    def seal(self) -> Seal:
        return Seal(self._files, self._size, self._digest.hexdigest())


# --- the volume ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """An entry, and how to open it: by its last name in an open folder."""

    entry: Entry
    folder: int
    base: bytes

    def pieces(self) -> Iterator[bytes]:
        """As many bytes as the entry says."""
        left = self.entry.size
        with open(os.open(self.base, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.folder), "rb") as file:
            while left:
                # One that became shorter meanwhile is filled up: its length was said before.
                piece = file.read(min(PIECE, left)) or bytes(min(PIECE, left))
                left -= len(piece)
                yield piece


def walk(top: str) -> Iterator[Found]:
    """All of the volume but sockets and devices, depth first, in order. Paths may be of any length."""
    seen: dict[tuple[int, int], bytes] = {}
    with ExitStack() as all_open:
        root = os.open(top, FOLDER_FLAGS)
        all_open.callback(lambda: _close_all(folder for folder, _, _ in levels))
        levels = [(root, b"", _names(root, top=True))]
        yield Found(_entry(b"", os.fstat(root), b"", seen), root, b".")
        while levels:
            folder, above, names = levels[-1]
            base = next(names, None)
            if base is None:
                os.close(levels.pop()[0])
                continue
            name = above + base
            status = os.lstat(base, dir_fd=folder)
            target = os.readlink(base, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else b""
            entry = _entry(name, status, target, seen)
            if entry.kind:
                yield Found(entry, folder, base)
            if entry.kind == FOLDER:
                below = os.open(base, FOLDER_FLAGS, dir_fd=folder)
                levels.append((below, name + b"/", _names(below)))


def _close_all(folders: Iterable[int]) -> None:
    for folder in folders:
        os.close(folder)


def _names(folder: int, *, top: bool = False) -> Iterator[bytes]:
    names = sorted(map(os.fsencode, os.listdir(folder)))
    return iter([name for name in names if not (top and name == LOST_AND_FOUND)])


def _entry(name: bytes, status: os.stat_result, target: bytes, seen: dict[tuple[int, int], bytes]) -> Entry:
    """Of no kind where it is nothing that can be copied."""
    kind = _kind(status.st_mode)
    if kind in (FILE, PIPE) and status.st_nlink > 1:
        first = seen.setdefault((status.st_dev, status.st_ino), name)
        kind, target = (HARD_LINK, first) if first != name else (kind, b"")
    size = status.st_size if kind == FILE else 0
    mode = stat.S_IMODE(status.st_mode)
    return Entry(kind, name, mode, status.st_uid, status.st_gid, status.st_mtime_ns, size, target)


def _kind(mode: int) -> str:
    asked = ((stat.S_ISREG, FILE), (stat.S_ISDIR, FOLDER), (stat.S_ISLNK, LINK), (stat.S_ISFIFO, PIPE))
    return next((kind for is_it, kind in asked if is_it(mode)), "")


def measure(top: str) -> Seal:
    """The seal of what lies on the volume."""
    sealing = Sealing()
    for found in walk(top):
        sealing.add(found.entry, _digest(found.pieces()) if found.entry.kind == FILE else b"")
    return sealing.seal()


def _digest(pieces: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


# --- the stream ---------------------------------------------------------------------------------------


def write(top: str, out: Callable[[bytes], Any]) -> Seal:
    """The volume's stream, given to `out` piece by piece."""
    sealing = Sealing()
    with tarfile.open(
        fileobj=_Sink(out), mode="w|", bufsize=PIECE, format=tarfile.PAX_FORMAT, encoding="utf-8",
        errors="surrogateescape",
    ) as tar:  # fmt: skip
        for found in walk(top):
            pieces = _Hashed(found.pieces() if found.entry.kind == FILE else iter(()))
            tar.addfile(_member(found.entry), pieces)
            tar.members.clear()  # type: ignore[attr-defined]
            sealing.add(found.entry, pieces.digest() if found.entry.kind == FILE else b"")
        seal = sealing.seal()
        said = json.dumps(asdict(seal)).encode()
        info = tarfile.TarInfo(SEAL)
        info.size = len(said)
        tar.addfile(info, io.BytesIO(said))
    return seal


class _Sink(io.RawIOBase):
    def __init__(self, out: Callable[[bytes], Any]) -> None:
        self._out = out

    def write(self, data: Any) -> int:
        self._out(bytes(data))
        return len(data)


class _Hashed(io.RawIOBase):
    """Pieces, read as a file and digested on the way."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._held) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._hash.update(piece)
            self._held += piece
        size = len(self._held) if size < 0 else size
        given, self._held = self._held[:size], self._held[size:]
        return given

    def digest(self) -> bytes:
        return self._hash.digest()


def _member(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(os.fsdecode(TOP.encode() + (b"/" + entry.name if entry.name else b"")))
    info.type, info.mode, info.uid, info.gid = TYPES[entry.kind], entry.mode, entry.uid, entry.gid
    info.size = entry.size
    info.mtime = entry.mtime_ns // NS
    info.pax_headers = {"mtime": f"{entry.mtime_ns // NS}.{entry.mtime_ns % NS:09d}"}
    prefix = f"{TOP}/" if entry.kind == HARD_LINK else ""
    info.linkname = prefix + os.fsdecode(entry.target) if entry.target else ""
    return info


Take = Callable[[Entry, Iterator[bytes]], None]


def read(stream: Any, take: Take = lambda _entry, _pieces: None) -> Seal:
    """The seal of a stream, read to its end and proven; each entry is given to `take` with its bytes.

    *Errors*: Broken.
    """
    sealing = Sealing()
    told: Any = None
    try:
        with tarfile.open(
            fileobj=stream, mode="r|", bufsize=PIECE, encoding="utf-8", errors="surrogateescape"
        ) as tar:
            while (info := tar.next()) and told is None:
                tar.members.clear()  # type: ignore[attr-defined]
                if info.name == SEAL:
                    told = json.load(tar.extractfile(info) or io.BytesIO())
                else:
                    _read_one(tar, info, take, sealing)
    except (tarfile.TarError, ValueError) as error:
        raise Broken(f"It breaks off or is damaged: {error}") from error
    while stream.read(PIECE):
        pass
    if told is None:
        raise Broken("It breaks off before its end.")
    if told != asdict(sealing.seal()):
        raise Broken("What is in it is not what its seal says.")
    return sealing.seal()


def _read_one(tar: tarfile.TarFile, info: tarfile.TarInfo, take: Take, sealing: Sealing) -> None:
    entry = _entry_of(info)
    file = tar.extractfile(info) if entry.kind == FILE else None
    hashed = _Hashed(iter(lambda: file.read(PIECE), b"") if file else iter(()))
    take(entry, iter(lambda: hashed.read(PIECE), b""))
    while hashed.read(PIECE):
        pass
    sealing.add(entry, hashed.digest() if file else b"")


def _entry_of(info: tarfile.TarInfo) -> Entry:
    whole, _, part = str(info.pax_headers.get("mtime", int(info.mtime))).partition(".")
    mtime_ns = int(whole) * NS + int(part[:9].ljust(9, "0"))
    name, kind = _below_top(info.name), KINDS.get(info.type, "")
    if not kind:
        raise Broken(f"It holds something of a kind that nobody knows: {info.name!r}.")
    target = os.fsencode(info.linkname) if kind == LINK else b""
    if kind == HARD_LINK:
        target = _below_top(info.linkname)
    size = info.size if kind == FILE else 0
    return Entry(kind, name, info.mode, info.uid, info.gid, mtime_ns, size, target)


def _below_top(name: str) -> bytes:
    top, *parts = os.fsencode(name).split(b"/")
    if top != TOP.encode() or any(part in {b"", b".", b".."} for part in parts):
        raise Broken(f"A name in it leads elsewhere: {name!r}.")
    return b"/".join(parts)


# --- filling a volume ---------------------------------------------------------------------------------


class Filling:
    """Puts entries onto a volume in the order of a stream; a folder's dates are set when it is left."""

    def __init__(self, top: str) -> None:
        self._root = os.open(top, FOLDER_FLAGS)
        self._levels: list[tuple[bytes, int, Entry | None]] = [(b"", self._root, None)]

    def take(self, entry: Entry, pieces: Iterator[bytes]) -> None:
        """*Errors*: OSError, Broken."""
        if not entry.name:
            self._levels[0] = (b"", self._root, entry)
            return
        above, _, base = entry.name.rpartition(b"/")
        folder = self._folder(above)
        if entry.kind == FILE:
            self._file(entry, base, folder, pieces)
        elif entry.kind == FOLDER:
            os.mkdir(base, 0o700, dir_fd=folder)
            self._levels.append((entry.name, os.open(base, FOLDER_FLAGS, dir_fd=folder), entry))
        elif entry.kind == HARD_LINK:
            os.link(entry.target, base, src_dir_fd=self._root, dst_dir_fd=folder, follow_symlinks=False)
        else:
            self._other(entry, base, folder)

    def close(self) -> None:
        """Leaves all folders; what was written is on the disk then."""
        while self._levels:
            self._leave()
        os.sync()

    def _folder(self, above: bytes) -> int:
        while self._levels and self._levels[-1][0] != above:
            if len(self._levels) == 1:
                raise Broken(f"It is out of order at {above!r}.")
            self._leave()
        return self._levels[-1][1]

    def _leave(self) -> None:
        _, folder, entry = self._levels.pop()
        if entry:
            _dress(folder, entry)
        os.close(folder)

    def _file(self, entry: Entry, base: bytes, folder: int, pieces: Iterator[bytes]) -> None:
        with open(os.open(base, NEW_FLAGS, 0o600, dir_fd=folder), "wb", buffering=0) as file:
            for piece in pieces:
                # Where there was a hole, or nothing but zeros, is a hole again.
                if not piece.strip(b"\0"):
                    file.seek(len(piece), os.SEEK_CUR)
                else:
                    _write_all(file, piece)
            file.truncate(entry.size)
            _dress(file.fileno(), entry)

    def _other(self, entry: Entry, base: bytes, folder: int) -> None:
        if entry.kind == LINK:
            os.symlink(entry.target, base, dir_fd=folder)
        else:
            os.mkfifo(base, dir_fd=folder)
        os.chown(base, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
        if entry.kind == PIPE:
            os.chmod(base, entry.mode, dir_fd=folder)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)


def _dress(opened: int, entry: Entry) -> None:
    """The owner first: another one takes bits of the mode away."""
    os.fchown(opened, entry.uid, entry.gid)
    os.fchmod(opened, entry.mode)
    os.utime(opened, ns=(entry.mtime_ns, entry.mtime_ns))


def _write_all(file: io.FileIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) or 0 :]


def fill(top: str, stream: Any) -> Seal:
    """The stream's seal, once all of it is on the volume in place of what was there.

    *Errors*: Broken, OSError.
    """
    clear(top)
    filling = Filling(top)
    try:
        return read(stream, filling.take)
    finally:
        filling.close()


def clear(top: str) -> None:
    """What an earlier try left."""
    folder = os.open(top, FOLDER_FLAGS)
    try:
        for name in _names(folder, top=True):
            _remove(folder, name)
    finally:
        os.close(folder)


def _remove(folder: int, name: bytes) -> None:
    if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
        shutil.rmtree(os.fsdecode(name), dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


# --- the server ---------------------------------------------------------------------------------------

PAGE = b"""<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="15"><title>One moment</title>
<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1.5rem}</style>
<h1>One moment</h1><p>Your workspace is being put in place. All your files are kept.
This page looks again by itself, and opens when it is done.</p>
"""


class Server(ThreadingHTTPServer):
    """One piece of work at a time, for whoever shows the key."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], top: str, key_hash: str) -> None:
        super().__init__(address, Handler)
        self.top, self.key_hash = top, key_hash
        self.work = threading.Lock()
        self.trouble = ""
        self.asked_at = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if not self._may():
            self._page()
        elif self.path == "/courier":
            self._json(200, {"ready": True, "trouble": self.server.trouble})
        elif self.path == "/courier/copy":
            self._alone(self._copy)
        elif self.path == "/courier/seal":
            self._alone(self._measure)
        else:
            self._page()

    def do_PUT(self) -> None:
        if self._may() and self.path == "/courier/data":
            self._alone(self._fill)
        else:
            self.close_connection = True
            self._page()

    do_HEAD = do_POST = do_DELETE = lambda self: self._refuse()  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def _refuse(self) -> None:
        self.close_connection = True
        self._page()

    def _may(self) -> bool:
        key = self.headers.get("x-courier-key", "")
        shown = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        if not hmac.compare_digest(shown, self.server.key_hash):
            return False
        self.server.asked_at = time.monotonic()
        return True

    def _alone(self, work: Callable[[], None]) -> None:
        if not self.server.work.acquire(blocking=False):
            self.close_connection = True
            self._json(409, {"error": "it is at work already"})
            return
        try:
            self.server.trouble = ""
            work()
        except (Broken, OSError) as error:
            self.server.trouble = str(error) or type(error).__name__
            self.close_connection = True
        finally:
            self.server.work.release()

    def _copy(self) -> None:
        self._begin("application/x-tar")
        write(self.server.top, self._chunk)
        self._chunk(b"")

    def _measure(self) -> None:
        self._begin("application/json")
        self._said(self._with_beats(lambda: measure(self.server.top)))

    def _fill(self) -> None:
        told = fill(self.server.top, io.BufferedReader(_Body(self), PIECE))
        self._begin("application/json")
        there = self._with_beats(lambda: measure(self.server.top))
        if there != told:
            raise Broken("What lies on the volume is not what was sent.")
        self._said(there)

    def _with_beats(self, work: Callable[[], Seal]) -> Seal:
        """The outcome; meanwhile a byte now and then, since proxies cut connections that are silent."""
        outcome: list[Any] = []

        def run() -> None:
            try:
                outcome.append(work())
            except (Broken, OSError) as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(BEAT_S)
            self._chunk(b"\n")
        if not isinstance(outcome[0], Seal):
            raise outcome[0]
        return outcome[0]

    def _begin(self, content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _said(self, seal: Seal) -> None:
        self._chunk(json.dumps(asdict(seal)).encode())
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.server.asked_at = time.monotonic()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _json(self, status: int, body: object) -> None:
        self._whole(status, "application/json", json.dumps(body).encode())

    def _page(self) -> None:
        self._whole(503, "text/html; charset=utf-8", PAGE)

    def _whole(self, status: int, content_type: str, data: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("content-type", content_type), ("content-length", str(len(data))), ("retry-after", "15"),
            ("cache-control", "no-store"), ("referrer-policy", "no-referrer"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Body(io.RawIOBase):
    """What is sent in chunks. *Errors*: Broken, where it is cut off."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._left = 0
        self._over = False

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._left and not self._over:
            self._left = self._next()
        piece = self._handler.rfile.read1(min(len(into), self._left)) if self._left else b""
        if self._left and not piece:
            raise Broken("It was cut off on its way.")
        self._left -= len(piece)
        self._handler.server.asked_at = time.monotonic()
        into[: len(piece)] = piece
        return len(piece)

    def _next(self) -> int:
        line = self._handler.rfile.readline(64).strip()
        if not line:  # what ends the chunk before
            line = self._handler.rfile.readline(64).strip()
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise Broken("It was cut off on its way.") from error
        if size == 0:
            self._handler.rfile.readline(64)
            self._over = True
        return size


def _watch(server: Server) -> None:
    while time.monotonic() - server.asked_at < ALONE_S:
        time.sleep(10)
    os._exit(0)


def main() -> None:
    # It may be the machine's first process, which hears of a signal only if it says so.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port, top, key_hash = sys.argv[1:]
    server = Server(("", int(port)), top, key_hash)
    threading.Thread(target=_watch, args=(server,), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
