"""A fleet of twenty users with a month behind them, as the operator's records hold it."""

import random
from datetime import UTC, datetime, timedelta
from unittest import mock

from fly.alarm.alerts import Alerts
from fly.alarm.caps import Cap, Caps
from fly.alarm.findings import CRITICAL, WARNING, Finding
from fly.backup.records import Backups, Copy
from fly.ledger import Workspace
from fly.money.accounts import FIXED, HOURLY, Accounts, Payment, Terms
from fly.money.meter import Meter
from fly.money.readings import Change, Seen
from fly.plan import Person
from fly.record import stamp
from fly.settings import Settings
from fly.watch.samples import Sample, Samples
from tests.support.world import World

NAMES = (
    "Lilach Ben-Ari", "Noa Friedman", "Amir Haddad", "Maya Cohen-Shapira", "Jonas Berg", "Chloé Martin",
    "Yuki Tanaka", "Priya Raman", "Oluwaseun Adeyemi", "Sofía Álvarez", "Tom Baker", "Ingrid Olsen",
    "Wei Zhang", "Fatima Al-Sayed", "Marek Nowak", "Anna-Katharina von Hohenstein-Lichtenberg", "Dov",
    "Elif Kaya", "Lucas Pereira", "Zoe King",
)  # fmt: skip
GB = 1 << 30


def populate(world: World, settings: Settings, now: datetime, *, users: int = len(NAMES)) -> list[Workspace]:
    """Users with all that a month leaves behind; the same ones at every call."""
    chance = random.Random(7)
    rows = [_take_in(world, name, number, now, chance) for number, name in enumerate(NAMES[:users])]
    with (
        Meter(settings.meter) as meter,
        Samples(settings.watch) as samples,
        Accounts(settings.ledger) as accounts,
    ):
        for number, row in enumerate(rows):
            _meter(world, meter, row, now, chance)
            samples.add(_measured(row, number, now, chance))
            kind, fee = (FIXED, 2000) if number % 4 else (HOURLY, 60)
            accounts.agree(Terms(row.id, _born(row).date(), kind, fee))
            if number % 5:
                reference = f"paid {number}"
                accounts.pay(Payment(row.id, now.date(), 2000, "bank", reference))
    with Backups(settings.backups) as backups:
        for number, row in enumerate(rows):
            age = timedelta(days=3) if number == 0 else timedelta(hours=chance.uniform(3, 26))
            at = stamp(now - age)
            backups.add(Copy(f"copy{number}", row.id, row.app, row.email, at, GB, GB, 9, "", "/copies"))
    with Caps(settings.ledger) as caps:
        caps.set(rows[2].id, Cap.parse(hours="60"))
        caps.set(rows[min(5, users - 1)].id, Cap.parse(usd="2.50"))
    _alert(settings, world, rows, now)
    return rows


def _born(row: Workspace) -> datetime:
    return datetime.fromisoformat(row.created_at)


def _take_in(world: World, name: str, number: int, now: datetime, chance: random.Random) -> Workspace:
    """Made on one of the last seventy days, in half a minute or so."""
    begun = now - timedelta(days=70 - 3.4 * number, hours=chance.uniform(0, 9))
    moments = iter(begun + timedelta(seconds=chance.uniform(3, 5) * step) for step in range(1000))
    first_name = name.split(maxsplit=1)[0].lower().encode("ascii", "ignore").decode()
    with mock.patch("fly.ledger.stamp", lambda moment=None: stamp(moment or next(moments))):
        row = world.provision(Person(name, f"{first_name}{number}@example.com"))
    if number % 3:
        world.fly.machines[row.machine_id]["state"] = "suspended"
    return row


def _meter(world: World, meter: Meter, row: Workspace, now: datetime, chance: random.Random) -> None:
    seen = Seen(row.machine_id, "created", "iad", "shared", 1, 1024, row.volume_id, 10, int(0.4 * GB), 0)
    day, changes = _born(row), []
    while day < now:
        if chance.random() < (0.85 if day.weekday() < 5 else 0.35):
            begin = day + timedelta(hours=chance.uniform(1, 14))
            end = begin + timedelta(hours=max(0.2, chance.gauss(3.4, 1.6)))
            changes += [(begin, "started"), (end, "suspended")]
        day += timedelta(days=1)
    is_awake = world.fly.machines[row.machine_id]["state"] == "started"
    changes = [one for one in changes if one[0] < now - timedelta(hours=5)]
    changes += [(now - timedelta(hours=chance.uniform(0.3, 4)), "started")] if is_awake else []
    told = [Change(row.id, row.machine_id, at, status) for at, status in changes]
    meter.note(row.id, seen, _born(row), told)


def _measured(row: Workspace, number: int, now: datetime, chance: random.Random) -> list[Sample]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for ago in range(29, 0, -1):
        day = today - timedelta(days=ago)
        if day < _born(row) or ago == 17:
            continue  # a day on which cron did not run
        down_s = chance.choice([0.0] * 30 + [300.0, 600.0, 4800.0])
        known_s = 86400.0 if ago != 16 else 40000.0
        found += [Sample(day, row.id, "up_s", known_s - down_s), Sample(day, row.id, "down_s", down_s)]
        at = day + timedelta(hours=chance.uniform(6, 20))
        found.append(Sample(at, row.id, "wake_ms", chance.lognormvariate(6.1, 0.35)))
        found.append(Sample(at, row.id, "probe_ms", chance.lognormvariate(4.2, 0.3)))
    beats = int((now - today) / timedelta(minutes=10))
    found += [Sample(today + timedelta(minutes=10 * n), row.id, "probe_ok", 1.0) for n in range(beats + 1)]
    used = (0.05 + 0.8 * chance.random() if number != 6 else 0.86) * 10 * GB
    latest = {
        "disk_used_bytes": used,
        "disk_size_bytes": 10.0 * GB,
        "claude_ready": float(number != 13),
    }
    return found + [Sample(now - timedelta(minutes=5), row.id, name, value) for name, value in latest.items()]


def _alert(settings: Settings, world: World, rows: list[Workspace], now: datetime) -> None:
    findings = [
        Finding("disk", rows[-1].id, rows[-1].name, WARNING, "her disk is 86% full", "invoke resize"),
        Finding("backup", rows[0].id, rows[0].name, WARNING, "her backup is 3 days old", "invoke backup"),
        Finding(
            "down", rows[1].id, rows[1].name, CRITICAL, "its page does not answer: 502 from the platform",
            f"invoke status --name {rows[1].app}", now - timedelta(minutes=12),
        ),
    ]  # fmt: skip
    with Alerts(settings.ledger, world.client.platform.key) as alerts:
        alerts.note(findings, now)


def evening() -> datetime:
    """Some hours into a day, whatever the time is: a day that has just begun shows nothing."""
    return datetime.now(UTC).replace(hour=18, minute=20, second=0, microsecond=0) - timedelta(days=1)
