"""What the image is pinned to, what is newer, and how a pin moves; asked of pip, uv, npm and apt."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly.errors import BuildError
from fly.lazy import Lazy
from image.base import BASE_REF, digest_there, find_base
from image.build import BASE_LABEL, STAGE_LABEL
from image.context import build_arguments
from image.program import run_program
from image.release.content import short
from image.release.suite import ROOT

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

SDK = "claude-agent-sdk"
PIN = re.compile(rf'"{SDK}==([^"]+)"')
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
LOCKS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("requirements.lock", "3.11", ("pyproject.toml",)),
    ("requirements-test.lock", "3.11", ("pyproject.toml", "--group", "test", "--group", "webapp")),
    ("image/requirements.lock", "3.13", ("--group", "webapp")),
    ("image/node.lock", "3.13", ("--group", "node")),
)
PAGE = "image/web"
NPM_FILES = ("package.json", "package-lock.json")
NPM_PREFIX = "node_modules/"
FILES = (
    "pyproject.toml",
    *(name for name, _, _ in LOCKS),
    *(f"{PAGE}/{name}" for name in NPM_FILES),
)
PENDING = re.compile(r"^Inst (\S+) \[([^\]]+)\] \((\S+) ([^)]*)\)", re.MULTILINE)
KINDS = ("claude", "base", "python", "npm")


@dataclass(frozen=True)
class Newer:
    """Something newer than what is in use; `cure` is what to type."""

    kind: str
    name: str
    current: str
    newest: str
    cure: str
    is_security: bool = False


# --- Claude and Python ------------------------------------------------------------------------------


def newer_claude(root: Path = ROOT) -> list[Newer]:
    """A newer Agent SDK, which brings a newer Claude Code."""
    current, newest = pinned_sdk(root), newest_sdk()
    return [] if current == newest else [Newer("claude", SDK, current, newest, "invoke bump claude")]


def pinned_sdk(root: Path) -> str:
    """The version in pyproject.toml."""
    found = PIN.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if not found:
        raise BuildError(f"pyproject.toml does not pin {SDK}.", hint=f'"{SDK}==…" in the group webapp')
    return found[1]


def newest_sdk() -> str:
    """The newest version that pip would install."""
    said = _run(sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", SDK)
    found = re.match(rf"{SDK} \(([^)]+)\)", said)
    if not found:
        raise BuildError(
            f"pip does not say which versions of {SDK} there are.", hint=f"pip index versions {SDK}"
        )
    return found[1]


def newer_python(root: Path = ROOT) -> list[Newer]:
    """Packages of the image's lock files for which the same ranges allow a newer version."""
    found = []
    for name, _, _ in LOCKS:
        if name.startswith("image/"):
            with tempfile.TemporaryDirectory(prefix="my-jarvis-") as folder:
                fresh = Path(folder) / "lock"
                compile_lock(root, name, "--upgrade", output=fresh)
                locks = (dict(LOCKED.findall(path.read_text("utf-8"))) for path in (root / name, fresh))
                found += differences("python", *locks)
    return found


def differences(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Newer]:
    """Every name whose version is another, or that is there only before or after."""
    return [
        Newer(kind, name, before.get(name, "–"), after.get(name, "–"), f"invoke bump {kind}")
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def pinned(kind: str, root: Path = ROOT) -> dict[str, str]:
    """What `claude`, `python` or `npm` is pinned to, by name; of several locks each says its own."""
    if kind == "npm":
        return locked_npm(root)
    if kind == "claude":
        return {SDK: pinned_sdk(root)}
    return {
        f"{package} ({name})": version
        for name, _, _ in LOCKS
        for package, version in LOCKED.findall((root / name).read_text(encoding="utf-8"))
    }


def compile_lock(root: Path, name: str, *options: str, output: Path | None = None) -> None:
    """Writes a lock file from pyproject.toml; without `options` what is locked stays as it is.

    *Errors*: BuildError.
    """
    python, sources = next((python, sources) for one, python, sources in LOCKS if one == name)
    uv = str(Path(sys.executable).with_name("uv"))
    _run(
        *(uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
        *("--no-emit-index-url", "--no-emit-find-links", "--no-header", *options),
        *("--python-version", python, *sources, "--output-file", str(output or name)),
        folder=root,
    )


# --- the page -----------------------------------------------------------------------------------------


def newer_npm(npm: Sequence[str], root: Path = ROOT) -> list[Newer]:
    """Packages of the page that its ranges allow a newer version of, or that have a newer major.

    What is in use stands in the lock file; whether anything is installed here has no say. Of what is only
    for development npm says nothing where it is not installed, so it is asked about as if all were needed.
    """
    page = json.loads((root / PAGE / "package.json").read_text(encoding="utf-8"))
    wanted = {**page.get("dependencies", {}), **page.get("devDependencies", {})}
    with tempfile.TemporaryDirectory(prefix="my-jarvis-") as folder:
        (Path(folder) / "package.json").write_text(json.dumps({"dependencies": wanted}), encoding="utf-8")
        said = _run(*npm, "outdated", "--json", folder=Path(folder), good=(0, 1))
    found: Mapping[str, Any] = json.loads(said or "{}")
    if "error" in found:
        raise BuildError(
            f"npm cannot say what is outdated: {found['error'].get('summary', '')}", hint="npm outdated"
        )
    locked = locked_npm(root)
    return [
        Newer("npm", name, locked.get(name, "–"), one["latest"], _npm_cure(name, one, locked.get(name)))
        for name, one in sorted(found.items())
        if locked.get(name) != one["latest"]
    ]


def locked_npm(root: Path) -> dict[str, str]:
    """The version of each package of the page in its lock file."""
    lock = json.loads((root / PAGE / "package-lock.json").read_text(encoding="utf-8"))
    installed = {path: one for path, one in lock["packages"].items() if path.startswith(NPM_PREFIX)}
    return {path.removeprefix(NPM_PREFIX): one["version"] for path, one in installed.items()}


def _npm_cure(name: str, one: Mapping[str, str], current: str | None) -> str:
    if current != one["wanted"]:
        return "invoke bump npm"
    return f"a new range: npm install {name}@{one['latest']} in {PAGE}"


# --- Debian -------------------------------------------------------------------------------------------


def newer_debian(client: docker.DockerClient, image: str, environment: Mapping[str, str]) -> list[Newer]:
    """Packages in the image that Debian has a newer version of, asked by apt in a container of the image.

    *Errors*: BuildError if the container has no way to Debian.
    """
    script = "apt-get update -qq 2>&1 && apt-get -s upgrade --with-new-pkgs"
    try:
        said = client.containers.run(
            image,
            entrypoint=["sh", "-c"],
            command=[script],
            user="root",
            remove=True,
            environment=build_arguments(environment),
            labels={STAGE_LABEL: "reading"},
        )
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise BuildError(
            f"apt in a container cannot say what is pending: {str(error)[:300]}",
            hint="containers need a way to Debian's mirror: check the network and HTTP_PROXY",
        ) from error
    return [
        Newer("debian", name, current, newest, "invoke bump base", "security" in origin.lower())
        for name, current, newest, origin in PENDING.findall(said.decode(errors="replace"))
    ]


def newer_base(client: docker.DockerClient, image: str) -> list[Newer]:
    """Another base than the one that the image was built on, here or in the registry."""
    try:
        built_on = str((client.images.get(image).labels or {}).get(BASE_LABEL, ""))
        base = find_base(client, BASE_REF)
    except docker.errors.DockerException:
        return []
    if base is None:
        return []
    if built_on and built_on != base.id:
        return [Newer("base", BASE_REF, short(built_on), short(base.id), "invoke build")]
    if not base.digest:
        return []  # bootstrapped here: what Debian has newer is known by package
    there = digest_there(client, BASE_REF)
    if there in ("", base.digest):
        return []
    return [Newer("base", BASE_REF, short(base.digest), short(there), "invoke bump base")]


# --- moving a pin -------------------------------------------------------------------------------------


def move(kind: str, npm: Sequence[str], root: Path = ROOT) -> None:
    """Changes pin or lock of `claude`, `python` or `npm` to the newest that is allowed.

    *Errors*: BuildError.
    """
    if kind == "npm":
        # What is installed stays: it is of the lock as it was, and comes anew when that has changed.
        _run(*npm, "update", "--save", "--package-lock-only", "--no-audit", "--no-fund", folder=root / PAGE)
        return
    if kind == "claude":
        newest = newest_sdk()
        if pinned_sdk(root) == newest:
            return
        path = root / "pyproject.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(PIN.sub(f'"{SDK}=={newest}"', text), encoding="utf-8")
    for name, _, _ in LOCKS:
        compile_lock(root, name, *(("--upgrade",) if kind == "python" else ()))


def _run(*command: str, folder: Path = ROOT, good: Sequence[int] = (0,)) -> str:
    environment = {**os.environ, "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        done = run_program(command, folder=folder, environment=environment)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error}", hint="invoke lint installs it") from error
    if done.returncode not in good:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise BuildError(
            f"{Path(command[0]).name} {' '.join(command[1:3])} failed:\n{said}",
            hint="check the network, and run this again",
        )
    return done.stdout
