"""Makes the pictures of the README and of the guide, in a real container: `python -m docs.pictures [IMAGE]`.

Anthropic is the tests' stand-in, told what to answer by what is written: that stands above what is shown.
"""

import base64
import json
import sys
from contextlib import closing
from pathlib import Path

import docker
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.support.chromium import WHOLE, find_chromium
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet, small_internet
from tests.support.run import swept_run
from tests.support.terminal_page import login_url, terminal_text
from tests.support.wait import wait_until

FOLDER = Path(__file__).parent / "pictures"
LAPTOP: ViewportSize = {"width": 1240, "height": 760}
PHONE: ViewportSize = {"width": 390, "height": 780}
PATIENCE_MS = 60_000
QUALITY = 90
"""Of WebP: nothing is seen of it, and a picture has a third of the bytes."""

NOTES = "# Meeting of 12 April\n\n- Lilach books the hall until Friday\n- Dan writes to the speakers\n"
SUMMARY = (
    "Your notes have three decisions and one open question. I suggest this page:\n\n"
    "| What | Who | Until |\n|--|--|--|\n| Book the hall | Lilach | Friday |\n"
    "| Write to the speakers | Dan | 3 May |\n| Print the programme | Noa | 10 May |\n\n"
    "Open: **who brings the projector?**"
)
STEPS = ("Read the notes", "Write the summary", "Draft the letter to the speakers")
TOTAL = '''"""What the flat costs."""

RENT = 1840
WARM = range(4, 10)


def total(months: int, extra: float = 0.0) -> float:
    # Heating is paid in winter only.
    heating = 120 * len({*range(months)} - {*WARM})
    return months * RENT + heating + extra


if __name__ == "__main__":
    print(f"{total(12):,.2f}")
'''
BUDGET = "month,rent,food,travel\nJanuary,1840,412,31\nFebruary,1840,398,0\nMarch,1840,455,214\n"


def main(image: str) -> None:
    client = docker.from_env(timeout=120)
    expect.set_options(timeout=PATIENCE_MS)
    with (
        swept_run(client) as run,
        small_internet(client, run, image) as internet,
        sync_playwright() as started,
    ):
        chromium = started.chromium.launch(executable_path=find_chromium(*WHOLE), args=["--no-sandbox"])
        with closing(chromium), closing(Workspaces(run, image)) as workspaces:
            workspace = workspaces.start(internet=internet)
            page = _opened(chromium, workspace, "/settings/authentication")
            _first_login(page, internet)
            _talk(page, workspace)
            _files(chromium, workspace)
            _terminal(chromium, workspace)
            _settings(chromium, workspace)


def _opened(
    chromium: Browser,
    workspace: Workspace,
    path: str,
    viewport: ViewportSize = LAPTOP,
    *,
    is_dark: bool = False,
) -> Page:
    page = chromium.new_page(
        viewport=viewport,
        reduced_motion="reduce",
        color_scheme="dark" if is_dark else "light",
        has_touch=viewport is PHONE,
        is_mobile=viewport is PHONE,
    )
    page.goto(workspace.url + path)
    return page


def _first_login(page: Page, internet: Internet) -> None:
    expect(page.get_by_test_id("auth-status")).to_contain_text("Not connected")
    _picture(page, "login-1")
    page.get_by_role("button", name="Open Terminal").click()
    wait_until(lambda: "$" in terminal_text(page), "the shell's prompt")
    page.get_by_role("button", name="Type it for me").click()
    wait_until(lambda: "Paste code" in terminal_text(page), "Claude asks for the code", timeout_s=60)
    expect(page.get_by_role("link", name="Go to Claude’s login page")).to_be_visible()
    _picture(page, "login-2")
    page.keyboard.type(internet.anthropic.authorise(login_url(page)) + "\n")
    expect(page.get_by_role("heading", name="You are connected")).to_be_visible()
    expect(page.get_by_test_id("terminal")).to_be_hidden()
    _picture(page, "login-3")


def _talk(page: Page, workspace: Workspace) -> None:
    """A few conversations; in the last of them Claude waits for a permission."""
    _put(workspace, "notes.md", NOTES)
    for title in ("Plan my week", "Letter to the landlord", "Packing list for Lisbon"):
        page.goto(workspace.url)
        _say(page, title)
        expect(page.locator("[data-role=assistant]")).to_contain_text(f"You said: {title}")
        expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    page.goto(workspace.url)
    plan = "".join(_tool("TaskCreate", subject=step, description=step) for step in STEPS)
    done = _tool("TaskUpdate", taskId="1", status="completed")
    look = _tool("Bash", command="ls", description="List the files")
    read = _tool("Read", file_path="/data/workspace/notes.md")
    write = _tool("Write", file_path="/data/workspace/meeting-summary.md", content=NOTES)
    _say(page, f"Notes from the meeting {plan}{look}{read}[say {SUMMARY}]{done}{write}")
    expect(page.locator("[data-role=ask]")).to_be_visible()
    here = page.url.rpartition("/")[2]
    assert workspace.ask(
        "PATCH", f"/api/conversations/{here}", {"title": "Notes from the meeting"}
    ).is_success
    _picture(page, "chat")
    page.emulate_media(color_scheme="dark")
    _picture(page, "chat-dark")
    browser = page.context.browser
    assert browser
    phone = _opened(browser, workspace, page.url.removeprefix(workspace.url), PHONE, is_dark=True)
    expect(phone.locator("[data-role=ask]")).to_be_visible()
    _picture(phone, "phone")
    page.get_by_role("button", name="Allow once").click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()


def _files(chromium: Browser, workspace: Workspace) -> None:
    for name, text in (("flat/total.py", TOTAL), ("flat/budget.csv", BUDGET), ("flat/letter.md", NOTES)):
        _put(workspace, name, text)
    page = _opened(chromium, workspace, "/files#/flat/total.py")
    expect(page.get_by_label("Text of total.py")).to_be_visible()
    _picture(page, "files")


def _terminal(chromium: Browser, workspace: Workspace) -> None:
    page = _opened(chromium, workspace, "/", is_dark=True)
    page.get_by_role("button", name="Terminal", exact=True).first.click()
    wait_until(lambda: "$" in terminal_text(page), "the shell's prompt")
    page.keyboard.type("claude\n")
    wait_until(lambda: "Claude Code" in terminal_text(page), "Claude in the terminal", timeout_s=60)
    _picture(page, "terminal")


def _settings(chromium: Browser, workspace: Workspace) -> None:
    page = _opened(chromium, workspace, "/settings/appearance")
    expect(page.get_by_label("Dark")).to_be_visible()
    _picture(page, "settings")


def _say(page: Page, words: str) -> None:
    page.get_by_label("Message Claude").fill(words)
    page.get_by_role("button", name="Send", exact=True).click()


def _tool(name: str, **given: str) -> str:
    return f"[tool {name} {json.dumps(given)}]"


def _put(workspace: Workspace, name: str, text: str) -> None:
    path = f"/data/workspace/{name}"
    workspace.run("mkdir", "-p", path.rpartition("/")[0])
    workspace.put(path, text.encode(), owner=1000)


def _picture(page: Page, name: str) -> None:
    page.wait_for_timeout(400)  # what moves has come to rest
    browser = page.context.new_cdp_session(page)
    taken = browser.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    (FOLDER / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "my-jarvis:latest")
