"""What was seen of workspaces, and when. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Seen:
    """All of one workspace that costs something, as it was at a moment."""

    machine: str
    state: str
    region: str
    cpu_kind: str
    cpus: int
    memory_mb: int
    volume: str
    volume_gb: int
    snapshots_bytes: int
    dedicated_ipv4: int


@dataclass(frozen=True)
class Reading:
    """What was seen of a workspace, unchanged from `first_at` to `last_at`."""

    workspace: str
    first_at: datetime
    last_at: datetime
    seen: Seen


@dataclass(frozen=True)
class Change:
    """A machine's own word that it went into another state."""

    workspace: str
    machine: str
    at: datetime
    status: str
