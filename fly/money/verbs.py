"""What an operator types about money."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk
from fly.errors import PlanError
from fly.ledger import Workspace
from fly.money.accounts import FIXED, Accounts, Payment, Terms, cents_of
from fly.money.bill import Account, Bill, Month, bills, dollars
from fly.money.cost import by_workspace, cents, lines, unpriced
from fly.money.estimate import Estimate, Habit, estimate
from fly.money.flyinvoice import read
from fly.money.forecast import Forecast, forecast, in_total
from fly.money.meter import Meter, read_all
from fly.money.prices import BASE
from fly.money.reconcile import OPEN, Match
from fly.money.reconcile import reconcile as matched
from fly.money.sources import accounts
from fly.money.usage import ROOTFS_GB
from fly.watch.measured import collect, note_provisioning
from fly.watch.samples import Samples

USERS = (10, 20)


@verb(
    name="estimate",
    help={
        "users": "how many (default: 10 and 20, as the plan had it)",
        "hours": "hours a day that a workspace is in use",
        "memory_mb": "of each machine",
        "size_gb": "of each volume",
        "region": "where they run",
        "json": JSON_HELP,
    },
)
def estimate_(
    context: Context,
    users: int = 0,
    hours: float = 4.0,
    memory_mb: int = 1024,
    size_gb: int = 10,
    region: str = "iad",
    json: bool = False,
) -> None:
    """Says what a month will cost, by component, at today's prices, and what the first plan assumed."""
    if users < 0 or not 0 <= hours <= 24 or memory_mb <= 0 or size_gb < 0:
        raise PlanError(
            "That is no use of a workspace.", hint="--users 10 --hours 4 --memory-mb 1024 --size-gb 10"
        )
    habit = Habit(
        hours_a_day=Decimal(str(hours)),
        memory_gb=Decimal(memory_mb) / 1024,
        volume_gb=Decimal(size_gb),
        image_gb=ROOTFS_GB,
        region=region,
    )
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    kinds = [Habit(**vars(habit) | {"autostop": autostop}) for autostop in (True, False)]
    found = [estimate(many, kind, now) for kind in kinds for many in ((users,) if users else USERS)]
    if json:
        console.print_json([one.to_json() for one in found])
        return
    _show_estimates(found)


def _show_estimates(found: Sequence[Estimate]) -> None:
    names = list(dict.fromkeys(name for one in found for name in one.components))
    console.listing(
        ("Users", "Autostop", *(name.capitalize() for name in names), "Total", "Each", "First plan"),
        [
            (
                str(one.users),
                "yes" if one.habit.autostop else "no",
                *(f"${one.components.get(name, Decimal(0)):.2f}" for name in names),
                f"${one.total:.2f}",
                f"${one.each:.2f}",
                f"${one.assumed:.2f}",
            )
            for one in found
        ],
        "",
    )
    say(
        "Dollars for a month of 30 days. The first plan counted $0.03 for each running hour and nothing else."
    )
    say("An hour costs less than that; but a volume costs also while nobody uses it, and so does an image.")


@verb(help={"platform": PLATFORM_HELP})
def meter(context: Context, platform: str = "") -> None:
    """Writes down what every machine did and used since the last time; meant for cron, every hour."""
    with desk(platform) as here, Meter(here.settings.meter) as record:
        now = datetime.now(UTC)
        with step("Reading the machines"):
            missed = read_all(here.client, here.ledger, record, now)
        with step("Reading what they used"), Samples(here.settings.watch) as samples:
            rows = here.ledger.workspaces(here.platform.key)
            collect(here.client, samples, rows, now)
            note_provisioning(here.ledger, samples, rows)
    for workspace in missed:
        say(f"{workspace.app} could not be read: invoke repair")


@verb(
    help={
        "name": NAME_HELP,
        "plan": "fixed (a fee each month) or hourly (a fee each hour of use)",
        "fee": "in dollars",
        "since": "the first day on which it holds (default: the day on which the workspace was made)",
        "platform": PLATFORM_HELP,
    }
)
def terms(
    context: Context, name: str = "", plan: str = FIXED, fee: str = "", since: str = "", platform: str = ""
) -> None:
    """Notes what a user has agreed to pay."""
    console.require(name=name, fee=fee)
    with desk(platform) as here, Accounts(here.settings.ledger) as agreed:
        workspace = here.find(name)
        from_day = _day(since) if since else _born(workspace).date()
        agreed.agree(Terms(workspace.id, from_day, plan, cents_of(fee)))
    say(
        f"{workspace.name} pays ${fee} {'a month' if plan == FIXED else 'an hour of use'} from {from_day} on."
    )


@verb(
    help={
        "name": NAME_HELP,
        "amount": "in dollars; negative takes a payment back",
        "on": "the day (default: today)",
        "how": "bank, card, …",
        "reference": "what tells it from others (default: name, day and amount)",
        "platform": PLATFORM_HELP,
    }
)
def paid(
    context: Context,
    name: str = "",
    amount: str = "",
    on: str = "",
    how: str = "bank",
    reference: str = "",
    platform: str = "",
) -> None:
    """Notes a payment; one that is noted already stays one."""
    console.require(name=name, amount=amount)
    day = _day(on) if on else datetime.now(UTC).date()
    with desk(platform) as here, Accounts(here.settings.ledger) as agreed:
        workspace = here.find(name)
        mark = reference or f"{workspace.id} {day} {amount}"
        is_new = agreed.pay(Payment(workspace.id, day, cents_of(amount), how, mark))
    say(
        f"{workspace.name} paid ${amount} on {day}." if is_new else f"That payment is noted already ({mark})."
    )


@verb(
    help={
        "month": "such as 2026-11 (default: this one, up to now)",
        "name": NAME_HELP,
        "explain": "show where each number comes from: what was used from when to when, at which price",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def bill(
    context: Context,
    month: str = "",
    name: str = "",
    explain: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Says for each user what a month cost, what she is charged, what she paid and what she owes."""
    chosen = Month.parse(month) if month else Month.of(datetime.now(UTC))
    with desk(platform) as here:
        everybody = accounts_of(here)
        found = bills(everybody, chosen)
        if name:
            found = [one for one in found if one.workspace == here.find(name).id]
    _warn_of_prices(everybody, chosen)
    if json:
        console.print_json([one.to_json() for one in found])
        return
    _show_bills(found)
    if explain:
        _explain(found, everybody, chosen)


def _explain(found: Sequence[Bill], accounts: Sequence[Account], month: Month) -> None:
    mine = by_workspace(lines([span for one in accounts for span in one.spans], month.start, month.end))
    for one in found:
        say(f"{one.name}: what was used, and what that costs")
        console.listing(
            ("What", "Of", "From (UTC)", "To", "Quantity", "Price", "Amount"),
            [
                (
                    *(
                        line.component,
                        line.thing,
                        f"{line.start:%m-%d %H:%M:%S}",
                        f"{line.end:%m-%d %H:%M:%S}",
                    ),
                    *(f"{line.quantity:.3f} {line.unit}", f"${line.rate:.10f}", f"${line.amount:.6f}"),
                )
                for line in mine.get(one.workspace, [])
            ],
            "Nothing was metered: invoke meter has to run every hour.",
        )
        charged = [
            (
                line.what,
                f"{line.quantity:.4f} {line.unit}",
                f"${dollars(line.rate_cents)}",
                f"${dollars(line.cents)}",
            )
            for line in one.charges
        ]
        console.listing(("Charged for", "Quantity", "Price", "Amount"), charged, "Nothing is charged.")


@verb(
    help={
        "invoice": "Fly's invoice of the month, as CSV",
        "month": "such as 2026-11 (default: the month before this one)",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def reconcile(
    context: Context, invoice: str = "", month: str = "", json: bool = False, platform: str = ""
) -> None:
    """Compares Fly's invoice with what was metered, to the cent; fails where something is not explained"""
    console.require(invoice=invoice)
    charged = read(Path(invoice))
    now = Month.of(datetime.now(UTC))
    chosen = Month.parse(month) if month else now.before
    with desk(platform) as here:
        ours = {here.settings.registry: "the app for images"} if here.settings.registry else {}
        found = matched(charged, accounts_of(here), chosen, ours)
    if json:
        console.print_json([one.to_json() for one in found])
    else:
        _show_matches(found)
    open_ = [one for one in found if one.outcome in OPEN]
    if open_:
        off = sum((one.difference for one in open_), Decimal(0))
        raise Exit(f"{len(open_)} of {len(found)} are not explained, ${off:.4f} together.", code=1)


def _show_matches(found: Sequence[Match]) -> None:
    console.listing(
        ("App", "What", "Fly's invoice", "Metered", "Difference", "Outcome", "Why"),
        [
            (
                *(one.app or "(all)", one.component, f"${one.invoiced:.4f}", f"${one.metered:.4f}"),
                *(f"{one.difference:+.4f}", one.outcome, one.why),
            )
            for one in found
        ],
        "Neither side has anything for that month.",
    )


@verb(
    name="forecast",
    help={"month": "such as 2026-11 (default: this one)", "json": JSON_HELP, "platform": PLATFORM_HELP},
)
def forecast_(context: Context, month: str = "", json: bool = False, platform: str = "") -> None:
    """Says what the month will have cost at its end, for each user and in total, and how sure that is."""
    now = datetime.now(UTC)
    chosen = Month.parse(month) if month else Month.of(now)
    with desk(platform) as here:
        everybody = accounts_of(here)
        found = forecast(everybody, chosen, now)
    _warn_of_prices(everybody, chosen)
    whole = in_total(found)
    if json:
        console.print_json(
            {"month": str(chosen), "users": [one.to_json() for one in found]} | {"total": whole.to_json()}
        )
        return
    _show_forecasts([*found, whole] if found else [])
    if any(one.is_early for one in found):
        say("Where fewer than 3 days are known, the range is from never awake again to always awake.")


def _show_forecasts(found: Sequence[Forecast]) -> None:
    console.listing(
        ("Name", "So far", "Month's end", "At least", "At most", "Days known"),
        [
            (
                one.name,
                f"${cents(one.so_far)}",
                f"${cents(one.expected)}",
                f"${cents(one.low)}",
                f"${cents(one.high)}",
                str(one.days_seen),
            )
            for one in found
        ],
        "Nobody yet: invoke provision --name … --email …",
    )


def _warn_of_prices(accounts: Sequence[Account], month: Month) -> None:
    """Where a price is another region's, since a bill that fails would help nobody."""
    for region in unpriced([span for one in accounts for span in one.spans], month.start, month.end):
        say(f"There is no price for the region {region}: machines there are counted at the price of {BASE}.")
        say("  Try: look at Fly's prices, and add it in fly/money/prices.py")


def accounts_of(here: Desk) -> list[Account]:
    """Everything that bills are made of, for everybody who ever had a workspace on the platform."""
    return accounts(here.settings, here.ledger, here.platform.key)


def _show_bills(found: Sequence[Bill]) -> None:
    console.listing(
        ("Name", "Month", "Cost", "Charged", "Margin", "Paid", "Owed"),
        [
            (
                one.name,
                str(one.month),
                f"${cents(one.cost)}",
                f"${dollars(one.charged_cents)}",
                f"${cents(one.margin)}",
                f"${dollars(one.paid_cents)}",
                f"${dollars(one.owed_cents)}",
            )
            for one in found
        ],
        "Nobody yet: invoke provision --name … --email …",
    )


def _born(row: Workspace) -> datetime:
    return datetime.fromisoformat(row.created_at)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PlanError(f"{text!r} is not a day.", hint="such as 2026-11-23") from error
