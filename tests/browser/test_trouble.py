"""What goes wrong between her and Claude: each trouble has its own sentence, and the button that cures it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, picture, say
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.login import CREDENTIALS, give_login, login_in
from tests.support.run import Run
from tests.support.terminal_page import login_url, terminal_text
from tests.support.wait import wait_until
from tests.support.wire import Wire

GIVES_UP_SOON = {"env": {"CLAUDE_CODE_MAX_RETRIES": "0"}}
"""Her own settings of Claude Code: ten tries of its own would take minutes."""


@pytest.fixture(scope="module")
def troubled(run: Run, image: str, internet: Internet) -> Iterator[Workspace]:
    """A workspace of its own for all of them; its Claude is logged in."""
    with closing(Workspaces(run, image)) as made:
        workspace = made.start(internet=internet)
        workspace.put("/data/claude/settings.json", json.dumps(GIVES_UP_SOON).encode(), owner=1000)
        give_login(workspace, internet.anthropic)
        yield workspace


def notice(page: Page, title: str) -> None:
    """The last thing in the conversation is this trouble, said in a sentence."""
    shown = page.get_by_role("note", name=title)
    expect(shown).to_be_visible()
    assert re.search(r"\w+ \w+ \w+.*\.", shown.locator("p").first.inner_text())


def answered(page: Page, words: str) -> None:
    expect(page.locator("[data-role=assistant]").last).to_contain_text(words)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_claude_is_overloaded_and_she_sends_it_again(
    troubled: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(troubled)
    say(page, "Busy day [status 529 once]")
    notice(page, "Claude is busy")
    picture(page, "trouble-overloaded")
    page.get_by_role("button", name="Send it again").click()
    answered(page, "You said: Busy day")


def test_a_used_up_plan_says_until_when(troubled: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(troubled, PHONE, touch=True)
    say(page, "Much [limit seven_day in 172800 s]")
    notice(page, "Your plan’s limit is reached")
    expect(page.locator(".notice")).to_contain_text("in a week")
    expect(page.locator(".notice .until")).to_contain_text(re.compile("renewed on .+day at "))
    expect(page.get_by_role("button", name="Send it again")).to_have_count(0)
    picture(page, "trouble-limit-phone")


def test_without_a_network_claude_cannot_be_reached(
    troubled: Workspace, page_of: Callable[..., Page]
) -> None:
    """The workspace is there and the internet behind it is not: names lead nowhere."""
    hosts = troubled.run("cat", "/etc/hosts")
    page = page_of(troubled)
    try:
        troubled.run("sh", "-c", "echo 127.0.0.1 api.anthropic.com >> /etc/hosts", user="root")
        say(page, "Anybody there")
        notice(page, "Claude cannot be reached")
        picture(page, "trouble-no-network")
    finally:
        troubled.run("sh", "-c", 'printf %s "$1" > /etc/hosts', "-", hosts, user="root")
    page.get_by_role("button", name="Send it again").click()
    answered(page, "You said: Anybody there")


def test_a_crash_in_the_middle_says_so_and_she_lets_claude_go_on(
    troubled: Workspace, page_of: Callable[..., Page]
) -> None:
    with Wire(troubled.port) as wire:
        page = page_of(troubled, url=wire.url, calm=False)
        say(page, "A long one [tokens 500 at 40 ms]")
        expect(page.locator("[data-role=assistant]").last).to_contain_text("word40 ")
        troubled.stop("SIGKILL")
        troubled.start()
        wire.mend(troubled.port)
        notice(page, "This answer was cut off")
        expect(page.locator("[data-role=assistant]")).to_have_count(1)
        expect(page.locator("[data-role=assistant]")).to_contain_text("word1 word2 word3 ")
        picture(page, "trouble-crash")
        page.get_by_role("button", name="Continue", exact=True).click()
        answered(page, "Please continue where you were cut off")
        expect(page.locator("[data-role=assistant]")).to_have_count(2)
        expect(page.locator("[data-role=user]").first).to_contain_text("A long one")


def test_a_login_that_expired_is_renewed_beside_the_words_and_her_message_goes_out(
    troubled: Workspace, internet: Internet, page_of: Callable[..., Page]
) -> None:
    _let_the_login_expire(troubled)
    page = page_of(troubled)
    say(page, "Good evening")
    notice(page, "Your login has expired")
    picture(page, "trouble-login-expired")
    page.get_by_role("button", name="Connect again").click()
    expect(page.get_by_text("Your login has expired.")).to_be_visible()
    page.get_by_role("button", name="Open Terminal").click()
    page.get_by_role("button", name="Type it for me").click()
    wait_until(lambda: "Paste code" in terminal_text(page), "Claude asks for the code", timeout_s=60)
    expect(page.get_by_role("link", name="Go to Claude’s login page")).to_be_visible()
    picture(page, "trouble-login-again")
    page.keyboard.type(internet.anthropic.authorise(login_url(page)) + "\n")
    expect(page.get_by_role("heading", name="You are connected")).to_be_visible()
    expect(page.get_by_test_id("terminal")).to_be_hidden()  # by itself
    picture(page, "trouble-connected-again")
    page.get_by_role("button", name="Go to the chat").click()
    answered(page, "You said: Good evening")


def _let_the_login_expire(workspace: Workspace) -> None:
    """As months later: neither what opens nor what renews holds any longer."""
    old = {"accessToken": "sk-ant-oat01-old", "refreshToken": "sk-ant-ort01-old", "expiresAt": 1}
    kept = json.dumps({"claudeAiOauth": login_in(workspace) | old})
    workspace.put(CREDENTIALS, kept.encode(), mode=0o600, owner=1000)
