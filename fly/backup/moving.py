"""Takes a workspace to another region: the same name, address and key, on another volume and machine."""

from fly.backup.making import snapshot_of
from fly.backup.swapping import Old, Target, claimed, put_aside, replace_machine, settle_one
from fly.backup.throwaway import Wanted, Work, courier_config, new_key, reached
from fly.backup.wire import Wire
from fly.errors import BackupError, PlanError
from fly.ledger import READY, Ledger, Workspace
from fly.plan import REGIONS
from fly.provision import Probe


def move(work: Work, ledger: Ledger, row: Workspace, region: str, *, probe: Probe) -> Workspace:
    """The workspace in that region, proven to hold what it held, its page answering. It rests meanwhile.

    The old volume is measured by a courier in the server's place, so that nobody writes from then on; its
    snapshot becomes the new one, which is measured too. Whoever visits sees that it will take a moment.

    *Errors*: PlanError; BackupError; those of the client. Then everything is as it was.
    """
    check(row, region)
    settle_one(work, ledger, row)
    with claimed(ledger, row) as mine:
        held: list[str] = []

        def prepared(old: Old | None) -> Target:
            assert old is not None
            held.append(_measured(work, mine, old))
            put_aside(work, old)
            snapshot = snapshot_of(work.client, mine.app, old.volume_id, work.report)
            size_gb = work.client.volume(mine.app, old.volume_id).size_gb
            return Target(Wanted(old.found.image, region, size_gb, snapshot.id), old.found.config)

        def proven(wire: Wire) -> None:
            work.report("comparing what is there now with what was")
            if wire.seal().digest != held[0]:
                raise BackupError(f"What arrived in {region} is not what {mine.app} held.", hint="try again")

        return replace_machine(work, ledger, mine, "move", prepared, fill=proven, probe=probe)


def check(row: Workspace, region: str) -> None:
    """*Errors*: PlanError, before anything is touched."""
    if region not in REGIONS:
        raise PlanError(f"There is no region {region!r}.", hint=f"one of {' '.join(REGIONS)}")
    if row.state != READY:
        raise PlanError(f"{row.app} is {row.state}: it cannot be moved.", hint="invoke users")
    if row.region == region:
        raise PlanError(f"{row.app} is in {region} already.")


def _measured(work: Work, row: Workspace, old: Old) -> str:
    """What the volume holds once the workspace's own server has ended in order."""
    work.report("measuring what is there")
    old.held.end()
    key = new_key()
    old.held.change(courier_config(old.found.image, old.volume_id, key, old.found.config.get("guest")))
    with reached(work, row.url, key) as wire:
        return wire.seal().digest
