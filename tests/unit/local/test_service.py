"""What the platform does beside its parts: it follows the engine's events, whatever they bring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from fly.local import service
from fly.local.container import MACHINE, Site
from fly.local.docker import DockerError, Engine
from fly.local.machines import Machines
from tests.support.door import run


class Told:
    """An engine whose events break off in one way after the other, and machines that are told of them."""

    def __init__(self, *troubles: Exception) -> None:
        self._troubles = list(troubles)
        self.told: list[str] = []
        self.looked_again = 0
        self.all_said = asyncio.Event()

    async def events(self, _label: str) -> AsyncIterator[Any]:
        yield {"Actor": {"Attributes": {MACHINE: f"m{len(self._troubles)}"}}}
        if self._troubles:
            raise self._troubles.pop(0)
        self.all_said.set()
        await asyncio.Event().wait()

    async def ended(self, machine_id: str) -> None:
        self.told.append(machine_id)

    async def look_again(self) -> None:
        self.looked_again += 1


def test_events_that_break_off_are_followed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        one = Told(DockerError(0, "it went away"), ValueError("no JSON"))
        watching = asyncio.create_task(
            service._watch(cast(Engine, one), Site("p", 2, True), cast(Machines, one))
        )
        async with asyncio.timeout(5):
            await one.all_said.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert one.told == ["m2", "m1", "m0"]
        assert one.looked_again == 2

    monkeypatch.setattr(service, "AGAIN_S", 0.0)
    run(work())
