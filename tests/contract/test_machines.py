"""Machines: what they are, how they run, and what may be done with them when."""

from __future__ import annotations

import re
from typing import Any

import docker
import pytest

from tests.contract.conftest import AppUnderTest, Asker, Make
from tests.support.wait import wait_until


def test_a_machine_has_what_clients_rely_on(running: Any, little: str) -> None:
    assert (running["state"], running["region"], running["host_status"]) == ("started", "iad", "ok")
    assert running["config"]["guest"] == {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256}
    assert running["config"]["metadata"] == {"mark": "a"}
    assert running["image_ref"]["repository"] == little.partition(":")[0]
    assert re.fullmatch(r"[0-9a-f]{14}", running["id"])
    assert re.fullmatch(r"[0-9A-Z]{26}", running["instance_id"])
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d{4}", running["name"])


def test_a_machine_is_born_created_and_starts_by_itself(app: AppUnderTest, ask: Asker, config: Make) -> None:
    made = ask.json("POST", f"{app.path}/machines", {"config": config(), "name": "first"})
    assert (made["state"], made["name"]) == ("created", "first")
    app.wait(made["id"], "started")
    kinds = [(event["type"], event["status"], event["source"]) for event in app.get(made["id"])["events"]]
    assert kinds == [
        ("start", "started", "flyd"),
        ("start", "starting", "user"),
        ("launch", "created", "user"),
    ]


def test_a_machine_made_to_wait_has_no_container(
    app: AppUnderTest, config: Make, docker_client: docker.DockerClient
) -> None:
    made = app.machine(config(), skip_launch=True, state="created")
    filters: dict[str, Any] = {"label": f"my-jarvis.machine={made['id']}"}
    assert docker_client.containers.list(all=True, filters=filters) == []
    app.do(made["id"], "start")
    app.wait(made["id"], "started")
    (found,) = docker_client.containers.list(filters=filters)
    assert found.name == f"jarvis-{app.name}-{made['id']}"
    assert found.labels["my-jarvis.app"] == app.name


def test_a_machine_finds_itself_in_its_environment(
    shared_app: AppUnderTest, running: Any, little: str
) -> None:
    told = shared_app.run(running["id"], "env")["stdout"].splitlines()
    expected = {
        f"FLY_APP_NAME={shared_app.name}",
        f"FLY_MACHINE_ID={running['id']}",
        "FLY_REGION=iad",
        f"FLY_IMAGE_REF={little}",
        "FLY_VM_MEMORY_MB=256",
        f"FLY_PRIVATE_IP={running['private_ip']}",
        f"FLY_MACHINE_VERSION={running['instance_id']}",
    }
    assert expected <= set(told)
    assert shared_app.run(running["id"], "hostname")["stdout"].strip() == running["id"]


def test_memory_and_processors_are_limited(
    app: AppUnderTest, config: Make, docker_client: docker.DockerClient
) -> None:
    made = app.machine(config(guest={"cpu_kind": "shared", "cpus": 1, "memory_mb": 512}))
    container = docker_client.containers.get(f"jarvis-{app.name}-{made['id']}")
    assert container.attrs["HostConfig"]["Memory"] == 512 << 20
    assert container.attrs["HostConfig"]["MemorySwap"] == 512 << 20
    assert container.attrs["HostConfig"]["NanoCpus"] == 10**9
    seen = app.ask.json("GET", app.at(made["id"], "memory"))
    assert seen["limit_mb"] == 512
    assert 0 < seen["available_mb"] < 512


def test_what_its_config_says_is_what_runs(app: AppUnderTest, config: Make) -> None:
    shell = ["sh", "-c", "echo $GREETING > /greeting; exec sleep 1000"]
    files = [{"guest_path": "/etc/deep/er/file", "raw_value": "aGVsbG8=", "mode": 0o600}]
    made = app.machine(
        config(services=[], init={"exec": shell}, env={"GREETING": "hello there"}, files=files)
    )
    wait_until(lambda: app.run(made["id"], "cat", "/greeting")["stdout"] == "hello there\n", "the greeting")
    assert app.run(made["id"], "stat", "-c", "%a %s", "/etc/deep/er/file")["stdout"] == "600 5\n"


def test_an_image_may_be_named_by_its_digest(
    app: AppUnderTest, config: Make, little: str, docker_client: docker.DockerClient
) -> None:
    identity = docker_client.images.get(little).id
    reference = f"{little.partition(':')[0]}@{identity}"
    made = app.machine(config(image=reference))
    assert made["config"]["image"] == reference
    assert made["image_ref"]["digest"] == identity


def test_an_unknown_image_is_refused_and_makes_nothing(app: AppUnderTest, ask: Asker, config: Make) -> None:
    for image in ("no-such-image:1", f"no-such-image@sha256:{'0' * 64}", "Not/Valid::ref"):
        refused = ask.refusal(400, "POST", f"{app.path}/machines", {"config": config(image=image)})
        assert "failed to get manifest" in refused
    assert ask.json("GET", f"{app.path}/machines") == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"image": None}, "config.image"),
        ({"image": 7}, "config.image must be text"),
        ({"guest": {"cpus": 3}}, "config.guest.cpus"),
        ({"guest": {"memory_mb": 100}}, "minimum required 256 MiB"),
        ({"guest": {"cpu_kind": "performance", "memory_mb": 1024}}, "minimum required 2048 MiB"),
        ({"guest": {"memory_mb": 4096}}, "maximum allowed 2048 MiB"),
        ({"guest": {"memory_mb": 300}}, "multiple of 256 MiB"),
        ({"size": "huge"}, "config.size"),
        ({"services": [{"ports": []}]}, "internal_port"),
        ({"services": [{"internal_port": 70000}]}, "internal_port"),
        ({"restart": {"policy": "sometimes"}}, "restart.policy"),
        ({"stop_config": {"signal": "SIGWINCH"}}, "stop_config.signal"),
        ({"stop_config": {"timeout": "soon"}}, "stop_config.timeout"),
        ({"env": {"A": 1}}, "env.A"),
        ({"env": {"A": "\0"}}, "env.A"),
        ({"files": [{"guest_path": "/x", "raw_value": "%"}]}, "base64"),
        (
            {"mounts": [{"volume": "vol_a", "path": "/a"}, {"volume": "vol_b", "path": "/b"}]},
            "only one volume",
        ),
        ({"containers": [{}]}, "not available"),
        ({"processes": [{"cmd": ["a"]}, {"cmd": ["b"]}]}, "not available"),
        ({"processes": [{"ignore_app_secrets": True}]}, "ignore_app_secrets of a process"),
        ({"processes": [{"cmd": "a"}]}, "cmd"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(
    app: AppUnderTest, ask: Asker, config: Make, wanted: dict[str, Any], words: str
) -> None:
    assert words in ask.refusal(400, "POST", f"{app.path}/machines", {"config": config(**wanted)})
    assert ask.json("GET", f"{app.path}/machines") == []


def test_unknown_fields_are_ignored_and_old_spellings_understood(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    service = {
        "internal_port": 3000,
        "protocol": "tcp",
        "autostop": True,
        "checks": [{"type": "tcp", "interval": 10**10}],
    }
    wanted = config(
        services=[service], size="shared-cpu-2x", auto_stop_machines="stop", nonsense=[1], dns=None
    )
    made = app.machine(wanted, skip_launch=True, state="created")
    assert made["config"]["services"][0]["autostop"] == "stop"
    assert made["config"]["services"][0]["checks"][0]["interval"] == "10s"
    assert made["config"]["guest"] == {"cpu_kind": "shared", "cpus": 2, "memory_mb": 512}
    assert not {"nonsense", "auto_stop_machines", "size", "dns"} & set(made["config"])


def test_an_unknown_machine_is_not_found(app: AppUnderTest, ask: Asker, running: Any) -> None:
    for machine in ("0" * 14, running["id"]):  # another app's machine is not one of this app
        assert ask.refusal(404, "GET", app.at(machine)) == "machine not found"
        assert ask.refusal(404, "POST", app.at(machine, "start")) == "machine not found"
        assert ask.refusal(404, "DELETE", app.at(machine)) == "machine not found"


def test_starting_what_runs_changes_nothing(shared_app: AppUnderTest, running: Any) -> None:
    assert shared_app.do(running["id"], "start")["previous_state"] == "started"
    assert shared_app.get(running["id"])["instance_id"] == running["instance_id"]


def test_stop_and_start_give_a_fresh_root_file_system(app: AppUnderTest, config: Make) -> None:
    made = app.serving(config())
    app.run(made["id"], "touch", "/mark")
    assert app.do(made["id"], "stop", {"signal": "SIGTERM", "timeout": "3s", "id": made["id"]}) == {
        "ok": True
    }
    app.wait(made["id"], "stopped")
    last = app.get(made["id"])["events"][0]
    assert (last["type"], last["status"]) == ("exit", "stopped")
    assert last["request"]["exit_event"]["requested_stop"]
    assert last["request"]["exit_event"]["exit_code"] == 0
    assert app.do(made["id"], "start") == {"previous_state": "stopped", "migrated": False, "new_host": ""}
    app.wait(made["id"], "started")
    assert app.run(made["id"], "ls", "/mark")["exit_code"] != 0


@pytest.mark.parametrize("change", [{}, {"env": {"NEW": "1"}}])
def test_a_start_runs_the_container_that_the_stop_made_unless_something_else_is_wanted(
    app: AppUnderTest, config: Make, docker_client: docker.DockerClient, change: dict[str, Any]
) -> None:
    made = app.serving(config())
    app.do(made["id"], "stop")
    app.wait(made["id"], "stopped")
    name = f"jarvis-{app.name}-{made['id']}"
    prepared = docker_client.containers.get(name)
    assert prepared.status == "created"
    if change:
        wanted = {"config": config(**change), "skip_launch": True}
        assert app.ask.json("POST", app.at(made["id"]), wanted)["state"] == "stopped"
    app.do(made["id"], "start")
    app.wait(made["id"], "started")
    assert (docker_client.containers.get(name).id == prepared.id) == (not change)
    assert app.run(made["id"], "printenv", "NEW")["stdout"] == "".join(
        f"{one}\n" for one in change.get("env", {}).values()
    )


def test_a_container_that_was_prepared_goes_with_its_machine(
    app: AppUnderTest, ask: Asker, config: Make, docker_client: docker.DockerClient
) -> None:
    made = app.serving(config())
    app.do(made["id"], "stop")
    app.wait(made["id"], "stopped")
    ask.json("DELETE", app.at(made["id"]))
    wait_until(lambda: ask("GET", app.at(made["id"])).status_code == 404, "the machine to be gone")
    filters: dict[str, Any] = {"label": f"my-jarvis.machine={made['id']}"}
    assert docker_client.containers.list(all=True, filters=filters) == []


def test_suspend_and_start_keep_what_was_in_memory(app: AppUnderTest, config: Make) -> None:
    made = app.machine(config())
    app.run(made["id"], "touch", "/mark")
    before = app.run(made["id"], "stat", "-c", "%Y", "/proc/1")["stdout"]
    for _ in range(3):
        assert app.do(made["id"], "suspend") == {"ok": True}
        app.wait(made["id"], "suspended")
        assert app.do(made["id"], "start")["previous_state"] == "suspended"
        app.wait(made["id"], "started")
    assert app.run(made["id"], "stat", "-c", "%Y", "/proc/1", "/mark")["stdout"].startswith(before)
    assert app.run(made["id"], "ls", "/mark")["exit_code"] == 0


def test_a_stopped_suspended_machine_has_lost_its_memory(app: AppUnderTest, config: Make) -> None:
    made = app.machine(config())
    app.do(made["id"], "suspend")
    app.wait(made["id"], "suspended")
    app.do(made["id"], "stop")
    app.wait(made["id"], "stopped")
    assert app.do(made["id"], "start")["previous_state"] == "stopped"
    app.wait(made["id"], "started")


def test_a_process_that_does_not_listen_is_killed_after_its_time(app: AppUnderTest, config: Make) -> None:
    made = app.serving(config(env={"DEAF": "1"}))
    app.do(made["id"], "stop", {"timeout": "3s"})  # long enough for the next question to come before
    assert app.get(made["id"])["state"] == "stopping"
    app.wait(made["id"], "stopped")
    ended = app.get(made["id"])["events"][0]["request"]["exit_event"]
    assert (ended["exit_code"], ended["signal"]) == (137, 9)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"guest": {"cpus": 2, "memory_mb": 4096}}, "more than 2048 MB"),
        ({"init": {"swap_size_mb": 256}}, "swap"),
        ({"schedule": "daily"}, "schedule"),
    ],
)
def test_what_fly_can_not_suspend_is_refused(
    app: AppUnderTest, ask: Asker, config: Make, wanted: dict[str, Any], words: str
) -> None:
    made = app.machine(config(**wanted))
    assert words in ask.refusal(412, "POST", app.at(made["id"], "suspend"))


def test_only_what_is_at_rest_is_destroyed_without_force(app: AppUnderTest, ask: Asker, config: Make) -> None:
    made = app.machine(config())
    refused = ask.refusal(412, "DELETE", app.at(made["id"]))
    assert "unable to destroy machine, not currently stopped, suspended, failed or created" in refused
    assert ask.json("DELETE", app.at(made["id"]), params={"kill": "true"}) == {"ok": True}
    wait_until(lambda: ask("GET", app.at(made["id"])).status_code == 404, "the machine to be gone")
    assert [m["id"] for m in ask.json("GET", f"{app.path}/machines")] == []
    kept = ask.json("GET", f"{app.path}/machines", params={"include_deleted": "true"})
    assert [(m["id"], m["state"]) for m in kept] == [(made["id"], "destroyed")]


def test_a_forced_destroy_does_not_wait_for_a_stubborn_process(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    made = app.machine(config(services=[], init={"exec": ["sh", "-c", "trap '' INT; sleep 100"]}))
    app.do(made["id"], "stop", {"timeout": "60s"})
    ask.json("DELETE", app.at(made["id"]), params={"force": "true"})
    wait_until(lambda: ask("GET", app.at(made["id"])).status_code == 404, "the machine to be gone")


def test_restart_gives_a_new_process(app: AppUnderTest, config: Make) -> None:
    made = app.serving(config())
    app.run(made["id"], "touch", "/mark")
    assert app.do(made["id"], "restart", params={"timeout": "2s", "signal": "SIGTERM"}) == {"ok": True}
    wait_until(lambda: app.get(made["id"])["events"][0]["status"] == "started", "the new start")
    assert app.run(made["id"], "ls", "/mark")["exit_code"] != 0
    told = [event["status"] for event in app.get(made["id"])["events"]]
    assert told[:4] == ["started", "starting", "stopped", "restarting"]


def test_an_update_replaces_the_whole_config(app: AppUnderTest, ask: Asker, config: Make) -> None:
    made = app.serving(config(env={"A": "1"}, metadata={"kept": "no"}))
    changed = ask.json(
        "POST", app.at(made["id"]), {"config": config(env={"B": "2"}), "current_version": made["instance_id"]}
    )
    assert changed["instance_id"] > made["instance_id"]
    assert "metadata" not in changed["config"]
    assert changed["config"]["env"] == {"B": "2"}
    ask.json(
        "GET", app.at(made["id"], "wait"), params={"state": "started", "instance_id": changed["instance_id"]}
    )
    assert app.run(made["id"], "sh", "-c", "echo $A-$B")["stdout"] == "-2\n"
    versions = [version["version"] for version in ask.json("GET", app.at(made["id"], "versions"))]
    assert versions == [changed["instance_id"], made["instance_id"]]


def test_an_update_for_a_version_that_is_no_more_is_refused(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    made = app.machine(config(), skip_launch=True, state="created")
    body = {"config": config(), "current_version": "01AAAAAAAAAAAAAAAAAAAAAAAA", "skip_launch": True}
    assert "version" in ask.refusal(412, "POST", app.at(made["id"]), body)
    assert app.get(made["id"])["instance_id"] == made["instance_id"]


def test_a_sleeping_machine_stays_asleep_through_an_update_that_skips_the_launch(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    made = app.serving(config())
    app.do(made["id"], "stop")
    app.wait(made["id"], "stopped")
    ask.json("POST", app.at(made["id"]), {"config": config(env={"NEW": "1"}), "skip_launch": True})
    assert app.get(made["id"])["state"] == "stopped"
    app.do(made["id"], "start")
    app.wait(made["id"], "started")
    assert app.run(made["id"], "printenv", "NEW")["stdout"] == "1\n"


def test_a_machine_keeps_its_volume_through_an_update(app: AppUnderTest, ask: Asker, config: Make) -> None:
    volume = app.volume()
    mounts = [{"volume": volume["id"], "path": "/data"}]
    made = app.machine(config(mounts=mounts), skip_launch=True, state="created")
    for other in ([], [{"volume": app.volume()["id"], "path": "/data"}]):
        refused = ask.refusal(
            400, "POST", app.at(made["id"]), {"config": config(mounts=other), "skip_launch": True}
        )
        assert "can't change the volume" in refused


def test_exec_tells_streams_and_codes_apart(shared_app: AppUnderTest, running: Any) -> None:
    told = shared_app.run(running["id"], "sh", "-c", "echo out; echo err >&2; exit 3")
    assert told == {"exit_code": 3, "exit_signal": 0, "stdout": "out\n", "stderr": "err\n"}
    assert shared_app.do(running["id"], "exec", {"cmd": "echo 'two words'"})["stdout"] == "two words\n"
    assert shared_app.run(running["id"], "cat", stdin="typed")["stdout"] == "typed"
    assert shared_app.run(running["id"], "no-such-program")["exit_code"] in {126, 127}


def test_exec_passes_large_output_whole(shared_app: AppUnderTest, running: Any) -> None:
    assert len(shared_app.run(running["id"], "head", "-c", "3000000", "/dev/zero")["stdout"]) == 3_000_000


def test_an_exec_that_takes_too_long_is_ended(shared_app: AppUnderTest, ask: Asker, running: Any) -> None:
    body = {"command": ["sleep", "987"], "timeout": 1}
    assert "did not end in 1 s" in ask.refusal(408, "POST", shared_app.at(running["id"], "exec"), body)
    wait_until(
        lambda: "sleep 987" not in str(ask.json("GET", shared_app.at(running["id"], "ps"))),
        "the end of sleep",
    )


def test_the_one_process_that_a_config_names_is_what_runs(app: AppUnderTest, config: Make) -> None:
    told = {
        "exec": ["sh", "-c", 'echo "$A $B" > /tmp/said; exec sleep 100'],
        "env": {"B": "2"},
        "user": "65534",
    }
    made = app.machine(
        config(services=[], init={"exec": ["false"]}, env={"A": "1", "B": "1"}, processes=[told])
    )
    wait_until(
        lambda: app.run(made["id"], "stat", "-c", "%u %s", "/tmp/said")["stdout"] == "65534 4\n",
        "its first words",
    )
    assert app.run(made["id"], "cat", "/tmp/said")["stdout"] == "1 2\n"


def test_processes_are_listed(shared_app: AppUnderTest, ask: Asker, running: Any) -> None:
    seen = ask.json("GET", shared_app.at(running["id"], "ps"), params={"sort_by": "rss", "order": "desc"})
    assert "perl /server.pl" in [process["command"] for process in seen]
    assert seen[0]["rss"] > 0
    ask.refusal(400, "GET", shared_app.at(running["id"], "ps"), params={"sort_by": "beauty"})


def test_what_does_not_run_can_not_be_used(app: AppUnderTest, ask: Asker, config: Make) -> None:
    made = app.machine(config(), skip_launch=True, state="created")
    for verb, body in (("exec", {"command": ["true"]}), ("signal", {"signal": "SIGHUP"}), ("suspend", None)):
        assert "created" in ask.refusal(412, "POST", app.at(made["id"], verb), body)
    assert "created" in ask.refusal(412, "GET", app.at(made["id"], "ps"))


def test_signals_arrive_by_name_and_by_number(app: AppUnderTest, ask: Asker, config: Make) -> None:
    made = app.serving(config(restart={"policy": "no"}))
    assert app.do(made["id"], "signal", {"signal": "SIGUSR1"}) == {"ok": True}
    app.wait(made["id"], "stopped")
    ended = app.get(made["id"])["events"][0]["request"]["exit_event"]
    assert (ended["exit_code"], ended["requested_stop"], ended["restarting"]) == (3, False, False)
    app.do(made["id"], "start")
    app.wait(made["id"], "started")
    app.do(made["id"], "signal", {"signal": 9})
    app.wait(made["id"], "stopped")
    assert app.get(made["id"])["events"][0]["request"]["exit_event"]["exit_code"] == 137
    assert "signal must be" in ask.refusal(
        400, "POST", app.at(made["id"], "signal"), {"signal": "SIGNOTHING"}
    )


def test_a_crash_is_noted_and_the_machine_started_again(app: AppUnderTest, config: Make) -> None:
    made = app.serving(config())
    app.run(made["id"], "sh", "-c", "kill -USR1 1")
    wait_until(lambda: len(app.get(made["id"])["events"]) >= 6, "the restart")
    started, starting, ended, *_ = app.get(made["id"])["events"]
    assert (started["status"], starting["status"], starting["source"]) == ("started", "starting", "flyd")
    assert ended["request"]["exit_event"]["exit_code"] == 3
    assert ended["request"]["exit_event"]["restarting"]
    app.wait(made["id"], "started")


def test_a_process_that_ends_well_is_left_ended(app: AppUnderTest, config: Make) -> None:
    made = app.serving(config())
    app.run(made["id"], "sh", "-c", "kill -USR2 1")
    app.wait(made["id"], "stopped")
    assert app.get(made["id"])["events"][0]["request"]["exit_event"]["exit_code"] == 0


def test_restarts_come_to_an_end(app: AppUnderTest, config: Make) -> None:
    hopeless = config(env={"EXIT_AT_ONCE": "4"}, restart={"policy": "on-failure", "max_retries": 2})
    made = app.machine(hopeless, state="stopped")
    ended = made["events"][0]["request"]
    assert (ended["exit_event"]["exit_code"], ended["restart_count"]) == (4, 2)


def test_a_machine_that_destroys_itself_is_gone_when_it_ends(
    app: AppUnderTest, ask: Asker, config: Make
) -> None:
    made = app.serving(config(auto_destroy=True, restart={"policy": "no"}))
    app.run(made["id"], "sh", "-c", "kill -USR2 1")
    wait_until(lambda: ask("GET", app.at(made["id"])).status_code == 404, "the machine to be gone")


def test_health_is_told_as_it_is(app: AppUnderTest, config: Make) -> None:
    gated = "until [ -e /go ]; do sleep 0.05; done; exec perl /server.pl"
    made = app.machine(config(init={"exec": ["sh", "-c", gated]}))
    (early,) = app.get(made["id"])["checks"]
    assert (early["name"], early["status"]) == ("servicecheck-00-http-3000", "critical")
    app.run(made["id"], "touch", "/go")
    wait_until(lambda: app.get(made["id"])["checks"][0]["status"] == "passing", "health")
    assert app.get(made["id"])["checks"][0]["output"] == '{"status":"ok"}'


def test_cordon_is_kept_and_lifted(shared_app: AppUnderTest, ask: Asker, running: Any) -> None:
    assert shared_app.do(running["id"], "cordon") == {"ok": True}
    assert shared_app.get(running["id"])["cordoned"]
    assert shared_app.do(running["id"], "uncordon") == {"ok": True}
    assert not shared_app.get(running["id"])["cordoned"]


def test_machines_are_found_by_state_region_and_mark(
    shared_app: AppUnderTest, ask: Asker, running: Any
) -> None:
    path = f"{shared_app.path}/machines"
    for query, found in [
        ({"state": "started,stopped"}, True),
        ({"state": "suspended"}, False),
        ({"region": "iad"}, True),
        ({"region": "fra"}, False),
        ({"metadata.mark": "a"}, True),
        ({"metadata.mark": "b"}, False),
    ]:
        assert [m["id"] for m in ask.json("GET", path, params=query)] == [running["id"]] * found, query


def test_the_whole_organisation_is_listed_page_by_page(app: AppUnderTest, ask: Asker, config: Make) -> None:
    mine = {app.machine(config(), skip_launch=True, state="created")["id"] for _ in range(3)}
    seen, cursor = [], ""
    while True:
        page = ask.json("GET", "/orgs/personal/machines", params={"limit": 2, "cursor": cursor})
        seen += [machine for machine in page["machines"] if machine["app_name"] == app.name]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert {machine["id"] for machine in seen} == mine
    last = seen[-1]["updated_at"]
    later = ask.json("GET", "/orgs/personal/machines", params={"updated_after": last})["machines"]
    assert last not in [machine["updated_at"] for machine in later]
    volume = app.volume()
    listed = ask.json("GET", "/orgs/personal/volumes")["volumes"]
    assert (volume["id"], app.name) in [(v["id"], v["app_name"]) for v in listed]


def test_what_a_machine_wrote_is_kept_beyond_its_container(
    app: AppUnderTest, config: Make, platform: Any
) -> None:
    made = app.serving(config())
    app.do(made["id"], "stop")
    app.wait(made["id"], "stopped")
    with platform.client() as client:
        path = f"/api/v1/apps/{app.name}/logs"
        told = client.get(path, params={"instance": made["id"]}).json()
        lines = [entry["attributes"] for entry in told["data"]]
        assert [line["message"] for line in lines if line["message"] != "a line of stderr"] == [
            "listening",
            "bye",
        ]
        assert {line["instance"] for line in lines} == {made["id"]}
        assert "a line of stderr" in [line["message"] for line in lines]
        token = told["meta"]["next_token"]
        assert client.get(path, params={"next_token": token}).json()["data"] == []
        assert client.get("/api/v1/apps/no-such-app/logs").status_code == 404


def test_users_on_networks_of_their_own_can_not_reach_each_other(
    lone_app: AppUnderTest, running: Any, config: Make
) -> None:
    app = lone_app
    mine, neighbour = app.serving(config()), app.serving(config())

    def reach(host: str) -> str:
        dial = "print IO::Socket::INET->new(PeerAddr => shift, PeerPort => 3000, Timeout => 1) ? 'in' : 'out'"
        return str(app.run(mine["id"], "perl", "-MIO::Socket::INET", "-e", dial, host)["stdout"])

    assert reach(neighbour["private_ip"]) == "in"
    assert reach(f"{neighbour['id']}.vm.{app.name}.internal") == "in"
    assert reach(running["private_ip"]) == "out"


def test_a_machine_sleeps_and_wakes_as_often_as_it_is_told(app: AppUnderTest, config: Make) -> None:
    """Without a pause between: the engine hears of a change of its own when the next one is there already."""
    made = app.serving(config())
    for _ in range(10):
        app.do(made["id"], "suspend")
        app.wait(made["id"], "suspended")
        app.do(made["id"], "start")
        app.wait(made["id"], "started")
    assert app.run(made["id"], "true")["exit_code"] == 0


def test_memory_can_be_limited_until_the_next_start(app: AppUnderTest, ask: Asker, config: Make) -> None:
    at = app.at(app.machine(config(guest={"cpu_kind": "shared", "cpus": 1, "memory_mb": 512}))["id"])
    assert ask.json("GET", f"{at}/memory")["limit_mb"] == 512
    assert ask.json("PUT", f"{at}/memory", {"limit_mb": 256})["limit_mb"] == 256
    assert "from 64 to 512" in ask.refusal(400, "PUT", f"{at}/memory", {"limit_mb": 513})
    assert ask.json("POST", f"{at}/memory/reclaim", {"amount_mb": 10}) == {"actual_mb": 0}
