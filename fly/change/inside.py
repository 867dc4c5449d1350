"""Runs inside a machine, by its own Python, and knows nothing of us: what is on /data, who answers.

python -c <this file> list /data 268435456      everything that is there, packed: see `contents.py`
python -c <this file> serve http://127.0.0.1:3000     how the server answers, past everybody outside
"""

# ruff: noqa: PTH115, PTH118, PTH123 - paths are text: what is no UTF-8 comes through, and there are many

import base64
import hashlib
import json
import os
import stat
import sys
import time
import urllib.error
import urllib.request
import zlib
from typing import Any

SKIPPED = "lost+found"


def listing(root: str, hash_bytes: int) -> dict[str, Any]:
    """Every path below `root` as [kind, size, time, hash]; the smallest are hashed, up to `hash_bytes`."""
    began = int(time.time())
    found: dict[str, list[Any]] = {}
    files: list[tuple[int, str, int]] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not (folder == root and name == SKIPPED)]
        for name in [*folders, *names]:
            path = os.path.join(folder, name)
            try:
                seen = os.lstat(path)
            except FileNotFoundError:
                continue
            known = os.path.relpath(path, root)
            if stat.S_ISREG(seen.st_mode):
                files.append((seen.st_size, known, int(seen.st_mtime)))
            elif stat.S_ISDIR(seen.st_mode):
                found[known] = ["d", 0, int(seen.st_mtime), ""]
            elif stat.S_ISLNK(seen.st_mode):
                found[known] = ["l", 0, 0, _digest(os.fsencode(os.readlink(path)))]
    for size, known, changed in sorted(files):
        hash_bytes -= size
        content = _hashed(os.path.join(root, known)) if hash_bytes >= 0 else ""
        found[known] = ["f", size, changed, content]
    return {"began": began, "entries": found}


def _hashed(path: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def packed(value: object) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode(), 9)).decode()


def serving(url: str) -> dict[str, Any]:
    """The status of health and page, and which way of signing in the server knows."""
    health, page, login = (_asked(url + path) for path in ("/health", "/", "/api/login"))
    return {"health": health[0], "well": '"ok"' in health[1], "page": page[0], "login": _login(login[1])}


def _asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own port
            return answer.status, answer.read(65536).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, ""
    except (OSError, ValueError) as error:
        return 0, str(error)


def _login(text: str) -> str:
    try:
        return str(json.loads(text).get("login", ""))
    except (ValueError, AttributeError):
        return ""


def main(verb: str, *rest: str) -> None:
    listed = verb == "list"
    sys.stdout.write(packed(listing(rest[0], int(rest[1]))) if listed else json.dumps(serving(rest[0])))


if __name__ == "__main__":
    main(*sys.argv[1:])
