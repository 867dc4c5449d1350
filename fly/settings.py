"""The environment, read once into frozen values; the only file that names its variables."""

import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fly.errors import SettingsError

VARIABLES: Mapping[str, str] = {
    "FLY_API_TOKEN": "an organisation's token (`fly tokens create org`); when it is set, Fly is the platform",
    "FLY_ORG": "the organisation that pays for the workspaces (default `personal`)",
    "FLY_FLAPS_BASE_URL": "where Fly's Machines API answers (default `https://api.machines.dev`)",
    "FLY_API_BASE_URL": "where Fly's logs are read (default `https://api.fly.io`)",
    "JARVIS_HOME": "where ledger and embedded platform keep their state (default: `.jarvis` in the checkout)",
    "JARVIS_IMAGE": "the image of new workspaces, by digest (default: the newest release; locally, build)",
    "JARVIS_REGISTRY": "where `invoke push` puts images: the name of an app on Fly, or HOST/REPOSITORY",
    "JARVIS_REGISTRY_USER": "who we are to a registry other than Fly's",
    "JARVIS_REGISTRY_PASSWORD": "and the password there",
    "JARVIS_REGION": "the region of new workspaces (default `iad`)",
    "JARVIS_API_PORT": "the embedded platform's API (default 4280)",
    "JARVIS_DOOR_PORT": "the embedded platform's pages (default 8080)",
    "JARVIS_DOOR_CERTIFICATE": "a certificate (PEM) for the embedded pages: they are then served over https",
    "JARVIS_DOOR_KEY": "its private key (PEM)",
    "JARVIS_MAX_AWAKE_HOURS": "how long an embedded workspace may be awake at a stretch (default: for ever)",
    "JARVIS_USER": "whom `invoke up` makes the first workspace for (default `Lilach <lilach@example.com>`)",
    "JARVIS_SMTP_URL": "where mail is handed in: `smtps://USER:PASSWORD@HOST:465` or `smtp+starttls://…`",
    "JARVIS_MAIL_FROM": "whom mail to users comes from, such as `My Jarvis <jarvis@example.com>`",
    "JARVIS_ALERT_MAIL": "whom `invoke check --mail` writes to (default: the address of JARVIS_MAIL_FROM)",
    "JARVIS_BACKUP_REPOSITORY": "where copies of workspaces go: a folder, or `s3:https://HOST/BUCKET/FOLDER`",
    "JARVIS_BACKUP_PASSWORD": "what they are encrypted with; keep it elsewhere too: without it they are lost",
    "JARVIS_BACKUP_KEY_ID": "who we are to the S3-compatible storage",
    "JARVIS_BACKUP_SECRET_KEY": "and the secret key there",
    "JARVIS_BACKUP_KEEP": "how many copies of each workspace stay (default `daily=7,weekly=5,monthly=12`)",
    "JARVIS_INVOICE_FROM": "who sends invoices, lines parted by `;`: `My Jarvis Ltd; 1 Main Street`",
    "JARVIS_INVOICE_PAY": "how invoices are paid, lines parted by `;`: `IBAN DE00 …; PayPal …`",
    "JARVIS_INVOICE_TAX": "the tax that is part of the fees, such as `VAT 19` (per cent); none by default",
    "JARVIS_INVOICE_DAYS": "how many days after its date an invoice is due (default 14)",
}
FLY_API_URL = "https://api.machines.dev"
FLY_LOGS_URL = "https://api.fly.io"
KEPT_COPIES = {"daily": 7, "weekly": 5, "monthly": 12}
INHERITED = ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""What a program of others needs to run at all, and to find its way out."""
KEEP_WORDS = ("last", "daily", "weekly", "monthly", "yearly")


class Secret:
    """Text that no log, message or traceback shows; `reveal()` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "[hidden]"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


NO_SECRET = Secret("")


@dataclass(frozen=True)
class Platform:
    """Where workspaces live: Fly (`fly`), or its embedded likeness on this machine (`local`)."""

    kind: str
    api_url: str
    token: Secret
    org: str
    logs_url: str
    door_url: str = ""
    """Where the embedded platform's pages are reached, told apart by their Host header; empty on Fly."""
    door_certificate: Path | None = None
    """What its pages prove themselves with, where they are served over https."""
    state_dir: Path | None = None
    pid: int = 0

    @property
    def key(self) -> str:
        """What the ledger knows it by: workspaces of two organisations are never mixed up."""
        return f"fly/{self.org}" if self.kind == "fly" else "local"

    @property
    def label(self) -> str:
        if self.kind == "fly":
            return f"Platform: Fly (organisation {self.org})"
        return f"Platform: embedded ({urlsplit(self.api_url).netloc})"

    def url_of(self, app: str) -> str:
        """The address of an app's page."""
        if self.kind == "fly":
            return f"https://{app}.fly.dev"
        door = urlsplit(self.door_url)
        return f"{door.scheme}://{app}.localhost:{door.port}"


@dataclass(frozen=True)
class Settings:
    """What the operator's environment says."""

    root: Path
    home: Path
    token: Secret
    org: str = "personal"
    api_url: str = FLY_API_URL
    logs_url: str = FLY_LOGS_URL
    image: str = ""
    registry: str = ""
    registry_user: str = ""
    registry_password: Secret = NO_SECRET
    region: str = "iad"
    api_port: int = 4280
    door_port: int = 8080
    door_certificate: Path | None = None
    door_key: Path | None = None
    max_awake_s: float | None = None
    user_name: str = "Lilach"
    user_email: str = "lilach@example.com"
    smtp_url: Secret = NO_SECRET
    mail_from: str = ""
    alert_mail: str = ""
    backup_repository: str = ""
    backup_password: Secret = NO_SECRET
    backup_key_id: str = ""
    backup_secret_key: Secret = NO_SECRET
    backup_keep: Mapping[str, int] = field(default_factory=lambda: KEPT_COPIES)
    inherited: Mapping[str, str] = field(default_factory=dict)
    invoice_from: tuple[str, ...] = ()
    invoice_pay: tuple[str, ...] = ()
    tax_name: str = ""
    tax_percent: str = ""
    """A decimal number, empty where there is no tax."""
    invoice_days: int = 14

    @classmethod
    def read(cls, environ: Mapping[str, str], root: Path) -> "Settings":
        """Settings of the checkout at `root`.

        *Errors*: SettingsError, naming the variable and what it should hold.
        """
        given = {name: environ.get(name, "").strip() for name in VARIABLES}
        user_name, user_email = _user(given["JARVIS_USER"] or "Lilach <lilach@example.com>")
        tax_name, tax_percent = _tax(given["JARVIS_INVOICE_TAX"])
        return cls(
            root=root,
            home=(root / (Path(given["JARVIS_HOME"] or ".jarvis").expanduser())).absolute(),
            token=_token(given["FLY_API_TOKEN"]),
            org=given["FLY_ORG"] or "personal",
            api_url=_url("FLY_FLAPS_BASE_URL", given["FLY_FLAPS_BASE_URL"] or FLY_API_URL),
            logs_url=_url("FLY_API_BASE_URL", given["FLY_API_BASE_URL"] or FLY_LOGS_URL),
            image=given["JARVIS_IMAGE"],
            registry=given["JARVIS_REGISTRY"],
            registry_user=given["JARVIS_REGISTRY_USER"],
            registry_password=Secret(environ.get("JARVIS_REGISTRY_PASSWORD", "")),
            region=given["JARVIS_REGION"] or "iad",
            api_port=_port("JARVIS_API_PORT", given["JARVIS_API_PORT"] or "4280"),
            door_port=_port("JARVIS_DOOR_PORT", given["JARVIS_DOOR_PORT"] or "8080"),
            door_certificate=_file("JARVIS_DOOR_CERTIFICATE", given["JARVIS_DOOR_CERTIFICATE"]),
            door_key=_file("JARVIS_DOOR_KEY", given["JARVIS_DOOR_KEY"]),
            max_awake_s=_hours("JARVIS_MAX_AWAKE_HOURS", given["JARVIS_MAX_AWAKE_HOURS"]),
            user_name=user_name,
            user_email=user_email,
            smtp_url=Secret(given["JARVIS_SMTP_URL"]),
            mail_from=given["JARVIS_MAIL_FROM"],
            alert_mail=given["JARVIS_ALERT_MAIL"],
            backup_repository=_repository(given["JARVIS_BACKUP_REPOSITORY"]),
            backup_password=Secret(environ.get("JARVIS_BACKUP_PASSWORD", "")),
            backup_key_id=given["JARVIS_BACKUP_KEY_ID"],
            backup_secret_key=Secret(given["JARVIS_BACKUP_SECRET_KEY"]),
            backup_keep=_keep(given["JARVIS_BACKUP_KEEP"]),
            inherited={name: value for name, value in environ.items() if name.upper() in INHERITED},
            invoice_from=_lines(given["JARVIS_INVOICE_FROM"]),
            invoice_pay=_lines(given["JARVIS_INVOICE_PAY"]),
            tax_name=tax_name,
            tax_percent=tax_percent,
            invoice_days=_days(given["JARVIS_INVOICE_DAYS"] or "14"),
        )

    @property
    def ledger(self) -> Path:
        return self.home / "ledger.sqlite"

    @property
    def meter(self) -> Path:
        """What every machine did, for the bills."""
        return self.home / "meter.sqlite"

    @property
    def alert_address(self) -> str:
        """Whom alerts go to.

        *Errors*: SettingsError.
        """
        found = parseaddr(self.alert_mail or self.mail_from)[1]
        if "@" not in found:
            raise SettingsError(
                "JARVIS_ALERT_MAIL does not say whom alerts go to.",
                hint="an address, such as you@example.com",
            )
        return found

    @property
    def templates(self) -> Path:
        """The operator's own letters to users."""
        return self.home / "templates"

    @property
    def releases(self) -> Path:
        """What was proved about which image, and where it was pushed."""
        return self.home / "releases.sqlite"

    @property
    def watch(self) -> Path:
        """What was measured of workspaces."""
        return self.home / "watch.sqlite"

    @property
    def backups(self) -> Path:
        """Which copies were made of whom, and which of them are proven."""
        return self.home / "backups.sqlite"

    @property
    def platform_dir(self) -> Path:
        """The embedded platform's own state."""
        return self.home / "platform"


def choose_platform(settings: Settings, flag: str | None = None) -> Platform:
    """The platform to speak to: what `flag` says, else Fly where there is a token, else the embedded one.

    *Errors*: SettingsError: Fly without a token, an embedded platform that does not run.
    """
    if flag not in (None, "", "fly", "local"):
        raise SettingsError(f"There is no platform {flag!r}.", hint="--platform fly or --platform local")
    if flag == "fly" or (not flag and settings.token):
        return _fly(settings)
    return _embedded(settings)


def _fly(settings: Settings) -> Platform:
    if not settings.token:
        raise SettingsError(
            "Fly needs a token, and FLY_API_TOKEN is not set.",
            hint="export FLY_API_TOKEN=$(fly tokens create org), or --platform local",
        )
    return Platform(
        kind="fly",
        api_url=settings.api_url,
        token=settings.token,
        org=settings.org,
        logs_url=settings.logs_url,
    )


def _embedded(settings: Settings) -> Platform:
    path = settings.platform_dir / "platform.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Platform(
            kind="local",
            api_url=_url("api_url", facts["api_url"]),
            token=Secret(str(facts["token"])),
            org=settings.org,
            logs_url=_url("api_url", facts["api_url"]),
            door_url=_url("door_url", facts["door_url"]),
            door_certificate=Path(facts["door_certificate"]) if facts.get("door_certificate") else None,
            state_dir=Path(str(facts["state_dir"])),
            pid=int(facts["pid"]),
        )
    except FileNotFoundError as error:
        raise SettingsError(
            "The embedded platform does not run.",
            hint="start it with `invoke up`, or set FLY_API_TOKEN to speak to Fly",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"What the embedded platform says about itself cannot be read ({path}: {type(error).__name__}).",
            hint="`invoke down`, then `invoke up`",
        ) from error


def _token(text: str) -> Secret:
    if not set(text) <= set(string.printable) - set("\r\n\t\v\f"):
        raise SettingsError(
            "FLY_API_TOKEN holds characters that no token has.",
            hint="export FLY_API_TOKEN=$(fly tokens create org)",
        )
    return Secret(text)


def _url(name: str, text: object) -> str:
    try:
        parts = urlsplit(str(text))
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise SettingsError(f"{name} is not an address: {text!r}.", hint="such as https://api.machines.dev")
    return str(text).rstrip("/")


def _file(name: str, text: str) -> Path | None:
    if not text:
        return None
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise SettingsError(f"{name} names no file: {text}.", hint="the path of a PEM file")
    return path


def _repository(text: str) -> str:
    """*Errors*: SettingsError: one that holds a secret, or is of a kind that nobody tried."""
    if not text.startswith("s3:"):
        if "://" in text or text.startswith("sftp:"):
            raise SettingsError(
                "JARVIS_BACKUP_REPOSITORY is neither a folder nor an S3-compatible storage.",
                hint="/mnt/backups/my-jarvis, or s3:https://HOST/BUCKET/FOLDER",
            )
        return str(Path(text).expanduser().absolute()) if text else ""
    url = text.removeprefix("s3:")
    if "@" in urlsplit(url if "://" in url else f"https://{url}").netloc:
        raise SettingsError(
            "JARVIS_BACKUP_REPOSITORY holds a key, and addresses are shown to everybody.",
            hint="put it into JARVIS_BACKUP_KEY_ID and JARVIS_BACKUP_SECRET_KEY",
        )
    return text


def _keep(text: str) -> dict[str, int]:
    if not text:
        return dict(KEPT_COPIES)
    parts = [part.partition("=") for part in text.replace(" ", "").split(",") if part]
    if any(name not in KEEP_WORDS or not number.isdecimal() for name, _, number in parts):
        raise SettingsError(
            f"JARVIS_BACKUP_KEEP makes no sense: {text!r}.",
            hint=f"such as daily=7,weekly=5,monthly=12; known are {', '.join(KEEP_WORDS)}",
        )
    kept = {name: int(number) for name, _, number in parts}
    if not any(kept.values()):
        raise SettingsError("JARVIS_BACKUP_KEEP would keep no copy at all.", hint="daily=7")
    return kept


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise SettingsError(f"{name} is not a port: {text!r}.", hint="a number from 1 to 65535")
    return int(text)


def _hours(name: str, text: str) -> float | None:
    """In seconds; None where nothing is said."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or not float(text):
        raise SettingsError(f"{name} is not a number of hours: {text!r}.", hint="such as 12, or 0.5")
    return float(text) * 3600


def _user(text: str) -> tuple[str, str]:
    name, email = parseaddr(text)
    if "@" not in email:
        raise SettingsError(f"JARVIS_USER is not a person: {text!r}.", hint="Lilach <lilach@example.com>")
    return name or email.partition("@")[0], email


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.split(";") if line.strip())


def _tax(text: str) -> tuple[str, str]:
    name, _, percent = text.removesuffix("%").strip().rpartition(" ")
    whole, _, part = percent.partition(".")
    if text and not (name and whole.isdecimal() and (not part or part.isdecimal()) and float(percent) < 100):
        raise SettingsError(
            f"JARVIS_INVOICE_TAX is not a tax: {text!r}.", hint="its name and per cent, such as: VAT 19"
        )
    return name.strip(), percent


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 365):
        raise SettingsError(f"JARVIS_INVOICE_DAYS is not a number of days: {text!r}.", hint="such as 14")
    return int(text)
