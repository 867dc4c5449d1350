"""Another size for a workspace: memory and processors either way, the volume only larger."""

from dataclasses import dataclass
from typing import Any

from fly.change.machine import surely
from fly.change.power import Power
from fly.client import Client
from fly.errors import PlanError
from fly.ledger import Ledger, Workspace
from fly.model import Machine
from fly.plan import checked_memory, checked_size


@dataclass(frozen=True)
class Size:
    """*Units*: what their names say."""

    memory_mb: int
    cpus: int
    size_gb: int

    def to_json(self) -> dict[str, int]:
        return dict(vars(self))

    def __str__(self) -> str:
        return f"{self.memory_mb} MB, {self.cpus} CPU, {self.size_gb} GB"


def size_of(client: Client, row: Workspace) -> Size:
    """What it has now."""
    guest = client.machine(row.app, row.machine_id).config.get("guest") or {}
    volume = client.volume(row.app, row.volume_id)
    return Size(int(guest.get("memory_mb", 256)), int(guest.get("cpus", 1)), volume.size_gb)


def wanted_size(now: Size, *, memory_mb: int = 0, cpus: int = 0, size_gb: int = 0) -> Size:
    """What it is to have; 0 stands for what it has.

    *Errors*: PlanError, for what Fly refuses, before anything is touched.
    """
    wanted = Size(memory_mb or now.memory_mb, cpus or now.cpus, size_gb or now.size_gb)
    if (wanted.memory_mb, wanted.cpus) != (now.memory_mb, now.cpus):
        checked_memory(wanted.memory_mb, wanted.cpus)
    if wanted.size_gb < now.size_gb:
        raise PlanError(
            f"The volume has {now.size_gb} GB; a volume never becomes smaller.",
            hint=f"--size-gb {now.size_gb} or more",
        )
    if wanted.size_gb != now.size_gb:
        checked_size(wanted.size_gb)
    return wanted


def resize(power: Power, ledger: Ledger, row: Workspace, wanted: Size) -> Size:
    """What it has then. The volume grows first: that disturbs nobody, and it never shrinks again.

    Done twice, it does nothing the second time: so a run that was killed is ended by the same command.

    *Errors*: ChangeError; those of the client.
    """
    now = size_of(power.client, row)
    if now != wanted:
        ledger.change(row.id, "resizing", f"{now} → {wanted}")
    needs_restart = wanted.size_gb > now.size_gb and _extended(power, row, wanted.size_gb)
    guest = {"memory_mb": wanted.memory_mb, "cpus": wanted.cpus}

    def config(machine: Machine) -> dict[str, Any]:
        return {**machine.config, "guest": {**(machine.config.get("guest") or {}), **guest}}

    changed = power.change(row, "resize", config)
    if needs_restart and not changed:
        power.do("restart", row)
    reached = size_of(power.client, row)
    if reached != now:
        ledger.change(row.id, "resized", str(reached))
    return reached


def _extended(power: Power, row: Workspace, size_gb: int) -> bool:
    """Whether its machine sees the new size only after a restart; where the answer was lost, it may."""
    power.report(f"the volume grows to {size_gb} GB")
    answers: list[bool] = []
    surely(
        power.client,
        lambda: answers.append(power.client.extend_volume(row.app, row.volume_id, size_gb)[1]),
        lambda: power.client.volume(row.app, row.volume_id).size_gb >= size_gb,
    )
    return answers[0] if answers else True
