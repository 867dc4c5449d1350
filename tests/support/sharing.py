"""A pytest plugin: tests that share something dear are run by one process, which makes it once.

Whoever is free takes the next test, as with `--dist load --maxschedchunk 1`. But each process begins with a
tier of its own and stays with a file until that is done: so there is one browser, and one workspace that its
stories share. Who has done its own tier helps with another's, from that one's last file on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling  # type: ignore[import-untyped]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing | None:
    return Sharing(config, log) if config.getoption("dist") == "load" else None


class Sharing(LoadScheduling):  # type: ignore[misc]
    """Chooses by file; `_files` is what each process is at."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._files: dict[Any, str] = {}

    def _send_tests(self, node: Any, num: int) -> None:
        if self.pending:
            tests = self.collection or []
            others = [file for other, file in self._files.items() if other is not node]
            left = [_file_of(tests[index]) for index in self.pending]
            file = self._files[node] = next_file(left, self._files.get(node), others)
            self.pending.sort(key=lambda index: _file_of(tests[index]) != file)
        super()._send_tests(node, num)


def next_file(left: Sequence[str], mine: str | None, others: Sequence[str]) -> str:
    """What a process goes on with: `left` is the file of each test that is left, in their order."""
    if mine and mine in left:
        return mine
    tiers, taken = Counter(map(_tier_of, left)), Counter(map(_tier_of, others))
    tier = _tier_of(mine) if mine else ""
    if tier not in tiers:
        tier = min(tiers, key=lambda one: (taken[one], -tiers[one]))
    files = [file for file in dict.fromkeys(left) if _tier_of(file) == tier]
    free = [file for file in files if file not in others] or files
    return free[-1] if taken[tier] else free[0]


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _tier_of(file: str) -> str:
    return file.rpartition("/")[0]
