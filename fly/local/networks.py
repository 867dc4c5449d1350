"""Addresses for private networks: the engine's own pools end at about thirty, these at four thousand."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fly.local.refusal import aborted

POOL = ipaddress.IPv4Network("10.117.0.0/16")
PREFIX, DEFAULT_PREFIX = 28, 22
"""`default` is where apps without a network of their own meet: it gets more room."""
NO_ROOM = "could not reserve resource for machine: insufficient IPs available to fulfill request"


def free_subnet(pool: ipaddress.IPv4Network, taken: Iterable[ipaddress.IPv4Network], *, default: bool) -> str:
    """The first subnet of the pool that overlaps nothing.

    *Errors*: Refusal 409 when none is left.
    """
    size = 1 << 32 - max(DEFAULT_PREFIX if default else PREFIX, pool.prefixlen)
    first = int(pool.network_address)
    for begin, end in sorted((int(net.network_address), int(net.broadcast_address)) for net in taken):
        if begin < first + size and end >= first:
            first = (end // size + 1) * size
    if first + size - 1 > int(pool.broadcast_address):
        raise aborted(NO_ROOM)
    return str(ipaddress.IPv4Network((first, 32 - (size.bit_length() - 1))))


def free_address(subnet: str, taken: Iterable[str]) -> str:
    """The first host's address that nobody has; the first of all is the gateway's.

    *Errors*: Refusal 409 when none is left.
    """
    used = set(taken)
    for address in list(ipaddress.IPv4Network(subnet).hosts())[1:]:
        if str(address) not in used:
            return str(address)
    raise aborted(NO_ROOM)


def subnets_in(networks: Iterable[dict[str, Any]]) -> Iterator[ipaddress.IPv4Network]:
    """The subnets of the engine's networks."""
    for network in networks:
        for config in network["IPAM"]["Config"] or []:
            with contextlib.suppress(ValueError, KeyError):
                yield ipaddress.IPv4Network(config["Subnet"], strict=False)


def routed() -> Iterator[ipaddress.IPv4Network]:
    """The networks that this host has routes to, where the kernel lists them."""
    table = Path("/proc/net/route")
    for line in table.read_text().splitlines()[1:] if table.exists() else []:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        if destination != "00000000" or mask != "00000000":
            yield ipaddress.IPv4Network((_address(destination), str(_address(mask))), strict=False)


def _address(reversed_hex: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(bytes.fromhex(reversed_hex)[::-1])


def is_local(address: str) -> bool:
    """Whether the address is one of this host's own: then containers behind it can be reached directly."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
