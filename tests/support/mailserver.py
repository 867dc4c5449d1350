"""A real mail server on loopback: STARTTLS, sign-in, and answers that a test chooses."""

import datetime
import ipaddress
import ssl
from asyncio.base_events import Server
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fly.settings import Secret

USER, PASSWORD = "operator@example.com", "p@ss/word"


@dataclass
class Taken:
    """What arrived, and what the server is to answer: to RCPT, to the mail itself."""

    at_rcpt: list[str] = field(default_factory=list)
    at_data: list[str] = field(default_factory=list)
    breaks_after_data: bool = False
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.at_rcpt:
            return self.at_rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        if self.at_data:
            return self.at_data.pop(0)
        mail = message_from_bytes(cast(bytes, envelope.content), policy=cast(Any, default))
        self.mails.append(cast(EmailMessage, mail))
        if self.breaks_after_data:
            self.breaks_after_data = False
            server.transport.abort()
        return "250 taken"


@dataclass
class MailServer:
    taken: Taken
    port: int
    certificate: Path

    def url(self, password: str = "p%40ss%2Fword", kind: str = "smtp+starttls") -> Secret:
        return Secret(f"{kind}://operator%40example.com:{password}@localhost:{self.port}")


@contextmanager
def mail_server(folder: Path, *, tls: bool = False) -> Iterator[MailServer]:
    """Runs until the end; `tls`: from the first byte on, else after STARTTLS."""
    certificate, trust = _certificate(folder)
    taken = Taken()
    secured: dict[str, Any] = (
        {"ssl_context": trust} if tls else {"tls_context": trust, "require_starttls": True}
    )
    controller = _AtAFreePort(
        taken,
        hostname="127.0.0.1",
        port=0,
        authenticator=_authenticate,
        auth_required=not tls,  # aiosmtpd does not see that everything is inside TLS already
        auth_require_tls=not tls,
        **secured,
    )
    controller.start()
    try:
        yield MailServer(taken, controller.port, certificate)
    finally:
        controller.stop()


class _AtAFreePort(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    sound = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=sound, handled=False)


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=400))  # longer than any story
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "mail.pem", folder / "mail.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, private)
    return certificate, trust
