"""What the server is told by its environment, read once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from webapp.credential import Credential, read_credential


class ConfigError(Exception):
    """The environment makes no sense; the message says which variable, and why."""


@dataclass(frozen=True)
class Config:
    """Where everything lies, and whose workspace this is."""

    data: Path
    static: Path
    claude: Path
    port: int
    user_name: str
    user_email: str
    url: str = ""
    """The public address, where the machine would be put to sleep for want of connections to it."""
    credential: Credential = field(default_factory=Credential)
    hosts: frozenset[str] = frozenset()
    """The names under which browsers reach this workspace."""
    paused_until: datetime | None = None
    """Until then a page that says so stands in place of the workspace."""
    contact: str = ""
    """Whom to write to then."""
    told: Path = Path("/tmp/my-jarvis/told.json")  # noqa: S108 - in a container that is hers alone
    """What the operator may know; not on the volume, where nothing changes unless she changes it."""

    @property
    def home(self) -> Path:
        return self.data / "home"

    @property
    def claude_config(self) -> Path:
        """All that Claude Code keeps: login, settings, transcripts."""
        return self.data / "claude"

    @property
    def workspace(self) -> Path:
        return self.data / "workspace"

    @property
    def app(self) -> Path:
        """The server's own state."""
        return self.data / "app"


def read_config(environ: Mapping[str, str]) -> Config:
    """The Config that these variables describe.

    Errors: ConfigError.
    """
    return Config(
        data=Path(environ.get("JARVIS_DATA", "/data")).absolute(),
        static=Path(environ.get("JARVIS_STATIC", "/opt/jarvis/app/static")).absolute(),
        claude=Path(environ.get("JARVIS_CLAUDE", "/opt/claude/claude")).absolute(),
        port=_port(environ.get("JARVIS_PORT", "3000")),
        user_name=environ.get("USER_NAME", "").strip(),
        user_email=environ.get("USER_EMAIL", "").strip(),
        url=_url(environ.get("JARVIS_URL", "").strip()),
        credential=read_credential(environ),
        hosts=frozenset(environ.get("JARVIS_HOSTS", "").lower().replace(",", " ").split()),
        paused_until=_moment(environ.get("JARVIS_PAUSED_UNTIL", "").strip()),
        contact=environ.get("JARVIS_CONTACT", "").strip(),
        told=Path(environ.get("JARVIS_TOLD", Config.told)).absolute(),
    )


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(f"JARVIS_PAUSED_UNTIL is {text!r}, which is no moment like 2026-12-01T00:00:00Z")
    return found


def _url(text: str) -> str:
    if not text or re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?", text):
        return text.rstrip("/")
    raise ConfigError(f"JARVIS_URL is {text!r}, which is no address like https://name.fly.dev")


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 65536:
        return int(text)
    raise ConfigError(
        f"JARVIS_PORT is {text!r}, which is no port: a number from 0 to 65535 is needed (0: any free one)"
    )
