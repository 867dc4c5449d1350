"""What every socket needs: to do several things until one of them ends, and to end without waiting."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

CLOSE_WITHIN_S = 1.0

CLOSED_NORMALLY = 1000
CLOSED_PROTOCOL_ERROR = 1002
CLOSED_SIGNED_OUT = 4403
CLOSED_UNKNOWN = 4404
CLOSED_TOO_FAR_BEHIND = 4408


class ProtocolError(Exception):
    """The page has sent what no page of ours sends."""


async def until_one_ends(*works: Coroutine[Any, Any, object]) -> None:
    """Runs all at once; the first to end ends the others. That the page has left is no error.

    Errors: whatever the first one raised.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(WebSocketDisconnect):
        for task in done:
            task.result()


async def close(websocket: WebSocket, code: int) -> None:
    """Says why; a page that does not even take that is left alone."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await websocket.close(code)
