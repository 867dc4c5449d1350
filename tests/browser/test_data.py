"""Everything that is hers goes along to another workspace: out of one container, into a fresh one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import picture, say
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet


def test_she_moves_with_chats_files_and_settings(
    home: Workspace,
    workspaces: Workspaces,
    internet: Internet,
    page_of: Callable[..., Page],
    tmp_path: Path,
) -> None:
    old = page_of(home)
    say(old, "Remember the tram")
    expect(old.locator("[data-role=assistant]").last).to_contain_text("You said: Remember the tram")
    home.run("sh", "-c", "mkdir -p /data/workspace/move && echo 28 > /data/workspace/move/tram.txt")
    home.ask("PUT", "/api/settings", {"display_name": "Lili", "text_size": "large"}).raise_for_status()
    archive = tmp_path / "everything.tar.gz"
    try:
        old.goto(f"{home.url}/settings/data")
        with old.expect_download() as download:
            old.get_by_role("link", name="Download the archive").click()
        download.value.save_as(archive)
    finally:
        home.ask("PUT", "/api/settings", {"display_name": "", "text_size": "medium"}).raise_for_status()

    fresh = workspaces.start(internet=internet)
    new = page_of(fresh, path="/settings/data")
    new.get_by_label("Archive to bring back").set_input_files(archive)
    new.get_by_role("button", name="Bring it in").click()
    expect(new.get_by_text("The archive was brought in.")).to_be_visible()
    picture(new, "data-brought-in")
    expect(new.get_by_text("Lili’s workspace")).to_be_visible()
    expect(new.locator("html")).to_have_attribute("data-text", "large")
    new.get_by_role("link", name="Remember the tram").first.click()  # in the list by itself
    expect(new.locator("[data-role=assistant]").last).to_contain_text("You said: Remember the tram")
    assert fresh.run("cat", "/data/workspace/move/tram.txt") == "28\n"
    assert fresh.attempt("test", "-e", "/data/claude/.credentials.json").status != 0, "the login stays behind"
