"""What became of the test that runs."""

import pytest

HAS_FAILED = pytest.StashKey[bool]()
"""Set at a test that has failed, so that its fixtures know."""
