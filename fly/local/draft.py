"""What a machine is to be: a request made whole against what exists, or refused before anything is made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fly.local import container, machineconfig, regions
from fly.local.docker import DockerError
from fly.local.hosting import Host
from fly.local.names import machine_id, machine_name, ulid
from fly.local.refusal import invalid, missing, precondition
from fly.local.state import App, Machine, State, Volume, now

Request = Mapping[str, Any]


async def new_machine(state: State, host: Host, app: App, request: Request) -> Machine:
    """A machine that does not run yet. What it says holds until somebody else has had a turn.

    *Errors*: Refusal, also when the app was deleted meanwhile.
    """
    config = machineconfig.complete(request.get("config", {}))
    image = await _image(host, config["image"])
    network = await host.join(app.org, app.network)
    if not state.has(app):
        await host.leave(app)
        raise missing("app")
    app, made, identity = state.apps[app.name], now(), machine_id()
    volume = _volume(state, app, config, identity)
    machine = Machine(
        id=identity,
        app=app.name,
        name=request.get("name") or machine_name(),
        region=_region(request, volume),
        state="created",
        instance_id=ulid(),
        config=_with_volume(config, volume),
        image=image,
        secrets=_secrets(app, request),
        private_ip=host.free_address(network),
        created_at=made,
        updated_at=made,
    )
    _check_files(machine)
    return machine


@dataclass(frozen=True)
class Change:
    """A config made whole, with its image: what another version of a machine is made of."""

    request: Request
    config: dict[str, Any]
    image: dict[str, Any]


async def change(host: Host, machine: Machine, request: Request) -> Change:
    """*Errors*: Refusal."""
    _check_version(machine, request)
    config = machineconfig.complete(request.get("config", {}))
    return Change(request, config, await _image(host, config["image"]))


def new_version(state: State, app: App, machine: Machine, change: Change) -> Machine:
    """The machine as it is to be from now on; name, region and volume stay.

    *Errors*: Refusal.
    """
    config, request = change.config, change.request
    _check_version(machine, request)
    volume = _volume(state, app, config, machine.id)
    before = machineconfig.mount(machine.config)
    if (volume.id if volume else None) != (before["volume"] if before else None):
        raise invalid("can't change the volume of a machine: create another machine for another volume")
    changed = replace(
        machine,
        instance_id=ulid(),
        config=_with_volume(config, volume),
        image=change.image,
        secrets=_secrets(app, request),
    )
    _check_files(changed)
    return changed


def _check_version(machine: Machine, request: Request) -> None:
    wanted = request.get("current_version")
    if wanted and wanted != machine.instance_id:
        raise precondition(
            f"machine_version mismatch: the machine is at version {machine.instance_id}, not {wanted}"
        )


async def _image(host: Host, reference: str) -> dict[str, Any]:
    """The engine's own store is the registry of this platform."""
    try:
        seen = await host.engine.image(reference)
    except DockerError as error:
        if error.status in {400, 404}:
            raise invalid(
                f"failed to get manifest {reference}: manifest unknown: this engine has no such image"
            ) from error
        raise
    return {"id": seen["Id"], "ref": container.image_ref(reference, seen)}


def _volume(state: State, app: App, config: Request, machine: str) -> Volume | None:
    mount = machineconfig.mount(config)
    if mount is None:
        return None
    if not mount.get("path"):
        raise invalid("config.mounts needs a path")
    mine = {volume.id: volume for volume in state.volumes_of(app.name)}
    volume = mine.get(mount.get("volume", "")) or _free_by_name(mine, mount)
    if volume is None:
        raise missing("volume")
    if volume.machine not in {None, machine}:
        raise precondition(f"volume already claimed by machine {volume.machine}")
    return volume


def _free_by_name(volumes: Mapping[str, Volume], mount: Request) -> Volume | None:
    name = mount.get("name") or mount.get("volume")
    return next((v for v in volumes.values() if v.name == name and v.machine is None), None)


def _with_volume(config: Request, volume: Volume | None) -> dict[str, Any]:
    if volume is None:
        return dict(config)
    mount = dict(machineconfig.mount(config) or {})
    known = {
        "volume": volume.id,
        "name": volume.name,
        "size_gb": volume.size_gb,
        "encrypted": volume.encrypted,
    }
    return dict(config) | {"mounts": [mount | known]}


def _region(request: Request, volume: Volume | None) -> str:
    """The volume pins the host, and with it the region."""
    if volume is None:
        return regions.resolve(request.get("region"))
    if request.get("region") and regions.resolve(request["region"]) != volume.region:
        raise invalid(f"volume {volume.id} is in region {volume.region}, not in {request['region']}")
    return volume.region


def _secrets(app: App, request: Request) -> dict[str, str]:
    if request.get("skip_secrets"):
        return {}
    if request.get("min_secrets_version", 0) > app.secrets_version:
        raise precondition(f"the app's secrets are at version {app.secrets_version}")
    return {name: secret["value"] for name, secret in app.secrets.items()}


def _check_files(machine: Machine) -> None:
    """Refuses now what could not be written later."""
    container.files(machine)
