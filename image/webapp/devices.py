"""The devices that have signed in. What a device shows is a random token, of which only the hash is kept."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from webapp.jsonfile import read_object, save_object

MOST = 100
NOTED_EVERY = timedelta(minutes=10)
BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"),
    ("Windows", "Windows"), ("Macintosh", "Mac"), ("Linux", "Linux"),
)  # fmt: skip


@dataclass
class Device:
    """One browser. `token` is a hash; `mark` that of the credential it was let in by."""

    id: str
    name: str
    since: datetime
    last_seen: datetime
    token: str
    mark: str
    signed_out: asyncio.Event = field(default_factory=asyncio.Event)

    def json(self, current: "Device | None") -> dict[str, Any]:
        times = {"since": _text(self.since), "last_seen": _text(self.last_seen)}
        return {"id": self.id, "name": self.name, **times, "current": self is current}


class Devices:
    """Those that are signed in; who came in by another credential than the present one (`mark`) is not."""

    def __init__(self, path: Path, mark: str) -> None:
        self._path = path
        self._mark = mark
        stored = read_object(path).get("devices")
        read = (_read(entry) for entry in (stored if isinstance(stored, list) else ()))
        self._by_token = {device.token: device for device in read if device and device.mark == mark}
        self._noted_at = datetime.now(UTC)
        self._writing = asyncio.Lock()

    def of(self, token: str) -> Device | None:
        """The device that shows this token, seen now."""
        device = self._by_token.get(_hash(token)) if token else None
        if device:
            device.last_seen = datetime.now(UTC)
        return device

    def listed(self, current: Device | None) -> list[Device]:
        """The current one first, then whichever was here last."""
        return sorted(
            self._by_token.values(), key=lambda device: (device is current, device.last_seen), reverse=True
        )

    def get(self, id: str) -> Device | None:  # noqa: A002
        return next((device for device in self._by_token.values() if device.id == id), None)

    def admit(self, name: str) -> str:
        """A new device's token. Beyond a hundred devices the one seen longest ago is signed out."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        device = Device(f"d_{secrets.token_hex(8)}", name, now, now, _hash(token), self._mark)
        self._by_token[device.token] = device
        self.sign_out(self.listed(device)[MOST:])
        return token

    def sign_out(self, devices: Iterable[Device]) -> None:
        for device in list(devices):
            self._by_token.pop(device.token, None)
            device.signed_out.set()

    @property
    def is_save_due(self) -> bool:
        return datetime.now(UTC) - self._noted_at > NOTED_EVERY

    async def save(self) -> None:
        """Errors: Problem 507."""
        async with self._writing:
            self._noted_at = datetime.now(UTC)
            stored = {"devices": [_stored(device) for device in self._by_token.values()]}
            await asyncio.to_thread(save_object, self._path, stored, "Who is signed in")


def device_name(user_agent: str) -> str:
    """What a person would call the device with this browser."""
    browser = next((name for sign, name in BROWSERS if sign in user_agent), "")
    system = next((name for sign, name in SYSTEMS if sign in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    # A program tells its own name, and may tell anything.
    program = re.match(r"[A-Za-z][A-Za-z0-9._-]{0,30}", user_agent)
    return browser or system or (program.group() if program else "A device")


def _read(entry: object) -> Device | None:
    try:
        assert isinstance(entry, dict)
        since, last_seen = (datetime.fromisoformat(entry[name]) for name in ("since", "last_seen"))
        assert since.tzinfo
        assert last_seen.tzinfo
        return Device(
            id=str(entry["id"]),
            name=str(entry["name"]),
            since=since,
            last_seen=last_seen,
            token=str(entry["token"]),
            mark=str(entry["mark"]),
        )
    except (AssertionError, KeyError, TypeError, ValueError):
        return None


def _stored(device: Device) -> dict[str, str]:
    texts = {name: getattr(device, name) for name in ("id", "name", "token", "mark")}
    return {**texts, "since": _text(device.since), "last_seen": _text(device.last_seen)}


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
