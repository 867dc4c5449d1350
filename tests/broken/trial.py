"""A broken image, built and put to the tests that have to notice."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from fly.errors import RegistryError, UntestedImage
from fly.lazy import Lazy
from image.release.content import Content, read_content
from image.release.push import push
from image.release.records import Records
from image.release.registry import Repository
from image.release.report import failure_path
from image.release.stage import PYTEST
from image.release.verify import verify
from tests.broken.making import Broken
from tests.support.evidence import masked
from tests.support.run import Run

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT_S = 900
GOOD_TIME_LIMIT_S = 3600
NOWHERE = Repository("127.0.0.1:1", "nowhere")


class TrialError(Exception):
    """The tests could not be run to their end."""


@dataclass(frozen=True)
class Outcome:
    """What one test said of an image."""

    test: str
    passed: bool
    complaint: str = ""


@dataclass(frozen=True)
class Good:
    """The good image: it has to pass each of these."""

    tests: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether the tests noticed, and for the right reason."""

    name: str
    breaks: str
    caught: bool
    explanation: str
    seconds: float


def try_out(client: docker.DockerClient, run: Run, good: str, broken: Broken) -> Verdict:
    """Builds it, asks the tests, removes it."""
    began = time.monotonic()
    explanation = _why_not_caught(client, run, good, broken)
    return Verdict(
        broken.name,
        broken.breaks,
        caught=not explanation,
        explanation=explanation or ", ".join(test.partition("::")[2] for test in broken.fails),
        seconds=round(time.monotonic() - began, 1),
    )


@dataclass(frozen=True)
class Whole:
    """All of `verify`, and a push: of a broken image, or (None) of the good one for the so-manyth time."""

    broken: Broken | None = None
    number: int = 1


@dataclass(frozen=True)
class Proved:
    """What `verify` has recorded, and what a push said afterwards; nothing if it would have gone out."""

    why: str
    broken: dict[str, str]
    """By test what each broken promise complains of."""
    refusal: str


def try_whole(client: docker.DockerClient, run: Run, good: str, whole: Whole, kept: Path) -> Verdict:
    """Takes the time of a verification; nothing of it is in the operator's record.

    What a failure of the good image left is put into a folder in `kept`: it may not come twice.
    """
    began = time.monotonic()
    if whole.broken is None:
        explanation = _not_good(proved(client, good, kept / f"good-{whole.number}"))
        name, breaks = f"{good}, whole ({whole.number})", "Nothing"
    else:
        explanation = _not_whole(client, run, good, whole.broken)
        name, breaks = f"{whole.broken.name}, whole", whole.broken.breaks
    return Verdict(
        *(name, breaks),
        caught=not explanation,
        explanation=explanation or ("passes, and may go out" if whole.broken is None else "may not go out"),
        seconds=round(time.monotonic() - began, 1),
    )


def proved(client: docker.DockerClient, image: str, kept: Path | None = None) -> Proved:
    """The verdict of the real `verify` over it, in a record of its own, and then a real push.

    `kept` takes what a failed one left.
    """
    with tempfile.TemporaryDirectory() as name, Records(Path(name) / "releases.sqlite") as records:
        folder, content = Path(name) / "evidence", read_content(client, image)
        found = verify(client, records, content, folder=folder, watch=lambda _step: None)
        if kept:
            shutil.rmtree(kept, ignore_errors=True)
        if kept and found.why:
            shutil.copytree(folder, kept)
        broken = {
            one.test: f"{one.reason}\n{_story(folder, one.test)}"
            for one in records.outcomes(found.number)
            if not one.is_kept
        }
        return Proved(found.why, broken, _refusal(client, records, content))


def _story(folder: Path, test: str) -> str:
    path = failure_path(folder, test)
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _refusal(client: docker.DockerClient, records: Records, content: Content) -> str:
    """A push to where nobody listens: what may go out fails there, and what may not before."""
    try:
        push(client, records, content, repository=NOWHERE, login=None, report=lambda _line: None)
    except UntestedImage as error:
        return str(error)
    except RegistryError:
        pass
    return ""


def _not_good(found: Proved) -> str:
    if found.broken or found.why:
        complaints = "; ".join(f"{test} ({_in_short(said)})" for test, said in found.broken.items())
        return f"fails: {found.why}: {complaints}"
    return f"may not go out: {_in_short(found.refusal)}" if found.refusal else ""


def _not_whole(client: docker.DockerClient, run: Run, good: str, broken: Broken) -> str:
    try:
        with _built(client, run, good, broken) as tag:
            return judge_whole(broken, proved(client, tag))
    except docker.errors.DockerException as error:
        return f"could not be built: {error}"


def judge_whole(broken: Broken, found: Proved) -> str:
    """Why `verify` has not done what it is for; nothing if it has.

    What the quick tests have found is not tried any further: then any of them will do.
    """
    if not found.broken:
        return "slipped through verify"
    if found.why not in found.refusal or not found.refusal:
        return f"was not refused for what is broken: {_in_short(found.refusal) or 'it would have gone out'}"
    told = "\n".join(f"{test} {said}" for test, said in found.broken.items())
    if broken.whole and not re.search(broken.whole, told):
        return f"verify does not say /{broken.whole}/: {_in_short(told)}"
    if "among the quick tests" in found.why:
        return ""
    named = {
        test.removeprefix("tests/"): said
        for test, said in found.broken.items()
        if any(_is_case(test.removeprefix("tests/"), one) for one in broken.fails)
    }
    if not any(re.search(broken.because, said) for said in named.values()):
        return f"verify names other promises, or other reasons: {_in_short(told)}"
    return ""


def try_good(image: str, good: Good) -> Verdict:
    """The good image has to pass every test that a broken one must fail."""
    began = time.monotonic()
    try:
        outcomes = outcomes_of(image, good.tests, time_limit_s=GOOD_TIME_LIMIT_S)
    except TrialError as error:
        outcomes = [Outcome("everything", False, str(error))]
    failed = [f"{one.test} ({_in_short(one.complaint)})" for one in outcomes if not one.passed]
    return Verdict(
        image,
        "Nothing",
        caught=bool(outcomes) and not failed,
        explanation=f"fails {', '.join(failed)}" if failed else f"passes all {len(outcomes)}",
        seconds=round(time.monotonic() - began, 1),
    )


def _why_not_caught(client: docker.DockerClient, run: Run, good: str, broken: Broken) -> str:
    try:
        with _built(client, run, good, broken) as tag:
            outcomes = outcomes_of(tag, (*broken.fails, *broken.holds))
    except docker.errors.DockerException as error:
        return f"could not be built: {error}"
    except TrialError as error:
        return str(error)
    return judge(broken, outcomes)


def judge(broken: Broken, outcomes: list[Outcome]) -> str:
    """Why this does not count as noticed for the right reason; nothing if it does."""
    for test in broken.fails:
        about = [one for one in outcomes if _is_case(one.test, test)]
        complaints = [one.complaint for one in about if not one.passed]
        if not about:
            return f"{test} did not run"
        if not complaints:
            return f"slipped through {test}"
        if not any(re.search(broken.because, complaint) for complaint in complaints):
            return f"{test} failed for another reason than /{broken.because}/: {_in_short(complaints[0])}"
    for test in broken.holds:
        about = [one for one in outcomes if _is_case(one.test, test)]
        if not about or not all(one.passed for one in about):
            return f"{test} has nothing to do with it and does not pass"
    return ""


def _is_case(test: str, wanted: str) -> bool:
    return test == wanted or test.partition("[")[0] == wanted


def _in_short(complaint: str) -> str:
    return masked(" ".join(complaint.split()))[:200]


# --- the tests ------------------------------------------------------------------------------------


def outcomes_of(image: str, tests: Iterable[str], time_limit_s: float = TIME_LIMIT_S) -> list[Outcome]:
    """What each of these tests (and each case of it) says of this image.

    Errors: TrialError.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        try:
            done = subprocess.run(
                (
                    *(*PYTEST, "--numprocesses=0", f"--image={image}", f"--junitxml={report}"),
                    *(f"tests/{test}" for test in dict.fromkeys(tests)),
                ),
                cwd=ROOT,
                env=_environment(folder),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=time_limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TrialError(f"the tests took more than {time_limit_s} s") from None
        if done.returncode not in {0, 1}:
            raise TrialError(f"pytest ended with {done.returncode}: {masked(done.stdout[-2000:])}")
        return list(_outcomes(ElementTree.parse(report)))


def _environment(folder: str) -> dict[str, str]:
    """Ours, without what a pytest around this one says; what a broken image leaves is nobody's figure."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**ours, "MY_JARVIS_TEST_OUTPUT": folder}


def _outcomes(report: ElementTree.ElementTree[ElementTree.Element]) -> Iterator[Outcome]:
    for case in report.iter("testcase"):
        wrong = [*case.iter("failure"), *case.iter("error")]
        path = case.get("classname", "").removeprefix("tests.").replace(".", "/")
        complaint = "\n".join(line for one in wrong for line in _complaint(one))
        yield Outcome(f"{path}.py::{case.get('name')}", not wrong, complaint)


def _complaint(one: ElementTree.Element) -> list[str]:
    """What pytest marks as such; around it stands the test's own source, which holds any word."""
    marked = [line[1:].strip() for line in (one.text or "").splitlines() if line.startswith("E ")]
    return [one.get("message", ""), *marked]


# --- the image ------------------------------------------------------------------------------------


@contextmanager
def _built(client: docker.DockerClient, run: Run, good: str, broken: Broken) -> Iterator[str]:
    """The tag of the broken image, which is gone afterwards; a crash leaves it to the next run's sweep."""
    tag = f"my-jarvis-broken:{broken.name}-{run.id.rpartition('.')[2]}"
    dockerfile = "\n".join((f"FROM {good}", "USER root", *broken.layers, ""))
    try:
        client.images.build(
            fileobj=io.BytesIO(dockerfile.encode()),
            tag=tag,
            rm=True,
            forcerm=True,
            network_mode="none",
            labels=run.labels,
        )
        yield tag
    finally:
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(tag, force=True)
