"""Which version of the tests judges: all that has a say in a verdict, and nothing else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.release.suite import JUDGES, ROOT, TIERS, read_suite
from image.release.verify import OPERATORS

PYPROJECT = """
[tool.my-jarvis.budget]
image_mb = 700
[tool.my-jarvis.growth]
image_mb = 15
[tool.pytest]
timeout = "300"
[tool.ruff]
line-length = 110
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Every judge, in a few words."""
    for judge in JUDGES:
        path = tmp_path / judge if Path(judge).suffix else tmp_path / judge / "test_one.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one = 1")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


@pytest.mark.parametrize("judge", JUDGES)
def test_whatever_judges_otherwise_is_another_version(checkout: Path, judge: str) -> None:
    before = read_suite(checkout).sha256
    assert read_suite(checkout).sha256 == before
    path = checkout / judge
    (path if path.is_file() else path / "test_one.py").write_text("one = 2")
    assert read_suite(checkout).sha256 != before


@pytest.mark.parametrize(
    ("old", "new", "is_another"),
    [("700", "800", True), ("15", "16", True), ('"300"', '"3"', True), ("110", "100", False)],
)
def test_so_are_another_budget_and_other_options_of_pytest(
    checkout: Path, old: str, new: str, is_another: bool
) -> None:
    before = read_suite(checkout).sha256
    (checkout / "pyproject.toml").write_text(PYPROJECT.replace(old, new))
    assert (read_suite(checkout).sha256 != before) is is_another


def test_what_has_no_say_changes_nothing(checkout: Path) -> None:
    before = read_suite(checkout).sha256
    (checkout / "tests/unit").mkdir()
    (checkout / "tests/unit/test_one.py").write_text("")
    (checkout / "README.md").write_text("")
    assert read_suite(checkout).sha256 == before


def test_every_judge_is_there() -> None:
    assert [judge for judge in JUDGES if not (ROOT / judge).exists()] == []


HAS_NO_SAY = {"fly/lazy.py"}
"""Only when a module is loaded."""


def test_all_of_ours_that_tests_of_an_image_import_judges_too() -> None:
    seen: set[Path] = set()
    waiting = [
        ROOT / "tests/conftest.py",
        ROOT / "tests/support/verdicts.py",
        *(path for tier in TIERS for path in (ROOT / "tests" / tier).glob("*.py")),
    ]
    imported = set()
    while waiting:
        path = waiting.pop()
        name = path.relative_to(ROOT).as_posix()
        if path in seen or name in OPERATORS:
            continue
        seen.add(path)
        files = {module.replace(".", "/") + ".py" for module in _modules(path)}
        found = {one for one in files if (ROOT / one).exists()}
        waiting += [ROOT / one for one in found if one.startswith("tests/")]
        imported |= {one for one in found if one.startswith(("fly/", "image/"))}
    assert imported - set(JUDGES) - HAS_NO_SAY == set()


def _modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
