"""What syft cannot find is added to its bill of materials: the page's packages and Claude Code.

The page is one bundle by the time that it is in the image, and Claude Code one binary. The image tells their
versions itself; the lock file of the checkout adds licence and checksum, where it has the same version.

*Source*: SPDX 2.3, https://spdx.github.io/spdx-spec/v2.3/
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from image.release.packages import CLAUDE
from image.release.sbom import Sbom
from image.release.suite import ROOT

LOCK = ROOT / "image/web/package-lock.json"
UNKNOWN = "NOASSERTION"
CLAUDE_NAME = "@anthropic-ai/claude-code"
CLAUDE_LICENCE = {
    "licenseId": "LicenseRef-Anthropic-Commercial-Terms",
    "name": "Anthropic's Commercial Terms of Service",
    "extractedText": "© Anthropic PBC. All rights reserved. Use is subject to Anthropic's Commercial Terms.",
    "seeAlsos": ["https://www.anthropic.com/legal/commercial-terms"],
}
TOLD_BY: Mapping[str, str] = {"npm": "npm", "claude": CLAUDE}
"""What an image tells of itself, and what it is called where it is missing."""
ID = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
NEEDED = ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages")
NEEDED_OF_PACKAGES = ("SPDXID", "name", "downloadLocation")
NOWHERE = ("NONE", UNKNOWN)
MOST_FLAWS = 3

Document = dict[str, Any]


def complete(sbom: Sbom, told: Mapping[str, Any], lock: Path = LOCK) -> Sbom:
    """The bill with all that `inspect` has `told`, and what is wrong with it, if anything is."""
    if sbom.trouble:
        return sbom
    missing = [name for kind, name in TOLD_BY.items() if not told.get(kind)]
    if missing:
        return replace(sbom, trouble=f"the image does not tell its {' nor its '.join(missing)} packages")
    document: Document = json.loads(sbom.path.read_text(encoding="utf-8"))
    _add(document, [*_of_the_page(told["npm"], _locked(lock)), _claude(told["claude"])])
    document.setdefault("hasExtractedLicensingInfos", []).append(CLAUDE_LICENCE)
    sbom.path.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
    found = flaws(document)
    counts = sbom.counts | {"npm": len(told["npm"]), CLAUDE: 1}
    return replace(sbom, counts=counts, trouble="; ".join(found[:MOST_FLAWS]))


def _add(document: Document, packages: Iterable[Document]) -> None:
    """As parts of what the document describes: the image."""
    relationships = document.setdefault("relationships", [])
    [image] = [one["relatedSpdxElement"] for one in relationships if one["relationshipType"] == "DESCRIBES"]
    for package in packages:
        document["packages"].append(package)
        relationships.append(
            {
                "spdxElementId": image,
                "relationshipType": "CONTAINS",
                "relatedSpdxElement": package["SPDXID"],
            }
        )


def _of_the_page(versions: Mapping[str, str], locked: Mapping[str, Mapping[str, str]]) -> Iterator[Document]:
    for name, version in versions.items():
        known = locked.get(name, {})
        known = known if known.get("version") == version else {}
        checksum = _checksum(known.get("integrity", ""))
        yield (
            _package(name, version, licence=known.get("license", UNKNOWN))
            | checksum
            | {"sourceInfo": "bundled into the page: /opt/jarvis/app/static"}
        )


def _claude(version: str) -> Document:
    licence = CLAUDE_LICENCE["licenseId"]
    return _package(CLAUDE_NAME, version, licence=str(licence)) | {
        "supplier": "Organization: Anthropic",
        "sourceInfo": "the binary that the Agent SDK brings: /opt/claude/claude",
    }


def _package(name: str, version: str, *, licence: str) -> Document:
    purl = f"pkg:npm/{quote(name, safe='/')}@{version}"
    return {
        "name": name,
        "SPDXID": f"SPDXRef-Package-npm-{re.sub('[^A-Za-z0-9.]+', '-', name.strip('@'))}-{version}",
        "versionInfo": version,
        "supplier": UNKNOWN,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": licence,
        "copyrightText": UNKNOWN,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
        ],
    }


def _checksum(integrity: str) -> Document:
    """npm's own, of the archive that was unpacked."""
    kind, _, value = integrity.partition("-")
    if kind != "sha512":
        return {}
    return {"checksums": [{"algorithm": "SHA512", "checksumValue": base64.b64decode(value).hex()}]}


def _locked(lock: Path) -> dict[str, Mapping[str, str]]:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {path.rpartition("node_modules/")[2]: one for path, one in packages.items() if path}


# --- is it SPDX -------------------------------------------------------------------------------------


def flaws(document: Document) -> list[str]:
    """What those who read SPDX would stumble over; nothing if it is whole."""
    missing = [f"it has no {name}" for name in NEEDED if not document.get(name)]
    if missing:
        return missing
    things = [document, *document["packages"], *document.get("files", [])]
    ids = Counter(str(one.get("SPDXID", "")) for one in things)
    return [
        *(f"{one} stands for {count} things" for one, count in ids.items() if count > 1),
        *(f"{one or 'nothing'} is no name of a thing" for one in ids if not ID.fullmatch(one)),
        *(
            f"{one.get('name', 'a package')} has no {name}"
            for one in document["packages"]
            for name in NEEDED_OF_PACKAGES
            if not one.get(name)
        ),
        *_loose_ends(document, ids),
        *_unknown_licences(document),
    ]


def _loose_ends(document: Document, ids: Mapping[str, int]) -> Iterator[str]:
    relationships = document.get("relationships", [])
    if not any(one["relationshipType"] == "DESCRIBES" for one in relationships):
        yield "it does not say what it describes"
    for one in relationships:
        for end in (one["spdxElementId"], one["relatedSpdxElement"]):
            if end not in ids and end not in NOWHERE:
                yield f"{one['relationshipType']} leads to {end}, which is nowhere"


def _unknown_licences(document: Document) -> Iterator[str]:
    known = {one["licenseId"] for one in document.get("hasExtractedLicensingInfos", [])}
    for package in document["packages"]:
        for one in re.findall(r"LicenseRef-[A-Za-z0-9.-]+", package.get("licenseDeclared", "")):
            if one not in known:
                yield f"{package['name']} is under {one}, which is nowhere"
