"""A mail server, a ledger and an outbox of one's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fly.alarm.alerts import Alerts
from fly.people.outbox import Outbox
from fly.settings import Secret, Settings
from tests.support.mailserver import MailServer, mail_server

PLATFORM = "fly/personal"


@dataclass
class Watch:
    """All that alerts need to be told."""

    settings: Settings
    alerts: Alerts
    outbox: Outbox
    server: MailServer

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.server.taken.mails]


@pytest.fixture
def watch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    with mail_server(folder) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        settings = Settings(
            root=folder,
            home=folder,
            token=Secret(""),
            smtp_url=server.url(),
            mail_from="My Jarvis <jarvis@example.com>",
        )
        with Alerts(settings.ledger, PLATFORM) as alerts, Outbox(settings.ledger) as outbox:
            yield Watch(settings, alerts, outbox, server)
