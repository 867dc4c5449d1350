"""How `verify` comes to its verdict: the real one, with what pytest would tell of each stage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import docker
import pytest

from fly.errors import UntestedImage
from image.release import verify as under_test
from image.release.budget import LINES
from image.release.content import Content, Layer
from image.release.records import Outcome, Records, Verification, missing_proof
from image.release.sbom import Sbom
from image.release.stage import Stage, log_of
from image.release.suite import Suite, read_suite
from image.release.verify import Step, verify
from tests.support.fakeengine import FakeEngine
from tests.unit.release.test_bill import DOCUMENT, TOLD

LAYERS = (
    Layer("sha256:1", 300_000_000, "RUN apt-get install"),
    Layer("sha256:2", 40_000_000, "COPY dir:1 in /"),
)
CONTENT = Content("sha256:" + "a" * 64, "x", 340_000_000, LAYERS, {}, "", "engine")
SMOKE = "tests/image/test_page.py::test_health_is_ok"
PROMISE = "tests/release/test_chat.py::test_it_answers"
SPEED = "tests/release/test_latency.py::test_it_starts_from_stopped"
FIGURES = {
    "image": ("kilobytes", 340_000),
    "image without the Claude binary": ("kilobytes", 100_000),
    "first page load, compressed": ("kilobytes", 35),
    "stopped -> 200": ("min_ms", 500),
    "stopped -> 200, static server in the same image": ("min_ms", 300),
    "suspended -> 200": ("min_ms", 20),
    "suspended -> 200, static server in the same image": ("min_ms", 15),
    "memory at rest": ("kilobytes", 50_000),
}
"""By what is measured: its unit, and a value that is well within the budget."""

Event = dict[str, Any]


def plan(*tests: str) -> Event:
    return {"event": "plan", "tests": list(tests)}


def end(status: int = 0) -> Event:
    return {"event": "end", "status": status}


def outcome(test: str, outcome: str = "passed", **more: Any) -> Event:
    told = {"promise": "It holds.", "seconds": 0.1, "reason": "", "detail": "", "figures": []}
    return {"event": "outcome", "test": test, "outcome": outcome, **told, **more}


def measured(**changed: float) -> list[Event]:
    """The figures as the measuring tests tell them; `changed` by the first word of what is measured."""
    return [
        {"topic": "t", "what": what, unit: changed.get(what.partition(" ")[0], value)}
        for what, (unit, value) in FIGURES.items()
    ]


def good() -> dict[str, list[Event]]:
    """What a good image lets pytest say, stage by stage."""
    return {
        "smoke": [plan(SMOKE), outcome(SMOKE), end()],
        "promises": [plan(PROMISE), outcome(PROMISE), end()],
        "measures": [plan(SPEED), outcome(SPEED, figures=measured()), end()],
    }


@dataclass
class Bench:
    """`told` is what each stage says; what is said in a stage's second run follows in `again`."""

    records: Records
    engine: FakeEngine
    folder: Path
    told: dict[str, list[Event]] = field(default_factory=good)
    again: dict[str, list[list[Event]]] = field(default_factory=dict)
    sbom: str = ""
    tells: dict[str, Any] = field(
        default_factory=lambda: {
            **TOLD,
            "imports": {"starlette": 20.0, "claude_agent_sdk": 480.0},
            "assets": {"m.js": 30},
        }
    )
    ran: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def events(
        self, stage: Stage, _image: str, folder: Path, _environment: Mapping[str, str]
    ) -> Iterator[Event]:
        self.ran.append(stage.name)
        folder.mkdir(parents=True, exist_ok=True)
        log_of(stage, folder).write_text("first\nlast words\n", encoding="utf-8")
        later = self.again.get(stage.name)
        for event in later.pop(0) if later else self.told.get(stage.name, []):
            if isinstance(event.get("raises"), BaseException):
                raise event["raises"]
            yield event

    def lists(self, _image: str, _archive: Path, path: Path) -> Sbom:
        path.write_text(json.dumps(DOCUMENT), encoding="utf-8")
        return Sbom(path, {}, "syft", trouble=self.sbom)

    def verifies(self, **options: Any) -> Verification:
        client = cast(docker.DockerClient, self.engine)
        return verify(client, self.records, CONTENT, folder=self.folder, watch=self._watch, **options)

    def _watch(self, now: Step) -> None:
        self.steps.append(replace(now, done=dict(now.done), planned=dict(now.planned)))

    def broken(self, found: Verification) -> dict[str, Outcome]:
        return {one.test: one for one in self.records.outcomes(found.number) if not one.is_kept}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Records(tmp_path / "releases.sqlite") as records:
        made = Bench(records, FakeEngine(tmp_path), tmp_path / "out")
        monkeypatch.setattr(under_test, "events", made.events)
        monkeypatch.setattr(under_test, "save", lambda *_given: None)
        monkeypatch.setattr(under_test, "read_layers", lambda *_given: {"layers": {}})
        monkeypatch.setattr(under_test, "write_sbom", made.lists)
        monkeypatch.setattr(under_test, "inspect", lambda *_given: made.tells)
        yield made


def test_what_keeps_all_its_promises_passes_and_may_be_released(bench: Bench) -> None:
    found = bench.verifies()
    assert (found.verdict, found.why) == ("passed", "")
    assert bench.ran == ["smoke", "promises", "measures"]
    outcomes = {one.test: one.outcome for one in bench.records.outcomes(found.number)}
    assert set(outcomes.values()) == {"passed"}
    assert {SMOKE, PROMISE, SPEED, "sbom::spdx", *(f"budget::{line}" for line in LINES)} == set(outcomes)
    assert bench.records.figures(found.number)["memory at rest: kilobytes"] == 50_000
    assert bench.records.kept(found.number, "imports")["claude_agent_sdk"] == 480
    assert missing_proof(bench.records, CONTENT, read_suite()) == []


def test_each_step_is_shown_with_how_far_each_tier_is(bench: Bench) -> None:
    bench.verifies()
    first, second, *_ = bench.steps
    assert (first.stage, first.planned, first.outcome) == ("smoke", {"image": 1}, None)
    assert (second.done["image"], second.outcome and second.outcome.test) == (1, SMOKE)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ([plan(PROMISE), outcome(PROMISE, "failed", reason="gone"), end(1)], "gone"),
        ([plan(PROMISE), outcome(PROMISE, "skipped", reason="not today"), end()], "not today"),
        ([plan(PROMISE), end()], "it never ended"),
    ],
    ids=["failed", "skipped", "missing"],
)
def test_a_promise_that_is_not_kept_is_a_verdict(bench: Bench, told: list[Event], reason: str) -> None:
    bench.told["promises"] = told
    found = bench.verifies()
    assert (found.verdict, found.why) == ("failed", "1 broken promise")
    assert bench.broken(found)[PROMISE].reason == reason
    assert bench.ran == ["smoke", "promises", "measures"], "the others are tried all the same"
    assert missing_proof(bench.records, CONTENT, read_suite()) == ["1 broken promise", *_named(bench, found)]


def _named(bench: Bench, found: Verification) -> list[str]:
    return [f"broken: {one.promise}" for one in bench.broken(found).values()]


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([plan(PROMISE), outcome(PROMISE), end(3)], "3"),
        ([plan(PROMISE), outcome(PROMISE)], "None"),
        ([], "None"),
        ([end(5)], "5"),
    ],
    ids=["an error of its own", "killed", "never began", "found no test"],
)
def test_a_pytest_that_gave_up_proves_nothing(bench: Bench, told: list[Event], status: str) -> None:
    bench.told["promises"] = told
    found = bench.verifies()
    assert found.verdict == "failed"
    assert f"pytest gave up ({status}): first / last words" in bench.broken(found)["stage promises"].reason


def test_what_fails_the_quick_tests_is_known_at_once(bench: Bench) -> None:
    bench.told["smoke"] = [plan(SMOKE), outcome(SMOKE, "failed"), end(1)]
    found = bench.verifies()
    assert bench.ran == ["smoke"]
    assert found.why == "1 broken promise among the quick tests; the others were not tried"
    assert bench.verifies(keep_going=True).why == "1 broken promise"
    assert bench.ran == ["smoke", "smoke", "promises", "measures"]


def test_a_test_that_is_told_twice_counts_once(bench: Bench) -> None:
    bench.told["promises"] = [plan(PROMISE), outcome(PROMISE), outcome(PROMISE, "failed"), end()]
    assert bench.verifies().verdict == "passed"


def test_the_story_of_what_failed_is_kept_and_nothing_of_an_earlier_one(bench: Bench) -> None:
    bench.told["promises"] = [plan(PROMISE), outcome(PROMISE, "failed", detail="the whole story"), end(1)]
    bench.verifies()
    assert [one.read_text() for one in (bench.folder / "failures").iterdir()] == ["the whole story"]
    bench.told = good()
    bench.verifies()
    assert not (bench.folder / "failures").exists()


def test_a_bill_of_materials_that_cannot_be_made_is_a_broken_promise(bench: Bench) -> None:
    bench.sbom = "syft is not installed"
    found = bench.verifies()
    assert (found.verdict, bench.broken(found)["sbom::spdx"].reason) == ("failed", "syft is not installed")


def test_so_is_one_that_lacks_what_the_page_is_made_of(bench: Bench) -> None:
    del bench.tells["npm"]
    assert "npm" in bench.broken(bench.verifies())["sbom::spdx"].reason


@pytest.mark.parametrize(
    ("changed", "line", "named"),
    [
        ({"image": 900_000}, "image_mb", "RUN apt-get install"),
        ({"first": 80}, "first_page_kb", "m.js"),
        ({"memory": 90_000}, "memory_at_rest_mb", "claude_agent_sdk"),
    ],
)
def test_a_budget_that_is_broken_names_what_is_heavy(
    bench: Bench, changed: dict[str, float], line: str, named: str
) -> None:
    bench.told["measures"] = [plan(SPEED), outcome(SPEED, figures=measured(**changed)), end()]
    found = bench.verifies()
    assert found.verdict == "failed"
    breach = bench.broken(found)[f"budget::{line}"]
    assert breach.tier == "budget"
    assert "are allowed" in breach.reason
    assert named in breach.reason


def test_what_was_not_measured_is_a_broken_budget(bench: Bench) -> None:
    bench.told["measures"] = [plan(SPEED), outcome(SPEED), end()]
    found = bench.verifies()
    assert set(bench.broken(found)) == {f"budget::{line}" for line in LINES}


SLOW = [{"topic": "t", "what": "stopped -> 200", "min_ms": 900}]
FAST = [{"topic": "t", "what": "stopped -> 200", "min_ms": 450}]


def cold_start(figures: list[Event]) -> list[Event]:
    return [plan(SPEED), outcome(SPEED, figures=figures), end()]


def test_what_seems_too_slow_is_measured_again_and_the_best_counts(bench: Bench) -> None:
    bench.again = {"cold-starts": [cold_start(SLOW), cold_start(FAST)]}
    bench.told["measures"] = cold_start([one for one in measured() if one["what"] != "stopped -> 200"] + SLOW)
    found = bench.verifies()
    assert (found.verdict, bench.ran[3:]) == ("passed", ["cold-starts", "cold-starts"])
    assert bench.records.figures(found.number)["stopped -> 200: min_ms"] == 450


def test_what_stays_slow_is_not_measured_for_ever(bench: Bench) -> None:
    slow = [one for one in measured() if one["what"] != "stopped -> 200"] + SLOW
    bench.told |= {"measures": cold_start(slow), "cold-starts": cold_start(SLOW)}
    found = bench.verifies()
    assert bench.ran[3:] == ["cold-starts"] * under_test.TRIES_MORE
    assert "claude_agent_sdk" in bench.broken(found)["budget::cold_start_ratio"].reason


def test_it_is_held_against_the_release_before(bench: Bench) -> None:
    bench.told["measures"] = cold_start(measured(first=20))
    release = bench.records.pushed(bench.verifies(), "registry/a", "sha256:1", ["latest"], 1)
    bench.told["measures"] = cold_start(measured(first=35))
    assert bench.verifies().verdict == "passed", "35 KB are within the budget"
    found = bench.verifies(release_before=release)
    assert bench.records.compared_with(found.number) == bench.records.verification(release.verification)
    assert "10 % more than the last release's 20.00" in bench.broken(found)["budget::first_page_kb"].reason


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), RuntimeError("no engine")])
def test_a_verification_that_was_broken_off_has_no_verdict(bench: Bench, trouble: BaseException) -> None:
    bench.told["promises"] = [plan(PROMISE), {"raises": trouble}]
    with pytest.raises(type(trouble)):
        bench.verifies()
    [found] = bench.records.verifications()
    assert found.passed is None
    assert [one.test for one in bench.records.outcomes(found.number)] == [SMOKE], "what was seen is kept"
    assert missing_proof(bench.records, CONTENT, read_suite()) != []


def test_tests_that_change_while_they_run_prove_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter([Suite("c", "1" * 64), Suite("c", "2" * 64)])
    monkeypatch.setattr(under_test, "read_suite", lambda: next(versions))
    assert bench.verifies().why == "the tests were changed while they ran"


def test_two_at_once_are_one_too_many(bench: Bench) -> None:
    bench.records.begin(CONTENT, read_suite(), {})
    with pytest.raises(UntestedImage, match="being verified already"):
        bench.verifies()


def test_where_it_was_tried_is_told(bench: Bench) -> None:
    environment = bench.verifies().environment
    assert (environment["engine"], environment["cpus"]) == ("20.10", os.cpu_count())
