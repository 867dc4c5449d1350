"""What Lilach chooses holds at once, on every device, and after a reload."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import PHONE, picture, say, with_worker
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.run import Run
from tests.support.wait import wait_until

NOTES_ASKING = """
const request = Notification.requestPermission.bind(Notification);
Notification.requestPermission = (...given) => { window.asked = true; return request(...given); };
"""


@pytest.fixture(scope="module")
def unsettled(run: Run, image: str) -> Iterator[Workspace]:
    with closing(Workspaces(run, image)) as made:
        yield made.start()


@pytest.fixture
def fresh(unsettled: Workspace) -> Iterator[Workspace]:
    """A workspace whose settings a test may change, all as they come; its Claude is not logged in."""
    as_they_come = unsettled.get("/api/boot").json()["settings"]
    yield unsettled
    unsettled.ask("PUT", "/api/settings", as_they_come).raise_for_status()
    assert unsettled.get("/api/boot").json()["settings"] == as_they_come


def test_what_she_chooses_holds_at_once_on_each_device(
    fresh: Workspace, page_of: Callable[..., Page]
) -> None:
    laptop, phone = page_of(fresh, path="/settings/appearance"), page_of(fresh, PHONE, touch=True)
    laptop.get_by_label("Dark").check()
    laptop.get_by_label("Large").check()
    for page in (laptop, phone):
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.locator("html")).to_have_attribute("data-text", "large")
    picture(laptop, "settings-appearance-dark")
    laptop.get_by_role("link", name="General").click()
    laptop.get_by_label("Your name").fill("לילך <b>")
    laptop.keyboard.press("Tab")
    expect(phone.get_by_role("heading", name="לילך <b>")).to_be_visible()
    laptop.reload()
    expect(laptop.get_by_label("Your name")).to_have_value("לילך <b>")


def test_enter_starts_a_new_line_where_she_wants_that(fresh: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(fresh, path="/settings/general")
    page.get_by_text("New line", exact=True).click()
    page.get_by_role("button", name="Back to chat").click()
    field = page.get_by_label("Message Claude")
    field.press_sequentially("one")
    field.press("Enter")
    field.press_sequentially("two")
    expect(field).to_have_value("one\ntwo")
    field.press("Control+Enter")
    expect(page.locator("[data-role=user]")).to_have_count(1)


def test_claude_answers_in_the_language_that_she_chose(
    home: Workspace, internet: Internet, page_of: Callable[..., Page]
) -> None:
    page = page_of(home)
    say(page, "Before")
    expect(page.locator("[data-role=assistant]")).to_contain_text("You said: Before")
    assert "עברית" not in str(internet.anthropic.prompts()[-1].body)
    page.get_by_role("button", name="Settings").first.click()
    language = page.get_by_label("Language")
    try:
        language.fill("עברית")
        language.blur()
        wait_until(lambda: home.get("/api/boot").json()["settings"]["language"] == "עברית", "it to be saved")
        page.get_by_role("button", name="Back to chat").click()
        say(page, "After")
        expect(page.locator("[data-role=assistant]").last).to_contain_text("You said: After")
        assert "עברית" in str(internet.anthropic.prompts()[-1].body)
    finally:
        assert home.ask("PUT", "/api/settings", {"language": ""}).is_success


def test_letting_claude_do_everything_is_asked_twice(fresh: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(fresh, path="/settings/general")
    page.get_by_label("Never ask").check()
    picture(page, "settings-never-ask")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Ask first")).to_be_checked()
    page.get_by_label("Never ask").check()
    page.get_by_role("button", name="Never ask me").click()
    expect(page.get_by_label("Never ask")).to_be_checked()


def test_what_was_always_allowed_is_taken_back(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    say(page, '[tool Bash {"command": "touch always.txt"}]')
    page.get_by_role("button", name="Always allow").click()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("The tool said")
    page.goto(f"{home.url}/settings/general")
    rule = page.locator(".settings-section li").filter(has_text="touch always.txt")
    expect(rule).to_be_visible()
    picture(page, "settings-always-allowed")
    with page.expect_response("**/api/permissions"):
        rule.get_by_role("button", name="Take back").click()
    expect(rule).to_have_count(0)
    page.goto(home.url)
    say(page, '[tool Bash {"command": "touch always.txt"}]')
    page.get_by_role("button", name="Allow once").click()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("The tool said")


def test_the_versions_and_licences_are_there(fresh: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(fresh, path="/settings/about")
    expect(page.get_by_text("Claude Code", exact=True).last).to_be_visible()
    with page.expect_navigation():
        page.get_by_role("link", name="Licences").click()
    expect(page.locator("body")).to_contain_text("preact")


def test_nothing_is_asked_before_she_wants_notifications(
    fresh: Workspace, page_in_whole_browser: Callable[..., Page]
) -> None:
    page = page_in_whole_browser(fresh, path="/settings/general")
    page.context.grant_permissions([], origin=fresh.url)
    assert page.evaluate("Notification.permission") != "granted"
    page.context.grant_permissions(["notifications"], origin=fresh.url)
    page.add_init_script(NOTES_ASKING)
    page.reload()
    switch = page.get_by_role("switch", name="Tell me when Claude is done")
    expect(switch).not_to_be_checked()
    assert page.evaluate("window.asked") is None, "asked before she wanted them"
    switch.check()
    assert page.evaluate("window.asked") is True
    page.reload()
    expect(switch).to_be_checked()


def test_while_she_looks_elsewhere_she_is_told_of_cards_and_of_ends(
    home: Workspace, page_in_whole_browser: Callable[..., Page]
) -> None:
    page = page_in_whole_browser(home, path="/settings/general")
    page.context.grant_permissions(["notifications"], origin=home.url)
    page.reload()
    page.get_by_role("switch", name="Tell me when Claude is done").check()
    page.get_by_role("button", name="Back to chat").click()
    with_worker(page)
    say(page, 'Tell me [tool Write {"file_path": "/data/workspace/told.md", "content": "x"}]')
    expect(page.locator("[data-role=ask]")).to_be_visible()
    assert told(page) == [], "she sees it herself"
    page.get_by_role("button", name="Allow once").click()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("The tool said:")
    look_elsewhere(page)  # before she asks: Claude may be quicker than a busy machine's browser
    say(page, 'Again [tool Write {"file_path": "/data/workspace/told2.md", "content": "x"}][say Done.]')
    wait_until(lambda: told(page) == ["Claude waits for your answer: Tell me"], "word of the card")
    expect(page).to_have_title(re.compile("^\\(Waiting for you\\)"))
    page.get_by_role("button", name="Allow once").click()
    wait_until(lambda: told(page) == ["Claude has finished: Tell me"], "word of the end, in the card's place")


def test_news_that_come_past_all_pages_are_shown_and_take_nothing_from_what_a_page_has_shown(
    home: Workspace, page_in_whole_browser: Callable[..., Page]
) -> None:
    page = page_in_whole_browser(home, path="/settings/general")
    page.context.grant_permissions(["notifications"], origin=home.url)
    with_worker(page)
    session, registrations = page.context.new_cdp_session(page), dict[str, bool]()
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.update(
            {one["registrationId"]: not one["isDeleted"] for one in event["registrations"]}
        ),
    )
    session.send("ServiceWorker.enable")
    wait_until(lambda: page.evaluate("1") and any(registrations.values()), "the worker")
    for title in ("Claude waits for your answer", "Claude has finished"):
        data = json.dumps({"title": title, "conversation": "5f0c7d0e-0000-4000-8000-000000000001"})
        wait_until(partial(is_told, page, session, registrations, title, data), "the news", interval_s=2)


def is_told(
    page: Page, session: CDPSession, registrations: Mapping[str, bool], title: str, data: str
) -> bool:
    """Pushed once more if it is not yet there: on a busy machine the browser's own tool loses some."""
    if told(page) == [f"{title}: "]:
        return True
    worker = next(one for one, is_there in registrations.items() if is_there)
    push = {"origin": page.evaluate("origin"), "registrationId": worker, "data": data}
    session.send("ServiceWorker.deliverPushMessage", push)
    return False


def told(page: Page) -> list[str]:
    """The notifications that stand in the browser now."""
    shown: list[str] = page.evaluate(
        """() => navigator.serviceWorker.ready
            .then((worker) => worker.getNotifications())
            .then((all) => all.map(({ title, body }) => `${title}: ${body.split(" [")[0]}`))"""
    )
    return shown


def look_elsewhere(page: Page) -> None:
    """As where she turns to another tab: a browser without a screen has none in front of another."""
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => true });
            Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )


def test_without_a_network_the_page_says_so_and_comes_back(
    fresh: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(fresh, calm=False)
    with_worker(page)
    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_role("heading", name="Your workspace cannot be reached")).to_be_visible()
    assert page.evaluate("caches.keys()") == [], "the worker keeps something"
    picture(page, "offline")
    page.context.set_offline(False)
    expect(page.get_by_label("Message Claude")).to_be_visible()
