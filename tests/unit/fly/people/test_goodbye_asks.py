"""A goodbye at a terminal: asked twice, and one no is enough."""

import json
import os
from pathlib import Path

from fly.client import Client
from fly.ledger import READY, Ledger
from fly.provision import draft, provision
from fly.settings import Platform, Secret
from tests.support.fake_fly import ORG, TOKEN, FakeFly, served
from tests.support.operator import Operator
from tests.support.world import IMAGE, LILACH


def test_goodbye_asks_twice_and_a_second_no_keeps_everything(folder: Path) -> None:
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
            row = provision(client, ledger, draft(platform, LILACH, image=IMAGE))
            operator = Operator(folder)
            child = operator.types("offboard", "--name", "lilach")
            child.expect_exact("[y/N]")
            child.sendline("y")
            child.expect_exact("Has she taken along what she wants? [y/N]")
            child.sendline("n")
            child.expect_exact("Nothing was changed.")
            child.wait()
            child.close()
            assert ledger.get(row.id).state == READY
            assert len(fly.ours) == 1
