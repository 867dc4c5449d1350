"""The checks: each a small function from facts to what it finds, or to None. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from fly.alarm.facts import ASLEEP, AWAKE, Facts, Fleet
from fly.alarm.findings import CRITICAL, FLEET, WARNING, Finding


@dataclass(frozen=True)
class Limits:
    """From when on something is worth a look."""

    settles_within: timedelta = timedelta(minutes=10)
    """A machine that is still in a passing state after so long is stuck."""
    begins_within: timedelta = timedelta(minutes=2)
    """So long a server that has just been started may fail its health checks."""
    restarts_an_hour: int = 3
    disk_warning: float = 0.80
    disk_critical: float = 0.93
    backup_warning: timedelta = timedelta(hours=36)
    backup_critical: timedelta = timedelta(days=4)
    image_warning: timedelta = timedelta(days=45)
    """Debian's security updates come with a new base, and so with a new image."""
    addresses_at_once: int = 5
    """A laptop, a phone on its own network, an office: one person comes from a few places, not from many."""
    awake_warning: timedelta = timedelta(hours=16)
    awake_critical: timedelta = timedelta(hours=48)
    spike_factor: float = 3.0
    spike_least_h: float = 6.0
    """A day of fewer hours is no spike, whatever was usual."""
    cap_warning: float = 0.80
    certificate_warning: timedelta = timedelta(days=21)
    certificate_critical: timedelta = timedelta(days=5)
    meter_warning: timedelta = timedelta(hours=6)
    meter_critical: timedelta = timedelta(hours=24)


Check = Callable[[Facts, Limits], Finding | None]


def run(fleet: Fleet, limits: Limits = Limits()) -> list[Finding]:
    """Everything that is found, the worst first."""
    found = list(_of_fleet(fleet, limits))
    for facts in fleet.workspaces:
        found += [finding for check in CHECKS if (finding := check(facts, limits))]
        found += [finding for finding in (old_claude(facts, fleet.newest_claude),) if finding]
    return sorted(found, key=lambda one: (-one.level, one.who, one.kind))


# --- of one workspace -----------------------------------------------------------------------------


def down(facts: Facts, limits: Limits) -> Finding | None:
    """No machine, a dead one, one that is stuck, or one that runs and whose page does not come."""
    if facts.state == "gone":
        what = "the platform has no such machine"
        return _finding(facts, "down", CRITICAL, what, "invoke repair --dry-run", facts.state_since)
    if facts.state == "failed":
        what, cure = "its machine has failed", f"invoke logs --name {facts.app}"
        return _finding(facts, "down", CRITICAL, what, cure, facts.state_since)
    if facts.host_trouble:
        what = f"its host is {facts.host_trouble}"
        return _finding(facts, "down", CRITICAL, what, f"invoke status --name {facts.app}")
    if _is_stuck(facts, limits):
        what = f"its machine has been {facts.state} for {span(facts.now, facts.state_since)}"
        return _finding(facts, "down", CRITICAL, what, f"invoke status --name {facts.app}", facts.state_since)
    if facts.page_trouble:
        what = f"its page does not answer: {facts.page_trouble}"
        return _finding(
            facts, "down", CRITICAL, what, f"invoke status --name {facts.app}", facts.page_trouble_since
        )
    return None


def _is_stuck(facts: Facts, limits: Limits) -> bool:
    passing = facts.state not in ASLEEP | {"started"}
    return bool(passing and facts.state_since and facts.now - facts.state_since > limits.settles_within)


def _has_just_started(facts: Facts, limits: Limits) -> bool:
    """What a check said of a server that was beginning stands until the next one."""
    return bool(facts.state_since and facts.now - facts.state_since <= limits.begins_within)


def unhealthy(facts: Facts, limits: Limits) -> Finding | None:
    cure = f"invoke logs --name {facts.app}"
    if facts.failing and facts.state in AWAKE and not _has_just_started(facts, limits):
        return _finding(facts, "unhealthy", CRITICAL, f"health check {facts.failing[0]}", cure)
    if facts.restarts >= limits.restarts_an_hour:
        what = f"its server ended and began anew {facts.restarts} times within an hour"
        return _finding(facts, "unhealthy", WARNING, what, cure)
    return None


def disk_full(facts: Facts, limits: Limits) -> Finding | None:
    if facts.disk_share is None or facts.disk_share < limits.disk_warning:
        return None
    level = CRITICAL if facts.disk_share >= limits.disk_critical else WARNING
    what = f"her disk is {facts.disk_share:.0%} full"
    return _finding(facts, "disk", level, what, f"invoke usage --name {facts.app}, then invoke resize")


def backup_old(facts: Facts, limits: Limits) -> Finding | None:
    """Only where backups are made at all: that none are is said once, of the fleet."""
    if not facts.backups_are_made:
        return None
    since = facts.backup_at or facts.born
    if since is None or facts.now - since < limits.backup_warning:
        return None
    level = CRITICAL if facts.now - since >= limits.backup_critical else WARNING
    last = f"her last backup is {span(facts.now, since)} old" if facts.backup_at else "she has no backup"
    return _finding(facts, "backup", level, last, f"invoke backup --name {facts.app}", since)


def image_old(facts: Facts, limits: Limits) -> Finding | None:
    """An old image is an old base: it lacks what Debian has mended since."""
    if facts.image_made is None or facts.now - facts.image_made < limits.image_warning:
        return None
    what = f"her image was built {span(facts.now, facts.image_made)} ago, and its base is as old"
    cure = f"invoke outdated; invoke release; invoke upgrade --name {facts.app}"
    return _finding(facts, "image", WARNING, what, cure, facts.image_made + limits.image_warning)


def old_claude(facts: Facts, newest: str) -> Finding | None:
    """Another Claude Code than the newest image brings."""
    if not facts.claude or not newest or _version(facts.claude) >= _version(newest):
        return None
    what = f"her Claude Code is {facts.claude}, the newest image has {newest}"
    return _finding(facts, "claude", WARNING, what, f"invoke upgrade --name {facts.app}")


def shared(facts: Facts, limits: Limits) -> Finding | None:
    """Several places at once: her link may be in other hands."""
    if facts.addresses is None or facts.addresses < limits.addresses_at_once:
        return None
    what = f"within an hour people came in from {facts.addresses} places: her link may be shared"
    return _finding(facts, "shared", WARNING, what, f"ask her; then invoke rotate-key --name {facts.app}")


def spike(facts: Facts, limits: Limits) -> Finding | None:
    if facts.hours_last_day is None or facts.hours_usual_day is None:
        return None
    least = max(limits.spike_least_h, limits.spike_factor * facts.hours_usual_day)
    if facts.hours_last_day < least:
        return None
    what = f"awake {facts.hours_last_day:.1f} h within a day; usual are {facts.hours_usual_day:.1f} h"
    return _finding(facts, "spike", WARNING, what, f"invoke usage --name {facts.app}")


def awake_long(facts: Facts, limits: Limits) -> Finding | None:
    if facts.awake_since is None or facts.now - facts.awake_since < limits.awake_warning:
        return None
    awake = facts.now - facts.awake_since
    level = CRITICAL if awake >= limits.awake_critical else WARNING
    what = f"awake for {span(facts.now, facts.awake_since)} without a break"
    cure = f"invoke status --name {facts.app} says why; invoke suspend --name {facts.app}"
    return _finding(facts, "awake", level, what, cure, facts.awake_since)


def cost(facts: Facts, limits: Limits) -> Finding | None:
    """Near or beyond her cap."""
    if facts.cap_share is None or facts.cap_share < limits.cap_warning:
        return None
    if facts.cap_share < 1:
        what = f"{facts.cap_share:.0%} of her cap of {facts.cap} are used up"
        return _finding(facts, "cap", WARNING, what, f"invoke cap --name {facts.app}")
    what = f"her cap of {facts.cap} is used up ({facts.cap_share:.0%})"
    what += ": she sees a page that says so" if facts.is_paused else ""
    return _finding(facts, "cap", WARNING, what, f"invoke cap --name {facts.app} --lift")


def certificate(facts: Facts, limits: Limits) -> Finding | None:
    if facts.certificate_until is None:
        return None
    left = facts.certificate_until - facts.now
    if left > limits.certificate_warning:
        return None
    level = CRITICAL if left <= limits.certificate_critical else WARNING
    when = f"{facts.certificate_until:%Y-%m-%d}"
    what = f"her certificate ends on {when}" if left > timedelta() else f"her certificate ended on {when}"
    return _finding(facts, "certificate", level, what, f"look at the certificates of {facts.app}")


CHECKS: tuple[Check, ...] = (
    down,
    unhealthy,
    disk_full,
    backup_old,
    image_old,
    shared,
    spike,
    awake_long,
    cost,
    certificate,
)


# --- of the fleet ---------------------------------------------------------------------------------


def _of_fleet(fleet: Fleet, limits: Limits) -> Iterator[Finding]:
    if fleet.unreachable:
        yield _of_all("platform", CRITICAL, f"the platform cannot be asked: {fleet.unreachable}", "wait")
        return
    for one in fleet.disagreements:
        yield Finding("repair", f"{FLEET}/{one.app}", one.app, WARNING, one.what, "invoke repair --dry-run")
    if fleet.mails_stuck:
        what = f"{fleet.mails_stuck} mails were not sent"
        yield _of_all("outbox", WARNING, what, "invoke outbox")
    yield from _of_meter(fleet, limits)
    backed_up = any(one.backups_are_made for one in fleet.workspaces)
    if _stands_for(fleet, limits.backup_warning) and not backed_up:
        yield _of_all("backup", WARNING, "nobody's files are backed up", "invoke backup --all, from cron")


def _of_meter(fleet: Fleet, limits: Limits) -> Iterator[Finding]:
    """What is not read is not billed, and caps do not see it."""
    if fleet.metered_at is None:
        if _stands_for(fleet, limits.meter_warning):
            yield _of_all("meter", WARNING, "nothing was ever metered", "invoke meter, from cron, every hour")
        return
    old = fleet.now - fleet.metered_at
    if old >= limits.meter_warning:
        level = CRITICAL if old >= limits.meter_critical else WARNING
        what = f"nothing was metered for {span(fleet.now, fleet.metered_at)}"
        yield _of_all("meter", level, what, "invoke meter, from cron, every hour", fleet.metered_at)


def _stands_for(fleet: Fleet, least: timedelta) -> bool:
    """Whether anybody's workspace has stood for so long."""
    return any(one.born and fleet.now - one.born >= least for one in fleet.workspaces)


# --- words ----------------------------------------------------------------------------------------


def _finding(  # noqa: PLR0917 - who, and then in the order of `Finding`
    facts: Facts, kind: str, level: int, what: str, cure: str, since: datetime | None = None
) -> Finding:
    return Finding(kind, facts.id, facts.name, level, what, cure, since)


def _of_all(kind: str, level: int, what: str, cure: str, since: datetime | None = None) -> Finding:
    return Finding(kind, FLEET, "everybody", level, what, cure, since)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def span(now: datetime, since: datetime | None) -> str:
    """`40 min`, `5 h`, `3 days`"""
    minutes = round((now - since).total_seconds() / 60) if since else 0
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
