"""The nouns that Fly answers with, as frozen data.

Fields that only inform may be missing; without what identifies a thing an answer makes no sense: ValueError.

*Source*: the OpenAPI document of the Machines API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class App:
    name: str
    id: str = ""
    org: str = ""
    network: str = ""
    status: str = ""
    machine_count: int = 0
    volume_count: int = 0

    @classmethod
    def from_json(cls, data: Any) -> "App":
        found = _object(data, "an app")
        return cls(
            name=_needed(found, "name", "an app"),
            id=_text(found, "id"),
            org=_text(_part(found, "organization"), "slug"),
            network=_text(found, "network"),
            status=_text(found, "status"),
            machine_count=_number(found, "machine_count"),
            volume_count=_number(found, "volume_count"),
        )


@dataclass(frozen=True)
class AppSecret:
    """A variable of an app whose value nobody is shown; `digest` tells one value from another."""

    name: str
    digest: str = ""
    updated_at: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "AppSecret":
        found = _object(data, "a secret")
        return cls(_needed(found, "name", "a secret"), _text(found, "digest"), _text(found, "updated_at"))


@dataclass(frozen=True)
class Ip:
    """A public or private address of an app."""

    ip: str
    shared: bool = False
    region: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "Ip":
        found = _object(data, "an address")
        return cls(
            ip=_needed(found, "ip", "an address"),
            shared=found.get("shared") is True,
            region=_text(found, "region"),
        )

    @property
    def type(self) -> str:
        """The word by which it is asked for: `shared_v4`, `v4`, `v6`, `private_v6`."""
        if ":" not in self.ip:
            return "shared_v4" if self.shared else "v4"
        return "private_v6" if self.ip.startswith("fdaa:") else "v6"


@dataclass(frozen=True)
class Volume:
    id: str
    name: str
    region: str
    size_gb: int = 0
    state: str = ""
    attached_machine_id: str = ""
    created_at: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "Volume":
        found = _object(data, "a volume")
        return cls(
            id=_needed(found, "id", "a volume"),
            name=_needed(found, "name", "a volume"),
            region=_needed(found, "region", "a volume"),
            size_gb=_number(found, "size_gb"),
            state=_text(found, "state"),
            attached_machine_id=_text(found, "attached_machine_id"),
            created_at=_text(found, "created_at"),
        )

    @property
    def is_going(self) -> bool:
        """Whether it is deleted, or about to be; such volumes are listed for a while."""
        return "destroy" in self.state or self.state in ("fork_cleanup", "waiting_for_detach")


@dataclass(frozen=True)
class Snapshot:
    """*Units*: `size` in bytes."""

    id: str
    status: str = ""
    size: int = 0
    created_at: str = ""
    retention_days: int = 0

    @classmethod
    def from_json(cls, data: Any) -> "Snapshot":
        found = _object(data, "a snapshot")
        return cls(
            id=_needed(found, "id", "a snapshot"),
            status=_text(found, "status"),
            size=_number(found, "size"),
            created_at=_text(found, "created_at"),
            retention_days=_number(found, "retention_days"),
        )


@dataclass(frozen=True)
class Event:
    """*Units*: `timestamp_ms` since 1970."""

    type: str
    status: str = ""
    source: str = ""
    timestamp_ms: int = 0
    request: Json = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Any) -> "Event":
        found = _object(data, "an event")
        return cls(
            type=_text(found, "type"),
            status=_text(found, "status"),
            source=_text(found, "source"),
            timestamp_ms=_number(found, "timestamp"),
            request=_part(found, "request"),
        )

    @property
    def exit(self) -> str:
        """How the machine's program ended, for people; empty when the event is no exit."""
        ended = _part(self.request, "exit_event")
        if not ended:
            return ""
        killed = ", out of memory" if ended.get("oom_killed") is True else ""
        return f"exit code {_number(ended, 'exit_code')}{killed}"

    @property
    def is_crash(self) -> bool:
        """Whether the machine's program ended, and nobody had asked it to."""
        ended = _part(self.request, "exit_event")
        return bool(ended) and ended.get("requested_stop") is not True


@dataclass(frozen=True)
class Check:
    name: str
    status: str = ""
    output: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "Check":
        found = _object(data, "a check")
        return cls(_text(found, "name"), _text(found, "status"), _text(found, "output"))


@dataclass(frozen=True)
class Machine:
    id: str
    state: str
    name: str = ""
    region: str = ""
    instance_id: str = ""
    private_ip: str = ""
    host_status: str = ""
    app: str = ""
    """Only the list of an organisation's machines names it."""
    created_at: str = ""
    updated_at: str = ""
    digest: str = ""
    config: Json = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    checks: tuple[Check, ...] = ()
    is_cordoned: bool = False
    """Whether the platform lets nobody in to it."""

    @classmethod
    def from_json(cls, data: Any) -> "Machine":
        found = _object(data, "a machine")
        return cls(
            id=_needed(found, "id", "a machine"),
            state=_needed(found, "state", "a machine"),
            name=_text(found, "name"),
            region=_text(found, "region"),
            instance_id=_text(found, "instance_id"),
            private_ip=_text(found, "private_ip"),
            host_status=_text(found, "host_status"),
            app=_text(found, "app_name"),
            created_at=_text(found, "created_at"),
            updated_at=_text(found, "updated_at"),
            digest=_text(_part(found, "image_ref"), "digest"),
            config=_part(found, "config") or _part(found, "incomplete_config"),
            events=tuple(map(Event.from_json, _list(found, "events"))),
            checks=tuple(map(Check.from_json, _list(found, "checks"))),
            is_cordoned=found.get("cordoned") is True,
        )

    @property
    def metadata(self) -> Mapping[str, str]:
        return {key: str(value) for key, value in _part(self.config, "metadata").items()}

    @property
    def image(self) -> str:
        return _text(self.config, "image")

    @property
    def volumes(self) -> tuple[str, ...]:
        """The ids of the volumes that it mounts."""
        mounts = [_object(mount, "a mount") for mount in _list(self.config, "mounts")]
        return tuple(_text(mount, "volume") for mount in mounts if mount.get("volume"))

    @property
    def is_going(self) -> bool:
        return self.state in ("destroying", "destroyed")


@dataclass(frozen=True)
class MachinePage:
    """A part of the list of all machines of an organisation; `cursor` asks for the next one."""

    machines: tuple[Machine, ...]
    cursor: str = ""
    error_regions: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Any) -> "MachinePage":
        found = _object(data, "a list of machines")
        return cls(
            machines=tuple(map(Machine.from_json, _list(found, "machines"))),
            cursor=_text(found, "next_cursor"),
            error_regions=tuple(map(str, _list(found, "error_regions"))),
        )


@dataclass(frozen=True)
class Lease:
    """*Units*: `expires_at` in seconds since 1970."""

    nonce: str
    expires_at: int = 0
    owner: str = ""
    description: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "Lease":
        """*Shape*: `{"status": "success", "data": {"nonce": "…"}}`; the OpenAPI document has no envelope."""
        envelope = _object(data, "a lease")
        found = _part(envelope, "data") or envelope
        return cls(
            nonce=_needed(found, "nonce", "a lease"),
            expires_at=_number(found, "expires_at"),
            owner=_text(found, "owner"),
            description=_text(found, "description"),
        )


@dataclass(frozen=True)
class Exec:
    """What a command in a machine said, and how it ended: a failed one is no error of the request."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "Exec":
        found = _object(data, "a command's result")
        return cls(_number(found, "exit_code"), _text(found, "stdout"), _text(found, "stderr"))


@dataclass(frozen=True)
class Region:
    code: str
    name: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "Region":
        found = _object(data, "a region")
        return cls(_needed(found, "code", "a region"), _text(found, "name"))


@dataclass(frozen=True)
class Activity:
    """Why a machine is awake, as the embedded platform tells it; Fly keeps that to itself."""

    is_awake: bool
    why: str
    connections: int = 0
    sleeps_in_s: float | None = None
    last_used_s: float | None = None
    """How long ago its page was last used; None where that is not known, or while it is asleep."""

    @classmethod
    def from_json(cls, data: Any) -> "Activity":
        found = _object(data, "what a machine is busy with")
        return cls(
            is_awake=found.get("awake") is True,
            why=_needed(found, "why", "what a machine is busy with"),
            connections=_number(found, "open_connections"),
            sleeps_in_s=_seconds(found, "sleeps_in_s"),
            last_used_s=_seconds(found, "last_activity_s"),
        )


def activities_from_json(data: Any) -> dict[str, Activity]:
    """*Shape*: `{"machines": {"<id>": {"awake": true, …}}}`"""
    machines = _part(_object(data, "what machines are busy with"), "machines")
    return {id_: Activity.from_json(one) for id_, one in machines.items()}


@dataclass(frozen=True)
class Series:
    """A metric's values, oldest first, each with its time in seconds since 1970.

    *Source*: Prometheus, "HTTP API", instant vectors and range vectors.
    """

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @classmethod
    def from_json(cls, data: Any) -> "Series":
        found = _object(data, "a series")
        given = found["values"] if "values" in found else [found["value"]]
        return cls(
            labels={name: str(text) for name, text in _part(found, "metric").items()},
            points=tuple((float(at), float(value)) for at, value in given),
        )

    @property
    def name(self) -> str:
        """Empty for what was made of a metric, as a rate is."""
        return self.labels.get("__name__", "")

    @property
    def newest(self) -> float:
        return self.points[-1][1]


def series_from_json(data: Any) -> list[Series]:
    """*Shape*: `{"status": "success", "data": {"resultType": "vector", "result": […]}}`"""
    return list(map(Series.from_json, many(_part(_object(data, "an answer"), "data"), "result")))


@dataclass(frozen=True)
class LogLine:
    timestamp: str
    message: str
    level: str = ""
    instance: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "LogLine":
        found = _part(_object(data, "a line of a log"), "attributes")
        return cls(
            timestamp=_text(found, "timestamp"),
            message=_text(found, "message"),
            level=_text(found, "level"),
            instance=_text(found, "instance"),
        )


@dataclass(frozen=True)
class LogPage:
    """Lines in the order in which they were written; `token` asks for what came after them."""

    lines: tuple[LogLine, ...]
    token: str = ""

    @classmethod
    def from_json(cls, data: Any) -> "LogPage":
        found = _object(data, "a log")
        return cls(
            lines=tuple(map(LogLine.from_json, _list(found, "data"))),
            token=_text(_part(found, "meta"), "next_token"),
        )


def many(data: Any, key: str = "") -> list[Any]:
    """The items of an answer that is a list, or holds one under `key`.

    Some answers spell their keys with a capital where the OpenAPI document does not.
    """
    if key:
        found = _object(data, f"a list of {key}")
        name = next((name for name in (key, key.capitalize()) if name in found), "")
        if not name:
            raise ValueError(f"an answer without {key}")
        data = found[name]
    if data is None:
        return []
    if not isinstance(data, list):
        raise ValueError("something else than a list")
    return data


def _object(data: Any, what: str) -> Json:
    if not isinstance(data, dict):
        raise ValueError(f"something else than {what}")
    return data


def _part(data: Json, key: str) -> Json:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _list(data: Json, key: str) -> list[Any]:
    found = data.get(key)
    return found if isinstance(found, list) else []


def _needed(data: Json, key: str, what: str) -> str:
    found = data.get(key)
    if not isinstance(found, str) or not found:
        raise ValueError(f"{what} without {key}")
    return found


def _text(data: Json, key: str) -> str:
    found = data.get(key)
    return found if isinstance(found, str) else ""


def _number(data: Json, key: str) -> int:
    found = data.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _seconds(data: Json, key: str) -> float | None:
    found = data.get(key)
    return float(found) if isinstance(found, int | float) else None


@dataclass(frozen=True)
class Stray:
    """A container, volume or network of the embedded platform that it has no record of."""

    kind: str
    name: str
    labels: Json = field(default_factory=dict)


def strays_from_json(data: Any) -> list[Stray]:
    """*Shape*: `{"containers": [{"name": …, "labels": {…}}], "volumes": […], "networks": […]}`"""
    found = _object(data, "what has no record")
    return [
        Stray(kind.removesuffix("s"), _text(one, "name"), _part(one, "labels"))
        for kind in ("containers", "volumes", "networks")
        for one in many(found, kind)
    ]
