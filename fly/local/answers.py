"""What the door itself says: small friendly pages for people, JSON for programs."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from http import HTTPStatus

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
{refresh}<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.0625rem/1.6 system-ui, sans-serif; min-height: 90vh; margin: 0; padding: 1.5rem;
  display: grid; place-content: center; text-align: center; background: Canvas; color: CanvasText }}
h1 {{ font-size: 1.5rem; font-weight: 600; margin: 0 0 .25rem }}
p {{ margin: 0; max-width: 32rem; opacity: .75 }}
i {{ width: .75rem; height: .75rem; border-radius: 50%; background: #d97757; margin: 0 auto 1.25rem;
  animation: breathe 1.6s ease-in-out infinite }}
@keyframes breathe {{ 50% {{ opacity: .25; transform: scale(.7) }} }}
@media (prefers-reduced-motion: reduce) {{ i {{ animation: none }} }}
</style>
</head>
<body><main>{mark}<h1>{title}</h1><p>{text}</p></main></body>
</html>
"""
_HEAD = (
    "HTTP/1.1 {status} {phrase}\r\nContent-Type: {type}; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
    "X-Content-Type-Options: nosniff\r\n{more}\r\n"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that the door may have to say."""

    status: int
    code: str
    title: str
    text: str
    retry_after_s: int | None = None
    refresh_s: int | None = None
    """The page asks again by itself."""

    def wire(self, *, page: bool, body: bool, keep_alive: bool) -> bytes:
        """The whole answer as it is sent."""
        content = (self._page() if page else self._json()).encode()
        more = "" if self.retry_after_s is None else f"Retry-After: {self.retry_after_s}\r\n"
        head = _HEAD.format(
            status=self.status,
            phrase=HTTPStatus(self.status).phrase,
            type="text/html" if page else "application/json",
            length=len(content),
            more=more + ("" if keep_alive else "Connection: close\r\n"),
        )
        return head.encode() + (content if body else b"")

    def _page(self) -> str:
        refresh = (
            "" if self.refresh_s is None else f'<meta http-equiv="refresh" content="{self.refresh_s}">\n'
        )
        mark = "" if self.refresh_s is None else "<i></i>"
        return _PAGE.format(
            refresh=refresh, mark=mark, title=html.escape(self.title), text=html.escape(self.text)
        )

    def _json(self) -> str:
        hint = "" if self.retry_after_s is None else f"try again in {self.retry_after_s} s"
        return json.dumps({"error": {"code": self.code, "message": self.text, "hint": hint}}) + "\n"


UNKNOWN = Answer(
    404,
    "no_such_workspace",
    "There is no workspace here",
    "Check the address: it is long, and every letter counts.",
)
WAKING = Answer(
    503, "waking", "Your workspace is waking up", "This page opens it by itself in a moment.",
    retry_after_s=1, refresh_s=1,
)  # fmt: skip
TENDED = Answer(
    503, "looked_after", "Your workspace is being looked after",
    "This page opens it by itself as soon as that is done.", retry_after_s=5, refresh_s=5,
)  # fmt: skip
NOT_WOKEN = Answer(
    503,
    "not_woken",
    "Your workspace did not wake up",
    "It is tried again when you reload this page.",
    retry_after_s=3,
)
ASLEEP = Answer(
    503, "asleep", "This workspace is asleep", "It does not wake by itself: its operator has to start it.",
    retry_after_s=60,
)  # fmt: skip
CROWDED = Answer(
    503,
    "too_many",
    "Too many are waiting",
    "More requests wait here than can be held. Try again soon.",
    retry_after_s=2,
)
TOO_SLOW_TO_WAKE = Answer(
    504,
    "wake_timeout",
    "Your workspace is slow to wake",
    "It did not wake in time. Try again.",
    retry_after_s=5,
)
UNREACHABLE = Answer(
    502, "unreachable", "Your workspace does not answer",
    "It is awake, but its page can't be reached. Try again soon.", retry_after_s=3,
)  # fmt: skip
BROKE_OFF = Answer(
    502,
    "broke_off",
    "Your workspace broke off",
    "It closed the connection in the middle of its answer.",
    retry_after_s=1,
)
NO_ANSWER = Answer(
    504, "no_answer", "Your workspace takes too long", "No answer came in time.", retry_after_s=5
)
TOO_SLOW = Answer(408, "too_slow", "That took too long", "The request did not arrive in time.")


def refused(status: int, reason: str) -> Answer:
    """A request that makes no sense."""
    return Answer(status, "bad_request", "That request makes no sense", reason[:1].upper() + reason[1:] + ".")
