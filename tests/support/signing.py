"""A workspace with a key, and who comes in by it."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

from tests.support.containers import PLAIN, REQUEST_LIMIT_S, Workspace

KEY = "k" * 32


def locked_with(key: str) -> dict[str, str]:
    """What a workspace is told at its start, so that this key opens it."""
    return {
        "JARVIS_LOGIN": "link",
        "JARVIS_LOGIN_HASH": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}",
    }


def sign_in(workspace: Workspace, key: str = KEY) -> str:
    """The cookie that the key gives."""
    return f"jarvis={ask(workspace, 'POST', '/api/login', '', {'key': key}).cookies['jarvis']}"


def ask(
    workspace: Workspace, method: str, path: str, cookie: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    """What the server answers a page that has this cookie."""
    return httpx.request(
        method,
        workspace.url + path,
        headers={"cookie": cookie, "origin": workspace.url},
        json=body if body is not None or method != "POST" else {},
        trust_env=False,
        timeout=REQUEST_LIMIT_S,
        verify=PLAIN,
    )
