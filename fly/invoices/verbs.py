"""What an operator types to be paid."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk
from fly.errors import PlanError
from fly.invoices.book import CREDIT, INVOICE, Invoice, Invoices, Issuer, drafts
from fly.invoices.debts import WORDS, Debt, Reminder, debts, level_of, next_reminder
from fly.invoices.page import money, write_pages, write_tables
from fly.money.bill import Account, Month, bills, dollars
from fly.money.verbs import accounts_of
from fly.people import letters
from fly.people.outbox import SENT, Mail, Outbox
from fly.people.post import Post
from fly.people.verbs import post_of, tell
from fly.settings import Settings


@verb(
    help={
        "month": "such as 2026-11 (default: the month before this one)",
        "name": f"{NAME_HELP} (default: everybody)",
        "out": "the folder to write them to (default: invoices/MONTH in JARVIS_HOME)",
        "early": "also ask for fixed fees of a month that is not over",
        "correct": "take back the invoice with this number by a credit note, and issue what is right",
        "send": "mail each one to its user; one that was sent is not sent again",
        "list": "only list what was issued",
        "dry_run": "show what would be issued; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def invoices(
    context: Context,
    month: str = "",
    name: str = "",
    out: str = "",
    early: bool = False,
    correct: str = "",
    send: bool = False,
    list: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Issues the invoices of a month: pages to print, tables, mails; what has a number stays as it is"""
    today = datetime.now(UTC).date()
    with desk(platform) as here, Invoices(here.settings.ledger) as book:
        if list:
            show_invoices(_of_platform(here, book.all(month)), as_json=json)
            return
        chosen = _month(month, correct, book, today)
        accounts = accounts_of(here)
        mine = _only(here, name)
        if correct:
            found = _correct(here, book, int(_number(correct)), accounts, today, dry_run=dry_run)
        else:
            wanted = [one for one in accounts if not mine or one.workspace == mine]
            drawn = drafts(
                wanted, bills(accounts, chosen), chosen, issuer_of(here.settings), today, early=early
            )
            found = drawn if dry_run else book.issue(drawn)
        if dry_run:
            show_invoices(found, as_json=json)
            say("Nothing was issued.")
            return
        folder = Path(out) if out else here.settings.home / "invoices" / str(chosen)
        write_pages(folder, found, here.settings.templates)
        table = _of_platform(here, book.all(str(chosen)))
        files = write_tables(folder, str(chosen), table, bills(accounts, chosen)) if not mine else []
        show_invoices(found, as_json=json)
        say(
            f"They are in {folder}" + (f"; tables: {', '.join(one.name for one in files)}." if files else ".")
        )
        _warn_of_differences(found, accounts, chosen)
        if send:
            _send(here, found)


def _month(month: str, correct: str, book: Invoices, today: date) -> Month:
    if correct:
        return Month.parse(book.get(int(_number(correct))).month)
    if month:
        return Month.parse(month)
    return Month(today.year, today.month).before


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise PlanError(f"{text!r} is no invoice's number.", hint="such as 00007; invoke invoices --list")
    return text


def _only(here: Desk, name: str) -> str:
    return here.find(name).id if name else ""


def _of_platform(here: Desk, found: Sequence[Invoice]) -> list[Invoice]:
    mine = {row.id for row in here.ledger.workspaces(here.platform.key, everything=True)}
    return [one for one in found if one.workspace in mine]


def issuer_of(settings: Settings) -> Issuer:
    """What invoices say of the operator; her mail's name where nothing else is set."""
    return Issuer(
        sender=settings.invoice_from or ((settings.mail_from,) if settings.mail_from else ()),
        pay=settings.invoice_pay,
        tax_name=settings.tax_name,
        tax_percent=settings.tax_percent,
        due_days=settings.invoice_days,
    )


def _correct(
    here: Desk, book: Invoices, number: int, accounts: Sequence[Account], today: date, *, dry_run: bool
) -> Sequence[Invoice]:
    wrong = book.get(number)
    month = Month.parse(wrong.month)
    right = [one for one in bills(accounts, month) if one.workspace == wrong.workspace and one.charged_cents]
    if not any(one.workspace == wrong.workspace for one in accounts):
        raise PlanError(f"{wrong.label} is of another platform.", hint="--platform fly or --platform local")
    instead = Invoice.of(right[0], issuer_of(here.settings), today) if right else None
    if dry_run:
        return [wrong, *([instead] if instead else [])]
    return book.take_back(number, today, instead)


def show_invoices(found: Sequence[Invoice], *, as_json: bool) -> None:
    if as_json:
        console.print_json([one.to_json() for one in found])
        return
    console.listing(
        ("Number", "Kind", "Month", "Name", "Total", "Issued", "Due"),
        [
            (
                one.label if one.number else "new",
                f"{one.kind} for {one.corrects:05}" if one.corrects else one.kind,
                one.month,
                one.name,
                money(one.total_cents),
                one.issued_on,
                "" if one.kind == CREDIT else one.due_on,
            )
            for one in found
        ],
        "Nobody is charged anything: invoke terms --name … --fee …",
    )


def _warn_of_differences(found: Sequence[Invoice], accounts: Sequence[Account], month: Month) -> None:
    """What was issued stays; that the bill says something else by now is for the operator to decide."""
    now = {one.workspace: one.charged_cents for one in bills(accounts, month)}
    for one in found:
        if one.kind == INVOICE and one.total_cents != now.get(one.workspace):
            say(
                f"{one.label} of {one.name} says {money(one.total_cents)}, her bill by now "
                f"{money(now.get(one.workspace, 0))}: invoke invoices --correct {one.label}"
            )


def _send(here: Desk, found: Sequence[Invoice]) -> None:
    with post_of(here) as (post, _outbox):
        _ = post.mailbox
        sent = [_sent(here, post, one) for one in found]
    for mail in sent:
        tell(mail)
    if any(mail.state != SENT for mail in sent):
        raise Exit("Not every invoice was sent.\n  Try: invoke outbox", code=1)


def _sent(here: Desk, post: Post, one: Invoice) -> Mail:
    facts = {
        "title": "Credit note" if one.kind == CREDIT else "Invoice",
        "number": one.label,
        "month": one.month,
        "amount": money(one.total_cents),
        "due": one.due_on,
    }
    return post.send(post.put(here.ledger.get(one.workspace), letters.INVOICE, facts, one.label))


# --- reminders ------------------------------------------------------------------------------------


@verb(
    help={
        "dry_run": "show who would be reminded of what; send nothing",
        "yes": "do not ask",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def remind(
    context: Context, dry_run: bool = False, yes: bool = False, json: bool = False, platform: str = ""
) -> None:
    """Reminds by mail those whose payment is late: a first, a second and a last time, each of them once"""
    today = datetime.now(UTC).date()
    with desk(platform) as here, post_of(here) as (post, outbox):
        found = _debts(here, today)
        due = [one for debt in found if (one := next_reminder(debt, _reminded(outbox, debt), today))]
        _show_debts(found, due, as_json=json)
        if dry_run or not due:
            say("Nothing was sent." if dry_run else "Nobody is to be reminded today.")
            return
        _ = post.mailbox
        console.confirm(f"Remind {len(due)} by mail?", yes=yes)
        with step(f"Reminding {len(due)}"):
            sent = [_remind(here, post, one) for one in due]
    for mail in sent:
        tell(mail)
    if any(mail.state != SENT for mail in sent):
        raise Exit("Not every reminder was sent.\n  Try: invoke outbox", code=1)


def _debts(here: Desk, today: date) -> list[Debt]:
    due: dict[str, dict[str, date]] = {}
    with Invoices(here.settings.ledger) as book:
        for one in book.all():
            if one.kind == INVOICE:
                due.setdefault(one.workspace, {})[one.month] = date.fromisoformat(one.due_on)
    return debts(accounts_of(here), due, here.settings.invoice_days, today)


def _reminded(outbox: Outbox, debt: Debt) -> Mapping[int, date]:
    """When each reminder of this debt was begun."""
    mails = [one for one in outbox.mails(debt.workspace) if one.template == letters.PAYMENT]
    levels = [(level_of(mail.key.rpartition("/")[2], debt.month), mail) for mail in mails]
    return {level: date.fromisoformat(mail.made_at[:10]) for level, mail in levels if level}


def _remind(here: Desk, post: Post, one: Reminder) -> Mail:
    facts = {
        "amount": dollars(one.debt.cents),
        "due": one.debt.due_on.isoformat(),
        "reminder": WORDS[one.level],
    }
    return post.send(post.put(here.ledger.get(one.debt.workspace), letters.PAYMENT, facts, one.version))


def _show_debts(found: Sequence[Debt], due: Sequence[Reminder], *, as_json: bool) -> None:
    next_ = {one.debt.workspace: WORDS[one.level] for one in due}
    if as_json:
        console.print_json(
            [
                {
                    "name": one.name,
                    "overdue_usd": dollars(one.cents),
                    "month": one.month,
                    "due_on": one.due_on.isoformat(),
                    "reminder": next_.get(one.workspace),
                }
                for one in found
            ]
        )
        return
    console.listing(
        ("Name", "Overdue", "Since", "For", "Reminder today"),
        [
            (one.name, money(one.cents), str(one.due_on), f"{one.month} on", next_.get(one.workspace, ""))
            for one in found
        ],
        "Nobody owes anything that is overdue.",
    )
