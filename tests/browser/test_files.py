"""Her files: made, changed, deleted and brought back; nothing is lost, and nothing outside is seen."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from openpyxl import Workbook
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, drop, picture
from tests.support.containers import Workspace
from tests.support.wait import wait_until

WORKSPACE = "/data/workspace"
NASTY = "<img src=x onerror=alert(1)>.txt"


def write(workspace: Workspace, path: str, text: str) -> None:
    """As Claude or a program would, while the page looks on."""
    folder = path.rpartition("/")[0]
    script = 'mkdir -p "$1" && printf %s "$3" > "$2"'
    workspace.run("sh", "-c", script, "-", f"{WORKSPACE}/{folder}", f"{WORKSPACE}/{path}", text)


def read(workspace: Workspace, path: str) -> str:
    return workspace.run("cat", f"{WORKSPACE}/{path}")


def choose(page: Page, name: str, action: str) -> None:
    page.get_by_role("button", name=f"What to do with {name}").first.click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def answer(page: Page, field: str, words: str, action: str) -> None:
    page.get_by_role("textbox", name=field).fill(words)
    page.get_by_role("button", name=action, exact=True).click()


def retype(area: Locator, words: str) -> None:
    """By keys, as she does: of what a program selects in it the editor learns late."""
    area.press("ControlOrMeta+a")
    area.page.keyboard.insert_text(words)


def test_a_file_is_made_renamed_and_brought_back(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home, path="/files")
    page.get_by_role("button", name="New folder").click()
    answer(page, "Name", "Lisbon", "Create")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    page.get_by_role("button", name="New file").click()
    answer(page, "Name", "plan.txt", "Create")
    retype(page.get_by_label("Text of plan.txt"), "first day: tram 28")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert read(home, "Lisbon/plan.txt") == "first day: tram 28"
    choose(page, "plan.txt", "Rename")
    answer(page, "Name", "days.txt", "Rename")
    expect(page.get_by_role("heading", name="days.txt")).to_be_visible()
    choose(page, "days.txt", "Delete")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="days.txt")).to_be_visible()
    assert read(home, "Lisbon/days.txt") == "first day: tram 28"
    picture(page, "files-folder")


def test_what_another_wrote_meanwhile_is_not_lost(home: Workspace, page_of: Callable[..., Page]) -> None:
    write(home, "shared/list.txt", "milk")
    page = page_of(home, path="/files#/shared/list.txt", calm=False)
    area = page.get_by_label("Text of list.txt")
    expect(area).to_have_text("milk")
    write(home, "shared/list.txt", "milk and bread")
    expect(area).to_have_text("milk and bread")  # nothing of hers would be lost: it shows at once
    retype(area, "milk and cheese")
    write(home, "shared/list.txt", "milk and eggs")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody changed this file meanwhile.")).to_be_visible()
    picture(page, "files-changed-meanwhile")
    page.get_by_role("button", name="Save mine as a copy").click()
    expect(page.get_by_role("link", name="list (mine).txt")).to_be_visible()
    assert read(home, "shared/list.txt") == "milk and eggs"
    assert read(home, "shared/list (mine).txt") == "milk and cheese"


def test_what_she_has_typed_and_not_saved_is_never_lost(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    write(home, "drafts/letter.md", "Dear")
    page = page_of(home, path="/files#/drafts/letter.md", calm=False)
    page.get_by_role("button", name="Edit the text").click()
    area = page.get_by_label("Text of letter.md")
    retype(area, "Dear Noa")
    page.get_by_role("button", name="Show it").click()
    expect(page.locator(".document")).to_have_text("Dear Noa")
    expect(page.get_by_text("What you changed is not saved yet.")).to_be_visible()
    picture(page, "files-not-saved")
    page.get_by_role("button", name="Go on with it").click()
    expect(area).to_have_text("Dear Noa")
    page.get_by_role("button", name="New chat").first.click()
    expect(page.get_by_text("“letter.md” is not saved yet. What you changed is kept.")).to_be_visible()
    picture(page, "files-kept")
    page.reload()
    page.get_by_role("link", name="Files").click()
    page.get_by_role("link", name="drafts").click()
    expect(page.get_by_text("not saved")).to_be_visible()
    page.get_by_role("link", name="letter.md").click()
    page.get_by_role("button", name="Go on with it").click()
    expect(area).to_have_text("Dear Noa")
    assert read(home, "drafts/letter.md") == "Dear"
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert read(home, "drafts/letter.md") == "Dear Noa"
    retype(area, "Dear Noa, and")
    home.run("rm", f"{WORKSPACE}/drafts/letter.md")
    wait_until(
        lambda: "Dear Noa, and" in page.evaluate("JSON.stringify(localStorage)"), "what she typed to be kept"
    )
    page.reload()
    page.get_by_role("button", name="Make it a file again").click()
    expect(page.locator(".document")).to_have_text("Dear Noa, and")
    assert read(home, "drafts/letter.md") == "Dear Noa, and"


def test_enter_sends_a_name(home: Workspace, page_of: Callable[..., Page]) -> None:
    write(home, "named/a.txt", "")
    page = page_of(home, path="/files#/named")
    choose(page, "a.txt", "Rename")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
    page.keyboard.type("b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="b.txt")).to_be_visible()


def test_several_files_are_moved_fetched_and_deleted_at_once(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    for name in ("one.txt", "two.txt", "three.txt", ".hidden", "box/in.txt"):
        write(home, f"many/{name}", name)
    page = page_of(home, path="/files#/many")
    expect(page.get_by_role("link", name=".hidden")).to_be_hidden()
    page.get_by_role("button", name="More about this folder").click()
    page.get_by_role("menuitem", name="Show hidden files").click()
    expect(page.get_by_role("link", name=".hidden")).to_be_visible()
    page.get_by_role("button", name="More about this folder").click()
    page.get_by_role("menuitem", name="Select several").click()
    page.get_by_role("link", name="one.txt").click()
    page.get_by_label("Select two.txt").check()
    expect(page.get_by_text("2 selected")).to_be_visible()
    picture(page, "files-selected")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {Path(name).name for name in archive.namelist()} == {"one.txt", "two.txt"}
    page.get_by_role("button", name="More about this folder").click()
    page.get_by_role("menuitem", name="Select several").click()
    for name in ("one.txt", "two.txt"):
        page.get_by_label(f"Select {name}").check()
    expect(page.get_by_label("Select all")).to_be_checked(indeterminate=True)
    page.get_by_role("button", name="Move …", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="box").click()
    page.get_by_role("button", name="Move here").click()
    expect(page.get_by_text("2 things moved to box.")).to_be_visible()
    assert read(home, "many/box/two.txt") == "two.txt"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="two.txt")).to_be_visible()
    page.get_by_role("button", name="More about this folder").click()
    page.get_by_role("menuitem", name="Select several").click()
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("5 things in the trash.")).to_be_visible()
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="three.txt")).to_be_visible()
    assert read(home, "many/box/in.txt") == "box/in.txt"


def test_files_come_and_go(home: Workspace, page_of: Callable[..., Page], tmp_path: Path) -> None:
    write(home, "photos/old.txt", "here before")
    names = ["café.txt", NASTY]
    for number, name in enumerate(names):
        (tmp_path / name).write_text(f"content {number}", encoding="utf-8")
    page = page_of(home, path="/files#/photos")
    page.set_input_files("input[type=file]", [str(tmp_path / name) for name in names])
    expect(page.get_by_text("2 files have arrived.")).to_be_visible()
    for name in names:
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    assert read(home, f"photos/{NASTY}") == "content 1"
    album = tmp_path / "album" / "summer"
    album.mkdir(parents=True)
    for name in ("one.txt", "two.txt"):
        (album / name).write_text(f"dropped {name}")
    (tmp_path / "alone.txt").write_text("dropped alone")
    drop(page, page.locator(".files-list"), tmp_path / "album", tmp_path / "alone.txt")
    expect(page.get_by_text("3 files have arrived.")).to_be_visible()
    expect(page.get_by_role("link", name="album")).to_be_visible()
    picture(page, "files-dropped")
    assert read(home, "photos/album/summer/two.txt") == "dropped two.txt"
    assert read(home, "photos/alone.txt") == "dropped alone"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download this folder").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        found = {Path(name).name for name in archive.namelist()}
    assert found >= {*names, "old.txt"}
    page.get_by_label("Search files").fill("here before")
    page.get_by_role("link", name="old.txt").click()
    expect(page.get_by_label("Text of old.txt")).to_have_text("here before")


def test_each_file_is_shown_as_what_it_is_and_nothing_in_it_runs(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    write(home, "show/notes.md", "# Trip\n\n<img src=x onerror=alert(1)> and **bold**")
    write(home, "show/budget.csv", "name,amount\nRent,1840\n")
    write(
        home,
        "show/page.html",
        "<h1>Mine</h1><script>try { parent.document.title = 'taken' } catch {}</script>",
    )
    write(home, "show/total.py", "def total():\n    return 1\n")
    home.run("ln", "-s", "/etc/passwd", f"{WORKSPACE}/show/outside")
    page = page_of(home, path="/files#/show/notes.md", calm=False)
    expect(page.locator(".document strong")).to_have_text("bold")
    assert page.locator(".document img").count() == 0
    page.get_by_role("link", name="budget.csv").click()
    expect(page.locator(".cells")).to_contain_text("1840")
    page.get_by_role("link", name="page.html").click()
    expect(page.frame_locator("iframe").get_by_role("heading")).to_have_text("Mine")
    assert page.title() != "taken"
    page.get_by_role("link", name="total.py").click()
    text = page.get_by_label("Text of total.py")
    expect(text).to_contain_text("def total")
    expect(text.get_by_text("def", exact=True)).not_to_have_css(
        "color", text.evaluate("one => getComputedStyle(one).color")
    )
    page.get_by_role("button", name="Search in this file").click()
    expect(page.locator(".cm-search [main-field]")).to_be_focused()
    page.keyboard.type("return")
    expect(page.locator(".cm-searchMatch")).to_have_text(["return"])
    page.keyboard.press("Escape")
    page.keyboard.press("Control+End")
    page.keyboard.press("Tab")
    page.keyboard.type("total()  # <b>")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert read(home, "show/total.py") == "def total():\n    return 1\n    total()  # <b>"
    page.get_by_role("link", name="outside").click()
    expect(page.get_by_text("This leads out of your workspace")).to_be_visible()
    picture(page, "files-outside")


def test_a_workbook_is_shown_sheet_by_sheet(home: Workspace, page_of: Callable[..., Page]) -> None:
    home.put(f"{WORKSPACE}/office/rent.xlsx", workbook(), owner=1000)
    page = page_of(home, path="/files#/office/rent.xlsx")
    expect(page.locator(".cells")).to_contain_text("1840")
    page.get_by_role("button", name="Deposit").click()
    expect(page.locator(".cells")).to_contain_text("3680")
    picture(page, "files-workbook")


def test_a_pdf_is_shown_by_the_browsers_own_viewer(
    home: Workspace, page_in_whole_browser: Callable[..., Page]
) -> None:
    write(home, "letters/read-me.md", "# Letters")
    page = page_in_whole_browser(home, path="/files#/letters")
    home.put(f"{WORKSPACE}/letters/letter.pdf", page.pdf(), owner=1000)
    with page.expect_event("framenavigated", lambda frame: frame.url.startswith("chrome-extension://")):
        page.get_by_role("link", name="letter.pdf").click()
    picture(page, "files-pdf")


def workbook() -> bytes:
    """Two sheets."""
    book = Workbook()
    rent = book.active
    assert rent is not None
    rent.title = "Rent"
    rent.append(["Month", "Amount"])
    rent.append(["May", 1840])
    book.create_sheet("Deposit").append(["Paid", 3680])
    whole = BytesIO()
    book.save(whole)
    return whole.getvalue()


def test_on_a_phone_a_file_takes_the_whole_screen(home: Workspace, page_of: Callable[..., Page]) -> None:
    write(home, "pocket/a.md", "# Hello")
    page = page_of(home, PHONE, touch=True, path="/files#/pocket")
    page.get_by_role("link", name="a.md").tap()
    expect(page.locator(".document h2, .document h1, .document .h1")).to_have_text("Hello")
    expect(page.get_by_role("link", name="a.md")).to_be_hidden()
    picture(page, "files-phone")
    page.get_by_role("button", name="Close the file").tap()
    expect(page.get_by_role("link", name="a.md")).to_be_visible()
    choose(page, "a.md", "Use in chat")
    expect(page.get_by_label("Message Claude")).to_have_value("@pocket/a.md ")
