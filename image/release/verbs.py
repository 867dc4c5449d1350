"""What an operator types to prove an image and to release it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from rich.text import Text

from fly import console
from fly.console import say, step, verb
from fly.desk import JSON_HELP, ROOT
from fly.errors import SettingsError, UntestedImage
from fly.lazy import Lazy
from fly.settings import Settings
from image.base import BASE_REF
from image.build import TAG, build_image
from image.engine import Report, find_engine
from image.release import pins, predecessor, undo
from image.release.bump import build_moved, move, still_missing
from image.release.content import Content, read_content, short
from image.release.fetch import Reference, fetch
from image.release.inspection import inspect
from image.release.packages import all_changes
from image.release.push import promote as promote_digest
from image.release.push import push as push_content
from image.release.records import Outcome, Push, Records, Verification, missing_proof
from image.release.registry import Login, Repository, login_hint
from image.release.report import write_report
from image.release.suite import read_suite
from image.release.verify import Step, Watch
from image.release.verify import verify as verify_content
from tests.verbs import install_test_packages, install_what_promises_need, npm

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")

REGISTRY_HELP = "a Fly app's name, or HOST/REPOSITORY (default: JARVIS_REGISTRY)"
IMAGE_HELP = f"the image, by any name or id (default {TAG})"
FETCHED_HELP = f"the image, by any name or id, or HOST/REPOSITORY@DIGEST of a registry (default {TAG})"


@verb(
    help={
        "image": FETCHED_HELP,
        "keep_going": "try every promise, also when the quick tests have found the image broken",
        "json": JSON_HELP,
    }
)
def verify(context: Context, image: str = TAG, keep_going: bool = False, json: bool = False) -> None:
    """Tries every promise on an image, records what was proved, and names each promise that it breaks."""
    settings = Settings.read(os.environ, ROOT)
    with Records(settings.releases) as records:
        found = _verify(settings, records, image, _registry_of(settings), keep_going=keep_going)
        if json:
            console.print_json(found.to_json() | {"broken": [vars(one) for one in _broken(records, found)]})
        _must_pass(records, found)


@verb(help={"image": IMAGE_HELP, "json": JSON_HELP})
def report(context: Context, image: str = TAG, json: bool = False) -> None:
    """Writes the page about an image's last verification anew, and prints where it is."""
    settings = Settings.read(os.environ, ROOT)
    engine = find_engine(lambda _line: None, settings.home / "engine")
    content = read_content(engine, image)
    with Records(settings.releases) as records:
        found = next((one for one in reversed(records.verifications(content.id)) if one.seconds), None)
        if found is None:
            raise UntestedImage(f"{content.short_id} was not verified here.", hint="invoke verify")
        page = write_report(records, found.number, folder_of(settings, content.id))
    console.plain(page.with_name("report.json").read_text("utf-8") if json else str(page))


@verb(help={"image": IMAGE_HELP, "registry": REGISTRY_HELP, "json": JSON_HELP})
def push(context: Context, image: str = TAG, registry: str = "", json: bool = False) -> None:
    """Puts a verified image into a registry; refuses any other."""
    settings = Settings.read(os.environ, ROOT)
    repository, login = place(settings, registry)
    with Records(settings.releases) as records:
        done = _push(settings, records, image, repository, login)
    console.print_json(done.to_json()) if json else console.plain(done.reference)


def _push(
    settings: Settings, records: Records, image: str, repository: Repository, login: Login | None
) -> Push:
    with step("Docker Engine") as report:
        engine = find_engine(report, settings.home / "engine")
    content = read_content(engine, image)
    with step(f"Pushing {content.short_id} to {repository}") as report:
        done = push_content(engine, records, content, repository=repository, login=login, report=report)
    news = f"{done.uploaded} layers uploaded" if done.uploaded else "Nothing to upload: every layer was there"
    say(f"{news}. Tags: {', '.join(done.tags)}")
    return done


@verb(positional=["digest"], help={"digest": "a digest of `invoke releases`", "registry": REGISTRY_HELP})
def promote(context: Context, digest: str, registry: str = "") -> None:
    """Makes a tested digest the latest one, without building or uploading anything."""
    settings = Settings.read(os.environ, ROOT)
    repository, login = place(settings, registry)
    with Records(settings.releases) as records, step(f"Promoting in {repository}"):
        chosen = promote_digest(records, repository, login, digest)
    console.plain(chosen.reference)


@verb(help={"json": JSON_HELP})
def releases(context: Context, json: bool = False) -> None:
    """Lists what was pushed, and what is the latest where."""
    settings = Settings.read(os.environ, ROOT)
    with Records(settings.releases) as records:
        rows = [_release(records, one) for one in reversed(records.pushes())]
    if json:
        console.print_json(rows)
        return
    console.listing(
        ("When", "Image", "Digest", "Where", ""),
        [
            (
                *(row["at"][:16].replace("T", " "), short(row["image"]), short(row["digest"])),
                *(f"{row['repository']}:{{{','.join(row['tags'])}}}", "latest" if row["is_latest"] else ""),
            )
            for row in rows
        ],
        "Nothing was released yet: invoke release",
    )


def _release(records: Records, one: Push) -> dict[str, Any]:
    latest = records.current(one.repository)
    return one.to_json() | {
        "is_latest": latest is not None and latest.number == one.number,
        "promises": len(records.outcomes(one.verification)),
    }


@verb(help={"registry": REGISTRY_HELP, "json": JSON_HELP})
def release(context: Context, registry: str = "", json: bool = False) -> None:
    """Builds, verifies and pushes, in this order, up to the first failure."""
    settings = Settings.read(os.environ, ROOT)
    repository, login = place(settings, registry)  # before minutes of work that could not be pushed
    with step("Docker Engine") as report:
        engine = find_engine(report, settings.home / "engine")
    with step("Image") as report:
        built = build_image(engine, report=report)
    with Records(settings.releases) as records:
        if missing_proof(records, read_content(engine, built.id), read_suite()):
            _must_pass(records, _verify(settings, records, built.id, str(repository)))
        done = _push(settings, records, built.id, repository, login)
    console.print_json(done.to_json()) if json else console.plain(done.reference)


@verb(help={"image": IMAGE_HELP, "json": JSON_HELP})
def outdated(context: Context, image: str = TAG, json: bool = False) -> None:
    """Lists what there is newer of base, Claude, Python, npm and Debian, each with what to type."""
    install_test_packages()
    settings = Settings.read(os.environ, ROOT)
    with step("Docker Engine") as report:
        engine = find_engine(report, settings.home / "engine")
    content = read_content(engine, image)
    asking: dict[str, Callable[[], list[pins.Newer]]] = {
        "Claude": lambda: pins.newer_claude(ROOT),
        "Base": lambda: pins.newer_base(engine, content.id),
        "Debian's packages in the image": lambda: pins.newer_debian(engine, content.id, os.environ),
        "Python's packages": lambda: pins.newer_python(ROOT),
        "The page's packages": lambda: pins.newer_npm(npm(), ROOT),
    }
    found: list[pins.Newer] = []
    for title, ask in asking.items():
        with step(title):
            found += ask()
    if json:
        console.print_json([vars(one) for one in found])
        return
    console.listing(
        ("What", "Name", "Now", "Newest", "", "Type"),
        [
            (one.kind, one.name, one.current, one.newest, "security" if one.is_security else "", one.cure)
            for one in sorted(found, key=lambda one: not one.is_security)
        ],
        "Everything is as new as it can be.",
    )


@verb(positional=["what"], help={"what": "claude, base, python or npm"})
def bump(context: Context, what: str) -> None:
    """Moves a pin to the newest, builds, verifies and says what changed; what fails leaves all as it was."""
    if what not in pins.KINDS:
        raise Exit(
            f"There is nothing called {what!r} to bump.\n  Try: one of {', '.join(pins.KINDS)}", code=2
        )
    install_test_packages()
    settings = Settings.read(os.environ, ROOT)
    with step("Docker Engine") as report:
        engine = find_engine(report, settings.home / "engine")
    with undo.only_one(settings.home), _undone_unless_whole(settings, engine):
        with step(f"Moving {what}") as report:
            newer = move(what, engine, npm(), environment=os.environ, report=report, root=ROOT)
        if not newer:
            say(f"Nothing newer: {what} is as new as it can be, and all is as it was.")
            return
        for one in newer:
            say(f"  {one.name} {one.current} → {one.newest}")
        before = _inside(engine, TAG)
        with step("Image") as report:
            built = build_moved(what, engine, report)
        with Records(settings.releases) as records:
            if missing_proof(records, read_content(engine, built.id), read_suite()):
                _must_pass(records, _verify(settings, records, built.id, _registry_of(settings)))
    _say_moved(what, newer, short(built.id), before, _inside(engine, built.id))


def _inside(engine: docker.DockerClient, image: str) -> dict[str, Any]:
    """The packages of an image, to be compared; nothing where there is no such image."""
    try:
        return inspect(engine, read_content(engine, image).id)
    except UntestedImage:
        return {}


def _say_moved(
    what: str, newer: Sequence[pins.Newer], image: str, before: dict[str, Any], now: dict[str, Any]
) -> None:
    """What has changed in the image, and not what was meant to."""
    say(f"{what} is moved, and {image} is verified.")
    if not before or "trouble" in (before | now):
        say("What has changed in the image cannot be told: there is none to compare it with.")
    else:
        lines = all_changes(before, now)
        say("In the image has changed:" if lines else "No package of the image has changed.")
        for line in lines:
            say(f"  {line}")
    if missing := still_missing(newer, now):
        say(f"Debian's mirror did not give yet: {', '.join(missing)}. Later: invoke bump {what}")
    say("Next: invoke release" if what == "base" else "Next: commit it (git diff), then invoke release")


@contextmanager
def _undone_unless_whole(settings: Settings, engine: docker.DockerClient) -> Iterator[None]:
    """First what a killed bump has left is undone; then what this one would leave is written down."""
    if undone := undo.undo_killed(engine, settings.home, ROOT):
        say(f"A bump that was killed is undone: {', '.join(undone)}")
        say(f"What lay there is in {settings.home / undo.ASIDE}")
    with undo.written_down(engine, settings.home, ROOT, pins.FILES, (TAG, BASE_REF)):
        yield


def place(settings: Settings, registry: str) -> tuple[Repository, Login | None]:
    """Where to push, and as whom.

    *Errors*: SettingsError, before anything is touched.
    """
    named = registry or settings.registry
    if not named:
        raise SettingsError(
            "JARVIS_REGISTRY is not set: where do images go?",
            hint="fly apps create my-images, export JARVIS_REGISTRY=my-images; or --registry HOST/REPOSITORY",
        )
    repository = Repository.parse(named)
    login = login_to(settings, repository)
    if repository.is_of_fly and login is None:
        raise SettingsError("Fly's registry needs FLY_API_TOKEN.", hint=login_hint(repository))
    return repository, login


def login_to(settings: Settings, repository: Repository) -> Login | None:
    """As whom, as far as that was set."""
    if repository.is_of_fly:
        return Login("x", settings.token) if settings.token else None
    if settings.registry_user:
        return Login(settings.registry_user, settings.registry_password)
    return None


def _registry_of(settings: Settings) -> str:
    """Where releases go, as the record names it; empty where nothing was set."""
    return str(Repository.parse(settings.registry)) if settings.registry else ""


def _verify(
    settings: Settings, records: Records, image: str, repository: str, *, keep_going: bool = False
) -> Verification:
    install_what_promises_need()
    with step("Docker Engine") as report:
        engine = find_engine(report, settings.home / "engine")
    content = _content(settings, engine, image)
    say(f"Image: {content.ref}  {content.short_id}  {content.size_bytes / 1e6:.0f} MB")
    folder = folder_of(settings, content.id)
    last = records.release_before(content.id, repository)
    previous = _previous(settings, engine, last) if last else ""
    with step("Promises") as report:
        found = verify_content(
            *(engine, records, content),
            folder=folder,
            watch=_watch(report),
            keep_going=keep_going,
            previous=previous,
            release_before=last,
        )
    say(f"Report: {write_report(records, found.number, folder)}")
    return found


def _content(settings: Settings, engine: docker.DockerClient, image: str) -> Content:
    """What is here under that name, else what its registry has."""
    try:
        return read_content(engine, image)
    except UntestedImage:
        wanted = Reference.parse(image)
        if wanted is None:
            raise
    with step(f"Pulling {wanted}"):
        fetch(engine, wanted, login_to(settings, wanted.repository))
    return read_content(engine, str(wanted))


def _previous(settings: Settings, engine: docker.DockerClient, last: Push) -> str:
    """The image of that release, fetched if need be; without it upgrades begin at the image itself."""
    if not predecessor.is_here(engine, last):
        with step(f"Last release, {short(last.digest)}"):
            trouble = predecessor.bring(engine, last, login_to(settings, Repository.parse(last.repository)))
        if trouble:
            say(f"It cannot be had, so no upgrade from it is tried: {trouble}")
            return ""
    return last.image


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
    """Without a terminal: the beginning of a stage, the end of a tier, and every tenth of the way."""
    tenth = 10 * sum(now.done.values()) // max(1, sum(now.planned.values()))
    finished = {f"{tier} whole" for tier, count in now.planned.items() if now.done.get(tier, 0) == count}
    marks = {f"{now.stage} {mark}" for mark in ("begun", str(tenth), *finished)}
    is_new = not marks <= said
    said |= marks
    return is_new


def _told(outcome: Outcome) -> str:
    return f"{outcome.promise}  ({outcome.reason})" if outcome.reason else outcome.promise


def _broken(records: Records, found: Verification) -> list[Outcome]:
    return [one for one in records.outcomes(found.number) if not one.is_kept]


def _must_pass(records: Records, found: Verification) -> None:
    if not found.passed:
        lines = "\n".join(f"  ✗ {_told(one)}" for one in _broken(records, found))
        raise Exit(f"{short(found.image)} is not to be released: {found.why}.\n{lines}", code=1)
    kept = len(records.outcomes(found.number))
    say(f"✓ {short(found.image)} keeps all its {kept} promises ({found.seconds:.0f} s).")
