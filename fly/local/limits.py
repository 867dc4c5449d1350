"""What the door allows: times, sizes and counts, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from fly.local.idle import Rule


@dataclass(frozen=True, slots=True)
class Limits:
    """Nothing here bounds the whole length of an answer, of a stream or of a WebSocket."""

    idle: Rule = field(default_factory=Rule)

    head_s: float = 10.0
    """For a whole request head, from its first byte."""
    keep_alive_s: float = 75.0
    """Between two requests of one connection."""
    body_s: float = 60.0
    """Without a byte of a request's body."""
    pace_s: float = 60.0
    """In each such span who sends a body, or takes an answer that waits, has to get on…"""
    pace_bytes: int = 6000
    """…by so much: 100 bytes a second, which the worst network manages. Waiting for the machine is free."""
    handshake_s: float = 10.0
    """To agree on TLS."""
    connect_s: float = 3.0
    redial_s: float = 0.05
    """Between two tries to reach a page that has refused before."""
    first_byte_s: float = 300.0
    """From the whole request to the first byte of the answer."""
    half_close_s: float = 5.0
    """A visitor that closed its sending side, and to whom no byte goes, is gone after so long."""
    look_round_s: float = 1.0
    """How often those are looked at that are not read from: have they gone?"""
    linger_s: float = 3.0
    """Unread input of a refused request is drained so long, that the refusal arrives."""
    drain_s: float = 3.0
    """What is under way at `stop` may finish."""

    hold_s: float = 60.0
    """A request waits so long for a machine to wake, then 504."""
    page_s: float = 2.5
    """A browser gets the waking page after so long."""
    wake_s: float = 120.0
    """A wake without result counts as failed after so long."""
    failed_wake_s: float = 2.0
    """A failed wake is not tried again for so long."""
    held_requests: int = 2000
    """For one machine."""

    connections: int = 8192
    connections_of_one: int = 6144
    """From one address: less than all, so that nobody alone can shut the others out."""
    head_bytes: int = 32 * 1024
    answer_head_bytes: int = 64 * 1024
    buffer_bytes: int = 256 * 1024
    """What is kept of one direction before its sender is stopped."""
    pooled: int = 32
    """Unused connections kept to one machine."""
    pooled_s: float = 4.0
    """Less than the 5 s after which common servers close an unused connection."""
    fresh_s: float = 1.0
    """What can't be asked twice goes over a connection that is unused for no longer, or over a new one."""

    busy_s: float = 3.0
    """For the answer to: are you busy?"""
    glance_s: float = 1.0
    """For the same, when somebody only wants to know when it sleeps."""
    glance_kept_s: float = 5.0
    """Who wants to know it again before is told the same."""
    busy_at_most_s: float = 600.0
    """No answer to it holds longer."""
    reconsider_s: float = 5.0
    """A machine that was not put to sleep after all is left alone for so long."""
    tick_s: float = 0.25
    """How often deadlines are looked at."""
    pass_s: float = 1.0
    """How often machines are looked at."""
