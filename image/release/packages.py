"""The packages of two images beside each other: what came, went, and is of another version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("claude", "debian", "python", "npm")
"""Where packages come from, as `inspection` tells of them."""
CLAUDE = "Claude Code"


@dataclass(frozen=True)
class Changes:
    """Versions by name; of what is `changed` the one before and the one now."""

    added: dict[str, str]
    removed: dict[str, str]
    changed: dict[str, tuple[str, str]]

    @property
    def worded(self) -> list[str]:
        """A line for each."""
        return [
            *(f"{name} {old} → {new}" for name, (old, new) in self.changed.items()),
            *(f"{name} {version} is new" for name, version in self.added.items()),
            *(f"{name} {version} is gone" for name, version in self.removed.items()),
        ]


def listed(told: object) -> dict[str, str]:
    """One kind of packages with their versions; of Claude only a version is told."""
    if isinstance(told, str):
        return {CLAUDE: told} if told else {}
    return {str(name): str(version) for name, version in told.items()} if isinstance(told, Mapping) else {}


def changes(before: object, now: object) -> Changes:
    """What has changed of one kind."""
    old, new = listed(before), listed(now)
    return Changes(
        added={name: new[name] for name in sorted(new.keys() - old.keys())},
        removed={name: old[name] for name in sorted(old.keys() - new.keys())},
        changed={
            name: (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]
        },
    )


def all_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each change of every kind."""
    return [line for kind in KINDS for line in changes(before.get(kind), now.get(kind)).worded]
