"""The tests are tested: a sample of the images that `invoke verify.selftest` breaks on purpose."""

from __future__ import annotations

import docker
import pytest

from tests.broken.catalogue import CATALOGUE
from tests.broken.trial import try_out
from tests.support.run import Run

SAMPLE = ("wipes-data", "server-as-root", "setuid")
"""What only a volume shows, what only a process shows, what only a file shows; the cheapest of each."""
BY_NAME = {broken.name: broken for broken in CATALOGUE}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_broken_image_is_noticed(
    docker_client: docker.DockerClient, run: Run, image: str, name: str
) -> None:
    verdict = try_out(docker_client, run, image, BY_NAME[name])
    assert verdict.caught, verdict.explanation
