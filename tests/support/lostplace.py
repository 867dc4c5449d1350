"""A host that is lost: what its volumes held, and everything on it gone but the repository."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from shutil import rmtree
from typing import Any

import docker

from fly.local import process
from tests.support.operator import Operator
from tests.support.volumes import Manifest, manifest_of
from tests.support.wait import wait_until


def volume_manifest(client: docker.DockerClient, user: dict[str, str], image: str) -> Manifest:
    """Everything on a user's volume, by path."""
    reader: Any = client.containers.create(
        image,
        entrypoint=["true"],
        command=[],
        volumes={f"jarvis-{user['app']}-{user['volume_id']}": {"bind": "/volume", "mode": "ro"}},
        network_mode="none",
    )
    try:
        return manifest_of(reader, "/volume")
    finally:
        reader.remove(force=True)


def lose_host(client: docker.DockerClient, operator: Operator) -> None:
    """The platform killed, its containers, volumes and networks gone, and the operator's folder too."""
    about = operator.reads("platform")
    label: dict[str, Any] = {"label": f"my-jarvis.platform={process.platform_id(Path(about['state_dir']))}"}
    os.kill(about["pid"], signal.SIGKILL)
    wait_until(
        lambda: not Path(f"/proc/{about['pid']}/cmdline").exists() or _is_dead(about["pid"]), "its end"
    )
    for container in client.containers.list(all=True, filters=label):
        container.remove(force=True)
    for volume in client.volumes.list(filters=label):
        volume.remove(force=True)
    for network in client.networks.list(filters=label):
        network.remove()
    rmtree(operator.home)


def _is_dead(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
