"""The operator's side against the embedded platform, with its switches for trouble: nothing is half done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from fly.client import Client
from fly.errors import ProvisionError
from fly.ledger import DESTROYED, FAILED, READY, Ledger, Workspace
from fly.local.likeness import LIKE_FLY
from fly.plan import Person, Plan
from fly.provision import destroy, draft, provision
from fly.repair import ADOPT, repair, survey
from fly.settings import Platform as Address
from fly.settings import Secret
from tests.support.platform import Platform, running_platform
from tests.support.run import Run
from tests.support.world import much_later

LILACH = Person("Lilach", "lilach@example.com")
TROUBLES = [
    ("POST", "/v1/apps", "commit_then_drop"),
    ("POST", "/v1/apps/*/ip_assignments", "commit_then_malformed"),
    ("POST", "/v1/apps/*/volumes", "commit_then_refuse"),
    ("POST", "/v1/apps/*/volumes", "drop"),
    ("POST", "/v1/apps/*/machines", "commit_then_drop"),
    ("POST", "/v1/apps/*/machines", "insufficient_capacity"),
    ("POST", "/v1/apps/*/machines", "rate_limit"),
    ("GET", "/v1/apps/*/wait", "drop"),
]
"""A sample: each kind of trouble, and each call that makes something; the unit tests go through them all."""


@dataclass
class Office:
    """An operator with a ledger of her own, and the platform with its switches."""

    platform: Platform
    client: Client
    ledger: Ledger
    image: str
    switches: httpx.Client

    def plan(self, person: Person = LILACH) -> Plan:
        return draft(self.client.platform, person, image=self.image, size_gb=1, memory_mb=256)

    def provision(self, person: Person = LILACH) -> Workspace:
        return provision(self.client, self.ledger, self.plan(person))

    def apps(self) -> list[str]:
        return sorted(app.name for app in self.client.apps())

    def arm(self, method: str, path: str, effect: str, **more: Any) -> None:
        wanted = {"method": method, "path": path, "effect": effect} | more
        assert self.switches.post("/_local/faults", json=wanted).status_code == 201

    def struck(self) -> int:
        return sum(fault["struck"] for fault in self.switches.get("/_local/faults").json()["faults"])


def address_of(platform: Platform) -> Address:
    about = platform.about
    url = about["api_url"]
    return Address("local", url, Secret(about["token"]), "personal", url, door_url=about["door_url"])


def briefly(seconds: float) -> None:
    time.sleep(min(seconds, 0.1))


@pytest.fixture(scope="module")
def digest(docker_client: docker.DockerClient, little: str) -> str:
    """The image by digest, as a plan asks for it."""
    return f"{little.partition(':')[0]}@{docker_client.images.get(little).id}"


@pytest.fixture(scope="module")
def premises(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on which no other tests are."""
    with running_platform(tmp_path_factory.mktemp("premises"), run) as platform:
        yield platform


@pytest.fixture
def office(premises: Platform, digest: str, tmp_path: Path) -> Iterator[Office]:
    with (
        Client(address_of(premises), sleep=briefly) as client,
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        premises.client() as switches,
    ):
        yield Office(premises, client, ledger, digest, switches)
        switches.delete("/_local/faults")
        for app in client.apps():
            client.delete_app(app.name)


@pytest.mark.parametrize(("method", "path", "effect"), TROUBLES)
def test_trouble_while_a_workspace_is_made_leaves_one_or_none(
    office: Office, method: str, path: str, effect: str
) -> None:
    office.arm(method, path, effect, status=500)
    try:
        office.provision()
    except ProvisionError as error:
        left = error.left_behind
    else:
        left = ()
    assert left == ()
    assert office.struck() == 1
    [row] = office.ledger.workspaces(everything=True)
    assert (row.state, office.apps()) in [(READY, [row.app]), (FAILED, [])]
    assert survey(office.client, office.ledger) == []
    nothing: dict[str, Any] = {"containers": [], "volumes": [], "networks": []}
    assert office.switches.get("/_local/orphans").json() == nothing
    if row.state == FAILED:
        assert office.provision().state == READY


@pytest.mark.parametrize("effect", ["drop", "commit_then_drop", "commit_then_refuse"])
def test_trouble_while_a_workspace_is_removed_ends_with_none(office: Office, effect: str) -> None:
    workspace = office.provision()
    office.arm("DELETE", "/v1/apps/*", effect, status=500)
    assert destroy(office.client, office.ledger, workspace).state == DESTROYED
    assert office.struck() == 1
    assert office.apps() == []


def test_the_ledger_is_rebuilt_from_the_platform_alone(office: Office, tmp_path: Path) -> None:
    people = [LILACH, Person("דנה לוי", "dana@example.com")]
    before = {row.id: row for row in map(office.provision, people)}
    with Ledger(tmp_path / "rebuilt.sqlite") as rebuilt:
        findings = repair(office.client, rebuilt, orphans=ADOPT, now_s=much_later)
        assert [finding.outcome[:14] for finding in findings] == ["adopted, ready"] * 2
        after = {row.id: row for row in rebuilt.workspaces()}
        assert survey(office.client, rebuilt) == []
    assert before.keys() == after.keys()
    same = ("name", "email", "platform", "app", "url", "machine_id", "volume_id", "region", "image", "state")
    for id_, row in before.items():
        assert [getattr(after[id_], field) for field in same] == [getattr(row, field) for field in same]
        assert after[id_].created_at[:13] == row.created_at[:13]


def test_two_operators_who_make_the_same_person_a_workspace_make_one_each(
    office: Office, tmp_path: Path
) -> None:
    made: list[Workspace] = []

    def make(number: int) -> None:
        with Client(office.client.platform) as client, Ledger(tmp_path / f"{number}.sqlite") as ledger:
            made.append(provision(client, ledger, office.plan()))

    makers = [threading.Thread(target=make, args=(number,)) for number in range(2)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(100)
    assert sorted(row.app for row in made) == office.apps()
    assert len(made) == 2


def test_a_platform_that_is_like_fly_is_slow_strict_and_good_enough(
    run: Run, digest: str, tmp_path: Path
) -> None:
    with running_platform(tmp_path / "platform", run, "--like-fly") as platform:
        with Client(address_of(platform)) as client, Ledger(tmp_path / "ledger.sqlite") as ledger:
            plan = draft(client.platform, LILACH, image=digest, size_gb=1, memory_mb=256)
            workspace = provision(client, ledger, plan)
            assert workspace.state == READY
        with platform.client() as ask:
            with ThreadPoolExecutor(8) as pool:  # one after the other, a place might be free again meanwhile
                volumes = f"/v1/apps/{workspace.app}/volumes"
                codes = sorted(pool.map(lambda _number: ask.get(volumes).status_code, range(24)))
            assert codes[:3] == [200, 200, 200]
            assert codes[-1] == 429
            at = f"/v1/apps/{workspace.app}/machines/{workspace.machine_id}"
            ask.post(f"{at}/suspend")
            assert ask.get(f"{at}/wait?state=suspended").status_code == 200
            began = time.monotonic()
            ask.post(f"{at}/start")
            state, looked_s = ask.get(at).json()["state"], time.monotonic() - began
            assert state == "resuming" or looked_s > LIKE_FLY.resume_s
            assert ask.get(f"{at}/wait?state=started").status_code == 200
            assert time.monotonic() - began > LIKE_FLY.resume_s
        for options, is_like_fly in ((), True), (("--no-like-fly",), False), ((), False):
            platform.stop()
            platform.options = options
            assert platform.start().about["like_fly"] is is_like_fly
