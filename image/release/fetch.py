"""An image that only a registry has, brought here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fly.errors import RegistryError, SettingsError
from fly.lazy import Lazy
from image.release.registry import Login, Repository, login_hint

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

NO_ENTRY = re.compile(r"unauthorized|denied|authentication required|no basic auth|forbidden", re.IGNORECASE)
HOST = re.compile(r"localhost|.*[.:].*")
"""As an engine tells a registry's host from a part of a name."""


@dataclass(frozen=True)
class Reference:
    """`HOST/PATH:TAG` or `HOST/PATH@sha256:…` taken apart; `version` is the tag or the digest."""

    repository: Repository
    version: str

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """None for what names no registry, and can only be an image of this engine."""
        name, _, digest = text.partition("@")
        host, slash, path = name.partition("/")
        if not slash or not HOST.fullmatch(host):
            return None
        path, _, tag = path.partition(":")
        try:
            return cls(Repository.parse(f"{host}/{path}"), digest or tag or "latest")
        except SettingsError:
            return None

    def __str__(self) -> str:
        return f"{self.repository}{'@' if self.version.startswith('sha256:') else ':'}{self.version}"


def fetch(client: docker.DockerClient, wanted: Reference, login: Login | None) -> None:
    """Pulls it.

    *Errors*: RegistryError.
    """
    try:
        auth = login.for_engine() if login else None
        client.images.pull(str(wanted.repository), tag=wanted.version, auth_config=auth)
    except (docker.errors.DockerException, requests.RequestException) as error:
        said = getattr(error, "explanation", "") or error
        is_refused = NO_ENTRY.search(str(said))
        raise RegistryError(
            f"{wanted} is not here, and cannot be pulled: {said}",
            hint=login_hint(wanted.repository) if is_refused else "is the name right, and the network there?",
        ) from error
