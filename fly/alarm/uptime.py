"""How much of a time a page was up, from single answers; what nobody looked at is unknown, never up. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

HOLDS = timedelta(minutes=15)
"""What a probe found is believed for so long, or until the next one: cron may miss a beat or two."""


@dataclass(frozen=True)
class Answer:
    """What one probe found."""

    at: datetime
    ok: bool


@dataclass(frozen=True)
class Stretch:
    """A time in which the answer was the same; `ok` is None where it is unknown."""

    start: datetime
    end: datetime
    ok: bool | None

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Uptime:
    """*Units*: seconds; together they are the whole time that was asked about."""

    up_s: float
    down_s: float
    unknown_s: float

    @property
    def share(self) -> float | None:
        """Of the time that is known; None where nothing is."""
        known_s = self.up_s + self.down_s
        return self.up_s / known_s if known_s else None

    @property
    def known_share(self) -> float:
        whole_s = self.up_s + self.down_s + self.unknown_s
        return (self.up_s + self.down_s) / whole_s if whole_s else 0.0


def uptime(answers: Sequence[Answer], start: datetime, end: datetime, holds: timedelta = HOLDS) -> Uptime:
    """How a time was spent; answers from before it count as far as they hold."""
    found = stretches(answers, start, end, holds)
    return Uptime(
        up_s=sum(one.seconds for one in found if one.ok),
        down_s=sum(one.seconds for one in found if one.ok is False),
        unknown_s=sum(one.seconds for one in found if one.ok is None),
    )


def stretches(
    answers: Sequence[Answer], start: datetime, end: datetime, holds: timedelta = HOLDS
) -> list[Stretch]:
    """The same as what followed what, without gaps; neighbours differ."""
    found: list[Stretch] = []
    for piece in _pieces(sorted(answers, key=lambda one: one.at), start, end, holds):
        if found and found[-1].ok is piece.ok:
            found[-1] = Stretch(found[-1].start, piece.end, piece.ok)
        else:
            found.append(piece)
    return found


def _pieces(answers: Sequence[Answer], start: datetime, end: datetime, holds: timedelta) -> list[Stretch]:
    pieces, reached = [], start
    edges = [*(one.at for one in answers), end]
    for answer, (at, following) in zip(answers, pairwise(edges), strict=True):
        first, last = max(at, reached), min(following, at + holds, end)
        if first >= last:
            continue
        pieces += [Stretch(reached, first, None)] if reached < first else []
        pieces.append(Stretch(first, last, answer.ok))
        reached = last
    return [*pieces, Stretch(reached, end, None)] if reached < end else pieces
