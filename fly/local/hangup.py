"""Whether the other end of a connection has gone, where nobody reads: only the kernel hears of it then.

Who closes while bytes of his are still under way is not even heard of by the kernel: the end comes behind
them, and they wait to be read. But a visitor on this machine has his own end of it in the same kernel.
"""

import asyncio
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, auto
from ipaddress import IPv6Address, ip_address
from pathlib import Path

_HUNG_UP = getattr(select, "POLLRDHUP", 0x2000)
_CLOSED = {"04", "05", "09", "0B"}
"""FIN_WAIT1, FIN_WAIT2, LAST_ACK, CLOSING."""
_NOBODYS = "0"
"""The inode of a socket that no process has."""

Orphans = frozenset[tuple[str, int]]


class Hangup(Enum):
    NONE = auto()
    HALF = auto()
    """It sends nothing more, and may still read."""
    WHOLE = auto()


def seen(transport: asyncio.Transport, orphans: Orphans) -> Hangup:
    """What the kernel knows of the connection's other end."""
    endpoint = transport.get_extra_info("socket")
    if (
        endpoint is None
        or endpoint.fileno() < 0
        or (transport.get_extra_info("peername") or ())[:2] in orphans
    ):
        return Hangup.WHOLE
    asked = select.poll()
    asked.register(endpoint.fileno(), _HUNG_UP)
    told = next((event for _, event in asked.poll(0)), 0)
    if told & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
        return Hangup.WHOLE
    if not told & _HUNG_UP:
        return Hangup.NONE
    return Hangup.HALF if transport.can_write_eof() else Hangup.WHOLE


def unread(transport: asyncio.Transport) -> bytes:
    """What has come and was not read yet; it stays there."""
    number = transport.get_extra_info("socket").fileno()
    (size,) = struct.unpack("i", fcntl.ioctl(number, termios.FIONREAD, b"\0" * 4))
    with socket.socket(fileno=os.dup(number)) as endpoint:
        return endpoint.recv(size, socket.MSG_PEEK | socket.MSG_DONTWAIT) if size else b""


def orphans() -> Orphans:
    """The ends on this machine that whoever had them has closed, though the other end may not know yet."""
    return frozenset(_orphans("tcp")) | frozenset(_orphans("tcp6"))


def _orphans(family: str) -> Iterator[tuple[str, int]]:
    with suppress(OSError):
        for line in Path("/proc/net", family).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] in _CLOSED and fields[9] == _NOBODYS:
                yield _address(fields[1])


def _address(written: str) -> tuple[str, int]:
    """*Shape*: `0100007F:1F90`, the address in words of the processor's own order"""
    words, port = written.split(":")
    packed = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    address = ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address), int(port, 16)
