"""A world with a mail server in it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fly.money.accounts import Accounts
from fly.people.checklist import Checklist
from fly.people.onboard import Onboarder
from fly.people.outbox import Outbox
from fly.people.post import Post
from fly.settings import Secret, Settings
from tests.support.mailserver import MailServer, mail_server
from tests.support.world import World, new_world


@dataclass
class Office:
    """All that mail to users needs."""

    world: World
    server: MailServer
    settings: Settings
    outbox: Outbox

    @property
    def post(self) -> Post:
        return Post(self.settings, self.world.client, self.world.ledger, self.outbox)

    @contextmanager
    def onboarder(self) -> Iterator[Onboarder]:
        ledger = self.world.ledger
        with Accounts(ledger.path) as accounts, Checklist(ledger.path) as checklist:
            yield Onboarder(
                client=self.world.client,
                ledger=ledger,
                accounts=accounts,
                checklist=checklist,
                outbox=self.outbox,
                post=self.post,
                draft=lambda order: self.world.draft(order.person, login=order.login),
                probe=self.world.fly.page,
            )

    def without_mail(self) -> "Office":
        return replace(self, settings=replace(self.settings, smtp_url=Secret("")))


@pytest.fixture
def folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    with new_world(folder) as world:
        yield world


@pytest.fixture
def office(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with mail_server(folder) as server, Outbox(world.ledger.path) as outbox:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        settings = Settings(
            root=folder,
            home=folder,
            token=Secret(""),
            smtp_url=server.url(),
            mail_from="My Jarvis <jarvis@example.com>",
        )
        yield Office(world, server, settings, outbox)
