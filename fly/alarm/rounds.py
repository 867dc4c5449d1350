"""A round: every workspace looked at once, by the platform's word and from outside; samples are kept."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from fly.alarm import probe, uptime
from fly.alarm.facts import ASLEEP, AWAKE
from fly.alarm.probe import Answer
from fly.client import Client
from fly.errors import ApiError, NotFound, Unreachable
from fly.ledger import READY, Workspace
from fly.model import Machine
from fly.watch.samples import Sample, Samples

TOLD = ("cat", "/tmp/my-jarvis/told.json")  # noqa: S108 - in her container
AT_ONCE = 4
AGAIN_AFTER_S = 3.0
"""A page that does not answer is asked once more: a machine may just have been falling asleep."""
WAKES_EVERY = timedelta(hours=20)
LATEST_ROLLED = 8
"""So many days back single answers are still there as they were."""


@dataclass(frozen=True)
class Told:
    """What the workspace itself tells its operator."""

    connected: bool | None = None
    places: int | None = None
    turns: int | None = None
    """How many are under way, also those that wait for her."""
    claude: str = ""


@dataclass(frozen=True)
class Look:
    """What was seen of a workspace. `trouble` is empty where its user would get her page."""

    row: Workspace
    at: datetime
    machine: Machine | None
    trouble: str
    ms: float | None = None
    wake_ms: float | None = None
    certificate_until: datetime | None = None
    told: Told | None = None

    @property
    def samples(self) -> Iterator[Sample]:
        """What is kept of it."""
        measured = {
            "probe_ok": float(not self.trouble),
            "probe_ms": self.ms,
            "wake_ms": self.wake_ms,
            "certificate_s": (self.certificate_until - self.at).total_seconds()
            if self.certificate_until
            else None,
            "claude_ready": self.told.connected if self.told else None,
            "places": self.told.places if self.told else None,
        }
        for metric, value in measured.items():
            if value is not None:
                yield Sample(self.at, self.row.id, metric, float(value))


def go_round(
    client: Client,
    rows: Sequence[Workspace],
    samples: Samples,
    *,
    wake: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Look]:
    """Looks at everybody whose workspace stands and is not worked on; `wake`: wakes who sleeps, once a day.

    *Errors*: Unreachable, ApiError: the platform cannot be asked. Then nothing is noted of anybody.
    """
    due = {row.id for row in rows if wake and _is_wake_due(samples, row, now())}
    chosen = [row for row in rows if row.state == READY and not row.is_worked_on]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        looks = list(pool.map(lambda row: _surely(client, row, row.id in due, now), chosen))
    samples.add(sample for look in looks for sample in look.samples)
    for row in chosen:
        _roll_up(samples, row, now())
    return looks


def _is_wake_due(samples: Samples, row: Workspace, now: datetime) -> bool:
    return not samples.series(row.id, "wake_ms", now - WAKES_EVERY, now + WAKES_EVERY)


def _surely(client: Client, row: Workspace, wake: bool, now: Callable[[], datetime]) -> Look:
    found = look_at(client, row, now, wake=wake)
    if found.trouble and found.machine:
        client.sleep(AGAIN_AFTER_S)
        found = look_at(client, row, now)
    return found


def look_at(client: Client, row: Workspace, now: Callable[[], datetime], *, wake: bool = False) -> Look:
    """Its machine's state is read right before its page is asked: what has fallen asleep is not woken."""
    try:
        machine = client.machine(row.app, row.machine_id)
    except NotFound:
        return Look(row, now(), None, "the platform has no such machine")
    answer, is_wake = _answer_of(client, row, machine, wake)
    seen = Look(
        row,
        now(),
        machine,
        _trouble_of(machine) or answer.trouble,
        ms=None if is_wake else answer.ms,
        wake_ms=answer.ms if is_wake and answer.ok else None,
        certificate_until=answer.certificate_until,
    )
    return replace(seen, told=ask_told(client, row)) if machine.state == "started" else seen


def _answer_of(client: Client, row: Workspace, machine: Machine, wake: bool) -> tuple[Answer, bool]:
    """What the page answers, and whether it was woken for that."""
    if machine.state == "started":
        return probe.ask(client.platform, row.url), False
    if machine.state in ASLEEP and wake:
        return probe.wake(client.platform, row.url), True
    return probe.knock(client.platform, row.url), False


def _trouble_of(machine: Machine) -> str:
    """What the platform's own word is enough for."""
    if machine.host_status not in ("", "ok"):
        return f"its host is {machine.host_status}"
    if machine.state in ASLEEP:
        services: list[dict[str, Any]] = machine.config.get("services") or []
        return "" if any(one.get("autostart", True) for one in services) else "nothing would wake it"
    return "" if machine.state in AWAKE | {"suspending", "stopping"} else f"its machine is {machine.state}"


def ask_told(client: Client, row: Workspace) -> Told | None:
    """None where it cannot be asked, or is older than this file."""
    try:
        done = client.exec(row.app, row.machine_id, TOLD, timeout_s=10)
        found = json.loads(done.stdout)
    except (ApiError, Unreachable, ValueError):
        return None
    if done.exit_code != 0 or not isinstance(found, dict):
        return None
    connected = found.get("connected")
    return Told(
        connected=connected if isinstance(connected, bool) else None,
        places=_count(found.get("addresses")),
        turns=_count(found.get("turns")),
        claude=str(found.get("claude", "")),
    )


def _count(found: object) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None


# --- uptime ---------------------------------------------------------------------------------------


def uptime_of(samples: Samples, workspace_id: str, start: datetime, end: datetime) -> uptime.Uptime:
    """Of days that were rolled up what is written down; of the others what the single answers say."""
    days = {one.at: one.value for one in samples.series(workspace_id, "up_s", start, end)}
    downs = {one.at: one.value for one in samples.series(workspace_id, "down_s", start, end)}
    up_s = down_s = 0.0
    for first, last in _days(start, end):
        whole = last - first == timedelta(days=1)
        if whole and first in days:
            up_s, down_s = up_s + days[first], down_s + downs.get(first, 0.0)
        else:
            found = _measured(samples, workspace_id, first, last)
            up_s, down_s = up_s + found.up_s, down_s + found.down_s
    return uptime.Uptime(up_s, down_s, (end - start).total_seconds() - up_s - down_s)


def answers_of(samples: Samples, workspace_id: str, start: datetime, end: datetime) -> list[uptime.Answer]:
    """What the probes found, also shortly before `start`."""
    found = samples.series(workspace_id, "probe_ok", start - uptime.HOLDS, end)
    return [uptime.Answer(one.at, one.value >= 0.5) for one in found]


def _measured(samples: Samples, workspace_id: str, start: datetime, end: datetime) -> uptime.Uptime:
    return uptime.uptime(answers_of(samples, workspace_id, start, end), start, end)


def _roll_up(samples: Samples, row: Workspace, now: datetime) -> None:
    """Writes down each day that is over, while its single answers are still there."""
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    since = today - timedelta(days=LATEST_ROLLED - 1)
    known = {one.at for one in samples.series(row.id, "up_s", since, today)}
    for first, last in _days(since, today):
        if first in known or not (found := _measured(samples, row.id, first, last)).known_share:
            continue
        samples.add(
            [Sample(first, row.id, "up_s", found.up_s), Sample(first, row.id, "down_s", found.down_s)]
        )


def _days(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The days between, in UTC; the first and the last may be parts."""
    while start < end:
        following = datetime.combine(start.date() + timedelta(days=1), time(), UTC)
        yield start, min(following, end)
        start = following
