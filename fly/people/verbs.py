"""What an operator types about the people whose workspaces these are."""

import os
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parseaddr
from functools import partial
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.access.verbs import LOGIN_HELP
from fly.access.welcome import LINK
from fly.backup.verbs import back_up_at_last
from fly.client import Client
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, ROOT, Desk, desk, image_reference
from fly.errors import LedgerError, PlanError
from fly.ledger import Ledger, Workspace
from fly.money.accounts import Accounts
from fly.money.bill import Month, bills, dollars
from fly.money.verbs import accounts_of
from fly.people import copies
from fly.people.checklist import ITEMS, PAID, SIGNED_IN, TERMS, WELCOMED, Checklist, Onboarding
from fly.people.letters import NAMES, PAYMENT, REPAIRED, WELCOME, preview
from fly.people.notes import Notes
from fly.people.onboard import Onboarder, Order, batch, read_orders
from fly.people.outbox import FAILED, PENDING, SENT, UNKNOWN, Mail, Outbox
from fly.people.post import OPERATOR, Post
from fly.people.roll import Entry, read_entries, roll, take_in, write
from fly.plan import Person
from fly.provision import draft, page_probe
from fly.record import stamp
from fly.settings import Settings

# --- onboarding and goodbye -----------------------------------------------------------------------


@contextmanager
def onboarder_of(here: Desk) -> Iterator[Onboarder]:
    """The onboarder of a desk."""
    settings = here.settings
    with (
        Accounts(settings.ledger) as accounts,
        Checklist(settings.ledger) as checklist,
        Outbox(settings.ledger) as box,
    ):
        yield Onboarder(
            client=here.client,
            ledger=here.ledger,
            accounts=accounts,
            checklist=checklist,
            outbox=box,
            post=Post(settings, here.client, here.ledger, box),
            draft=lambda order: draft(
                here.platform,
                order.person,
                image=image_reference(settings, here.platform),
                region=settings.region,
                login=order.login,
            ),
            probe=page_probe(here.platform),
        )


@verb(
    help={
        "name": "the person's name, in any script",
        "email": "her e-mail address",
        "plan": "fixed (a fee each month, the default) or hourly (a fee each hour of use)",
        "fee": "in dollars; without it the terms stay open",
        "login": f"{LOGIN_HELP} (default: {LINK})",
        "csv": "many at once: a file with the columns name, email, plan, fee, login",
        "test_user": "rehearse it with an address of your own; the workspace is removed afterwards",
        "dry_run": "show what would be done; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def onboard(
    context: Context,
    name: str = "",
    email: str = "",
    plan: str = "",
    fee: str = "",
    login: str = "",
    csv: str = "",
    test_user: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Takes a new user in: workspace, terms, welcome mail, checklist; goes on where a killed run ended"""
    with desk(platform) as here, onboarder_of(here) as onboarder:
        if csv:
            orders = read_orders(Path(csv))
            _show_orders(onboarder, orders) if dry_run else _onboard_all(here, orders, as_json=json)
            return
        known = _under_way(onboarder, name) if name and not email else None
        name = (known.name if known else name) or ("Rehearsal" if test_user else "")
        email = (
            known.email if known else email or (parseaddr(here.settings.mail_from)[1] if test_user else "")
        )
        console.require(name=name, email=email)
        order = replace(Order.parse(name, email, plan, fee, login), is_rehearsal=test_user)
        if dry_run:
            _show_orders(onboarder, [order])
            return
        with step(f"Onboarding {order.person.name}") as report:
            working = replace(onboarder, report=report)
            one = working.rehearse(order) if test_user else working.run(order)
        why = {} if test_user else _why_open(onboarder, one)
    console.print_json(one.to_json()) if json else show_checklist(one, why)
    if test_user:
        say("It was a rehearsal: its workspace is removed.")


def _under_way(onboarder: Onboarder, wanted: str) -> Onboarding | None:
    """The onboarding that a name alone means."""
    found = [
        one
        for one in onboarder.checklist.under_way(onboarder.ledger, onboarder.platform.key)
        if wanted.casefold() in (one.name.casefold(), one.email.casefold()) and not one.is_rehearsal
    ]
    return found[0] if len(found) == 1 else None


def _show_orders(onboarder: Onboarder, orders: Sequence[Order]) -> None:
    for order in orders:
        person = order.person
        present = onboarder.ledger.of_email(person.email, onboarder.platform.key)
        what = f"keep {present[0].app} of" if present else "make a workspace for"
        fee = "no terms" if order.fee_cents is None else f"{order.kind}, ${dollars(order.fee_cents)}"
        say(f"Would {what} {person.name} <{person.email}>, {fee}, sign in by {order.login}")
    say("Nothing was changed.")


@contextmanager
def _onboarder_apart(here: Desk) -> Iterator[Onboarder]:
    """With connections of its own, for a thread of its own."""
    with (
        Ledger(here.settings.ledger) as ledger,
        Client(here.platform) as client,
        onboarder_of(replace(here, client=client, ledger=ledger)) as onboarder,
    ):
        yield onboarder


def _onboard_all(here: Desk, orders: Sequence[Order], *, as_json: bool) -> None:
    with step(f"Onboarding {len(orders)} users") as report:
        found = batch(partial(_onboarder_apart, here), orders, report)
    if as_json:
        console.print_json(
            [
                (one.to_json() if one else {"name": order.person.name, "email": order.person.email})
                | {"trouble": trouble}
                for order, one, trouble in found
            ]
        )
    else:
        console.listing(
            ("Name", "E-mail", "Done", "Still open", "Trouble"),
            [
                (
                    order.person.name,
                    order.person.email,
                    f"{len(one.ticks)} of {len(ITEMS)}" if one else "",
                    ", ".join(one.open_items) if one else "",
                    trouble,
                )
                for order, one, trouble in found
            ],
            "Nobody is in that file.",
        )
    if any(trouble for _, _, trouble in found):
        raise Exit("Not everybody was taken in.\n  Try: the same command again; it goes on", code=1)


def _why_open(onboarder: Onboarder, one: Onboarding) -> dict[str, str]:
    """What there is to say of items that are not ticked."""
    why = {
        TERMS: f"invoke terms --name {one.email} --fee …",
        SIGNED_IN: f"when she says so: invoke checklist --name {one.email} --tick login",
        PAID: f"invoke paid --name {one.email} --amount …",
        WELCOMED: f"invoke mail --template welcome --name {one.email} --send, with JARVIS_SMTP_URL set",
    }
    mails = [mail for mail in onboarder.outbox.mails(one.workspace) if mail.template == WELCOME]
    if one.workspace and mails:
        why[WELCOMED] = f"{mails[-1].state}: {mails[-1].reason or 'see'} (invoke outbox)"
    return why


def show_checklist(one: Onboarding, why: Mapping[str, str]) -> None:
    """The list, as a person reads it."""
    ticked = {item: f"✓ {tick.at[:16].replace('T', ' ')}  {tick.detail}" for item, tick in one.ticks.items()}
    rows = [(words, ticked.get(item, f"– {why.get(item, '')}")) for item, words in ITEMS.items()]
    console.box(f"{one.name} <{one.email}>", rows)


@verb(
    help={
        "name": f"{NAME_HELP} (default: everybody who is not through)",
        "tick": f"an item that you have seen done: {', '.join(ITEMS)}",
        "note": "with --tick: what there is to say of it",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def checklist(
    context: Context, name: str = "", tick: str = "", note: str = "", json: bool = False, platform: str = ""
) -> None:
    """Shows what is done and what is open for each new user; ticks what only you can see"""
    if tick:
        console.require(name=name)
    with desk(platform) as here, onboarder_of(here) as onboarder:
        if name:
            row = here.find(name)
            if tick:
                onboarder.checklist.tick(onboarder.checklist.of(row).number, tick, note)
            found = [onboarder.seen(row)]
        else:
            standing = onboarder.checklist.under_way(here.ledger, here.platform.key)
            seen = [onboarder.seen(here.ledger.get(o.workspace)) if o.workspace else o for o in standing]
            found = [one for one in seen if one.open_items]
        reasons = [_why_open(onboarder, one) for one in found]
    if json:
        console.print_json([one.to_json() for one in found])
        return
    for one, why in zip(found, reasons, strict=True):
        show_checklist(one, why)
    if not found:
        say("Nothing is open.")


@verb(
    help={
        "name": NAME_HELP,
        "yes": "do not ask",
        "no_copy": "make no last copy of her files, although there is a place for copies",
        "dry_run": "show what would go; change nothing",
        "platform": PLATFORM_HELP,
    }
)
def offboard(
    context: Context,
    name: str = "",
    yes: bool = False,
    no_copy: bool = False,
    dry_run: bool = False,
    platform: str = "",
) -> None:
    """Says goodbye to a user: her workspace is removed, her terms end, a mail tells her (asks twice)"""
    console.require(name=name)
    with desk(platform) as here, onboarder_of(here) as onboarder:
        row = here.find(name)
        is_copied = bool(here.settings.backup_repository) and not no_copy
        if is_copied:
            say(f"Her files are copied one last time to {here.settings.backup_repository}.")
        else:
            say("Nothing here keeps a copy of her files: she takes them along under Settings → Data.")
        if dry_run:
            say(f"Would remove {row.app} of {row.name} <{row.email}> with all files, and say goodbye to her.")
            return
        console.confirm(f"Say goodbye to {row.name} <{row.email}>, and remove {row.app}?", yes=yes)
        console.confirm("All her files are gone for good then. Has she taken along what she wants?", yes=yes)
        if is_copied:
            back_up_at_last(here, row)
        with step(f"Goodbye to {row.name}") as report:
            mail = replace(onboarder, report=report).offboard(row)
    tell(mail) if mail else say("No mail was sent: JARVIS_SMTP_URL is not set.")
    say(f"What is still to be paid: invoke bill --name {row.app}")


# --- mail -----------------------------------------------------------------------------------------


@contextmanager
def post_of(here: Desk) -> Iterator[tuple[Post, Outbox]]:
    """The post of a desk, its outbox open."""
    with Outbox(here.settings.ledger) as outbox:
        yield Post(here.settings, here.client, here.ledger, outbox), outbox


@verb(
    name="mail",
    iterable=["fact"],
    help={
        "template": f"which letter: {', '.join(NAMES)}",
        "name": NAME_HELP,
        "fact": "NAME=TEXT, something that the letter says (may be given several times)",
        "preview": "show it in the browser, and send nothing (the default)",
        "send": "send it, unless the same was sent before",
        "platform": PLATFORM_HELP,
    },
)
def mail_(
    context: Context,
    fact: list[str],
    template: str = "",
    name: str = "",
    preview: bool = False,
    send: bool = False,
    platform: str = "",
) -> None:
    """Shows or sends a letter to a user: welcome, maintenance, payment, goodbye, repaired."""
    console.require(template=template, name=name)
    if preview and send:
        raise Exit("Choose one of --preview and --send.", code=2)
    facts = facts_given(fact)
    with desk(platform) as here, post_of(here) as (post, _outbox):
        row = here.find(name)
        if template == PAYMENT and "amount" not in facts:
            facts["amount"] = _owed(here, row)
        if not send:
            _show_letter(here, post, row, template, facts)
            return
        _ = post.mailbox
        sent = post.send(post.put(row, template, facts))
    tell(sent)
    if sent.state != SENT:
        raise Exit("It was not sent.\n  Try: invoke outbox", code=1)


def facts_given(given: Sequence[str]) -> dict[str, str]:
    """`when=Sunday` and its like, by name.

    *Errors*: PlanError.
    """
    pairs = [text.partition("=") for text in given]
    if wrong := [name + mark + text for name, mark, text in pairs if not (name.isidentifier() and text)]:
        raise PlanError(f"{wrong[0]!r} is no fact.", hint='--fact when="Sunday, 10:00 UTC"')
    return {name: text for name, _, text in pairs}


def _owed(here: Desk, row: Workspace) -> str:
    """What she owes today, in dollars.

    *Errors*: PlanError: nothing.
    """
    [bill] = [one for one in bills(accounts_of(here), Month.of(datetime.now(UTC))) if one.workspace == row.id]
    if bill.owed_cents <= 0:
        raise PlanError(f"{row.name} owes nothing.", hint="--fact amount=20.00 says another amount")
    return dollars(bill.owed_cents)


def _show_letter(here: Desk, post: Post, row: Workspace, template: str, facts: dict[str, str]) -> None:
    letter = post.letter(row, template, facts)
    path = preview(letter, here.settings.home / "previews", f"{template}-{row.app}")
    say(f"To {row.name} <{row.email}>: {letter.subject}. Nothing was sent.")
    console.plain(str(path))
    webbrowser.open(path.as_uri())


def check_mail(here: Desk) -> None:
    """*Errors*: SettingsError: mail could not be sent."""
    with post_of(here) as (post, _outbox):
        _ = post.mailbox


def tell_of_repairs(here: Desk, rows: Sequence[Workspace]) -> None:
    """Writes to those whose workspace was mended, once a day at most."""
    facts = {"what": "it was made only in part, and is whole now"}
    with post_of(here) as (post, _outbox):
        for row in rows:
            tell(post.send(post.put(row, REPAIRED, facts, version=stamp()[:10])))


def _try(post: Post, mail: Mail, *, again: bool) -> None:
    """One that can not be written keeps no other from being sent."""
    try:
        tell(post.send(mail, again=again))
    except (PlanError, LedgerError) as error:
        say(f"Not sent to {mail.to}: {console.explain(error)}")


def tell(mail: Mail) -> None:
    """What became of a mail, in a sentence."""
    told = {
        SENT: f"Sent to {mail.to} at {mail.sent_at}.",
        PENDING: f"Not yet: {mail.reason}. `invoke outbox --retry` tries again from {mail.next_at} on.",
        FAILED: f"Refused: {mail.reason}",
        UNKNOWN: f"Nobody knows whether it arrived: {mail.reason or 'a run was cut off while it was sent'}. "
        "`invoke outbox --again` sends it once more.",
    }
    say(told.get(mail.state, f"Another process is sending it ({mail.state})."))


@verb(
    help={
        "retry": "try what is due; meant for cron",
        "again": "try also what was refused, waits, or may have arrived already",
        "name": "only the mails to this user",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def outbox(
    context: Context,
    retry: bool = False,
    again: bool = False,
    name: str = "",
    json: bool = False,
    platform: str = "",
) -> None:
    """Lists the mails to users and what became of them; sends those that are due"""
    with desk(platform) as here, post_of(here) as (post, box):
        only = here.find(name).id if name else ""
        mine = {row.id for row in here.ledger.workspaces(here.platform.key, everything=True)} | {OPERATOR}
        if retry or again:
            due = [mail for mail in box.due(again=again) if mail.workspace in mine]
            for mail in due:
                if only in ("", mail.workspace):
                    _try(post, mail, again=again)
        found = [mail for mail in box.mails(only) if mail.workspace in mine]
    _show_mails(found, as_json=json)
    if any(mail.state in (FAILED, UNKNOWN) for mail in found):
        raise Exit("Some mails need a look.\n  Try: invoke outbox --again, which may send one twice", code=1)


def _show_mails(found: Sequence[Mail], *, as_json: bool) -> None:
    if as_json:
        console.print_json([mail.to_json() for mail in found])
        return
    console.listing(
        ("To", "Letter", "State", "Tries", "When", "Why"),
        [
            (one.to, one.template, one.state, str(one.tries), one.sent_at or one.next_at, one.reason)
            for one in found
        ],
        "No mail yet: invoke mail --template welcome --name … --send",
    )


# --- the ledger -----------------------------------------------------------------------------------


def write_roll(here: Desk, rows: Sequence[Workspace], files: Sequence[Path]) -> None:
    """Everybody with terms, payments and notes, in files."""
    with Accounts(here.settings.ledger) as accounts, Notes(here.settings.ledger) as notes:
        lines = roll(rows, accounts, notes)
    for file in files:
        write(file, lines)
        say(f"{len(lines)} workspaces are in {file}, which only you can read.")


@verb(
    help={
        "name": NAME_HELP,
        "text": "what to remember (without it: what was noted)",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def note(context: Context, name: str = "", text: str = "", json: bool = False, platform: str = "") -> None:
    """Notes something about a user, or shows what was noted."""
    console.require(name=name)
    with desk(platform) as here, Notes(here.settings.ledger) as notes:
        row = here.find(name)
        if text:
            notes.add(row.id, text)
        found = notes.of(row.id)
    if json:
        console.print_json([vars(one) for one in found])
        return
    lines = [(one.at[:16].replace("T", " "), one.who, one.text) for one in found]
    console.listing(("When", "Who", "Note"), lines, "Nothing was noted.")


@verb(
    help={
        "name": NAME_HELP,
        "new_name": "what she is called from now on",
        "new_email": "where she is reached from now on",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def edit(
    context: Context,
    name: str = "",
    new_name: str = "",
    new_email: str = "",
    json: bool = False,
    platform: str = "",
) -> None:
    """Changes a user's name or e-mail in the ledger; her workspace and its address stay"""
    console.require(name=name)
    if not (new_name or new_email):
        console.require(new_name=new_name, new_email=new_email)
    with desk(platform) as here:
        row = here.find(name)
        row = here.ledger.edit(row.id, Person(new_name or row.name, new_email or row.email))
        history = here.ledger.history(row.id)
    if json:
        console.print_json(row.to_json())
        return
    say(f"{row.app} is the workspace of {row.name} <{row.email}>. {history[-1].detail}")
    say("Where she signs in with a password, her name there stays as it was, until: invoke rotate-key")


@verb(
    name="users-import",
    positional=["file"],
    help={
        "file": "a CSV: name, email and any of plan, fee, since, paid, paid_on, notes",
        "dry_run": "show what would be noted; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    },
)
def users_import(
    context: Context, file: str, dry_run: bool = False, json: bool = False, platform: str = ""
) -> None:
    """Takes terms, payments and notes from the table that you kept so far"""
    with (
        desk(platform) as here,
        Accounts(here.settings.ledger) as accounts,
        Notes(here.settings.ledger) as notes,
    ):
        entries = read_entries(Path(file), here.ledger.workspaces(here.platform.key))
        done = [(one, take_in(one, accounts, notes, dry_run=dry_run)) for one in entries]
    told = [(one.order.person.name, one.order.person.email, _taken_in(one, what)) for one, what in done]
    if json:
        console.print_json([dict(zip(("name", "email", "outcome"), line, strict=True)) for line in told])
    else:
        console.listing(
            ("Name", "E-mail", "Would be noted" if dry_run else "Noted"), told, "Nobody is in it."
        )
    if dry_run:
        say("Nothing was changed.")


def _taken_in(entry: Entry, what: Sequence[str]) -> str:
    if entry.row is None:
        return "nothing: no workspace yet (invoke onboard --csv, with the same file)"
    return ", ".join(what) or "nothing new"


@verb(name="ledger-backup", help={"list": "only list what copies there are", "json": JSON_HELP})
def ledger_backup(context: Context, list: bool = False, json: bool = False) -> None:
    """Copies the ledger now; every first verb of a day does so too, and 30 are kept"""
    path = Settings.read(os.environ, ROOT).ledger
    if not path.exists():
        raise Exit(f"There is no ledger yet ({path}).", code=1)
    if not list:
        say(f"Copied to {copies.copy(path, copies.BY_HAND)}")
    found = copies.copies(path)
    if json:
        console.print_json([str(one) for one in found])
        return
    lines = [(one.name, f"{one.stat().st_size // 1024} kB") for one in found]
    console.listing(("Copy", "Size"), lines, "No copies yet.")


@verb(
    name="ledger-restore",
    help={
        "file": "a copy: its path, or its name in `invoke ledger-backup --list` (default: the newest)",
        "yes": "do not ask",
        "dry_run": "only check the copy; change nothing",
    },
)
def ledger_restore(context: Context, file: str = "", yes: bool = False, dry_run: bool = False) -> None:
    """Puts a checked copy in the ledger's place; the ledger as it was is kept beside the copies"""
    path = Settings.read(os.environ, ROOT).ledger
    chosen = _chosen_copy(path, file)
    count = copies.examine(chosen, len(Ledger.MIGRATIONS))
    say(f"{chosen} is whole: {count} workspaces, those that are gone included.")
    if dry_run:
        say("Nothing was changed.")
        return
    console.confirm(f"Put it in the place of {path}?", yes=yes)
    _refuse_while_worked_on(path)
    copies.restore(path, chosen, len(Ledger.MIGRATIONS))
    say("Restored. `invoke repair` finds out from the platform what was made and removed since that copy.")
    say("Payments, notes and mails since then are not in it: a mail that went out since may be sent again.")


def _chosen_copy(ledger: Path, file: str) -> Path:
    if file:
        named = copies.folder_of(ledger) / file
        return named if named.is_file() else Path(file)
    if not (found := copies.copies(ledger)):
        raise Exit("There is no copy to restore.\n  Try: --file with the path of one", code=1)
    return found[-1]


def _refuse_while_worked_on(path: Path) -> None:
    """A ledger that can not be read keeps nobody from restoring it."""
    try:
        with Ledger(path) as ledger:
            busy = [row.app for row in ledger.workspaces() if row.is_worked_on]
    except LedgerError as error:
        say(f"As it is, it can not be read: {error}")
        return
    if busy:
        raise Exit(f"{busy[0]} is being worked on at this moment.\n  Try: wait for it: invoke users", code=1)
