"""What only the image's own promises need."""

from __future__ import annotations

import pytest

from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.login import give_login
from tests.support.volumes import Volume


@pytest.fixture
def logged_in(workspaces: Workspaces, kept_volume: Volume, internet: Internet) -> Workspace:
    """A workspace on a kept volume whose person has logged Claude in."""
    workspace = workspaces.start(kept_volume, internet=internet)
    give_login(workspace, internet.anthropic)
    return workspace
