"""The image, release and browser tests over one image, and the verdict in the record.

A few quick ones come first, so that a broken image is known as such within seconds; what is measured comes
last, when nothing else runs. In between there are more tests at once than processors, since most of them wait
most of the time, and the image is read beside them.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly.errors import UntestedImage
from fly.lazy import Lazy
from image.patience import patience
from image.release.bill import complete
from image.release.budget import Breach, Limit, breaches, figure_name, limits, value_of
from image.release.content import Content
from image.release.inspection import inspect, part_of, read_layers, save
from image.release.records import COMPARED_WITH, EFFORTS, PASSED, Outcome, Push, Records, Verification
from image.release.report import failure_path
from image.release.sbom import Sbom, write_sbom
from image.release.stage import Effort, Progress, Stage, events, last_words, tier_of
from image.release.suite import TIERS, Suite, read_budget, read_growth, read_suite

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

SMOKE = (
    "tests/image/test_page.py::test_health_is_ok",
    "tests/image/test_page.py::test_the_page_is_whole",
    "tests/image/test_claude.py::test_nobody_is_logged_in_at_first",
    "tests/image/test_contents.py::test_claude_is_the_one_that_the_sdk_was_made_for",
    "tests/image/test_contents.py::test_the_description_keeps_no_secret",
    "tests/image/test_contents.py::test_labels_say_what_it_is",
    "tests/image/test_life.py::test_nothing_runs_as_root",
    "tests/image/test_life.py::test_the_first_process_is_an_init",
    "tests/image/test_terminal.py::test_it_is_jarviss_shell_in_the_workspace",
    "tests/image/test_data.py::test_a_new_volume_becomes_a_workspace",
)
LONGEST = (
    "tests/release/test_persistence.py::test_many_nights_change_nothing",
    "tests/release/test_chat.py::test_a_small_machine_is_enough",
    "tests/release/test_upgrade.py::test_a_workspace_goes_to_this_release_and_back",
    "tests/browser/test_reach.py::test_axe_finds_nothing_serious_beside_the_chat[desktop]",
    "tests/browser/test_reach.py::test_axe_finds_nothing_serious_beside_the_chat[phone]",
)
"""Come first of all, and their files with them, so that nobody waits for them in the end."""
LATENCY = "tests/release/test_latency.py"
_SPEED = "tests/image/test_speed.py"
MEASURES = (
    LATENCY,
    f"{_SPEED}::test_the_page_comes_at_once",
    f"{_SPEED}::test_it_ends_in_the_time_that_the_engine_gives_it",
)
"""Times: of these alone the rest of what a machine does would be a part."""
OPERATORS = ("tests/browser/test_dashboard.py", "tests/browser/test_invoices.py")
"""Pages that the operator's own tools make: no image has a part in them, and `invoke test` tries them."""
TRIED_AGAIN = {
    "cold_start_ratio": Stage("cold-starts", (f"{LATENCY}::test_it_starts_from_stopped",)),
    "wake_ratio": Stage("wakes", (f"{LATENCY}::test_it_wakes_from_a_suspend",)),
}
"""Lines of the budget that depend on what else the machine does, and what measures them."""
TRIES_MORE = 2
BEST = "min_ms"
SMOKE_LIMIT_S, LIMIT_S = 15, 180
"""How long one test may take on a machine that has nothing else to do."""
MOST_JOBS = 4
EVIDENCE = ("failures", "pictures", "transcripts")
SBOM_FILE = "sbom.spdx.json"
SAVED_FILE = "image.tar"
"""The image itself, for as long as it is read."""
BUDGET_TIER = "budget"
JUDGED = "judged"
"""Where an outcome belongs that is no test's."""


@dataclass(frozen=True)
class Step:
    """Something to show: what is under way, and the outcome that has just come in, if it is one."""

    stage: str
    done: dict[str, int]
    planned: dict[str, int]
    outcome: Outcome | None = None


Watch = Callable[[Step], None]


def stages(jobs: int, previous: str = "", saved: Path | None = None) -> tuple[Stage, ...]:
    """Quick, all, measured; together every test of the image once.

    Upgrades begin at the `previous` image; the image under test is being `saved` for whoever reads layers.
    """
    tiers = tuple(f"tests/{tier}" for tier in TIERS)
    options = (
        *(f"--first={one}" for one in LONGEST),
        *((f"--previous={previous}",) if previous else ()),
        *((f"--saved={saved}",) if saved else ()),
    )
    return (
        Stage("smoke", SMOKE, timeout_s=round(SMOKE_LIMIT_S * patience())),
        Stage(
            "promises",
            tiers,
            left_out=(*SMOKE, *MEASURES, *OPERATORS),
            jobs=jobs,
            timeout_s=round(LIMIT_S * patience()),
            options=options,
        ),
        Stage("measures", MEASURES, left_out=SMOKE, timeout_s=round(LIMIT_S * patience())),
    )


def verify(
    client: docker.DockerClient,
    records: Records,
    content: Content,
    *,
    folder: Path,
    watch: Watch,
    keep_going: bool = False,
    previous: str = "",
    release_before: Push | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Verification:
    """The verdict over this content by the tests as they lie here; every outcome is in the record.

    `folder` takes what the tests leave: logs, transcripts, pictures. `keep_going`: on, also after the quick
    tests have found it broken. `previous` is the image that upgrades begin at; without it they begin at
    the image itself. `release_before` is what figures are compared with.

    *Errors*: EngineError, SettingsError. That promises are broken is no error but a verdict.
    """
    _must_be_alone(records, content)
    began = time.monotonic()
    suite = read_suite()
    number = records.begin(content, suite, describe_environment(client))
    _empty(folder)
    run = _Run(
        records=records, number=number, content=content, folder=folder, watch=watch, environment=environment
    )
    jobs = min(MOST_JOBS, (os.cpu_count() or 1) + 1)
    saved = folder / SAVED_FILE
    smoke, promises, measures = stages(jobs, previous, saved)
    records.keep(number, "previous", previous)
    if release_before:
        records.keep(number, COMPARED_WITH, release_before.verification)
    run.through(smoke)
    whole = keep_going or not run.broken
    if whole:
        with _for_a_while(saved), ThreadPoolExecutor(1) as beside:
            reading = beside.submit(_read, client, content.id, saved)
            run.through(promises)
        layers, sbom = reading.result()
        run.through(measures)
        told = inspect(client, content.id)  # it measures too
        for name, value in {**layers, **told}.items():
            records.keep(number, name, value)
        run.list_all(complete(sbom, told))
        allowed = limits(read_budget(), read_growth(), records.figures_before(number))
        run.measure_again(allowed)
        run.judge(allowed)
    run.keep_efforts()
    why = _why(run, whole, suite)
    records.conclude(number, passed=not why, seconds=round(time.monotonic() - began, 1), why=why)
    return records.verification(number)


@contextmanager
def _for_a_while(saved: Path) -> Iterator[None]:
    """Neither an older image lies there, nor this one afterwards."""
    saved.unlink(missing_ok=True)
    try:
        yield
    finally:
        for one in (saved, part_of(saved)):
            one.unlink(missing_ok=True)


def _read(client: docker.DockerClient, image: str, saved: Path) -> tuple[dict[str, Any], Sbom]:
    """What each layer holds, and the bill of materials, which lies beside the report."""
    try:
        save(client, image, saved)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        return {"trouble": str(error)}, Sbom(saved, {}, trouble=f"the image could not be saved: {error}")
    sbom = write_sbom(image, saved, saved.with_name(SBOM_FILE))
    return read_layers(saved), sbom


def describe_environment(client: docker.DockerClient) -> dict[str, Any]:
    """Where it was tried: what a stranger needs to judge the figures."""
    engine = client.version()
    return {
        "engine": engine["Version"],
        "kernel": engine.get("KernelVersion", ""),
        "architecture": engine.get("Arch", ""),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count() or 0,
    }


class _Run:
    """One verification under way."""

    def __init__(
        self,
        *,
        records: Records,
        number: int,
        content: Content,
        folder: Path,
        watch: Watch,
        environment: Mapping[str, str],
    ) -> None:
        self.number = number
        self.broken: list[Outcome] = []
        self._records, self._content, self._folder = records, content, folder
        self._watch, self._environment = watch, environment
        self._done: dict[str, int] = {}
        self._planned: dict[str, int] = {}
        self._figures: dict[str, float] = {}
        self._efforts: dict[str, dict[str, float]] = {}

    def through(self, stage: Stage) -> None:
        """Every test of a stage, each outcome noted as it comes."""
        progress, before = Progress(), Effort.so_far()
        for event in events(stage, self._content.id, self._folder, self._environment):
            self._take(stage, progress, event)
        self._efforts[stage.name] = Effort.so_far().since(before)
        for test in progress.missing:
            never = Outcome(test, tier_of(test), "It is tried to its end.", "missing", 0.0, "it never ended")
            self._note(never, stage.name)
        if progress.status not in (0, 1) or not progress.planned:
            reason = f"pytest gave up ({progress.status}): {last_words(stage, self._folder)}"
            promise = f"The tests of “{stage.name}” can run."
            self._note(Outcome(f"stage {stage.name}", "", promise, "failed", 0.0, reason), stage.name)

    def keep_efforts(self) -> None:
        """What each stage took: of the clock, of our programs, of the machine."""
        self._records.keep(self.number, EFFORTS, self._efforts)

    def list_all(self, sbom: Sbom) -> None:
        """That there is a bill of materials is a promise too."""
        self._records.keep(
            self.number,
            "sbom",
            {"file": SBOM_FILE, "tool": sbom.tool, "counts": sbom.counts, "trouble": sbom.trouble},
        )
        self._note(_sbom_outcome(sbom))

    def measure_again(self, allowed: Mapping[str, Limit]) -> None:
        """What seems too slow is tried anew: what else the machine did may have been the reason."""
        for line, stage in TRIED_AGAIN.items():
            for _ in range(TRIES_MORE):
                ratio = value_of(line, self._figures)
                if ratio is None or line not in allowed or ratio <= allowed[line].most:
                    break
                for event in events(stage, self._content.id, self._folder, self._environment):
                    for figure in event.get("figures", ()):
                        self._measure(figure)

    def judge(self, allowed: Mapping[str, Limit]) -> None:
        """Each line of the budget is a promise too."""
        for name, value in self._figures.items():
            self._records.measure(self.number, name, value)
        last = self._records.compared_with(self.number)
        found = breaches(self._records, self.number, self._content, allowed, last)
        for name, limit in allowed.items():
            breach = next((one for one in found if one.name == name), None)
            self._note(_budget_outcome(name, limit.most, breach))

    def _take(self, stage: Stage, progress: Progress, event: dict[str, Any]) -> None:
        if event["event"] == "plan":
            progress.planned = event["tests"]
            for test in progress.planned:
                self._planned[tier_of(test)] = self._planned.get(tier_of(test), 0) + 1
            self._watch(Step(stage.name, self._done, self._planned))
        elif event["event"] == "end":
            progress.status = event["status"]
        elif event["test"] not in progress.done:  # a file that none can read is told of by each process
            progress.done.add(event["test"])
            self._note(_outcome(event), stage.name)
            for figure in event["figures"]:
                self._measure(figure)
            _keep_detail(self._folder, event)

    def _note(self, outcome: Outcome, stage: str = JUDGED) -> None:
        self._records.note(self.number, outcome)
        self._done[outcome.tier] = self._done.get(outcome.tier, 0) + 1
        if not outcome.is_kept:
            self.broken.append(outcome)
        self._watch(Step(stage, self._done, self._planned, outcome))

    def _measure(self, figure: dict[str, Any]) -> None:
        for unit, value in figure.items():
            if unit not in {"topic", "what"}:
                name = figure_name(figure["what"], unit)
                known = self._figures.setdefault(name, value)
                if name.endswith(BEST):
                    self._figures[name] = min(known, value)


def _outcome(event: dict[str, Any]) -> Outcome:
    return Outcome(
        event["test"],
        tier_of(event["test"]),
        event["promise"],
        event["outcome"],
        event["seconds"],
        event["reason"],
    )


def _budget_outcome(name: str, limit: float, breach: Breach | None) -> Outcome:
    promise = f"The budget is kept: {name.replace('_', ' ')} is at most {limit:.4g}."
    reason = breach.reason if breach else ""
    return Outcome(f"budget::{name}", BUDGET_TIER, promise, "failed" if breach else PASSED, 0.0, reason)


def _keep_detail(folder: Path, event: dict[str, Any]) -> None:
    if event["detail"]:
        path = failure_path(folder, event["test"])
        path.parent.mkdir(exist_ok=True)
        path.write_text(event["detail"], encoding="utf-8")


def _sbom_outcome(sbom: Sbom) -> Outcome:
    promise = (
        "Debian's packages, Python's, the page's and Claude Code are listed: a bill of materials in SPDX."
    )
    return Outcome("sbom::spdx", "content", promise, "failed" if sbom.trouble else PASSED, 0.0, sbom.trouble)


def _must_be_alone(records: Records, content: Content) -> None:
    """Two at once would slow each other, and mix up what they leave."""
    if any(one.is_under_way for one in records.verifications(content.id)):
        raise UntestedImage(f"{content.short_id} is being verified already.", hint="wait for its end")


def _empty(folder: Path) -> None:
    """Nothing of an earlier verification of the same image is taken for this one's."""
    for name in EVIDENCE:
        shutil.rmtree(folder / name, ignore_errors=True)


def _why(run: _Run, whole: bool, suite: Suite) -> str:
    """Why it has not passed; empty if it has."""
    if read_suite().sha256 != suite.sha256:
        return "the tests were changed while they ran"
    if run.broken:
        promises = f"{len(run.broken)} broken promise{'s' if len(run.broken) > 1 else ''}"
        return promises if whole else f"{promises} among the quick tests; the others were not tried"
    return ""
