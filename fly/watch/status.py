"""Workspaces beside what the platform says about them at this moment."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fly.alarm.checks import Limits
from fly.client import Client
from fly.errors import ApiError, NotFound, Unreachable
from fly.ledger import READY, Workspace
from fly.model import Activity, Machine
from fly.watch.measured import NOTHING, Reading, readings
from fly.watch.wording import percent, span

LIMITS = Limits()
"""From when on something is worth a look: the same as for `invoke check`."""
MEMORY_FULL = 0.95
OF_A_TIME = frozenset({"awake", "egress_bytes"})
"""Of a reading: what says something of a stretch of time only, and so nothing of this moment."""
CHECKED_WITHIN = timedelta(minutes=1)
"""So soon after a start a check need not have been made."""
AT_REST = frozenset({"started", "stopped", "suspended"})


@dataclass(frozen=True)
class Known:
    """What the operator's own records say, the same for all who look at this moment."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    newest_image: str = ""
    """What new workspaces get; empty where that is not known."""
    costs: Mapping[str, Decimal] = field(default_factory=dict)
    """Of this month so far in dollars, by workspace."""
    backups: Mapping[str, datetime] = field(default_factory=dict)
    """When the newest was made, by workspace."""


@dataclass(frozen=True)
class Status:
    """A workspace and its machine, if it has one."""

    workspace: Workspace
    machine: Machine | None
    activity: Activity | None = None
    """Why it is awake; the embedded platform alone tells."""
    reading: Reading = NOTHING
    known: Known = field(default_factory=Known)

    @property
    def state(self) -> str:
        """The machine's state; `gone` when it should be there and is not, empty when it need not be."""
        if self.machine:
            return self.machine.state
        return "gone" if self.workspace.state == READY else ""

    @property
    def image(self) -> str:
        return (self.machine.image if self.machine else "") or self.workspace.image

    @property
    def runs_newest(self) -> bool | None:
        """Whether its image is what new workspaces get; None where that is not known."""
        newest = self.known.newest_image
        return _digest(self.image) == _digest(newest) if newest and self.image else None

    @property
    def why(self) -> str:
        """Why it is awake, as far as the platform tells, or what its connections tell."""
        if self.activity:
            return self.activity.why if self.activity.is_awake else ""
        if self.state != "started" or self.reading.connections is None:
            return ""
        count = round(self.reading.connections)
        return f"{count} connection{'' if count == 1 else 's'} open" if count else "no connection open"

    @property
    def since(self) -> datetime | None:
        """Since when the machine is in its state."""
        return _moment(self.machine.updated_at) if self.machine else None

    @property
    def last_used(self) -> datetime | None:
        """When its page was last used, or when it fell asleep; None where nobody can tell."""
        if self.activity and self.activity.last_used_s is not None:
            return self.known.at - timedelta(seconds=self.activity.last_used_s)
        if self.state == "started":
            return self.known.at if self.reading.connections else None
        return self.since

    @property
    def cost(self) -> Decimal | None:
        return self.known.costs.get(self.workspace.id)

    @property
    def backed_up(self) -> datetime | None:
        return self.known.backups.get(self.workspace.id)

    @property
    def warnings(self) -> list[str]:
        """What somebody should look at, each in a few words."""
        return [*_of_record(self), *_of_machine(self), *_of_resources(self)]

    def to_json(self) -> dict[str, Any]:
        """What programs read; null is what is not known."""
        checks = self.machine.checks if self.machine else ()
        told = self.workspace.to_json() | {
            "machine_state": self.state,
            "checks": [{"name": one.name, "status": one.status, "output": one.output} for one in checks],
            "machine_image": self.image,
            "runs_newest_image": self.runs_newest,
            "last_used": _text(self.last_used),
            "backed_up_at": _text(self.backed_up),
            "cost_usd": None if self.cost is None else f"{self.cost:.4f}",
            "warnings": self.warnings,
        }
        told |= {name: value for name, value in asdict(self.reading).items() if name not in OF_A_TIME}
        return told | (asdict(self.activity) if self.activity else {})


def _digest(image: str) -> str:
    return image.rpartition("@")[2]


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _text(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


# --- warnings -------------------------------------------------------------------------------------


def _of_record(status: Status) -> list[str]:
    row = status.workspace
    found = []
    if row.is_unfinished:
        found.append(f"{row.state.replace('_', ' ')}: invoke repair")
    backups = status.known.backups
    if backups and row.state == READY:
        made = status.backed_up
        old = made is None or status.known.at - made > LIMITS.backup_warning
        found += ["no backup"] if made is None else [f"backup {_ago(status, made)} old"] if old else []
    return found


def _of_machine(status: Status) -> list[str]:
    machine = status.machine
    if status.state == "gone":
        return ["machine gone: invoke repair"]
    if machine is None:
        return []
    lasted = status.known.at - status.since if status.since else timedelta()
    checks = machine.checks if lasted >= CHECKED_WITHIN else ()
    found = [f"{one.name}: {one.status}" for one in checks if one.status not in ("passing", "")]
    if machine.state == "failed":
        found.append("machine failed")
    elif machine.state not in AT_REST and lasted > LIMITS.settles_within:
        found.append(f"{machine.state} for {span(lasted.total_seconds())}")
    elif machine.state == "started" and lasted > LIMITS.awake_warning:
        found.append(f"awake for {span(lasted.total_seconds())}")
    if machine.host_status not in ("", "ok"):
        found.append(f"host {machine.host_status}")
    return found


def _of_resources(status: Status) -> list[str]:
    disk, memory = status.reading.disk_share, status.reading.memory_share
    full = [f"disk {percent(disk)} full"] if disk is not None and disk >= LIMITS.disk_warning else []
    return full + ([f"memory {percent(memory)} full"] if memory and memory >= MEMORY_FULL else [])


def _ago(status: Status, at: datetime) -> str:
    return span((status.known.at - at).total_seconds())


# --- asking ---------------------------------------------------------------------------------------


def status(client: Client, workspace: Workspace, known: Known | None = None) -> Status:
    """One workspace, asked about directly: also its checks and its latest events."""
    if not workspace.machine_id:
        return Status(workspace, None)
    try:
        machine = client.machine(workspace.app, workspace.machine_id)
        found = Status(workspace, machine, client.activity(workspace.machine_id), known=known or Known())
    except NotFound:
        return Status(workspace, None, known=known or Known())
    return _measured(client, [found])[0]


def statuses(client: Client, workspaces: Sequence[Workspace], known: Known | None = None) -> list[Status]:
    """Many workspaces, with five requests for all of them; nobody's machine is asked."""
    if not workspaces:
        return []
    known = known or Known()
    by_id = {machine.id: machine for machine in client.organisation_machines()}
    activities = client.activities()
    found = [
        Status(one, by_id.get(one.machine_id), activities.get(one.machine_id), known=known)
        for one in workspaces
    ]
    return _measured(client, found)


def _measured(client: Client, found: list[Status]) -> list[Status]:
    """With what is measured. Where that does not answer, what is known without it is worth showing."""
    try:
        by_id = readings(client, [one.workspace for one in found])
    except (ApiError, Unreachable):
        return found
    return [replace(one, reading=by_id.get(one.workspace.id, NOTHING)) for one in found]
