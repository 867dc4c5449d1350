"""Which parts of the volume are hers, and which of them go into an archive."""

from dataclasses import dataclass
from pathlib import Path

from webapp.config import Config
from webapp.files.place import Names

WORKSPACE = "workspace"

# What Claude Code keeps that is hers to take along and holds no key: conversations, plans, her instructions.
CLAUDES = (
    "CLAUDE.md",
    "agents",
    "commands",
    "file-history",
    "history.jsonl",
    "output-styles",
    "plans",
    "projects",
    "rules",
    "skills",
    "todos",
)
# What the server keeps for her. Never the rest: who may come in is this workspace's own affair.
SERVERS = ("attachments", "chat", "settings.json")
# What programs make anew by themselves.
NOT_FROM_HOME = frozenset({b".cache", b".npm"})
NOT_FROM_CLAUDE = frozenset({b"debug", b"shell-snapshots", b"statsig", b"cache"})


@dataclass(frozen=True)
class Part:
    """A folder of the volume, and which names at its top belong to an archive; None: all but some."""

    name: str
    folder: Path
    only: frozenset[bytes] | None = None
    never: frozenset[bytes] = frozenset()

    def takes(self, below: Names) -> bool:
        if self.only is not None:
            return below[0] in self.only
        return below[0] not in self.never


def parts(config: Config, *, secrets: bool) -> dict[str, Part]:
    """By their names in an archive; `secrets` adds the home folder, and Claude's login and settings."""
    found = [
        Part(WORKSPACE, config.workspace),
        Part("app", config.app, only=_names(SERVERS)),
    ]
    if secrets:
        found.append(Part("claude", config.claude_config, never=NOT_FROM_CLAUDE))
        found.append(Part("home", config.home, never=NOT_FROM_HOME))
    else:
        found.append(Part("claude", config.claude_config, only=_names(CLAUDES)))
    return {part.name: part for part in found}


def _names(names: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)
