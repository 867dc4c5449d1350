"""Takes a workspace to another region: the same name, address and key, on another volume and machine."""

from fly.backup.making import snapshot_of
from fly.backup.swapping import Target, claimed, put_aside, replace_machine, settle_one, swap_of
from fly.backup.throwaway import STARTED_S, Wanted, Work, courier_config, new_key, reached
from fly.backup.wire import Wire
from fly.client import Client
from fly.errors import BackupError, PlanError
from fly.ledger import READY, Ledger, Workspace
from fly.model import Machine
from fly.plan import REGIONS
from fly.provision import Probe
from fly.remains import find_volume


def move(work: Work, ledger: Ledger, row: Workspace, region: str, *, probe: Probe) -> Workspace:
    """The workspace in that region, proven to hold what it held, its page answering. It rests meanwhile.

    The old volume is measured by a courier in the server's place, so that nobody writes from then on; its
    snapshot becomes the new one, which is measured too. Whoever visits sees that it will take a moment.

    *Errors*: PlanError; BackupError; those of the client. Then everything is as it was.
    """
    check(row, region)
    settle_one(work, ledger, row)
    with claimed(ledger, row) as mine:
        machine = work.client.machine(mine.app, mine.machine_id)
        volume = find_volume(work.client, mine.app)
        if volume is None:
            raise BackupError(f"{mine.app} has no volume on the platform.", hint="invoke repair")
        swap = swap_of(mine, "move", machine)
        held: list[str] = []

        def prepared() -> Target:
            held.append(_measured(work, mine, machine, swap.old_volume))
            put_aside(work, mine, swap)
            snapshot = snapshot_of(work.client, mine.app, swap.old_volume, work.report)
            return Target(Wanted(machine.image, region, volume.size_gb, snapshot.id), machine.config)

        def proven(wire: Wire) -> None:
            work.report("comparing what is there now with what was")
            if wire.seal().digest != held[0]:
                raise BackupError(f"What arrived in {region} is not what {mine.app} held.", hint="try again")

        return replace_machine(work, ledger, mine, swap, prepared, fill=proven, probe=probe)


def check(row: Workspace, region: str) -> None:
    """*Errors*: PlanError, before anything is touched."""
    if region not in REGIONS:
        raise PlanError(f"There is no region {region!r}.", hint=f"one of {' '.join(REGIONS)}")
    if row.state != READY:
        raise PlanError(f"{row.app} is {row.state}: it cannot be moved.", hint="invoke users")
    if row.region == region:
        raise PlanError(f"{row.app} is in {region} already.")


def _measured(work: Work, row: Workspace, machine: Machine, volume_id: str) -> str:
    """What the volume holds once the workspace's own server has ended."""
    work.report("measuring what is there")
    client: Client = work.client
    key = new_key()
    config = courier_config(machine.image, volume_id, key, machine.config.get("guest"))
    changed = client.update_machine(row.app, machine.id, {"config": config})
    client.wait(row.app, machine.id, "started", timeout_s=STARTED_S, instance_id=changed.instance_id)
    with reached(client, row.url, key) as wire:
        return wire.seal().digest
