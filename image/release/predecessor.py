"""The release before the image under test: here, or brought back from its registry by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fly.errors import JarvisError
from fly.lazy import Lazy
from image.release.fetch import Reference, fetch
from image.release.records import Push
from image.release.registry import Login, Repository

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")


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
        fetch(client, Reference(Repository.parse(push.repository), push.digest), login)
        if is_here(client, push):
            return ""
    except (JarvisError, docker.errors.DockerException) as error:
        return str(error)
    return f"{push.reference} is no longer what was pushed"
