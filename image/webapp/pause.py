"""A workspace whose month is used up: a page that says so in place of it, and her data all the same."""

import base64
import hashlib
import html
import re
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.guard import page_policy
from webapp.problem import Problem

EXPORT = "/api/data/export"
OPEN = re.compile(r"/health|/api/login|/api/data/(export|usage)|/sign-in/.+|/icon.*", re.ASCII)
STYLE = """
:root { --ground: #fbfaf8; --text: #1f2321; --soft: #5e645f; --accent: #0d6b61; --on: #fff;
  color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #181a19; --text: #e9ece9; --soft: #a3aba6; --accent: #74d0be; --on: #05231e; }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground);
  color: var(--text); font: 400 1rem/1.6 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Noto Sans",
  Ubuntu, Cantarell, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
main { max-width: 27rem; padding: 2rem 1.5rem; }
svg { width: 3rem; height: 3rem; display: block; margin-bottom: 1.5rem; }
.ground { fill: var(--accent); }
.line { fill: none; stroke: var(--ground); stroke-width: 3.4; stroke-linecap: round; }
.dot { fill: var(--ground); }
h1 { font-size: 1.5rem; line-height: 1.3; letter-spacing: -0.01em; font-weight: 650; margin: 0 0 .75rem; }
p { margin: 0 0 1.25rem; }
p + p + p { color: var(--soft); font-size: .9375rem; }
a { color: var(--accent); }
a.button { display: block; text-align: center; padding: .75rem 1.1rem; border-radius: .75rem;
  font-weight: 600; background: var(--accent); color: var(--on); text-decoration: none; }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: .75rem; }
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Your workspace rests until {until}</title>
<style>{style}</style>
</head>
<body>
<main>
<svg viewBox="0 0 32 32" aria-hidden="true"><rect class="ground" width="32" height="32" rx="9.5"/>
<path class="line" d="M19.5 8.5v10.3a5.2 5.2 0 0 1-9.9 2.3"/>
<circle class="dot" cx="12" cy="10.3" r="2.2"/></svg>
<h1>Your workspace rests until {until}</h1>
<p>What was agreed for this month is used up. Your files and conversations are safe, and everything
is here again on {until}.</p>
<p><a class="button" href="{export}" download>Download everything that is yours</a></p>
{contact}
</main>
</body>
</html>
"""
CONTACT = '<p>Would you like to go on sooner? Write to <a href="mailto:{contact}">{contact}</a>.</p>'


class Pause:
    """Stands before the workspace until a moment has come; from then on it is not there."""

    def __init__(
        self,
        app: ASGIApp,
        until: datetime | None,
        contact: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app = app
        self._until = until
        self._contact = contact
        self._now = now

    @property
    def is_on(self) -> bool:
        return self._until is not None and self._now() < self._until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not self.is_on or OPEN.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        if scope["type"] == "http" and not scope["path"].startswith("/api"):
            return self._page(Request(scope))
        message = f"This workspace rests until {self._day}: what was agreed for this month is used up."
        return Problem(403, "paused", message, "Reload the page.").response()

    def _page(self, _request: Request) -> Response:
        contact = CONTACT.format(contact=html.escape(self._contact)) if self._contact else ""
        page = PAGE.format(until=self._day, style=STYLE, export=EXPORT, contact=contact)
        mark = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        headers = {
            "cache-control": "no-store",
            "content-security-policy": page_policy(style_hashes=[f"'sha256-{mark}'"]),
        }
        return Response(page, 200, headers, media_type="text/html; charset=utf-8")

    @property
    def _day(self) -> str:
        """In words, without a name of a month that depends on where the server runs."""
        assert self._until is not None
        return f"{self._until.day}\u00a0{MONTHS[self._until.month - 1]}"


MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
