"""The platforms that are asked, and the means to ask: every answer is held against Fly's own document."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.support.openapi import Measure
from tests.support.platform import PORT, Platform, little_image, running_platform
from tests.support.run import Run

Config = dict[str, Any]
Make = Callable[..., Config]


class Asker:
    """Asks a platform and holds each answer against the document."""

    def __init__(self, send: Callable[..., httpx.Response], measure: Measure) -> None:
        self._send, self._measure = send, measure

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        answer = self._send(method, f"/v1{path}", json=body, **options)
        self._measure.check(answer)
        return answer

    def json(self, method: str, path: str, body: Any = None, *, code: int = 200, **options: Any) -> Any:
        """The body of an answer that has this code."""
        answer = self(method, path, body, **options)
        assert answer.status_code == code, answer.text
        return answer.json()

    def refusal(self, code: int, method: str, path: str, body: Any = None, **options: Any) -> str:
        """The words with which it was refused."""
        return str(self.json(method, path, body, code=code, **options)["error"])


class AppUnderTest:
    """An app, and short ways to ask about its machines."""

    def __init__(self, ask: Asker, name: str) -> None:
        self.ask, self.name, self.path = ask, name, f"/apps/{name}"

    def volume(self, **wanted: Any) -> Any:
        return self.ask.json(
            "POST", f"{self.path}/volumes", {"name": "data", "region": "iad", "size_gb": 1} | wanted
        )

    def machine(self, config: Config, *, state: str = "started", **wanted: Any) -> Any:
        """A machine, once it has reached the state."""
        made = self.ask.json("POST", f"{self.path}/machines", {"config": config, "region": "iad"} | wanted)
        if state != "created":
            self.wait(made["id"], state)
        return self.get(made["id"])

    def serving(self, config: Config, **wanted: Any) -> Any:
        """A machine whose server listens: before that, signals to it are lost, as to any first process."""
        made = self.machine(config, **wanted)
        listens = f"until grep -q :{PORT:04X}.*:0000.0A /proc/net/tcp; do sleep 0.01; done"
        assert self.run(made["id"], "sh", "-c", listens)["exit_code"] == 0
        return made

    def at(self, machine_id: str, *rest: str) -> str:
        return "/".join([self.path, "machines", machine_id, *rest])

    def get(self, machine_id: str) -> Any:
        return self.ask.json("GET", self.at(machine_id))

    def do(self, machine_id: str, verb: str, body: Any = None, **options: Any) -> Any:
        return self.ask.json("POST", self.at(machine_id, verb), body, **options)

    def wait(self, machine_id: str, state: str) -> Any:
        return self.ask.json("GET", self.at(machine_id, "wait"), params={"state": state, "timeout": 60})

    def run(self, machine_id: str, *command: str, **options: Any) -> Any:
        return self.do(machine_id, "exec", {"command": list(command), **options})


@pytest.fixture(scope="session")
def little(docker_client: docker.DockerClient, run: Run) -> Iterator[str]:
    """The image of the machines here."""
    with little_image(docker_client, run) as reference:
        yield reference


@pytest.fixture(scope="session")
def platform(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform that most questions go to."""
    with running_platform(tmp_path_factory.mktemp("platform"), run) as platform:
        yield platform


@pytest.fixture(scope="module")
def ask(platform: Platform) -> Iterator[Asker]:
    with platform.client() as client:
        yield Asker(client.request, Measure())


@pytest.fixture
def new_platform(run: Run, tmp_path: Path) -> Iterator[Platform]:
    """A platform of the test's own."""
    with running_platform(tmp_path, run) as platform:
        yield platform


def app_name() -> str:
    return f"contract-{secrets.token_hex(5)}"


@contextmanager
def new_app(ask: Asker, network: str) -> Iterator[AppUnderTest]:
    """An app that is gone after the test, with everything in it."""
    name = app_name()
    ask.json("POST", "/apps", {"name": name, "org_slug": "personal", "network": network}, code=201)
    yield AppUnderTest(ask, name)
    ask("DELETE", f"/apps/{name}")


@pytest.fixture(scope="module")
def shared_app(ask: Asker) -> Iterator[AppUnderTest]:
    """An app that lasts, and keeps the network of the others there: to make one costs as much as a start."""
    with new_app(ask, "shared") as app:
        yield app


@pytest.fixture
def app(ask: Asker, shared_app: AppUnderTest) -> Iterator[AppUnderTest]:
    with new_app(ask, "shared") as app:
        yield app


@pytest.fixture
def lone_app(ask: Asker) -> Iterator[AppUnderTest]:
    """An app on a network of its own, as users have them."""
    with new_app(ask, app_name()) as app:
        yield app


@pytest.fixture(scope="session")
def config(little: str) -> Make:
    """A machine's config with a service on the page's port; what is given wins."""

    def make(**given: Any) -> Config:
        check = {"type": "http", "port": PORT, "path": "/health", "interval": "5s", "timeout": "2s"}
        service = {
            "protocol": "tcp",
            "internal_port": PORT,
            "autostop": "suspend",
            "autostart": True,
            "ports": [{"port": 443, "handlers": ["tls", "http"]}],
            "checks": [check],
        }
        return {"image": little, "services": [service]} | given

    return make


@pytest.fixture(scope="module")
def running(shared_app: AppUnderTest, config: Make) -> Any:
    """A started machine for tests that only look."""
    return shared_app.machine(config(metadata={"mark": "a"}))
