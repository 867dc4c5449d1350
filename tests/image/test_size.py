"""What a person waits for and an operator uploads: sizes, reported."""

from __future__ import annotations

import re
from typing import Any

import docker

from tests.support.containers import Workspace
from tests.support.figures import Figures

FIRST_LOAD_BYTES = 60_000
NAMES = {"br": "first page load, compressed", "gzip": "first page load, gzip"}
CLAUDE = "/opt/claude/claude"


def test_the_first_load_is_light(shared_workspace: Workspace, figures: Figures) -> None:
    """The page and all that it loads at first are together under 60 KB, also as gzip."""
    page = shared_workspace.get("/", **{"accept-encoding": "identity"})
    parts = re.findall(r"(?:src|href)=\"(/assets/[^\"]+)\"", page.text)
    assert parts
    for encoding, name in NAMES.items():
        sent = sum(_sent_bytes(shared_workspace, path, encoding) for path in ("/", *parts))
        figures.size(name, sent)
        assert sent < FIRST_LOAD_BYTES


def _sent_bytes(workspace: Workspace, path: str, encoding: str) -> int:
    return int(workspace.get(path, **{"accept-encoding": encoding}).headers["content-length"])


def test_claude_is_most_of_the_image(
    docker_client: docker.DockerClient, image: str, shared_workspace: Workspace, figures: Figures
) -> None:
    """All but Claude's binary is smaller than that binary, of which the image holds the weight once."""
    whole: Any = docker_client.images.get(image).attrs["Size"]
    claude = int(shared_workspace.run("stat", "--format=%s", CLAUDE))
    figures.size("image", whole)
    figures.size("image without the Claude binary", whole - claude)
    assert whole - claude < claude
