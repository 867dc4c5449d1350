"""Conversations are found, renamed, copied, taken along, deleted and brought back; a thousand stay quick."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable
from io import BytesIO
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import DESKTOP, PHONE, picture, say
from tests.support.containers import Workspace, Workspaces

MANY = 1000
LONG = 400
"""Exchanges in one conversation: more than a page asks for at once, several times."""


def begin(page: Page, words: str) -> None:
    """A conversation with one answer."""
    say(page, words)
    expect(page.locator("[data-role=assistant]").last).to_contain_text(f"You said: {words}")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def choose(page: Page, action: str) -> None:
    """From the menu above the conversation."""
    page.locator(".topbar .menu-button").click()
    page.get_by_role("menuitem", name=action).click()


def test_it_is_renamed_and_found_by_its_words(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    begin(page, "Where do zebras sleep")
    choose(page, "Rename")
    page.get_by_label("New title").fill("Animals")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.locator(".topbar-title")).to_have_text("Animals")
    page.get_by_label("Search conversations").fill("no such words anywhere")
    expect(page.get_by_text("Nothing found for")).to_be_visible()
    expect(page.locator(".conversations a")).to_have_count(0)
    picture(page, "list-nothing-found")
    page.get_by_label("Search conversations").fill("zebras")
    expect(page.locator(".conversations a")).to_contain_text(["Animals"])


def test_what_she_deletes_can_be_brought_back(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    begin(page, "Delete me by mistake")
    choose(page, "Delete")
    expect(page.get_by_role("link", name="Delete me by mistake")).to_have_count(0)
    expect(page.get_by_role("link", name="Recently deleted")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="Delete me by mistake")).to_be_visible()
    expect(page.get_by_role("link", name="Recently deleted")).to_have_count(0)
    expect(page.locator("[data-role=assistant]")).to_contain_text(["Delete me by mistake"])


def test_it_goes_on_in_a_copy_and_leaves_as_markdown(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    begin(page, "Copy this")
    original = page.url
    choose(page, "Continue in a copy")
    expect(page).not_to_have_url(original)
    begin(page, "Only in the copy")
    with page.expect_download() as download:
        choose(page, "Save as Markdown")
    assert download.value.suggested_filename.endswith(".md")
    text = download.value.path().read_text()
    for words in ("You said: Copy this", "Only in the copy"):
        assert words in text
    page.goto(original)
    expect(page.locator("[data-role=user]")).to_have_count(1)


def test_a_message_is_written_anew_and_asked_once_more(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    begin(page, "The frist try")
    page.locator("[data-role=user]").hover()
    page.get_by_role("button", name="Edit and send again").click()
    page.get_by_label("Your message").fill("The first try")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-role=assistant]")).to_contain_text(["You said: The first try"])
    expect(page.locator("[data-role=user]")).to_have_count(1)
    page.locator("[data-role=user]").hover()
    page.get_by_role("button", name="Ask this once more").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.locator("[data-role=user]")).to_have_count(1)
    expect(page.locator("[data-role=assistant]")).to_contain_text(["You said: The first try"])


@pytest.mark.parametrize("device", ["laptop", "phone"])
def test_what_was_said_earlier_comes_as_she_scrolls_up(
    home: Workspace, page_of: Callable[..., Page], device: str
) -> None:
    session = str(uuid4())
    folder = "/data/claude/projects/-data-workspace"
    home.run("mkdir", "-p", folder)
    home.put(f"{folder}/{session}.jsonl", transcript(session, range(LONG)), owner=1000)
    viewport, is_phone = (PHONE, True) if device == "phone" else (DESKTOP, False)
    page = page_of(home, viewport, touch=is_phone, path=f"/c/{session}")
    asked = page.locator("[data-role=user] .bubble")
    expect(asked.last).to_contain_text(f"Question {LONG - 1} ")
    held: list[Route] = []
    page.route("**/items?*", lambda route: held.append(route))  # noqa: PLW0108 - which Playwright marks
    while asked.count() < LONG:
        scroll_up(page, held)
    expect(page.get_by_role("button", name="Show earlier messages")).to_have_count(0)
    assert asked.all_inner_texts() == [f"Question {number} about something" for number in range(LONG)]
    page.locator(".scroller").evaluate("box => box.scrollTo(0, 0)")
    picture(page, f"chat-earlier-{device}")


def scroll_up(page: Page, held: list[Route]) -> None:
    """To where more is asked for; what she reads there stays where it is when that comes in above it."""
    asked = page.locator("[data-role=user] .bubble")
    before = asked.count()
    with page.expect_request("**/items?*"):
        page.locator(".scroller").evaluate("box => box.scrollTo(0, 0)")
    read = asked.first.element_handle()
    stood = read.bounding_box()
    held.pop().continue_()
    expect(asked.nth(before)).to_be_attached()
    stands = read.bounding_box()
    assert stood
    assert stands
    assert abs(stands["y"] - stood["y"]) <= 2


def test_a_thousand_of_them_stay_quick(workspaces: Workspaces, page_of: Callable[..., Page]) -> None:
    workspace = workspaces.start()
    assert workspace.container.put_archive("/data/claude", transcripts(MANY))
    page = page_of(workspace)
    links = page.locator(".conversations a")
    expect(links.first).to_contain_text("Question")
    assert links.count() < MANY
    for _ in range(3):
        before = links.count()
        page.locator(".conversations").evaluate("list => list.scrollTo(0, list.scrollHeight)")
        expect(links.nth(before)).to_be_attached()
    picture(page, "list-of-a-thousand")
    page.get_by_label("Search conversations").fill('"Question 77 about"')
    expect(page.locator(".conversations a").first).to_contain_text("Question 77 ")


def transcripts(count: int) -> bytes:
    """As Claude keeps them, for one exchange each."""
    whole = BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for number in range(count):
            session = str(uuid4())
            body = transcript(session, [number])
            entry = tarfile.TarInfo(f"projects/-data-workspace/{session}.jsonl")
            entry.size, entry.mtime = len(body), 1_760_000_000 + number * 60
            entry.uid = entry.gid = 1000
            archive.addfile(entry, BytesIO(body))
    return whole.getvalue()


def transcript(session: str, numbers: Iterable[int]) -> bytes:
    """One conversation: a question and an answer for each number."""
    entries: list[dict[str, object]] = []
    for number in numbers:
        entries += _exchange(session, number, after=entries[-1]["uuid"] if entries else None)
    return b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in entries)


def _exchange(session: str, number: int, *, after: object) -> list[dict[str, object]]:
    said = {
        "sessionId": session,
        "cwd": "/data/workspace",
        "version": "2.1.330",
        "isSidechain": False,
        "userType": "external",
    }
    asked, answered = str(uuid4()), str(uuid4())
    when = f"2025-10-{1 + number % 28:02d}T10:00:00.000Z"
    question = {"role": "user", "content": f"Question {number} about something"}
    answer = {
        "role": "assistant",
        "id": f"msg_{number}",
        "type": "message",
        "model": "claude",
        "content": [{"type": "text", "text": f"Answer {number}"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    return [
        {
            "parentUuid": after,
            **said,
            "type": "user",
            "uuid": asked,
            "timestamp": when,
            "message": question,
        },
        {
            "parentUuid": asked,
            **said,
            "type": "assistant",
            "uuid": answered,
            "timestamp": when,
            "message": answer,
        },
    ]
