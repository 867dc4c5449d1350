"""How much of Fly's slowness and strictness the platform shows: none of it, unless it is asked for. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Likeness:
    """*Source*: docs.fly.io, "Suspend and resume", "Autostop/autostart"; where no figure is published, the
    middle of what is reported.
    """

    resume_s: float = 0.0
    cold_start_s: float = 0.0
    stop_s: float = 0.0
    """Beyond what the process takes to end."""
    answer_s: float = 0.0
    """Before each answer of the API."""
    autostop_pass_s: float | None = None
    """How often machines are looked at; None: as quickly as the door can."""
    rate_limited: bool = False


OWN = Likeness()
LIKE_FLY = Likeness(
    resume_s=0.3,
    cold_start_s=2.0,
    stop_s=0.5,
    answer_s=0.05,
    autostop_pass_s=150.0,
    rate_limited=True,
)
