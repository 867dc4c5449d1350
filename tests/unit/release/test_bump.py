"""Each kind of bump, typed: what is newer is taken, built, verified and named; the rest is left alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image import base
from image.base import BASE_REF
from image.build import TAG
from image.release import pins
from image.release.bump import still_missing
from image.release.pins import Newer
from image.release.suite import ROOT
from tests.support.fakeengine import BUILT
from tests.unit.release.conftest import BROKEN, Operator

Edges = Callable[[Callable[..., str]], None]


def packages(operator: Operator) -> dict[str, str]:
    return operator.engine.images.get(TAG).packages


@pytest.fixture
def bootstrapping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do :; done\necho tar > "$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


# --- base -------------------------------------------------------------------------------------------


def test_updates_of_debian_arrive_although_the_base_is_the_same(operator: Operator) -> None:
    operator.types("build")
    operator.engine.mirror["curl"] = "8.14-2"
    said = operator.types("bump", "base")
    assert packages(operator) == {"bash": "5.2", "curl": "8.14-2"}
    assert operator.verified == [operator.engine.images.get(TAG).id] != [BUILT]
    assert "In the image has changed:\n  curl 8.14-1 → 8.14-2" in said
    assert "Next: invoke release" in said


def test_another_base_is_built_on_also_where_no_package_is_another(operator: Operator) -> None:
    operator.types("build")
    operator.engine.digests[BASE_REF] = "sha256:two"
    said = operator.types("bump", "base")
    assert operator.engine.images.get(BASE_REF).digest == "sha256:two"
    assert "debian:trixie-slim one → two" in said
    assert "No package of the image has changed." in said


@pytest.mark.usefixtures("bootstrapping")
def test_without_a_registry_the_base_is_made_anew_for_the_updates(operator: Operator) -> None:
    operator.engine.kept.clear()
    operator.engine.registry = None
    operator.types("build")
    operator.engine.mirror["bash"] = "5.3"
    said = operator.types("bump", "base")
    assert operator.engine.images.get(BASE_REF).id == "sha256:imported-1"
    assert packages(operator)["bash"] == "5.3"
    assert "bash 5.2 → 5.3" in said


@pytest.mark.parametrize("has_registry", [True, False])
def test_where_nothing_is_newer_it_says_so_and_builds_nothing(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, has_registry: bool
) -> None:
    operator.types("build")
    operator.engine.registry = {BASE_REF} if has_registry else None
    monkeypatch.setattr(base, "_bootstrap", lambda *_given: pytest.fail("a base was made for nothing"))
    assert "Nothing newer: base is as new as it can be" in operator.types("bump", "base")
    assert (len(operator.engine.builds), operator.verified) == (1, [])


def test_what_is_outdated_is_what_a_bump_takes(operator: Operator, edges: Edges) -> None:
    edges(newest({}))
    operator.types("build")
    operator.engine.mirror["curl"] = "8.14-2"
    operator.engine.digests[BASE_REF] = "sha256:two"
    told = json.loads(re.search(r"^\[.*^\]", operator.types("outdated", "--json"), re.M | re.S)[0])  # type: ignore[index]
    assert [(one["kind"], one["cure"]) for one in told] == [
        ("base", "invoke bump base"),
        ("debian", "invoke bump base"),
    ]
    operator.types("bump", "base")
    assert "as new as it can be" in operator.types("outdated")


def test_a_base_that_breaks_a_promise_is_not_kept(operator: Operator) -> None:
    operator.types("build")
    before = operator.engine.images.get(BASE_REF).id
    operator.engine.digests[BASE_REF], operator.outcomes = "sha256:two", [BROKEN]
    assert "Nothing runs as root" in operator.types("bump", "base", status=1)
    assert operator.engine.images.get(TAG).id == BUILT
    assert operator.engine.images.get(BASE_REF).id == before


def test_without_an_image_nobody_knows_what_it_lacks(operator: Operator) -> None:
    assert "invoke build" in operator.types("bump", "base", status=1)


def test_what_a_mirror_does_not_give_yet_is_named() -> None:
    newer = [
        Newer("debian", "curl", "1", "2", ""),
        Newer("debian", "git", "1", "2", ""),
        Newer("base", "b", "1", "2", ""),
    ]
    assert still_missing(newer, {"debian": {"curl": "1", "git": "2"}}) == ["curl"]


# --- pins -------------------------------------------------------------------------------------------


def newest(versions: dict[str, str]) -> Callable[..., str]:
    """pip, uv and npm of a world in which these are the newest versions, and all others as they are."""

    def run(*command: str, folder: Path = Path(), **_given: Any) -> str:
        if "index" in command:
            return f"{pins.SDK} ({versions.get(pins.SDK, pins.pinned_sdk(ROOT))})\n"
        if "compile" in command:
            output = command[command.index("--output-file") + 1]
            if Path(output).is_absolute():  # a trial: what is locked is the newest
                locked = "image/node.lock" if "node" in command else "image/requirements.lock"
                Path(output).write_bytes((folder / locked).read_bytes())
            else:
                _lift(folder / output, versions)
        if "update" in command:
            path = folder / "package-lock.json"
            lock = json.loads(path.read_text("utf-8"))
            for package in versions.keys() & {"preact"}:
                lock["packages"][f"node_modules/{package}"]["version"] = versions[package]
            path.write_text(json.dumps(lock), encoding="utf-8")
        return ""

    return run


def _lift(lock: Path, versions: dict[str, str]) -> None:
    text = lock.read_text("utf-8")
    for name, version in versions.items():
        text = re.sub(rf"(?m)^{name}==\S+", f"{name}=={version}", text)
    lock.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "package"), [("claude", pins.SDK), ("python", "starlette"), ("npm", "preact")]
)
def test_a_newer_version_is_pinned_built_and_verified(
    operator: Operator, edges: Edges, what: str, package: str
) -> None:
    operator.types("build")
    edges(newest({package: "99.1.2"}))
    said = operator.types("bump", what)
    assert "99.1.2" in said
    assert f"{what} is moved" in said
    assert "Next: commit it" in said
    assert "99.1.2" in "".join(pins.pinned(what, operator.root).values())
    assert len(operator.engine.builds) == 2
    assert operator.engine.builds[-1]["nocache"] is False
    assert operator.verified == [operator.engine.images.get(TAG).id]


@pytest.mark.parametrize("what", ["claude", "python", "npm"])
def test_a_pin_that_is_the_newest_stays_and_that_is_said(operator: Operator, edges: Edges, what: str) -> None:
    operator.types("build")
    before = {name: (operator.root / name).read_bytes() for name in pins.FILES if not name.endswith("json")}
    edges(newest({}))
    assert f"Nothing newer: {what}" in operator.types("bump", what)
    assert {name: (operator.root / name).read_bytes() for name in before} == before
    assert (len(operator.engine.builds), operator.verified) == (1, [])


def test_a_pin_that_breaks_a_promise_is_put_back(operator: Operator, edges: Edges) -> None:
    operator.types("build")
    before = {name: (operator.root / name).read_bytes() for name in pins.FILES}
    edges(newest({"starlette": "99.1.2"}))
    operator.outcomes = [BROKEN]
    operator.types("bump", "python", status=1)
    assert {name: (operator.root / name).read_bytes() for name in pins.FILES} == before
    assert operator.engine.images.get(TAG).id == BUILT


def test_what_nobody_can_bump_is_refused(operator: Operator) -> None:
    assert "claude, base, python, npm" in operator.types("bump", "page", status=2)
