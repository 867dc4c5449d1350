"""Real Chromium, real container, real Claude binary; only Anthropic is a stand-in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

from tests.support.chromium import WHOLE, WITHOUT_WINDOWS, find_chromium
from tests.support.evidence import output
from tests.support.outcome import HAS_FAILED
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from tests.support.containers import Workspace, Workspaces
    from tests.support.internet import Internet
    from tests.support.run import Run
    from tests.support.volumes import Volume

PICTURES = output() / "pictures"
QUIET = (
    "--no-sandbox",
    "--disable-auto-reload",  # of a page that did not come
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--disable-software-rasterizer",
)
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 60_000
"""A machine that does much else at once lets Claude start in ten seconds instead of one."""
OF_THIS_MACHINE = "net::ERR_NETWORK_CHANGED"
"""What Chromium says while a container comes or goes: each brings this machine another interface."""
OF_THAT_MOMENT = ("is interrupted by another navigation", "Not attached to an active page")
"""What it says while it still does something by itself: about such a change, or as it has just started."""
WITHOUT_PUSH = "does not support the Push API in incognito mode"
"""What Chromium says where the page asks for it: each test has a window of that kind to itself."""
OF_ITS_WORKER = "An unknown error occurred when fetching the script."
"""The same, for the service worker's file; where it is missing or refused a browser says that."""
WORKER_IN_TIME = """Promise.race([
    navigator.serviceWorker.ready.then(() => true),
    new Promise((done) => setTimeout(() => done(false), 10_000)),
])"""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives browsers; there can be one in a process."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The Chromium of this machine; without the parts that draw windows, where it comes so too."""
    yield from _launched(playwright, WITHOUT_WINDOWS, *WHOLE)


@pytest.fixture(scope="session")
def whole_browser(playwright: Playwright) -> Iterator[Browser]:
    """All of Chromium: with its viewers, and with notifications."""
    yield from _launched(playwright, *WHOLE)


def _launched(playwright: Playwright, *names: str) -> Iterator[Browser]:
    path = find_chromium(*names)
    assert path, "Chromium is missing: `invoke test` installs it"
    browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def home(run: Run, image: str, internet: Internet) -> Iterator[Workspace]:
    """One workspace for all stories that need nothing of their own; its Claude is logged in."""
    from tests.support.containers import Workspaces
    from tests.support.login import give_login

    with closing(Workspaces(run, image)) as made:
        workspace = made.start(internet=internet)
        give_login(workspace, internet.anthropic)
        yield workspace


@pytest.fixture
def lilach(
    workspaces: Workspaces, internet: Internet, kept_volume: Volume, page_of: Callable[[Workspace], Page]
) -> Lilach:
    """A user at her new workspace, on a laptop."""
    workspace = workspaces.start(kept_volume, internet=internet)
    return Lilach(workspace, page_of(workspace), internet)


class Lilach:
    """What she sees (`page`) and where she is (`workspace`)."""

    def __init__(self, workspace: Workspace, page: Page, internet: Internet) -> None:
        self.workspace = workspace
        self.page = page
        self.internet = internet


@pytest.fixture
def page_of(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens a workspace's page; a test also fails for what the browser's console complained of."""
    yield from _pages(browser, request)


@pytest.fixture
def page_in_whole_browser(
    whole_browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """The same where the browser itself has something to show: a PDF, a notification."""
    yield from _pages(whole_browser, request)


def _pages(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(
        workspace: Workspace,
        viewport: dict[str, int] = DESKTOP,
        *,
        touch: bool = False,
        path: str = "/",
        url: str = "",
        calm: bool = True,
        **options: Any,
    ) -> Page:
        """`calm` is false where the network is cut: a browser complains of that in its console."""
        context = browser.new_context(
            viewport={"width": viewport["width"], "height": viewport["height"]},
            has_touch=touch,
            is_mobile=touch,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = patient(context.new_page())
        page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
        if calm:
            page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
        page.goto((url or workspace.url) + path)
        return page

    yield open_page
    is_worth_a_picture = request.node.stash.get(HAS_FAILED, bool(complaints))
    for number, context in enumerate(contexts):
        for page in context.pages if is_worth_a_picture else ():
            picture(page, f"{request.node.name}-end-{number}")
        context.close()
    assert complaints == []


def _is_complaint(said: ConsoleMessage) -> bool:
    known = (OF_THIS_MACHINE, OF_ITS_WORKER, WITHOUT_PUSH)
    return said.type == "error" and not any(text in said.text for text in known)


def patient(page: Page) -> Page:
    """The same, which comes and comes again with as many tries as this machine's own network takes.

    A page that has lost some of its own files says so and comes anew: it is used only then.
    """
    page.goto = _patient(page, page.goto)  # type: ignore[method-assign]
    page.reload = _patient(page, page.reload)  # type: ignore[method-assign]
    return page


def _patient(page: Page, step: Callable[..., Any]) -> Callable[..., Any]:
    def come(*given: Any, **options: Any) -> Any:
        answer = tried(*given, **options)
        expect(page.locator("p#again")).to_be_hidden()
        return answer

    def tried(*given: Any, **options: Any) -> Any:
        for pause_s in (0.1, 0.3, 1, 3):
            try:
                return step(*given, **options)
            except PlaywrightError as error:
                if not any(text in str(error) for text in (OF_THIS_MACHINE, *OF_THAT_MOMENT)):
                    raise
            time.sleep(pause_s)
        return step(*given, **options)

    return come


def with_worker(page: Page) -> None:
    """Waits for the page's service worker; the page comes again where its file was broken off."""

    def is_there() -> bool:
        try:
            if page.evaluate(WORKER_IN_TIME):
                return True
        except PlaywrightError as error:
            if "Execution context was destroyed" not in str(error):
                raise
        page.reload()
        return False

    wait_until(is_there, "the service worker", timeout_s=90)


@pytest.fixture
def cut_s(request: pytest.FixtureRequest) -> float:
    """How long the network is cut; `--cut-s 300` waits as long as she does in a tunnel."""
    return float(request.config.getoption("--cut-s"))


def say(page: Page, words: str) -> None:
    """Writes a message and sends it."""
    page.get_by_label("Message Claude").fill(words)
    page.get_by_role("button", name="Send", exact=True).click()


def drop(page: Page, place: Locator, *paths: Path) -> None:
    """Files and folders of this machine, dragged over a place of the page and let go there."""
    box = place.bounding_box()
    assert box, "a place that is seen"
    browser = page.context.new_cdp_session(page)
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": step, **at, "data": data})


def picture(page: Page, name: str) -> Path:
    """Keeps what the page looks like now under test-output/pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    return path
