"""The release before the image under test: here, or brought back from its registry by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fly.lazy import Lazy
from image.release.records import Push
from image.release.registry import Login

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")


def is_here(client: docker.DockerClient, push: Push) -> bool:
    """Whether the engine has that very content.

    *Errors*: docker.errors.DockerException.
    """
    try:
        client.images.get(push.image)
    except docker.errors.ImageNotFound:
        return False
    return True


def bring(client: docker.DockerClient, push: Push, login: Login | None) -> str:
    """Pulls it; why that was not possible, or nothing."""
    try:
        auth = login.for_engine() if login else None
        client.images.pull(push.repository, tag=push.digest, auth_config=auth)
        if is_here(client, push):
            return ""
    except (docker.errors.DockerException, requests.RequestException) as error:
        return str(error)
    return f"{push.reference} is no longer what was pushed"
