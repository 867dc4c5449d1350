"""An operator's folder with one user in it, on a pretended platform: for verbs typed at a terminal."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fly.client import Client
from fly.ledger import Ledger
from fly.provision import draft, provision
from fly.settings import Platform, Secret
from tests.support.fake_fly import ORG, TOKEN, FakeFly, served
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
