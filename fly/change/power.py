"""Asleep, awake, and anew: what an operator does to machines by hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fly.change.eyes import Eyes, Patience, wait_until_idle
from fly.change.machine import HeldMachine, held
from fly.client import Client
from fly.errors import ChangeError, JarvisError
from fly.ledger import READY, Ledger, Workspace
from fly.model import Machine
from fly.provision import Report, wait_for_page
from fly.pulse import Pulse

SUSPEND, WAKE, RESTART = "suspend", "wake", "restart"


@dataclass(frozen=True)
class Power:
    """What changes a workspace's machine as a whole; what runs is not cut off before the deadline."""

    client: Client
    ledger: Ledger
    eyes: Eyes
    patience: Patience
    report: Report

    def do(self, what: str, row: Workspace) -> str:
        """The state in which the machine is then.

        *Errors*: ChangeError, LedgerError; those of the client.
        """
        acts: dict[str, Callable[[HeldMachine], None]] = {
            SUSPEND: self._suspend,
            WAKE: lambda machine: machine.wake(),
            RESTART: self._restart,
        }
        with self.alone(row, what, waits=what != WAKE) as machine:
            before = machine.look()
            acts[what](machine)
            state = machine.look().state
        if state == "started":
            self._wait_for_page(row, before)
        return state

    def _wait_for_page(self, row: Workspace, before: Machine) -> None:
        """*Errors*: NotInTime; at once where its program ends again and again."""
        pulse = Pulse(self.client, row.app, row.machine_id, before)
        wait_for_page(self.client, self.eyes.page, row.url, self.patience.page_s, pulse)

    def _suspend(self, machine: HeldMachine) -> None:
        if machine.look().state == "started":
            machine.rest("suspended")

    def _restart(self, machine: HeldMachine) -> None:
        """One that sleeps starts anew when it is next used: its frozen memory is given up."""
        was = machine.look().state
        if was in ("started", "suspended"):
            machine.end()
        if was == "started":
            machine.wake()

    def change(
        self, row: Workspace, what: str, config: Callable[[Machine], dict[str, Any]], *, always: bool = False
    ) -> bool:
        """Whether there was anything to change; its page answers with the new config, or it has the old one.

        `always`: it is updated all the same, which is how it learns of new secrets.

        *Errors*: ChangeError; those of the client.
        """
        with self.alone(row, what, waits=True) as machine:
            before = machine.look()
            wanted = config(before)
            if wanted == before.config and not always:
                return False
            self.report(f"it is {before.state}: changing it")
            machine.change(wanted)
            try:
                self._wait_for_page(row, before)
            except JarvisError as error:
                self.report("its page does not answer: as it was before")
                machine.change(before.config)
                machine.rest(before.state)
                raise ChangeError(
                    f"{row.app} does not answer with its new settings: {error}\nIt has its old ones.",
                    outcome="returned",
                ) from error
            machine.rest(before.state)
        return True

    @contextmanager
    def alone(self, row: Workspace, what: str, *, waits: bool) -> Iterator[HeldMachine]:
        """Its machine, which nobody else changes; `waits`: once nothing of hers runs."""
        row = self.ledger.claim(row.id)
        try:
            if row.state != READY:
                raise ChangeError(f"{row.app} is {row.state}.", outcome="untouched", hint="invoke repair")
            if waits:
                until = self.client.clock() + self.patience.idle_s
                wait_until_idle(self.client, row, self.eyes, until, self.report)
            with held(self.client, row, what, self.report) as machine:
                yield machine
        finally:
            self.ledger.release(row.id)
