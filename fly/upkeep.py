"""All that is put in order after runs that were killed, and before what: first what was cut off."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fly.backup.records import Backups
from fly.backup.restoring import copy_in_words
from fly.backup.throwaway import Work
from fly.backup.unsettled import settle_all
from fly.change.rollout import cut_off
from fly.change.rollouts import Rollouts
from fly.client import Client
from fly.ledger import Ledger, Workspace
from fly.repair import REMOVE, Finding, repair
from fly.settings import Platform, Settings


@dataclass(frozen=True)
class Upkeep:
    """What `invoke repair` is asked to do; `close` says that lost workspaces lose their row in any case."""

    settings: Settings
    platform: Platform
    client: Client
    ledger: Ledger
    report: Callable[[str], None]
    orphans: str
    close: bool
    dry_run: bool

    def findings(self) -> list[Finding]:
        """Only once all that was cut off is settled, the ledger says what there is to compare."""
        return [*self._unsettled(), *self._compared(), *self._upgrades()]

    def _unsettled(self) -> list[Finding]:
        with Backups(self.settings.backups) as backups:
            work = Work(client=self.client, backups=backups, report=self.report)
            return settle_all(work, self.ledger, remove=self.orphans == REMOVE, dry_run=self.dry_run)

    def _compared(self) -> list[Finding]:
        return repair(
            self.client, self.ledger, report=self.report, orphans=self.orphans, dry_run=self.dry_run,
            copy_of=_no_copy if self.close else partial(copy_in_words, self.settings),
        )  # fmt: skip

    def _upgrades(self) -> list[Finding]:
        with Rollouts(self.settings.ledger) as rollouts:
            return cut_off(self.ledger, rollouts, self.platform.key)


def _no_copy(_row: Workspace) -> str:
    return ""
