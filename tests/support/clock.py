"""A wall clock that a test can set: for the server and for Claude in one container, or for one verb.

A machine that is resumed finds that hours have passed: its wall clock has jumped, while the one that counts
seconds has stood still. libfaketime, preloaded into both programs, shows them just that. What the kernel
itself says (times of files) stays as it is.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import docker

from tests.support.containers import Workspace, Workspaces
from tests.support.run import Run
from tests.support.volumes import Volume, file

_FOLDER = "/clock"
_NOW = "/etc/faketimerc"
"""Where it looks without being told: the server keeps nothing in its environment."""
_PRELOADED = {
    "LD_PRELOAD": f"{_FOLDER}/libfaketime.so.1",
    # It looks once a second: at every call, threads that do so together would trip over each other.
    "FAKETIME_CACHE_DURATION": "0",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "NO_FAKE_STAT": "1",
}
_COMMAND = ("env", *(f"{name}={value}" for name, value in _PRELOADED.items()))
_CLAUDE = f'#!/bin/sh\nexec {" ".join(_COMMAND)} /opt/claude/claude "$@"\n'


def later_by(seconds: float) -> dict[str, str]:
    """The environment of a process on this machine that lives so much later than the others."""
    return _PRELOADED | {"LD_PRELOAD": str(_library()), "FAKETIME": f"+{seconds:.0f}"}


class Clock:
    """What it takes is on a volume of its own; `remove` it after its containers."""

    def __init__(self, client: docker.DockerClient, run: Run, image: str) -> None:
        self._volume = Volume(client, run, image)
        found: Any = client.images.get(image)
        self._server: list[str] = found.attrs["Config"]["Cmd"]
        self._volume.put(
            [
                file("libfaketime.so.1", _library().read_bytes(), mode=0o755),
                file("claude", _CLAUDE.encode(), mode=0o755),
            ]
        )

    def start(self, workspaces: Workspaces, volume: Volume, **options: Any) -> Workspace:
        """A workspace that lives by this clock."""
        environment = {**options.pop("environment", {}), "JARVIS_CLAUDE": f"{_FOLDER}/claude"}
        return workspaces.start(
            volume,
            environment=environment,
            command=[*_COMMAND, *self._server],
            volumes={self._volume.name: {"bind": _FOLDER, "mode": "rw"}},
            **options,
        )

    def jump(self, workspace: Workspace, hours: float) -> None:
        """From now on it is so many hours later there than here.

        Renamed into its place: who reads it half written ends at once.
        """
        workspace.put(f"{_NOW}.next", f"+{hours:g}h\n".encode())
        workspace.run("mv", f"{_NOW}.next", _NOW, user="root")

    def remove(self) -> None:
        self._volume.remove()


def _library() -> Path:
    """Where the package has it; the package itself is about this process's own time."""
    found = importlib.util.find_spec("libfaketime")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("vendor") / "libfaketime" / "src" / "libfaketime.so.1"
