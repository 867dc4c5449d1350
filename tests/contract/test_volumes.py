"""Volumes: what they hold when they are new, whose they are, and how they end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import pytest

from tests.contract.conftest import AppUnderTest, Asker, Make
from tests.support.wait import wait_until


def test_a_volume_says_what_it_is(app: AppUnderTest, ask: Asker) -> None:
    made = app.volume(size_gb=2, snapshot_retention=None, compute=None)
    assert made["id"].startswith("vol_")
    assert (made["name"], made["region"], made["size_gb"], made["state"]) == ("data", "iad", 2, "created")
    assert (made["encrypted"], made["attached_machine_id"], made["host_status"]) == (True, None, "ok")
    assert ask.json("GET", f"{app.path}/volumes/{made['id']}") == made
    assert ask.json("GET", f"{app.path}/volumes") == [made]


def test_a_volume_carries_labels_that_name_it(app: AppUnderTest, docker_client: docker.DockerClient) -> None:
    made = app.volume()
    (found,) = docker_client.volumes.list(filters={"label": f"my-jarvis.volume={made['id']}"})
    assert found.attrs["Labels"]["my-jarvis.app"] == app.name


def test_a_new_volume_is_as_fly_makes_it(app: AppUnderTest, config: Make) -> None:
    volume = app.volume()
    machine = app.machine(config(mounts=[{"volume": volume["id"], "path": "/srv"}]))
    seen = app.run(machine["id"], "stat", "-c", "%n %u:%g %a", "/srv", "/srv/lost+found")["stdout"]
    assert seen == "/srv 0:0 755\n/srv/lost+found 0:0 700\n"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"name": "Bad Name"}, 422),
        ({"name": "x" * 31}, 422),
        ({"size_gb": 0}, 400),
        ({"size_gb": 501}, 400),
        ({"size_gb": "1"}, 400),
        ({"region": "atlantis"}, 422),
        ({"snapshot_id": "vs_none"}, 404),
        ({"snapshot_retention": 61}, 400),
    ],
)
def test_a_volume_that_makes_no_sense_is_refused(
    app: AppUnderTest, ask: Asker, wanted: dict[str, Any], code: int
) -> None:
    ask.refusal(code, "POST", f"{app.path}/volumes", {"name": "data", "region": "iad"} | wanted)
    assert ask.json("GET", f"{app.path}/volumes") == []


def test_a_volume_only_grows(app: AppUnderTest, ask: Asker) -> None:
    path = f"{app.path}/volumes/{app.volume()['id']}"
    grown = ask.json("PUT", f"{path}/extend", {"size_gb": 5})
    assert (grown["volume"]["size_gb"], grown["needs_restart"]) == (5, False)
    assert "larger than 5" in ask.refusal(400, "PUT", f"{path}/extend", {"size_gb": 5})
    assert ask.json("PUT", path, {"snapshot_retention": 9})["snapshot_retention"] == 9


def test_a_volume_has_one_machine_at_a_time(app: AppUnderTest, ask: Asker, config: Make) -> None:
    volume = app.volume()
    mounted = config(mounts=[{"volume": volume["id"], "path": "/data"}])
    machine = app.machine(mounted, skip_launch=True, state="created")
    path = f"{app.path}/volumes/{volume['id']}"
    assert ask.json("GET", path)["attached_machine_id"] == machine["id"]
    claimed = ask.refusal(412, "POST", f"{app.path}/machines", {"config": mounted})
    assert claimed == f"failed_precondition: volume already claimed by machine {machine['id']}"
    bound = ask.refusal(412, "DELETE", path)
    assert bound == f"failed_precondition: volume is currently bound to machine: {machine['id']}"


def test_a_volume_stays_bound_until_its_machine_is_gone(app: AppUnderTest, ask: Asker, config: Make) -> None:
    volume = app.volume()
    machine = app.machine(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    path = f"{app.path}/volumes/{volume['id']}"
    ask.json("DELETE", app.at(machine["id"]), params={"force": "true"})
    wait_until(lambda: ask("DELETE", path).status_code == 200, "the volume to be free")
    assert ask.refusal(404, "GET", path) == "volume not found"
    assert ask.json("GET", f"{app.path}/volumes") == []


def test_a_machine_is_where_its_volume_is(app: AppUnderTest, ask: Asker, config: Make) -> None:
    volume = app.volume(region="fra")
    mounted = config(mounts=[{"volume": volume["id"], "path": "/data"}])
    refused = ask.refusal(400, "POST", f"{app.path}/machines", {"config": mounted, "region": "iad"})
    assert "is in region fra" in refused
    assert app.machine(mounted, region=None, skip_launch=True, state="created")["region"] == "fra"


def test_what_was_written_outlives_machine_and_container(app: AppUnderTest, ask: Asker, config: Make) -> None:
    mounted = config(mounts=[{"volume": app.volume()["id"], "path": "/data"}])
    first = app.serving(mounted)
    app.run(first["id"], "sh", "-c", "echo kept > /data/file; echo lost > /root-file")
    app.do(first["id"], "stop")
    app.wait(first["id"], "stopped")
    app.do(first["id"], "start")
    app.wait(first["id"], "started")
    seen = app.run(first["id"], "sh", "-c", "cat /data/file; cat /root-file")
    assert (seen["stdout"], seen["exit_code"]) == ("kept\n", 1)
    ask.json("DELETE", app.at(first["id"]), params={"force": "true"})
    wait_until(lambda: ask("GET", app.at(first["id"])).status_code == 404, "the machine to be gone")
    second = app.machine(mounted)
    assert app.run(second["id"], "cat", "/data/file")["stdout"] == "kept\n"


def test_a_volume_that_was_removed_behind_our_back_is_not_made_anew(
    app: AppUnderTest, config: Make, docker_client: docker.DockerClient
) -> None:
    volume = app.volume()
    machine = app.serving(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    app.do(machine["id"], "stop")
    app.wait(machine["id"], "stopped")
    docker_client.containers.get(f"jarvis-{app.name}-{machine['id']}").remove()
    docker_client.volumes.list(filters={"label": f"my-jarvis.volume={volume['id']}"})[0].remove()
    app.do(machine["id"], "start")
    app.wait(machine["id"], "failed")
    last = app.get(machine["id"])["events"][0]
    assert "its data is lost" in last["request"]["exit_event"]["error"]


def test_a_snapshot_holds_what_was_there_and_outlives_its_volume(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    volume = app.volume(size_gb=2)
    machine = app.serving(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    write = "cd /data; mkdir -m 700 mine; echo before > mine/file; ln -s mine/file link; chown 1000:1000 mine"
    assert app.run(machine["id"], "sh", "-c", write)["exit_code"] == 0
    taken = snapshot(app, ask, volume)
    assert (taken["volume_size"], taken["retention_days"]) == (2, 5)
    assert taken["size"] > 0
    app.run(machine["id"], "sh", "-c", "echo after > /data/mine/file")
    ask.json("DELETE", app.at(machine["id"]), params={"force": "true"})
    wait_until(
        lambda: ask("DELETE", f"{app.path}/volumes/{volume['id']}").status_code == 200,
        "the volume to be gone",
    )
    restored = app.volume(name="restored", snapshot_id=taken["id"], size_gb=None)
    assert restored["size_gb"] == 2
    other = app.machine(config(mounts=[{"volume": restored["id"], "path": "/elsewhere"}]))
    look = (
        "cat /elsewhere/link; stat -c '%n %a %u:%g %F' /elsewhere/mine /elsewhere/link /elsewhere/lost+found"
    )
    assert app.run(other["id"], "sh", "-c", look)["stdout"].splitlines() == [
        "before",
        "/elsewhere/mine 700 1000:1000 directory",
        "/elsewhere/link 777 0:0 symbolic link",
        "/elsewhere/lost+found 700 0:0 directory",
    ]


def snapshot(app: AppUnderTest, ask: Asker, volume: Any) -> Any:
    """A new snapshot of the volume, once it is done."""
    path = f"{app.path}/volumes/{volume['id']}/snapshots"
    ask.json("POST", path)
    wait_until(lambda: ask.json("GET", path)[0]["status"] == "created", "the snapshot")
    return ask.json("GET", path)[0]


def test_a_snapshot_is_of_one_moment_though_the_machine_writes_all_the_time(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    volume = app.volume()
    machine = app.serving(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    names = " ".join(f"/data/{letter}" for letter in "abcdefgh")
    write = (
        "head -c 40000000 /dev/urandom > /data/between; "
        f"(n=0; while :; do n=$((n+1)); for f in {names}; do echo $n > $f.new; mv $f.new $f; done; done) "
        ">/dev/null 2>&1 & sleep 0.5"
    )
    assert app.run(machine["id"], "sh", "-c", write)["exit_code"] == 0
    taken = snapshot(app, ask, volume)
    read = f"cat {names}"
    before = app.run(machine["id"], "sh", "-c", read)["stdout"]
    wait_until(lambda: app.run(machine["id"], "sh", "-c", read)["stdout"] != before, "it to write on")
    restored = app.volume(snapshot_id=taken["id"])
    other = app.machine(config(mounts=[{"volume": restored["id"], "path": "/data"}]))
    counts = [int(count) for count in app.run(other["id"], "sh", "-c", read)["stdout"].split()]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1


def test_a_volume_that_was_never_used_can_be_copied_too(app: AppUnderTest, ask: Asker, config: Make) -> None:
    taken = snapshot(app, ask, app.volume())
    refused = ask.refusal(
        400, "POST", f"{app.path}/volumes", {"name": "less", "snapshot_id": taken["id"], "size_gb": 0}
    )
    assert "size_gb" in refused
    restored = app.volume(snapshot_id=taken["id"])
    app.machine(config(mounts=[{"volume": restored["id"], "path": "/data"}]))


def test_one_snapshot_of_a_volume_is_taken_at_a_time(app: AppUnderTest, ask: Asker, config: Make) -> None:
    volume = app.volume()
    machine = app.machine(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    app.run(machine["id"], "sh", "-c", "head -c 50000000 /dev/urandom > /data/much")
    path = f"{app.path}/volumes/{volume['id']}/snapshots"
    # Where the first one is done before the second question comes, that is no answer yet.
    [refused] = wait_until(lambda: refused_of_two(ask, path), "two that were asked for at the same time")
    assert "snapshot is already scheduled at 20" in refused
    wait_until(lambda: ask.json("GET", path)[0]["status"] == "created", "the snapshot")
    assert ask.json("GET", path)[0]["size"] > 50_000_000


def refused_of_two(ask: Asker, path: str) -> list[str]:
    """What was said to those of two snapshots, asked for at the same time, that are not taken."""
    with ThreadPoolExecutor(2) as pool:
        answers = [asked.result() for asked in [pool.submit(ask, "POST", path) for _ in range(2)]]
    return [answer.json()["error"] for answer in answers if answer.status_code == 412]


def test_a_fork_holds_what_its_source_held_at_that_moment(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    source = app.volume(size_gb=2)
    machine = app.serving(config(mounts=[{"volume": source["id"], "path": "/data"}]))
    app.run(machine["id"], "sh", "-c", "echo before > /data/file")
    refused = {"name": "fork", "region": "iad", "source_volume_id": source["id"], "size_gb": 1}
    assert "size of the source" in ask.refusal(400, "POST", f"{app.path}/volumes", refused)
    fork = app.volume(name="fork", source_volume_id=source["id"], size_gb=None)
    app.run(machine["id"], "sh", "-c", "echo after > /data/file")
    assert (fork["size_gb"], fork["state"]) == (2, "created")
    assert ask.json("GET", f"{app.path}/volumes/{source['id']}/snapshots") == []
    other = app.machine(config(mounts=[{"volume": fork["id"], "path": "/data"}]))
    assert app.run(other["id"], "cat", "/data/file")["stdout"] == "before\n"


def test_a_volume_that_is_not_there_can_not_be_forked(app: AppUnderTest, ask: Asker) -> None:
    wanted = {"name": "fork", "region": "iad", "source_volume_id": "vol_none"}
    assert ask.refusal(404, "POST", f"{app.path}/volumes", wanted) == "volume not found"
