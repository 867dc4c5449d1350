"""A world of one's own for every test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import World, new_world

MEMORY = Path("/dev/shm")


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in memory where there is such a thing: a ledger waits for its disk at every step."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    with new_world(folder) as world:
        yield world
