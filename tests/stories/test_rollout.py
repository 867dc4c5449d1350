"""Story: another image for workspaces in which people live, and the ways back.

One platform for all of it: three users, of whom one sleeps, and images made from the one under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import docker
import pexpect
import pytest

from fly.local import process
from image.release.content import read_content
from image.release.records import Outcome, Records
from image.release.suite import read_suite
from tests.support.operator import Operator
from tests.support.run import Run

NAMES = ("Lilach", "Dan", "Zoe")
SLEEPS = "Lilach"
TEXT = "Dear diary"
LONG_S = 600


@dataclass
class Fleet:
    """An operator, her users, and the images that have passed where she looks it up."""

    operator: Operator
    old: str
    new: str
    mute: str
    before: dict[str, dict[str, Any]] = field(default_factory=dict)

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.operator.reads("status", "--name", name))

    def begins(self, *words: str) -> pexpect.spawn[str]:
        return self.operator.types("upgrade", *words, "--yes")

    def ends(self, child: pexpect.spawn[str], *, status: int = 0) -> str:
        child.expect(pexpect.EOF, timeout=LONG_S)
        return self.operator.ended(child, status=status)

    def assert_well(self, image: str) -> None:
        """Everybody has this image, is asleep or awake as before, can sign in, and has what she wrote."""
        for name in NAMES:
            found = self.status(name)
            assert found["image"] == image
            assert found["machine_state"] == ("suspended" if name == SLEEPS else "started")
            kept = ("app", "machine_id", "volume_id")
            assert [found[key] for key in kept] == [self.before[name][key] for key in kept]
        for name in NAMES:
            self.assert_hers(name)
        self.operator.runs("suspend", "--name", SLEEPS)

    def assert_hers(self, name: str) -> None:
        with closing(self.operator.signs_in(name)) as browser:
            found = browser.get("/api/files/text", params={"path": "diary.txt"})
            assert found.json()["text"] == f"{TEXT} of {name}"
            assert browser.get("/api/boot").json()["settings"]["display_name"] == name[::-1]


@pytest.fixture(scope="module")
def derived(docker_client: docker.DockerClient, run: Run, image: str) -> Iterator[Callable[[str], str]]:
    """Makes an image from the one under test by more lines of a Dockerfile."""
    made: list[str] = []

    def derive(lines: str) -> str:
        context = BytesIO(f"FROM {image}\n{lines}\n".encode())
        built, _ = docker_client.images.build(
            fileobj=context, tag=f"{run.name('rollout')}:latest", labels=run.labels, rm=True
        )
        made.append(str(built.tags[0]))
        return str(built.id)

    yield derive
    for tag in made:
        docker_client.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def fleet(
    docker_client: docker.DockerClient,
    image: str,
    derived: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    operator = Operator(tmp_path_factory.mktemp("rollout") / "home")
    old, new = str(docker_client.images.get(image).id), derived("LABEL newer=yes")
    mute = derived('CMD ["sleep", "infinity"]')
    _note_as_passed(operator.home, docker_client, [new, mute, old])
    process.ensure_running(operator.home / "platform", *operator.ports, None, None)
    try:
        fleet = Fleet(operator, f"my-jarvis@{old}", f"my-jarvis@{new}", f"my-jarvis@{mute}")
        for name in NAMES:
            operator.runs("provision", "--name", name, "--email", f"{name}@example.com")
            _live_in(operator, name)
        operator.runs("suspend", "--name", SLEEPS)
        fleet.before = {name: fleet.status(name) for name in NAMES}
        yield fleet
    finally:
        operator.runs("down", "--destroy", "--keep-cache", "--yes")


def _note_as_passed(home: Path, docker_client: docker.DockerClient, images: list[str]) -> None:
    """As if they had: what makes one of them bad is what no test has seen. The last one is the newest."""
    home.mkdir(mode=0o700)
    with Records(home / "releases.sqlite") as records:
        for one in images:
            number = records.begin(read_content(docker_client, one), read_suite(), {})
            records.note(number, Outcome("t", "image", "It answers.", "passed", 1.0))
            records.conclude(number, passed=True, seconds=1.0, why="")


def _live_in(operator: Operator, name: str) -> None:
    with closing(operator.signs_in(name)) as browser:
        text = {"path": "diary.txt", "text": f"{TEXT} of {name}", "etag": None}
        browser.put("/api/files/text", json=text).raise_for_status()
        browser.put("/api/settings", json={"display_name": name[::-1]}).raise_for_status()


@pytest.mark.timeout(LONG_S)
def test_a_canary_that_fails_returns_and_the_others_are_not_touched(fleet: Fleet) -> None:
    """An image whose page does not answer reaches one sleeping canary, which goes back and sleeps on."""
    plan = fleet.operator.runs("upgrade", "--all", "--to", fleet.mute, "--dry-run")
    assert plan.count("canary") == 1
    said = fleet.ends(fleet.begins("--all", "--to", fleet.mute, "--patience", "5"), status=1)
    assert f"{SLEEPS}, {fleet.before[SLEEPS]['app']} (canary)" in said
    assert "It is back on its old image" in said
    assert "2 workspaces were not begun" in said
    assert fleet.before["Dan"]["app"] not in said.partition("(canary) …")[2].partition("╭")[0]
    fleet.assert_well(fleet.old)


@pytest.mark.timeout(LONG_S)
def test_an_upgrade_that_is_killed_goes_on_and_one_command_takes_everybody_back(fleet: Fleet) -> None:
    """After kill -9 half way `repair` tells of it, `upgrade` ends it, `rollback --all` takes all back."""
    verb = ("upgrade", "--all", "--to", fleet.new, "--canary", "0", "--yes")
    fleet.operator.killed_at("✓ ", "changing to the new image", verb=verb)
    [finding] = fleet.operator.reads("repair", "--dry-run")
    assert finding["kind"] == "cut off"
    fleet.ends(fleet.operator.types("upgrade"))
    assert "agree" in fleet.operator.runs("repair")
    fleet.assert_well(fleet.new)
    fleet.ends(fleet.operator.types("rollback", "--all", "--yes"))
    fleet.assert_well(fleet.old)
