"""Reads everything that the dashboard tells: the platform once, and what was written down here."""

from datetime import datetime, timedelta

from fly.alarm.alerts import Alert, Alerts
from fly.alarm.caps import Caps, uses
from fly.alarm.rounds import answers_of
from fly.alarm.uptime import Uptime, uptime
from fly.backup.records import confirmed
from fly.client import Client
from fly.dashboard import overview
from fly.dashboard.overview import DAYS, Overview, User
from fly.errors import ApiError, Unreachable
from fly.ledger import LIVE, Ledger, Workspace
from fly.model import Machine
from fly.money.bill import Account, Month, bills
from fly.settings import Settings
from fly.watch.samples import Samples

MAKINGS_OF = timedelta(days=90)


def look(
    settings: Settings, client: Client, ledger: Ledger, accounts: list[Account], now: datetime
) -> Overview:
    """The overview of this moment; where the platform cannot be asked it says so, and tells what is known."""
    key = client.platform.key
    rows = ledger.workspaces(key, everything=True)
    machines, trouble = _machines(client)
    days = overview.days_until(now)
    with (
        Samples(settings.watch) as samples,
        Alerts(settings.ledger, key) as alerts,
        Caps(settings.ledger) as caps,
    ):
        lasting = alerts.lasting()
        users = _users(settings, rows, machines, accounts, samples, caps, lasting, now)
        compute, storage = overview.costs_by_day(accounts, now)
        probes = samples.series(None, "probe_ms", days[0], now)
        mine = {row.id for row in rows}
        histories = {row.id: ledger.history(row.id) for row in rows}
        probed = [user.latest["probe_ok"].at for user in users if "probe_ok" in user.latest]
        return Overview(
            at=now,
            platform=client.platform.label,
            trouble=trouble,
            users=tuple(users),
            alerts=tuple(sorted(lasting, key=lambda one: (-one.level, one.since))),
            makings=tuple(overview.makings(rows, histories, now - MAKINGS_OF)),
            wakes=tuple(
                one for one in samples.series(None, "wake_ms", days[0], now) if one.workspace_id in mine
            ),
            probe_ms=tuple(overview.by_day([one for one in probes if one.workspace_id in mine], days)),
            hours_by_day=tuple(overview.hours_by_day(accounts, now)),
            compute_by_day=tuple(compute),
            storage_by_day=tuple(storage),
            checked_at=max(probed, default=None),
        )


def _machines(client: Client) -> tuple[dict[str, Machine], str]:
    try:
        return {machine.id: machine for machine in client.organisation_machines()}, ""
    except (Unreachable, ApiError) as error:
        return {}, str(error)


def _users(  # noqa: PLR0917
    settings: Settings,
    rows: list[Workspace],
    machines: dict[str, Machine],
    accounts: list[Account],
    samples: Samples,
    caps: Caps,
    lasting: list[Alert],
    now: datetime,
) -> list[User]:
    live = [row for row in rows if row.state in LIVE]
    by_id = {account.workspace: account for account in accounts}
    owing = {bill.workspace: bill for bill in bills(accounts, Month.of(now))}
    used = uses(accounts, now)
    latest = samples.latest_of([row.id for row in live])
    backups = confirmed(settings.backups)
    return [
        overview.user_of(
            row,
            machines.get(row.machine_id),
            (ups := _uptimes(samples, row, now)),
            _month(ups, now),
            by_id[row.id],
            owing[row.id],
            used[row.id],
            latest[row.id],
            lasting,
            caps.of(row.id),
            backups.get(row.id),
        )
        for row in live
        if row.id in by_id
    ]


def _uptimes(samples: Samples, row: Workspace, now: datetime) -> list[Uptime]:
    """Of each of the last days: what was written down when it was over, else what its answers say."""
    days = overview.days_until(now)
    born = datetime.fromisoformat(row.created_at)
    ups = {one.at: one.value for one in samples.series(row.id, "up_s", days[0], now)}
    downs = {one.at: one.value for one in samples.series(row.id, "down_s", days[0], now)}
    found = []
    for day in days:
        start, end = max(day, born), min(day + timedelta(days=1), now)
        if start >= end:
            found.append(Uptime(0, 0, 0))
        elif day in ups:
            up_s, down_s = ups[day], downs.get(day, 0.0)
            found.append(Uptime(up_s, down_s, max(0.0, (end - start).total_seconds() - up_s - down_s)))
        else:
            found.append(uptime(answers_of(samples, row.id, start, end), start, end))
    return found


def _month(ups: list[Uptime], now: datetime) -> Uptime:
    return overview.add(ups[DAYS - min(now.day, DAYS) :])
