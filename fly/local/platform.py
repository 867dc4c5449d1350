"""What a running platform consists of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fly.local.apps import Apps
from fly.local.faults import Faults
from fly.local.hosting import Host
from fly.local.leases import Leases
from fly.local.likeness import Likeness
from fly.local.machines import Machines
from fly.local.promql import Series
from fly.local.state import State
from fly.local.volumes import Volumes


@dataclass(frozen=True)
class Parts:
    """What stands behind API and door."""

    state: State
    host: Host
    leases: Leases
    machines: Machines
    volumes: Volumes
    apps: Apps
    likeness: Likeness


@dataclass(frozen=True)
class Platform(Parts):
    """The parts, as the API and GraphQL speak for them."""

    token: str
    about: Callable[[], dict[str, Any]]
    """What `GET /_local/platform` tells."""
    activity: Callable[[str], Awaitable[Mapping[str, Any]]]
    """Why a machine is awake and when it will sleep: the door knows."""
    measured: Callable[[], list[Series]]
    """What is known of the machines' use."""
    faults: Faults = field(default_factory=Faults)
