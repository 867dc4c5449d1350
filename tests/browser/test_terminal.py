"""The terminal in a real browser: floods, cuts, two devices, names, hostile titles, pastes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, picture
from tests.support.containers import Workspace, Workspaces
from tests.support.wait import wait_until
from tests.support.wire import Wire

HOSTILE = "<img src=x onerror=window.hacked=1>"
PATIENCE_S = 60


@pytest.fixture
def home(workspaces: Workspaces) -> Workspace:
    return workspaces.start()


def shown(page: Page) -> str:
    text: str = page.locator("[data-testid=terminal] .xterm-rows").inner_text()
    return text.replace("\xa0", " ")


def until_shown(page: Page, words: str) -> None:
    wait_until(lambda: words in shown(page), f"{words!r} in the terminal", timeout_s=PATIENCE_S)


def open_shell(page: Page) -> None:
    page.get_by_role("button", name="Terminal", exact=True).first.click()
    expect(page.get_by_test_id("terminal")).to_be_visible()
    until_shown(page, "$")


def numbers(page: Page) -> list[int]:
    return [int(line) for line in re.findall(r"^\s*(\d+)\s*$", shown(page), re.MULTILINE)]


def test_a_flood_survives_a_cut_and_a_sleep(home: Workspace, page_of: Callable[..., Page]) -> None:
    with Wire(home.port) as wire:
        page = page_of(home, url=wire.url, calm=False)
        open_shell(page)
        page.keyboard.type("seq 1 1000000 | tee /tmp/flood; echo over-$((40+2))\n")
        wait_until(lambda: max(numbers(page), default=0) > 1000, "the flood")
        wire.cut()
        assert "over-42" not in shown(page), "the flood was over before the cut"
        wire.mend()
        home.suspend()
        home.resume()
        until_shown(page, "over-42")
        last = numbers(page)
        assert last == list(range(last[0], 1_000_001)), "a line was lost or came twice"
        assert len(last) > 10
        assert home.run("sh", "-c", "seq 1 1000000 | cmp - /tmp/flood && echo same") == "same\n"
        picture(page, "terminal-after-the-flood")


def test_an_endless_flood_ends_at_ctrl_c(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    open_shell(page)
    page.keyboard.type("yes flood\n")
    until_shown(page, "flood\nflood\nflood")
    page.keyboard.press("Control+C")
    page.keyboard.type("echo alive-$((40+2))\n")
    until_shown(page, "alive-42")


def test_two_devices_share_a_shell_and_its_name(home: Workspace, page_of: Callable[..., Page]) -> None:
    laptop = page_of(home)
    open_shell(laptop)
    phone = page_of(home, PHONE, touch=True)
    phone.get_by_role("button", name="Show conversations").click()
    open_shell(phone)
    laptop.keyboard.type("echo both-$((40+2))\n")
    until_shown(laptop, "both-42")
    until_shown(phone, "both-42")
    laptop.locator(".tab button").first.dblclick()
    laptop.get_by_label("Name", exact=True).fill(HOSTILE)
    laptop.get_by_role("button", name="Rename", exact=True).click()
    expect(phone.locator(".tab").first).to_contain_text(HOSTILE)
    picture(phone, "terminal-phone")
    assert phone.evaluate("window.hacked") is None
    laptop.get_by_role("button", name="New shell").click()
    expect(phone.locator(".tab")).to_have_count(2)


def test_a_title_that_a_program_sets_is_only_text(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    open_shell(page)
    # Set by the program that goes on running: a title is its own, as long as it has the terminal.
    page.keyboard.type(f"""bash -c "printf '\\033]2;{HOSTILE}\\007'; sleep 30; :"\n""")
    expect(page.locator(".tab").first).to_contain_text("<img")
    assert page.evaluate("window.hacked") is None


def test_lines_that_would_run_as_they_come_are_asked_about(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(home)
    open_shell(page)
    page.keyboard.type("cat > /tmp/pasted\n")
    until_shown(page, "cat > /tmp/pasted")
    paste(page, "one\ntwo\n")
    dialog = page.get_by_role("dialog", name="Paste several lines?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Paste").click()
    expect(dialog).to_be_hidden()
    page.keyboard.press("Control+D")
    wait_until(lambda: home.attempt("cat", "/tmp/pasted").output == "one\ntwo\n", "what was pasted")


def test_twenty_megabytes_are_pasted_whole(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    open_shell(page)
    page.keyboard.type(
        "stty raw -echo; head -c 20000000 | md5sum > /tmp/sum; stty sane; echo took-$((40+2))\n"
    )
    until_shown(page, "stty raw")
    paste(page, "x" * 20_000_000)
    until_shown(page, "took-42")
    expected = home.run("sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x | md5sum")
    assert home.run("cat", "/tmp/sum") == expected


def paste(page: Page, text: str) -> None:
    """As the browser does when she presses its keys for it."""
    page.evaluate(
        """text => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
            document.querySelector("[data-testid=terminal] textarea").dispatchEvent(event);
        }""",
        text,
    )
