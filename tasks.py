"""Every verb an operator types: `invoke --list` shows them, `invoke VERB --help` explains one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from fly import console
from fly.console import say, step, verb
from fly.desk import Desk, desk, image_reference
from fly.errors import LedgerError
from fly.lazy import Lazy
from fly.ledger import READY, Ledger, Workspace
from fly.plan import Person
from fly.provision import draft, page_probe, wait_for_page
from fly.reader import end_quietly_without_a_reader
from fly.remains import find_app
from fly.settings import VARIABLES, Settings

if TYPE_CHECKING:
    import fly.verbs as workspaces
    import image.release.records as releases
    import tests.verbs as checks
    from docs import written
    from fly.access import keys
    from fly.local import process
    from image import build, engine, leftovers
else:
    workspaces, releases, checks = (
        Lazy(name) for name in ("fly.verbs", "image.release.records", "tests.verbs")
    )
    written, keys, process = (Lazy(name) for name in ("docs.written", "fly.access.keys", "fly.local.process"))
    build, engine, leftovers = (Lazy(f"image.{name}") for name in ("build", "engine", "leftovers"))

ROOT = Path(__file__).resolve().parent
VERBS = {
    "fly.verbs": "provision destroy repair users platform",
    "fly.money.verbs": "estimate meter terms paid bill reconcile forecast",
    "fly.access.verbs": "link rotate-key open",
    "fly.people.verbs": (
        "onboard checklist offboard mail outbox note edit users-import ledger-backup ledger-restore"
    ),
    "fly.change.verbs": "upgrade rollback suspend wake restart resize secrets",
    "fly.watch.verbs": "status logs shell usage metrics",
    "fly.alarm.verbs": "check probe cap",
    "fly.dashboard.verbs": "dashboard",
    "fly.backup.verbs": "backup backups forget restore drill move",
    "fly.invoices.verbs": "invoices remind",
    "image.verbs": "build",
    "image.release.verbs": "verify report push promote releases release outdated bump",
    "tests.verbs": "test bench lint format lock",
    "tests.broken.verbs": "verify.selftest",
}
"""Where each verb is, so that only those are loaded that were typed: all take several times as long."""

end_quietly_without_a_reader()


@verb(
    help={
        "like_fly": "from now on the embedded platform is as slow and as strict as Fly",
        "not_like_fly": "from now on it is not any more",
    }
)
def up(context: Context, like_fly: bool = False, not_like_fly: bool = False) -> None:
    """Brings everything up on this machine, from the Docker Engine to a first user's open page."""
    settings = Settings.read(os.environ, ROOT)
    wanted = True if like_fly else False if not_like_fly else None
    with step("Docker Engine") as report:
        found = engine.find_engine(report, settings.home / "engine")
    with step("Image") as report:
        build.build_image(found, report=report)
    with step("Embedded platform"):
        process.ensure_running(
            settings.platform_dir,
            settings.api_port,
            settings.door_port,
            settings.door_certificate,
            settings.door_key,
            max_awake_s=settings.max_awake_s,
            like_fly=wanted,
        )
    with desk("local") as here:
        workspace, is_new = _first_user(here)
        with step("Her page"):
            wait_for_page(here.client, page_probe(here.platform), workspace.url, 60)
        welcome = keys.current(here.client, here.ledger, workspace) if is_new else None
    workspaces.show(workspace, welcome)


def _first_user(here: Desk) -> tuple[Workspace, bool]:
    """Whoever has a workspace already, else the one that `invoke provision` would make; whether it is new."""
    rows = [row for row in here.ledger.workspaces(here.platform.key) if row.state == READY]
    ready = [row for row in rows if find_app(here.client, row.app, row.network)]
    if ready:
        return ready[0], False
    if rows:
        raise LedgerError(
            f"The platform is up, and none of the {len(rows)} workspaces in the ledger is on it.",
            hint="invoke restore --all brings them back from their copies",
        )
    person = Person(here.settings.user_name, here.settings.user_email)
    image_of_hers = image_reference(here.settings, here.platform)
    plan = draft(here.platform, person, image=image_of_hers, region=here.settings.region)
    return workspaces.make(here, plan), True


@verb(
    help={
        "destroy": "remove everything that was made here, and nothing else (asks)",
        "keep_cache": "with --destroy: leave the images, so that the next build is quick",
        "yes": "do not ask",
        "dry_run": "show what would be stopped or removed; change nothing",
    }
)
def down(
    context: Context,
    destroy: bool = False,
    keep_cache: bool = False,
    yes: bool = False,
    dry_run: bool = False,
) -> None:
    """Stops the embedded platform and its machines, keeping all data."""
    settings = Settings.read(os.environ, ROOT)
    if dry_run:
        _show_standing(settings, destroy=destroy)
        return
    if not destroy:
        _stop(settings)
        return
    console.confirm(
        "Remove every workspace on this machine with all files in it, the ledger and the images?", yes=yes
    )
    _destroy(settings, keep_cache=keep_cache)


def _show_standing(settings: Settings, *, destroy: bool) -> None:
    running = process.is_running(settings.platform_dir)
    say(f"The embedded platform {'runs' if running else 'does not run'}.")
    if running:
        with desk("local") as here:
            for row in here.ledger.workspaces(here.platform.key):
                say(f"Would {'remove' if destroy else 'stop'} {row.app} ({row.email})")
    if destroy:
        say(f"Would remove {settings.home} and the images that were built here.")
    say("Nothing was changed.")


def _stop(settings: Settings) -> None:
    if not process.is_running(settings.platform_dir):
        say("The embedded platform does not run.")
        return
    with desk("local") as here:
        _stop_machines(here)
    with step("Stopping the embedded platform"):
        process.stop(settings.platform_dir)
    say("All data is kept. `invoke up` brings everything back.")


def _stop_machines(here: Desk) -> None:
    awake = [one for one in here.client.organisation_machines() if one.state in ("started", "suspended")]
    for machine in awake:
        with step(f"Stopping {machine.app}"):
            here.client.stop(machine.app, machine.id)
            here.client.wait(machine.app, machine.id, "stopped", timeout_s=30)


def _destroy(settings: Settings, *, keep_cache: bool) -> None:
    """By its labels, so that it works whatever state the platform is in."""
    process.stop(settings.platform_dir)
    made = process.platform_id(settings.platform_dir)
    if made or not keep_cache:
        with step("Removing machines, volumes and images") as report:
            found = engine.find_engine(report, settings.home / "engine")
            if made:
                leftovers.remove_labelled(found, f"my-jarvis.platform={made}")
            if not keep_cache:
                build.remove_images(found, report)
            found.close()
    if engine.stop_started_engine(settings.home / "engine"):
        say("The Docker Engine that was started here has ended; its packages stay.")
    shutil.rmtree(settings.platform_dir, ignore_errors=True)
    _close_ledger(settings)
    say("Everything that was made on this machine is gone.")


def _close_ledger(settings: Settings) -> None:
    """The ledger goes too, unless it is also the record of workspaces on Fly, or releases were pushed."""
    with Ledger(settings.ledger) as ledger:
        ledger.close_all("local", "the embedded platform was removed")
        elsewhere = ledger.workspaces()
    with releases.Records(settings.releases) as records:
        pushes = records.pushes()
    if elsewhere:
        say(f"{settings.ledger} stays: {len(elsewhere)} workspaces on Fly are in it.")
    if pushes:
        say(f"{settings.releases} stays: it is the only proof of what was pushed.")
    if not elsewhere and not pushes and settings.home.exists():
        shutil.rmtree(settings.home)


@verb(help={"site": "also build the documents as a site, into this folder"})
def docs(context: Context, site: str = "") -> None:
    """Writes the parts of the documents that come from the code."""
    whole = collected(VERBS)
    written.README.write_text(written.readme(whole, VARIABLES), encoding="utf-8")
    written.COMMANDS.write_text(written.command_reference(whole), encoding="utf-8")
    say("README.md and docs/commands.md are up to date.")
    if site:
        checks.install_test_packages()
        with step("Site"):
            written.build_site(Path(site).absolute())


# --- all of them ----------------------------------------------------------------------------------


def needed(words: Sequence[str]) -> list[str]:
    """The modules of the verbs among these words; all, where what comes first is no verb: a list, help."""
    of_verb = {name: module for module, names in VERBS.items() for name in names.split()}
    if not words or words[0] not in of_verb or {"-l", "--list"} & set(words):
        return list(VERBS)
    return list({of_verb[word]: None for word in words if word in of_verb})


def collected(modules: Iterable[str]) -> Collection:
    """The verbs of these modules, and those of this one. `verify` has a task below it, and is one itself."""
    verbs, verifying = Collection(up, down, docs), Collection("verify")
    for name in modules:
        for task in Collection.from_module(import_module(name)).tasks.values():
            if task.name == verifying.name:
                verifying.add_task(task, default=True)
            elif task.name == "selftest":
                verifying.add_task(task)
            else:
                verbs.add_task(task)
    if verifying.tasks:
        verbs.add_collection(verifying)
    return verbs


ns = collected(needed([word for word in sys.argv[1:] if word != "--write-pyc"]))
