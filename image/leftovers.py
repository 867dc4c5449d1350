"""What carries our label in the engine, removed without the platform that made it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fly.lazy import Lazy

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")


def remove_labelled(client: docker.DockerClient, label: str) -> list[str]:
    """Removes containers, then the volumes and networks that they held, by `name=value`; their names."""
    removed = []
    for thing, options in _labelled(client, label):
        with suppress(docker.errors.NotFound):
            thing.remove(**options)
            removed.append(str(thing.name))
    return removed


def _labelled(client: docker.DockerClient, label: str) -> Iterator[tuple[Any, dict[str, bool]]]:
    chosen: dict[str, Any] = {"label": label}
    for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
        yield container, {"force": True}
    for volume in client.volumes.list(filters=chosen):
        yield volume, {"force": True}
    for network in client.networks.list(filters=chosen):
        yield network, {}
