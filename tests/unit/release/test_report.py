"""The page about a verification."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from image.release.content import Content, Layer
from image.release.plot import Series, plot
from image.release.records import COMPARED_WITH, EFFORTS, PASSED, Outcome, Records
from image.release.report import failure_path, write_report
from image.release.suite import Suite

LAYERS = (
    Layer("sha256:1", 300_000_000, "RUN apt-get install"),
    Layer("sha256:2", 40_000_000, "COPY dir:1 in /"),
)
FIRST = Content("sha256:" + "a" * 64, "x", 340_000_000, LAYERS, {}, "2026-11-01T00:00:00")
GROWN = (LAYERS[0], Layer("sha256:3", 50_000_000, "COPY dir:2 in /"))
SECOND = Content("sha256:" + "b" * 64, "x", 350_000_000, GROWN, {}, "2026-11-08T00:00:00")
KEPT = Outcome("tests/image/test_life.py::test_root", "image", "Nothing runs as root.", PASSED, 0.1)
BROKEN = Outcome("tests/image/test_data.py::test_data", "image", "Data <b>stays.", "failed", 0.2, "it went")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with Records(tmp_path / "releases.sqlite") as records:
        yield records


def verified(
    records: Records,
    content: Content,
    *outcomes: Outcome,
    curl: str,
    claude: str = "2.1.0",
    preact: str = "10",
) -> int:
    environment = {"engine": "20.10", "system": "Linux", "cpus": 2, "python": "3.11"}
    number = records.begin(content, Suite("abc", "1" * 64), environment)
    if before := records.release_before(content.id):
        records.keep(number, COMPARED_WITH, before.verification)
    for outcome in outcomes:
        records.note(number, outcome)
    records.measure(number, "stopped -> 200: p50_ms", 400)
    records.keep(number, "debian", {"curl": curl})
    records.keep(number, "npm", {"preact": preact})
    records.keep(number, "claude", claude)
    records.keep(number, "sbom", {"file": "sbom.spdx.json", "tool": "syft-1", "counts": {}, "trouble": ""})
    records.conclude(number, passed=all(one.is_kept for one in outcomes), seconds=9, why="")
    return number


def test_it_says_what_changed_since_the_last_release(records: Records, tmp_path: Path) -> None:
    first = verified(records, FIRST, KEPT, curl="8.14-1")
    records.pushed(records.verification(first), "registry/a", "sha256:f", ["latest"], 2)
    second = verified(records, SECOND, KEPT, curl="8.14-2", claude="2.2.0", preact="11")
    page = write_report(records, second, tmp_path)
    facts = json.loads((tmp_path / "report.json").read_text())
    assert facts["last_release"]["image"] == FIRST.id
    assert {kind: one["changed"] for kind, one in facts["packages"].items() if one["changed"]} == {
        "debian": {"curl": ["8.14-1", "8.14-2"]},
        "npm": {"preact": ["10", "11"]},
        "claude": {"Claude Code": ["2.1.0", "2.2.0"]},
    }
    assert all(word in page.read_text() for word in ("Claude since", "The page (npm) since", "2.2.0"))
    assert [(one["state"], one["delta_bytes"]) for one in facts["layers"]] == [
        ("same", 0),
        ("changed", 10_000_000),
    ]
    assert "+10.0 MB" in page.read_text()
    assert "keeps its promise" in page.read_text()


def test_it_says_what_each_stage_took(records: Records, tmp_path: Path) -> None:
    number = verified(records, FIRST, KEPT, curl="1")
    assert "What it took" not in write_report(records, number, tmp_path).read_text()
    spent = {
        "smoke": {"clock_s": 7.2, "programs_s": 3.1, "machine_s": 9.8},
        "promises": {"clock_s": 400.1, "programs_s": 222.2, "machine_s": 0.0},
    }
    records.keep(number, EFFORTS, spent)
    page = write_report(records, number, tmp_path).read_text()
    assert all(word in page for word in ("407 s by the clock", "<td>Promises</td>", ">222 s<", ">–<"))
    assert json.loads((tmp_path / "report.json").read_text())["efforts"] == spent


def test_it_names_what_is_broken_and_lets_no_markup_through(records: Records, tmp_path: Path) -> None:
    story = failure_path(tmp_path, BROKEN.test)
    story.parent.mkdir()
    story.write_text("<script>alert(1)</script>")
    page = write_report(records, verified(records, FIRST, KEPT, BROKEN, curl="1"), tmp_path).read_text()
    assert "1 of 2 promises is broken." in page
    assert "Data &lt;b&gt;stays" in page
    assert "it went" in page
    assert "<script" not in page


def test_it_needs_no_other_file(records: Records, tmp_path: Path) -> None:
    (tmp_path / "sbom.spdx.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    page = write_report(records, verified(records, FIRST, KEPT, curl="1"), tmp_path).read_text()
    assert re.findall(r"<link|<script|url\(|src=\"(?!data:)|href=\"(?!data:|#|https:)", page) == []
    assert all(what in page for what in ("Known vulnerabilities", "A loss of power"))
    [packed] = re.findall(r'download="sbom.spdx.json.gz" href="data:application/gzip;base64,([^"]+)"', page)
    assert gzip.decompress(base64.b64decode(packed)) == (tmp_path / "sbom.spdx.json").read_bytes()


def test_a_bill_of_materials_that_is_too_large_to_go_along_is_named(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("image.release.report.LARGEST_BILL", 10)
    (tmp_path / "sbom.spdx.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    page = write_report(records, verified(records, FIRST, KEPT, curl="1"), tmp_path).read_text()
    assert "<code>sbom.spdx.json</code>, beside this page" in page
    assert "application/gzip" not in page


def test_speed_is_shown_over_what_was_released_and_not_over_every_trial(
    records: Records, tmp_path: Path
) -> None:
    first = verified(records, FIRST, KEPT, curl="1")
    records.pushed(records.verification(first), "registry/a", "sha256:f", ["latest"], 2)
    verified(records, replace(SECOND, id="sha256:" + "c" * 64), KEPT, curl="2")
    write_report(records, verified(records, SECOND, KEPT, curl="2"), tmp_path)
    history = json.loads((tmp_path / "report.json").read_text())["history"]
    assert [one["image"] for one in history] == [FIRST.id, SECOND.id]


def test_lines_are_whole_svg_with_a_point_for_each_value() -> None:
    drawn = ElementTree.fromstring(plot(["a", "b", "c"], [Series("wake", [12.0, None, 15.5], "one")], "ms"))
    assert len([one for one in drawn.iter() if one.tag == "circle"]) == 2
    assert plot(["a"], [Series("wake", [None], "one")], "ms") == ""


@pytest.mark.parametrize("value", [0.0, 0.02, 1.6, 9.9, 10, 549.7, 99999])
def test_every_size_of_value_stays_inside_the_picture(value: float) -> None:
    drawn = ElementTree.fromstring(plot(["a"], [Series("wake", [value], "one")], "ms"))
    [circle] = [one for one in drawn.iter() if one.tag == "circle"]
    assert 0 < float(circle.attrib["cy"]) < 200
    assert 2 <= len([one for one in drawn.iter() if one.tag == "line"]) <= 8
