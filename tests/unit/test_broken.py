"""The tests are tested: how a broken image's verdict is reached, and that its promises exist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.context import Context

from image.release.suite import TIERS
from tests.broken import verbs
from tests.broken.catalogue import CATALOGUE
from tests.broken.coverage import breakers
from tests.broken.making import Broken
from tests.broken.proofs import Proofs
from tests.broken.trial import ROOT, Good, Outcome, Proved, Verdict, Whole, judge, judge_whole
from tests.broken.verbs import Trial


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
    assert later.find(CATALOGUE[1]) is later.find(Good(("a",))) is later.find(Whole(broken)) is None
    assert later.find(replace(broken, because="something else")) is None
    assert Proofs(path, "sha256:2").find(broken) is None


HEAVY = next(broken for broken in CATALOGUE if broken.whole)
NAMED = f"tests/{HEAVY.fails[0]}"
BUDGET = {"budget::image_mb": "980.00 MB, and 740 are allowed; largest: “RUN head > /opt/junk” 300.0 MB"}


@pytest.mark.parametrize(
    ("why", "broken", "refusal", "objection"),
    [
        ("2 broken", {NAMED: "/opt/junk", **BUDGET}, "not proved:\n- 2 broken", ""),
        ("1 broken", {NAMED: "/opt/junk"}, "- 1 broken", "verify does not say"),
        ("2 broken", {NAMED: "no engine", **BUDGET}, "- 2 broken", "other reasons"),
        ("1 broken", BUDGET, "- 1 broken", "other promises"),
        ("2 broken", {NAMED: "/opt/junk", **BUDGET}, "", "would have gone out"),
        ("2 broken", {NAMED: "/opt/junk", **BUDGET}, "never verified", "not refused for what is broken"),
        ("", {}, "", "slipped through verify"),
    ],
)
def test_the_whole_of_verify_is_judged_by_what_it_says_and_what_may_go_out(
    why: str, broken: dict[str, str], refusal: str, objection: str
) -> None:
    said = judge_whole(HEAVY, Proved(why, broken, refusal))
    assert objection in said
    assert bool(objection) == bool(said)


def test_what_the_quick_tests_have_found_is_enough() -> None:
    why = "1 broken promise among the quick tests; the others were not tried"
    other = replace(HEAVY, whole="")
    assert judge_whole(other, Proved(why, {"tests/image/test_page.py::test_health_is_ok": "x"}, why)) == ""


@pytest.fixture
def selftest(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """What `verify.selftest` would try."""
    tried: list[Trial] = []

    def verdicts(_image: str, trials: Sequence[Trial], *, again: bool) -> list[Verdict]:
        tried.extend(trials)
        return [Verdict("n", "b", True, "by", 1.0) for _ in trials]

    monkeypatch.setattr(verbs, "_verdicts", verdicts)
    for name in ("install_test_packages", "install_what_promises_need"):
        monkeypatch.setattr(verbs, name, lambda: None)
    return tried


def test_the_good_image_has_to_pass_what_the_broken_ones_fail(selftest: list[Trial]) -> None:
    verbs.selftest(Context(), only=HEAVY.name)
    heavy = [one for one in CATALOGUE if HEAVY.name in one.name]
    assert selftest[1:] == heavy
    assert isinstance(selftest[0], Good)
    assert set(selftest[0].tests) == {test for one in heavy for test in (*one.fails, *one.holds)}


def test_as_often_as_one_likes_the_whole_of_verify_is_tried(selftest: list[Trial]) -> None:
    verbs.selftest(Context(), good=3)
    assert selftest == [Whole(number=1), Whole(number=2), Whole(number=3)]
    selftest.clear()
    verbs.selftest(Context(), whole=2)
    first, second = selftest
    assert first == Whole(HEAVY)
    assert isinstance(second, Whole)
    assert second.broken in CATALOGUE


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
