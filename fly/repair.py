"""Compares ledger and platform, both ways, and puts in order what a killed run or a stranger's hand left."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fly.client import Client
from fly.errors import JarvisError, LedgerError, NotFound
from fly.ledger import (
    DESTROYING,
    LEFT_BEHIND,
    LIVE,
    PROVISIONING,
    READY,
    Ledger,
    Workspace,
    as_workspace,
    drawn_at_s,
)
from fly.model import Machine
from fly.plan import EMAIL_MARK, NAME_MARK, WORKSPACE_MARK, network_of, workspace_of
from fly.provision import SERVING_S, Probe, Report, mend, page_probe, wait_for_page
from fly.remains import remove_app, to_oneself

UNFINISHED, VANISHED, LEFTOVER, ORPHAN = "unfinished", "vanished", "leftover", "orphan"
RESTORABLE, IN_THE_MAKING = "restorable", "in the making"
LIST, ADOPT, REMOVE = "list", "adopt", "remove"
YOUNG_S = 600.0
"""An app without a row that is younger may be another operator's, who is making it at this moment."""
_DOING = {PROVISIONING: "making", DESTROYING: "removing", LEFT_BEHIND: "undoing"}


@dataclass(frozen=True)
class Finding:
    """Where ledger and platform disagree, and what cures it; `outcome` and `ok` tell how that went.

    *Shape* of `kind`: `unfinished` a run died, `vanished` the platform has no such app, `restorable` nor has
    it, but there is a copy, `leftover` the app of a closed row, `orphan` an app that carries our mark and has
    no row here, `in the making` such a one that is very young, `cut off` in the middle of an upgrade.
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


def survey(client: Client, ledger: Ledger, now_s: Callable[[], float] = time.time) -> list[Finding]:
    """Everything in which ledger and platform disagree; changes nothing."""
    # The platform first: whatever it has by then has had its row before.
    present = {found.workspace_id: found for found in _present(client)}
    rows = {row.id: row for row in ledger.workspaces(client.platform.key, everything=True)}
    of_rows = [_of_row(client, row, row.id in present) for row in rows.values()]
    of_apps = [_of_app(found, rows.get(found.workspace_id), now_s()) for found in present.values()]
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
    now_s: Callable[[], float] = time.time,
) -> list[Finding]:
    """What was out of order, each with what came of curing it. One that resists does not stop the rest.

    `orphans`: `list` them (they may be in another operator's ledger), `adopt` them into this one, or `remove`
    them; never what is so young that somebody may still be making it, or what somebody works on. `copy_of`
    says of what a lost workspace could be brought back: its row, which has its key, stays.
    """
    findings = [_spared(finding, copy_of) for finding in survey(client, ledger, now_s)]
    if dry_run:
        return findings
    asked = probe or page_probe(client.platform)
    cures: dict[str, Callable[[Finding], str]] = {
        UNFINISHED: lambda found: _mend(client, ledger, found, asked, report),
        VANISHED: lambda found: ledger.destroyed(found.workspace_id, "the platform has no such app").state,
        RESTORABLE: lambda _found: "left as it is",
        IN_THE_MAKING: lambda _found: "left as it is",
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


def _of_app(found: _Present, row: Workspace | None, now_s: float) -> Finding | None:
    if row is None:
        return _without_row(found, now_s)
    if row.state in LIVE:
        return None
    what = f"the ledger says that it is {row.state}, and it is there"
    return Finding(LEFTOVER, found.app, what, "remove it", found.workspace_id, row, found.machine)


def _without_row(found: _Present, now_s: float) -> Finding:
    marks = found.machine.metadata if found.machine else {}
    what = f"the workspace of {marks.get(EMAIL_MARK, 'nobody known')} is not in this ledger"
    kind, cure = ORPHAN, "adopt it, remove it, or leave it to another operator's ledger"
    age_s = now_s - max(drawn_at_s(found.workspace_id), _made_at_s(found.machine))
    if age_s < YOUNG_S:
        kind, what = IN_THE_MAKING, f"{what}, and {max(0.0, age_s):.0f} s old: somebody may be making it"
        cure = f"look again when it is {YOUNG_S / 60:.0f} minutes old"
    return Finding(kind, found.app, what, cure, found.workspace_id, None, found.machine)


def _made_at_s(machine: Machine | None) -> float:
    """When the platform says that it was made; one that was restored is younger than its workspace."""
    try:
        return datetime.fromisoformat(machine.created_at).timestamp() if machine else 0.0
    except ValueError:
        return 0.0


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
    with _to_oneself(client, finding):
        remove_app(client, finding.app, network_of(finding.workspace_id))
    return "removed"


def _to_oneself(client: Client, finding: Finding) -> AbstractContextManager[None]:
    machine_id = finding.machine.id if finding.machine else ""
    return to_oneself(client, finding.app, finding.workspace_id, machine_id, "repair")


def _adopt(client: Client, ledger: Ledger, finding: Finding, probe: Probe) -> str:
    if finding.machine is None:
        raise LedgerError(f"{finding.app} has no machine that says whose it is; it can only be removed.")
    with _to_oneself(client, finding):
        return _adopted(client, ledger, finding, finding.machine.id, probe)


def _adopted(client: Client, ledger: Ledger, finding: Finding, machine_id: str, probe: Probe) -> str:
    url = client.platform.url_of(finding.app)
    # A row that says "ready" has to be true; what does not answer today may hold files all the same.
    wait_for_page(client, probe, url, SERVING_S)
    machine = client.machine(finding.app, machine_id)
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
