from __future__ import annotations

import shutil
import subprocess
import time
from collections import namedtuple
from pathlib import Path
from typing import Any, cast

import docker
import pytest
import requests

from fly.errors import BuildError
from image.base import BASE_REF, MADE_HERE
from image.build import (
    BASE_DIGEST_LABEL,
    BASE_LABEL,
    CONTEXT_LABEL,
    DIRTY,
    REVISION_LABEL,
    STAGE_LABEL,
    TAG,
    VERSION_LABEL,
    BuiltImage,
    build_image,
    follow,
    remove_images,
)
from image.context import make_context
from tests.support.fakeengine import BUILT, SUCCESS, FakeEngine, FakeImage

BASE = "sha256:base"
AN_HOUR_AND_MORE = 3700


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path, kept=[FakeImage(BASE, [BASE_REF])])


def build(engine: FakeEngine, **options: Any) -> BuiltImage:
    client = cast("docker.DockerClient", engine)
    return build_image(client, report=lambda _line: None, environment={}, **options)


# --- building -------------------------------------------------------------------------------------


def test_a_build_says_what_it_made(engine: FakeEngine) -> None:
    built = build(engine)
    assert (built.ref, built.id, built.size_bytes, built.claude_version) == (TAG, BUILT, 700, "2.1.330")
    assert built.context_sha256 == make_context().sha256
    assert engine.reading == 0, "the container that the version was read from is still there"


def test_the_image_names_content_and_base(engine: FakeEngine) -> None:
    build(engine)
    labels = engine.images.get(TAG).labels
    assert labels[CONTEXT_LABEL] == make_context().sha256
    assert labels[BASE_LABEL] == BASE
    assert BASE_DIGEST_LABEL not in labels, "no registry knows this base"
    assert labels["org.opencontainers.image.base.name"] == BASE_REF
    assert labels["org.opencontainers.image.created"].endswith("+00:00")


def test_a_base_of_a_registry_is_named_by_the_digest_that_it_has_there(tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, kept=[FakeImage(BASE, [BASE_REF], digest="sha256:manifest")])
    build(engine)
    labels = engine.images.get(TAG).labels
    assert (labels[BASE_LABEL], labels[BASE_DIGEST_LABEL]) == (BASE, "sha256:manifest")


def test_what_an_engine_calls_a_base_that_was_made_here_is_no_digest(tmp_path: Path) -> None:
    made_here = FakeImage(BASE, [BASE_REF], {MADE_HERE: "bootstrapped"}, digest="sha256:of-this-engine")
    engine = FakeEngine(tmp_path, kept=[made_here])
    build(engine)
    assert BASE_DIGEST_LABEL not in engine.images.get(TAG).labels


def test_nothing_is_built_when_nothing_has_changed(engine: FakeEngine) -> None:
    build(engine)
    again = build(engine)
    assert (again.id, again.seconds, len(engine.builds)) == (BUILT, 0, 1)


def test_force_builds_all_the_same_and_from_the_ground(engine: FakeEngine) -> None:
    build(engine)
    build(engine, force=True)
    assert [options["nocache"] for options in engine.builds] == [False, True]


def test_a_changed_file_is_built(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build(engine)
    changed = tmp_path / "image"
    shutil.copytree(
        Path(make_context.__code__.co_filename).parent,
        changed,
        ignore=shutil.ignore_patterns("node_modules", "dist"),
    )
    (changed / "webapp" / "__init__.py").write_text("changed")
    monkeypatch.setattr("image.build.make_context", lambda certificates: make_context(changed, certificates))
    build(engine)
    assert len(engine.builds) == 2


def test_another_base_is_built_on(engine: FakeEngine) -> None:
    build(engine)
    engine.images.get(BASE_REF).id = "sha256:newer"
    build(engine)
    assert len(engine.builds) == 2


def test_an_image_without_its_base_is_still_up_to_date(engine: FakeEngine) -> None:
    build(engine)
    engine.kept.remove(engine.images.get(BASE_REF))
    assert build(engine).seconds == 0


def test_the_engine_is_told_where_packages_come_from_and_whom_to_trust(
    engine: FakeEngine, tmp_path: Path
) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("-----BEGIN CERTIFICATE-----")
    client = cast("docker.DockerClient", engine)
    environment = {"PIP_INDEX_URL": "https://packages.example.com/simple", "SSL_CERT_FILE": str(certificate)}
    build_image(client, report=lambda _line: None, environment=environment)
    [options] = engine.builds
    assert options["buildargs"] == {
        "BASE_IMAGE": BASE_REF,
        "PIP_INDEX_URL": "https://packages.example.com/simple",
    }
    assert b"BEGIN CERTIFICATE" in options["fileobj"].getvalue()


def test_a_full_disk_is_noticed_before_anything_is_built(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, 1_000_000_000))
    with pytest.raises(BuildError, match=r"needs 3 GB of free disk, and .* has 1\.0 GB") as raised:
        build(engine)
    assert engine.builds == []
    assert raised.value.hint


def test_the_disk_of_an_engine_elsewhere_is_not_judged(engine: FakeEngine) -> None:
    engine.root = Path("/nowhere/on/this/machine")
    assert build(engine).id == BUILT


def test_an_engine_that_goes_away_is_an_error_with_a_next_step(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_options: Any) -> None:
        raise requests.ConnectionError("Connection aborted")

    monkeypatch.setattr(engine, "build", gone)
    with pytest.raises(BuildError, match="gave up") as raised:
        build(engine)
    assert raised.value.hint


# --- the commit that it is of -----------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own with one commit, beside what is built."""
    folder = tmp_path / "checkout"
    (folder / "webapp").mkdir(parents=True)
    monkeypatch.setattr("image.build.FOLDER", folder)
    git(folder, "init", "--quiet")
    write_and_commit(folder, "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(("git", *who, *arguments), cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write_and_commit(folder: Path, text: str) -> str:
    (folder / "webapp" / "app.py").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", text)
    return git(folder, "rev-parse", "HEAD")


def commit_of(engine: FakeEngine) -> tuple[str, bool]:
    """What the image says: its commit, and whether there was more than that."""
    labels = engine.images.get(TAG).labels
    return labels[REVISION_LABEL], labels[VERSION_LABEL].endswith(DIRTY)


@pytest.mark.parametrize("changed", ["app.py", "never_added.py"])
def test_what_is_not_committed_is_built_as_dirty(engine: FakeEngine, checkout: Path, changed: str) -> None:
    (checkout / "webapp" / changed).write_text("changed")
    build(engine)
    assert commit_of(engine) == (git(checkout, "rev-parse", "HEAD"), True)


def test_a_change_beside_the_image_does_not_make_it_dirty(engine: FakeEngine, checkout: Path) -> None:
    (checkout / "notes.md").write_text("changed")
    build(engine)
    assert commit_of(engine) == (git(checkout, "rev-parse", "HEAD"), False)


def test_a_commit_made_after_the_build_is_named_and_nothing_else_is_built(
    engine: FakeEngine, checkout: Path
) -> None:
    (checkout / "webapp" / "app.py").write_text("changed")
    dirty = build(engine)
    commit = write_and_commit(checkout, "changed")
    named = build(engine)
    assert commit_of(engine) == (commit, False)
    assert engine.builds[1]["fileobj"].getvalue().decode() == f"FROM {dirty.id}\n"
    assert set(engine.builds[1]["labels"]) == {REVISION_LABEL, VERSION_LABEL}
    assert named.id != dirty.id, "another image, which nobody has verified"
    assert named.context_sha256 == engine.images.get(TAG).labels[CONTEXT_LABEL]
    assert build(engine).id == named.id, "named once, it is left alone"


def test_while_it_is_not_committed_a_dirty_image_stays(engine: FakeEngine, checkout: Path) -> None:
    (checkout / "webapp" / "app.py").write_text("changed")
    dirty = build(engine)
    assert (build(engine).id, len(engine.builds)) == (dirty.id, 1)


def test_a_later_commit_of_other_things_leaves_the_image_alone(engine: FakeEngine, checkout: Path) -> None:
    """It would be another image for everybody, of the same content."""
    first = build(engine)
    (checkout / "notes.md").write_text("changed")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "notes")
    assert build(engine).id == first.id


def test_a_commit_that_was_amended_since_is_named_anew(engine: FakeEngine, checkout: Path) -> None:
    build(engine)
    git(checkout, "commit", "--quiet", "--amend", "-m", "better words")
    build(engine)
    assert commit_of(engine) == (git(checkout, "rev-parse", "HEAD"), False)


def test_without_git_nothing_is_said_and_nothing_is_named(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("image.build.FOLDER", tmp_path)
    first = build(engine)
    assert VERSION_LABEL not in engine.images.get(TAG).labels
    assert build(engine).id == first.id


# --- what the builder says ------------------------------------------------------------------------


def test_each_step_is_reported_as_it_begins() -> None:
    said: list[str] = []
    follow(SUCCESS, said.append)
    assert said == ["2/3 FROM ${BASE_IMAGE}", "3/3 RUN apt-get update"]


@pytest.mark.parametrize(
    "event",
    [
        {"error": "The command returned a non-zero code: 1"},
        {"errorDetail": {"message": "The command returned a non-zero code: 1"}},
        {"errorDetail": {"code": 1, "message": "returned a non-zero code: 1"}, "error": "old field"},
    ],
)
def test_an_error_in_the_stream_fails_the_build_and_shows_the_last_lines(event: dict[str, Any]) -> None:
    lines = [{"stream": f"line {number}\n"} for number in range(100)]
    with pytest.raises(BuildError, match="non-zero code: 1") as raised:
        follow([*lines, event], lambda _line: None)
    assert "line 99" in str(raised.value)
    assert "line 80" not in str(raised.value)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("write /x: no space left on device", "disk"),
        ("Temporary failure resolving 'deb.debian.org'", "network"),
        ("npm error code EAI_AGAIN", "network"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "SSL_CERT_FILE"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "SSL_CERT_FILE"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "invoke lock"),
    ],
)
def test_a_known_cause_has_its_own_next_step(said: str, hint: str) -> None:
    events = [{"stream": said + "\n"}, {"error": "The command returned a non-zero code: 1"}]
    with pytest.raises(BuildError) as raised:
        follow(events, lambda _line: None)
    assert hint in raised.value.hint


def test_a_stream_that_just_ends_is_no_success() -> None:
    with pytest.raises(BuildError, match="without an image"):
        follow(SUCCESS[:-1], lambda _line: None)


# --- leaving nothing behind -----------------------------------------------------------------------


def test_stages_of_earlier_builds_go_and_the_newest_stay(engine: FakeEngine) -> None:
    old = time.time() - AN_HOUR_AND_MORE
    for name, created in (
        ("older", old - 1),
        ("old", old),
        ("recent", time.time() - 60),
        ("new", time.time()),
    ):
        engine.kept.append(FakeImage(name, labels={STAGE_LABEL: "venv"}, created=created))
    engine.kept.append(FakeImage("only page", labels={STAGE_LABEL: "page"}, created=old))
    engine.kept.append(FakeImage("somebody's", created=old))
    build(engine)
    assert {image.id for image in engine.kept} == {BASE, BUILT, "recent", "new", "only page", "somebody's"}


def test_removing_takes_what_builds_made_and_nothing_else(engine: FakeEngine) -> None:
    build(engine)
    engine.kept += [
        FakeImage("stage", labels={STAGE_LABEL: "venv"}),
        FakeImage("old", labels={CONTEXT_LABEL: "x"}),
        FakeImage("base made here", ["debian:x"], {"my-jarvis.base": "bootstrapped"}),
        FakeImage("somebody's", ["postgres:18"]),
    ]
    assert remove_images(cast("docker.DockerClient", engine), lambda _line: None) == 4
    assert {image.id for image in engine.kept} == {BASE, "somebody's"}


def test_an_image_in_use_stays_and_is_named(engine: FakeEngine) -> None:
    build(engine)
    engine.images.get(TAG).used = True
    said: list[str] = []
    assert remove_images(cast("docker.DockerClient", engine), said.append) == 0
    assert said == [f"{TAG} stays: a container uses it"]
