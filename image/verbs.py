"""What an operator types about the image."""

from invoke.context import Context

from fly.console import say, step, verb
from image.build import build_image
from image.engine import find_engine


@verb(help={"force": "build even if nothing changed"})
def build(context: Context, force: bool = False) -> None:
    """Builds my-jarvis:latest from image/, unless it is up to date."""
    with step("Docker Engine") as report:
        engine = find_engine(report)
    with step("Image") as report:
        built = build_image(engine, report=report, force=force)
    say(f"{built.ref}  {built.id}  {built.size_bytes / 1e6:.0f} MB, Claude Code {built.claude_version}")
