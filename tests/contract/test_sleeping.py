"""When machines sleep by themselves: as the options of the platform say, and as it says itself."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.contract.conftest import Make, app_name
from tests.support.platform import running_platform
from tests.support.run import Run
from tests.support.wait import wait_until

LONGEST_S = 4


def test_a_machine_that_has_been_awake_for_the_longest_time_sleeps_though_it_was_just_used(
    run: Run, tmp_path: Path, config: Make
) -> None:
    with (
        running_platform(tmp_path, run, f"--max-awake={LONGEST_S}") as platform,
        platform.client() as client,
        httpx.Client(base_url=platform.about["door_url"], trust_env=False, timeout=60) as door,
    ):
        name = app_name()
        assert client.post("/v1/apps", json={"name": name}).is_success
        made = client.post(f"/v1/apps/{name}/machines", json={"config": config()}).json()
        machine = f"/v1/apps/{name}/machines/{made['id']}"
        door.headers["Host"] = f"{name}.localhost"
        assert door.get("/").status_code == 200
        told = client.get(f"/_local/machines/{made['id']}/activity").json()
        assert told["why"].startswith("last used 0 s ago; it may be awake for ")
        assert 0 < told["sleeps_in_s"] <= LONGEST_S
        assert client.get("/_local/platform").json()["max_awake_s"] == LONGEST_S
        wait_until(lambda: client.get(machine).json()["state"] == "suspended", "it to sleep")
        assert door.get("/").status_code == 200
        # The page may answer before it is written down that it runs.
        wait_until(lambda: client.get(machine).json()["state"] == "started", "it to be started")
