"""Workspaces beside what the platform says about their machines at this moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fly.client import Client
from fly.errors import NotFound
from fly.ledger import READY, Workspace
from fly.model import Machine


@dataclass(frozen=True)
class Status:
    """A workspace and its machine, if it has one."""

    workspace: Workspace
    machine: Machine | None

    @property
    def state(self) -> str:
        """The machine's state; `gone` when it should be there and is not, empty when it need not be."""
        if self.machine:
            return self.machine.state
        return "gone" if self.workspace.state == READY else ""

    def to_json(self) -> dict[str, Any]:
        """What programs read."""
        checks = self.machine.checks if self.machine else ()
        return self.workspace.to_json() | {
            "machine_state": self.state,
            "checks": [{"name": one.name, "status": one.status, "output": one.output} for one in checks],
        }


def status(client: Client, workspace: Workspace) -> Status:
    """One workspace, asked about directly: also its checks and its latest events."""
    try:
        machine = client.machine(workspace.app, workspace.machine_id) if workspace.machine_id else None
    except NotFound:
        machine = None
    return Status(workspace, machine)


def statuses(client: Client, workspaces: Sequence[Workspace]) -> list[Status]:
    """Many workspaces, with one request for all of them."""
    machines = client.organisation_machines() if workspaces else ()
    by_id = {machine.id: machine for machine in machines}
    return [Status(one, by_id.get(one.machine_id)) for one in workspaces]
