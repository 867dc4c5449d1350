"""What a release may weigh, and what is named when it weighs more."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fly.errors import SettingsError
from image.release.budget import LINES, Limit, breaches, layer_changes, limits
from image.release.content import Content, Layer
from image.release.records import Records, Verification
from image.release.suite import ROOT, Suite, read_budget, read_growth

SUITE = Suite("abc", "1" * 64)
SYSTEM = Layer("sha256:1", 300_000_000, "RUN apt-get install")
APP, GROWN_APP = (
    Layer("sha256:2", 1_000_000, "COPY dir:1 in /"),
    Layer("sha256:3", 9_000_000, "COPY dir:2 in /"),
)


def image(*layers: Layer) -> Content:
    name = "sha256:" + "".join(layer.diff_id[-1] for layer in layers).ljust(64, "0")
    return Content(name, "x", sum(one.size_bytes for one in layers), layers, {}, "")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with Records(tmp_path / "releases.sqlite") as records:
        yield records


def measured(records: Records, content: Content, **imports: float) -> Verification:
    number = records.begin(content, SUITE, {})
    records.measure(number, LINES["image_mb"].figure, content.size_bytes / 1000)
    records.measure(number, LINES["cold_start_ratio"].figure, 500)
    records.measure(number, LINES["cold_start_ratio"].against, 200)
    records.keep(number, "imports", imports)
    return records.verification(number)


def within(**most: float) -> dict[str, Limit]:
    return {name: Limit(value) for name, value in most.items()}


def test_what_is_within_the_budget_breaks_nothing(records: Records) -> None:
    now = measured(records, image(SYSTEM, APP))
    assert breaches(records, now.number, image(SYSTEM, APP), within(image_mb=301), None) == []


def test_the_layer_that_grew_since_the_last_release_is_named(records: Records) -> None:
    last = measured(records, image(SYSTEM, APP))
    now = measured(records, image(SYSTEM, GROWN_APP))
    [breach] = breaches(records, now.number, image(SYSTEM, GROWN_APP), within(image_mb=302), last)
    assert breach.value == pytest.approx(309)
    assert "302 are allowed" in breach.reason
    assert "COPY dir:2 in /” +8.0 MB" in breach.reason
    assert "apt-get" not in breach.reason


def test_without_a_last_release_the_largest_layers_are_named(records: Records) -> None:
    now = measured(records, image(SYSTEM, APP))
    [breach] = breaches(records, now.number, image(SYSTEM, APP), within(image_mb=1), None)
    assert breach.reason.index("apt-get") < breach.reason.index("COPY")


def test_the_import_that_made_the_start_slow_is_named(records: Records) -> None:
    last = measured(records, image(SYSTEM, APP), starlette=9.0)
    now = measured(records, image(SYSTEM, GROWN_APP), starlette=9.1, claude_agent_sdk=480.0)
    [breach] = breaches(records, now.number, image(SYSTEM, GROWN_APP), within(cold_start_ratio=2), last)
    assert "grew: claude_agent_sdk +480.0 ms to import" in breach.reason


def test_what_was_not_measured_is_not_kept(records: Records) -> None:
    now = measured(records, image(APP))
    [breach] = breaches(records, now.number, image(APP), within(memory_at_rest_mb=100), None)
    assert (breach.value, "not measured" in breach.reason) == (None, True)


def test_a_line_that_nothing_measures_is_refused() -> None:
    with pytest.raises(SettingsError, match="colour"):
        limits({"colour": 1}, {}, {})
    with pytest.raises(SettingsError, match="image_mb"):
        limits({}, {"image_mb": 10}, {})


def test_what_doubles_since_the_last_release_is_too_much_although_the_budget_has_room(
    records: Records,
) -> None:
    last = measured(records, image(SYSTEM, APP), starlette=9.0)
    allowed = limits({"image_mb": 700}, {"image_mb": 10}, records.figures(last.number))
    assert allowed["image_mb"].most == pytest.approx(331.1)
    grown = image(SYSTEM, replace(GROWN_APP, size_bytes=100_000_000))
    [breach] = breaches(records, measured(records, grown).number, grown, allowed, last)
    assert "400.00 MB, and 331.1 are allowed (10 % more than the last release's 301.00)" in breach.reason
    assert "COPY dir:2 in /” +99.0 MB" in breach.reason
    assert breaches(records, measured(records, image(SYSTEM, GROWN_APP)).number, grown, allowed, last) == []


@pytest.mark.parametrize(
    ("growth", "before"), [({}, 301_000.0), ({"image_mb": 10}, 690_000.0), ({"image_mb": 10}, None)]
)
def test_the_budget_holds_where_the_last_release_allows_more_or_says_nothing(
    growth: dict[str, float], before: float | None
) -> None:
    figures = {LINES["image_mb"].figure: before} if before else {}
    assert limits({"image_mb": 700}, growth, figures) == within(image_mb=700)


def test_layers_are_told_apart_by_content() -> None:
    changes = layer_changes(image(SYSTEM, GROWN_APP).to_json(), image(SYSTEM, APP).to_json())
    assert [(one["state"], one["delta_bytes"]) for one in changes] == [("same", 0), ("changed", 8_000_000)]
    gone = layer_changes(image(SYSTEM).to_json(), image(SYSTEM, APP).to_json())
    assert [(one["state"], one["delta_bytes"]) for one in gone] == [("same", 0), ("removed", -1_000_000)]


def test_the_projects_own_budget_can_be_measured_and_is_complete() -> None:
    assert set(read_budget(ROOT)) == set(LINES)
    assert set(read_growth(ROOT)) < set(LINES)


def judges(root: Path, budget: str = "image_mb = 700") -> Path:
    (root / "pyproject.toml").write_text(f"[tool.my-jarvis.budget]\n{budget}\n")
    return root


def test_a_budget_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="image_mb"):
        read_budget(judges(tmp_path, 'image_mb = "much"'))
