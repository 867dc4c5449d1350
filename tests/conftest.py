"""What all tiers share: the image under test, promises as sentences, and what a failure shows.

Whatever needs Docker is imported when a test asks for it, so that the unit tests start at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import figures
from tests.support.evidence import evidence_of, masked, output
from tests.support.outcome import HAS_FAILED

if TYPE_CHECKING:
    import docker

    from tests.support.containers import Workspace, Workspaces
    from tests.support.internet import Internet
    from tests.support.run import Run
    from tests.support.volumes import Volume

pytest.register_assert_rewrite("tests.support.livedin", "tests.support.login")  # they say what they found

DEFAULT_IMAGE = "my-jarvis:latest"
PROMISING = ("image", "release")
"""Tiers in which every test states its promise as one sentence."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--image", default=DEFAULT_IMAGE, metavar="REF", help="the image under test (%(default)s)"
    )
    parser.addoption(
        "--previous", metavar="REF", help="the release before it, for upgrades (default: the image itself)"
    )
    parser.addoption(
        "--saved",
        type=Path,
        metavar="FILE",
        help="where the image is being saved (default: the tests save it)",
    )
    parser.addoption(
        "--cut-s",
        type=float,
        default=1,
        help="how long networks are cut in the stories (%(default)s; with 300 take --timeout=900)",
    )


# --- promises -------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test of the image is a promise: its docstring's one sentence, kept with its result."""
    silent = [item.nodeid for item in items if _tier(item) in PROMISING and not _promise(item).endswith(".")]
    if silent:
        raise pytest.UsageError(
            "these tests state no promise (a docstring of one sentence): " + ", ".join(silent)
        )
    for item in items:
        if _tier(item) in PROMISING:
            item.user_properties.append(("promise", _promise(item)))


def _tier(item: pytest.Item) -> str:
    folder = Path(__file__).parent
    return item.path.relative_to(folder).parts[0] if item.path.is_relative_to(folder) else ""


def _promise(item: pytest.Item) -> str:
    sentence = " ".join((getattr(getattr(item, "obj", None), "__doc__", None) or "").split())
    callspec = getattr(item, "callspec", None)
    return sentence.format(**callspec.params) if callspec else sentence


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failed test shows what every fixture of it can tell."""
    report: pytest.TestReport = yield
    if report.failed and report.when != "teardown":
        item.stash[HAS_FAILED] = True
        for witness in getattr(item, "funcargs", {}).values():
            report.sections += [(title, masked(text)) for title, text in evidence_of(witness)]
    return report


# --- figures --------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Broken promises by name, and what was measured."""
    reports = [one for kind in ("passed", "failed", "error") for one in terminalreporter.getreports(kind)]
    if broken := _properties("promise", [one for one in reports if one.failed]):
        terminalreporter.section("broken promises")
        for promise in dict.fromkeys(broken):
            terminalreporter.write_line(f"✗ {promise}")
    if measured := _properties(figures.PROPERTY, [one for one in reports if one.when == "call"]):
        terminalreporter.section("measured")
        for figure in measured:
            terminalreporter.write_line(figures.worded(figure))
        figures.write(output(), config.getoption("--image"), measured)


def _properties(name: str, reports: list[pytest.TestReport]) -> list[Any]:
    return [
        value for report in reports for key, value in getattr(report, "user_properties", ()) if key == name
    ]


@pytest.fixture(name="figures")
def figures_of_the_test(request: pytest.FixtureRequest) -> figures.Figures:
    """Where a test reports what it measured; `test_latency.py` reports to `latency.json`."""
    return figures.Figures(request.path.stem.removeprefix("test_"), request.node.user_properties)


# --- the image under test -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The engine that the tests use."""
    import docker

    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def run(docker_client: docker.DockerClient) -> Iterator[Run]:
    """What this process makes in the engine carries this run's label."""
    from tests.support.run import swept_run

    with swept_run(docker_client) as run:
        yield run


@pytest.fixture(scope="session")
def image(docker_client: docker.DockerClient, request: pytest.FixtureRequest) -> str:
    """The reference under test."""
    import docker.errors

    reference = str(request.config.getoption("--image"))
    try:
        docker_client.images.get(reference)
    except docker.errors.ImageNotFound:
        pytest.fail(f"There is no image {reference}: invoke build, or another --image", pytrace=False)
    return reference


@pytest.fixture(scope="session")
def internet(docker_client: docker.DockerClient, run: Run, image: str) -> Iterator[Internet]:
    """Anthropic's stand-in under Anthropic's names."""
    from tests.support.internet import small_internet

    with small_internet(docker_client, run, image) as internet:
        yield internet


@pytest.fixture
def after_containers() -> Iterator[ExitStack]:
    """Clean-up that has to wait until the test's containers are gone."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def workspaces(run: Run, image: str, after_containers: ExitStack) -> Iterator[Workspaces]:
    """Starts containers of the image; they are gone after the test."""
    from tests.support.containers import Workspaces

    made = Workspaces(run, image)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_workspace(run: Run, image: str) -> Iterator[Workspace]:
    """One running container for tests that only look."""
    from tests.support.containers import Workspaces

    made = Workspaces(run, image)
    yield made.start()
    made.close()


@pytest.fixture
def kept_volume(
    docker_client: docker.DockerClient, run: Run, image: str, after_containers: ExitStack
) -> Volume:
    """A new volume as Fly makes one; it outlives containers, not the test."""
    from tests.support.volumes import Volume, as_fly_makes_it

    volume = Volume(docker_client, run, image)
    after_containers.callback(volume.remove)
    return as_fly_makes_it(volume)
