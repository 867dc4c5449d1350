from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import cast

import docker
import pytest

from fly.errors import BuildError
from image import base
from image.base import BASE_REF, BaseImage, digest_there, ensure_base, renew_base
from tests.support.fakeengine import FakeEngine, FakeImage


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path)


@pytest.fixture
def bootstrapping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An `mmdebstrap` that makes a small archive; what it was asked for is in this file."""
    asked = tmp_path / "asked"
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nfor last; do :; done\necho "$@" > {asked}\necho tar > "$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return asked


def ensure(engine: FakeEngine, ref: str = BASE_REF) -> BaseImage:
    return ensure_base(cast("docker.DockerClient", engine), ref, lambda _line: None)


def test_a_base_that_is_there_is_taken_and_nobody_is_asked(engine: FakeEngine) -> None:
    engine.kept.append(FakeImage("sha256:there", [BASE_REF]))
    assert ensure(engine) == BaseImage(BASE_REF, "sha256:there", "present")
    assert engine.asked_with_timeout == []


def test_a_base_that_is_not_there_is_pulled(engine: FakeEngine) -> None:
    engine.registry = {BASE_REF}
    assert ensure(engine) == BaseImage(BASE_REF, f"sha256:pulled-{BASE_REF}", "pulled")


def renew(engine: FakeEngine, ref: str = BASE_REF) -> BaseImage:
    return renew_base(cast("docker.DockerClient", engine), ref, lambda _line: None)


def test_a_base_that_is_there_is_pulled_anew_where_a_newer_one_is_wanted(engine: FakeEngine) -> None:
    engine.kept.append(FakeImage("sha256:there", [BASE_REF]))
    engine.registry, engine.digests = {BASE_REF}, {BASE_REF: "sha256:new"}
    assert renew(engine) == BaseImage(BASE_REF, "sha256:pulled-sha256:new", "pulled", "sha256:new")
    assert renew(engine).id == "sha256:pulled-sha256:new", "the same again"


def test_without_a_registry_a_newer_base_is_made_anew(engine: FakeEngine, bootstrapping: Path) -> None:
    assert ensure(engine).id == "sha256:imported"
    assert renew(engine) == BaseImage(BASE_REF, "sha256:imported-1", "bootstrapped")
    assert ensure(engine).id == "sha256:imported-1", "and is the one from now on"


def test_only_debian_can_be_made_anew(engine: FakeEngine, bootstrapping: Path) -> None:
    with pytest.raises(BuildError, match=r"ubuntu:26\.04 cannot be pulled"):
        renew(engine, "ubuntu:26.04")


def test_what_a_registry_has_is_asked_with_little_patience_and_may_be_unknown(engine: FakeEngine) -> None:
    client = cast("docker.DockerClient", engine)
    assert digest_there(client, BASE_REF) == ""
    engine.registry, engine.digests = {BASE_REF}, {BASE_REF: "sha256:new"}
    assert digest_there(client, BASE_REF) == "sha256:new"
    assert engine.asked_with_timeout == [base.REGISTRY_LIMIT_S] * 2


def test_the_registry_is_asked_with_little_patience_and_only_it(
    engine: FakeEngine, bootstrapping: Path
) -> None:
    ensure(engine)
    assert engine.asked_with_timeout == [base.REGISTRY_LIMIT_S]
    assert engine.timeout == 600


def test_without_a_registry_the_base_comes_from_debians_packages(
    engine: FakeEngine, bootstrapping: Path
) -> None:
    assert ensure(engine) == BaseImage(BASE_REF, "sha256:imported", "bootstrapped")
    asked = bootstrapping.read_text()
    assert "--variant=minbase" in asked
    assert " trixie " in asked


def test_a_pull_that_fails_half_way_is_noticed(engine: FakeEngine) -> None:
    engine.registry = {"broken:1"}
    with pytest.raises(BuildError, match="toomanyrequests"):
        ensure(engine, "broken:1")


def test_only_debian_can_be_bootstrapped(engine: FakeEngine, bootstrapping: Path) -> None:
    with pytest.raises(BuildError, match=r"ubuntu:26\.04 is not there") as raised:
        ensure(engine, "ubuntu:26.04")
    assert raised.value.hint == "docker pull ubuntu:26.04"
    assert not bootstrapping.exists()


def test_who_may_not_install_is_told_what_to_do(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(BuildError, match="no route to host") as raised:
        ensure(engine)
    assert "docker pull" in raised.value.hint


def test_a_bootstrap_that_fails_shows_its_last_lines(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, bootstrapping: Path
) -> None:
    program = bootstrapping.parent / "bin" / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'E: cannot reach the mirror' >&2\nexit 1\n")
    with pytest.raises(BuildError, match="cannot reach the mirror") as raised:
        ensure(engine)
    assert raised.value.hint
    assert engine.kept == []
