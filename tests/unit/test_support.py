"""The tests' own tools: what waits, sweeps, masks and compares must not be wrong in silence."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.evidence import evidence_of, masked, tail
from tests.support.figures import percentile
from tests.support.run import LABEL, Run
from tests.support.sharing import next_file
from tests.support.shell import without_escapes
from tests.support.volumes import Entry, differences
from tests.support.wait import NeverHappenedError, wait_until


def test_waiting_ends_with_the_first_true_answer() -> None:
    answers = iter([None, 0, "", "there"])
    assert wait_until(lambda: next(answers), "it", interval_s=0) == "there"


def test_waiting_in_vain_names_what_and_what_was_seen() -> None:
    with pytest.raises(NeverHappenedError, match=r"waited .* s for the bus; last answer: 0"):
        wait_until(lambda: 0, "the bus", timeout_s=0.01, interval_s=0)


def test_waiting_ends_at_once_when_there_is_no_hope() -> None:
    with pytest.raises(NeverHappenedError, match="the bus, but it burnt down"):
        wait_until(lambda: 0, "the bus", timeout_s=60, hopeless=lambda: "it burnt down")


def test_who_waits_long_asks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked, hoped = [0.0], [0.0], [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda s: now.append(now.pop() + s))
    monkeypatch.setattr("tests.support.wait.time", clock)

    def is_there() -> bool:
        asked.append(now[0])
        return now[0] > 10

    def hope() -> str:
        hoped.append(now[0])
        return ""

    wait_until(is_there, "it", hopeless=hope)
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(asked[1:])]
    assert (gaps[0], gaps[-1]) == (0.02, 0.25)
    assert gaps == sorted(gaps)
    assert len(asked) < 60
    assert len(hoped[1:]) <= 21  # at once, and then twice a second


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token sk-ant-oat01-AbC_d-e.", "token sk-ant-oat01-[hidden]."),
        ("> code-abcdefghijklmnop_-1#REF-1 ok", "> code-[hidden] ok"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
        ("a code-review is no secret", "a code-review is no secret"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_the_end_of_a_long_log_is_shown() -> None:
    assert tail("1\n2\n3", lines=2) == "… 1 lines left out …\n2\n3"
    assert tail("1\n2\n3", lines=3) == "1\n2\n3"


def test_trouble_with_evidence_hides_nothing() -> None:
    class Broken:
        def evidence(self) -> list[tuple[str, str]]:
            raise RuntimeError("gone")

    assert evidence_of(Broken()) == [("evidence that could not be had", "RuntimeError('gone')")]
    assert evidence_of("no witness") == []


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([4, 1, 3, 2], percent) for percent in (25, 50, 99, 100)] == [1, 2, 4, 4]
    assert percentile([7], 50) == 7


def test_escape_codes_are_no_text() -> None:
    assert without_escapes("\x1b]0;title\x07\x1b[1;34mblue\x1b[0m\r\n\x1b[?2004h$ ") == "blue\n$ "


def test_differences_name_what_is_gone_new_and_changed() -> None:
    one, two = Entry("file", "rw-r--r--", "0:0", "a"), Entry("file", "rw-------", "0:0", "a")
    assert differences({"same": one, "old": one, "x": one}, {"same": one, "new": one, "x": two}) == [
        "gone: old",
        "new: new",
        f"changed: x: {one} -> {two}",
    ]


class Engine:
    """As much of docker-py as sweeping needs."""

    def __init__(self, *runs: str) -> None:
        self.left = list(runs)
        self.containers = SimpleNamespace(list=lambda **_: [self._thing(run) for run in self.left])
        self.volumes = self.networks = SimpleNamespace(list=lambda **_: [])
        self.api = SimpleNamespace(images=lambda **_: [])

    def _thing(self, run: str) -> Any:
        labels = {"Config": {"Labels": {LABEL: run}}}
        return SimpleNamespace(name=run, attrs=labels, remove=lambda **_: self.left.remove(run))


def test_a_sweep_takes_what_the_dead_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    alive, dead, sweeper = (Run(tmp_path) for _ in range(3))
    dead._lock.close()  # as the kernel does when a process is killed
    engine: Any = Engine(alive.id, dead.id, sweeper.id, "another-machine.0123")
    assert sweeper.sweep(engine, own=False) == [dead.id]
    assert sweeper.sweep(engine, own=True) == [sweeper.id]
    assert engine.left == [alive.id, "another-machine.0123"]
    alive.close()
    sweeper.close()


def test_a_run_that_was_closed_leaves_no_lock(tmp_path: Path) -> None:
    Run(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mine", "others", "goes_on_with"),
    [
        (None, (), "b/1"),  # where most is left
        (None, ("b/1",), "a/1"),  # where nobody is
        (None, ("b/1", "a/1"), "b/3"),  # from the end of what somebody else is at
        ("a/1", ("b/1",), "a/1"),
        ("a/2", ("b/1",), "a/1"),
        ("c/1", ("b/1", "a/1"), "b/3"),
        ("b/2", ("b/3",), "b/2"),
    ],
)
def test_a_process_stays_with_what_it_shares(
    mine: str | None, others: tuple[str, ...], goes_on_with: str
) -> None:
    left = ["a/1", "a/1", "b/1", "b/2", "b/2", "b/3"]
    assert next_file(left, mine, others) == goes_on_with
