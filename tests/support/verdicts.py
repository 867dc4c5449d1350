"""A pytest plugin that tells another program what becomes of each promise, as it happens.

`--verdicts FD` names an open file descriptor; each line written to it is one JSON object:

{"event": "plan", "tests": ["tests/image/test_page.py::test_health_is_ok", ...]}
{"event": "outcome", "test": ..., "promise": ..., "outcome": "passed", "seconds": 0.2, "reason": "",
 "detail": "", "figures": []}
{"event": "end", "status": 0}
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support import figures
from tests.support.evidence import masked

DETAIL_CHARACTERS = 20_000
REASON_CHARACTERS = 400


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--verdicts", type=int, metavar="FD", help="write what happens to this descriptor, as JSON"
    )
    parser.addoption(
        "--first",
        action="append",
        default=[],
        metavar="TEST",
        help="run it before the others; several in this order",
    )


def pytest_configure(config: pytest.Config) -> None:
    descriptor = config.getoption("--verdicts")
    if descriptor is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Verdicts(descriptor))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that take longest begin first, so that nobody waits for one of them in the end."""
    places = {test: place for place, test in enumerate(config.getoption("--first"))}
    items.sort(key=lambda item: places.get(item.nodeid, len(places)))


class Verdicts:
    """Writes one line for each promise, once its test is over."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._phases: dict[str, list[pytest.TestReport]] = {}
        self._is_planned = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._plan([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:
        self._plan(ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._say(event="outcome", **_collection_error(report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        phases = self._phases.setdefault(report.nodeid, [])
        phases.append(report)
        if report.when not in {"setup", "call"}:  # the teardown, or the death of the process that ran it
            self._say(event="outcome", **_outcome(self._phases.pop(report.nodeid)))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._say(event="end", status=int(exitstatus))

    def _plan(self, tests: Sequence[str]) -> None:
        if tests and not self._is_planned:
            self._is_planned = True
            self._say(event="plan", tests=list(tests))

    def _say(self, **event: Any) -> None:
        line = json.dumps(event, ensure_ascii=False).encode(errors="replace") + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except BrokenPipeError:
            pytest.exit("whoever wanted the verdicts is gone", returncode=3)


def _outcome(phases: Sequence[pytest.TestReport]) -> dict[str, Any]:
    properties = [one for phase in phases for one in phase.user_properties]
    wrong = next((phase for phase in phases if not phase.passed or hasattr(phase, "wasxfail")), None)
    return {
        "test": phases[0].nodeid,
        "promise": next(
            (value for key, value in properties if key == "promise"), _sentence(phases[0].nodeid)
        ),
        "outcome": "passed" if wrong is None else "failed" if wrong.failed else "skipped",
        "seconds": round(sum(phase.duration for phase in phases), 3),
        "reason": _reason(wrong) if wrong else "",
        "detail": _detail(wrong) if wrong else "",
        "figures": [value for key, value in phases[-1].user_properties if key == figures.PROPERTY],
    }


def _collection_error(report: pytest.CollectReport) -> dict[str, Any]:
    text = masked(report.longreprtext)
    return {
        "test": report.nodeid or "collection",
        "promise": "The tests can be read.",
        "outcome": "failed",
        "seconds": 0.0,
        "reason": text.strip().splitlines()[-1][:REASON_CHARACTERS] if text.strip() else "unreadable",
        "detail": text[-DETAIL_CHARACTERS:],
        "figures": [],
    }


def _sentence(test: str) -> str:
    """The name of a test whose promise is its name."""
    name = test.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    return f"{name[:1].upper()}{name[1:]}."


def _reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    lines = [line.strip() for line in masked(text).splitlines() if line.strip()]
    return " ".join(lines)[:REASON_CHARACTERS] or f"{report.when} {report.outcome}"


def _detail(report: pytest.TestReport) -> str:
    pieces = [report.longreprtext, *(f"--- {title}\n{text}" for title, text in report.sections)]
    return masked("\n\n".join(pieces))[-DETAIL_CHARACTERS:]
