"""Files on their way out."""

import os
import urllib.parse

from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from webapp.files.entry import version_of
from webapp.files.place import Names, Workspace, name_of


class SentFile(FileResponse):
    """An open file, with ranges; closed when it is sent. What bears its name meanwhile does not matter."""

    def __init__(self, opened: int, content_type: str, headers: dict[str, str]) -> None:
        self._opened = opened
        status = os.fstat(opened)
        headers = {"etag": f'"{version_of(status)}"', **headers}
        super().__init__(
            f"/proc/self/fd/{opened}", headers=headers, media_type=content_type, stat_result=status
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, _as_long_as_announced(send))
        finally:
            os.close(self._opened)


def _as_long_as_announced(send: Send) -> Send:
    """Leaves out what was written into the file since: more than was announced would break the download."""
    left = 0

    async def bounded(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            left = int(Headers(raw=message["headers"]).get("content-length", 0))
            await send(message)
            return
        was, body = left, message["body"][:left]
        left -= len(body)
        if was or not message["body"]:
            await send({**message, "body": body, "more_body": message.get("more_body", False) and left > 0})

    return bounded


def sent(workspace: Workspace, names: Names, content_type: str, headers: dict[str, str]) -> SentFile:
    """Errors: OSError, Problem 400 for what is no file."""
    with workspace.file(names) as opened:
        return SentFile(os.dup(opened), content_type, headers)


def attachment(name: str) -> str:
    """A Content-Disposition that every browser understands (RFC 6266, RFC 8187)."""
    plain = "".join(sign if " " <= sign <= "~" and sign not in '"\\%/' else "_" for sign in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{urllib.parse.quote(name, safe='')}"


def attached(workspace: Workspace, names: Names) -> SentFile:
    """Errors: OSError, Problem."""
    headers = {
        "content-disposition": attachment(name_of(names[-1]) if names else "workspace"),
        "x-content-type-options": "nosniff",
    }
    return sent(workspace, names, "application/octet-stream", headers)
