"""What a request may hold: known fields of the right kind.

Unknown fields are ignored and null means absent, as on Fly.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fly.local.refusal import invalid

DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|ns))+")
PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
LONGEST_S = 1e6
MOST_ITEMS = 1000


class Shape(Protocol):
    """A kind of value; an object's shape is a dict of shapes, a list's a list of one."""

    def clean(self, value: Any, where: str) -> Any: ...


def clean(value: Any, shape: Any, where: str = "body") -> Any:
    """The value with what `shape` knows of it.

    *Errors*: Refusal 400, naming the field.
    """
    if isinstance(shape, dict):
        return _object(value, shape, where)
    if isinstance(shape, list):
        return _list(value, shape[0], where)
    return shape.clean(value, where)


def _object(value: Any, shape: dict[str, Any], where: str) -> dict[str, Any]:
    _expect(isinstance(value, Mapping), where, "an object")
    known = {name: value[name] for name in shape if value.get(name) is not None}
    return {name: clean(item, shape[name], f"{where}.{name}") for name, item in known.items()}


def _list(value: Any, shape: Any, where: str) -> list[Any]:
    _expect(isinstance(value, list) and len(value) <= MOST_ITEMS, where, "a list")
    return [clean(item, shape, f"{where}[{index}]") for index, item in enumerate(value)]


@dataclass(frozen=True)
class Text:
    """A string; `pattern` is what all of it must match, `among` the only values."""

    longest: int = 4096
    pattern: str | None = None
    among: tuple[str, ...] = ()

    def clean(self, value: Any, where: str) -> str:
        short = isinstance(value, str) and len(value) <= self.longest
        _expect(short, where, f"text of at most {self.longest} characters")
        _expect(_printable(value), where, "Unicode text without NUL")
        _expect(not self.among or value in self.among, where, f"one of {', '.join(self.among)}")
        _expect(not self.pattern or re.fullmatch(self.pattern, value), where, f"text like {self.pattern}")
        return str(value)


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    low: int = 0
    high: int = 2**31 - 1

    def clean(self, value: Any, where: str) -> int:
        good = isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high
        _expect(good, where, f"a whole number from {self.low} to {self.high}")
        return int(value)


@dataclass(frozen=True)
class Map:
    """An object with any keys. `removals`: null and empty texts are kept, as None."""

    of: Any
    removals: bool = False

    def clean(self, value: Any, where: str) -> dict[str, Any]:
        _expect(isinstance(value, Mapping) and len(value) <= MOST_ITEMS, where, "an object")
        _expect(
            all(_printable(key) for key in value), where, "an object whose keys are Unicode text without NUL"
        )
        if self.removals:
            return {
                k: None if item in (None, "") else clean(item, self.of, f"{where}.{k}")
                for k, item in value.items()
            }
        return {
            key: clean(item, self.of, f"{where}.{key}") for key, item in value.items() if item is not None
        }


class Flag:
    """true or false."""

    def clean(self, value: Any, where: str) -> bool:
        _expect(isinstance(value, bool), where, "true or false")
        return bool(value)


class Number:
    """Any number."""

    def clean(self, value: Any, where: str) -> float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), where, "a number")
        return float(value)


class Time:
    """`"10s"`, or nanoseconds as a number. Becomes text."""

    def clean(self, value: Any, where: str) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LONGEST_S * 1e9:
            return f"{value / 1e9:g}s"
        good = isinstance(value, str) and len(value) < 64 and (value == "" or seconds(value) is not None)
        _expect(good, where, 'a duration such as "10s"')
        return str(value)


class Autostop:
    """`off`, `stop`, `suspend`, or a boolean as older clients send it. Becomes text."""

    def clean(self, value: Any, where: str) -> str:
        if isinstance(value, bool):
            return "stop" if value else "off"
        return Text(among=("off", "stop", "suspend")).clean(value, where)


class Anything:
    """Kept as it came."""

    def clean(self, value: Any, where: str) -> Any:  # noqa: ARG002 — nothing to complain about
        return value


def seconds(text: str) -> float | None:
    """`"1m30s"`, or a bare number of seconds; None if it is neither, or absurdly long."""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        total = float(text)
    elif DURATION.fullmatch(text):
        total = sum(float(number) * SECONDS[unit] for number, unit in PART.findall(text))
    else:
        return None
    return total if total <= LONGEST_S else None


def _printable(text: object) -> bool:
    """No NUL, which ends a string for the kernel, and nothing that is not Unicode."""
    return isinstance(text, str) and "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _expect(good: object, where: str, what: str) -> None:
    if not good:
        raise invalid(f"{where} must be {what}")


# -- the bodies

STRINGS = [Text(1 << 17)]
HEADERS = [{"name": Text(), "values": STRINGS}]
STOP_SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGTERM")
ENV = Map(Text(1 << 17))
LABELS = Map(Text(1 << 17), removals=True)
GUEST = {
    "cpu_kind": Text(among=("shared", "performance")),
    "cpus": Whole(1, 16),
    "memory_mb": Whole(1, 1 << 20),
    "max_memory_mb": Whole(0, 1 << 20),
    "gpu_kind": Text(64),
    "gpus": Whole(0, 16),
    "host_dedication_id": Text(64),
    "kernel_args": STRINGS,
    "persist_rootfs": Text(among=("never", "always", "restart")),
}
CHECK = {
    "type": Text(among=("http", "tcp")),
    "kind": Text(among=("informational", "readiness")),
    "port": Whole(1, 65535),
    "method": Text(16, r"[A-Za-z]+"),
    "path": Text(1024, r"/[!-~]*"),
    "protocol": Text(among=("http", "https")),
    "interval": Time(),
    "timeout": Time(),
    "grace_period": Time(),
    "headers": HEADERS,
    "tls_server_name": Text(255),
    "tls_skip_verify": Flag(),
}
PORT = {
    "port": Whole(1, 65535),
    "start_port": Whole(1, 65535),
    "end_port": Whole(1, 65535),
    "force_https": Flag(),
    "handlers": [Text(32)],
    "http_options": Anything(),
    "proxy_proto_options": Anything(),
    "tls_options": Anything(),
}
SERVICE = {
    "protocol": Text(among=("tcp", "udp")),
    "internal_port": Whole(1, 65535),
    "autostart": Flag(),
    "autostop": Autostop(),
    "min_machines_running": Whole(0, 1000),
    "ports": [PORT],
    "concurrency": {
        "type": Text(among=("connections", "requests")),
        "soft_limit": Whole(),
        "hard_limit": Whole(),
    },
    "checks": [CHECK],
    "force_instance_description": Text(),
    "force_instance_key": Text(),
}
CONFIG = {
    "image": Text(512, r"[!-~]+"),
    "env": ENV,
    "metadata": ENV,
    "size": Text(32),
    "guest": GUEST,
    "init": {
        "exec": STRINGS,
        "entrypoint": STRINGS,
        "cmd": STRINGS,
        "tty": Flag(),
        "swap_size_mb": Whole(0, 1 << 20),
    },
    "mounts": [
        {
            "volume": Text(64),
            "name": Text(64),
            "path": Text(1024, r"/[^:]*"),
            "extend_threshold_percent": Whole(0, 100),
            "add_size_gb": Whole(0, 500),
            "size_gb_limit": Whole(0, 500),
            "size_gb": Whole(0, 500),
            "encrypted": Flag(),
        }
    ],
    "services": [SERVICE],
    "checks": Map(CHECK),
    "files": [
        {
            "guest_path": Text(1024, r"/[^\n]+"),
            "raw_value": Text(1 << 24),
            "secret_name": Text(255),
            "mode": Whole(0, 0o7777),
        }
    ],
    "restart": {
        "policy": Text(among=("no", "on-failure", "always", "spot-price")),
        "max_retries": Whole(0, 1000),
        "gpu_bid_price": Number(),
    },
    "stop_config": {"signal": Text(among=STOP_SIGNALS), "timeout": Time()},
    "auto_destroy": Flag(),
    "disable_machine_autostart": Flag(),
    "schedule": Text(among=("", "hourly", "daily", "weekly", "monthly")),
    "rootfs": {
        "persist": Text(among=("never", "always", "restart")),
        "size_gb": Whole(0, 50),
        "fs_size_gb": Whole(0, 50),
    },
    "metrics": {"port": Whole(1, 65535), "path": Text(1024), "https": Flag()},
    "dns": Anything(),
    "standbys": [Text(64)],
    "statics": [Anything()],
    "processes": [
        {
            "exec": STRINGS,
            "entrypoint": STRINGS,
            "cmd": STRINGS,
            "env": Map(Text(1 << 16)),
            "user": Text(255),
            "secrets": [Anything()],
            "env_from": [Anything()],
            "ignore_app_secrets": Flag(),
        }
    ],
    "containers": [Anything()],
    "cache_drive": Anything(),
}
MACHINE = {
    "config": CONFIG,
    "name": Text(63),
    "region": Text(16),
    "skip_launch": Flag(),
    "skip_service_registration": Flag(),
    "skip_secrets": Flag(),
    "min_secrets_version": Whole(0, 2**62),
    "lease_ttl": Whole(0, 86400 * 365),
    "current_version": Text(64),
}
APP = {
    "name": Text(1024),
    "app_name": Text(1024),
    "org_slug": Text(255),
    "network": Text(255),
    "enable_subdomains": Flag(),
}
IP = {
    "type": Text(32),
    "region": Text(32),
    "org_slug": Text(255),
    "network": Text(255),
    "service_name": Text(255),
}
VOLUME = {
    "name": Text(255),
    "region": Text(16),
    "size_gb": Whole(1, 500),
    "encrypted": Flag(),
    "fstype": Text(16, among=("ext4", "raw")),
    "require_unique_zone": Flag(),
    "unique_zone_app_wide": Flag(),
    "snapshot_retention": Whole(1, 60),
    "auto_backup_enabled": Flag(),
    "snapshot_id": Text(64),
    "source_volume_id": Text(64),
    "compute": GUEST,
    "compute_image": Text(512),
}
VOLUME_CHANGE = {"snapshot_retention": Whole(1, 60), "auto_backup_enabled": Flag()}
CERTIFICATE = {"hostname": Text(1024), "fullchain": Text(1 << 20), "private_key": Text(1 << 16)}
MEMORY_LIMIT = {"limit_mb": Whole(64, 1 << 20)}
MEMORY_RECLAIM = {"amount_mb": Whole(0, 1 << 20)}
GRAPHQL = {"query": Text(1 << 17), "variables": Map(Anything()), "operationName": Text()}
EXTENSION = {"size_gb": Whole(1, 500)}
STOP = {"signal": Anything(), "timeout": Anything()}
EXEC = {
    "command": STRINGS,
    "cmd": Text(1 << 17),
    "container": Text(255),
    "machine": Text(64),
    "stdin": Text(1 << 20),
    "timeout": Whole(0, 3600),
}
LEASE = {"ttl": Whole(1, 86400 * 365), "description": Text()}
METADATA = {"metadata": LABELS, "machine_version": Text(64), "updated_at": Text(64)}
METADATA_VALUE = {"value": Text(), "updated_at": Text(64)}
SECRETS = {"values": LABELS}
SECRET = {"value": Text(1 << 17)}
PLACEMENT = {"org_slug": Text(255), "region": Text(255), "count": Whole(0, 1000), "compute": GUEST}
