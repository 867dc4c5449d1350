"""Files on their way into a workspace, as its page sends them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from webapp.config import Config
from webapp.files.place import Workspace
from webapp.files.uploads import Uploads


def uploads_of(config: Config) -> Uploads:
    """Those of this workspace: what is known of them lies on the disk."""
    return Uploads(Workspace(config.workspace), config.app / "uploads")


async def uploaded(uploads: Uploads, content: bytes) -> str:
    """The id of an upload that is whole."""

    async def body() -> AsyncIterator[bytes]:
        yield content

    upload = uploads.begin(None, len(content), rename=True)
    await uploads.receive(upload.id, 0, body())
    return str(upload.id)


async def attach(
    http: httpx.AsyncClient, uploads: Uploads, content: bytes, name: str = "a", type_: str = ""
) -> httpx.Response:
    """What the server answers who wants this file to go along with a message."""
    asked = {"upload": await uploaded(uploads, content), "name": name, "type": type_}
    return await http.post("/api/attachments", json=asked)
