"""Mail to users, from the choice of a letter to its fate: what verbs and the checklist use."""

from collections.abc import Mapping
from email.message import EmailMessage

from fly.access import keys
from fly.access.welcome import Welcome
from fly.client import Client
from fly.invoices.book import Invoices
from fly.invoices.page import file_name, page
from fly.ledger import Ledger, Workspace
from fly.people.letters import (
    INVOICE,
    WELCOME,
    Letter,
    Letters,
    facts_of,
    message,
    operator_facts,
    version_of,
)
from fly.people.outbox import Mail, Outbox
from fly.people.smtp import Mailbox
from fly.settings import Settings

OPERATOR = "operator"
"""Whose mail it is that goes to no user."""


class Post:
    """Writes letters to the users of a ledger, and sends them through its outbox."""

    def __init__(self, settings: Settings, client: Client, ledger: Ledger, outbox: Outbox) -> None:
        self._settings = settings
        self._client = client
        self._ledger = ledger
        self._outbox = outbox
        self._letters = Letters(settings.templates)

    @property
    def is_set_up(self) -> bool:
        """Whether there is a mail server to hand mail to."""
        return bool(self._settings.smtp_url)

    @property
    def mailbox(self) -> Mailbox:
        """*Errors*: SettingsError."""
        return Mailbox.parse(self._settings.smtp_url, self._settings.mail_from)

    def letter(self, row: Workspace, template: str, facts: Mapping[str, str]) -> Letter:
        """*Errors*: PlanError; LedgerError, a welcome without a key to put in."""
        return self._letters.write(template, self._facts(row, template, facts))

    def put(self, row: Workspace, template: str, facts: Mapping[str, str], version: str = "") -> Mail:
        """The mail in the outbox; the same one, where the same was asked for before.

        The same is what says the same; with a `version`, what has that one, whatever it says.

        *Errors*: PlanError, before anything is put there.
        """
        self.letter(row, template, facts)
        version = version or version_of(row, self._welcome(row, template), facts)
        return self._outbox.put(row.id, template, version, facts, row.email)

    def send(self, mail: Mail, *, again: bool = False) -> Mail:
        """The mail, tried once.

        *Errors*: SettingsError, PlanError: it is left as it is.
        """
        return self._outbox.send(mail, self.mailbox, self._written, again=again)

    def _written(self, mail: Mail, message_id: str) -> EmailMessage:
        if mail.workspace == OPERATOR:
            return written_to_operator(self._settings, mail, message_id)
        row = self._ledger.get(mail.workspace)
        letter = self.letter(row, mail.template, mail.facts)
        return message(
            letter,
            sender=self._settings.mail_from,
            to=mail.to,
            name=row.name,
            message_id=message_id,
            pages=self._invoice(mail.facts["number"]) if mail.template == INVOICE else {},
        )

    def _invoice(self, number: str) -> dict[str, str]:
        with Invoices(self._settings.ledger) as invoices:
            found = invoices.get(int(number) if number.isdecimal() else 0)
        return {file_name(found): page(found, self._settings.templates)}

    def _facts(self, row: Workspace, template: str, facts: Mapping[str, str]) -> dict[str, str]:
        return facts_of(row, self._settings.mail_from, self._welcome(row, template)) | dict(facts)

    def _welcome(self, row: Workspace, template: str) -> Welcome | None:
        """Only a welcome tells how to sign in."""
        return keys.current(self._client, self._ledger, row) if template == WELCOME else None


def send_to_operator(settings: Settings, outbox: Outbox, mail: Mail) -> Mail:
    """A mail to the operator, tried once; neither ledger nor platform is needed for it.

    *Errors*: SettingsError, PlanError: it is left as it is.
    """
    mailbox = Mailbox.parse(settings.smtp_url, settings.mail_from)
    return outbox.send(mail, mailbox, lambda mail, id_: written_to_operator(settings, mail, id_))


def written_to_operator(settings: Settings, mail: Mail, message_id: str) -> EmailMessage:
    """*Errors*: PlanError."""
    facts = operator_facts(settings.mail_from) | dict(mail.facts)
    letter = Letters(settings.templates).write(mail.template, facts)
    return message(letter, sender=settings.mail_from, to=mail.to, name="", message_id=message_id)
