"""The health checks of the machines that run: made at their interval, the last finding of each kept."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Literal

from fly.local import machineconfig, probe
from fly.local.hosting import Place
from fly.local.machineconfig import Check
from fly.local.state import Machine, now

UNTIL_FIRST_PASS_S = 1.0


@dataclass(frozen=True)
class CheckStatus:
    name: str
    status: Literal["passing", "warning", "critical"]
    output: str
    updated_at: str


class Health:
    def __init__(self) -> None:
        self._found: dict[str, dict[str, CheckStatus]] = {}
        self._checkers: dict[str, asyncio.Task[None]] = {}

    def of(self, machine: Machine) -> list[CheckStatus]:
        """A check that has not been made yet is critical, as on Fly."""
        found, yet = self._found.get(machine.id, {}), "the check has not run yet"
        names = [check.name for check in machineconfig.checks(machine.config)]
        return [found.get(name) or CheckStatus(name, "critical", yet, machine.updated_at) for name in names]

    def watch(self, machine: Machine, place: Place | None, *, booted: bool = False) -> None:
        """Checks it from now on, unless that is so already; one that has just booted after its grace."""
        checks = machineconfig.checks(machine.config)
        if checks and place and machine.id not in self._checkers:
            self._found[machine.id] = {}
            asking = (self._repeat(machine, place, check, check.grace_s if booted else 0) for check in checks)
            self._checkers[machine.id] = asyncio.create_task(_all_of(asking))

    def rest(self, machine: Machine) -> None:
        """Leaves it in peace; what was found last stays known."""
        if checker := self._checkers.pop(machine.id, None):
            checker.cancel()

    def forget(self, machine: Machine) -> None:
        self.rest(machine)
        self._found.pop(machine.id, None)

    async def close(self) -> None:
        checkers = list(self._checkers.values())
        for checker in checkers:
            checker.cancel()
        await asyncio.gather(*checkers, return_exceptions=True)

    async def _repeat(self, machine: Machine, place: Place, check: Check, grace_s: float) -> None:
        await asyncio.sleep(grace_s)
        passed_once = False
        while True:
            finding = await probe.ask(place.address(check.port), check)
            status: Literal["passing", "critical"] = "passing" if finding.passed else "critical"
            self._found[machine.id][check.name] = CheckStatus(check.name, status, finding.output, now())
            passed_once = passed_once or finding.passed
            await asyncio.sleep(
                check.interval_s if passed_once else min(UNTIL_FIRST_PASS_S, check.interval_s)
            )


async def _all_of(checks: Iterable[Coroutine[None, None, None]]) -> None:
    await asyncio.gather(*checks)
