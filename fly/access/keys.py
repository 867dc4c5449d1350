"""The keys of workspaces: which one opens today, and another one in its place.

A new key is in the ledger before the machine hears of it, beside the old one; which of them opens is what the
machine itself says. So a run that dies in the middle loses neither, and the next look forgets the dead one.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fly.access.welcome import HOSTS_VARIABLE, LINK, OF_LOGIN, Welcome, draw, of_environment
from fly.client import Client, may_have_happened
from fly.errors import JarvisError, LedgerError
from fly.ledger import READY, Ledger, Workspace
from fly.model import Machine
from fly.provision import PAGE_S, STARTED_S, Probe, page_probe, wait_for_page

SETTLED_S = 60.0
Report = Callable[[str], None]


def current(client: Client, ledger: Ledger, row: Workspace) -> Welcome:
    """What lets the user of this workspace in at this moment.

    *Errors*: LedgerError: the ledger knows no key of it.
    """
    known = ledger.keys(row.id)
    if len(known) > 1:
        told = of_environment(_environment(client.machine(row.app, row.machine_id)))
        known = [welcome for welcome in known if welcome == told]
        if known:
            ledger.forget_keys(row.id, but=told.hash)
    if not known:
        raise LedgerError(
            f"The key of {row.app} is not in this ledger.", hint=f"invoke rotate-key --name {row.app}"
        )
    return known[0]


def rotate(
    client: Client,
    ledger: Ledger,
    row: Workspace,
    *,
    login: str = "",
    probe: Probe | None = None,
    report: Report = lambda _line: None,
) -> Welcome:
    """A new key (or another way to sign in); every device is signed out. Ends when the page answers.

    *Errors*: LedgerError, nothing to give a key to, or another process works on it; those of the client.
    """
    if row.state != READY:
        raise LedgerError(f"{row.app} is {row.state}: it has no door to give a key to.", hint="invoke users")
    machine = client.machine(row.app, row.machine_id)
    before = of_environment(_environment(machine))
    fresh = draw(login or before.login or LINK, row.email)
    row = ledger.claim(row.id)
    try:
        ledger.keep_key(row.id, fresh)
        slept = _changed(client, row, fresh, report)
        report(f"waiting for {row.url}")
        wait_for_page(client, probe or page_probe(client.platform), row.url, PAGE_S)
        ledger.forget_keys(row.id, but=fresh.hash)
        _put_to_sleep(client, row, slept, report)
    finally:
        ledger.release(row.id)
    return fresh


def _changed(client: Client, row: Workspace, fresh: Welcome, report: Report) -> str:
    """Tells the machine; gives the state in which it was. Nobody else changes it meanwhile."""
    with client.leased(row.app, row.machine_id, description="my-jarvis: a new key") as nonce:
        machine = client.machine(row.app, row.machine_id)
        report(f"telling {machine.id}, which is {machine.state}")
        request = {"config": _with(machine, row, fresh)}
        try:
            changed = client.update_machine(row.app, row.machine_id, request, nonce=nonce)
        except JarvisError as error:
            if not may_have_happened(error):
                raise
            changed = client.machine(row.app, row.machine_id)
            if of_environment(_environment(changed)) != fresh:
                raise
        client.wait(row.app, row.machine_id, "started", timeout_s=STARTED_S, instance_id=changed.instance_id)
    return machine.state


def _with(machine: Machine, row: Workspace, fresh: Welcome) -> dict[str, Any]:
    """The machine's whole config with another key in it: what is left out of an update is gone."""
    kept = {name: value for name, value in _environment(machine).items() if name not in OF_LOGIN}
    hosts = {HOSTS_VARIABLE: urlsplit(row.url).hostname or ""}
    return {**machine.config, "env": {**hosts, **kept, **fresh.environment}}


def _put_to_sleep(client: Client, row: Workspace, slept: str, report: Report) -> None:
    """As it was found: an update wakes a machine."""
    if slept not in ("stopped", "suspended"):
        return
    report("it slept before: it sleeps again")
    put = client.suspend if slept == "suspended" else client.stop
    put(row.app, row.machine_id)
    client.wait(row.app, row.machine_id, slept, timeout_s=SETTLED_S)


def _environment(machine: Machine) -> dict[str, Any]:
    found = machine.config.get("env")
    return found if isinstance(found, dict) else {}
