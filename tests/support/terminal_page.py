"""What a page's terminal shows."""

import re

from playwright.sync_api import Page

from tests.support.anthropic.standin import printed_url


def terminal_text(page: Page) -> str:
    """Its rows, joined as they are."""
    text: str = page.locator("[data-testid=terminal] .xterm-rows").inner_text()
    return text.replace("\xa0", " ")


def login_url(page: Page) -> str:
    """The address that Claude printed last: on a page it may be wrapped over several rows."""
    text = terminal_text(page)
    joined = re.sub(r"\n", "", text[text.rindex("https://") :].split("Paste code")[0])
    return printed_url(joined.strip())
