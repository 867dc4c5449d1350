"""The operator's insurance: copies off the host, a host that is lost, and work that is killed half way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from fly.local import process
from tests.support.lostplace import lose_host, volume_manifest
from tests.support.operator import Operator
from tests.support.volumes import Manifest, differences

pytestmark = pytest.mark.timeout(900)  # many verbs, one after the other
SERVERS = frozenset({"app/devices.json"})
PEOPLE = (("Lilach", "lilach@example.com"), ("Dan", "dan@example.com"))
WORK = (
    "cd /data/workspace && mkdir -p 'Letters of 2026' && printf 'שלום\\n' > 'Letters of 2026/מכתב.txt'",
    "cd /data/workspace && printf '#!/bin/sh\\necho it runs\\n' > run.sh",
    "cd /data/workspace && chmod 750 run.sh && ln -s run.sh link && ln run.sh same",
    "cd /data/workspace && head -c 3000000 /dev/urandom > noise && mkfifo pipe && mkdir -m 700 private",
    'mkdir -p /data/claude/projects && echo \'{"type":"user"}\' > /data/claude/projects/a.jsonl',
    "echo 'alias hello=\"echo hello\"' >> /data/home/.bashrc",
)


@pytest.fixture
def operator(tmp_path: Path, image: str, docker_client: docker.DockerClient) -> Iterator[Operator]:
    operator = Operator(
        tmp_path / "home",
        JARVIS_IMAGE=f"{image.partition(':')[0]}@{docker_client.images.get(image).id}",
        JARVIS_BACKUP_REPOSITORY=str(tmp_path / "repository"),
        JARVIS_BACKUP_PASSWORD="correct horse",
    )
    operator.stands_up()
    yield operator
    if operator.home.exists():
        operator.runs("down", "--destroy", "--keep-cache", "--yes")


def machine_of(client: docker.DockerClient, user: dict[str, str]) -> Any:
    return client.containers.get(f"jarvis-{user['app']}-{user['machine_id']}")


def live_in(client: docker.DockerClient, operator: Operator, name: str, email: str) -> dict[str, str]:
    """A user with files, settings and a device that is signed in."""
    user: dict[str, str] = operator.reads("provision", "--name", name, "--email", email)
    with closing(operator.signs_in(email)) as browser:
        browser.put("/api/settings", json={"display_name": f"{name}!"}).raise_for_status()
    for command in WORK:
        done = machine_of(client, user).exec_run(["sh", "-c", command], user="jarvis")
        assert done.exit_code == 0, done.output
    return user


def rest(operator: Operator) -> None:
    """All machines sleep, so that nobody writes any more."""
    operator.runs("down")
    operator.stands_up()


def test_a_lost_host_comes_back_from_the_repository_and_its_password(
    operator: Operator, docker_client: docker.DockerClient, image: str
) -> None:
    """Host, volumes and ledger are lost; every file, mode and owner is back at the same links."""
    users = [live_in(docker_client, operator, name, email) for name, email in PEOPLE]
    rest(operator)
    before = [volume_manifest(docker_client, user, image) for user in users]
    made = operator.reads("backup", "--all")
    assert [one["new"] for one in made] == [True, True]
    assert [one["new"] for one in operator.reads("backup", "--all")] == [False, False], "nobody has run since"
    lose_host(docker_client, operator)

    operator.stands_up()
    said = operator.runs("restore", "--ledger")
    file = next(line for line in said.splitlines() if "ledger-restore" in line).split()[-1]
    operator.runs("ledger-restore", "--file", file, "--yes")
    back = operator.reads("restore", "--all")
    assert [one["ok"] for one in back] == [True, True]
    rest(operator)
    found = {user["email"]: user for user in operator.reads("users")}
    for user, manifest in zip(users, before, strict=True):
        there = found[user["email"]]
        assert (there["app"], there["url"]) == (user["app"], user["url"])
        after = volume_manifest(docker_client, there, image)
        assert differences(quiet(manifest), quiet(after)) == []
        assert operator.reads("link", "--name", user["email"])["link"] == user["link"]
        with closing(operator.signs_in(user["email"])) as browser:
            settings = browser.get("/api/boot").json()["settings"]
            assert settings["display_name"] == f"{user['name']}!"
    assert operator.reads("restore", "--all") == [], "nobody is lost any more"
    assert [one["ok"] for one in operator.reads("drill")] == [True]


def quiet(manifest: Manifest) -> Manifest:
    """Without what the server writes by itself when it starts and ends."""
    return {path: entry for path, entry in manifest.items() if path not in SERVERS}


def made_for(client: docker.DockerClient, operator: Operator) -> tuple[int, int]:
    """How many machines run for the operator's users, and how many volumes there are."""
    label: dict[str, Any] = {
        "label": f"my-jarvis.platform={process.platform_id(Path(operator.reads('platform')['state_dir']))}"
    }
    running = [one for one in client.containers.list(all=True, filters=label) if one.status != "created"]
    return len(running), len(client.volumes.list(filters=label))


def test_work_that_is_killed_half_way_is_finished_or_undone_by_the_next_verb(
    operator: Operator, docker_client: docker.DockerClient
) -> None:
    """Backup, restore and move are killed at their worst moments; nothing is left over, and nothing lost."""
    user = live_in(docker_client, operator, *PEOPLE[0])
    name = ("--name", user["email"])
    with closing(operator.signs_in(user["email"])) as browser:
        operator.killed_at("making a throw-away machine", verb=("backup", *name))
        made = operator.reads("backup", *name)
        assert [one["new"] for one in made] == [True]
        assert made_for(docker_client, operator) == (1, 1)

        browser.put("/api/settings", json={"display_name": "later"}).raise_for_status()
        operator.killed_at("bringing the copy", verb=("restore", *name, "--yes"))
        assert browser.get("/").status_code == 503
        assert "One moment" in browser.get("/").text
        assert len(operator.reads("backups", *name)) == 2, "what she had was copied first"
        assert browser.get("/api/boot").json()["settings"]["display_name"] == "later"
        assert made_for(docker_client, operator) == (1, 1)

        first = made[0]["copy"]["id"]
        operator.killed_at("removing the old machine", verb=("restore", *name, "--copy", first, "--yes"))
        operator.runs("backups")
        assert made_for(docker_client, operator) == (1, 1)
        assert browser.get("/api/boot").json()["settings"]["display_name"] == "Lilach!"

        operator.killed_at("comparing what is there", verb=("move", *name, "--region", "fra", "--yes"))
        assert operator.reads("move", *name, "--region", "fra", "--yes")["region"] == "fra"
        assert made_for(docker_client, operator) == (1, 1)
        assert browser.get("/api/boot").json()["settings"]["display_name"] == "Lilach!"

    new = operator.reads("restore", *name, "--copy", first, "--to", "Noa", "--email", "noa@example.com")[0]
    assert new["ok"]
    with closing(operator.signs_in("noa@example.com")) as browser:
        assert browser.get("/api/boot").json()["settings"]["display_name"] == "Lilach!"
