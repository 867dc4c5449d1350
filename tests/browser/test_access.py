"""She follows her link and is in; whoever only knows the address is not; and out means out, at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, PHONE, patient, picture
from tests.support.axe import grave_complaints
from tests.support.containers import Workspace, Workspaces
from tests.support.run import Run

KEY = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"
LOCKED = {
    "JARVIS_LOGIN": "link",
    "JARVIS_LOGIN_HASH": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}",
}


@pytest.fixture(scope="module")
def workspace(run: Run, image: str) -> Iterator[Workspace]:
    """Her devices are all those that the tests have signed in."""
    with closing(Workspaces(run, image)) as made:
        yield made.start(environment=LOCKED)


@pytest.fixture
def unused(workspaces: Workspaces) -> Workspace:
    """Nobody has ever been in."""
    return workspaces.start(environment=LOCKED)


class Devices:
    """Browsers of their own; a refusal is told to the console as well, so that is not looked at."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.contexts: list[BrowserContext] = []

    def new(self, viewport: dict[str, int] = DESKTOP, scheme: str = "light") -> Page:
        size = {"width": viewport["width"], "height": viewport["height"]}
        context = self._browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        self.contexts.append(context)
        return patient(context.new_page())


@pytest.fixture
def devices(browser: Browser) -> Iterator[Devices]:
    made = Devices(browser)
    yield made
    for context in made.contexts:
        context.close()


def is_in(page: Page) -> None:
    expect(page.get_by_label("Message Claude")).to_be_visible()


def is_asked(page: Page) -> None:
    expect(page.get_by_role("heading", name="This workspace is private")).to_be_visible()


def test_her_link_lets_her_in_and_the_bare_address_nobody(workspace: Workspace, devices: Devices) -> None:
    stranger = devices.new(PHONE, "dark")
    stranger.goto(workspace.url)
    is_asked(stranger)
    picture(stranger, "sign-in-phone-dark")
    assert grave_complaints(stranger) == []
    page = devices.new()
    page.goto(f"{workspace.url}/#key={KEY}")
    is_in(page)
    assert KEY not in page.url
    assert KEY not in str(page.evaluate("JSON.stringify([history.state, localStorage, sessionStorage])"))
    assert page.evaluate("document.cookie") == ""
    page.goto(workspace.url)
    is_in(page)
    page.goto(f"{workspace.url}/#key={KEY}")
    is_in(page)
    assert KEY not in page.url, "nor where she was in already"
    is_asked(stranger)


def test_out_everywhere_means_out_everywhere(workspace: Workspace, devices: Devices) -> None:
    laptop, phone = devices.new(), devices.new(PHONE)
    for page in (laptop, phone):
        page.goto(f"{workspace.url}/#key={KEY}")
        is_in(page)
    laptop.goto(f"{workspace.url}/settings/access")
    laptop.get_by_role("button", name="Sign out everywhere").click()
    laptop.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    for page in (laptop, phone):
        is_asked(page)  # by itself, wherever it was
        page.goto(workspace.url)
        is_asked(page)


def test_one_device_is_put_out_from_another(unused: Workspace, devices: Devices) -> None:
    laptop, phone = devices.new(), devices.new(PHONE)
    for page in (laptop, phone):
        page.goto(f"{unused.url}/#key={KEY}")
        is_in(page)
    laptop.goto(f"{unused.url}/settings/access")
    listed = laptop.locator(".devices li")
    expect(listed).to_have_count(2)
    listed.nth(1).get_by_role("button").click()
    expect(listed).to_have_count(1)
    is_asked(phone)
    laptop.goto(unused.url)
    is_in(laptop)


def test_a_link_that_is_no_longer_valid_says_so_and_a_pasted_one_opens(
    workspace: Workspace, devices: Devices
) -> None:
    page = devices.new()
    page.goto(f"{workspace.url}/#key={'x' * 32}")
    expect(page.get_by_role("heading", name="This link is no longer valid")).to_be_visible()
    picture(page, "sign-in-link-no-longer-valid")
    page.get_by_label("Welcome link").fill("https://elsewhere.example/#key=" + KEY)
    page.get_by_role("button", name="Open workspace").click()
    expect(page.get_by_role("alert")).to_contain_text("another workspace: elsewhere.example")
    page.get_by_label("Welcome link").fill(f"{workspace.url}/#key={KEY}")
    page.keyboard.press("Enter")
    is_in(page)


def test_a_link_in_a_mail_opens_although_the_first_request_has_no_cookie(
    workspace: Workspace, devices: Devices
) -> None:
    """A click elsewhere carries no SameSite=Strict cookie: the sign-in page asks again from its origin."""
    page = devices.new()
    page.goto(f"{workspace.url}/#key={KEY}")
    is_in(page)
    elsewhere = workspace.url.replace("127.0.0.1", "localhost")  # another site, to a browser
    page.route(
        f"{elsewhere}/mail",
        lambda route: route.fulfill(content_type="text/html", body=f'<a href="{workspace.url}/">open</a>'),
    )
    page.goto(f"{elsewhere}/mail")
    statuses: list[int] = []
    page.on(
        "response", lambda said: statuses.append(said.status) if said.url == f"{workspace.url}/" else None
    )
    page.get_by_role("link", name="open").click()
    is_in(page)
    assert statuses == [401, 200], "asked twice: once from elsewhere, once from itself"


def test_a_bad_network_costs_nobody_her_link(workspace: Workspace, devices: Devices) -> None:
    page = devices.new()
    page.route("**/api/login", lambda route: route.abort())
    page.goto(f"{workspace.url}/#key={KEY}")
    expect(page.get_by_role("heading", name="Your workspace could not be reached")).to_be_visible()
    page.unroute("**/api/login")
    page.get_by_role("button", name="Try again").click()
    is_in(page)


def test_name_and_password_open_too(workspaces: Workspaces, devices: Devices) -> None:
    from argon2 import PasswordHasher

    hashed = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("ab2cd-ef3gh")
    environment = {"JARVIS_LOGIN": "password", "JARVIS_LOGIN_HASH": hashed, "JARVIS_LOGIN_USER": "lilach"}
    page = devices.new()
    page.goto(workspaces.start(environment=environment).url)
    page.get_by_label("Name").fill("lilach")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    picture(page, "sign-in-password")
    assert grave_complaints(page) == []
    page.get_by_label("Password").fill("ab2cd-ef3gh")
    page.get_by_role("button", name="Sign in").click()
    is_in(page)


def test_where_nothing_was_set_up_it_says_so(workspaces: Workspaces, devices: Devices) -> None:
    page = devices.new(scheme="dark")
    page.goto(workspaces.start(environment={"JARVIS_LOGIN": ""}).url)
    expect(page.get_by_role("heading", name="Nobody can come in yet")).to_be_visible()
    picture(page, "sign-in-closed-dark")
