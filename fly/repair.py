"""Compares ledger and platform, both ways, and puts in order what a killed run or a stranger's hand left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fly.client import Client
from fly.errors import JarvisError, LedgerError, NotFound
from fly.ledger import DESTROYING, LEFT_BEHIND, LIVE, PROVISIONING, READY, Ledger, Workspace, as_workspace
from fly.model import Machine
from fly.plan import EMAIL_MARK, NAME_MARK, WORKSPACE_MARK, network_of, workspace_of
from fly.provision import SERVING_S, Probe, Report, mend, page_probe, wait_for_page
from fly.remains import remove_app

UNFINISHED, VANISHED, LEFTOVER, ORPHAN = "unfinished", "vanished", "leftover", "orphan"
RESTORABLE = "restorable"
LIST, ADOPT, REMOVE = "list", "adopt", "remove"
_DOING = {PROVISIONING: "making", DESTROYING: "removing", LEFT_BEHIND: "undoing"}


@dataclass(frozen=True)
class Finding:
    """Where ledger and platform disagree, and what cures it; `outcome` and `ok` tell how that went.

    *Shape* of `kind`: `unfinished` a run died, `vanished` the platform has no such app, `restorable` nor has
    it, but there is a copy, `leftover` the app of a closed row, `orphan` an app that carries our mark and has
    no row here, `cut off` in the middle of an upgrade.
    """

    kind: str
    app: str
    what: str
    cure: str
    workspace_id: str
    row: Workspace | None = None
    machine: Machine | None = None
    outcome: str = ""
    ok: bool = True

    @property
    def is_mended(self) -> bool:
        """Whether somebody has a workspace again that was half done."""
        return self.kind == UNFINISHED and self.outcome == READY

    def to_json(self) -> dict[str, Any]:
        """What programs read."""
        shown = ("kind", "app", "what", "cure", "workspace_id", "outcome", "ok")
        return {name: getattr(self, name) for name in shown}


@dataclass(frozen=True)
class _Present:
    """An app of ours on the platform."""

    workspace_id: str
    app: str
    machine: Machine | None


def survey(client: Client, ledger: Ledger) -> list[Finding]:
    """Everything in which ledger and platform disagree; changes nothing."""
    # The platform first: whatever it has by then has had its row before.
    present = {found.workspace_id: found for found in _present(client)}
    rows = {row.id: row for row in ledger.workspaces(client.platform.key, everything=True)}
    of_rows = [_of_row(client, row, row.id in present) for row in rows.values()]
    of_apps = [_of_app(found, rows.get(found.workspace_id)) for found in present.values()]
    return [finding for finding in (*of_rows, *of_apps) if finding]


def repair(
    client: Client,
    ledger: Ledger,
    *,
    probe: Probe | None = None,
    report: Report = lambda _line: None,
    orphans: str = LIST,
    copy_of: Callable[[Workspace], str] = lambda _row: "",
    dry_run: bool = False,
) -> list[Finding]:
    """What was out of order, each with what came of curing it. One that resists does not stop the rest.

    `orphans`: `list` them (they may be in another operator's ledger), `adopt` them into this one, or `remove`
    them. `copy_of` says of what a lost workspace could be brought back: its row, which has its key, stays.
    """
    findings = [_spared(finding, copy_of) for finding in survey(client, ledger)]
    if dry_run:
        return findings
    asked = probe or page_probe(client.platform)
    cures: dict[str, Callable[[Finding], str]] = {
        UNFINISHED: lambda found: _mend(client, ledger, found, asked, report),
        VANISHED: lambda found: ledger.destroyed(found.workspace_id, "the platform has no such app").state,
        RESTORABLE: lambda _found: "left as it is",
        LEFTOVER: lambda found: _remove(client, found, report),
        ORPHAN: {
            LIST: lambda _found: "left as it is",
            ADOPT: lambda found: _adopt(client, ledger, found, asked),
            REMOVE: lambda found: _remove(client, found, report),
        }[orphans],
    }
    return [_cured(finding, cures[finding.kind]) for finding in findings]


def _cured(finding: Finding, cure: Callable[[Finding], str]) -> Finding:
    try:
        return replace(finding, outcome=cure(finding))
    except JarvisError as error:
        return replace(finding, outcome=str(error), ok=False)


# --- looking --------------------------------------------------------------------------------------


def _present(client: Client) -> Iterator[_Present]:
    """Everything on the platform that carries our mark: an app in its network, a machine in its metadata."""
    marked = {
        one.app: one
        for one in client.organisation_machines()
        if WORKSPACE_MARK in one.metadata and not one.is_going
    }
    for app in client.apps():
        machine = marked.get(app.name)
        mark = machine.metadata[WORKSPACE_MARK] if machine else ""
        if workspace_id := workspace_of(app.network) or mark:
            yield _Present(workspace_id, app.name, machine)


def _of_row(client: Client, row: Workspace, present: bool) -> Finding | None:
    if row.is_unfinished:
        what = f"{_DOING[row.state]} the workspace of {row.email} was cut off"
        cure = "finish it if its page answers, else remove it" if row.state == PROVISIONING else "remove it"
        return Finding(UNFINISHED, row.app, what, cure, row.id, row)
    if row.state != READY or present or not _is_gone(client, row.app):
        return None
    what = f"the workspace of {row.email} is ready in the ledger, and the platform has no such app"
    return Finding(VANISHED, row.app, what, "close its row", row.id, row)


def _is_gone(client: Client, app: str) -> bool:
    try:
        client.app(app)
    except NotFound:
        return True
    return False


def _of_app(found: _Present, row: Workspace | None) -> Finding | None:
    if row is None:
        marks = found.machine.metadata if found.machine else {}
        what = f"the workspace of {marks.get(EMAIL_MARK, 'nobody known')} is not in this ledger"
        cure = "adopt it, remove it, or leave it to another operator's ledger"
        return Finding(ORPHAN, found.app, what, cure, found.workspace_id, None, found.machine)
    if row.state in LIVE:
        return None
    what = f"the ledger says that it is {row.state}, and it is there"
    return Finding(LEFTOVER, found.app, what, "remove it", found.workspace_id, row, found.machine)


def _spared(finding: Finding, copy_of: Callable[[Workspace], str]) -> Finding:
    said = copy_of(finding.row) if finding.kind == VANISHED and finding.row else ""
    if not said:
        return finding
    cure = f"bring it back: invoke restore --name {finding.app}; or close its row: invoke repair --close"
    return replace(finding, kind=RESTORABLE, what=f"{finding.what}; {said}", cure=cure)


# --- curing ---------------------------------------------------------------------------------------


def _mend(client: Client, ledger: Ledger, finding: Finding, probe: Probe, report: Report) -> str:
    return mend(client, ledger, ledger.get(finding.workspace_id), probe=probe, report=report).state


def _remove(client: Client, finding: Finding, report: Report) -> str:
    report(f"removing {finding.app}")
    remove_app(client, finding.app, network_of(finding.workspace_id))
    return "removed"


def _adopt(client: Client, ledger: Ledger, finding: Finding, probe: Probe) -> str:
    if finding.machine is None:
        raise LedgerError(f"{finding.app} has no machine that says whose it is; it can only be removed.")
    url = client.platform.url_of(finding.app)
    # A row that says "ready" has to be true; what does not answer today may hold files all the same.
    wait_for_page(client, probe, url, SERVING_S)
    machine = client.machine(finding.app, finding.machine.id)
    facts = {
        "id": finding.workspace_id,
        "name": machine.metadata.get(NAME_MARK, finding.app),
        "email": machine.metadata.get(EMAIL_MARK, ""),
        "platform": client.platform.key,
        "app": finding.app,
        "url": url,
        "machine_id": machine.id,
        "volume_id": next(iter(machine.volumes), ""),
        "region": machine.region,
        "image": machine.image,
        "state": READY,
        "created_at": machine.created_at,
    }
    state = ledger.adopt(as_workspace(facts)).state
    return f"adopted, {state}; its key is not known here: invoke rotate-key --name {finding.app}"
