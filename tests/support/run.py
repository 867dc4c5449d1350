"""What a test process makes in the engine carries its label, and is swept; also what a killed one left."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import platform
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fly.lazy import Lazy

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")

LABEL = "my-jarvis.test"
CONFLICT = 409
REMOVED_WITHIN_S = 60
_FOLDER = Path(tempfile.gettempdir()) / f"my-jarvis-tests-{os.getuid()}"


class Run:
    """One test process's claim on what it makes: held by a file lock, which no crash can leave behind."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder
        self.id = f"{_host()}{secrets.token_hex(6)}"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = self._lock_of(self.id).open("w", encoding="utf-8")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL: self.id}

    def name(self, what: str) -> str:
        """A name that nobody else has."""
        return f"my-jarvis-test-{what}-{secrets.token_hex(6)}"

    def close(self) -> None:
        """Gives up the claim: whoever sweeps next may remove what is left."""
        self._lock.close()
        self._lock_of(self.id).unlink(missing_ok=True)

    def sweep(self, client: docker.DockerClient, *, own: bool) -> list[str]:
        """Removes what dead runs left on this machine, with `own` also what is this run's; gives names."""
        gone: list[str] = []
        for thing, remove in _labelled(client):
            run_id = _labels_of(thing).get(LABEL, "")
            if (own and run_id == self.id) or self._is_dead(run_id):
                with contextlib.suppress(docker.errors.NotFound):
                    remove()
                    gone.append(thing.name)
        return gone

    def _is_dead(self, run_id: str) -> bool:
        """Nobody holds its lock; what another machine made on a shared engine is not ours to judge."""
        if run_id == self.id or not run_id.startswith(_host()):
            return False
        try:
            with self._lock_of(run_id).open("r+", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        self._lock_of(run_id).unlink(missing_ok=True)
        return True

    def _lock_of(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.lock"


def _host() -> str:
    return f"{platform.node()}."


def _labelled(client: docker.DockerClient) -> Iterator[tuple[Any, Any]]:
    """Containers first: they hold volumes, networks and images."""
    filters: dict[str, Any] = {"label": LABEL}
    for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
        yield container, functools.partial(_remove_container, container)
    for volume in client.volumes.list(filters=filters):
        yield volume, volume.remove
    for network in client.networks.list(filters=filters):
        yield network, network.remove
    for image in client.api.images(filters=filters):  # docker-py's own list asks for each, which may be gone
        yield (
            SimpleNamespace(name=image["Id"], attrs=image),
            functools.partial(client.images.remove, image["Id"], force=True),
        )


def _remove_container(container: Any) -> None:
    """Gone when this returns, also where another run is at the same leftovers in this moment."""
    try:
        container.remove(force=True, v=True)
    except docker.errors.APIError as error:
        if error.status_code != CONFLICT:
            raise
        container.wait(condition="removed", timeout=REMOVED_WITHIN_S)


def _labels_of(thing: Any) -> dict[str, str]:
    return (thing.attrs.get("Labels") or thing.attrs.get("Config", {}).get("Labels")) or {}


@contextlib.contextmanager
def swept_run(client: docker.DockerClient) -> Iterator[Run]:
    """A run that finds the engine clean of the dead and leaves it clean of itself."""
    run = Run()
    try:
        run.sweep(client, own=False)
        yield run
    finally:
        try:
            run.sweep(client, own=True)
        finally:
            run.close()
