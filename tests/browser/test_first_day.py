"""Lilach's first day: she opens her page, connects Claude Code by typing, closes the terminal and chats."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Lilach, picture, say
from tests.support.containers import Workspace, Workspaces
from tests.support.terminal_page import login_url, terminal_text
from tests.support.wait import wait_until


def open_terminal(page: Page) -> None:
    page.get_by_role("button", name="Settings").first.click()
    page.get_by_role("link", name="Claude Code Authentication").or_(
        page.get_by_role("tab", name="Claude Code Authentication")
    ).or_(page.get_by_role("button", name="Claude Code Authentication")).first.click()
    page.get_by_role("button", name="Open Terminal").click()
    expect(page.get_by_test_id("terminal")).to_be_visible()
    wait_until(lambda: "$" in terminal_text(page), "the shell's prompt")


def log_in(lilach: Lilach) -> None:
    page = lilach.page
    page.keyboard.type("claude authenticate\n")
    wait_until(lambda: "Paste code" in terminal_text(page), "Claude asks for the code", timeout_s=20)
    page.keyboard.type(lilach.internet.anthropic.authorise(login_url(page)) + "\n")


def test_she_logs_in_by_typing_and_claude_answers_her(lilach: Lilach) -> None:
    page = lilach.page
    picture(page, "1-first-sight")
    open_terminal(page)
    picture(page, "2-terminal")
    log_in(lilach)
    expect(page.get_by_test_id("auth-status").first).to_contain_text("Connected as")
    picture(page, "3-connected")
    page.get_by_role("button", name="Close terminal").click()
    page.goto(lilach.workspace.url)
    say(page, "Good morning, Claude")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("You said: Good morning, Claude")
    picture(page, "4-answered")


def test_without_a_login_the_chat_says_so_and_shows_the_way(lilach: Lilach) -> None:
    page = lilach.page
    say(page, "Hello?")
    notice = page.get_by_text(re.compile("not connected", re.IGNORECASE)).first
    expect(notice).to_be_visible()
    expect(page.locator("[data-role=user]").last).to_contain_text("Hello?")


def test_her_shell_is_still_there_when_she_comes_back(lilach: Lilach) -> None:
    page = lilach.page
    open_terminal(page)
    page.keyboard.type("echo kept-$((40+2))\n")
    wait_until(lambda: "kept-42" in terminal_text(page), "the shell answers")
    page.reload()
    page.get_by_role("button", name="Open Terminal").click()
    wait_until(lambda: "kept-42" in terminal_text(page), "the same shell is shown again")


def test_the_page_works_on_a_phone(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home, PHONE, touch=True)
    expect(page.get_by_label("Message Claude")).to_be_visible()
    picture(page, "phone-first-sight")
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide, "the page scrolls sideways"


def test_the_first_load_is_small(workspaces: Workspaces, page_of: Callable[[Workspace], Page]) -> None:
    """All that comes until the page can be used; what shows chats, files and terminals comes later."""
    page = page_of(workspaces.start())
    expect(page.get_by_label("Message Claude")).to_be_visible()
    sizes = page.evaluate(
        """() => {
            const usable = performance.getEntriesByName('usable')[0].startTime;
            return performance.getEntries()
                .filter((one) => one.encodedBodySize && one.startTime < usable)
                .map((one) => [one.name, one.encodedBodySize]);
        }"""
    )
    assert len(sizes) > 3
    assert sum(size for _, size in sizes) < 45_000, sizes
