"""A volume with no free space left: said in words, survived, and over as soon as something is deleted."""

from __future__ import annotations

from contextlib import ExitStack

import docker
import pytest

from fly.plan import MOUNT_PATH
from tests.support.containers import Workspace, Workspaces
from tests.support.livepage import LivePage
from tests.support.run import Run
from tests.support.volumes import small_volume
from tests.support.wait import wait_until

FILL = f"cat /dev/zero > {MOUNT_PATH}/workspace/full 2>/dev/null; true"


@pytest.fixture
def small_mount(
    docker_client: docker.DockerClient, run: Run, image: str, after_containers: ExitStack
) -> dict[str, dict[str, str]]:
    """A volume of a few megabytes, as docker-py's `volumes` name it."""
    name = after_containers.enter_context(small_volume(docker_client, run, image))
    return {name: {"bind": MOUNT_PATH, "mode": "rw"}}


def _filled(workspace: Workspace) -> Workspace:
    workspace.wait_settled().run("sh", "-c", FILL)  # what it removes by itself would be room again
    assert workspace.attempt("sh", "-c", f"echo more >> {MOUNT_PATH}/workspace/more").status != 0
    return workspace


def test_a_full_disk_is_survived(workspaces: Workspaces, small_mount: dict[str, dict[str, str]]) -> None:
    """With the disk full it is healthy, shows its page, says what cannot be saved, and works again after."""
    workspace = _filled(workspaces.start(volumes=small_mount))
    assert workspace.get("/health").status_code == 200
    assert workspace.get("/").status_code == 200
    refused = workspace.ask("PUT", "/api/settings", {"display_name": "Lily"})
    assert refused.status_code >= 400
    assert refused.json()["error"]["message"]
    with LivePage(workspace) as page:
        page.send("hello")
        page.until(lambda: page.refusals == ["not_saved"], "the word that nothing was saved")
    workspace.run("rm", f"{MOUNT_PATH}/workspace/full")
    assert workspace.ask("PUT", "/api/settings", {"display_name": "Lily"}).status_code == 200


def test_it_starts_on_a_full_disk(workspaces: Workspaces, small_mount: dict[str, dict[str, str]]) -> None:
    """A workspace whose disk is full starts, and a shell in it can make room again."""
    _filled(workspaces.start(volumes=small_mount)).stop()
    workspace = workspaces.start(volumes=small_mount)
    assert workspace.get("/").status_code == 200
    shell = workspace.shell().settle()
    shell.run("rm full")
    wait_until(lambda: shell.attempt("echo more > more")[0] == 0, "room")
