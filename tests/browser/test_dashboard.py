"""The operator's dashboard over twenty users with a month behind them, in a real browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, ViewportSize, expect

from fly.dashboard.look import look
from fly.dashboard.server import Dashboard
from fly.desk import Desk
from fly.ledger import Ledger
from fly.money.verbs import accounts_of
from fly.settings import Secret, Settings
from tests.browser.conftest import DESKTOP, PHONE, PICTURES
from tests.support.axe import grave_complaints
from tests.support.fleet import NAMES, evening, populate
from tests.support.wait import wait_until
from tests.support.world import World, new_world

LAPTOP: ViewportSize = {"width": DESKTOP["width"], "height": DESKTOP["height"]}
POCKET: ViewportSize = {"width": PHONE["width"], "height": PHONE["height"]}
TOKEN = Secret("a-token-of-this-test-alone")


@dataclass
class Served:
    """The dashboard, and the world that it looks at."""

    url: str
    world: World

    def address(self, token: str = "") -> str:
        return f"{self.url}/#token={token or TOKEN.reveal()}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fleet")
    settings, now = Settings(root=folder, home=folder, token=Secret("")), evening()
    with new_world(folder) as world:
        populate(world, settings, now)

        def seen() -> object:
            with Ledger(settings.ledger) as ledger:
                here = Desk(settings, world.client.platform, world.client, ledger)
                return look(settings, world.client, ledger, accounts_of(here), now)

        with serving(Dashboard(seen, TOKEN)) as url:  # type: ignore[arg-type]
            yield Served(url, world)


class serving:  # noqa: N801 - it is read after "with"
    """A dashboard on a free port."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(dashboard.app(), log_config=None, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> str:
        self._thread.start()
        wait_until(lambda: self._server.started, "the dashboard")
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=15)


def opened(browser: Browser, served: Served, viewport: ViewportSize, scheme: str) -> Page:
    context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(served.address())
    expect(page.get_by_role("heading", name="The fleet")).to_be_visible()
    return page


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(LAPTOP, "light"), (POCKET, "dark")], ids=["laptop", "phone in the dark"]
)
def test_everything_is_there_for_everybody_to_read(
    browser: Browser, served: Served, viewport: ViewportSize, scheme: str
) -> None:
    """All users, plots and alerts; nothing to scroll sideways for; nothing serious for axe."""
    page = opened(browser, served, viewport, scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for name in NAMES:
        expect(page.get_by_text(name, exact=True).last).to_be_visible()
    assert page.locator("svg.plot").count() == 6
    assert page.locator("svg.strip").count() == len(NAMES)
    expect(page.get_by_text("its page does not answer").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert grave_complaints(page) == []
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"dashboard-{viewport['width']}-{scheme}.png", full_page=True)
    assert complaints == []
    page.context.close()


def test_the_token_leaves_the_address_and_a_reload_stays_in(browser: Browser, served: Served) -> None:
    """Nobody who looks over her shoulder, and no history, has the token; another one opens nothing."""
    page = opened(browser, served, LAPTOP, "light")
    assert page.url == f"{served.url}/"
    page.reload()
    expect(page.get_by_role("heading", name="The fleet")).to_be_visible()
    page.context.close()

    stranger = browser.new_context().new_page()
    stranger.goto(served.address("wrong"))
    expect(stranger.get_by_text("no longer valid")).to_be_visible()
    stranger.goto(served.url)
    expect(stranger.get_by_text("Open the address")).to_be_visible()
    stranger.context.close()


def test_it_brings_itself_up_to_date(browser: Browser, served: Served) -> None:
    """What changes shows without a reload; while nothing can be read, what was known stays."""
    context = browser.new_context()
    context.clock.install()
    page = context.new_page()
    page.goto(served.address())
    expect(page.get_by_text("7 of 20")).to_be_visible()
    page.evaluate("window.stays = true")
    page.route("**/fleet", lambda route: route.abort())
    page.clock.run_for(31_000)
    expect(page.locator("main.old")).to_be_visible()
    page.unroute("**/fleet")
    page.route("**/fleet", lambda route: route.fulfill(body="<h1>The fleet, anew</h1>"))
    page.clock.run_for(31_000)
    expect(page.get_by_role("heading", name="The fleet, anew")).to_be_visible()
    expect(page.locator("main.old")).to_have_count(0)
    assert page.evaluate("window.stays")
    context.close()
