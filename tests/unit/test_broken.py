"""The tests are tested: how a broken image's verdict is reached, and that its promises exist."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from image.release.suite import TIERS
from tests.broken.catalogue import CATALOGUE, Broken
from tests.broken.coverage import breakers
from tests.broken.proofs import Proofs
from tests.broken.trial import ROOT, Good, Outcome, Verdict, judge


@pytest.mark.parametrize(
    ("outcomes", "objection"),
    [
        ([("fails", False, "a: gone"), ("holds", True, "")], ""),
        ([("fails[1]", True, ""), ("fails[2]", False, "it is gone"), ("holds", True, "")], ""),
        ([("fails", True, ""), ("holds", True, "")], "slipped through fails"),
        ([("fails", False, "no engine"), ("holds", True, "")], "another reason"),
        ([("fails", False, "gone"), ("holds", False, "gone")], "nothing to do with it"),
        ([("holds", True, "")], "did not run"),
        ([("fails", False, "gone")], "nothing to do with it"),
    ],
)
def test_a_verdict_is_strict(outcomes: list[tuple[str, bool, str]], objection: str) -> None:
    broken = Broken("n", "b", (), fails=("fails",), because="gone", holds=("holds",))
    said = judge(broken, [Outcome(*one) for one in outcomes])
    assert objection in said
    assert bool(objection) == bool(said)


def test_every_promise_that_a_broken_image_names_exists() -> None:
    assert len({broken.name for broken in CATALOGUE}) == len(CATALOGUE)
    for test in {test for broken in CATALOGUE for test in (*broken.fails, *broken.holds)}:
        path, _, name = test.partition("::")
        source = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}(" in source, test


def test_each_promise_is_told_with_what_breaks_it() -> None:
    found = breakers()
    assert found["image/test_data.py::test_a_second_start_changes_nothing"] == ["wipes-data"]
    named = {test.partition("[")[0] for broken in CATALOGUE for test in broken.fails}
    assert {test for test, names in found.items() if names} == named
    assert {test.partition("/")[0] for test in named} == set(TIERS)


def test_what_was_noticed_is_not_tried_again(tmp_path: Path) -> None:
    path, broken = tmp_path / "a" / "selftest.jsonl", CATALOGUE[0]
    noticed, good = Verdict(broken.name, broken.breaks, True, "by", 2.0), Good(("a", "b"))
    first = Proofs(path, "sha256:1")
    first.keep(broken, noticed)
    first.keep(good, noticed)
    first.keep(CATALOGUE[1], replace(noticed, caught=False))
    with path.open("a", encoding="utf-8") as file:
        file.write('\n{"key": "half a li')
    first.keep(CATALOGUE[2], noticed)
    later = Proofs(path, "sha256:1")
    assert later.find(broken) == later.find(good) == later.find(CATALOGUE[2]) == noticed
    assert later.find(CATALOGUE[1]) is later.find(Good(("a",))) is later.find(replace(good, number=2)) is None
    assert later.find(replace(broken, because="something else")) is None
    assert Proofs(path, "sha256:2").find(broken) is None


SOURCES = {
    "/opt/jarvis/entrypoint.sh": "image/entrypoint.sh",
    "/etc/profile.d/my-jarvis.sh": "image/shell/profile",
    "/etc/bash.bashrc": "image/shell/bashrc",
}


def test_what_a_broken_image_replaces_stands_in_the_sources_once() -> None:
    """Building the images shows it too, but later."""
    edits = [json.loads(layer[4:]) for broken in CATALOGUE for layer in broken.layers if '"-ISc"' in layer]
    replaced = [
        (SOURCES.get(words[3]) or words[3].replace("/opt/jarvis/app/", "image/"), old)
        for words in edits
        if "py_compile" in words[2]
        for old, _new in json.loads(words[4])
    ]
    assert len(replaced) > 30
    assert [one for one in replaced if (ROOT / one[0]).read_text("utf-8").count(one[1]) != 1] == []
