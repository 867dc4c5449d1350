"""Hands a mail to the operator's mail server, over TLS, and tells what became of it."""

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from fly.errors import SettingsError
from fly.settings import NO_SECRET, Secret

TIMEOUT_S = 30
TLS, STARTTLS, PLAIN = "smtps", "smtp+starttls", "smtp"
PORTS = {TLS: 465, STARTTLS: 587, PLAIN: 25}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Later(Exception):  # noqa: N818 - it is read after "raise"
    """Not now: the server said so, or was not reached. Nothing was sent."""


class Never(Exception):  # noqa: N818
    """Not at all, says the server. Nothing was sent."""


class Unknown(Exception):  # noqa: N818
    """The mail went out, and its receipt did not come back: it may have arrived."""


@dataclass(frozen=True)
class Mailbox:
    """Where mail is handed in, and from whom."""

    kind: str
    host: str
    port: int
    sender: str
    user: str = ""
    password: Secret = NO_SECRET

    @classmethod
    def parse(cls, url: Secret, sender: str) -> "Mailbox":
        """From JARVIS_SMTP_URL and JARVIS_MAIL_FROM.

        *Errors*: SettingsError; it shows nothing of the URL, since the password is in it.
        """
        if "@" not in parseaddr(sender)[1]:
            raise SettingsError(
                "JARVIS_MAIL_FROM does not say whom mail comes from.", hint="My Jarvis <jarvis@example.com>"
            )
        try:
            parts = urlsplit(url.reveal())
            port = parts.port or PORTS[parts.scheme]
            host = parts.hostname or ""
        except (ValueError, KeyError):
            host = ""
        if not host:
            raise SettingsError(
                "JARVIS_SMTP_URL does not name a mail server.",
                hint="smtps://user:password@mail.example.com:465 or smtp+starttls://…",
            )
        if parts.scheme == PLAIN and host not in LOOPBACK:
            raise SettingsError(
                "JARVIS_SMTP_URL would send mail that anybody can read.", hint="smtps:// or smtp+starttls://"
            )
        password = Secret(unquote(parts.password or ""))
        return cls(parts.scheme, host, port, sender, unquote(parts.username or ""), password)

    def deliver(self, mail: EmailMessage) -> None:
        """Returns when the server has taken it.

        *Errors*: Later, Never, Unknown.
        """
        try:
            with self._connected() as server:
                self._enveloped(server, mail)
                _hand_over(server, mail)
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from None
        except UnicodeError:
            raise Never("the address holds letters that mail servers do not know") from None
        except (smtplib.SMTPException, OSError) as error:
            raise Later(f"{self.host}:{self.port}: {error}") from None

    def _connected(self) -> smtplib.SMTP:
        """A server that knows us. What fails here is not the mail's fault: it waits."""
        trust = ssl.create_default_context()
        server: smtplib.SMTP
        if self.kind == TLS:
            server = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=trust)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        try:
            if self.kind == STARTTLS:
                server.starttls(context=trust)
            if self.user:
                server.login(self.user, self.password.reveal())
        except smtplib.SMTPResponseException as error:
            server.close()
            raise Later(
                f"{self.host} does not let us in: {error.smtp_code} {_said(error.smtp_error)}"
            ) from None
        except BaseException:
            server.close()
            raise
        return server

    def _enveloped(self, server: smtplib.SMTP, mail: EmailMessage) -> None:
        server.ehlo_or_helo_if_needed()
        for code, answer in (
            server.mail(parseaddr(self.sender)[1]),
            server.rcpt(parseaddr(str(mail["To"]))[1]),
        ):
            if code >= 400:
                raise _refusal(code, answer)


def _hand_over(server: smtplib.SMTP, mail: EmailMessage) -> None:
    try:
        code, answer = server.data(mail.as_bytes(policy=SMTP))
    except smtplib.SMTPDataError:
        raise
    except (smtplib.SMTPException, OSError) as error:
        raise Unknown(f"the connection broke before the receipt: {error}") from None
    if code >= 400:
        raise _refusal(code, answer)


def _refusal(code: int, answer: bytes | str) -> Later | Never:
    said = f"{code} {_said(answer)}"
    return Later(said) if 400 <= code < 500 or code < 0 else Never(said)


def _said(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:200]
