"""The workflow: its scripts are clean shell, and it pushes only what that very run has verified."""

from pathlib import Path

import pytest
from invoke.exceptions import Exit

from image.release.suite import ROOT
from tests.support.workflows import scripts
from tests.verbs import check_scripts

WORKFLOW = ROOT / ".github/workflows/release.yml"
CARELESS = """
jobs:
  release:
    steps:
      - uses: actions/checkout@v5
      - name: Say
        run: |
          echo $GREETING ${{ github.sha }}
      - run: "true"
"""


def test_its_scripts_are_clean() -> None:
    assert len(scripts(WORKFLOW)) > 5
    check_scripts([WORKFLOW])


def test_a_careless_script_is_found_and_its_step_named(tmp_path: Path) -> None:
    workflow = tmp_path / "careless.yml"
    workflow.write_text(CARELESS)
    assert scripts(workflow) == {"Say": "echo $GREETING put-in\n", "release-2": "true"}
    with pytest.raises(Exit, match="SC2086") as found:
        check_scripts([workflow])
    assert "careless-Say" in str(found.value)


def test_it_verifies_and_tests_the_tests_before_it_pushes() -> None:
    names = list(scripts(WORKFLOW))
    order = [names.index(one) for one in ("Build", "Verify", "Test the tests", "Test the gate", "Push")]
    assert order == sorted(order)
