"""A shell in somebody's machine, as far as it goes without one."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from fly.client import Client
from fly.errors import NotFound, PlanError
from fly.model import Exec
from fly.watch import shell
from tests.support.world import World


class Machine:
    """Runs what it is told on this host: what matters here is the shell's own words."""

    def exec(self, _app: str, _machine: str, command: Sequence[str], *, timeout_s: int) -> Exec:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        return Exec(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def lines(world: World, folder: Path) -> shell.Lines:
    return shell.Lines(cast(Client, Machine()), world.provision(), str(folder))


def test_the_folder_is_kept_from_line_to_line(lines: shell.Lines, folder: Path) -> None:
    (folder / "a b").mkdir()
    lines.run("cd 'a b'")
    assert lines.run("pwd").stdout == f"{folder}/a b\n"


def test_a_line_says_what_it_says_and_ends_as_it_ends(lines: shell.Lines) -> None:
    assert lines.run("printf out; printf err >&2; exit 3") == Exec(3, "out", "err")
    assert lines.run("false").exit_code == 1
    assert lines.run("echo one; echo two | tr a-z A-Z").stdout == "one\nTWO\n"


def test_a_line_that_makes_no_sense_loses_nothing(lines: shell.Lines) -> None:
    before = lines.folder
    said = lines.run("if then")
    assert said.exit_code != 0
    assert said.stderr
    assert lines.folder == before


def test_a_folder_that_is_gone_leaves_one_at_the_root(lines: shell.Lines, folder: Path) -> None:
    (folder / "gone").mkdir()
    lines.run("cd gone")
    (folder / "gone").rmdir()
    assert lines.run("pwd").stdout == "/\n"


def test_a_machine_that_is_awake_is_left_alone(world: World) -> None:
    workspace = world.provision()
    assert shell.wake(world.client, workspace) is False


def test_a_machine_that_falls_asleep_as_it_is_spoken_to_is_woken_and_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = world.provision()
    machine = world.fly.machines[workspace.machine_id]
    spoken_to = world.client.exec

    def falls_asleep(*words: Any, **options: Any) -> Exec:
        monkeypatch.setattr(world.client, "exec", spoken_to)
        machine["state"] = "suspended"
        return spoken_to(*words, **options)

    monkeypatch.setattr(world.client, "exec", falls_asleep)
    assert shell.run(world.client, workspace, "true").exit_code == 0
    assert machine["state"] == "started"


def test_what_is_refused_for_another_reason_is_refused_at_once(world: World) -> None:
    workspace = world.provision()
    del world.fly.machines[workspace.machine_id]
    with pytest.raises(NotFound):
        shell.run(world.client, workspace, "true")


def test_a_workspace_without_a_machine_has_no_shell(world: World) -> None:
    workspace = world.provision()
    del world.fly.machines[workspace.machine_id]
    with pytest.raises(PlanError, match="is gone"):
        shell.wake(world.client, workspace)


def test_flyctl_is_told_the_very_machine(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = world.provision()
    monkeypatch.setenv("PATH", str(folder))
    assert shell.flyctl(workspace) == []
    (folder / "fly").write_text("#!/bin/sh\n")
    (folder / "fly").chmod(0o755)
    wanted = ["ssh", "console", "--app", workspace.app, "--machine", workspace.machine_id]
    assert shell.flyctl(workspace) == [str(folder / "fly"), *wanted]


def test_history_says_that_a_shell_was_opened_and_the_row_stays_as_it_was(world: World) -> None:
    workspace = world.provision()
    world.ledger.remark(workspace.id, "shell opened", "df")
    entry = world.ledger.history(workspace.id)[-1]
    assert (entry.what, entry.detail) == ("shell opened", "df")
    assert world.ledger.get(workspace.id) == workspace
