"""What the stories share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.volumes import Volume


@pytest.fixture
def lilachs_workspace(
    workspaces: Workspaces, kept_volume: Volume, internet: Internet
) -> Callable[[], Workspace]:
    """Starts a container on her volume; called again it is another container on the same volume."""
    return lambda: workspaces.start(kept_volume, internet=internet)
