"""All of the Internet that a container under test sees: Anthropic's names, which lead to the stand-in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker

from tests.support.anthropic.standin import Anthropic
from tests.support.run import Run

_CA_PATH = "/etc/my-jarvis-test-ca.pem"


@dataclass(frozen=True)
class Internet:
    """The network, the stand-in on it, and what a container needs to trust it."""

    anthropic: Anthropic
    network: Any
    ca_path: str = _CA_PATH

    @property
    def ca_pem(self) -> bytes:
        return self.anthropic.ca_pem

    @property
    def environment(self) -> dict[str, str]:
        return {"NODE_EXTRA_CA_CERTS": self.ca_path}


@contextlib.contextmanager
def small_internet(client: docker.DockerClient, run: Run, image: str) -> Iterator[Internet]:
    """A network of its own for this run; `image` is what the stand-in runs in, and has python3."""
    network: Any = client.networks.create(run.name("internet"), driver="bridge", labels=run.labels)
    try:
        with Anthropic.in_container(client, image, [network], labels=run.labels) as anthropic:
            yield Internet(anthropic, network)
    finally:
        network.remove()
