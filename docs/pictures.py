"""Makes the guide's pictures of the first login, in a real container: `python -m docs.pictures [IMAGE]`.

Anthropic is the tests' stand-in.
"""

import shutil
import sys
from contextlib import closing
from pathlib import Path

import docker
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tests.support.containers import Workspaces
from tests.support.internet import Internet, small_internet
from tests.support.run import swept_run
from tests.support.terminal_page import login_url, terminal_text
from tests.support.wait import wait_until

FOLDER = Path(__file__).parent / "pictures"
LAPTOP: ViewportSize = {"width": 1240, "height": 720}
PATIENCE_MS = 60_000


def main(image: str) -> None:
    client = docker.from_env(timeout=120)
    with (
        swept_run(client) as run,
        small_internet(client, run, image) as internet,
        sync_playwright() as started,
    ):
        chromium = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with closing(chromium), closing(Workspaces(run, image)) as workspaces:
            page = chromium.new_page(viewport=LAPTOP, reduced_motion="reduce")
            page.goto(f"{workspaces.start(internet=internet).url}/settings/authentication")
            _first_login(page, internet)


def _first_login(page: Page, internet: Internet) -> None:
    expect.set_options(timeout=PATIENCE_MS)
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


def _picture(page: Page, name: str) -> None:
    page.wait_for_timeout(400)  # what moves has come to rest
    page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "my-jarvis:latest")
