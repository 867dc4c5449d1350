"""What every verb works with: the platform chosen and named, its client, the ledger, the options' words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fly.client import Client
from fly.console import say
from fly.errors import LedgerError, PlanError, SettingsError
from fly.lazy import Lazy
from fly.ledger import Ledger, Workspace
from fly.people import copies
from fly.settings import Platform, Settings, choose_platform

if TYPE_CHECKING:
    import docker

    from fly.change import images
    from image import build, engine
    from image.release import content, registry
    from image.release import records as releases
else:
    docker, images, build, engine = (
        Lazy(name) for name in ("docker", "fly.change.images", "image.build", "image.engine")
    )
    content, registry, releases = (
        Lazy(f"image.release.{name}") for name in ("content", "registry", "records")
    )

ROOT = Path(__file__).resolve().parent.parent
PLATFORM_HELP = "fly or local; without it Fly when FLY_API_TOKEN is set, else the embedded one"
NAME_HELP = "the workspace: a name, an e-mail or an app"
JSON_HELP = "print JSON"


@dataclass(frozen=True)
class Desk:
    """What every verb works with."""

    settings: Settings
    platform: Platform
    client: Client
    ledger: Ledger

    def find(self, name: str) -> Workspace:
        """The one workspace of this platform that is called so. *Errors*: LedgerError: none, or several."""
        return self.ledger.find(name, self.platform.key)

    def chosen(self, name: str) -> list[Workspace]:
        """The one that is called so; without a name all that exist on this platform."""
        return [self.find(name)] if name else self.ledger.workspaces(self.platform.key)


@contextmanager
def desk(flag: str = "") -> Iterator[Desk]:
    """The platform chosen and named, the ledger open; both closed in the end."""
    settings = Settings.read(os.environ, ROOT)
    platform = choose_platform(settings, flag or None)
    say(platform.label)
    _copy_ledger(settings)
    with Ledger(settings.ledger) as ledger, Client(platform) as client:
        yield Desk(settings, platform, client, ledger)


def _copy_ledger(settings: Settings) -> None:
    """Once a day. What is wanted is done also where there is no room for a copy."""
    try:
        copies.copy_daily(settings.ledger)
    except LedgerError as error:
        say(f"There is no copy of the ledger of today: {error}")


def image_reference(settings: Settings, platform: Platform) -> str:
    """The image of new workspaces, by digest: JARVIS_IMAGE, else the newest release or, here, build.

    *Errors*: SettingsError, where Fly is to run an image that nobody pushed; PlanError, where none was built.
    """
    if settings.image:
        return settings.image
    with releases.Records(settings.releases) as records:
        return _released(records) if platform.kind == "fly" else _built(settings, records)


def _released(records: releases.Records) -> str:
    found = records.current()
    if found is None or registry.Repository.parse(found.repository).is_here:
        raise SettingsError(
            "Nothing was released, and JARVIS_IMAGE is not set: Fly needs to know which pushed image to run.",
            hint="invoke release; or export JARVIS_IMAGE=registry.fly.io/<app>@sha256:<digest>",
        )
    return found.reference


def _built(settings: Settings, records: releases.Records) -> str:
    """The newest that could be pushed; a build that was not tried serves too, since it is only here."""
    verified = next(images.proven_here(records, lambda: engine_of(settings)), None)
    built = _find_id(settings, build.TAG)
    if not (chosen := verified or built):
        raise PlanError(f"The image {build.TAG} has not been built.", hint="invoke build")
    if built not in (None, chosen):
        say(f"Image: {content.short(chosen)}, which is verified; {build.TAG} is not, until: invoke verify")
    return images.local_reference(chosen)


def engine_of(settings: Settings) -> docker.DockerClient:
    """*Errors*: EngineError."""
    return engine.find_engine(lambda _line: None, settings.home / "engine")


def _find_id(settings: Settings, ref: str) -> str | None:
    with suppress(OSError):
        return engine.find_image(ref)
    try:
        return str(engine_of(settings).images.get(ref).id)
    except docker.errors.ImageNotFound:
        return None
