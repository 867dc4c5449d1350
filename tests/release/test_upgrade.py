"""Story: a release comes, and goes again.

Two kinds of proof. A volume of each earlier version is kept in `volumes/`: that this image serves them says
more than any two images of one day. And with `--previous REF` (the digest that was released last) the whole
way is gone with both images; without it the image is its own predecessor, which proves the way and no more.

Each run leaves the volume that this version writes in the folder of its output; at a release it becomes the
next one of `volumes/`.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.containers import Workspaces
from tests.support.evidence import output
from tests.support.internet import Internet
from tests.support.livedin import assert_all_is_there, assert_the_chat_goes_on, live_in
from tests.support.login import log_in
from tests.support.run import Run
from tests.support.volumes import Volume

STORED = sorted(Path(__file__).with_name("volumes").glob("*.tar.xz"))
assert STORED, "no volume of an earlier version is kept"


@pytest.fixture
def previous(
    run: Run, image: str, request: pytest.FixtureRequest, after_containers: ExitStack
) -> Iterator[Workspaces]:
    """Starts containers of the release before."""
    made = Workspaces(run, request.config.getoption("--previous") or image)
    yield made
    made.close()


@pytest.mark.timeout(900)  # three starts and all that a person does, under load
def test_a_workspace_goes_to_this_release_and_back(
    previous: Workspaces,
    workspaces: Workspaces,
    kept_volume: Volume,
    internet: Internet,
) -> None:
    """What the release before wrote is all there in this one, and is all there when that one comes back."""
    older = previous.start(kept_volume, internet=internet)
    version = older.get("/api/boot").json()["versions"]["app"]
    live_in(older, internet.anthropic)
    previous.remove(older)
    _keep(kept_volume, output() / f"volume-{version}.tar.xz")
    newer = workspaces.start(kept_volume, internet=internet)
    assert_all_is_there(newer)
    assert_the_chat_goes_on(newer)
    workspaces.remove(newer)
    older = previous.start(kept_volume, internet=internet)
    assert_all_is_there(older)
    assert_the_chat_goes_on(older)


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.name.removesuffix(".tar.xz"))
def test_a_stored_volume_serves(
    workspaces: Workspaces, kept_volume: Volume, internet: Internet, stored: Path
) -> None:
    """A volume that an earlier version wrote ({stored.name}) serves: all is there, nothing is moved away."""
    kept_volume.restore(lzma.decompress(stored.read_bytes()))
    before = kept_volume.paths()
    workspace = workspaces.start(kept_volume, internet=internet)
    assert_all_is_there(workspace)
    assert before - kept_volume.paths() - _passing(before) == set()
    log_in(
        workspace.shell().settle(), internet.anthropic
    )  # what the stand-in gave out then is long forgotten
    assert_the_chat_goes_on(workspace)


def _passing(paths: set[str]) -> set[str]:
    """What SQLite and a running Claude make and remove as they go."""
    passing = ("claude/sessions/", "claude/backups/")
    return {path for path in paths if path.endswith(("-wal", "-shm", ".lock")) or path.startswith(passing)}


def _keep(volume: Volume, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(volume.saved()))
