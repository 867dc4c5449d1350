"""All of the Internet that a container under test sees: Anthropic's names, which lead to the stand-in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker

from tests.support.anthropic.standin import Anthropic
from tests.support.run import Run
from tests.support.volumes import Volume, file

TRUST_PATH = "/my-jarvis-test-ca"
_NAME = "ca.pem"


@dataclass(frozen=True)
class Internet:
    """The network, the stand-in on it, and what a container needs to trust it."""

    anthropic: Anthropic
    network: Any
    trust: Volume
    """Holds the stand-in's authority: to copy it in would take the engine a tenth of a second each time."""

    @property
    def environment(self) -> dict[str, str]:
        return {"NODE_EXTRA_CA_CERTS": f"{TRUST_PATH}/{_NAME}"}


@contextlib.contextmanager
def small_internet(client: docker.DockerClient, run: Run, image: str) -> Iterator[Internet]:
    """A network of its own for this run; `image` is what the stand-in runs in, and has python3."""
    network: Any = client.networks.create(run.name("internet"), driver="bridge", labels=run.labels)
    trust = Volume(client, run, image)
    try:
        with Anthropic.in_container(client, image, [network], labels=run.labels) as anthropic:
            trust.put([file(_NAME, anthropic.ca_pem)])
            yield Internet(anthropic, network, trust)
    finally:
        trust.remove()
        network.remove()
