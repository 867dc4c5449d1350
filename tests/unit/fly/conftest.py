"""A world of one's own for every test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import MEMORY, World, new_world


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in memory where that is possible."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    with new_world(folder) as world:
        yield world
