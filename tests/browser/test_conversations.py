"""Conversations are found, renamed, copied, taken along, deleted and brought back; a thousand stay quick."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from io import BytesIO
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.browser.conftest import picture, say
from tests.support.containers import Workspace, Workspaces

MANY = 1000


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
    page.get_by_label("Search conversations").fill("zebras")
    expect(page.locator(".conversations a")).to_contain_text(["Animals"])
    page.get_by_label("Search conversations").fill("no such words anywhere")
    expect(page.get_by_text("Nothing found for")).to_be_visible()
    picture(page, "list-nothing-found")


def test_what_she_deletes_can_be_brought_back(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    begin(page, "Delete me by mistake")
    choose(page, "Delete")
    expect(page.get_by_role("link", name="Delete me by mistake")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="Delete me by mistake")).to_be_visible()
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
    assert "Copy this" in text
    assert "Only in the copy" in text
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
            body = "\n".join(_line(line) for line in _exchange(session, number)).encode() + b"\n"
            entry = tarfile.TarInfo(f"projects/-data-workspace/{session}.jsonl")
            entry.size, entry.mtime = len(body), 1_760_000_000 + number * 60
            entry.uid = entry.gid = 1000
            archive.addfile(entry, BytesIO(body))
    return whole.getvalue()


def _line(entry: dict[str, object]) -> str:
    return json.dumps(entry, separators=(",", ":"))


def _exchange(session: str, number: int) -> list[dict[str, object]]:
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
        {**said, "type": "user", "uuid": asked, "parentUuid": None, "timestamp": when, "message": question},
        {
            **said,
            "type": "assistant",
            "uuid": answered,
            "parentUuid": asked,
            "timestamp": when,
            "message": answer,
        },
    ]
