"""The bill of materials: what syft cannot find is in it too, and all of it is SPDX."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from image.release.bill import LOCK, complete, flaws
from image.release.pins import locked_npm
from image.release.sbom import Sbom
from image.release.suite import ROOT

IMAGE = "SPDXRef-DocumentRoot-Image-x"
DOCUMENT: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3",
    "dataLicense": "CC0-1.0",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "x",
    "documentNamespace": "https://example.com/x",
    "creationInfo": {"created": "2026-11-01T00:00:00Z", "creators": ["Tool: syft-1"]},
    "packages": [{"SPDXID": IMAGE, "name": "x", "downloadLocation": "NOASSERTION"}],
    "relationships": [
        {
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relatedSpdxElement": IMAGE,
            "relationshipType": "DESCRIBES",
        }
    ],
}
TOLD = {"npm": {"preact": locked_npm(ROOT)["preact"], "@lezer/common": "0.0.1"}, "claude": "2.1.330"}


@pytest.fixture
def listed(tmp_path: Path) -> Sbom:
    path = tmp_path / "sbom.json"
    path.write_text(json.dumps(DOCUMENT))
    return Sbom(path, {"Debian": 156}, "syft-1")


def packages(sbom: Sbom) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(sbom.path.read_text())["packages"]}


def test_the_pages_packages_and_claude_are_listed_too(listed: Sbom) -> None:
    whole = complete(listed, TOLD)
    assert (whole.trouble, whole.counts) == ("", {"Debian": 156, "npm": 2, "Claude Code": 1})
    found = packages(whole)
    assert found["@anthropic-ai/claude-code"]["versionInfo"] == "2.1.330"
    assert found["@anthropic-ai/claude-code"]["licenseDeclared"].startswith("LicenseRef-Anthropic")
    assert found["@lezer/common"]["externalRefs"][0]["referenceLocator"] == "pkg:npm/%40lezer/common@0.0.1"
    document = json.loads(whole.path.read_text())
    inside = [one for one in document["relationships"] if one["relationshipType"] == "CONTAINS"]
    assert {one["spdxElementId"] for one in inside} == {IMAGE}
    assert {one["relatedSpdxElement"] for one in inside} == {
        one["SPDXID"] for one in found.values() if one["SPDXID"] != IMAGE
    }


def test_licence_and_checksum_are_those_of_that_very_version_or_none(listed: Sbom) -> None:
    found = packages(complete(listed, TOLD))
    assert found["preact"]["licenseDeclared"] == "MIT"
    assert len(found["preact"]["checksums"][0]["checksumValue"]) == 128
    assert found["@lezer/common"]["licenseDeclared"] == "NOASSERTION", "the lock has another version"
    assert "checksums" not in found["@lezer/common"]


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({**TOLD, "npm": {}}, "npm"),
        ({**TOLD, "claude": ""}, "Claude Code"),
        ({"trouble": "no engine"}, "npm"),
    ],
)
def test_what_an_image_does_not_tell_is_missing_and_that_is_said(
    listed: Sbom, told: dict[str, Any], named: str
) -> None:
    assert named in complete(listed, told).trouble


def test_a_bill_that_could_not_be_made_stays_so(tmp_path: Path) -> None:
    trouble = Sbom(tmp_path / "none.json", {}, trouble="syft is not installed")
    assert complete(trouble, TOLD) == trouble


def test_the_bill_of_this_test_is_whole() -> None:
    assert flaws(DOCUMENT) == []
    assert LOCK.exists()


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"documentNamespace": ""}, "it has no documentNamespace"),
        ({"relationships": []}, "it does not say what it describes"),
        ({"packages": DOCUMENT["packages"] * 2}, f"{IMAGE} stands for 2 things"),
        ({"packages": [{"SPDXID": IMAGE, "name": "x"}]}, "x has no downloadLocation"),
        ({"packages": [{**DOCUMENT["packages"][0], "SPDXID": "a b"}]}, "a b is no name of a thing"),
        (
            {"packages": [{**DOCUMENT["packages"][0], "licenseDeclared": "MIT AND LicenseRef-x"}]},
            "x is under LicenseRef-x, which is nowhere",
        ),
        (
            {"packages": [{**DOCUMENT["packages"][0], "SPDXID": "SPDXRef-other"}]},
            f"DESCRIBES leads to {IMAGE}, which is nowhere",
        ),
    ],
)
def test_what_is_no_spdx_is_found(change: dict[str, Any], flaw: str) -> None:
    assert flaw in flaws(deepcopy(DOCUMENT) | change)
