"""Whether a workspace is at work: asked just before it would sleep. Asking never counts as use."""

from __future__ import annotations

import asyncio
import re

from fly.local.heads import END
from fly.local.probe import AGENT, Address

_BUSY = re.compile(rb"\r\nx-jarvis-busy:[ \t]*([0-9]{1,9}(?:\.[0-9]{1,9})?)[ \t]*\r\n", re.IGNORECASE)


async def ask(address: Address, path: str, timeout_s: float) -> float | None:
    """For how many seconds it asks not to be put to sleep; None when no answer came."""
    try:
        async with asyncio.timeout(timeout_s):
            head = await _head(address, path)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
        return None
    match = _BUSY.search(head)
    return float(match[1]) if match else 0.0


async def _head(address: Address, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        headers = f"Host: {address.host}:{address.port}\r\nUser-Agent: {AGENT}\r\nConnection: close"
        writer.write(f"GET {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        return await reader.readuntil(END)
    finally:
        writer.close()
