"""Whether a workspace's page answers, asked the way that its user's browser would ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly.lazy import Lazy
from fly.plan import HEALTH_PATH
from fly.trust import trust

if TYPE_CHECKING:
    import httpx
else:
    httpx = Lazy("httpx")

SHOWN = (200, 401)
BUSY_HEADER = "x-jarvis-busy"


def trouble_at(
    url: str, door_url: str = "", certificate: Path | None = None, *, timeout_s: float = 20
) -> str:
    """What is wrong with the page at `url`, in a few words; empty when it answers.

    Its server must be well, and know the page by this name: then it shows itself, or asks who is there.
    With `door_url` the connection goes there, and the Host header names the page: then the embedded
    platform's names need no resolver. `certificate` is trusted besides those that everybody trusts.
    """
    base = (door_url or url).rstrip("/")
    try:
        named = _named(url)
        # A connection of its own for every probe: what is asked is what a stranger would see.
        with httpx.Client(
            verify=trust(base, certificate),
            trust_env=not door_url,
            timeout=httpx.Timeout(timeout_s, connect=5),
        ) as http:
            answer = http.get(base + HEALTH_PATH, **named)
            page = http.get(f"{base}/", **named)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return str(error) or type(error).__name__
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.reason_phrase}"
    if not _is_healthy(answer):
        return "something else than the page answers there"
    return "" if page.status_code in SHOWN else f"the page itself: {page.status_code} {page.reason_phrase}"


def is_busy(url: str, door_url: str = "", certificate: Path | None = None, *, timeout_s: float = 20) -> bool:
    """Whether the server at `url` says that something runs which should not be cut off.

    To be asked of a machine that is awake: any other would be woken. One that does not answer does nothing.
    """
    base = (door_url or url).rstrip("/")
    try:
        with httpx.Client(
            verify=trust(base, certificate),
            trust_env=not door_url,
            timeout=httpx.Timeout(timeout_s, connect=5),
        ) as http:
            return BUSY_HEADER in http.get(base + HEALTH_PATH, **_named(url)).headers
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return False


def _named(url: str) -> dict[str, Any]:
    """Names the page that is asked for, wherever the connection goes."""
    asked = httpx.URL(url)
    return {
        "headers": {"host": asked.netloc.decode("ascii")},
        "extensions": {"sni_hostname": asked.host},
    }


def _is_healthy(answer: httpx.Response) -> bool:
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("status") == "ok"
