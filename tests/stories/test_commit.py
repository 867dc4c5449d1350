"""An image that was built before its commit was made, by a real engine."""

from __future__ import annotations

import io
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest

from image.base import BASE_REF
from image.build import BASE_LABEL, CONTEXT_LABEL, DIRTY, REVISION_LABEL, VERSION_LABEL, build_image
from image.context import make_context
from image.release.content import read_content
from tests.support.run import Run


def test_naming_its_commit_changes_what_it_says_and_not_what_it_holds(
    docker_client: docker.DockerClient,
    run: Run,
    image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after_containers: ExitStack,
) -> None:
    monkeypatch.setattr("image.build.FOLDER", tmp_path)
    commit = committed(tmp_path)
    tag = f"{run.name('commit')}:latest"
    after_containers.callback(docker_client.images.remove, tag)
    dirty = built_dirty(docker_client, run, image, tag)
    before = docker_client.images.get(dirty).attrs

    named = build_image(docker_client, tag=tag, report=lambda _line: None)

    after = docker_client.images.get(tag).attrs
    labels = after["Config"]["Labels"]
    assert (labels[REVISION_LABEL], labels[VERSION_LABEL]) == (commit, commit[: len(labels[VERSION_LABEL])])
    assert named.id == after["Id"] != before["Id"]
    assert after["RootFS"] == before["RootFS"], "a layer has changed"
    assert without_its_commit(after) == without_its_commit(before)
    assert [layer.made_by for layer in read_content(docker_client, tag).layers] == [
        layer.made_by for layer in read_content(docker_client, image).layers
    ]


def committed(folder: Path) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for command in (("init", "--quiet"), (*who, "commit", "--quiet", "--allow-empty", "-m", "first")):
        subprocess.run(("git", *command), cwd=folder, check=True)
    done = subprocess.run(
        ("git", "rev-parse", "HEAD"), cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def built_dirty(client: docker.DockerClient, run: Run, image: str, tag: str) -> str:
    """The image as if it had just been built from what lies here, uncommitted."""
    labels = {CONTEXT_LABEL: make_context().sha256, VERSION_LABEL: f"abc{DIRTY}", **run.labels}
    for base in client.images.list(BASE_REF):
        labels[BASE_LABEL] = str(base.id)
    built, _ = client.images.build(
        fileobj=io.BytesIO(f"FROM {image}\n".encode()), tag=tag, rm=True, labels=labels
    )
    return str(built.id)


def without_its_commit(attributes: dict[str, Any]) -> dict[str, Any]:
    config = dict(attributes["Config"])
    labels = config["Labels"].items()
    config["Labels"] = {name: value for name, value in labels if name not in (REVISION_LABEL, VERSION_LABEL)}
    return {name: value for name, value in config.items() if name != "Image"}
