"""How a verification is put together, and what pytest tells of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from image.release.report import GROUPS, ORDER
from image.release.stage import OUTPUT_VARIABLE, Effort, Stage, events
from image.release.suite import ROOT, TIERS
from image.release.verify import LONGEST, MEASURES, OPERATORS, SMOKE, stages

TESTS = """
import pytest


@pytest.mark.parametrize("number", [1, 2])
def test_it_counts(number):
    assert number == 1, "two is too many, sk-ant-oat01-secretsecretsecretsecret"


def test_nobody_tries(): pytest.skip("not today")


@pytest.fixture
def broken():
    yield
    raise RuntimeError("the end went wrong")


def test_it_ends(broken): pass


def test_the_environment(request):
    import os
    assert not any(name.startswith(("FLY_", "JARVIS_")) for name in os.environ)
"""

AS_HERE = ("-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest")
"""Tests that lie elsewhere, under the options of ours."""


def told(tests: Path, folder: Path, **options: Any) -> list[dict[str, Any]]:
    given = {**os.environ, "FLY_API_TOKEN": "secret", "JARVIS_IMAGE": "x"}
    return list(events(Stage("trial", (*AS_HERE, str(tests)), **options), "image", folder, given))


@pytest.mark.parametrize("jobs", [0, 2])
def test_each_outcome_is_told_once_with_its_reason(tmp_path: Path, jobs: int) -> None:
    tests = tmp_path / "test_trial.py"
    tests.write_text(TESTS)
    first, *outcomes, last = told(tests, tmp_path / "out", jobs=jobs)
    assert (first["event"], len(first["tests"]), last) == ("plan", 5, {"event": "end", "status": 1})
    found = {one["test"].rpartition("::")[2]: one for one in outcomes}
    assert {name: one["outcome"] for name, one in found.items()} == {
        "test_it_counts[1]": "passed",
        "test_it_counts[2]": "failed",
        "test_nobody_tries": "skipped",
        "test_it_ends": "failed",
        "test_the_environment": "passed",
    }
    assert "two is too many" in found["test_it_counts[2]"]["reason"]
    assert "secretsecret" not in str(outcomes)
    assert "the end went wrong" in found["test_it_ends"]["reason"]
    assert found["test_it_counts[1]"]["promise"] == "It counts[1]."


@pytest.mark.parametrize("jobs", [0, 2])
def test_the_longest_tests_begin_first(tmp_path: Path, jobs: int) -> None:
    tests = tmp_path / "test_trial.py"
    tests.write_text("".join(f"def test_{name}(): pass\n" for name in "abcdef"))
    in_order = told(tests, tmp_path / "out", jobs=jobs)[0]["tests"]
    first = [in_order[4], in_order[2]]
    options = tuple(f"--first={test}" for test in first)
    assert told(tests, tmp_path / "out", jobs=jobs, options=options)[0]["tests"][:3] == [*first, in_order[0]]


def test_a_stage_knows_what_it_took(tmp_path: Path) -> None:
    tests = tmp_path / "test_trial.py"
    work = "    while time.process_time() < 1: pass\n"
    tests.write_text(f"import time\ndef test_works():\n{work}    time.sleep(1)\n")
    before = Effort.so_far()
    told(tests, tmp_path / "out")
    spent = Effort.so_far().since(before)
    assert spent["clock_s"] >= 1.5
    assert 1 <= spent["programs_s"] < spent["clock_s"]
    assert spent["machine_s"] >= 0.9 or not Path("/proc/stat").exists()


def test_tests_that_cannot_be_read_are_a_broken_promise(tmp_path: Path) -> None:
    tests = tmp_path / "test_trial.py"
    tests.write_text("import nothing_of_that_name")
    outcome, end = told(tests, tmp_path / "out")
    assert (outcome["outcome"], end["status"] != 0) == ("failed", True)
    assert "nothing_of_that_name" in outcome["reason"]


def test_of_tests_that_were_killed_in_the_middle_of_a_word_all_before_it_is_told(tmp_path: Path) -> None:
    tests = tmp_path / "test_trial.py"
    tests.write_text(
        "import os\ndef test_first(): pass\n"
        "def test_second(request):\n"
        "    os.write(request.config.getoption('--verdicts'), b'{\"event\": \"outc')\n"
        "    os._exit(9)\n"
    )
    plan, first = told(tests, tmp_path / "out")
    assert (len(plan["tests"]), first["outcome"]) == (2, "passed")


def test_tests_that_are_left_in_the_middle_end_themselves(tmp_path: Path) -> None:
    tests = tmp_path / "test_trial.py"
    tests.write_text("import time\ndef test_first(): pass\ndef test_second(): time.sleep(60)\n")
    running = events(Stage("trial", (*AS_HERE, str(tests))), "image", tmp_path / "out", os.environ)
    assert next(running)["event"] == "plan"
    assert next(running)["outcome"] == "passed"
    running.close()  # type: ignore[attr-defined]
    assert "KeyboardInterrupt" in (tmp_path / "out/pytest-trial.log").read_text()


def test_the_stages_are_every_test_of_the_image_once() -> None:
    every = [test for test in _collected() if not test.startswith(OPERATORS)]
    parts = [[test for test in every if _is_of(stage, test)] for stage in stages(2)]
    assert sorted(test for part in parts for test in part) == sorted(every)
    assert {test.partition("[")[0] for test in parts[0]} == set(SMOKE)
    assert set(LONGEST) <= set(parts[1])


def _collected() -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *(f"tests/{tier}" for tier in TIERS), "--collect-only", "-q"],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if "::" in line]


def _is_of(stage: Stage, test: str) -> bool:
    """As pytest chooses: a whole name or folder to run, the beginning of a name to leave out."""
    is_asked = test.partition("[")[0] in stage.tests or test.startswith(
        tuple(f"{one}{end}" for one in stage.tests for end in ("/", "::"))
    )
    return is_asked and not test.startswith(stage.left_out or ("nothing",))


def test_every_promise_has_its_group() -> None:
    assert set(GROUPS) == set(ORDER)
    assert all((ROOT / path.partition("::")[0]).exists() for path in (*MEASURES, *OPERATORS))


def test_the_folder_of_a_run_is_named_alike_on_both_sides() -> None:
    assert OUTPUT_VARIABLE in (ROOT / "tests/support/evidence.py").read_text(encoding="utf-8")


def test_upgrades_begin_at_the_image_that_was_released_last() -> None:
    given = [stage.name for stage in stages(2, "sha256:old") if "--previous=sha256:old" in stage.arguments()]
    assert given == ["promises"]
    assert not any("--previous" in word for stage in stages(2) for word in stage.arguments())


@pytest.mark.parametrize(("load", "times"), [(0.1, 1), (4, 2), (30, 10)])
def test_a_busy_machine_is_given_more_time(monkeypatch: pytest.MonkeyPatch, load: float, times: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert [stage.timeout_s for stage in stages(2)] == [15 * times, 180 * times, 180 * times]
