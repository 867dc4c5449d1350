"""Mails on their way: pending → sending → sent or failed, each one sent at most once.

A row says for whom, which letter and which facts; the letter is written anew when it is sent, so that no key
lies here. A row that is `sending` while nobody works on it was cut off: that mail may have arrived.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from fly.ledger import ELSEWHERE_DEAD_AFTER
from fly.owner import Owner
from fly.people.smtp import Later, Mailbox, Never, Unknown
from fly.record import Record, stamp

PENDING, SENDING, SENT, FAILED, UNKNOWN = "pending", "sending", "sent", "failed", "unknown"
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
COLUMNS = "key, workspace, template, facts, recipient, state, tries, next_at, reason, made_at, sent_at"
TRIES = 12
"""Two days or so; then the operator has to look."""


@dataclass(frozen=True)
class Mail:
    """One row. `state` is `unknown` where a mail was cut off."""

    key: str
    workspace: str
    template: str
    facts: Mapping[str, str]
    to: str
    state: str
    tries: int
    next_at: str
    reason: str
    made_at: str
    sent_at: str

    def to_json(self) -> dict[str, object]:
        return dict(vars(self))


class Outbox(Record):
    """The mails of the ledger at a path."""

    CALLED = "The ledger"
    TABLES = """
    CREATE TABLE IF NOT EXISTS outbox (
        key TEXT PRIMARY KEY,
        workspace TEXT NOT NULL,
        template TEXT NOT NULL,
        facts TEXT NOT NULL,
        recipient TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'failed')),
        tries INTEGER NOT NULL DEFAULT 0,
        next_at TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        made_at TEXT NOT NULL,
        sent_at TEXT NOT NULL DEFAULT '',
        owner TEXT NOT NULL DEFAULT ''
    ) STRICT;
    """

    def put(self, workspace: str, template: str, version: str, facts: Mapping[str, str], to: str) -> Mail:
        """The mail of this user, letter and version: the one that is there already, else a new one."""
        key, now = f"{workspace}/{template}/{version}", stamp()
        self._execute(
            "INSERT OR IGNORE INTO outbox"
            " (key, workspace, template, facts, recipient, state, next_at, made_at)"
            " VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)",
            *(key, workspace, template, json.dumps(dict(facts), ensure_ascii=False), to, now, now),
        )
        return self.get(key)

    def get(self, key: str) -> Mail:
        return self._select("WHERE key = ?", key)[0]

    def mails(self, workspace: str = "") -> list[Mail]:
        """Oldest first."""
        return self._select("WHERE ? IN ('', workspace)", workspace)

    def due(self, *, again: bool = False) -> list[Mail]:
        """Those to be sent now; `again`: also those that failed, wait, or may have arrived."""
        if again:
            return [mail for mail in self.mails() if mail.state in (PENDING, FAILED, UNKNOWN)]
        return [mail for mail in self.mails() if mail.state == PENDING and mail.next_at <= stamp()]

    def send(
        self, mail: Mail, mailbox: Mailbox, write: Callable[[Mail, str], EmailMessage], *, again: bool = False
    ) -> Mail:
        """The mail, tried once. `write` gets its Message-ID, which is the same each time it is tried.

        What is sent already, or may be, is left as it is unless `again` is said; what is sent stays sent.
        """
        letter = write(mail, message_id(mail.key, mailbox.sender))
        if not self._claim(mail.key, again=again):
            return self.get(mail.key)
        try:
            mailbox.deliver(letter)
        except Later as error:
            self._put_off(self.get(mail.key), str(error))
        except Never as error:
            self._settle(mail.key, FAILED, str(error))
        except Unknown as error:
            self._execute("UPDATE outbox SET owner = '', reason = ? WHERE key = ?", str(error), mail.key)
        else:
            self._settle(mail.key, SENT, "")
        return self.get(mail.key)

    def _claim(self, key: str, *, again: bool) -> bool:
        """Whether it is ours to send now: of two who try at once, one wins."""
        state = self.get(key).state
        if state == UNKNOWN and not again:
            return False
        stands = {UNKNOWN: SENDING, FAILED: FAILED if again else PENDING}.get(state, PENDING)
        owner = self._rows("SELECT owner FROM outbox WHERE key = ?", key)[0][0]
        changed = self._execute(
            "UPDATE outbox SET state = 'sending', tries = tries + 1, owner = ?, next_at = ?"
            " WHERE key = ? AND state = ? AND owner = ?",
            *(str(Owner.me()), stamp(datetime.now(UTC) + ELSEWHERE_DEAD_AFTER), key, stands, owner),
        )
        return changed == 1

    def _put_off(self, mail: Mail, reason: str) -> None:
        if mail.tries >= TRIES:
            self._settle(mail.key, FAILED, f"{reason} ({mail.tries} times)")
            return
        pause = min(FIRST_PAUSE * 2 ** (mail.tries - 1), LONGEST_PAUSE)
        self._execute(
            "UPDATE outbox SET state = 'pending', owner = '', reason = ?, next_at = ? WHERE key = ?",
            *(reason, stamp(datetime.now(UTC) + pause), mail.key),
        )

    def _settle(self, key: str, state: str, reason: str) -> None:
        self._execute(
            "UPDATE outbox SET state = ?, owner = '', reason = ?, sent_at = ? WHERE key = ?",
            *(state, reason, stamp() if state == SENT else "", key),
        )

    def _select(self, where: str, *values: str) -> list[Mail]:
        rows = self._rows(f"SELECT {COLUMNS}, owner FROM outbox {where} ORDER BY made_at, key", *values)  # noqa: S608
        return [_mail(row) for row in rows]


def _mail(row: tuple[Any, ...]) -> Mail:
    *known, owner = row
    mail = Mail(*known)
    cut_off = mail.state == SENDING and not (owner and _lives(owner, mail.next_at))
    return replace(mail, facts=json.loads(row[3]), state=UNKNOWN if cut_off else mail.state)


def _lives(owner: str, until: str) -> bool:
    """Whether somebody works on it; a process that we cannot see is believed to, for a while."""
    found = Owner.parse(owner)
    return stamp() < until if found.is_elsewhere else found.is_alive


def message_id(key: str, sender: str) -> str:
    """Always the same for a mail: a reader who gets it twice shows it once."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"
