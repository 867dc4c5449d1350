"""A program that answers one question, ended when nobody wants the answer any more."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence


@contextlib.asynccontextmanager
async def child(
    command: Sequence[str],
    *,
    folder: str | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    environment: Mapping[str, str],
    longest_line: int = 8 << 20,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The running program, killed with all that it has started when the block is left. Errors: OSError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(environment),
        limit=longest_line,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
