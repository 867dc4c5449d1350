"""What an operator types about workspaces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.access import keys
from fly.access.verbs import LOGIN_HELP, advice, facts
from fly.access.welcome import LINK, PASSWORD, Welcome
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk, image_reference
from fly.lazy import Lazy
from fly.ledger import Workspace
from fly.model import Stray
from fly.plan import Person, Plan
from fly.provision import destroy as destroy_workspace
from fly.provision import draft, fly_toml
from fly.provision import provision as provision_workspace
from fly.repair import ADOPT, LIST, REMOVE, Finding

if TYPE_CHECKING:
    import fly.people.verbs as people
    from fly import upkeep
else:
    people, upkeep = Lazy("fly.people.verbs"), Lazy("fly.upkeep")

# --- making and unmaking --------------------------------------------------------------------------


@verb(
    help={
        "name": "the person's name, in any script",
        "email": "her e-mail address",
        "region": "where it runs (default: JARVIS_REGION, else iad)",
        "size_gb": "the volume's size",
        "memory_mb": "the machine's memory, in steps of 256",
        "cpus": "shared CPUs",
        "login": f"{LOGIN_HELP} (default: {LINK})",
        "again": "a second workspace for an e-mail that has one",
        "dry_run": "show what would be made, call by call; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def provision(
    context: Context,
    name: str = "",
    email: str = "",
    region: str = "",
    size_gb: int = 10,
    memory_mb: int = 1024,
    cpus: int = 1,
    login: str = LINK,
    again: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Makes a workspace for a person and prints her link; undoes everything if a step fails."""
    console.require(name=name, email=email)
    person = Person(name, email)
    with desk(platform) as here:
        plan = draft(
            here.platform,
            person,
            image=image_reference(here.settings, here.platform),
            region=region or here.settings.region,
            size_gb=size_gb,
            memory_mb=memory_mb,
            cpus=cpus,
            login=login,
        )
        if dry_run:
            _show_plan(plan, as_json=json)
            return
        workspace = make(here, plan, again=again)
        welcome = keys.current(here.client, here.ledger, workspace)
    if json:
        console.print_json(workspace.to_json() | welcome.to_json(workspace.url))
    else:
        show(workspace, welcome)


def make(here: Desk, plan: Plan, *, again: bool = False) -> Workspace:
    """The workspace of a plan, with progress: the one way in which workspaces come to be."""
    with step(f"Workspace of {plan.name}") as report:
        return provision_workspace(here.client, here.ledger, plan, again=again, report=report)


def show(workspace: Workspace, welcome: Welcome | None = None) -> None:
    """The box that an operator copies from: with what lets its user in, where that was drawn just now."""
    first = advice(welcome) if welcome else f"invoke link --name {workspace.app}    prints what lets her in"
    console.box(
        "Workspace ready",
        [
            ("User", workspace.name),
            ("E-mail", workspace.email),
            ("URL", workspace.url),
            *(facts(workspace, welcome) if welcome else []),
            ("Machine", workspace.machine_id),
            ("Region", workspace.region),
            ("Status", workspace.state),
        ],
        [
            first,
            "Settings → Claude Code Authentication → Open Terminal, then: claude authenticate",
            f"invoke status --name {workspace.app}",
        ],
    )
    if welcome and welcome.login != PASSWORD:
        console.plain(welcome.link(workspace.url))


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    calls = [{"method": call.method, "path": call.path, "body": call.body} for call in plan.calls()]
    if as_json:
        console.print_json({"plan": plan.to_json(), "calls": calls, "fly_toml": fly_toml(plan)})
        return
    for call in calls:
        console.plain(f"{call['method']} {call['path']}")
        console.plain(_indented(json.dumps(call["body"], indent=2, ensure_ascii=False)))
    console.plain("\n# The same as a fly.toml\n")
    console.plain(fly_toml(plan))
    say("Nothing was changed.")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


@verb(
    help={
        "name": NAME_HELP,
        "yes": "do not ask",
        "dry_run": "show what would go; change nothing",
        "platform": PLATFORM_HELP,
    }
)
def destroy(
    context: Context, name: str = "", yes: bool = False, dry_run: bool = False, platform: str = ""
) -> None:
    """Removes a workspace with its machine, its volume and all that is on it."""
    console.require(name=name)
    with desk(platform) as here:
        workspace = here.find(name)
        what = f"{workspace.name} <{workspace.email}>, {workspace.app}"
        if dry_run:
            say(f"Would remove {what}, its volume {workspace.volume_id or '(none)'} included.")
            return
        console.confirm(f"Remove the workspace of {what} and all its files?", yes=yes)
        with step(f"Removing {workspace.app}") as report:
            destroy_workspace(here.client, here.ledger, workspace, report=report)


@verb(
    help={
        "adopt": "take apps of ours that are in no ledger into this one",
        "remove": "remove apps of ours that are in no ledger, and of copies that are in no record (asks)",
        "close": "also close the rows of lost workspaces that could be brought back from a copy (asks)",
        "tell": "write to those whose workspace was mended",
        "yes": "do not ask",
        "dry_run": "show what is out of order; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def repair(
    context: Context,
    adopt: bool = False,
    remove: bool = False,
    close: bool = False,
    tell: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Compares ledger and platform, and finishes or undoes what a killed run left."""
    if adopt and remove:
        raise Exit("Choose one of --adopt and --remove.\n  Try: --dry-run shows what there is", code=2)
    orphans = ADOPT if adopt else REMOVE if remove else LIST
    with desk(platform) as here:
        if remove and not dry_run:
            console.confirm(
                "Remove every app of ours that is in no ledger, or in no record of copies, "
                "with all its files?",
                yes=yes,
            )
        if close and not dry_run:
            console.confirm("Close the rows of all lost workspaces, and forget their keys?", yes=yes)
        if tell and not dry_run:
            people.check_mail(here)
        with step("Comparing ledger and platform") as report:
            findings = upkeep.Upkeep(
                here.settings, here.platform, here.client, here.ledger,
                report=report, orphans=orphans, close=close, dry_run=dry_run,
            ).findings()  # fmt: skip
        if tell and not dry_run:
            people.tell_of_repairs(here, [one.row for one in findings if one.row and one.is_mended])
    console.print_json([one.to_json() for one in findings]) if json else _show_findings(findings)
    if not all(one.ok for one in findings):
        raise Exit("Not everything could be put in order.\n  Try: invoke repair again", code=1)


def _show_findings(findings: list[Finding]) -> None:
    console.listing(
        ("App", "What", "Cure", "Outcome"),
        [(one.app, one.what, one.cure, one.outcome) for one in findings],
        "Ledger and platform agree.",
    )


# --- looking --------------------------------------------------------------------------------------


@verb(
    help={
        "everything": "also workspaces that are gone",
        "csv": "write them to this file, with terms, payments and notes",
        "xlsx": "the same, as a spreadsheet",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def users(
    context: Context,
    everything: bool = False,
    csv: str = "",
    xlsx: str = "",
    json: bool = False,
    platform: str = "",
) -> None:
    """Lists who has which workspace, from the ledger."""
    with desk(platform) as here:
        rows = here.ledger.workspaces(here.platform.key, everything=everything)
        if written := [Path(file) for file in (csv, xlsx) if file]:
            people.write_roll(here, rows, written)
            return
    if json:
        console.print_json([row.to_json() for row in rows])
        return
    console.listing(
        ("Name", "E-mail", "URL", "State", "Since"),
        [(row.name, row.email, row.url, row.state, row.created_at[:10]) for row in rows],
        "Nobody yet: invoke provision --name … --email …",
    )


@verb(
    name="platform",
    help={
        "orphans": "list containers, volumes and networks that the embedded platform has no record of",
        "remove": "with --orphans: remove them and what is on them (asks)",
        "yes": "do not ask",
        "json": JSON_HELP,
    },
)
def platform_(
    context: Context, orphans: bool = False, remove: bool = False, yes: bool = False, json: bool = False
) -> None:
    """Says where the embedded platform answers, and with which token; lists what it has lost track of."""
    if remove and not orphans:
        raise Exit(
            "--remove says what becomes of orphans.\n  Try: invoke platform --orphans --remove", code=2
        )
    with desk("local") as here:
        if orphans:
            _show_strays(_removed(here, yes=yes) if remove else here.client.strays(), as_json=json)
        else:
            _show_platform(here, as_json=json)


def _removed(here: Desk, *, yes: bool) -> list[Stray]:
    found = here.client.strays()
    if not found:
        return found
    console.confirm(f"Remove {', '.join(one.name for one in found)}, and all that is on them?", yes=yes)
    return here.client.remove_strays()


def _show_strays(strays: list[Stray], *, as_json: bool) -> None:
    if as_json:
        console.print_json([{"kind": one.kind, "name": one.name, "labels": one.labels} for one in strays])
        return
    console.listing(
        ("Kind", "Name", "App"),
        [(one.kind, one.name, str(one.labels.get("my-jarvis.app", ""))) for one in strays],
        "Everything in the engine is on record.",
    )


def _show_platform(desk: Desk, *, as_json: bool) -> None:
    here = desk.platform
    facts: dict[str, Any] = {
        "api_url": here.api_url,
        "door_url": here.door_url,
        "token": here.token.reveal(),
        "state_dir": str(here.state_dir),
        "pid": here.pid,
        "like_fly": desk.client.is_like_fly(),
    }
    if as_json:
        console.print_json(facts)
        return
    shown = facts | {"token": "hidden (--json prints it)", "like_fly": "yes" if facts["like_fly"] else "no"}
    console.box("Embedded platform", [(name, str(value)) for name, value in shown.items()])
