"""kill -9 of the platform in the middle of many things at once: whatever it found, everything settles."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import docker
import httpx
import pytest

from tests.contract.conftest import AppUnderTest, Asker, Make, app_name
from tests.support.openapi import Measure
from tests.support.platform import Platform, running_platform
from tests.support.run import Run
from tests.support.wait import wait_until

MACHINES, KILLS = 3, 5
LASTING = {"created", "started", "stopped", "suspended", "failed"}
VERBS = ("start", "stop", "suspend", "restart", "update", "replace", "wake")


class Storm:
    """Whatever can be asked of machines, asked at random until it ends; a no is as good as a yes."""

    def __init__(self, platform: Platform, app: str, config: dict[str, Any], seed: int) -> None:
        self._about, self._app, self._config = platform.about, app, config
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._rage, daemon=True) for _ in range(MACHINES)]

    def __enter__(self) -> Storm:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _rage(self) -> None:
        headers = {"Authorization": f"Bearer {self._about['token']}"}
        at = f"/v1/apps/{self._app}/machines"
        with httpx.Client(
            base_url=self._about["api_url"], headers=headers, timeout=5, trust_env=False
        ) as client:
            while not self._over.is_set():
                with suppress(httpx.TransportError, ValueError):
                    machines = client.get(at).json()
                    if machines:
                        self._act(client, f"{at}/{self._random.choice(machines)['id']}")
                self._over.wait(self._random.random() / 10)

    def _act(self, client: httpx.Client, at: str) -> None:
        verb = self._random.choice(VERBS)
        if verb == "update":
            client.post(at, json={"config": self._config, "skip_launch": self._random.random() < 0.3})
        elif verb == "replace":
            client.delete(f"{at}?force=true")
            client.post(at.rpartition("/")[0], json={"config": self._config, "region": "iad"})
        elif verb == "wake":
            host = {"Host": f"{self._app}.localhost"}
            httpx.get(self._about["door_url"], headers=host, timeout=2, trust_env=False)
        else:
            client.post(f"{at}/{verb}", json={})


@pytest.fixture
def stormy(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("stormy"), run) as platform:
        yield platform


def test_whatever_the_platform_was_killed_in_settles(
    stormy: Platform, config: Make, docker_client: docker.DockerClient, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(10**6)
    request.node.user_properties.append(("seed", seed))
    chance, name, quick = random.Random(seed), app_name(), config(stop_config={"timeout": "1s"})
    with stormy.client() as client:
        client.post("/v1/apps", json={"name": name, "network": name})
        for _ in range(MACHINES):
            client.post(f"/v1/apps/{name}/machines", json={"config": quick, "region": "iad"})
    for number in range(KILLS):
        with Storm(stormy, name, quick, seed + number):
            time.sleep(0.2 + chance.random() * 1.5)
            stormy.kill()
        stormy.start()
    with stormy.client() as client:
        settle_and_serve(AppUnderTest(Asker(client.request, Measure()), name), seed)
        assert client.get("/_local/orphans").json() == {"containers": [], "volumes": [], "networks": []}
        # What the engine began for a platform that was killed it may still be ending.
        wait_until(
            lambda: records_and_containers_agree(client, name, docker_client),
            f"records and containers to agree (seed {seed})",
            timeout_s=30,
            interval_s=0.5,
        )


def settle_and_serve(app: AppUnderTest, seed: int) -> None:
    """Every machine comes to rest by itself, and every one of them can be started and destroyed again."""

    def restless() -> list[str]:
        machines = app.ask.json("GET", f"{app.path}/machines")
        return [machine["state"] for machine in machines if machine["state"] not in LASTING]

    wait_until(lambda: not restless(), f"all to settle (seed {seed})", timeout_s=60)
    for machine in app.ask.json("GET", f"{app.path}/machines"):
        app.do(machine["id"], "start")
        app.wait(machine["id"], "started")


def records_and_containers_agree(client: httpx.Client, name: str, docker_client: docker.DockerClient) -> bool:
    known = {machine["id"]: machine["state"] for machine in client.get(f"/v1/apps/{name}/machines").json()}
    found = docker_client.containers.list(all=True, filters={"label": f"my-jarvis.app={name}"})
    running = {c.labels["my-jarvis.machine"] for c in found if c.status == "running"}
    started = {machine for machine, state in known.items() if state == "started"}
    return running == started and len(found) == len(running)
