"""From a machine to the container that it runs as. Pure."""

import base64
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fly.local import machineconfig
from fly.local.refusal import invalid
from fly.local.state import Machine, Network, Volume

PLATFORM, APP, MACHINE, VOLUME, NETWORK = (
    f"my-jarvis.{what}" for what in ("platform", "app", "machine", "volume", "network")
)
MADE_OF = "my-jarvis.made-of"
"""What a machine's container was made of, as a digest."""
CARRIED = "/volume"
LOST_AND_FOUND = "lost+found"
LOG_LIMITS = {"max-size": "5m", "max-file": "2"}


@dataclass(frozen=True)
class Site:
    """Where machines are run: whose containers these are, and what the engine's host offers."""

    platform_id: str
    cpus: int
    direct: bool
    """Whether containers are reached at their own address; else their ports are published on the loopback."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What everything that is made here carries besides."""


def labels(site: Site, **more: str) -> dict[str, str]:
    ours = {PLATFORM: site.platform_id} | {f"my-jarvis.{name}": value for name, value in more.items()}
    return dict(site.labels) | ours


def container_name(machine: Machine) -> str:
    return f"jarvis-{machine.app}-{machine.id}"


def volume_name(volume: Volume) -> str:
    return f"jarvis-{volume.app}-{volume.id}"


def network_name(network: Network) -> str:
    return f"jarvis-{network.name}-{network.id}"


def body(machine: Machine, volume: Volume | None, network: Network, site: Site) -> dict[str, Any]:
    """What the engine is asked to create; its label tells whether a container was made of just this."""
    wanted = _body(machine, volume, network, site)
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return wanted | {"Labels": wanted["Labels"] | {MADE_OF: digest}}


def is_ready(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a container can be started as what is wanted: made of the same, and never run."""
    return never_ran(found) and found["Config"]["Labels"].get(MADE_OF) == wanted["Labels"][MADE_OF]


def never_ran(found: Mapping[str, Any]) -> bool:
    return bool(found["State"]["Status"] == "created")


def _body(machine: Machine, volume: Volume | None, network: Network, site: Site) -> dict[str, Any]:
    config = machine.config
    exposed: dict[str, Any] = {f"{port}/tcp": {} for port in machineconfig.ports(config)}
    return {
        "Image": machine.image["id"],
        "Hostname": machine.id,
        "Env": [f"{name}={value}" for name, value in environment(machine).items()],
        "Labels": labels(
            site, app=machine.app, machine=machine.id, **({"volume": volume.id} if volume else {})
        ),
        "ExposedPorts": exposed,
        "StopSignal": machineconfig.stop_signal(config),
        # Fly does not run the image's own either, and a probe that starts while we pause would hang for good.
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": bool(config.get("init", {}).get("tty", False)),
        "User": machineconfig.process(config).get("user", ""),
        "HostConfig": _host_config(machine, volume, network, site, exposed),
        "NetworkingConfig": {"EndpointsConfig": {network_name(network): _endpoint(machine)}},
    } | _command(machineconfig.program(config))


def _command(program: Mapping[str, Any]) -> dict[str, Any]:
    if program.get("exec"):
        return {"Entrypoint": program["exec"], "Cmd": []}
    entrypoint = {"Entrypoint": program["entrypoint"]} if program.get("entrypoint") else {}
    return entrypoint | ({"Cmd": program["cmd"]} if program.get("cmd") else {})


def _endpoint(machine: Machine) -> dict[str, Any]:
    return {
        "IPAMConfig": {"IPv4Address": machine.private_ip},
        "Aliases": [f"{machine.id}.vm.{machine.app}.internal", f"{machine.app}.internal"],
    }


def _host_config(
    machine: Machine, volume: Volume | None, network: Network, site: Site, exposed: Mapping[str, Any]
) -> dict[str, Any]:
    guest = machine.config["guest"]
    memory = guest["memory_mb"] << 20
    swap = machine.config.get("init", {}).get("swap_size_mb", 0) << 20
    return {
        "Memory": memory,
        "MemorySwap": memory + swap,
        "NanoCpus": int(min(guest["cpus"], site.cpus) * 1e9),
        "NetworkMode": network_name(network),
        "PortBindings": {} if site.direct else {port: [{"HostIp": "127.0.0.1"}] for port in exposed},
        "Mounts": [_mount(machine, volume)] if volume else [],
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": LOG_LIMITS},
    }


def _mount(machine: Machine, volume: Volume) -> dict[str, Any]:
    """Without `NoCopy` the engine would fill an empty volume from the image, which Fly does not."""
    mounted = machineconfig.mount(machine.config)
    assert mounted is not None
    options = {"NoCopy": True}
    return {
        "Type": "volume",
        "Source": volume_name(volume),
        "Target": mounted["path"],
        "VolumeOptions": options,
    }


def environment(machine: Machine) -> dict[str, str]:
    """The secrets, the config's own, its process's, and Fly's, which nothing overrides."""
    of_process = dict(machineconfig.process(machine.config).get("env") or {})
    return machine.secrets | dict(machine.config.get("env", {})) | of_process | _fly_environment(machine)


def _fly_environment(machine: Machine) -> dict[str, str]:
    return {
        "FLY_APP_NAME": machine.app,
        "FLY_MACHINE_ID": machine.id,
        "FLY_ALLOC_ID": machine.id,
        "FLY_REGION": machine.region,
        "FLY_PRIVATE_IP": machine.private_ip,
        "FLY_IMAGE_REF": str(machine.config["image"]),
        "FLY_MACHINE_VERSION": machine.instance_id,
        "FLY_PROCESS_GROUP": str(machine.config.get("metadata", {}).get("fly_process_group", "app")),
        "FLY_VM_MEMORY_MB": str(machine.config["guest"]["memory_mb"]),
        "PRIMARY_REGION": machine.region,
    }


def new_file_system() -> bytes:
    """What a fresh volume of Fly's holds: a root-only lost+found, as ext4 is made with."""
    entry = tarfile.TarInfo(LOST_AND_FOUND)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o700
    return _tar([(entry, b"")])


def files(machine: Machine) -> bytes | None:
    """The config's files as a tar to unpack at the root; None if there are none."""
    entries = [_file(given, machine.secrets) for given in machine.config.get("files", [])]
    return _tar(entries) if entries else None


def _file(given: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[tarfile.TarInfo, bytes]:
    encoded = (
        secrets.get(given["secret_name"], "") if given.get("secret_name") else given.get("raw_value", "")
    )
    data = decoded(encoded)
    entry = tarfile.TarInfo(str(given["guest_path"]).lstrip("/"))
    entry.size, entry.mode = len(data), given.get("mode", 0o644)
    return entry, data


def decoded(encoded: str) -> bytes:
    """*Errors*: Refusal, if it is not base64."""
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise invalid("config.files: raw_value must be base64") from error


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry, data in entries:
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def carrier(volume: Volume, image: str, site: Site) -> dict[str, Any]:
    """A container that never runs: the engine copies into and out of volumes through containers alone."""
    mount = {
        "Type": "volume",
        "Source": volume_name(volume),
        "Target": CARRIED,
        "VolumeOptions": {"NoCopy": True},
    }
    return {
        "Image": image,
        "Cmd": ["none"],
        "Labels": labels(site, volume=volume.id),
        "HostConfig": {"NetworkMode": "none", "Mounts": [mount]},
    }


def image_ref(reference: str, seen: Mapping[str, Any]) -> dict[str, Any]:
    """Fly's view of an image: `registry/repository:tag@digest`."""
    name, _, digest = reference.partition("@")
    registry, slash, rest = name.partition("/")
    has_registry = bool(slash) and bool(re.search(r"[.:]|^localhost$", registry))
    path = rest if has_registry else name
    repository, _, tag = path.partition(":")
    return {
        "registry": registry if has_registry else "docker-hub-mirror.fly.io",
        "repository": repository,
        "tag": tag or ("" if digest else "latest"),
        "digest": digest or seen["Id"],
        "labels": seen.get("Config", {}).get("Labels") or {},
    }
