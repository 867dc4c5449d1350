"""How a workspace starts, lives and ends."""

from __future__ import annotations

import re

import pytest

from image.patience import patience
from tests.support.containers import USER, Workspace, Workspaces
from tests.support.volumes import Volume
from tests.support.wait import wait_until

OFTEN_NS, PATIENT_NS = 200_000_000, round(1_500_000_000 * patience())
SERVER = "^/opt/jarvis/venv/bin/python"
ORPHAN = "sleep 1731"
INIT = re.compile(r"\b(tini|docker-init|dumb-init)\b")


def test_nothing_runs_as_root(shared_workspace: Workspace) -> None:
    """Everything in it runs as the plain user jarvis, the init too."""
    uids = {one["CMD"]: one["UID"] for one in shared_workspace.processes()}
    assert any("webapp" in command for command in uids)
    assert set(uids.values()) == {"1000"}, uids


def test_jarvis_is_who_a_person_is_inside(shared_workspace: Workspace) -> None:
    """The user is jarvis, 1000:1000, with bash as shell and no way to become root."""
    assert shared_workspace.run("id", "-un").strip() == USER
    assert shared_workspace.run("id", "-u").strip() == "1000"
    assert shared_workspace.run("id", "-g").strip() == "1000"
    assert shared_workspace.run("sh", "-c", "getent passwd jarvis").strip().endswith(":/bin/bash")
    assert shared_workspace.attempt("sudo", "-n", "true").status != 0
    assert shared_workspace.attempt("su", "-c", "true").status != 0


def test_the_first_process_is_an_init(shared_workspace: Workspace) -> None:
    """Process 1 is an init, not the server."""
    assert INIT.search(shared_workspace.run("cat", "/proc/1/comm"))


def test_orphans_are_reaped(shared_workspace: Workspace) -> None:
    """Processes whose parents are gone leave no zombies."""
    shared_workspace.run("bash", "-c", f"for i in $(seq 50); do {ORPHAN} >/dev/null 2>&1 & done")
    assert _named(shared_workspace, ORPHAN)
    shared_workspace.run("pkill", "-f", f"^{ORPHAN}$")
    wait_until(lambda: not _named(shared_workspace, ORPHAN), "the end of the orphans")
    wait_until(lambda: not _zombies(shared_workspace), "no zombie", timeout_s=10, interval_s=0.2)


def _named(workspace: Workspace, name: str) -> list[str]:
    return [one["CMD"] for one in workspace.processes() if name in one["CMD"]]


def _zombies(workspace: Workspace) -> str:
    """From inside: the engine's own list of processes leaves zombies out."""
    return workspace.run("sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || true")


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_it_ends_cleanly(workspaces: Workspaces, signal: str) -> None:
    """{signal} ends the workspace with exit code 0, by itself."""
    workspace = workspaces.start()
    assert workspace.stop(signal, timeout_s=5) == 0


def test_it_ends_cleanly_with_a_shell_open(workspaces: Workspaces) -> None:
    """SIGTERM ends it with exit code 0 also while a stubborn program runs in a terminal."""
    workspace = workspaces.start()
    shell = workspace.shell().settle()
    shell.type("trap '' TERM HUP; sleep 1000")
    wait_until(lambda: _named(workspace, "sleep 1000"), "the stubborn program")
    assert workspace.stop("SIGTERM", timeout_s=5) == 0


def test_a_crash_of_the_server_is_visible(workspaces: Workspaces) -> None:
    """When the server dies the container ends with an error, so that the platform can start it anew."""
    workspace = workspaces.start()
    workspace.attempt("pkill", "-KILL", "-f", SERVER, user="root")
    assert workspace.wait_ended() != 0


def test_the_log_of_a_good_day_is_quiet(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Starting, being looked at and ending write no warning, error or traceback to the log."""
    workspace = workspaces.start(kept_volume)
    assert workspace.get("/").status_code == 200
    assert workspace.get("/assets/nothing.js").status_code == 404
    workspace.stop()
    workspace.start()
    workspace.stop()
    assert workspace.complaints() == []


def test_any_command_can_be_run_instead(workspaces: Workspaces) -> None:
    """`docker run IMAGE COMMAND` runs that as jarvis instead of the server, and hands on its exit code."""
    ran = workspaces.run_once("bash", "-c", "id -un; echo $((6*7)); exit 7")
    assert (ran.status, ran.output.split()) == (7, [USER, "42"])


def test_health_is_known_to_the_engine(workspaces: Workspaces) -> None:
    """The engine's own health check calls a running workspace healthy."""
    workspace = workspaces.start(healthcheck={"interval": OFTEN_NS})
    wait_until(lambda: _health(workspace) == "healthy", "healthy", timeout_s=40)


def test_a_server_that_hangs_is_seen(workspaces: Workspaces) -> None:
    """A server that hangs is unhealthy to the engine, and healthy again once it goes on."""
    workspace = workspaces.start(healthcheck={"interval": OFTEN_NS, "timeout": PATIENT_NS, "retries": 2})
    wait_until(lambda: _health(workspace) == "healthy", "healthy", timeout_s=40)
    workspace.run("pkill", "-STOP", "-f", SERVER)
    wait_until(lambda: _health(workspace) == "unhealthy", "unhealthy", timeout_s=40)
    workspace.run("pkill", "-CONT", "-f", SERVER)
    wait_until(lambda: _health(workspace) == "healthy", "healthy again", timeout_s=40)


def test_a_server_that_died_is_started_again(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Where the platform restarts what failed, the page is back on its volume after a crash of the server."""
    workspace = workspaces.start(kept_volume, restart_policy={"Name": "on-failure", "MaximumRetryCount": 3})
    workspace.run("sh", "-c", "echo kept > /data/workspace/note")
    workspace.attempt("pkill", "-KILL", "-f", SERVER, user="root")
    wait_until(lambda: workspace.attrs()["RestartCount"] == 1 and workspace.is_healthy(), "the page again")
    assert kept_volume.read("workspace/note") == b"kept\n"


def _health(workspace: Workspace) -> str:
    return str(workspace.state().get("Health", {}).get("Status"))
