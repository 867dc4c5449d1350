"""Files come, are walked through, looked at, written, deleted and brought back; no name does harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, picture
from tests.support.axe import grave_complaints
from tests.support.containers import Workspace, Workspaces

HOSTILE = "<img src=x onerror=window.hacked=1>.md"


@pytest.fixture
def fresh(workspaces: Workspaces) -> Workspace:
    return workspaces.start()


def test_files_come_are_changed_and_go(
    fresh: Workspace, page_of: Callable[..., Page], tmp_path: Path
) -> None:
    page = page_of(fresh)
    page.get_by_role("link", name="Files").click()
    expect(page.get_by_text("Nothing is here yet")).to_be_visible()
    local = tmp_path / "notes.txt"
    local.write_text("one\n")
    page.get_by_role("button", name="New folder").click()
    page.get_by_label("Name").fill("Plans")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("link", name="Plans").click()
    page.get_by_label("Files to put here").set_input_files(local)
    page.get_by_role("link", name="notes.txt").click()
    field = page.get_by_label("What the file holds")
    expect(field).to_have_value("one\n")
    field.fill("two\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    assert fresh.run("cat", "/data/workspace/Plans/notes.txt") == "two\n"
    picture(page, "files-editor")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing is here yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="notes.txt")).to_be_visible()


def test_what_claude_changes_is_seen_and_what_she_writes_is_not_lost(
    fresh: Workspace, page_of: Callable[..., Page]
) -> None:
    fresh.run("sh", "-c", "printf first > /data/workspace/shared.txt")
    page = page_of(fresh, path="/files#/shared.txt")
    field = page.get_by_label("What the file holds")
    expect(field).to_have_value("first")
    fresh.run("sh", "-c", "printf second > /data/workspace/shared.txt")
    expect(field).to_have_value("second")
    field.fill("mine")
    fresh.run("sh", "-c", "printf third > /data/workspace/shared.txt")
    expect(page.get_by_text("Somebody has changed this file")).to_be_visible()
    expect(field).to_have_value("mine")
    page.get_by_role("button", name="Take the other version").click()
    expect(field).to_have_value("third")


def test_names_and_contents_do_no_harm(fresh: Workspace, page_of: Callable[..., Page]) -> None:
    fresh.run("sh", "-c", 'printf "# Hi <script>window.hacked=1</script>" > "/data/workspace/$0"', HOSTILE)
    page = page_of(fresh, PHONE, touch=True, path="/files")
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    assert grave_complaints(page) == []
    picture(page, "files-phone")
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.locator(".prose")).to_contain_text("Hi <script>")
    assert page.evaluate("window.hacked") is None
    page.reload()
    expect(page.locator(".prose")).to_contain_text("Hi <script>")
