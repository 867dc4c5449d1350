"""The record of what was proved, and the rule that rests on it."""

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fly.errors import UntestedImage
from image.release.content import Content, Layer
from image.release.records import PASSED, Outcome, Push, Records, missing_proof, proof, proofs
from image.release.suite import Suite

SUITE = Suite("abc", "1" * 64)
NEWER_SUITE = Suite("def", "2" * 64)
CONTENT = Content("sha256:" + "a" * 64, "my-jarvis:latest", 700, (Layer("sha256:1", 700, "COPY"),), {}, "")
KEPT = Outcome("tests/image/test_page.py::test_health", "image", "Health is ok.", PASSED, 0.1)
BROKEN = Outcome(
    "tests/image/test_life.py::test_root", "image", "Nothing runs as root.", "failed", 0.2, "uid 0"
)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with Records(tmp_path / "releases.sqlite") as records:
        yield records


def verified(records: Records, *outcomes: Outcome, suite: Suite = SUITE, content: Content = CONTENT) -> int:
    number = records.begin(content, suite, {"cpus": 2})
    for outcome in outcomes:
        records.note(number, outcome)
    is_kept = all(outcome.is_kept for outcome in outcomes)
    records.conclude(number, passed=is_kept, seconds=1.5, why="" if is_kept else "1 broken promise")
    return number


def test_what_passed_may_be_released(records: Records) -> None:
    number = verified(records, KEPT)
    assert missing_proof(records, CONTENT, SUITE) == []
    assert proof(records, CONTENT, SUITE).number == number


def test_what_nobody_verified_may_not(records: Records) -> None:
    assert "never verified" in missing_proof(records, CONTENT, SUITE)[0]
    with pytest.raises(UntestedImage, match="never verified"):
        proof(records, CONTENT, SUITE)


def test_another_content_of_the_same_name_may_not(records: Records) -> None:
    verified(records, KEPT)
    assert missing_proof(records, replace(CONTENT, id="sha256:" + "b" * 64), SUITE)


def test_tests_that_have_changed_since_do_not_count(records: Records) -> None:
    verified(records, KEPT)
    [missing] = missing_proof(records, CONTENT, NEWER_SUITE)
    assert "another version of the tests" in missing


def test_each_broken_promise_is_named(records: Records) -> None:
    verified(records, KEPT, BROKEN)
    assert missing_proof(records, CONTENT, SUITE) == ["1 broken promise", "broken: Nothing runs as root."]


def test_the_last_verification_decides(records: Records) -> None:
    verified(records, KEPT)
    verified(records, BROKEN)
    assert missing_proof(records, CONTENT, SUITE)
    verified(records, KEPT)
    assert missing_proof(records, CONTENT, SUITE) == []


def test_what_passed_on_another_engine_may_not(records: Records) -> None:
    verified(records, KEPT, content=replace(CONTENT, engine="other"))
    [missing] = missing_proof(records, replace(CONTENT, engine="this"), SUITE)
    assert missing.endswith("was never verified here; the record tells of other engines only")
    verified(records, KEPT, content=replace(CONTENT, engine="this"))
    verified(records, BROKEN, content=replace(CONTENT, engine="other"))
    assert missing_proof(records, replace(CONTENT, engine="this"), SUITE) == []


@pytest.mark.parametrize("outcomes", [(), (BROKEN,), (KEPT, BROKEN)])
def test_a_verdict_that_its_own_outcomes_contradict_proves_nothing(
    records: Records, outcomes: tuple[Outcome, ...]
) -> None:
    number = records.begin(CONTENT, SUITE, {})
    for outcome in outcomes:
        records.note(number, outcome)
    records.conclude(number, passed=True, seconds=1, why="")
    assert "contradicts itself" in missing_proof(records, CONTENT, SUITE)[0]


def test_a_verification_under_way_has_not_passed(records: Records) -> None:
    records.note(records.begin(CONTENT, SUITE, {}), KEPT)
    assert "under way" in missing_proof(records, CONTENT, SUITE)[0]


def _begin_and_die(path: Path) -> None:
    records = Records(path)
    records.note(records.begin(CONTENT, SUITE, {}), KEPT)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_verification_that_was_killed_has_not_passed_and_what_it_saw_is_kept(
    records: Records, tmp_path: Path
) -> None:
    verified(records, KEPT)
    killed = multiprocessing.get_context("spawn").Process(
        target=_begin_and_die, args=(tmp_path / "releases.sqlite",)
    )
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert "was killed" in missing_proof(records, CONTENT, SUITE)[0]
    assert proofs(records) == {}
    last = records.verifications()[-1]
    assert (last.verdict, records.outcomes(last.number)) == ("killed", [KEPT])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE verdicts SET passed = 1",
        "DELETE FROM outcomes",
        "UPDATE pushes SET digest = 'x'",
        "DELETE FROM verdicts",
        "INSERT INTO verdicts VALUES (1, 'now', 1, 0, '')",
    ],
)
def test_nothing_that_is_written_can_be_changed(records: Records, tmp_path: Path, statement: str) -> None:
    number = verified(records, BROKEN)
    records.pushed(records.verification(number), "r", "sha256:1", ["latest"], 1)
    database = sqlite3.connect(tmp_path / "releases.sqlite")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    database.close()


def test_latest_is_what_was_promoted_last(records: Records) -> None:
    proven = records.verification(verified(records, KEPT))
    first = records.pushed(proven, "registry/a", "sha256:1", ["d", "latest"], 1)
    second = records.pushed(proven, "registry/a", "sha256:2", ["e", "latest"], 1)
    other = records.pushed(proven, "registry/b", "sha256:3", ["latest"], 1)
    assert (records.current("registry/a"), records.current("registry/b")) == (second, other)
    records.promoted("registry/a", "sha256:1", "promoted")
    assert records.current("registry/a") == first
    assert records.current() == first


def named(records: Records, letter: str) -> Content:
    """Another content, which has passed."""
    content = replace(CONTENT, id="sha256:" + letter * 64)
    verified(records, KEPT, content=content)
    return content


def released(records: Records, repository: str, letter: str) -> Push:
    content = named(records, letter)
    proven = records.verifications(content.id)[-1]
    return records.pushed(proven, repository, f"sha256:{letter}", ["latest"], 1)


def test_the_release_before_is_what_is_latest_in_the_repository(records: Records) -> None:
    first, second = released(records, "registry/a", "1"), released(records, "registry/a", "2")
    elsewhere = released(records, "registry/b", "3")
    new = named(records, "4").id
    assert records.release_before(new, "registry/a") == second
    assert records.release_before(new, "registry/b") == records.release_before(new) == elsewhere
    assert records.release_before(new, "registry/never") == elsewhere
    records.promoted("registry/a", first.digest, "promoted")
    assert records.release_before(new, "registry/a") == first, "a rollback counts"
    assert records.release_before(first.image, "registry/a") == second, "nothing comes before itself"


def test_without_a_release_there_is_none_before(records: Records) -> None:
    assert records.release_before(CONTENT.id, "registry/a") is records.release_before(CONTENT.id) is None
    only = released(records, "registry/a", "1")
    assert records.release_before(only.image, "registry/a") is None


def test_a_content_is_proved_by_its_last_verification_that_is_over(records: Records) -> None:
    here, there = replace(CONTENT, engine="here"), replace(CONTENT, engine="there")
    proven = verified(records, KEPT, content=here)
    assert [one.number for one in proofs(records).values()] == [proven]
    assert proofs(records, "here").keys() == {CONTENT.id}
    assert proofs(records, "there") == {}
    records.begin(here, NEWER_SUITE, {})
    assert proofs(records, "here").keys() == {CONTENT.id}, "one under way takes nothing away"
    verified(records, BROKEN, content=there)
    assert proofs(records) == {}
    assert proofs(records, "here").keys() == {CONTENT.id}
    verified(records, KEPT, content=there, suite=NEWER_SUITE)
    assert proofs(records).keys() == {CONTENT.id}


def test_a_record_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "releases.sqlite").write_text("not a database, and longer than one would think " * 20)
    with pytest.raises(UntestedImage, match="refuses: file is not a database"):
        Records(tmp_path / "releases.sqlite")


def test_a_record_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "releases.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UntestedImage, match="newer"):
        Records(tmp_path / "releases.sqlite")
