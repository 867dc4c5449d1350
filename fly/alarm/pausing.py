"""Puts a friendly page in a workspace's place when its cap is used up, and takes it away again.

The workspace's own server shows the page, until a moment that it knows itself: when the month turns she is
back whether or not anybody looks. Only a machine that runs is told, and only while no turn is under way in
it, so that nothing of hers is cut off; whoever sleeps uses nothing up, and is told when she comes back.
"""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from fly.alarm import probe
from fly.alarm.caps import WARNED_AT, Cap, Caps, Use
from fly.alarm.rounds import ask_told
from fly.change.eyes import Eyes, Patience
from fly.change.power import Power
from fly.client import Client
from fly.ledger import READY, Ledger, Workspace
from fly.model import Machine
from fly.people.letters import ALLOWANCE, PAUSED
from fly.people.outbox import Mail
from fly.people.post import Post
from fly.plan import CONTACT_VARIABLE, PAUSED_VARIABLE
from fly.provision import Probe, Report, page_probe
from fly.record import stamp

NOTHING, WARNED, WAITS, PAUSE, RESUME = "nothing", "warned", "waits", "paused", "resumed"


@dataclass(frozen=True)
class Step:
    """What is to be done, or was done, about somebody's cap."""

    row: Workspace
    act: str
    share: float
    cap: Cap
    mail: Mail | None = None


def due(cap: Cap | None, use: Use, *, is_lifted: bool, is_paused: bool) -> str:
    """What a cap asks for. Pure."""
    share = cap.share(use.hours, use.usd) if cap and not is_lifted else 0.0
    if share >= 1:
        return NOTHING if is_paused else PAUSE
    if is_paused:
        return RESUME
    return WARNED if share >= WARNED_AT else NOTHING


def is_paused(machine: Machine, now: datetime) -> bool:
    """Whether the page that says so stands there now; one whose moment has come shows nothing any more."""
    until = environment(machine).get(PAUSED_VARIABLE, "")
    try:
        return bool(until) and now < datetime.fromisoformat(str(until))
    except ValueError:
        return False


@dataclass(frozen=True)
class Keeper:
    """Whoever keeps to the caps: what it works with."""

    client: Client
    ledger: Ledger
    caps: Caps
    post: Post | None
    """None where no mail goes out."""
    contact: str
    now: datetime
    probe: Probe | None = None
    report: Report = lambda _line: None

    def keep(self, row: Workspace, machine: Machine, use: Use, *, dry_run: bool = False) -> Step | None:
        """Warns, pauses or resumes as her cap says; None where there is nothing to do.

        *Errors*: those of the client; the next run does what this one could not.
        """
        cap = self.caps.of(row.id)
        lifted = self.caps.is_lifted(row.id, use.month)
        act = due(cap, use, is_lifted=lifted, is_paused=is_paused(machine, self.now))
        if act == NOTHING:
            return None
        told = cap or Cap("hours", use.hours or use.usd)
        share = cap.share(use.hours, use.usd) if cap else 0.0
        if act == PAUSE and not self._may_be_paused(row, machine):
            return Step(row, WAITS, share, told)
        if dry_run:
            return Step(row, act, share, told)
        if act in (PAUSE, RESUME):
            self._change(row, use.month.end if act == PAUSE else None)
        mail = self._mail(row, act, told, use)
        return Step(row, act, share, told, mail) if act != WARNED or mail else None

    def _may_be_paused(self, row: Workspace, machine: Machine) -> bool:
        """Whether it runs and nothing is under way in it: asked twice, since a turn begins at once."""
        if machine.state != "started":
            return False
        told = ask_told(self.client, row)
        return told is not None and told.turns == 0 and probe.is_at_rest(self.client.platform, row.url)

    def _change(self, row: Workspace, until: datetime | None) -> None:
        """Ends when her page answers, or all is as it was; a machine that slept sleeps again."""
        asked = self.probe or page_probe(self.client.platform)
        # That nothing of hers runs was asked right before, and more thoroughly.
        eyes = Eyes(asked, lambda _url: False)
        power = Power(self.client, self.ledger, eyes, Patience(), self.report)
        power.change(row, "a cap", lambda machine: _config(machine, until, self.contact))

    def _mail(self, row: Workspace, act: str, cap: Cap, use: Use) -> Mail | None:
        """The letter to her, once for each month and cap; None where it went out before."""
        if self.post is None or act not in (PAUSE, WARNED):
            return None
        until = f"{use.month.end:%B} {use.month.end.day}"
        facts = {"cap": str(cap), "until": until}
        facts |= {"share": f"{WARNED_AT:.0%}"} if act == WARNED else {}
        mail = self.post.put(row, ALLOWANCE if act == WARNED else PAUSED, facts)
        return self.post.send(mail) if not mail.tries else None


def lift(keeper: Keeper, row: Workspace, use: Use) -> bool:
    """For the rest of the month the cap does not hold; whether a page stood in her way."""
    keeper.caps.lift(row.id, use.month)
    machine = keeper.client.machine(row.app, row.machine_id)
    step = keeper.keep(row, machine, use) if row.state == READY else None
    return step is not None and step.act == RESUME


# --- the machine ----------------------------------------------------------------------------------


def environment(machine: Machine) -> dict[str, Any]:
    found = machine.config.get("env")
    return found if isinstance(found, dict) else {}


def _config(machine: Machine, until: datetime | None, contact: str) -> dict[str, Any]:
    """The machine's whole config: what is left out of an update is gone."""
    known = environment(machine)
    kept = {name: value for name, value in known.items() if name not in (PAUSED_VARIABLE, CONTACT_VARIABLE)}
    told = {PAUSED_VARIABLE: stamp(until), CONTACT_VARIABLE: parseaddr(contact)[1]} if until else {}
    return {**machine.config, "env": kept | told}
