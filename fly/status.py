"""Workspaces beside what the platform says about their machines at this moment."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fly.client import Client
from fly.errors import NotFound
from fly.ledger import READY, Workspace
from fly.model import Activity, Machine


@dataclass(frozen=True)
class Status:
    """A workspace and its machine, if it has one."""

    workspace: Workspace
    machine: Machine | None
    activity: Activity | None = None
    """Why it is awake; told where one workspace was asked about, by the embedded platform alone."""

    @property
    def state(self) -> str:
        """The machine's state; `gone` when it should be there and is not, empty when it need not be."""
        if self.machine:
            return self.machine.state
        return "gone" if self.workspace.state == READY else ""

    def to_json(self) -> dict[str, Any]:
        """What programs read."""
        checks = self.machine.checks if self.machine else ()
        told = self.workspace.to_json() | {
            "machine_state": self.state,
            "checks": [{"name": one.name, "status": one.status, "output": one.output} for one in checks],
        }
        return told | (asdict(self.activity) if self.activity else {})


def status(client: Client, workspace: Workspace) -> Status:
    """One workspace, asked about directly: also its checks, its latest events and why it is awake."""
    if not workspace.machine_id:
        return Status(workspace, None)
    try:
        machine = client.machine(workspace.app, workspace.machine_id)
        return Status(workspace, machine, client.activity(workspace.machine_id))
    except NotFound:
        return Status(workspace, None)


def statuses(client: Client, workspaces: Sequence[Workspace]) -> list[Status]:
    """Many workspaces, with one request for all of them."""
    machines = client.organisation_machines() if workspaces else ()
    by_id = {machine.id: machine for machine in machines}
    return [Status(one, by_id.get(one.machine_id)) for one in workspaces]
