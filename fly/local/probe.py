"""Whether a machine answers: one connection, one request, no pool. Never counts as use."""

import asyncio
from dataclasses import dataclass

from fly.local.machineconfig import Check

AGENT = "my-jarvis-platform"
ANSWER_LIMIT = 4096


@dataclass(frozen=True)
class Address:
    """Where a machine's page listens, seen from here."""

    host: str
    port: int


@dataclass(frozen=True)
class Finding:
    passed: bool
    output: str


async def ask(address: Address, check: Check) -> Finding:
    """What the check finds, in words, within its own time."""
    try:
        async with asyncio.timeout(check.timeout_s):
            return await _ask(address, check)
    except TimeoutError:
        return Finding(False, f"no answer in {check.timeout_s:g} s")
    except (OSError, ValueError, IndexError) as error:
        return Finding(False, f"connect to {address.host}:{address.port}: {error}")


async def _ask(address: Address, check: Check) -> Finding:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        if check.path is None:
            return Finding(True, "Success")
        writer.write(_request(address, check))
        head, _, body = (await _answer(reader)).partition("\r\n\r\n")
    finally:
        writer.close()
    status = int(head.split(maxsplit=2)[1])
    return Finding(200 <= status < 300, body or str(status))


async def _answer(reader: asyncio.StreamReader) -> str:
    """The head, and of the body what came along with it: enough to judge by, and nothing to wait for."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = await reader.read(ANSWER_LIMIT)
        if not piece or len(answer) > 16 * ANSWER_LIMIT:
            raise ValueError("the answer has no end of head")
        answer += piece
    return answer.decode("latin-1")


def _request(address: Address, check: Check) -> bytes:
    headers = {"Host": f"{address.host}:{address.port}", "User-Agent": AGENT, "Connection": "close"}
    lines = [f"{name}: {value}" for name, value in (headers | dict(check.headers)).items()]
    return "\r\n".join([f"{check.method} {check.path} HTTP/1.1", *lines, "", ""]).encode("latin-1", "replace")
