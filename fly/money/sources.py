"""What bills are made of, read from the records: the ledger, terms and payments, what machines did."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from fly.ledger import DESTROYED, FAILED, Ledger, Workspace
from fly.money.accounts import Accounts
from fly.money.bill import Account
from fly.money.meter import Meter
from fly.money.timeline import GB, spans
from fly.money.usage import EGRESS, ROOTFS_GB, Span
from fly.settings import Settings
from fly.watch.samples import Samples


def accounts(settings: Settings, ledger: Ledger, platform: str, now: datetime | None = None) -> list[Account]:
    """Everybody who ever had a workspace on the platform, with what was used up to `now`.

    *Errors*: LedgerError.
    """
    until = now or datetime.now(UTC)
    rows = [row for row in ledger.workspaces(platform, everything=True) if row.state != FAILED]
    with Accounts(settings.ledger) as agreed, Meter(settings.meter) as meter, Samples(settings.watch) as seen:
        found = [(row, _account(row, _ended(ledger, row), until, agreed, meter)) for row in rows]
        return [replace(one, spans=[*one.spans, *egress(row, seen, until)]) for row, one in found]


def egress(row: Workspace, samples: Samples, until: datetime) -> list[Span]:
    """What left Fly, a span for each UTC day: it is priced by what was measured in it."""
    born = datetime.fromisoformat(row.created_at)
    found = samples.series(row.id, "egress_bytes", born, until)
    days = [list(group) for _, group in groupby(found, key=lambda one: one.at.astimezone(UTC).date())]
    return [
        Span(
            *(EGRESS, row.id, day[0].at, day[-1].at),
            gb=sum((Decimal(one.value) for one in day), Decimal(0)) / GB,
            region=row.region,
        )
        for day in days
    ]


def _account(
    row: Workspace,
    ended: datetime | None,
    until: datetime,
    agreed: Accounts,
    meter: Meter,
) -> Account:
    born = datetime.fromisoformat(row.created_at)
    readings, changes = meter.readings(row.id), meter.changes(row.id)
    return Account(
        workspace=row.id,
        name=row.name,
        email=row.email,
        born=born,
        ended=ended,
        spans=spans(readings, changes, born, ended or until, ROOTFS_GB),
        terms=agreed.terms(row.id),
        payments=agreed.payments(row.id),
        app=row.app,
    )


def _ended(ledger: Ledger, row: Workspace) -> datetime | None:
    """When it was unmade; what was noted of it later moves that by nothing."""
    if row.state != DESTROYED:
        return None
    told = [entry.at for entry in ledger.history(row.id) if entry.what == "destroyed"]
    return datetime.fromisoformat(told[-1] if told else row.updated_at)
