"""All that the checks look at, gathered once. None stands for what nobody could tell. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

AWAKE = frozenset({"starting", "resuming", "started", "restarting", "replacing", "updating"})
ASLEEP = frozenset({"stopped", "suspended"})


@dataclass(frozen=True)
class Facts:
    """One workspace at one moment.

    *Shape* of `state`: the machine's, or `gone` where the platform has no such machine.
    """

    id: str
    name: str
    app: str
    url: str
    now: datetime
    state: str
    state_since: datetime | None = None
    awake_since: datetime | None = None
    failing: tuple[str, ...] = ()
    """The platform's own health checks that do not pass, each in a sentence; only of a machine that runs."""
    restarts: int = 0
    """How often its server ended by itself and was started again within the last hour."""
    host_trouble: str = ""
    page_trouble: str = ""
    """What the last probe from outside found wrong."""
    page_trouble_since: datetime | None = None
    certificate_until: datetime | None = None
    disk_share: float | None = None
    """Of its volume, how much is full: 0 to 1."""
    backup_at: datetime | None = None
    backups_are_made: bool = False
    born: datetime | None = None
    image_made: datetime | None = None
    claude: str = ""
    addresses: int | None = None
    """From how many places somebody who is in came within the last hour."""
    hours_last_day: float | None = None
    hours_usual_day: float | None = None
    """Of the days of the two weeks before."""
    cost_usd: Decimal | None = None
    """Of this month, so far."""
    cap: str = ""
    """Her cap, in words: `20 h a month`."""
    cap_share: float | None = None
    """How much of it is used up."""
    is_paused: bool = False


@dataclass(frozen=True)
class Disagreement:
    """Where ledger and platform differ, as `invoke repair` sees it."""

    kind: str
    app: str
    what: str


@dataclass(frozen=True)
class Fleet:
    """What is not about one workspace alone."""

    now: datetime
    workspaces: tuple[Facts, ...]
    disagreements: tuple[Disagreement, ...] = ()
    newest_claude: str = ""
    """What the newest image brings."""
    mails_stuck: int = 0
    metered_at: datetime | None = None
    spent_usd: Decimal | None = None
    unreachable: str = ""
    """Why the platform could not be asked: then nothing is known of its workspaces."""
