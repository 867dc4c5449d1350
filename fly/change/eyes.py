"""How a workspace is seen from outside, and how long is waited for what is to be seen there."""

from collections.abc import Callable
from dataclasses import dataclass

from fly.client import Client
from fly.ledger import Workspace
from fly.page import is_busy
from fly.provision import PAGE_S, Probe, Report, page_probe
from fly.settings import Platform

LOOK_S = 5.0
"""How long between two looks whether something of hers still runs."""


@dataclass(frozen=True)
class Eyes:
    """How a workspace is seen from outside: what is wrong with its page, and whether something runs in it."""

    page: Probe
    busy: Callable[[str], bool]

    @classmethod
    def of(cls, platform: Platform) -> "Eyes":
        def busy(url: str) -> bool:
            return is_busy(url, platform.door_url, platform.door_certificate)

        return cls(page_probe(platform), busy)


@dataclass(frozen=True)
class Patience:
    """How long is waited: for what runs to end, for a page to answer, and after that for it to stay well."""

    idle_s: float = 1800.0
    page_s: float = PAGE_S
    well_s: float = 10.0

    @property
    def back_s(self) -> float:
        """How long the old image may take, however little patience there is with a new one."""
        return max(self.page_s, PAGE_S)


def wait_until_idle(client: Client, row: Workspace, eyes: Eyes, until: float, report: Report) -> None:
    """Returns when nothing of hers runs, or `until` has come, by the client's clock.

    A machine that sleeps is not asked: the question would wake it.
    """
    while client.machine(row.app, row.machine_id).state == "started" and eyes.busy(row.url):
        if client.clock() >= until:
            report("something still runs in it, and the deadline has come: it is cut off")
            return
        report("something runs in it: waiting until it ends")
        client.sleep(min(LOOK_S, max(0.1, until - client.clock())))
