"""When a machine may sleep, and why it may not: a pure function of what was seen of it.

Times are seconds on one monotonic clock; the caller hands in the present one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

FAR_AWAY = math.inf


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a machine stays awake, and for what."""

    idle_after_s: float = 300.0
    """After the last good answer."""
    idle_stream_s: float = 1800.0
    """An open connection without any byte for so long counts no more."""
    max_awake_s: float | None = None
    """Whatever happens, a machine sleeps after so long."""


@dataclass(slots=True, eq=False)
class Visit:
    """One open request, stream or WebSocket; the door keeps its times up to date."""

    last_in: float
    """The last byte from the visitor."""
    last_out: float
    """The last byte from the machine."""
    began: float = 0.0
    socket: bool = False
    """A WebSocket: a terminal, or a page's live connection."""
    good: bool = False
    """A good answer to it has begun. Until then it counts from its beginning, whatever it sends."""

    @property
    def last_byte(self) -> float:
        return max(self.last_in, self.last_out)

    @property
    def last_use(self) -> float:
        return self.last_byte if self.good or self.socket else self.began


@dataclass(slots=True, eq=False)
class Seen:
    """All that the door saw of one machine since it is awake."""

    awake_since: float
    visits: set[Visit] = field(default_factory=set)
    last_success: float = -math.inf
    """The last byte of a good answer or of a WebSocket; a flood of refusals keeps nothing awake."""
    busy_until: float = -math.inf
    """The workspace asked not to be put to sleep before."""

    def left(self, visit: Visit, *, success: bool) -> None:
        self.visits.discard(visit)
        if success:
            self.last_success = max(self.last_success, visit.last_byte)

    def woke(self, now: float) -> None:
        self.awake_since = now
        self.busy_until = self.last_success = -math.inf

    @property
    def last_byte(self) -> float:
        """The latest sign of life; minus infinity when there was none."""
        return max((visit.last_byte for visit in self.visits), default=self.last_success)


@dataclass(frozen=True, slots=True)
class Verdict:
    may_sleep: bool
    reason: str
    """A sentence for people."""
    sleeps_at: float | None
    """When it may sleep if nothing more happens; None means never."""


@dataclass(frozen=True, slots=True)
class _Hold:
    """One thing that keeps a machine awake, and until when."""

    until: float
    reason: str


def succeeded(status: int) -> bool:
    """Whether an answer with this status shows that somebody uses the machine."""
    return 200 <= status < 300 or status in {101, 304}


def verdict(seen: Seen, rule: Rule, autostop: str, now: float) -> Verdict:
    """May this machine sleep now, why (not), and when at the earliest.

    *Shape*: `Verdict(False, "an open terminal or page connection (2), last byte 3 s ago", 1797.0)`
    """
    if autostop == "off":
        return Verdict(False, "it never sleeps by itself (autostop is off)", None)
    if now >= (limit := _limit(seen, rule)):
        return Verdict(True, f"awake for {span(now - seen.awake_since)}, the longest that is allowed", now)
    holds = list(_holds(seen, rule, now))
    if awaking := [hold for hold in holds if hold.until > now]:
        until, reason = max(hold.until for hold in holds), awaking[0].reason
        if limit < until:
            reason += f"; it may be awake for {span(limit - now)} more at most"
        return Verdict(False, reason, min(limit, until))
    return Verdict(True, f"not used for {span(now - max(seen.awake_since, seen.last_success))}", now)


def _limit(seen: Seen, rule: Rule) -> float:
    return FAR_AWAY if rule.max_awake_s is None else seen.awake_since + rule.max_awake_s


def _holds(seen: Seen, rule: Rule, now: float) -> Iterator[_Hold]:
    """The most telling one first."""
    for socket, what in ((True, "an open terminal or page connection"), (False, "an answer under way")):
        yield from _open(seen, rule, now, socket, what)
    yield _Hold(seen.busy_until, f"the workspace is at work, for {span(seen.busy_until - now)} more at least")
    yield _Hold(seen.last_success + rule.idle_after_s, f"last used {span(now - seen.last_success)} ago")
    yield _Hold(seen.awake_since + rule.idle_after_s, f"woken {span(now - seen.awake_since)} ago")


def _open(seen: Seen, rule: Rule, now: float, socket: bool, what: str) -> Iterator[_Hold]:
    untils = [visit.last_use + rule.idle_stream_s for visit in seen.visits if visit.socket is socket]
    if lively := [until for until in untils if until > now]:
        silent_s = now - (max(lively) - rule.idle_stream_s)
        yield _Hold(max(lively), f"{what} ({len(lively)}), last byte {span(silent_s)} ago")


def span(seconds: float) -> str:
    """A length of time for people: `3 s`, `5 min`, `2 h 10 min`."""
    if not math.isfinite(seconds):
        return "ever"
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
