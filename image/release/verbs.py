"""What an operator types to prove an image and to release it."""

import os
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from rich.text import Text

from fly import console
from fly.console import say, step, verb
from fly.desk import JSON_HELP, ROOT
from fly.settings import Settings
from image.build import TAG
from image.engine import Report, find_engine
from image.release.content import read_content, short
from image.release.records import Outcome, Records, Verification
from image.release.verify import Step, Watch
from image.release.verify import verify as verify_content

IMAGE_HELP = f"the image, by any name or id (default {TAG})"


@verb(
    help={
        "image": IMAGE_HELP,
        "keep_going": "try every promise, also when the quick tests have found the image broken",
        "json": JSON_HELP,
    }
)
def verify(context: Context, image: str = TAG, keep_going: bool = False, json: bool = False) -> None:
    """Tries every promise on an image, records what was proved, and names each promise that it breaks."""
    settings = Settings.read(os.environ, ROOT)
    with Records(settings.releases) as records:
        found = _verify(settings, records, image, keep_going=keep_going)
        broken = [one for one in records.outcomes(found.number) if not one.is_kept]
        console.print_json(found.to_json() | {"broken": [vars(one) for one in broken]}) if json else None
    if not found.passed:
        raise Exit(_refusal(found, broken), code=1)
    say(f"✓ {short(found.image)} keeps all its promises ({found.seconds:.0f} s).")


def _verify(settings: Settings, records: Records, image: str, *, keep_going: bool = False) -> Verification:
    with step("Docker Engine") as report:
        engine = find_engine(report, settings.home / "engine")
    content = read_content(engine, image)
    say(f"Image: {content.ref}  {content.short_id}  {content.size_bytes / 1e6:.0f} MB")
    folder = folder_of(settings, content.id)
    with step("Promises") as report:
        return verify_content(
            engine, records, content, folder=folder, watch=_watch(report), keep_going=keep_going
        )


def folder_of(settings: Settings, image: str) -> Path:
    """Where an image's report and all that belongs to it lies."""
    return settings.home / "releases" / short(image)


def _watch(report: Report) -> Watch:
    """Says how far each tier is, and each broken promise at once."""
    said: set[str] = set()

    def watch(now: Step) -> None:
        if now.outcome and not now.outcome.is_kept:
            console.stderr.print(Text.assemble(("✗ ", "red"), _told(now.outcome)))
        counts = [f"{tier} {now.done.get(tier, 0)}/{total}" for tier, total in now.planned.items()]
        line = f"{now.stage}: {', '.join(counts)}"
        if console.stderr.is_terminal or _is_worth_a_line(now, said):
            report(line)

    return watch


def _is_worth_a_line(now: Step, said: set[str]) -> bool:
    """Without a terminal: the beginning of a stage, and the end of a tier."""
    marks = {now.stage} | {f"{now.stage} {t}" for t, n in now.planned.items() if now.done.get(t, 0) == n}
    is_new = not marks <= said
    said |= marks
    return is_new


def _told(outcome: Outcome) -> str:
    return f"{outcome.promise}  ({outcome.reason})" if outcome.reason else outcome.promise


def _refusal(found: Verification, broken: list[Outcome]) -> str:
    lines = "\n".join(f"  ✗ {_told(one)}" for one in broken)
    return f"{short(found.image)} is not to be released: {found.why}.\n{lines}"
