"""Which Chromium of this machine Playwright drives."""

import shutil

WHOLE = ("chromium", "chromium-browser", "google-chrome")
WITHOUT_WINDOWS = "chromium-headless-shell"
"""The same engine for a third less of the processor's time; no viewers, no notifications."""


def find_chromium(*names: str) -> str | None:
    """The path of the first of these programs that is there."""
    return next(filter(None, map(shutil.which, names)), None)
