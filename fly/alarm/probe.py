"""Whether a workspace answers, seen from outside, without waking one that sleeps or keeping one awake.

A connection alone, with its TLS handshake and no request, ends at the platform's own proxy: it proves name,
network and certificate, and no machine hears of it. Only a machine that runs is asked for something more, and
for something that is not there: the answer, a refusal in our server's own words, proves that it is alive, and
the idle rule of the embedded platform counts good answers only. Fly's proxy counts what is open when it
looks: a request that lasts milliseconds is over by then.
"""

import json
import socket
import ssl
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fly.settings import Platform
from fly.trust import trust

PATH = "/api/probe"
"""Nothing is there, in no workspace: whoever is not signed in is told so, whoever is is told that."""
OUR_WORDS = frozenset({"signed_out", "not_found"})
AGENT = "my-jarvis-probe"
TIMEOUT_S = 10.0
WAKE_TIMEOUT_S = 90.0
LONGEST_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. `ms` is how long a request took; None where none was sent."""

    trouble: str
    ms: float | None = None
    certificate_until: datetime | None = None

    @property
    def ok(self) -> bool:
        return not self.trouble


def knock(platform: Platform, url: str, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """A connection to the page's address and nothing more: no machine hears of it."""
    try:
        with _connected(platform, url, timeout_s) as connection:
            return Answer("", certificate_until=_certificate_until(connection))
    except (OSError, ValueError) as error:
        return Answer(_trouble(error))


def ask(platform: Platform, url: str, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """One short request, to be sent to a machine that runs."""
    return _asked(platform, url, PATH, timeout_s, _trouble_of_refusal)


def wake(platform: Platform, url: str, *, timeout_s: float = WAKE_TIMEOUT_S) -> Answer:
    """A request that wakes the machine, as its user's first click does; `ms` is how long she would wait."""
    return _asked(platform, url, "/health", timeout_s, _trouble_of_health)


def is_at_rest(platform: Platform, url: str, *, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the server of a machine that runs says that it is not at work."""
    answer = _asked(platform, url, "/health", timeout_s, _trouble_of_rest)
    return answer.ok


def _trouble_of_rest(status: int, body: bytes) -> str:
    trouble = _trouble_of_health(status, body)
    return trouble or ("" if _json_in(body).get("busy") is False else "it is at work")


def _asked(platform: Platform, url: str, path: str, timeout_s: float, judge: Any) -> Answer:
    began = time.monotonic()
    answer = Answer("")
    try:
        with _connected(platform, url, timeout_s) as connection:
            answer = replace(answer, certificate_until=_certificate_until(connection))
            status, body = _exchange(connection, urlsplit(url).netloc, path, began + timeout_s)
    except (OSError, ValueError) as error:
        return replace(answer, trouble=_trouble(error))
    return replace(answer, trouble=judge(status, body), ms=(time.monotonic() - began) * 1000)


def _connected(platform: Platform, url: str, timeout_s: float) -> socket.socket:
    """To the address that a browser would go to; on the embedded platform no resolver is needed for it."""
    asked, reached = urlsplit(url), urlsplit(platform.door_url or url)
    secure = reached.scheme == "https"
    address = (reached.hostname or "", reached.port or (443 if secure else 80))
    plain = socket.create_connection(address, timeout=timeout_s)
    if not secure:
        return plain
    try:
        trusted = trust(platform.door_url or url, platform.door_certificate)
        return trusted.wrap_socket(plain, server_hostname=asked.hostname)
    except BaseException:
        plain.close()
        raise


def _certificate_until(connection: socket.socket) -> datetime | None:
    if not isinstance(connection, ssl.SSLSocket):
        return None
    until = (connection.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(until)), UTC) if until else None


def _exchange(connection: socket.socket, host: str, path: str, deadline: float) -> tuple[int, bytes]:
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\n"
        "Accept: application/json\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode("ascii"))
    said = b""
    while len(said) < LONGEST_ANSWER:
        connection.settimeout(max(0.05, deadline - time.monotonic()))
        if not (piece := connection.recv(16384)):
            break
        said += piece
    first, _, _ = said.partition(b"\r\n")
    protocol, _, rest = first.partition(b" ")
    if not protocol.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("what answers there does not speak HTTP" if said else "the connection was closed")
    return int(rest[:3]), said.partition(b"\r\n\r\n")[2]


def _trouble_of_refusal(status: int, body: bytes) -> str:
    """Only our server refuses in these words; a proxy in front of it has others."""
    error = _json_in(body).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return "" if status in (401, 404) and code in OUR_WORDS else _unexpected(status)


def _trouble_of_health(status: int, body: bytes) -> str:
    return "" if status == 200 and _json_in(body).get("status") == "ok" else _unexpected(status)


def _unexpected(status: int) -> str:
    return f"{status} from something else than the page" if status < 500 else f"{status} from the platform"


def _json_in(body: bytes) -> dict[str, Any]:
    """The object in a body, which may come in chunks."""
    first, last = body.find(b"{"), body.rfind(b"}")
    try:
        found = json.loads(body[first : last + 1])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _trouble(error: OSError | ValueError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
