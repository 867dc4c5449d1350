"""How to read a machine's config: what Fly's defaults make of what was left out. Pure.

*Source*: Fly's documentation of the machine config; docs.fly.io, "Machines resource".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fly.local.refusal import Refusal, invalid
from fly.local.shapes import seconds

Config = Mapping[str, Any]
Autostop = Literal["off", "stop", "suspend"]
CPUS = (1, 2, 4, 6, 8, 10, 12, 14, 16)
MEMORY_STEP_MB = 256
PER_CPU_MB = {"shared": (256, 2048), "performance": (2048, 8192)}
SUSPENDABLE_MB = 2048
RETRIES = 10
STOP_TIMEOUT_S, LONGEST_STOP_S = 5.0, 300.0


@dataclass(frozen=True)
class Check:
    """A health check: `path` None means that a connection is enough."""

    name: str
    port: int
    path: str | None
    method: str
    headers: tuple[tuple[str, str], ...]
    interval_s: float
    timeout_s: float
    grace_s: float


def complete(config: Config) -> dict[str, Any]:
    """The config with its guest filled in, which every answer of Fly's holds.

    *Errors*: Refusal, for what no machine can be made of.
    """
    if not config.get("image"):
        raise invalid("config.image is required")
    if config.get("containers") or len(config.get("processes") or ()) > 1:
        raise invalid("several containers or processes in a machine are not available on this platform")
    if own := {"secrets", "env_from", "ignore_app_secrets"} & {
        key for key, v in process(config).items() if v
    }:
        raise invalid(f"{sorted(own)[0]} of a process is not available on this platform")
    if len(config.get("mounts", [])) > 1:
        raise invalid("only one volume per machine is supported")
    for service in config.get("services", []):
        if "internal_port" not in service:
            raise invalid("config.services needs an internal_port")
    rest = {key: value for key, value in config.items() if key != "size"}
    return rest | {"guest": _guest(config)}


def process(config: Config) -> Mapping[str, Any]:
    """The only process, where the config names it rather than leave it to `init`."""
    return next(iter(config.get("processes") or ()), {})


def program(config: Config) -> Mapping[str, Any]:
    """What runs: `exec`, `entrypoint` and `cmd`, of the process before those of `init`."""
    said = {key: value for key, value in process(config).items() if value}
    return {**config.get("init", {}), **said}


def _guest(config: Config) -> dict[str, Any]:
    given = _preset(config["size"]) if config.get("size") else dict(config.get("guest", {}))
    kind, cpus = given.get("cpu_kind", "shared"), given.get("cpus", 1)
    low, high = (limit * cpus for limit in PER_CPU_MB[kind])
    memory_mb = given.get("memory_mb", low)
    if cpus not in CPUS:
        raise invalid(f"invalid config.guest.cpus, {cpus} is not among {', '.join(map(str, CPUS))}")
    if memory_mb < low:
        raise Refusal(400, f"invalid config.guest.memory_mb, minimum required {low} MiB")
    if memory_mb > high:
        raise Refusal(400, f"invalid config.guest.memory_mb, maximum allowed {high} MiB")
    if memory_mb % MEMORY_STEP_MB:
        raise Refusal(400, f"invalid config.guest.memory_mb, must be a multiple of {MEMORY_STEP_MB} MiB")
    return given | {"cpu_kind": kind, "cpus": cpus, "memory_mb": memory_mb}


def _preset(size: str) -> dict[str, Any]:
    for kind, prefix in (("shared", "shared-cpu-"), ("performance", "performance-")):
        number = size.removeprefix(prefix).removesuffix("x")
        if size.startswith(prefix) and size.endswith("x") and number.isdecimal() and int(number) in CPUS:
            return {"cpu_kind": kind, "cpus": int(number), "memory_mb": PER_CPU_MB[kind][0] * int(number)}
    raise invalid(f"config.size {size!r} is not a known machine size")


def mount(config: Config) -> Mapping[str, Any] | None:
    mounts = config.get("mounts", [])
    return mounts[0] if mounts else None


def stop_signal(config: Config) -> str:
    return str(config.get("stop_config", {}).get("signal", "SIGINT"))


def stop_timeout_s(config: Config) -> float:
    given = seconds(config.get("stop_config", {}).get("timeout", ""))
    return STOP_TIMEOUT_S if given is None else min(given, LONGEST_STOP_S)


def restarts(config: Config, exit_code: int, so_far: int) -> bool:
    """Whether a process that ended by itself is started again."""
    restart = config.get("restart", {})
    policy = restart.get("policy", "on-failure")
    if policy in {"always", "spot-price"}:
        return True
    return policy == "on-failure" and exit_code != 0 and so_far < restart.get("max_retries", RETRIES)


def port(config: Config) -> int | None:
    """Where the page listens: the port of the first service."""
    services = config.get("services", [])
    return int(services[0]["internal_port"]) if services else None


def ports(config: Config) -> list[int]:
    """Every port that somebody outside will ask: those of services and of checks."""
    services = [int(service["internal_port"]) for service in config.get("services", [])]
    return sorted({*services, *(check.port for check in checks(config))})


def autostop(config: Config) -> Autostop:
    services = config.get("services", [])
    wanted: Autostop = services[0].get("autostop", "off") if services else "off"
    return "stop" if wanted == "suspend" and why_not_suspend(config) else wanted


def least_running(config: Config) -> int:
    """How many machines of the app are never put to sleep."""
    services = config.get("services", [])
    return int(services[0].get("min_machines_running", 0)) if services else 0


def autostart(config: Config) -> bool:
    services = config.get("services", [])
    return bool(services) and bool(
        services[0].get("autostart", not config.get("disable_machine_autostart", False))
    )


def why_not_suspend(config: Config) -> str | None:
    """Fly suspends only up to 2 GB of memory, without swap and without a schedule."""
    if config["guest"]["memory_mb"] > SUSPENDABLE_MB:
        return f"it has more than {SUSPENDABLE_MB} MB of memory"
    if config.get("init", {}).get("swap_size_mb"):
        return "it has swap"
    if config.get("schedule"):
        return "it has a schedule"
    return None


def checks(config: Config) -> list[Check]:
    """The service's checks first, under the names that Fly gives them."""
    found = [
        _check(
            f"servicecheck-{index:02d}-{check.get('type', 'tcp')}-{service['internal_port']}",
            check,
            service["internal_port"],
        )
        for service in config.get("services", [])
        for index, check in enumerate(service.get("checks", []))
    ]
    default = port(config)
    named = config.get("checks", {}).items()
    return found + [_check(name, c, default) for name, c in named if c.get("port", default)]


def _check(name: str, given: Mapping[str, Any], default_port: int | None) -> Check:
    headers = [(h.get("name", ""), value) for h in given.get("headers", []) for value in h.get("values", [])]
    return Check(
        name=name,
        port=int(given.get("port", default_port or 0)),
        path=given.get("path", "/") if given.get("type", "tcp") == "http" else None,
        method=given.get("method", "GET").upper(),
        headers=tuple(headers),
        interval_s=max(1.0, seconds(given.get("interval", "")) or 15.0),
        timeout_s=min(60.0, seconds(given.get("timeout", "")) or 10.0),
        grace_s=seconds(given.get("grace_period", "")) or 0.0,
    )


def health_path(config: Config) -> str | None:
    """The path that answers 200 when the page is ready; None if no check asks for one."""
    where = port(config)
    return next((check.path for check in checks(config) if check.path and check.port == where), None)
