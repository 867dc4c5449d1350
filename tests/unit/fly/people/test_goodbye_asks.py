"""A goodbye at a terminal: asked twice, one no is enough, and nothing goes before its last copy is made."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fly.client import Client
from fly.ledger import READY, Ledger
from fly.provision import draft, provision
from fly.settings import Platform, Secret
from tests.support.fake_fly import ORG, TOKEN, FakeFly, served
from tests.support.operator import Operator
from tests.support.world import IMAGE, LILACH


@contextmanager
def a_user(folder: Path) -> Iterator[tuple[FakeFly, Ledger, str]]:
    """Lilach's workspace, and its id."""
    fly = FakeFly()
    with served(fly) as url:
        facts = {
            "api_url": url,
            "door_url": url,
            "token": TOKEN,
            "state_dir": str(folder),
            "pid": os.getpid(),
        }
        (folder / "platform").mkdir()
        (folder / "platform/platform.json").write_text(json.dumps(facts), encoding="utf-8")
        platform = Platform("local", url, Secret(TOKEN), ORG, url, door_url=url)
        with Client(platform) as client, Ledger(folder / "ledger.sqlite") as ledger:
            yield fly, ledger, provision(client, ledger, draft(platform, LILACH, image=IMAGE)).id


def test_goodbye_asks_twice_and_a_second_no_keeps_everything(folder: Path) -> None:
    with a_user(folder) as (fly, ledger, user):
        child = Operator(folder).types("offboard", "--name", "lilach")
        child.expect_exact("[y/N]")
        child.sendline("y")
        child.expect_exact("Has she taken along what she wants? [y/N]")
        child.sendline("n")
        child.expect_exact("Nothing was changed.")
        child.wait()
        child.close()
        assert ledger.get(user).state == READY
        assert len(fly.ours) == 1


def test_where_the_last_copy_cannot_be_made_nothing_is_removed(folder: Path) -> None:
    with a_user(folder) as (fly, ledger, user):
        operator = Operator(
            folder, JARVIS_BACKUP_REPOSITORY=str(folder / "copies"), JARVIS_BACKUP_PASSWORD=""
        )
        said = operator.runs("offboard", "--name", "lilach", "--yes", status=1)
        assert "JARVIS_BACKUP_PASSWORD is not set" in said
        assert ledger.get(user).state == READY
        assert len(fly.ours) == 1
