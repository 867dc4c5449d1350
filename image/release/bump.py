"""A pin moved to the newest that there is, and what that has really changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from image.base import BASE_REF, renew_base
from image.build import TAG, BuiltImage, build_image
from image.engine import Report
from image.release import pins
from image.release.content import read_content
from image.release.pins import Newer
from image.release.suite import ROOT

if TYPE_CHECKING:
    import docker


def move(
    what: str,
    client: docker.DockerClient,
    npm: Sequence[str],
    *,
    environment: Mapping[str, str],
    report: Report,
    root: Path = ROOT,
) -> list[Newer]:
    """Moves the pin `what`; what is newer now. Nothing: there is nothing newer, and nothing was touched.

    *Errors*: BuildError, EngineError; UntestedImage, where no image is there to ask what its base lacks.
    """
    if what == "base":
        return _move_base(client, environment, report)
    before = pins.pinned(what, root)
    pins.move(what, npm, root)
    return pins.differences(what, before, pins.pinned(what, root))


def _move_base(client: docker.DockerClient, environment: Mapping[str, str], report: Report) -> list[Newer]:
    """The same as `outdated` says of it; only then the base is fetched anew."""
    image = read_content(client, TAG).id
    report("asking what is newer")
    newer = [*pins.newer_base(client, image), *pins.newer_debian(client, image, environment)]
    if newer:
        renew_base(client, BASE_REF, report)
    return newer


def build_moved(what: str, client: docker.DockerClient, report: Report) -> BuiltImage:
    """The image on what was moved.

    On another base all is made anew anyhow. On the same one an engine would take the step that asks Debian
    for its packages from its memory, and no update would ever arrive.
    """
    return build_image(client, report=report, force=what == "base")


def still_missing(newer: Sequence[Newer], now: Mapping[str, Any]) -> list[str]:
    """Debian's packages that were to be had, and are in the image as they were."""
    debian = now.get("debian") or {}
    return [one.name for one in newer if one.kind == "debian" and debian.get(one.name) == one.current]
