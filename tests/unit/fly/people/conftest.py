"""A world with a mail server in it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fly.ledger import Ledger
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
        """With connections of its own, so that each thread may have one."""
        path, client = self.world.ledger.path, self.world.client
        with (
            Ledger(path) as ledger,
            Accounts(path) as accounts,
            Checklist(path) as checklist,
            Outbox(path) as outbox,
        ):
            yield Onboarder(
                client=client,
                ledger=ledger,
                accounts=accounts,
                checklist=checklist,
                outbox=outbox,
                post=Post(self.settings, client, ledger, outbox),
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
