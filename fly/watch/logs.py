"""What a workspace's server has logged, and goes on to log."""

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from fly.client import Client
from fly.errors import NotAllowed, NotFound, PlanError, PlatformBroken, TooMany, Unreachable
from fly.model import LogLine

FASTEST_S, SLOWEST_S = 0.25, 4.0
"""How soon to ask again: at once after new lines, ever more slowly while there are none."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def since(text: str, now: datetime) -> datetime:
    """From `10m`, `2h`, `1d`, or a time such as `2026-11-23T09:00`, which is in UTC unless it says otherwise.

    *Errors*: PlanError.
    """
    try:
        if found := re.fullmatch(r"(\d{1,6})([smhd])", text):
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise PlanError(f"{text!r} is no time.", hint="--since 10m, 2h, 1d or 2026-11-23T09:00") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def lines(client: Client, app: str, start: datetime | None = None) -> Iterator[LogLine]:
    """What the platform still has, oldest first, of what was written from `start` on."""
    token = ""
    while (page := client.logs(app, token=token)).lines:
        yield from (line for line in page.lines if _is_from(line, start))
        if not page.token or page.token == token:
            return
        token = page.token


def follow(
    client: Client,
    app: str,
    start: datetime | None = None,
    *,
    report: Callable[[str], None] = lambda _line: None,
) -> Iterator[LogLine]:
    """The same, and then every line as it is written, until somebody ends it.

    A machine that sleeps or starts anew, and a platform that does not answer for a while, do not end it.

    *Errors*: NotFound, where the app is gone; NotAllowed.
    """
    token, pause_s, told = "", FASTEST_S, False
    for number in itertools.count():
        if number:
            client.sleep(pause_s)
        pause_s = min(2 * pause_s, SLOWEST_S)
        try:
            page = client.logs(app, token=token)
        except (NotFound, NotAllowed):
            raise
        except (Unreachable, PlatformBroken, TooMany) as error:
            if not told:
                report(f"{error}; asking on")
            told = True
            continue
        if told:
            report("The platform answers again.")
            told = False
        yield from (line for line in page.lines if _is_from(line, start))
        token = page.token or token
        pause_s = FASTEST_S if page.lines else pause_s


def _is_from(line: LogLine, start: datetime | None) -> bool:
    """A line whose time can not be read is shown rather than lost."""
    if start is None:
        return True
    try:
        # The engine writes nanoseconds, and Python reads no more than microseconds.
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", line.timestamp))
    except ValueError:
        return True
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) >= start
