"""What the operator's side believes of the image, read back from the image itself."""

from __future__ import annotations

from typing import Any

import docker
import pytest

from fly.plan import HEALTH_PATH, MOUNT_PATH, PORT, Person, Plan, make_plan
from tests.support.containers import Workspaces
from tests.support.volumes import Volume


@pytest.fixture
def config(docker_client: docker.DockerClient, image: str) -> dict[str, Any]:
    """The image's own settings."""
    return dict(docker_client.images.get(image).attrs["Config"])


@pytest.fixture
def plan(docker_client: docker.DockerClient, image: str) -> Plan:
    """A plan for this very image."""
    return make_plan(
        Person("Lilach Ben-Ami", "lilach@example.com"),
        id="01JTEST",
        suffix="0123456789abc",
        platform="local",
        org="personal",
        url_of=lambda app: f"http://{app}.localhost",
        image=f"my-jarvis@{docker_client.images.get(image).id}",
    )


def test_the_port_is_the_plans(config: dict[str, Any]) -> None:
    """The image names the port that the plan sends requests to, and only that one."""
    assert set(config["ExposedPorts"]) == {f"{PORT}/tcp"}


def test_the_health_path_is_the_plans(config: dict[str, Any]) -> None:
    """The image's own health check asks the path that the platform asks."""
    assert HEALTH_PATH in " ".join(config["Healthcheck"]["Test"])


def test_the_mount_is_the_plans(config: dict[str, Any]) -> None:
    """Everything that the image keeps lies below the plan's mount."""
    variables = dict(pair.split("=", 1) for pair in config["Env"])
    assert variables["JARVIS_DATA"] == MOUNT_PATH
    assert variables["HOME"].startswith(f"{MOUNT_PATH}/")
    assert variables["CLAUDE_CONFIG_DIR"].startswith(f"{MOUNT_PATH}/")
    assert not config.get("Volumes"), "the engine would make a volume of its own where none is given"


def test_a_machine_as_planned_works(workspaces: Workspaces, kept_volume: Volume, plan: Plan) -> None:
    """With the plan's environment, memory and mount it answers the plan's check and knows its person."""
    planned = plan.machine_config("vol_1")
    workspace = workspaces.start(
        environment=planned["env"],
        mem_limit=f"{planned['guest']['memory_mb']}m",
        volumes={kept_volume.name: {"bind": planned["mounts"][0]["path"], "mode": "rw"}},
    )
    assert planned["checks"]["health"]["port"] == planned["services"][0]["internal_port"] == PORT
    assert workspace.get(planned["checks"]["health"]["path"]).status_code == 200
    user = workspace.get("/api/boot").json()["user"]
    assert user == {"name": "Lilach Ben-Ami", "email": "lilach@example.com"}
    assert workspace.stop(planned["stop_config"]["signal"]) == 0
