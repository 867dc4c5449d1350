"""Which version of the tests judges: the commit, and the content of all that has a say in the verdict."""

import hashlib
import json
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fly.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
TIERS = ("image", "release", "browser")
JUDGES = (
    *("tests/conftest.py", "tests/support", *(f"tests/{tier}" for tier in TIERS)),
    # What runs them, and what judges beside them.
    *(f"image/release/{name}.py" for name in ("bill", "budget", "inspection", "sbom", "stage")),
    *(f"image/release/{name}.py" for name in ("suite", "verify")),
    *("image/patience.py", "fly/plan.py", "requirements-test.lock"),
)
"""Files and folders that have a say in a verdict; of pyproject.toml it is these tables."""
BUDGET = ("tool", "my-jarvis", "budget")
GROWTH = ("tool", "my-jarvis", "growth")
PYTEST = ("tool", "pytest")


@dataclass(frozen=True)
class Suite:
    """`sha256` is what counts; `commit` is for people, with a `+` where the checkout differs from it."""

    commit: str
    sha256: str

    @property
    def version(self) -> str:
        return f"{self.commit or 'no commit'} ({self.sha256[:12]})"


def read_suite(root: Path = ROOT) -> Suite:
    """The tests as they lie here now."""
    digest = hashlib.sha256()
    for path in sorted(path for judge in JUDGES for path in _files(root / judge)):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for table in (read_budget(root), read_growth(root), _table(root, PYTEST)):
        digest.update(json.dumps(table, sort_keys=True).encode())
    return Suite(_commit(root), digest.hexdigest())


def read_budget(root: Path = ROOT) -> dict[str, float]:
    """The figures that no release exceeds, from pyproject.toml.

    *Errors*: SettingsError if one is no number.
    """
    return _numbers(root, BUDGET)


def read_growth(root: Path = ROOT) -> dict[str, float]:
    """By how many per cent a release may exceed the one before it, line by line of the budget.

    *Errors*: SettingsError if one is no number.
    """
    return _numbers(root, GROWTH)


def _numbers(root: Path, names: Sequence[str]) -> dict[str, float]:
    table = _table(root, names)
    wrong = [
        name for name, value in table.items() if isinstance(value, bool) or not isinstance(value, int | float)
    ]
    if wrong:
        raise SettingsError(
            f"The {names[-1]} of {', '.join(wrong)} is not a number.",
            hint=f"[{'.'.join(names)}] in pyproject.toml",
        )
    return {name: float(value) for name, value in table.items()}


def _table(root: Path, names: Sequence[str]) -> dict[str, Any]:
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    for name in names:
        table = table.get(name, {})
    return table


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (one for one in path.rglob("*") if one.is_file() and one.suffix != ".pyc")


def _commit(root: Path) -> str:
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    return f"{commit}+" if commit and _git(root, "status", "--porcelain", "--", *JUDGES) else commit


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
