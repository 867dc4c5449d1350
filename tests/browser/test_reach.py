"""Everybody can use the page: axe finds nothing serious, and the keyboard is enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, ViewportSize, expect

from tests.browser.conftest import DESKTOP, PHONE, picture, say
from tests.support.axe import grave_complaints
from tests.support.containers import Workspace
from tests.support.wait import wait_until

SECTIONS = ("general", "appearance", "authentication", "data", "access", "about")
MUCH = (
    "Look around [think 5 at 1 ms]"
    "[say I will **look** around.\n\n```python\nprint(1)\n```\n\n| a | b |\n|--|--|\n| 1 | 2 |]"
    '[tool Bash {"command": "ls -la /data/workspace", "description": "List the files"}]'
    '[tool Write {"file_path": "/data/workspace/notes.md", "content": "one\\ntwo\\n"}]'
)
NARROW: tuple[ViewportSize, ...] = (
    {"width": 320, "height": 568},
    {"width": 720, "height": 450},
    {"width": 820, "height": 1180},
)
"""720 x 450 is a laptop at 200 %."""
SHOWN = {
    "notes.md": b"# Trip\n\n| a | b |\n|--|--|\n| 1 | 2 |\n",
    "wide.py": b"def total():\n    return " + b" + ".join([b"number"] * 60) + b"\n",
    "budget.csv": b"name,amount\nRent,1840\n",
}
QUESTION = (
    '[ask {"questions": [{"question": "Which colours?", "header": "Colours", "multiSelect": true,'
    ' "options": [{"label": "Red", "description": "Warm"}, {"label": "Blue", "description": "Cool"}]}]}]'
)


def check(page: Page, what: str, found: list[str], shown_as: str = "") -> None:
    """In both themes, which differ in nothing but colours; a laptop is shown light and a phone dark."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_timeout(50)
        if shown_as and shown_as.endswith("phone") == (theme == "dark"):
            picture(page, f"{shown_as}-{theme}")
        complaints = grave_complaints(page, colours_alone=theme == "dark")
        found += [f"{what}, {theme}: {complaint}" for complaint in complaints]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_axe_finds_nothing_serious(home: Workspace, page_of: Callable[..., Page], device: str) -> None:
    is_phone = device == "phone"
    page = page_of(home, PHONE if is_phone else DESKTOP, touch=is_phone)
    found: list[str] = []
    expect(page.get_by_label("Message Claude")).to_be_visible()
    check(page, "new chat", found)
    page.get_by_role("button", name="Add files and more").click()
    check(page, "menu", found)
    page.keyboard.press("Escape")
    say(page, MUCH)
    expect(page.locator("[data-role=ask]")).to_be_visible()
    page.locator(".steps summary").first.click()
    check(page, "permission", found, f"reach-permission-{device}")
    page.get_by_role("button", name="Don’t allow").click()
    check(page, "refusal", found)
    page.get_by_label("What should Claude do instead?").fill("Write it somewhere else")
    page.get_by_role("button", name="Don’t allow").click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    say(page, QUESTION)
    expect(page.get_by_label("Red")).to_be_visible()
    check(page, "question", found)
    page.get_by_role("button", name="Let Claude decide").click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    page.get_by_label("Message Claude").fill("/")
    expect(page.get_by_role("listbox", name="Commands")).to_be_visible()
    check(page, "commands", found)
    page.get_by_label("Message Claude").fill("")
    if is_phone:
        page.get_by_role("button", name="Show conversations").click()
        page.wait_for_timeout(300)
    check(page, "list", found)
    assert found == [], "\n".join(found)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_axe_finds_nothing_serious_beside_the_chat(
    home: Workspace, page_of: Callable[..., Page], device: str
) -> None:
    is_phone = device == "phone"
    page = page_of(home, PHONE if is_phone else DESKTOP, touch=is_phone)
    found: list[str] = []
    page.goto(f"{home.url}/settings/{SECTIONS[0]}")
    for section in SECTIONS:
        to_section(page, section)
        check(page, section, found, f"reach-{section}-{device}")
    for name, content in SHOWN.items():
        home.put(f"/data/workspace/reach/{name}", content, owner=1000)
        page.goto(f"{home.url}/files#/reach/{name}")
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        expect(page.locator(".preview :is(.prose, .cm-content, .cells)")).to_be_visible()
        check(page, name, found, f"reach-{name}-{device}")
    page.goto(f"{home.url}/files#/reach")
    page.reload()
    page.get_by_label("Search files").fill("wide")
    expect(page.locator(".found .entry").first).to_be_visible()
    check(page, "search", found)
    page.get_by_label("Search files").fill("")
    page.get_by_role("button", name="More about this folder").click()
    page.get_by_role("menuitem", name="Trash").click()
    expect(page.get_by_role("heading", name="Trash")).to_be_visible()
    check(page, "trash", found)
    page.keyboard.press("Control+Shift+E")
    expect(page.get_by_test_id("terminal")).to_be_visible()
    check(page, "terminal", found, f"reach-terminal-{device}")
    assert found == [], "\n".join(found)


def to_section(page: Page, section: str) -> None:
    """Of the settings, by its link."""
    link = page.locator(f'.settings-page nav a[href="/settings/{section}"]')
    link.click()
    expect(link).to_have_attribute("aria-current", "page")
    expect(page.locator("#section-title")).to_be_visible()


def test_the_keyboard_is_enough(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    expect(page.get_by_label("Message Claude")).to_be_focused()
    page.keyboard.type("Please write [tool Write {")
    page.keyboard.type('"file_path": "/data/workspace/keys.md", "content": "by keyboard"}]')
    page.keyboard.press("Enter")
    expect(page.locator("[data-role=ask]")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.innerText") != "Allow once":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_until(
        lambda: home.attempt("cat", "/data/workspace/keys.md").output == "by keyboard", "the file was written"
    )
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Search conversations")).to_be_focused()
    page.keyboard.press("Shift+Escape")
    expect(page.get_by_label("Message Claude")).to_be_focused()


def test_what_has_the_focus_is_seen(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home, forced_colors="active")
    expect(page.get_by_label("Message Claude")).to_be_focused()
    unseen = []
    for _ in range(20):  # once around, and over the composer again
        page.keyboard.press("Tab")
        unseen += page.evaluate(
            """() => {
                const one = document.activeElement, style = getComputedStyle(one);
                const isSeen = one === document.body || style.outlineStyle !== 'none';
                return isSeen ? [] : [one.outerHTML.slice(0, 120)];
            }"""
        )
    assert unseen == []


def test_an_input_method_never_sends(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    field = page.get_by_label("Message Claude")
    expect(field).to_be_focused()
    browser = page.context.new_cdp_session(page)
    browser.send("Input.imeSetComposition", {"text": "にほ", "selectionStart": 2, "selectionEnd": 2})
    field.evaluate(
        "one => one.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    browser.send("Input.insertText", {"text": "日本"})
    expect(field).to_have_value("日本")
    field.press("Enter")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("You said: 日本")
    expect(page.locator("[data-role=user] .bubble")).to_have_text(["日本"])


def test_words_of_both_directions_stand_right(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    say(page, "שלום [say مرحبا بكم في مساحة العمل]")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("مرحبا")
    for place in ("[data-role=user] .bubble", "[data-role=assistant] p", ".topbar-title"):
        direction = page.locator(place).last.evaluate("one => getComputedStyle(one).direction")
        assert direction == "rtl", place
    picture(page, "reach-right-to-left")


def test_nothing_scrolls_sideways(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    expect(page.get_by_label("Message Claude")).to_be_visible()
    assert_nothing_is_too_wide(page, "chat")
    page.goto(f"{home.url}/settings/{SECTIONS[0]}")
    for section in SECTIONS:
        to_section(page, section)
        assert_nothing_is_too_wide(page, section)
    picture(page, "reach-narrow")


def assert_nothing_is_too_wide(page: Page, what: str) -> None:
    """Once it is drawn in that size."""
    for size in NARROW:
        page.set_viewport_size(size)
        wide = page.evaluate(
            """() => new Promise((tell) => requestAnimationFrame(() => requestAnimationFrame(() =>
                tell(document.documentElement.scrollWidth - document.documentElement.clientWidth))))"""
        )
        assert wide <= 0, (what, size)


def test_a_phones_keyboard_covers_nothing(home: Workspace, page_of: Callable[..., Page]) -> None:
    """As on iOS: the keyboard lies over the page, and only the visual viewport tells."""
    page = page_of(home, PHONE, touch=True)
    expect(page.get_by_label("Message Claude")).to_be_visible()
    page.evaluate(
        """() => {
            Object.defineProperty(visualViewport, 'height', {value: 480});
            visualViewport.dispatchEvent(new Event('resize'));
        }"""
    )
    assert_ends_above(page.locator(".composer-box"), 480)
    home.run("touch", "/data/workspace/typed.txt")
    page.get_by_role("button", name="Show conversations").tap()
    page.get_by_role("link", name="Files").tap()
    page.get_by_role("link", name="typed.txt").tap()
    expect(page.get_by_label("Text of typed.txt")).to_be_visible()
    assert_ends_above(page.locator(".editor"), 480)
    page.get_by_role("button", name="Show conversations").tap()
    page.get_by_role("button", name="Terminal", exact=True).tap()
    expect(page.get_by_test_id("terminal")).to_be_visible()
    assert_ends_above(page.get_by_role("toolbar", name="Keys"), 480)
    assert_ends_above(page.get_by_test_id("terminal"), 480)


def assert_ends_above(place: Locator, y: int) -> None:
    assert place.evaluate("one => one.getBoundingClientRect().bottom") <= y


@pytest.mark.parametrize("kind", ["script", "stylesheet"])
def test_a_file_of_the_page_that_does_not_come_is_asked_for_again(
    home: Workspace, page_of: Callable[..., Page], kind: str
) -> None:
    page = page_of(home, calm=False)
    lost: list[str] = []

    def lose_two(route: Route) -> None:
        if route.request.resource_type != kind or len(lost) == 2:
            return route.continue_()
        lost.append(route.request.url)
        return route.abort("connectionreset")

    page.route("**/assets/**", lose_two)
    page.reload()
    expect(page.get_by_label("Message Claude")).to_be_visible()
    expect(page.locator(".sidebar")).to_have_css("display", "flex")
    assert len(lost) == 2


LOADS_LONG = """
addEventListener("DOMContentLoaded", () => {
    const picture = new Image();
    picture.src = "/icon-512.png";
    document.body.append(picture);
});
"""
"""A page that is used long before all of it has come."""


def test_a_page_that_is_in_use_never_comes_anew_by_itself(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    """What is lost of a part's files while the page still loads is asked for by that part."""
    page = page_of(home, path="/settings/general", calm=False)
    begins_with = set(re.findall(r'"(/assets/[^"]+)"', home.get("/").text))
    lost: list[str] = []
    loads: list[str] = []

    def lose_once(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path in {*begins_with, *lost}:
            return route.continue_()
        lost.append(path)
        return route.abort("connectionreset")

    page.add_init_script(LOADS_LONG)
    page.route("**/assets/**", lose_once)
    page.route("**/icon-512.png", lambda _never_comes: None)
    page.goto(f"{home.url}/files", wait_until="commit")
    page.on("request", lambda one: loads.append(one.url) if one.is_navigation_request() else None)
    expect(page.get_by_label("Search files")).to_be_visible()
    page.wait_for_timeout(1500)
    assert lost
    assert page.evaluate("document.readyState") == "interactive"
    assert loads == []


@pytest.mark.parametrize("kind", ["script", "stylesheet"])
def test_a_part_of_the_page_that_does_not_come_is_asked_for_again(
    home: Workspace, page_of: Callable[..., Page], kind: str
) -> None:
    page = page_of(home, calm=False)
    expect(page.get_by_label("Message Claude")).to_be_visible()
    lost: list[str] = []

    def lose_two(route: Route) -> None:
        if route.request.resource_type != kind or lost.count(route.request.url) == 2:
            return route.continue_()
        lost.append(route.request.url)
        return route.abort("connectionreset")

    page.route("**/assets/**", lose_two)
    page.get_by_role("link", name="Files").click()
    expect(page.get_by_label("Search files")).to_be_visible()
    expect(page.locator(".files-list")).to_have_css("display", "flex")
    assert len(lost) >= 2
