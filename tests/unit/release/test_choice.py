"""Which image new workspaces run, and where a push goes: decided by the record and the settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fly import desk
from fly.errors import PlanError, SettingsError
from fly.settings import Platform, Secret, Settings
from image.build import TAG
from image.release.content import Content
from image.release.records import Outcome, Records
from image.release.registry import Login, Repository
from image.release.suite import Suite, read_suite
from image.release.verbs import place
from tests.support.fakeengine import ENGINE, FakeEngine, FakeImage

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
FLY = Platform("fly", "https://fly.test", Secret("t"), "acme", "https://logs.test")
HERE = Platform("local", "http://127.0.0.1:1", Secret("t"), "", "")


def settings(home: Path, **given: str) -> Settings:
    return Settings.read({"JARVIS_HOME": str(home), **given}, home)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with Records(settings(tmp_path).releases) as records:
        yield records


def judged(
    records: Records, image: str, *, passed: bool, engine: str = ENGINE, suite: Suite | None = None
) -> int:
    content = Content(image, TAG, 1, (), {}, "", engine)
    number = records.begin(content, suite or read_suite(), {})
    records.note(number, Outcome("t", "image", "It answers.", "passed" if passed else "failed", 1.0))
    records.conclude(number, passed=passed, seconds=1, why="" if passed else "1 broken promise")
    return number


def passed(records: Records, image: str) -> int:
    return judged(records, image, passed=True)


def engine_with(monkeypatch: pytest.MonkeyPatch, folder: Path, **images: str) -> None:
    kept = [FakeImage(image, [TAG] if name == "built" else []) for name, image in images.items()]
    monkeypatch.setattr("image.engine.find_engine", lambda *_args: FakeEngine(folder, kept=kept))
    monkeypatch.setattr("image.engine.SOCKET", folder / "nobody-listens.sock")


def test_on_fly_it_is_what_was_promoted_last(records: Records, tmp_path: Path) -> None:
    proof = records.verification(passed(records, OLD))
    records.pushed(proof, "registry.fly.io/images", "sha256:1", ["latest"], 1)
    records.pushed(proof, "registry.fly.io/images", "sha256:2", ["latest"], 1)
    assert desk.image_reference(settings(tmp_path), FLY) == "registry.fly.io/images@sha256:2"
    records.promoted("registry.fly.io/images", "sha256:1", "promoted")
    assert desk.image_reference(settings(tmp_path), FLY) == "registry.fly.io/images@sha256:1"
    assert desk.image_reference(settings(tmp_path, JARVIS_IMAGE="mine@sha256:3"), FLY) == "mine@sha256:3"


def test_on_fly_a_release_that_fly_cannot_reach_does_not_count(records: Records, tmp_path: Path) -> None:
    proof = records.verification(passed(records, OLD))
    with pytest.raises(SettingsError, match="Nothing was released"):
        desk.image_reference(settings(tmp_path), FLY)
    records.pushed(proof, "127.0.0.1:5000/images", "sha256:1", ["latest"], 1)
    with pytest.raises(SettingsError, match="Nothing was released"):
        desk.image_reference(settings(tmp_path), FLY)


def test_here_an_unverified_build_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_with(monkeypatch, tmp_path, built=NEW)
    assert desk.image_reference(settings(tmp_path), HERE) == f"my-jarvis@{NEW}"


def test_here_the_newest_verified_build_is_preferred_and_said(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    passed(records, OLD)
    engine_with(monkeypatch, tmp_path, built=NEW, older=OLD)
    assert desk.image_reference(settings(tmp_path), HERE) == f"my-jarvis@{OLD}"
    assert "invoke verify" in capsys.readouterr().err
    passed(records, NEW)
    assert desk.image_reference(settings(tmp_path), HERE) == f"my-jarvis@{NEW}"


def test_here_a_verified_build_that_is_gone_is_passed_over(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed(records, OLD)
    engine_with(monkeypatch, tmp_path, built=NEW)
    assert desk.image_reference(settings(tmp_path), HERE) == f"my-jarvis@{NEW}"
    engine_with(monkeypatch, tmp_path)
    with pytest.raises(PlanError, match="has not been built"):
        desk.image_reference(settings(tmp_path), HERE)


@pytest.mark.parametrize(
    "since",
    [
        {"passed": False},
        {"passed": True, "engine": "another@host"},
        {"passed": True, "suite": Suite("c", "1")},
    ],
)
def test_here_it_is_what_could_be_pushed_and_the_last_verification_decides(
    since: dict[str, Any], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same rule: what another engine or another version of the tests says proves nothing here."""
    passed(records, OLD)
    if not since["passed"]:
        passed(records, NEW)
    judged(records, NEW, **since)
    engine_with(monkeypatch, tmp_path, built=OLD, newer=NEW)
    assert desk.image_reference(settings(tmp_path), HERE) == f"my-jarvis@{OLD}"


def test_an_app_of_fly_is_a_place_and_the_token_its_password(tmp_path: Path) -> None:
    repository, login = place(settings(tmp_path, FLY_API_TOKEN="t", JARVIS_REGISTRY="my-images"), "")
    assert (str(repository), login) == ("registry.fly.io/my-images", Login("x", Secret("t")))


def test_another_registry_never_sees_flys_token(tmp_path: Path) -> None:
    given = {"FLY_API_TOKEN": "t", "JARVIS_REGISTRY_USER": "dan", "JARVIS_REGISTRY_PASSWORD": "p"}
    assert place(settings(tmp_path, **given), "ghcr.io/a/b")[1] == Login("dan", Secret("p"))
    assert place(settings(tmp_path, FLY_API_TOKEN="t"), "ghcr.io/a/b")[1] is None


@pytest.mark.parametrize(
    "named", ["", "UPPER", "host/", "/x", "host/a:tag", "host/a b", "host/../x", "registry.fly.io/"]
)
def test_what_is_no_place_is_refused_at_once(tmp_path: Path, named: str) -> None:
    with pytest.raises(SettingsError):
        place(settings(tmp_path, FLY_API_TOKEN="t"), named)


def test_only_the_loopback_is_spoken_to_in_the_clear() -> None:
    urls = [
        Repository.parse(one).url for one in ("127.0.0.1:5000/a", "localhost/a", "[::1]:5/a", "ghcr.io/a/b")
    ]
    assert [url.partition(":")[0] for url in urls] == ["http", "http", "http", "https"]
