"""A machine for the length of a copy: in an app of its own, at an address that nobody can guess.

So a copy neither wakes nor disturbs the workspace that it is of, works for one that sleeps, and is read by
nobody else: the app has a private network of its own, and its only program wants to see a key that was drawn
for it. Its row is written before it is made; the next run removes what a killed one has left.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fly.backup import courier
from fly.backup.records import Backups
from fly.backup.wire import Wire
from fly.client import Client
from fly.errors import BackupError, NotAllowed, NotFound
from fly.interrupt import one_interrupt
from fly.model import Volume
from fly.plan import ADDRESS_TYPES, ALPHABET, MOUNT_PATH, PORT, SUFFIX_LENGTH, VOLUME_NAME, service
from fly.provision import wait_for_page
from fly.remains import remove_app
from fly.settings import Secret

PYTHON = "/opt/jarvis/venv/bin/python"
PROGRAM = "/courier.py"
MARK = "my-jarvis-courier"
NETWORK_PREFIX = "jarviscopy-"
MEMORY_MB = 512
KNOWN_S, VOLUME_S, STARTED_S, READY_S = 30.0, 3600.0, 600.0, 120.0
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What everything here works with."""

    client: Client
    backups: Backups
    report: Report = lambda _line: None


@dataclass(frozen=True)
class Throwaway:
    """A machine that runs a courier; whoever has the wire can use it."""

    app: str
    url: str
    machine_id: str
    volume_id: str
    wire: Wire


def new_key() -> Secret:
    return Secret(secrets.token_urlsafe(32))


def courier_config(
    image: str, volume_id: str, key: Secret, guest: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A machine that runs a courier on this volume, and knows no more than the key's hash."""
    shown = hashlib.sha256(key.reveal().encode()).hexdigest()
    program = Path(courier.__file__).read_bytes()
    return {
        "image": image,
        "guest": dict(guest or {"cpu_kind": "shared", "cpus": 1, "memory_mb": MEMORY_MB}),
        "mounts": [{"volume": volume_id, "path": MOUNT_PATH}],
        "services": [service() | {"autostop": "off"}],
        "files": [{"guest_path": PROGRAM, "raw_value": base64.b64encode(program).decode()}],
        "init": {"exec": [PYTHON, "-I", PROGRAM, str(PORT), MOUNT_PATH, shown]},
        "restart": {"policy": "no"},
        "metadata": {MARK: shown[:12]},
    }


@dataclass(frozen=True)
class Wanted:
    """What a throw-away machine is to be; without a snapshot its volume is empty."""

    image: str
    region: str
    size_gb: int
    snapshot_id: str = ""


@contextmanager
def throwaway(work: Work, wanted: Wanted) -> Iterator[Throwaway]:
    """A machine with a volume; all of it is gone after the block."""
    client, backups, report = work.client, work.backups, work.report
    suffix = "".join(secrets.choice(ALPHABET) for _ in range(SUFFIX_LENGTH))
    app, network = f"copy-{suffix}", f"{NETWORK_PREFIX}{suffix}"
    backups.borrow(app, network, client.platform.key)
    with one_interrupt() as undoing, ExitStack() as undo:
        undo.callback(backups.returned, app)
        undo.callback(remove_app, client, app, network)
        undo.callback(report, "removing the throw-away machine")
        undo.callback(undoing)
        report("making a throw-away machine")
        _make_app(client, app, network)
        yield undo.enter_context(_machine(client, app, wanted, report))


def _make_app(client: Client, app: str, network: str) -> None:
    client.create_app({"app_name": app, "name": app, "org_slug": client.platform.org, "network": network})
    _known(client, app)
    for kind in ADDRESS_TYPES:
        client.assign_ip(app, kind)


@contextmanager
def _machine(client: Client, app: str, wanted: Wanted, report: Report) -> Iterator[Throwaway]:
    volume = new_volume(client, app, wanted, report)
    key, url = new_key(), client.platform.url_of(app)
    config = courier_config(wanted.image, volume.id, key)
    machine = client.create_machine(app, {"name": app, "region": volume.region, "config": config})
    client.wait(app, machine.id, "started", timeout_s=STARTED_S)
    with reached(client, url, key) as wire:
        yield Throwaway(app, url, machine.id, volume.id, wire)


def new_volume(client: Client, app: str, wanted: Wanted, report: Report) -> Volume:
    """A volume that is ready to be used. *Errors*: BackupError, when it does not become so."""
    request = {"name": VOLUME_NAME, "region": wanted.region, "size_gb": wanted.size_gb, "encrypted": True}
    source = {"snapshot_id": wanted.snapshot_id} if wanted.snapshot_id else {}
    volume = client.create_volume(app, request | source)
    began = client.clock()
    while volume.state not in ("", "created"):
        if client.clock() - began > VOLUME_S:
            raise BackupError(
                f"The volume {volume.id} is still {volume.state} after {VOLUME_S:.0f} s.", hint="try again"
            )
        report(f"the volume is {volume.state}")
        client.sleep(1.0)
        volume = client.volume(app, volume.id)
    return volume


@contextmanager
def reached(client: Client, url: str, key: Secret) -> Iterator[Wire]:
    """The wire to a courier that answers."""
    with Wire(client.platform, url, key) as wire:
        wait_for_page(client, lambda _url: wire.trouble(), url, READY_S)
        yield wire


def remove_abandoned(work: Work) -> None:
    """What runs that were killed have left."""
    for left in work.backups.abandoned(work.client.platform.key):
        work.report(f"an earlier run left {left.app}: removing it")
        remove_app(work.client, left.app, left.network)
        work.backups.returned(left.app)


def _known(client: Client, app: str) -> None:
    """Waits until Fly knows what it has just made: for a moment it may answer 404 or 401."""
    began = client.clock()
    while True:
        try:
            client.app(app)
            return
        except (NotFound, NotAllowed):
            if client.clock() - began > KNOWN_S:
                raise
        client.sleep(0.5)
