"""What an operator types about the image."""

import os
from pathlib import Path

from invoke.context import Context

from fly.console import say, step, verb
from fly.settings import Settings
from image.build import build_image
from image.engine import find_engine

ROOT = Path(__file__).resolve().parent.parent


@verb(help={"force": "build even if nothing changed"})
def build(context: Context, force: bool = False) -> None:
    """Builds my-jarvis:latest from image/, unless it is up to date."""
    with step("Docker Engine") as report:
        engine = find_engine(report, Settings.read(os.environ, ROOT).home / "engine")
    with step("Image") as report:
        built = build_image(engine, report=report, force=force)
    say(f"{built.ref}  {built.id}  {built.size_bytes / 1e6:.0f} MB, Claude Code {built.claude_version}")
