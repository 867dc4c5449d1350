"""The platform's own life: it may be stopped and killed, and finds everything again; it keeps to itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.types
import httpx
import pytest

from fly.errors import PlatformError
from fly.local import process
from tests.contract.conftest import AppUnderTest, Asker, Make, app_name
from tests.support.openapi import Measure
from tests.support.platform import ROOT, Platform, running_platform
from tests.support.run import Run
from tests.support.wait import wait_until


class Again:
    """An app on a platform that comes back under another address."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.name = app_name()
        self.ask("POST", "/apps", {"name": self.name, "network": self.name})

    @property
    def app(self) -> AppUnderTest:
        return AppUnderTest(Asker(self.request, Measure()), self.name)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        with self.platform.client() as client:
            return client.request(method, url, **options)

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.app.ask(method, path, body)

    def page(self) -> int:
        """The code with which the machine's page answers at the door."""
        host = {"Host": f"{self.name}.localhost"}
        return httpx.get(
            self.platform.about["door_url"], headers=host, trust_env=False, timeout=60
        ).status_code


@pytest.fixture(scope="module")
def mortal(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that is killed a lot."""
    with running_platform(tmp_path_factory.mktemp("mortal"), run) as platform:
        yield platform


@pytest.fixture
def again(mortal: Platform) -> Iterator[Again]:
    again = Again(mortal)
    yield again
    if not mortal.is_running:
        mortal.start()
    again.ask("DELETE", again.app.path)


def kill_and_start(again: Again) -> None:
    again.platform.kill()
    again.platform.start()


def test_a_killed_platform_adopts_what_runs(again: Again, config: Make) -> None:
    volume = again.app.volume()
    mounts = [{"volume": volume["id"], "path": "/data"}]
    runs = again.app.serving(config(mounts=mounts))
    sleeps = again.app.machine(config())
    again.app.run(runs["id"], "touch", "/mark")
    again.app.do(sleeps["id"], "suspend")
    again.app.wait(sleeps["id"], "suspended")
    before = again.platform.about
    kill_and_start(again)
    after = again.platform.about
    assert (after["token"], after["platform_id"]) == (before["token"], before["platform_id"])
    assert again.app.get(sleeps["id"])["state"] == "suspended"
    assert again.app.get(runs["id"])["events"] == again.app.get(runs["id"])["events"]
    assert again.app.run(runs["id"], "ls", "/mark")["exit_code"] == 0
    assert (
        again.app.ask.json("GET", f"{again.app.path}/volumes/{volume['id']}")["attached_machine_id"]
        == runs["id"]
    )
    assert again.page() == 200


def test_what_happened_while_it_was_away_is_noticed(
    again: Again, config: Make, docker_client: docker.DockerClient
) -> None:
    ended, paused, thawed = (again.app.machine(config(restart={"policy": "no"})) for _ in range(3))
    again.app.do(thawed["id"], "suspend")
    again.app.wait(thawed["id"], "suspended")
    again.platform.kill()
    docker_client.containers.get(f"jarvis-{again.name}-{ended['id']}").kill()
    docker_client.containers.get(f"jarvis-{again.name}-{paused['id']}").pause()
    docker_client.containers.get(f"jarvis-{again.name}-{thawed['id']}").unpause()
    again.platform.start()
    again.app.wait(ended["id"], "stopped")
    assert again.app.get(ended["id"])["events"][0]["request"]["exit_event"]["exit_code"] == 137
    again.app.wait(paused["id"], "suspended")
    again.app.wait(thawed["id"], "started")


@pytest.mark.parametrize(
    "verb", ["start", "stop", "suspend", "resume", "destroy", "create", "update", "restart"]
)
def test_what_was_under_way_when_it_was_killed_is_finished(again: Again, config: Make, verb: str) -> None:
    asleep = verb in {"start", "create"}
    made = again.app.machine(config(), skip_launch=asleep, state="created" if asleep else "started")
    at = again.app.at(made["id"])
    expected = {"stop": "stopped", "suspend": "suspended"}.get(verb, "started")
    if verb == "destroy":
        again.ask("DELETE", f"{at}?force=true")
    elif verb == "create":
        at = again.app.at(again.ask("POST", f"{again.app.path}/machines", {"config": config()}).json()["id"])
    elif verb == "update":
        again.ask("POST", at, {"config": config(env={"NEW": "1"})})
    elif verb == "resume":
        again.app.do(made["id"], "suspend")
        again.app.wait(made["id"], "suspended")
        again.ask("POST", f"{at}/start")
    else:
        again.ask("POST", f"{at}/{verb}")
    kill_and_start(again)
    if verb == "destroy":
        wait_until(lambda: again.ask("GET", at).status_code == 404, "the machine to be gone")
        return
    assert again.ask("GET", f"{at}/wait?state={expected}&timeout=30").status_code == 200
    if expected == "started":
        assert again.page() == 200
    if verb == "update":
        assert again.app.run(made["id"], "printenv", "NEW")["stdout"] == "1\n"


def test_a_snapshot_that_was_cut_off_is_forgotten_and_its_machine_runs_on(
    again: Again, config: Make, docker_client: docker.DockerClient
) -> None:
    volume = again.app.volume()
    made = again.app.serving(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    again.app.run(made["id"], "sh", "-c", "head -c 200000000 /dev/zero > /data/much")
    container = docker_client.containers.get(f"jarvis-{again.name}-{made['id']}")

    def is_held() -> bool:
        container.reload()
        return bool(container.status == "paused")

    snapshots = f"{again.app.path}/volumes/{volume['id']}/snapshots"
    again.ask("POST", snapshots)
    wait_until(is_held, "the copy to be under way")
    kill_and_start(again)
    assert again.ask("GET", snapshots).json() == []
    assert list((again.platform.folder / "snapshots").iterdir()) == []
    again.app.wait(made["id"], "started")
    assert again.page() == 200
    assert not is_held()
    with again.platform.client() as client:
        assert client.get("/_local/orphans").json()["containers"] == []


def test_what_was_prepared_for_the_next_start_is_no_stray_and_outlives_the_platform(
    again: Again, config: Make, docker_client: docker.DockerClient
) -> None:
    made = again.app.serving(config())
    again.app.do(made["id"], "stop")
    again.app.wait(made["id"], "stopped")
    name = f"jarvis-{again.name}-{made['id']}"
    prepared = docker_client.containers.get(name)
    kill_and_start(again)
    with again.platform.client() as client:
        assert client.delete("/_local/orphans").json()["containers"] == []
    assert again.app.get(made["id"])["state"] == "stopped"
    assert again.page() == 200
    assert docker_client.containers.get(name).id == prepared.id


def test_a_deletion_that_was_cut_off_is_finished(
    again: Again, config: Make, docker_client: docker.DockerClient
) -> None:
    volume = again.app.volume()
    again.app.machine(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    with again.platform.client() as client:
        ask = client.build_request("DELETE", f"/v1{again.app.path}")
        raw = socket.create_connection((ask.url.host, ask.url.port or 80))
        auth = client.headers["Authorization"]
        raw.sendall(f"DELETE {ask.url.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n\r\n".encode())
        wait_until(lambda: again.ask("GET", again.app.path).status_code == 404, "the deletion to begin")
        raw.close()
    kill_and_start(again)
    filters: dict[str, Any] = {"label": f"my-jarvis.app={again.name}"}
    wait_until(lambda: not docker_client.volumes.list(filters=filters), "the volume to be gone")
    assert docker_client.containers.list(all=True, filters=filters) == []
    wait_until(
        lambda: again.ask("POST", "/apps", {"name": again.name}).status_code == 201,
        "the name to be free again",
    )


def test_a_machine_that_was_removed_behind_our_back_starts_anew(
    again: Again, config: Make, docker_client: docker.DockerClient
) -> None:
    made = again.app.machine(config(restart={"policy": "no"}))
    docker_client.containers.get(f"jarvis-{again.name}-{made['id']}").remove(force=True)
    again.app.wait(made["id"], "stopped")
    again.app.do(made["id"], "start")
    again.app.wait(made["id"], "started")
    assert again.page() == 200


def test_what_lost_its_record_is_listed_and_left_alone_until_it_is_told_to_go(
    again: Again, docker_client: docker.DockerClient, run: Run
) -> None:
    labels: dict[str, str] = {"my-jarvis.platform": again.platform.about["platform_id"], **run.labels}
    volume = docker_client.volumes.create(run.name("orphan"), labels=labels)
    with again.platform.client() as client:
        listed = client.get("/_local/orphans").json()
        assert [orphan["name"] for orphan in listed["volumes"]] == [volume.name]
        assert listed["containers"] == []
    kill_and_start(again)
    volume.reload()
    with again.platform.client() as client:
        removed = client.delete("/_local/orphans").json()
        assert [orphan["name"] for orphan in removed["volumes"]] == [volume.name]
        assert client.get("/_local/orphans").json()["volumes"] == []
    assert docker_client.volumes.list(filters={"name": volume.name}) == []
    assert again.ask("GET", again.app.path).status_code == 200


def test_it_stops_within_three_seconds_and_leaves_machines_running(
    again: Again, config: Make, docker_client: docker.DockerClient
) -> None:
    made = again.app.machine(config())
    with again.platform.client() as client, client.stream("GET", "/_local/platform"):
        began = time.monotonic()
        again.platform.stop()
        assert time.monotonic() - began < 3
    assert not (again.platform.folder / "platform.json").exists()
    assert docker_client.containers.get(f"jarvis-{again.name}-{made['id']}").status == "running"
    again.platform.start()
    again.app.wait(made["id"], "started")


def test_its_files_are_for_their_owner_alone(new_platform: Platform) -> None:
    folder = new_platform.folder
    for name in ("token", "platform.json", "lock", "platform.log"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    about = new_platform.about
    assert set(about) == {
        "api_url",
        "door_url",
        "door_certificate",
        "token",
        "state_dir",
        "pid",
        "platform_id",
        "version",
        "like_fly",
        "max_awake_s",
    }
    assert about["token"] not in new_platform.log()


def test_a_second_platform_on_the_same_folder_is_refused(new_platform: Platform) -> None:
    told = run_platform(new_platform.folder)
    assert told.returncode == 2
    assert "Another embedded platform already runs" in told.stderr
    assert "Traceback" not in told.stderr
    with new_platform.client() as client:
        assert client.get("/v1/apps").status_code == 200


@pytest.mark.parametrize("which", ["api", "door"])
def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run_platform(tmp_path, f"--{which}-port={port}")
    assert told.returncode == 2
    assert f"can not listen on 127.0.0.1:{port}" in told.stderr
    assert f"JARVIS_{which.upper()}_PORT" in told.stderr
    assert "Traceback" not in told.stderr


def test_records_that_can_not_be_read_are_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "platform.sqlite").write_text(
        "this is no database, and longer than the head of one would be" * 50
    )
    told = run_platform(tmp_path)
    assert told.returncode == 2
    assert f"records in {tmp_path}" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_folder_that_can_not_be_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = run_platform(tmp_path / "file" / "state")
    assert told.returncode == 2
    assert "can not use" in told.stderr
    assert "Traceback" not in told.stderr


def test_without_an_engine_it_says_so(tmp_path: Path) -> None:
    told = run_platform(tmp_path, environment={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert told.returncode == 2
    assert "needs a Docker Engine" in told.stderr
    assert "Traceback" not in told.stderr


def run_platform(
    folder: Path, *options: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "fly.local",
        f"--state-dir={folder}",
        "--api-port=0",
        "--door-port=0",
        *options,
    ]
    env = os.environ | (environment or {})
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90, check=False)


def test_a_detached_platform_is_started_once_found_again_and_stopped(tmp_path: Path) -> None:
    assert not process.is_running(tmp_path)
    assert not process.stop(tmp_path)
    try:
        about = process.ensure_running(tmp_path, 0, 0)
        assert process.is_running(tmp_path)
        assert process.ensure_running(tmp_path, 0, 0) == about
        assert os.getsid(about["pid"]) == about["pid"]
        assert httpx.get(f"{about['api_url']}/v1/apps", trust_env=False).status_code == 401
    finally:
        assert process.stop(tmp_path)
    assert not process.is_running(tmp_path)


def test_a_stale_announcement_deceives_nobody(tmp_path: Path) -> None:
    stale = {"api_url": "http://127.0.0.1:1", "token": "x", "pid": os.getpid(), "state_dir": str(tmp_path)}
    (tmp_path / "platform.json").write_text(json.dumps(stale))
    (tmp_path / "lock").write_text(f"{os.getpid()}\n")
    assert not process.is_running(tmp_path)
    assert not process.stop(tmp_path)
    try:
        assert process.ensure_running(tmp_path, 0, 0)["pid"] != os.getpid()
    finally:
        process.stop(tmp_path)


def test_a_platform_that_was_killed_is_replaced(tmp_path: Path) -> None:
    try:
        first = process.ensure_running(tmp_path, 0, 0)
        os.kill(first["pid"], signal.SIGKILL)
        wait_until(lambda: not process.is_running(tmp_path), "its end")
        second = process.ensure_running(tmp_path, 0, 0)
        assert second["pid"] != first["pid"]
        assert second["token"] == first["token"]
    finally:
        process.stop(tmp_path)


def test_a_platform_that_can_not_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PlatformError, match=f"can not listen on 127.0.0.1:{port}"):
            process.ensure_running(tmp_path, port, 0)
    assert not process.is_running(tmp_path)


def test_a_network_that_was_removed_and_whose_addresses_were_taken_moves(
    again: Again, config: Make, docker_client: docker.DockerClient, run: Run
) -> None:
    (ours,) = docker_client.networks.list(names=[f"jarvis-{again.name}-"])
    ours.remove()
    subnet = again.ask("GET", again.app.path).json()["network_cidr"]
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
    with ExitStack() as stack:
        with suppress(docker.errors.APIError):  # then somebody else on this host took them, which is as good
            taken = docker_client.networks.create(run.name("taken"), ipam=pool, labels=run.labels)
            stack.callback(taken.remove)
        made = again.app.machine(config())
        assert again.ask("GET", again.app.path).json()["network_cidr"] != subnet
        assert again.app.run(made["id"], "printenv", "FLY_PRIVATE_IP")["stdout"].strip() == made["private_ip"]
        assert again.page() == 200
