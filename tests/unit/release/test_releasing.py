"""What an operator types to verify, push and release: in which order, up to which failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fly.errors import RegistryError
from image.release import verbs
from image.release.content import Content
from image.release.fetch import Reference
from image.release.records import Push, Records, proof
from image.release.suite import read_suite
from tests.support.fakeengine import BUILT, SUCCESS, FakeImage
from tests.unit.release.conftest import BROKEN, KEPT, Operator

REGISTRY = "registry.test/workspaces"


@pytest.fixture(autouse=True)
def registry(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes whatever has proved itself; what really arrives in one the contract tests ask."""

    def push(_client: object, records: Records, content: Content, **given: Any) -> Push:
        evidence = proof(records, content, read_suite())
        tags = ("20261101-abc", "latest")
        digest = f"sha256:{content.id.removeprefix('sha256:')}"
        return records.pushed(evidence, str(given["repository"]), digest, tags, 1)

    monkeypatch.setattr(verbs, "push_content", push)
    monkeypatch.setenv("JARVIS_REGISTRY", REGISTRY)


def pushes(operator: Operator) -> list[Push]:
    with operator.records() as records:
        return records.pushes()


# --- release ----------------------------------------------------------------------------------------


def test_a_release_is_built_verified_and_pushed(operator: Operator) -> None:
    said = operator.types("release")
    assert operator.verified == [BUILT]
    [push] = pushes(operator)
    assert (push.image, push.repository) == (BUILT, REGISTRY)
    assert said.splitlines()[0] == push.reference, "the one result, on its own channel"


def test_what_is_verified_is_not_verified_again(operator: Operator) -> None:
    operator.types("release")
    operator.types("release")
    assert (operator.verified, len(pushes(operator))) == ([BUILT], 2)


def test_a_release_ends_at_a_build_that_fails(operator: Operator) -> None:
    operator.engine.events = SUCCESS[:-1]
    assert "ended without an image" in operator.types("release", status=1)
    assert (operator.verified, pushes(operator)) == ([], [])


def test_a_release_ends_at_a_broken_promise_and_names_it(operator: Operator) -> None:
    operator.outcomes = [KEPT, BROKEN]
    said = operator.types("release", status=1)
    assert "is not to be released: 1 broken." in said
    assert "✗ Nothing runs as root.  (uid)" in said
    assert pushes(operator) == []


def test_a_release_with_nowhere_to_go_ends_before_any_work(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JARVIS_REGISTRY")
    assert "JARVIS_REGISTRY" in operator.types("release", status=1)
    assert operator.engine.builds == []


# --- push -------------------------------------------------------------------------------------------


def test_build_and_push_in_one_line_push_what_has_passed(operator: Operator) -> None:
    operator.types("build")
    operator.types("verify")
    operator.types("build", "push")
    assert [push.image for push in pushes(operator)] == [BUILT]


def test_build_and_push_in_one_line_refuse_what_has_not(operator: Operator) -> None:
    said = operator.types("build", "push", status=1)
    assert "was never verified here" in said
    assert "Try: invoke verify" in said
    assert pushes(operator) == []


def test_a_push_that_is_refused_names_each_broken_promise(operator: Operator) -> None:
    operator.outcomes = [KEPT, BROKEN]
    operator.types("build")
    operator.types("verify", status=1)
    said = operator.types("push", status=1)
    assert "broken: Nothing runs as root." in said
    assert "Health is ok" not in said
    assert pushes(operator) == []


def test_what_another_commit_has_added_is_not_pushed_on_the_word_of_what_was_there(
    operator: Operator,
) -> None:
    operator.types("build", "verify")
    operator.engine.kept.append(FakeImage("sha256:other", ["mine:1"]))
    assert "never verified" in operator.types("push", "--image", "mine:1", status=1)


# --- verify -----------------------------------------------------------------------------------------


def test_verify_says_how_it_ended_also_to_programs(operator: Operator) -> None:
    operator.types("build")
    assert "keeps all its 1 promises" in operator.types("verify")
    operator.outcomes = [KEPT, BROKEN]
    said = operator.types("verify", "--json", status=1)
    told = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]
    assert (told["verdict"], [one["promise"] for one in told["broken"]]) == (
        "failed",
        ["Nothing runs as root."],
    )


def test_upgrades_begin_at_what_is_latest_also_after_a_rollback(operator: Operator) -> None:
    operator.types("build", "verify", "push")
    for name in ("second", "third"):
        operator.engine.kept.append(FakeImage(f"sha256:{name}", [f"mine:{name}"]))
    operator.types("verify", "--image", "mine:second")
    operator.types("push", "--image", "mine:second")
    operator.types("verify", "--image", "mine:third")
    with operator.records() as records:
        records.promoted(REGISTRY, "sha256:built", "promoted")
    operator.types("verify", "--image", "mine:third")
    assert operator.previous == ["", BUILT, "sha256:second", BUILT]


@pytest.fixture
def pulling(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of registries, and as whom; the image is here afterwards."""
    asked: list[Any] = []

    def fetch(_client: object, wanted: Reference, login: Any) -> None:
        asked.append((str(wanted), login and login.user))
        if "lost" in str(wanted):
            raise RegistryError(f"{wanted} is not here, and cannot be pulled: unknown")
        operator.engine.kept.append(FakeImage("sha256:far", [str(wanted)]))

    monkeypatch.setattr(verbs, "fetch", fetch)
    return asked


def test_an_image_of_a_registry_is_pulled_to_be_verified(
    operator: Operator, pulling: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLY_API_TOKEN", "secret")
    operator.types("verify", "--image", "registry.fly.io/mine@sha256:1234")
    assert pulling == [("registry.fly.io/mine@sha256:1234", "x")]
    assert operator.verified == ["sha256:far"]
    operator.types("verify", "--image", "registry.fly.io/mine@sha256:1234")
    assert len(pulling) == 1, "now it is here"


def test_an_image_that_is_nowhere_is_named(operator: Operator, pulling: list[Any]) -> None:
    assert "cannot be pulled" in operator.types("verify", "--image", "ghcr.io/a/lost:1", status=1)
    assert "There is no image my-jarvis:lost here" in operator.types(
        "verify", "--image", "my-jarvis:lost", status=1
    )
    assert len(pulling) == 1, "what names no registry is asked of none"


@pytest.mark.parametrize(
    ("text", "place", "version"),
    [
        ("registry.fly.io/a@sha256:1", "registry.fly.io/a", "sha256:1"),
        ("127.0.0.1:5000/a/b:tag", "127.0.0.1:5000/a/b", "tag"),
        ("localhost/a", "localhost/a", "latest"),
        ("ghcr.io/a/b:1@sha256:2", "ghcr.io/a/b", "sha256:2"),
    ],
)
def test_a_reference_of_a_registry_is_taken_apart(text: str, place: str, version: str) -> None:
    found = Reference.parse(text)
    assert found
    assert (str(found.repository), found.version) == (place, version)


@pytest.mark.parametrize("text", ["my-jarvis:latest", "sha256:12", "a/b:c", "ghcr.io/A b", ""])
def test_what_names_no_registry_is_no_reference_of_one(text: str) -> None:
    assert Reference.parse(text) is None
