"""A mail server, an outbox, and a door before the machines, of one's own."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fly.alarm.alerts import Alerts
from fly.people.outbox import Outbox
from fly.settings import Platform as Address
from fly.settings import Secret, Settings
from tests.support.mailserver import MailServer, mail_server
from tests.support.world import PLATFORM as FLY

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


REFUSED = {"error": {"code": "signed_out", "message": "", "hint": ""}}


@dataclass
class Door:
    """What stands before the machines: it notes what was asked, and answers as told."""

    asked: list[str] = field(default_factory=list)
    status: int = 401
    body: str = json.dumps(REFUSED)
    health: str = '{"status":"ok","busy":false}'
    url: str = ""

    @property
    def platform(self) -> Address:
        return replace(FLY, door_url=self.url)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            door.asked.append(f"{self.headers['host']} {self.path}")
            body = door.health if self.path == "/health" else door.body
            status = 200 if self.path == "/health" else door.status
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        door.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield door
        server.shutdown()
