"""What every verb works with: the platform chosen and named, its client, the ledger, the options' words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker.errors import ImageNotFound

from fly.client import Client
from fly.console import say
from fly.errors import PlanError, SettingsError
from fly.ledger import Ledger
from fly.settings import Platform, Settings, choose_platform
from image.build import TAG
from image.engine import find_engine

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


@contextmanager
def desk(flag: str = "") -> Iterator[Desk]:
    """The platform chosen and named, the ledger open; both closed in the end."""
    settings = Settings.read(os.environ, ROOT)
    platform = choose_platform(settings, flag or None)
    say(platform.label)
    with Ledger(settings.ledger) as ledger, Client(platform) as client:
        yield Desk(settings, platform, client, ledger)


def image_reference(settings: Settings, platform: Platform) -> str:
    """The image of new workspaces, by digest.

    *Errors*: SettingsError, where Fly is to run an image that nobody pushed; PlanError, where none was built.
    """
    if settings.image:
        return settings.image
    if platform.kind == "fly":
        raise SettingsError(
            "JARVIS_IMAGE is not set: Fly needs to know which pushed image to run.",
            hint="export JARVIS_IMAGE=registry.fly.io/<app>@sha256:<digest>",
        )
    try:
        image = find_engine(lambda _line: None, settings.home / "engine").images.get(TAG)
    except ImageNotFound as error:
        raise PlanError(f"The image {TAG} has not been built.", hint="invoke build") from error
    return f"{TAG.partition(':')[0]}@{image.id}"
