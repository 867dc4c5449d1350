"""What we write to users: a subject, a text and a page, from templates that the operator may replace.

A letter is two files, `NAME.txt` and `NAME.html`; the text's first line is the subject. A file of the
same name in the operator's own folder is taken instead of ours.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

from fly.access.welcome import PASSWORD, Welcome
from fly.errors import PlanError
from fly.lazy import Lazy
from fly.ledger import Workspace

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = Lazy("jinja2")

WELCOME, MAINTENANCE, PAYMENT, GOODBYE, REPAIRED = "welcome", "maintenance", "payment", "goodbye", "repaired"
ALLOWANCE, PAUSED, INVOICE = "allowance", "paused", "invoice"
NAMES = (WELCOME, MAINTENANCE, PAYMENT, GOODBYE, REPAIRED, ALLOWANCE, PAUSED, INVOICE)
ALERT = "alert"
"""To the operator, not to a user."""
SHIPPED = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Letter:
    """One mail's content. It may hold what lets a user in: only the mail and the preview show it."""

    subject: str
    text: str
    html: str


class Letters:
    """The templates: the operator's in `own`, else ours."""

    def __init__(self, own: Path) -> None:
        loader = jinja2.ChoiceLoader([jinja2.FileSystemLoader(own), jinja2.FileSystemLoader(SHIPPED)])
        self._templates = jinja2.Environment(
            loader=loader,
            undefined=jinja2.StrictUndefined,
            autoescape=_is_page,  # texts are none
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def write(self, name: str, facts: Mapping[str, str]) -> Letter:
        """The letter of this name, with these facts in it.

        *Errors*: PlanError: no such letter, a fact that is missing, a template that makes no sense.
        """
        if name not in (*NAMES, ALERT):
            raise PlanError(f"There is no letter {name!r}.", hint=f"one of {', '.join(NAMES)}")
        text = self._filled(f"{name}.txt", facts)
        first, _, body = text.partition("\n")
        if not first.startswith("Subject: ") or not first.removeprefix("Subject: ").strip():
            raise PlanError(f"{name}.txt has no subject.", hint="its first line is: Subject: …")
        html = self._filled(f"{name}.html", facts)
        return Letter(first.removeprefix("Subject: ").strip(), body.strip() + "\n", html)

    def _filled(self, file: str, facts: Mapping[str, str]) -> str:
        try:
            return self._templates.get_template(file).render(facts)
        except jinja2.UndefinedError as error:
            raise PlanError(
                f"{file}: {error.message}.", hint="--fact NAME=TEXT says what is missing"
            ) from None
        except (jinja2.TemplateError, OSError, UnicodeError) as error:
            raise PlanError(
                f"The template {file} makes no sense: {error}", hint="mend it, or remove it"
            ) from None


def _is_page(name: str | None) -> bool:
    return bool(name and name.endswith(".html"))


def facts_of(row: Workspace, operator: str, welcome: Welcome | None = None) -> dict[str, str]:
    """What every template may say of a workspace; how to sign in only where `welcome` is given."""
    name, address = parseaddr(operator)
    facts = {
        "name": row.name,
        "email": row.email,
        "url": row.url,
        "operator": name or address,
        "operator_email": address,
    }
    if welcome:
        secret = welcome.secret.reveal() if welcome.login == PASSWORD else ""
        facts |= {
            "login": welcome.login,
            "link": welcome.link(row.url),
            "user": welcome.user,
            "password": secret,
        }
    return facts


def operator_facts(operator: str) -> dict[str, str]:
    """What a template to the operator may say of her."""
    name, address = parseaddr(operator)
    return {"operator": name or address, "operator_email": address}


def version_of(row: Workspace, welcome: Welcome | None, facts: Mapping[str, str]) -> str:
    """What tells a mail from another to the same user with the same template; nothing can be read from it."""
    known = [row.email, row.url, welcome.hash if welcome else "", sorted(facts.items())]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def message(
    letter: Letter,
    *,
    sender: str,
    to: str,
    name: str,
    message_id: str,
    pages: Mapping[str, str] | None = None,
) -> EmailMessage:
    """The mail as it is sent: both parts, headers that say that a machine wrote it, `pages` by file name."""
    mail = EmailMessage()
    mail["Subject"] = letter.subject
    mail["From"] = formataddr(parseaddr(sender))
    mail["To"] = formataddr((name, to))
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text)
    mail.add_alternative(letter.html, subtype="html")
    for file, page in (pages or {}).items():
        mail.add_attachment(page, subtype="html", filename=file)
    return mail


def preview(letter: Letter, folder: Path, name: str) -> Path:
    """A file that shows the page, readable by its owner alone: the link may stand in it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.html"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(letter.html)
    return path
