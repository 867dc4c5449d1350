"""A machine for the length of a copy: in an app of its own, at an address that nobody can guess.

So a copy neither wakes nor disturbs the workspace that it is of, works for one that sleeps, and is read by
nobody else: the app has a private network of its own, and its only program wants to see a key that was drawn
for it. Its row is written before it is made; the next run removes what a killed one has left.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fly.backup import courier
from fly.backup.records import Backups, Borrowed
from fly.backup.wire import Wire
from fly.change.proof import made
from fly.client import Client
from fly.errors import BackupError, JarvisError, NotAllowed, NotFound
from fly.interrupt import one_interrupt
from fly.ledger import new_id
from fly.model import Machine, Volume
from fly.plan import ADDRESS_TYPES, ALPHABET, MOUNT_PATH, PORT, SUFFIX_LENGTH, VOLUME_NAME, service
from fly.provision import wait_for_page
from fly.remains import remove_app
from fly.settings import Platform, Secret

PYTHON = "/opt/jarvis/venv/bin/python"
PROGRAM = "/courier.py"
MARK = "my-jarvis-courier"
NAME_PREFIX, NETWORK_PREFIX = "copy-", "jarviscopy-"
MEMORY_MB = 512
KNOWN_S, VOLUME_S, STARTED_S, READY_S = 30.0, 3600.0, 600.0, 120.0
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What everything here works with."""

    client: Client
    backups: Backups
    report: Report = lambda _line: None
    dial: Callable[[Platform, str, Secret], Wire] = Wire


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
    """A machine with a volume; all of it is gone after the block.

    *Errors*: BackupError, where it could not be removed: what is left of it the next run removes.
    """
    suffix = "".join(secrets.choice(ALPHABET) for _ in range(SUFFIX_LENGTH))
    mine = Borrowed(f"{NAME_PREFIX}{suffix}", f"{NETWORK_PREFIX}{new_id().lower()}")
    work.backups.borrow(mine, work.client.platform.key)
    with one_interrupt() as undoing:
        try:
            work.report("making a throw-away machine")
            make_app(work.client, mine.app, mine.network)
            with _machine(work, mine.app, wanted) as place:
                yield place
        except BaseException as error:
            undoing()
            _removed(work, mine, f"{str(error) or type(error).__name__}\n")
            raise
        undoing()
        _removed(work, mine)


def _removed(work: Work, mine: Borrowed, before: str = "") -> None:
    """`before`: what went wrong earlier, and should not be hidden by what goes wrong here."""
    work.report("removing the throw-away machine")
    try:
        give_back(work, mine)
    except JarvisError as error:
        work.backups.abandon(mine.app)
        raise BackupError(f"{before}Left behind: app {mine.app} ({error})", hint="invoke repair") from error


def give_back(work: Work, borrowed: Borrowed) -> None:
    """Nothing of it is left; only then the record forgets it. *Errors*: those of `remove_app`."""
    remove_app(work.client, borrowed.app, borrowed.network)
    work.backups.returned(borrowed.app)


def make_app(client: Client, app: str, network: str) -> None:
    """An app with its addresses, which the platform knows from now on."""
    client.create_app({"app_name": app, "name": app, "org_slug": client.platform.org, "network": network})
    _known(client, app)
    for kind in ADDRESS_TYPES:
        client.assign_ip(app, kind)


@contextmanager
def _machine(work: Work, app: str, wanted: Wanted) -> Iterator[Throwaway]:
    client = work.client
    volume = new_volume(client, app, wanted, work.report)
    key, url = new_key(), client.platform.url_of(app)
    machine = new_courier(client, app, volume, courier_config(wanted.image, volume.id, key))
    client.wait(app, machine.id, "started", timeout_s=STARTED_S)
    with reached(work, url, key) as wire:
        yield Throwaway(app, url, machine.id, volume.id, wire)


def new_courier(client: Client, app: str, volume: Volume, config: Mapping[str, Any]) -> Machine:
    """A machine on the volume; made once, also where the answer was lost."""

    def find() -> Machine | None:
        return next((one for one in client.machines(app) if volume.id in one.volumes), None)

    request = {"region": volume.region, "config": dict(config)}
    return made(client, lambda: client.create_machine(app, request), find)


def new_volume(client: Client, app: str, wanted: Wanted, report: Report, *, but: str = "") -> Volume:
    """A volume that is ready to be used, and another one than `but`; made once, also where the answer was
    lost.

    *Errors*: BackupError, when it does not become ready.
    """
    request = {"name": VOLUME_NAME, "region": wanted.region, "size_gb": wanted.size_gb, "encrypted": True}
    source = {"snapshot_id": wanted.snapshot_id} if wanted.snapshot_id else {}

    def find() -> Volume | None:
        mine = [one for one in client.volumes(app) if one.name == VOLUME_NAME and not one.is_going]
        return next((one for one in mine if one.id != but), None)

    volume = made(client, lambda: client.create_volume(app, request | source), find)
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
def reached(work: Work, url: str, key: Secret) -> Iterator[Wire]:
    """The wire to a courier that answers."""
    with work.dial(work.client.platform, url, key) as wire:
        wait_for_page(work.client, lambda _url: wire.trouble(), url, READY_S)
        yield wire


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
