"""What an operator types about the people whose workspaces these are."""

import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.console import say, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk
from fly.errors import LedgerError, PlanError
from fly.people.letters import NAMES, preview
from fly.people.outbox import FAILED, PENDING, SENT, UNKNOWN, Mail, Outbox
from fly.people.post import Post

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
        row = here.ledger.find(name, here.platform.key)
        if not send:
            _show_letter(here, post, row.id, template, facts)
            return
        _ = post.mailbox
        sent = post.send(post.put(row, template, facts))
    _tell(sent)
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


def _show_letter(here: Desk, post: Post, id: str, template: str, facts: dict[str, str]) -> None:
    row = here.ledger.get(id)
    letter = post.letter(row, template, facts)
    path = preview(letter, here.settings.home / "previews", f"{template}-{row.app}")
    say(f"To {row.name} <{row.email}>: {letter.subject}. Nothing was sent.")
    console.plain(str(path))
    webbrowser.open(path.as_uri())


def _try(post: Post, mail: Mail, *, again: bool) -> None:
    """One that can not be written keeps no other from being sent."""
    try:
        _tell(post.send(mail, again=again))
    except (PlanError, LedgerError) as error:
        say(f"Not sent to {mail.to}: {console.explain(error)}")


def _tell(mail: Mail) -> None:
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
        only = here.ledger.find(name, here.platform.key).id if name else ""
        mine = {row.id for row in here.ledger.workspaces(here.platform.key, everything=True)}
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
