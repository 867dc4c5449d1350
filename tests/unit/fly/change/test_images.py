"""Which images may be rolled out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fly.change.images import choose, eligible
from fly.errors import UntestedImage
from fly.settings import Platform, Secret
from image.release.content import Content
from image.release.records import Outcome, Records
from image.release.suite import read_suite
from tests.support.fakeengine import ENGINE, FakeEngine, FakeImage
from tests.support.world import PLATFORM

LOCAL = Platform("local", "http://127.0.0.1:1", Secret("t"), "personal", "http://127.0.0.1:1")
GOOD, BAD, LATER = (f"sha256:{sign * 64}" for sign in "abc")


@pytest.fixture
def records(folder: Path) -> Iterator[Records]:
    with Records(folder / "releases.sqlite") as records:
        for image, passed in ((GOOD, True), (BAD, True), (BAD, False), (LATER, True)):
            note(records, image, passed=passed)
        yield records


def note(records: Records, image: str, *, passed: bool, engine: str = ENGINE) -> None:
    number = records.begin(content(image, engine), read_suite(), {})
    records.note(number, Outcome("t", "image", "It answers.", "passed" if passed else "failed", 1.0))
    records.conclude(number, passed=passed, seconds=1.0, why="")


def content(image: str, engine: str) -> Content:
    return Content(
        id=image, ref="my-jarvis:latest", size_bytes=1, layers=(), labels={}, created="", engine=engine
    )


@pytest.fixture
def engine(folder: Path) -> Any:
    return lambda: FakeEngine(folder, kept=[FakeImage(image) for image in (GOOD, BAD, LATER)])


def no_engine() -> Any:
    raise AssertionError("on Fly no engine is asked")


def test_here_it_is_what_could_be_pushed(records: Records, engine: Any) -> None:
    assert eligible(records, LOCAL, engine) == [f"my-jarvis@{GOOD}", f"my-jarvis@{LATER}"]


def test_what_another_engine_says_proves_nothing_here(records: Records, engine: Any) -> None:
    note(records, BAD, passed=True, engine="another@host")
    assert f"my-jarvis@{BAD}" not in eligible(records, LOCAL, engine)


def test_what_the_engine_has_no_longer_is_nothing_to_roll_out(records: Records, folder: Path) -> None:
    assert eligible(records, LOCAL, lambda: FakeEngine(folder)) == []  # type: ignore[arg-type,return-value]


def test_on_fly_it_is_what_was_pushed(records: Records) -> None:
    proof = next(one for one in records.verifications() if one.image == GOOD)
    pushed = records.pushed(proof, "registry.fly.io/images", f"sha256:{'d' * 64}", ["latest"], 1)
    assert eligible(records, PLATFORM, no_engine) == [pushed.reference]
    assert choose(records, PLATFORM, "dddddd", no_engine) == pushed.reference


@pytest.mark.parametrize("wanted", [GOOD, f"my-jarvis@{GOOD}", "aaaaaa", "sha256:aaaaaaa", "AAAAAAA"])
def test_an_image_is_named_by_the_beginning_of_its_digest(records: Records, wanted: str, engine: Any) -> None:
    assert choose(records, LOCAL, wanted, engine) == f"my-jarvis@{GOOD}"


@pytest.mark.parametrize("wanted", ["", "aaaaa", "bbbbbb", BAD, "my-jarvis:latest", "eeeeee"])
def test_what_has_not_proved_itself_is_refused(records: Records, wanted: str, engine: Any) -> None:
    with pytest.raises(UntestedImage, match="has not proved itself"):
        choose(records, LOCAL, wanted, engine)
