"""What a check has found: who, what, since when, and what to type."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

FINE, WARNING, CRITICAL = 0, 1, 2
"""As monitoring plugins end; the worst finding decides."""
WORDS = {FINE: "fine", WARNING: "warning", CRITICAL: "critical"}
FLEET = "fleet"
"""Whom a finding is about that is about nobody in particular."""


@dataclass(frozen=True)
class Finding:
    """Something that the operator should look at. `about` is a workspace's id, or `FLEET`."""

    kind: str
    about: str
    who: str
    level: int
    what: str
    cure: str
    since: datetime | None = None
    """None until somebody knows: then it is since when it was first seen."""

    @property
    def key(self) -> str:
        """The same as long as it is the same trouble of the same workspace."""
        return f"{self.about}/{self.kind}"

    def to_json(self) -> dict[str, Any]:
        """What programs read."""
        return {
            "kind": self.kind,
            "about": self.about,
            "who": self.who,
            "level": WORDS[self.level],
            "what": self.what,
            "cure": self.cure,
            "since": self.since.isoformat(timespec="seconds") if self.since else None,
        }


def worst(findings: list[Finding]) -> int:
    """The exit code."""
    return max((one.level for one in findings), default=FINE)
