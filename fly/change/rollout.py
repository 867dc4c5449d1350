"""Several workspaces to other images, one by one: canaries first, no further than the first failure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fly.change.rollouts import (
    DONE,
    ENDED,
    GONE,
    OVER,
    PLANNED,
    ROLLBACK,
    STOPPED,
    UNDER_WAY,
    UPGRADE,
    Leg,
    Rollout,
    Rollouts,
)
from fly.change.upgrade import Upgrading
from fly.client import Client
from fly.errors import ChangeError, JarvisError, LedgerError
from fly.ledger import LIVE, READY, Ledger, Workspace
from fly.repair import Finding

ASLEEP = ("stopped", "suspended")
CUT_OFF = "cut off"


@dataclass(frozen=True)
class Stop:
    """One workspace of a plan. `why_not` says why it is left out."""

    row: Workspace
    state: str
    size_gb: int
    from_image: str
    to_image: str
    is_canary: bool = False
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        shown = ("state", "size_gb", "from_image", "to_image", "is_canary", "why_not")
        who = {"name": self.row.name, "email": self.row.email, "app": self.row.app}
        return who | {name: getattr(self, name) for name in shown}


def plan(
    client: Client, rows: Sequence[Workspace], to: Callable[[Workspace], str], canaries: int
) -> list[Stop]:
    """What would be done, in this order. `to` gives the image of a workspace; empty where there is none.

    Canaries are those who sleep, where there are any: nobody is disturbed by what is tried first.
    """
    stops = [_stop(client, row, to(row)) for row in rows]
    going = sorted((one for one in stops if not one.why_not), key=lambda one: one.state not in ASLEEP)
    first = [replace(one, is_canary=True) for one in going[:canaries]]
    return [*first, *going[len(first) :], *(one for one in stops if one.why_not)]


def _stop(client: Client, row: Workspace, to: str) -> Stop:
    if row.state != READY:
        return Stop(row, "", 0, row.image, to, why_not=f"it is {row.state}")
    try:
        machine = client.machine(row.app, row.machine_id)
        size_gb = client.volume(row.app, row.volume_id).size_gb
    except JarvisError as error:
        return Stop(row, "", 0, row.image, to, why_not=str(error))
    found = Stop(row, machine.state, size_gb, machine.image, to)
    if not to:
        return replace(found, why_not="no image before this one is known")
    return replace(found, why_not="it runs that image") if machine.image == to else found


def cut_off(ledger: Ledger, rollouts: Rollouts, platform: str) -> list[Finding]:
    """The workspaces that a run which died left in the middle of a change, and what ends that."""
    rows = [(leg, ledger.get(leg.workspace)) for leg in rollouts.unfinished(platform)]
    return [
        Finding(
            CUT_OFF,
            row.app,
            f"the upgrade of {row.email} was cut off: {leg.step}",
            "invoke upgrade goes on, or takes it back",
            row.id,
            row,
            outcome="left as it is",
        )
        for leg, row in rows
        if row.state in LIVE and not row.is_worked_on
    ]


def image_before(rollouts: Rollouts, row: Workspace) -> str:
    """The image from which an upgrade took this workspace to the one that it has; empty where none did."""
    kinds = {one.number: one.kind for one in rollouts.rollouts(row.platform)}
    legs = [one for one in rollouts.of_workspace(row.id) if kinds.get(one.rollout) == UPGRADE]
    found = [one.from_image for one in legs if one.step == DONE and one.to_image == row.image]
    return found[-1] if found else ""


@dataclass(frozen=True)
class Rolling:
    """What carries a rollout out."""

    ledger: Ledger
    rollouts: Rollouts
    upgrading: Callable[[Callable[[str], None]], Upgrading]
    show: Callable[[str], Any]
    """A context manager that shows that something is under way, and gives a reporter of its details."""

    def begin(self, platform: str, kind: str, stops: Sequence[Stop]) -> Rollout:
        """A rollout with its legs, none of them begun. What was stopped before is over."""
        for stopped in self.interrupted(platform):
            self.rollouts.end(stopped, OVER)
        rollout = self.rollouts.begin(platform, kind)
        for one in stops:
            if not one.why_not:
                self.rollouts.add(rollout, one.row, one.from_image, one.to_image, is_canary=one.is_canary)
        return rollout

    def interrupted(self, platform: str) -> list[Rollout]:
        """Those that have not come to their end."""
        return [one for one in self.rollouts.rollouts(platform) if one.state in (UNDER_WAY, STOPPED)]

    def settle(self, platform: str) -> list[Leg]:
        """What was cut off in the middle, ended: on the new image or the old one.

        *Errors*: LedgerError, a process that lives is at work; ChangeError, one can still not be ended.
        """
        cut_off = self.rollouts.unfinished(platform)
        for leg in cut_off:
            row = self.ledger.get(leg.workspace)
            if row.is_worked_on:
                raise LedgerError(f"{row.app} is being upgraded at this moment.", hint="wait for it")
        return [self._resumed(leg) for leg in cut_off if not self._is_over(leg)]

    def _is_over(self, leg: Leg) -> bool:
        """Whether its workspace has ceased to be since; then there is nothing left to do."""
        if self.ledger.get(leg.workspace).state in LIVE:
            return False
        if leg.step not in ENDED:
            self.rollouts.note(leg, step=GONE)
        return True

    def _resumed(self, leg: Leg) -> Leg:
        row = self.ledger.get(leg.workspace)
        try:
            with self.show(f"{row.app}, which was cut off {leg.step}") as report:
                return self.upgrading(report).resume(leg)
        except ChangeError:
            ended = self.rollouts.leg(leg.number)
            if ended.is_unfinished:
                raise
            return ended

    def run(self, rollout: Rollout) -> list[Leg]:
        """The legs of this run, ended. After the first failure no more are begun, but for a rollback."""
        run: list[Leg] = []
        failed = False
        for leg in self._to_go(rollout):
            ended = self._gone(leg)
            run.append(ended)
            failed = failed or ended.step != DONE
            if failed and rollout.kind != ROLLBACK:
                break
        self.rollouts.end(rollout, STOPPED if failed else OVER)
        return run

    def _to_go(self, rollout: Rollout) -> Iterator[Leg]:
        """Those that were not begun, after those that failed: they are tried again."""
        legs = self.rollouts.legs(rollout)
        latest = {one.workspace: one for one in legs if not self._is_over(one)}
        for leg in latest.values():
            if leg.step in ENDED and leg.step != DONE:
                yield self.rollouts.again(leg)
        yield from (one for one in latest.values() if one.step == PLANNED)

    def _gone(self, leg: Leg) -> Leg:
        row = self.ledger.get(leg.workspace)
        title = f"{row.name}, {row.app}{' (canary)' if leg.is_canary else ''}"
        try:
            with self.show(title) as report:
                return self.upgrading(report).go(leg)
        except (ChangeError, LedgerError) as error:
            return self.rollouts.note(leg, why=str(error))
