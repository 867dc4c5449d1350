"""What a start does to /data: it creates what is missing, and touches nothing else."""

from __future__ import annotations

import json

import pytest

from fly.plan import MOUNT_PATH
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import TRUST_PATH
from tests.support.volumes import Volume, differences, file, folder

FOLDERS = ("home", "claude", "workspace", "app")
JARVIS = 1000
HERS = (
    "home/.netrc",
    "claude/.credentials.json",
    "claude/projects/-data-workspace/1.jsonl",
    "workspace/a",
    "app/b",
)
CLAUDES = "claude/.claude.json"
MANY = 100_000


def test_a_new_volume_becomes_a_workspace(workspaces: Workspaces, kept_volume: Volume) -> None:
    """On a new volume, root's and with a root-only lost+found, it starts and all its folders are jarvis's."""
    workspaces.start(kept_volume)
    found = kept_volume.manifest()
    assert {name: found[name].owner for name in FOLDERS} == dict.fromkeys(FOLDERS, "1000:1000")
    assert (found["lost+found"].owner, found["lost+found"].mode) == ("0:0", "rwx------")


def test_what_is_private_stays_private(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Nobody but jarvis may read Claude's folder and what lies in it."""
    workspaces.start(kept_volume)
    found = kept_volume.manifest()
    open_to_all = {
        path: entry.mode
        for path, entry in found.items()
        if path.split("/")[0] == "claude" and entry.kind == "file" and entry.mode[6:] != "---"
    }
    assert found["claude"].mode[6:] == "---" or not open_to_all, open_to_all


def test_jarvis_can_write_where_a_person_writes(workspaces: Workspaces, kept_volume: Volume) -> None:
    """On a new volume jarvis can write in the home folder and in the workspace, and both lie under /data."""
    workspace = workspaces.start(kept_volume)
    workspace.run("bash", "-lc", "echo one > ~/a && cd /data/workspace && echo two > b")
    assert kept_volume.read("home/a") == b"one\n"
    assert kept_volume.read("workspace/b") == b"two\n"


def test_a_second_start_changes_nothing(workspaces: Workspaces, kept_volume: Volume) -> None:
    """A start on a used volume leaves every byte, owner and mode as it was."""
    _lived_on(workspaces, kept_volume)
    kept_volume.put([file(path, b"hers", mode=0o600, owner=JARVIS) for path in HERS])
    before = kept_volume.at_rest()
    _lived_on(workspaces, kept_volume)
    assert differences(before, kept_volume.at_rest()) == []


def _lived_on(workspaces: Workspaces, volume: Volume) -> None:
    """One start on it, so long that all is there that a start makes."""
    workspaces.remove(workspaces.start(volume).wait_settled())


def test_a_persons_own_settings_are_kept(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Files that were changed by their owner are never put back to how they came."""
    _lived_on(workspaces, kept_volume)
    shipped = [path for path, entry in kept_volume.manifest().items() if entry.kind == "file"]
    assert CLAUDES in shipped
    kept_volume.put([file(path, b'{"hers": true}\n', mode=0o600, owner=JARVIS) for path in shipped])
    before = kept_volume.manifest()
    _lived_on(workspaces, kept_volume)
    after = kept_volume.at_rest()
    found = json.loads(
        kept_volume.read(CLAUDES)
    )  # Claude itself adds to it, and leaves what it does not know
    assert found["hers"] is True
    assert differences({**before, CLAUDES: after[CLAUDES]}, after) == []


def test_strange_things_on_the_volume_are_left_alone(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Files of other owners, odd modes and odd names survive a start untouched."""
    strange = [
        folder("workspace", mode=0o755, owner=JARVIS),
        file("workspace/שלום עולם.txt", b"\x00\xff" * 500, mode=0o640, owner=JARVIS),
        file("workspace/ leading space", b"x", mode=0o400, owner=1234),
        file("workspace/-rf", b"", mode=0o777, owner=0),
        folder("workspace/closed", mode=0o000, owner=4321),
        file("of-nobody", b"nobody", mode=0o600, owner=65534),
    ]
    kept_volume.put(strange)
    before = {path: entry for path, entry in kept_volume.manifest().items() if path not in {".", "workspace"}}
    workspaces.start(kept_volume)
    after = kept_volume.at_rest()
    assert differences(before, {path: after[path] for path in before if path in after}) == []


def test_a_volume_of_another_user_is_said(workspaces: Workspaces, kept_volume: Volume) -> None:
    """Where the folders are another user's the start ends, says whose and what to do, and takes nothing."""
    kept_volume.put([folder(name, mode=0o755, owner=4242) for name in FOLDERS])
    kept_volume.put([file("workspace/theirs", b"theirs", mode=0o600, owner=4242)])
    before = {path: entry for path, entry in kept_volume.manifest().items() if path != "."}
    workspace = workspaces.start(kept_volume, ready=False)
    assert workspace.wait_ended() != 0
    assert "belongs to uid 4242" in workspace.log()
    assert "chown -R 1000:1000" in workspace.log()
    after = {path: entry for path, entry in kept_volume.manifest().items() if path != "."}
    assert differences(before, after) == []


@pytest.mark.timeout(900)
def test_a_start_goes_through_no_files(workspaces: Workspaces, kept_volume: Volume) -> None:
    """With 100,000 files on the volume a start changes the owner, mode or time of none of them."""
    folder = f"{MOUNT_PATH}/workspace/many"
    script = (
        f"mkdir -p {folder} && chown jarvis {MOUNT_PATH}/workspace && cd {folder} && seq {MANY} | xargs touch"
    )
    made = workspaces.run_once(
        script,
        entrypoint=["sh", "-ec"],
        user="root",
        volumes={kept_volume.name: {"bind": MOUNT_PATH, "mode": "rw"}},
    )
    assert made.status == 0, made.errors
    workspace = workspaces.start(kept_volume)
    born = workspace.run("stat", "--format=%Z", f"{MOUNT_PATH}/workspace/many/{MANY}", user="root")
    count = f"find {MOUNT_PATH}/workspace/many -type f -uid 0 ! -newerct @{int(born) + 1} | wc -l"
    assert int(workspace.run("sh", "-c", count, user="root")) == MANY


@pytest.mark.parametrize("name", ["home", "claude", "workspace"])
def test_a_folder_that_is_gone_comes_back(workspaces: Workspaces, kept_volume: Volume, name: str) -> None:
    """If {name} was deleted the next start makes it again."""
    workspace = workspaces.start(kept_volume).wait_settled()
    workspace.run("rm", "-rf", f"{MOUNT_PATH}/{name}", user="root")
    workspace.stop("SIGKILL")
    workspace.start()
    assert kept_volume.manifest()[name].owner == "1000:1000"


def test_a_start_without_a_volume_works_too(workspaces: Workspaces) -> None:
    """`docker run` without any volume gives a working workspace."""
    workspace = workspaces.start()
    assert workspace.run("bash", "-lc", "touch ~/a && pwd").strip() == f"{MOUNT_PATH}/workspace"


def test_state_lies_under_data_only(
    workspaces: Workspaces, kept_volume: Volume, logged_in: Workspace
) -> None:
    """After a login, a chat and work in a shell nothing outside /data has changed but what may be lost."""
    shell = logged_in.shell().settle()
    shell.run("claude -p 'hello'", timeout_s=60)
    shell.run("git config --global user.name L && git init -q project && pip --version || true")
    may_be_lost = ("/tmp", "/run", "/var/tmp", "/data", TRUST_PATH)
    changed = [change["Path"] for change in logged_in.container.diff() or []]
    outside = [
        path for path in changed if path not in _parents(may_be_lost) and not path.startswith(may_be_lost)
    ]
    assert outside == []


def _parents(paths: tuple[str, ...]) -> set[str]:
    return {
        "/" + "/".join(path.split("/")[1:depth]) for path in paths for depth in range(2, path.count("/") + 2)
    }
