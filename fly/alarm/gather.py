"""From what was looked at, measured, metered and agreed to the facts that the checks look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fly.alarm.caps import Caps, Use, hours_awake
from fly.alarm.facts import AWAKE, Disagreement, Facts
from fly.alarm.pausing import is_paused
from fly.alarm.rounds import Look
from fly.model import Event, Machine
from fly.money.bill import Account
from fly.money.readings import Change
from fly.repair import Finding as Difference
from fly.watch.samples import Sample, Samples

TROUBLE_LOOKED_BACK = timedelta(days=8)
USUAL_DAYS = 14
KNOWN_DAYS = 3
"""Fewer days of a workspace tell nothing of what is usual."""


@dataclass(frozen=True)
class Image:
    """What the record of releases knows of an image."""

    made: datetime | None = None
    claude: str = ""


@dataclass(frozen=True)
class Sources:
    """Where facts come from beside the looks, all read once."""

    samples: Samples
    accounts: Mapping[str, Account]
    uses: Mapping[str, Use]
    caps: Caps
    images: Mapping[str, Image]
    """By the reference in a machine's config."""
    backups: Mapping[str, datetime] = field(default_factory=dict)
    """When the newest copy of each workspace was last known to be all there is."""


def gather(looks: Sequence[Look], sources: Sources) -> list[Facts]:
    """The facts of everybody who was looked at."""
    latest = sources.samples.latest_of([look.row.id for look in looks])
    return [_facts(look, sources, latest[look.row.id]) for look in looks]


def _facts(look: Look, sources: Sources, latest: Mapping[str, Sample]) -> Facts:
    row, machine, now = look.row, look.machine, look.at
    image = sources.images.get(machine.image, Image()) if machine else Image()
    use, cap = sources.uses.get(row.id), sources.caps.of(row.id)
    account = sources.accounts.get(row.id)
    return Facts(
        id=row.id,
        name=row.name,
        app=row.app,
        url=row.url,
        now=now,
        state=machine.state if machine else "gone",
        state_since=moment(machine.updated_at) if machine else None,
        awake_since=awake_since(machine) if machine else None,
        failing=_failing(machine) if machine else (),
        restarts=_restarts(machine.events, now) if machine else 0,
        host_trouble=machine.host_status if machine and machine.host_status not in ("", "ok") else "",
        page_trouble=look.trouble,
        page_trouble_since=_trouble_since(sources.samples, look) if look.trouble else None,
        certificate_until=look.certificate_until,
        disk_share=_disk_share(latest),
        backup_at=sources.backups.get(row.id),
        backups_are_made=bool(sources.backups),
        born=moment(row.created_at),
        image_made=image.made,
        claude=(look.told.claude if look.told else "") or image.claude,
        addresses=look.told.places if look.told else None,
        hours_last_day=_hours(account, now, 1) if account else None,
        hours_usual_day=_usual(account, now) if account else None,
        cost_usd=use.usd if use else None,
        cap=str(cap) if cap else "",
        cap_share=cap.share(use.hours, use.usd)
        if cap and use and not _is_lifted(sources.caps, use)
        else None,
        is_paused=is_paused(machine, now) if machine else False,
    )


def _is_lifted(caps: Caps, use: Use) -> bool:
    return caps.is_lifted(use.workspace, use.month)


def changes_of(look: Look) -> list[Change]:
    """A machine's own word of when it went into which state, as the meter keeps it."""
    told = [one for one in look.machine.events if one.timestamp_ms and one.status] if look.machine else []
    return [Change(look.row.id, look.row.machine_id, _moment_of(one), one.status) for one in told]


def _moment_of(event: Event) -> datetime:
    return datetime.fromtimestamp(event.timestamp_ms / 1000, UTC)


# --- the machine ----------------------------------------------------------------------------------


def awake_since(machine: Machine) -> datetime | None:
    """Since when it runs without a break, as far back as its events go; None while it sleeps."""
    if machine.state not in AWAKE:
        return None
    since = moment(machine.updated_at)
    for event in sorted(machine.events, key=lambda one: -one.timestamp_ms):
        if event.status and event.status not in AWAKE | {"created"}:
            break
        if event.timestamp_ms:
            since = _moment_of(event)
    return since


def _failing(machine: Machine) -> tuple[str, ...]:
    bad = [one for one in machine.checks if one.status not in ("passing", "")]
    return tuple(f"{one.name}: {' '.join(one.output.split())[:120] or one.status}" for one in bad)


def _restarts(events: Sequence[Event], now: datetime) -> int:
    """Ends that nobody asked for."""
    since_ms = (now - timedelta(hours=1)).timestamp() * 1000
    ends = [one for one in events if one.exit and one.timestamp_ms >= since_ms]
    return sum(not one.request.get("exit_event", {}).get("requested_stop") for one in ends)


def moment(text: str) -> datetime | None:
    """A platform's or a ledger's time; None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


# --- what was measured ----------------------------------------------------------------------------


def _disk_share(latest: Mapping[str, Sample]) -> float | None:
    """A disk that sleeps does not fill: what was last measured holds."""
    used, size = latest.get("disk_used_bytes"), latest.get("disk_size_bytes")
    return used.value / size.value if used and size and size.value else None


def _trouble_since(samples: Samples, look: Look) -> datetime:
    """Since when the probes found trouble each time."""
    since = look.at
    found = samples.series(look.row.id, "probe_ok", look.at - TROUBLE_LOOKED_BACK, look.at)
    for one in reversed(found):
        if one.value >= 0.5:
            break
        since = one.at
    return since


def _hours(account: Account, now: datetime, days: int) -> float:
    return float(hours_awake(account, now - timedelta(days=days), now))


def _usual(account: Account, now: datetime) -> float | None:
    """Hours a day, of the two weeks before the last day."""
    end = now - timedelta(days=1)
    start = max(end - timedelta(days=USUAL_DAYS), account.born)
    days = Decimal((end - start).total_seconds()) / 86400
    return float(hours_awake(account, start, end) / days) if days >= KNOWN_DAYS else None


def disagreements(differences: Sequence[Difference]) -> tuple[Disagreement, ...]:
    return tuple(Disagreement(one.kind, one.app, one.what) for one in differences)
