"""Lilach pays Anthropic by use: a key in place of a plan, one that does not fit; the way out and in again."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Lilach, picture, say
from tests.browser.test_access import KEY, LOCKED
from tests.support.anthropic.server import API_KEY, BY_USE, Account
from tests.support.containers import Workspaces
from tests.support.internet import Internet
from tests.support.login import give_login
from tests.support.terminal_page import login_url, terminal_text
from tests.support.wait import wait_until

MANY = 60
"""Words that take a few seconds to come."""


@pytest.fixture
def by_use(internet: Internet) -> Iterator[None]:
    """Her account pays by use."""
    internet.anthropic.configure(account={"kind": BY_USE})
    yield
    internet.anthropic.configure(account={"kind": Account.kind})


def to_authentication(page: Page) -> None:
    page.get_by_role("button", name="Settings").first.click()
    page.get_by_role("link", name="Claude Code Authentication").first.click()


def connect(lilach: Lilach, command: str) -> None:
    """Begins with what the page says: two first starts of Claude at once can undo each other's login."""
    page = lilach.page
    expect(page.get_by_test_id("auth-status").first).to_have_text("Not connected")
    page.get_by_role("button", name="Open Terminal").click()
    wait_until(lambda: "$" in terminal_text(page).splitlines()[-1], "the shell's prompt")
    page.keyboard.type("clear\n")
    wait_until(lambda: "Paste code" not in terminal_text(page), "what was said before is gone")
    page.keyboard.type(f"{command}\n")
    wait_until(lambda: "Paste code" in terminal_text(page), "Claude asks for the code")
    page.keyboard.type(lilach.internet.anthropic.authorise(login_url(page)) + "\n")


def answer_to(page: Page, words: str) -> None:
    say(page, words)
    expect(page.locator("[data-role=assistant]").last).to_contain_text(f"You said: {words}")


def test_who_pays_by_use_connects_with_a_key_logs_out_and_in_again(by_use: None, lilach: Lilach) -> None:
    page, status = lilach.page, lilach.page.get_by_test_id("auth-status").first
    to_authentication(page)
    page.get_by_text("With an API key instead").click()
    command = page.get_by_text("claude authenticate --console")
    expect(command).to_be_visible()
    picture(page, "key-1-words")
    connect(lilach, command.inner_text())
    expect(status).to_have_text("Connected as lilach@example.com with an API key")
    picture(page, "key-2-connected")
    page.get_by_role("button", name=re.compile("chat", re.IGNORECASE)).last.click()
    answer_to(page, "Do you know my key?")
    assert lilach.internet.anthropic.prompts()[-1].headers["x-api-key"] == API_KEY

    to_authentication(page)
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    expect(status).to_have_text("Not connected")
    picture(page, "key-3-logged-out")
    page.goto(lilach.workspace.url)
    say(page, "Are you there?")
    expect(page.get_by_role("heading", name="Claude is not connected yet")).to_be_visible()
    picture(page, "key-4-chat-without")

    page.get_by_role("button", name="Open the terminal to connect").click()
    connect(lilach, "claude authenticate")
    expect(status).to_contain_text("Connected as lilach@example.com")


def test_a_key_that_does_not_fit_is_told_at_once(
    workspaces: Workspaces, internet: Internet, page_of: Callable[..., Page]
) -> None:
    """Claude Code alone would try the same key for minutes."""
    wrong = {"ANTHROPIC_API_KEY": "sk-ant-api03-mistyped"}
    page = page_of(workspaces.start(internet=internet, environment=wrong), PHONE, touch=True)
    say(page, "Hello?")
    notice = page.locator(".notice")
    expect(notice.get_by_role("heading")).to_have_text("Your login or key is refused")
    expect(notice).to_contain_text("whoever set up your workspace gave it a key")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Send it again")).to_be_visible()
    picture(page, "key-5-refused-phone")


def test_she_signs_out_and_then_logs_claude_out_in_the_middle_of_a_turn(
    workspaces: Workspaces, internet: Internet, page_of: Callable[..., Page]
) -> None:
    """Signing out ends no turn; after logging Claude out the next message is told why it gets no answer."""
    workspace = workspaces.start(internet=internet, environment=LOCKED)
    give_login(workspace, internet.anthropic)
    way_in = f"/#key={KEY}"
    laptop = page_of(workspace, path=way_in, calm=False)
    phone = page_of(workspace, PHONE, touch=True, path=way_in, calm=False)
    say(laptop, f"A long one [tokens {MANY} at 80 ms]")
    expect(laptop.locator("[data-role=assistant]")).to_contain_text("word9 ")
    conversation = laptop.url
    phone.goto(conversation)
    laptop.goto(f"{workspace.url}/settings/access")
    laptop.get_by_role("button", name="Sign out here").click()
    laptop.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(laptop.get_by_role("heading", name="This workspace is private")).to_be_visible()
    is_whole(phone)
    laptop.goto(workspace.url + way_in)
    expect(laptop.get_by_label("Message Claude")).to_be_visible()
    laptop.goto(conversation)
    is_whole(laptop)

    say(phone, f"Another [tokens {MANY} at 80 ms]")
    expect(phone.locator("[data-role=assistant]").last).to_contain_text("word9 ")
    laptop.goto(f"{workspace.url}/settings/authentication")
    laptop.get_by_role("button", name="Log out").click()
    laptop.get_by_role("dialog").get_by_role("button", name="Log out").click()
    expect(laptop.get_by_test_id("auth-status")).to_have_text("Not connected")
    expect(phone.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    say(phone, "And now?")
    expect(phone.get_by_role("heading", name="Claude is not connected yet")).to_be_visible()
    picture(phone, "key-6-logged-out-on-the-laptop")
    laptop.goto(conversation)
    expect(laptop.get_by_role("heading", name="Claude is not connected yet")).to_be_visible()


def is_whole(page: Page) -> None:
    """Each word of the answer once, in order."""
    answer = page.locator("[data-role=assistant] .prose").last
    expect(answer).to_contain_text(f"word{MANY}")
    assert re.findall(r"word\d+", answer.inner_text()) == [f"word{one}" for one in range(1, MANY + 1)]
