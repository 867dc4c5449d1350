"""The operator's line: everything up, users made and unmade, the platform killed, everything down."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support.operator import Operator

OLDEST = "lilach@example.com"
FIELDS = {
    *("name", "email", "app", "url", "machine_id"),
    *("volume_id", "region", "state", "image", "created_at"),
    *("login", "link"),
}


@pytest.fixture
def operator(tmp_path: Path, image: str) -> Iterator[Operator]:
    operator = Operator(tmp_path / "home")
    yield operator
    if operator.home.exists():
        operator.runs("down", "--destroy", "--keep-cache", "--yes")


def made_by(docker_client: docker.DockerClient, operator: Operator) -> list[Any]:
    about = operator.reads("platform")
    label: dict[str, Any] = {"label": f"my-jarvis.platform={platform_id(about)}"}
    return [
        *docker_client.containers.list(all=True, filters=label),
        *docker_client.volumes.list(filters=label),
    ]


def platform_id(about: dict[str, Any]) -> str:
    from fly.local.process import platform_id

    return platform_id(Path(about["state_dir"]))


def test_one_command_leads_to_an_open_page_and_one_takes_it_all_away(
    operator: Operator, docker_client: docker.DockerClient
) -> None:
    """`up` ends with an answering page, and `down --destroy` leaves nothing of it in the engine."""
    said = operator.runs("up")
    assert "Workspace ready" in said
    assert "/#key=" in said
    first = operator.reads("users")[0]
    assert first["email"] == OLDEST
    assert operator.visits(first["url"]).json()["status"] == "ok"
    assert "<!doctype html>" in operator.visits(first["url"], "/").text.lower()
    assert "/#key=" not in operator.runs("up"), "the link is printed once"

    label = f"my-jarvis.platform={platform_id(operator.reads('platform'))}"
    child = operator.types("down", "--destroy", "--keep-cache")
    child.expect_exact("[y/N]")
    child.sendline("n")
    child.expect_exact("Nothing was changed")
    child.close()
    assert len(made_by(docker_client, operator)) == 2

    operator.runs("down", "--destroy", "--keep-cache", "--yes")
    left: dict[str, Any] = {"label": label}
    assert docker_client.containers.list(all=True, filters=left) == []
    assert docker_client.volumes.list(filters=left) == []
    assert docker_client.networks.list(filters=left) == []
    assert not operator.home.exists()


def test_a_killed_platform_adopts_what_runs(operator: Operator) -> None:
    """After kill -9 of the embedded platform `up` brings the same workspace back, its machine untouched."""
    operator.runs("up")
    before = operator.reads("status", "--name", OLDEST)
    os.kill(operator.reads("platform")["pid"], signal.SIGKILL)
    operator.runs("up")
    after = operator.reads("status", "--name", OLDEST)
    assert [after[key] for key in ("app", "machine_id", "volume_id")] == [
        before[key] for key in ("app", "machine_id", "volume_id")
    ]
    assert operator.visits(after["url"]).status_code == 200


def test_down_keeps_all_data_and_up_finds_it_again(operator: Operator) -> None:
    """`down` stops the machines; after the next `up` what was in them is there, and who was in is."""
    operator.runs("up")
    with closing(operator.signs_in(OLDEST)) as browser:
        assert browser.put("/api/settings", json={"display_name": "Lily"}).status_code == 200
        operator.runs("down")
        operator.runs("platform", status=1)
        operator.runs("up")
        assert browser.get("/api/boot").json()["settings"]["display_name"] == "Lily"


def test_a_new_key_signs_everybody_out(operator: Operator) -> None:
    """`rotate-key` makes a link that opens, after which neither the old one nor who came by it is let in."""
    operator.runs("up")
    with closing(operator.signs_in(OLDEST)) as before:
        old = operator.reads("link", "--name", OLDEST)["link"]
        new = operator.reads("rotate-key", "--name", OLDEST, "--yes")["link"]
        assert operator.reads("link", "--name", OLDEST)["link"] == new != old
        assert before.get("/api/boot").status_code == 401
        key = old.partition("#key=")[2]
        assert before.post("/api/login", json={"key": key}).status_code == 401
    with closing(operator.signs_in(OLDEST)) as after:
        assert after.get("/api/boot").json()["user"]["email"] == OLDEST


def test_users_come_and_go(operator: Operator) -> None:
    """A second user gets a page of her own, her e-mail no second one, and a destroyed workspace is gone."""
    operator.runs("up")
    made = operator.reads("provision", "--name", "Zoë Ångström", "--email", "zoe@example.com")
    assert set(made) == FIELDS
    assert made["app"].startswith("zoe-angstrom-myjarvis-")
    assert operator.visits(made["url"]).status_code == 200
    assert operator.visits(made["url"], "/").status_code == 401
    refused = operator.runs("provision", "--name", "Zoë", "--email", "zoe@example.com", status=1)
    assert made["app"] in refused
    assert made["app"] in operator.runs("destroy", "--name", made["app"], "--dry-run")
    operator.runs("destroy", "--name", made["app"], "--yes")
    assert operator.visits(made["url"]).status_code == 404
    assert [user["email"] for user in operator.reads("users")] == [OLDEST]
    assert "agree" in operator.runs("repair")
