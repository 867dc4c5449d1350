"""The workspace works with fewer rights, no network and other names."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from docker.errors import APIError

from fly.plan import HEALTH_PATH, MOUNT_PATH, PORT
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.volumes import Volume
from tests.support.wait import wait_until

NEEDED = ["CHOWN", "SETGID", "SETUID"]
"""What a start as root needs to hand /data over and to become jarvis."""
TEMPORARY = {"/tmp": "", "/run": ""}

CASES: dict[str, dict[str, Any]] = {
    "a read-only root file system": {"read_only": True, "tmpfs": TEMPORARY},
    "only the few capabilities that it needs": {"cap_drop": ["ALL"], "cap_add": NEEDED},
    "no new privileges": {"security_opt": ["no-new-privileges:true"]},
    "all of these at once": {
        "read_only": True, "tmpfs": TEMPORARY, "cap_drop": ["ALL"], "cap_add": NEEDED,
        "security_opt": ["no-new-privileges:true"],
    },
    "a host name of its platform": {"hostname": "d8d9e0f1b23456"},
    "an init of the platform before it": {"init": True},
    "no IPv6": {"sysctls": {"net.ipv6.conf.all.disable_ipv6": "1"}},
    "half a processor": {"nano_cpus": 500_000_000},
    "256 MB of memory": {"mem_limit": "256m"},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_works_with(workspaces: Workspaces, kept_volume: Volume, case: str) -> None:
    """With {case} a workspace starts on a new volume, serves its page and has a shell that can write."""
    workspace = _started(workspaces, kept_volume, **CASES[case])
    assert workspace.get("/").status_code == 200
    workspace.run("bash", "-lc", "echo hello > ~/f && grep -q hello ~/f")
    assert workspace.stop() == 0


def test_claude_works_locked_down_too(
    workspaces: Workspaces, kept_volume: Volume, internet: Internet
) -> None:
    """With all of these at once Claude, too, starts and answers."""
    key = internet.anthropic.environment(by="key")["ANTHROPIC_API_KEY"]
    workspace = workspaces.start(
        kept_volume,
        internet=internet,
        environment={"ANTHROPIC_API_KEY": key},
        **CASES["all of these at once"],
    )
    assert workspace.run("claude", "-p", "hello", timeout_s=60).strip() == "You said: hello"


def _started(workspaces: Workspaces, volume: Volume, **options: Any) -> Workspace:
    return workspaces.start(volume, **options)


def test_it_works_without_any_network(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Without any network the workspace still starts and serves its page inside."""
    workspace = workspaces.start(kept_volume, network="none", dns=None, ready=False)
    wait_until(lambda: _answers_inside(workspace), "the page inside", hopeless=workspace.why_hopeless)
    assert "<html" in workspace.run("curl", "--silent", "--fail", f"http://127.0.0.1:{PORT}/")


def _answers_inside(workspace: Workspace) -> bool:
    """Whether its server answers; where it has just ended nothing can be asked in it."""
    asks = ("curl", "--silent", "--fail", f"http://127.0.0.1:{PORT}{HEALTH_PATH}")
    with suppress(APIError):
        return workspace.attempt(*asks).status == 0
    return False


def test_it_may_start_as_jarvis(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Started as jarvis itself, without any capability, it works on a volume that has been used before."""
    workspaces.remove(workspaces.start(kept_volume))
    nothing: dict[str, Any] = {
        "user": "1000:1000",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    workspace = workspaces.start(kept_volume, **nothing)
    assert workspace.get("/").status_code == 200


def test_a_volume_that_cannot_be_written_is_said(workspaces: Workspaces, kept_volume: Volume) -> None:
    """On a volume that cannot be written the start ends with an error that names /data."""
    workspace = workspaces.start(ready=False, volumes={kept_volume.name: {"bind": MOUNT_PATH, "mode": "ro"}})
    assert workspace.wait_ended() != 0
    assert MOUNT_PATH in workspace.log()


def test_the_server_has_no_capability(shared_workspace: Workspace) -> None:
    """The server holds no capability, and can never get one again."""
    script = "cat /proc/$(pgrep --full ^/opt/jarvis/venv/bin/python)/status"
    status = dict(line.split(":\t", 1) for line in shared_workspace.run("sh", "-ec", script).splitlines())
    assert {status[kind] for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
