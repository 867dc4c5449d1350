"""The terminal in a real browser: floods, cuts, two devices, names, hostile titles, pastes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, picture
from tests.support.containers import Workspace, Workspaces
from tests.support.run import Run
from tests.support.terminal_page import terminal_text
from tests.support.wait import NeverHappenedError, wait_until
from tests.support.wire import Wire

HOSTILE = "<img src=x onerror=window.hacked=1>"
PATIENCE_S = 60
ASKS_FOR_GROUND = "printf '\\e]11;?\\a'; IFS= read -rs -d '\\' ground; echo told-${ground#*;}\n"
"""As Claude Code does, to choose its own colours."""


@pytest.fixture(scope="module")
def container(run: Run, image: str) -> Iterator[Workspace]:
    with closing(Workspaces(run, image)) as made:
        yield made.start()


@pytest.fixture
def home(container: Workspace) -> Workspace:
    """A workspace without any shell: those of the test before are hung up."""
    for shell in container.ask("GET", "/api/terminals").json()["terminals"]:
        container.ask("DELETE", f"/api/terminals/{shell['id']}")
    return container


def until_shown(page: Page, words: str) -> None:
    wait_until(lambda: words in terminal_text(page), f"{words!r} in the terminal", timeout_s=PATIENCE_S)


def open_shell(page: Page) -> None:
    page.get_by_role("button", name="Terminal", exact=True).first.click()
    expect(page.get_by_test_id("terminal")).to_be_visible()
    until_shown(page, "$")


def numbers(page: Page) -> list[int]:
    return [int(line) for line in re.findall(r"^\s*(\d+)\s*$", terminal_text(page), re.MULTILINE)]


def test_a_flood_survives_a_cut_and_a_sleep(
    home: Workspace, page_of: Callable[..., Page], cut_s: float
) -> None:
    with Wire(home.port) as wire:
        page = page_of(home, url=wire.url, calm=False)
        open_shell(page)
        page.keyboard.type("seq 1 1000000 | tee /tmp/flood; echo over-$((40+2))\n")
        wait_until(lambda: max(numbers(page), default=0) > 1000, "the flood")
        wire.hush()
        page.wait_for_timeout(cut_s * 1000)
        assert "over-42" not in terminal_text(page), "the flood was over before the cut"
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
    # While bash reads a line it takes what is pasted as one piece, and nothing is asked.
    page.keyboard.type("echo $((40+2)); cat > /tmp/pasted\n")
    until_shown(page, "42")
    paste(page, "one\ntwo\n")
    dialog = page.get_by_role("dialog", name="Paste several lines?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Paste").click()
    expect(dialog).to_be_hidden()
    page.keyboard.press("Control+D")
    wait_until(lambda: home.attempt("cat", "/tmp/pasted").output == "one\ntwo\n", "what was pasted")


def test_its_text_is_searched_copied_and_pasted(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home, PHONE, touch=True)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=home.url)
    page.get_by_role("button", name="Show conversations").click()
    open_shell(page)
    page.keyboard.type("seq 3000 | sed 's/^/needle-/'\n")
    until_shown(page, "needle-3000")
    page.get_by_role("button", name="Search the terminal").click()
    field = page.get_by_label("Search the terminal for")
    field.fill("needle-17")
    expect(page.locator(".terminal-find")).to_contain_text("111 of 111")
    until_shown(page, "needle-1799")
    field.press("Enter")
    expect(page.locator(".terminal-find")).to_contain_text("110 of 111")
    picture(page, "terminal-search-phone")
    field.press("Escape")
    press_long(page)
    page.get_by_role("menuitem", name="Pick text to copy").click()
    dialog = page.get_by_role("dialog", name="Pick text to copy")
    expect(dialog).to_contain_text("needle-2999")
    page.evaluate("getSelection().removeAllRanges()")
    dialog.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("/data/workspace $ seq 3000")
    assert "needle-1\nneedle-2\n" in copied
    page.evaluate("navigator.clipboard.writeText('echo pasted-$((40+2))')")
    page.get_by_test_id("terminal").click(button="right")
    page.get_by_role("menuitem", name="Paste").click()
    until_shown(page, "pasted-$((40+2))")
    page.keyboard.press("Enter")
    until_shown(page, "pasted-42")


def press_long(page: Page) -> None:
    """A finger that rests: not every phone makes a menu event of that."""
    page.get_by_test_id("terminal").evaluate(
        """box => box.dispatchEvent(new PointerEvent("pointerdown",
            { pointerType: "touch", clientX: 80, clientY: 300, bubbles: true }))"""
    )


def test_keys_that_a_phone_has_not_reach_the_shell(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home, PHONE, touch=True)
    page.get_by_role("button", name="Show conversations").tap()
    open_shell(page)
    bar = page.get_by_role("toolbar", name="Keys")
    ctrl = bar.get_by_role("button", name="Ctrl", exact=True)
    page.keyboard.type("echo keys-$((40+2)); cat -v\n")  # else they could come before the line is read
    until_shown(page, "keys-42")
    for name, shown in (("Esc", "^["), ("Up", "^[^[[A"), ("Left", "^[[A^[[D"), ("Bar", "^[[D|")):
        bar.get_by_role("button", name=name, exact=True).tap()
        until_shown(page, shown)
    ctrl.tap()
    expect(ctrl).to_have_attribute("aria-pressed", "true")
    bar.get_by_role("button", name="Right", exact=True).tap()
    until_shown(page, "|^[[1;5C")
    expect(ctrl).to_have_attribute("aria-pressed", "false")
    picture(page, "terminal-keys-phone")
    ctrl.tap()
    page.keyboard.type("c")
    until_shown(page, "^C")
    page.keyboard.type("echo back-$((40+2))\n")
    until_shown(page, "back-42")
    page.keyboard.type("printf '\\e[?1h'; echo whole-$((40+2)); cat -v\n")
    until_shown(page, "whole-42")
    bar.get_by_role("button", name="Up", exact=True).tap()
    until_shown(page, "^[OA")
    bar.get_by_role("button", name="Ctrl C, interrupt").tap()
    page.keyboard.type("echo again-$((40+2))\n")
    until_shown(page, "again-42")


def test_it_is_light_on_a_light_page_and_dark_on_a_dark_one(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(home, color_scheme="light")
    open_shell(page)
    page.keyboard.type("printf '\\e[97mbright\\e[0m and \\e[30mblack\\e[0m over\n'\n")
    until_shown(page, "bright and black over")
    for scheme, colour, told in (
        ("light", "rgb(253, 252, 250)", "told-rgb:fdfd/fcfc/fafa"),
        ("dark", "rgb(20, 23, 26)", "told-rgb:1414/1717/1a1a"),
    ):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        ground = page.locator(".xterm-scrollable-element")
        expect(ground).to_have_css("background-color", colour)
        for word in ("bright", "black"):
            drawn = page.locator(".xterm-rows span").get_by_text(word, exact=True).last
            assert is_dark(drawn) == (scheme == "light"), f"{word} cannot be read on a {scheme} page"
        picture(page, f"terminal-{scheme}")
        page.keyboard.type(ASKS_FOR_GROUND)
        until_shown(page, told)


def is_dark(drawn: Locator) -> bool:
    colour: str = drawn.evaluate("one => getComputedStyle(one).color")
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) < 3 * 128


def test_links_lead_to_the_web_and_nowhere_else(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    open_shell(page)
    hidden, plain = f"{home.url}/health?hidden", f"{home.url}/health?plain"
    page.keyboard.type(
        hidden_link("javascript:window.hacked=1//", "evil") + hidden_link(hidden, "hidden-one")
    )
    page.keyboard.type(f"clear; cat /tmp/links; echo 'plain {plain} javascript:window.hacked=1'; ")
    page.keyboard.type("echo all-$((40+2))\n")
    until_shown(page, "all-42")
    for words, address in (("hidden-one", hidden), (plain, plain)):
        until_it_leads(page, words, address)
        with page.context.expect_page() as opened:
            page.mouse.down()
            page.mouse.up()
        opened.value.wait_for_url(address)
        assert opened.value.evaluate("window.opener") is None
        opened.value.close()
    for words in ("evil", "javascript:"):
        point_at(page, words)
        page.wait_for_timeout(200)
        page.mouse.down()
        page.mouse.up()
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert len(page.context.pages) == 1


def test_a_link_that_comes_to_where_the_pointer_rests_is_one(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(home)
    open_shell(page)
    address = f"{home.url}/health?rests"
    page.keyboard.type("clear; echo here-$((40+2))\n")
    until_shown(page, "here-42")
    point_at(page, "here-42")
    page.keyboard.type("rm -f /tmp/links; " + hidden_link(address, "here-42") + "clear; cat /tmp/links\n")
    expect(page.locator(".terminal-hint")).to_have_text(address)
    with page.context.expect_page() as opened:
        page.mouse.down()
        page.mouse.up()
    opened.value.wait_for_url(address)


def hidden_link(address: str, words: str) -> str:
    """Writes a link as programs print it (OSC 8) to where it is printed from."""
    return f"printf '\\e]8;;{address}\\a{words}\\e]8;;\\a\\n' >> /tmp/links; "


def until_it_leads(page: Page, words: str, address: str) -> None:
    """The page says where a link leads, as soon as it knows, while the pointer is on it."""
    hint = page.locator(".terminal-hint")
    said: list[str] = []

    def says_so() -> bool:
        point_at(page, words)
        page.wait_for_timeout(100)
        said[:] = hint.all_inner_texts()
        return said == [address]

    try:
        wait_until(says_so, f"{words!r} to lead to {address}", timeout_s=PATIENCE_S)
    except NeverHappenedError as error:
        raise AssertionError(f"{error}; the page says {said}, and shows:\n{terminal_text(page)}") from None


def point_at(page: Page, words: str) -> None:
    """Where these words stand last; a row is drawn in pieces, anew whenever it pleases."""
    spot: list[float] | None = page.locator(".xterm-rows").evaluate(
        """(rows, words) => {
            const row = [...rows.children].findLast((one) => one.textContent.includes(words));
            let left = row ? row.textContent.indexOf(words) + 1 : 0;
            const walk = row && document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
            while (walk?.nextNode()) {
                const { length } = walk.currentNode;
                if (left < length) {
                    const range = document.createRange();
                    range.setStart(walk.currentNode, left);
                    range.setEnd(walk.currentNode, left + 1);
                    const { x, y, width, height } = range.getBoundingClientRect();
                    return [x + width / 2, y + height / 2];
                }
                left -= length;
            }
            return null;
        }""",
        words,
    )
    if spot:
        x, y = spot
        page.mouse.move(x, y - 40)
        page.mouse.move(x, y)


def test_twenty_megabytes_are_pasted_whole(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    open_shell(page)
    page.keyboard.type(
        "stty raw -echo; echo ready-$((40+1)); head -c 20000000 | md5sum > /tmp/sum; stty sane;"
        " echo took-$((40+2))\n"
    )
    until_shown(page, "ready-41")
    paste(page, "x", times=20_000_000)
    until_shown(page, "took-42")
    expected = home.run("sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x | md5sum")
    assert home.run("cat", "/tmp/sum") == expected


def paste(page: Page, text: str, *, times: int = 1) -> None:
    """As the browser does when she presses its keys for it."""
    page.evaluate(
        """([text, times]) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text.repeat(times));
            const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
            document.querySelector("[data-testid=terminal] textarea").dispatchEvent(event);
        }""",
        [text, times],
    )
