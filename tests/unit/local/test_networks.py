"""Addresses: small networks out of our own pool, never where somebody else's are."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from fly.local import networks
from fly.local.refusal import Refusal

POOL = IPv4Network("10.117.0.0/24")


def test_networks_do_not_overlap_what_is_there() -> None:
    taken = [IPv4Network("10.117.0.0/28"), IPv4Network("10.117.0.20/32"), IPv4Network("172.17.0.0/16")]
    assert networks.free_subnet(POOL, taken, default=False) == "10.117.0.32/28"
    everything = IPv4Network("10.0.0.0/8")
    with pytest.raises(Refusal, match="insufficient IPs available") as refused:
        networks.free_subnet(POOL, [everything], default=False)
    assert refused.value.code == 409


def test_hundreds_of_users_have_networks_of_their_own() -> None:
    taken: list[IPv4Network] = []
    for _ in range(400):
        taken.append(IPv4Network(networks.free_subnet(networks.POOL, taken, default=False)))
    assert len({str(network) for network in taken}) == 400
    assert IPv4Network(networks.free_subnet(networks.POOL, taken, default=True)).prefixlen == 22


def test_the_first_address_is_the_gateways_and_none_is_given_twice() -> None:
    given: list[str] = []
    for _ in range(13):
        given.append(networks.free_address("10.117.0.0/28", given))
    with pytest.raises(Refusal, match="insufficient IPs"):
        networks.free_address("10.117.0.0/28", given)
    assert given == [f"10.117.0.{number}" for number in range(2, 15)]


def test_the_subnets_of_engine_networks_are_read() -> None:
    listed: list[dict[str, Any]] = [
        {"IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {"Subnet": "fd00::/64"}]}},
        {"IPAM": {"Config": None}},
        {"IPAM": {"Config": [{"Gateway": "10.0.0.1"}]}},
    ]
    assert list(networks.subnets_in(listed)) == [IPv4Network("172.17.0.0/16")]


def test_an_address_of_this_host_is_told_from_another() -> None:
    assert networks.is_local("127.0.0.1")
    assert not networks.is_local("192.0.2.77")
