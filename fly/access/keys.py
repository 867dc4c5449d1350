"""The keys of workspaces: which one opens today, and another one in its place.

A new key is in the ledger before the machine hears of it, beside the old one; which of them opens is what the
machine itself says. So a run that dies in the middle loses neither, and the next look forgets the dead one.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fly.access.welcome import HOSTS_VARIABLE, LINK, OF_LOGIN, Welcome, draw, of_environment
from fly.change.machine import held
from fly.client import Client
from fly.errors import LedgerError
from fly.ledger import READY, Ledger, Workspace
from fly.model import Machine
from fly.provision import PAGE_S, Probe, page_probe, wait_for_page
from fly.pulse import Pulse

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
    before = of_environment(_environment(client.machine(row.app, row.machine_id)))
    fresh = draw(login or before.login or LINK, row.email)
    row = ledger.claim(row.id)
    try:
        ledger.keep_key(row.id, fresh)
        with held(client, row, "a new key", report) as machine:
            found = machine.look()
            report(f"telling {found.id}, which is {found.state}")
            machine.change(_with(found, row, fresh))
            report(f"waiting for {row.url}")
            pulse = Pulse(client, row.app, found.id, found)
            wait_for_page(client, probe or page_probe(client.platform), row.url, PAGE_S, pulse)
            ledger.forget_keys(row.id, but=fresh.hash)
            machine.rest(found.state)
    finally:
        ledger.release(row.id)
    return fresh


def _with(machine: Machine, row: Workspace, fresh: Welcome) -> dict[str, Any]:
    """The machine's whole config with another key in it: what is left out of an update is gone."""
    kept = {name: value for name, value in _environment(machine).items() if name not in OF_LOGIN}
    hosts = {HOSTS_VARIABLE: urlsplit(row.url).hostname or ""}
    return {**machine.config, "env": {**hosts, **kept, **fresh.environment}}


def _environment(machine: Machine) -> dict[str, Any]:
    found = machine.config.get("env")
    return found if isinstance(found, dict) else {}
