"""One workspace to another image: nobody's data is touched before a copy that can be restored is proven.

    waiting ──▶ copying ──▶ changing ──▶ opening ──▶ done
       └────────────┴──▶ untouched │        │
                                   ▼        ▼
                               returning ──▶ returned        (the old image, her data as it is)
                                   └──▶ restoring ──▶ restored   (the old image, her data from the snapshot)

Her server is stopped in order before the snapshot is taken, and from then on nobody is let in until the new
image has shown that it serves and that nothing of hers is lost. So a snapshot that has to be restored is
never older than the last thing that she did. Whatever kills us, the row of the leg says where to go on, or
back.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from fly.change.contents import Contents, damage
from fly.change.eyes import Eyes, Patience, wait_until_idle
from fly.change.machine import HeldMachine, held
from fly.change.proof import delete_volume, made, prove, remove_machine, remove_trials, take_snapshot
from fly.change.rollouts import (
    CHANGING,
    COPYING,
    DONE,
    OPENING,
    RESTORED,
    RESTORING,
    RETURNED,
    RETURNING,
    UNTOUCHED,
    WAITING,
    Leg,
    Rollouts,
)
from fly.client import Client
from fly.errors import ApiError, ChangeError, JarvisError, NotFound, NotInTime, Unreachable
from fly.interrupt import one_interrupt
from fly.ledger import READY, Ledger, Workspace
from fly.model import Machine, Volume
from fly.plan import VOLUME_NAME
from fly.provision import STARTED_S, Report, wait_for_page


@dataclass(frozen=True)
class Upgrading:
    """What takes a workspace to another image, or back."""

    client: Client
    ledger: Ledger
    rollouts: Rollouts
    eyes: Eyes
    patience: Patience
    report: Report

    # --- there

    def go(self, leg: Leg) -> Leg:
        """The leg, done: its workspace runs the new image, asleep if it slept before.

        *Errors*: ChangeError, saying how the workspace was left.
        """
        with self._claimed(leg.workspace) as row, one_interrupt() as undoing:
            leg = self.rollouts.start(leg, row)
            try:
                return self._there(leg, row)
            except BaseException as error:
                undoing()
                failure = self._failed(leg, row, error)
                if not isinstance(error, JarvisError):
                    raise
                raise failure from error

    def resume(self, leg: Leg) -> Leg:
        """The leg of a run that died, ended: on from where it was cut off, or back.

        *Errors*: ChangeError.
        """
        with self._claimed(leg.workspace) as row, one_interrupt() as undoing:
            try:
                if row.machine_id not in (leg.machine, leg.new_machine):
                    self.report(f"{row.app} has another machine since: nothing of it is touched")
                    return self.rollouts.note(leg, step=UNTOUCHED, why="it has another machine since")
                if leg.step in (CHANGING, OPENING) and self._image(row) == leg.to_image:
                    self.report(f"{row.app} was cut off on its new image: going on")
                    with held(self.client, row, "upgrade", self.report) as machine:
                        self._written(row, leg.to_image)
                        return self._accepted(leg, row, machine)
                return self._back(leg, row, "the run was cut off")
            except BaseException as error:
                undoing()
                failure = self._failed(leg, row, error)
                if not isinstance(error, JarvisError):
                    raise
                raise failure from error

    def _there(self, leg: Leg, row: Workspace) -> Leg:
        until = self.client.clock() + self.patience.idle_s
        while True:
            wait_until_idle(self.client, row, self.eyes, until, self.report)
            with held(self.client, row, "upgrade", self.report) as machine:
                leg = self._copied(leg, row, machine, until)
                if leg.step == CHANGING:
                    return self._changed(leg, row, machine)
            self.report("something has begun to run in it: waiting again")

    def _copied(self, leg: Leg, row: Workspace, machine: HeldMachine, until: float) -> Leg:
        """With a proven copy; still `copying`, where something has begun to run in it meanwhile."""
        found = machine.look()
        if found.image != leg.from_image:
            raise ChangeError(f"{row.app} runs {found.image}, which nobody planned", outcome=UNTOUCHED)
        leg = self.rollouts.note(leg, step=COPYING, was=leg.was or found.state)
        self.report(f"it is {found.state}: looking what is on her volume")
        leg, before = self._looked(leg, machine)
        if self.eyes.busy(row.url) and self.client.clock() < until:
            return leg
        machine.stop()
        snapshot = take_snapshot(self.client, row, self.report)
        leg = self.rollouts.note(leg, snapshot=snapshot.id)
        copy = prove(self.client, row, snapshot, before, image=leg.from_image, report=self.report)
        return self.rollouts.note(leg, step=CHANGING, copy=copy.pack())

    def _looked(self, leg: Leg, machine: HeldMachine) -> tuple[Leg, Contents | None]:
        """What is on her volume; that its server does not answer on the old image is no reason to stop."""
        try:
            machine.wake()
            machine.wait_until_serving(self.patience.page_s)
            leg = self.rollouts.note(leg, answered="yes")
        except NotInTime as error:
            self.report(f"it does not answer on its old image either: {error.seen}")
            leg = self.rollouts.note(leg, answered="no")
        try:
            return leg, machine.contents()
        except ApiError:
            if leg.answered == "yes":
                raise
            return leg, None

    def _changed(self, leg: Leg, row: Workspace, machine: HeldMachine) -> Leg:
        self.report("changing to the new image")
        self._put(row, machine, leg.to_image, f"from {leg.from_image}; her volume is kept as {leg.snapshot}")
        return self._accepted(leg, row, machine)

    def _put(self, row: Workspace, machine: HeldMachine, image: str, why: str) -> None:
        """It runs this image, with nobody let in, and the ledger says so."""
        machine.close_door()
        config = {**machine.look().config, "image": image}
        machine.change(config, closed=True)
        self.ledger.change(row.id, "image changed", f"{image}, {why}", image=image)

    def _accepted(self, leg: Leg, row: Workspace, machine: HeldMachine) -> Leg:
        """It serves and nothing is lost, so everybody is let in; it is left as it was found."""
        if leg.step == CHANGING:
            self._check(leg, machine)
            # From here on she may have changed something: the copy is no longer what she would want back.
            leg = self.rollouts.note(leg, step=OPENING, copy="")
        machine.wake()
        machine.open_door()
        self.report(f"waiting for {row.url}")
        wait_for_page(self.client, self.eyes.page, row.url, self.patience.page_s)
        machine.rest(leg.was)
        return self.rollouts.note(leg, step=DONE)

    def _check(self, leg: Leg, machine: HeldMachine) -> None:
        """*Errors*: ChangeError, NotInTime."""
        self.report("checking the server and her data on the new image")
        machine.wake()
        machine.wait_until_serving(self.patience.page_s)
        if harm := damage(Contents.unpack(leg.copy), machine.contents()):
            raise ChangeError(f"Her data is not as it was: {'; '.join(harm)}", outcome=CHANGING)
        if leg.is_canary and self.patience.well_s:
            self.report(f"watching it for {self.patience.well_s:.0f} s")
            before = machine.look()
            self.client.sleep(self.patience.well_s)
            machine.wait_until_serving(self.patience.page_s)
            if _starts(machine.look()) != _starts(before):
                raise ChangeError("Its server ended and was started again", outcome=CHANGING)

    # --- and back

    def _failed(self, leg: Leg, row: Workspace, error: BaseException) -> ChangeError:
        """What is to be said: after going back, or why that was not possible either."""
        why = str(error) or type(error).__name__
        try:
            ended = self._back(self.rollouts.leg(leg.number), row, why)
            told, hint = _TOLD[ended.step], "invoke upgrade tries again; invoke rollback takes everybody back"
            outcome = ended.step
        except JarvisError as second:
            outcome = self.rollouts.note(leg, why=f"{why}; {second}").step
            told = f"It could not be put back either ({second}): it was left {outcome}."
            hint = "invoke upgrade goes on from there, also after a new login or a reboot"
        return ChangeError(f"{row.app} could not be upgraded: {why}\n{told}", outcome=outcome, hint=hint)

    def _back(self, leg: Leg, row: Workspace, why: str) -> Leg:
        """The leg, ended with its workspace on the image from which it came.

        *Errors*: those of the client, and NotInTime: the leg stays where it is.
        """
        leg = self.rollouts.note(leg, why=why)
        if leg.step == RESTORING:
            return self._restored(leg, row)
        if leg.step == WAITING:
            return self.rollouts.note(leg, step=UNTOUCHED)
        with held(self.client, row, "upgrade", self.report) as machine:
            remove_trials(self.client, row)
            if leg.step in (COPYING, CHANGING) and machine.look().image == leg.from_image:
                return self._left_alone(leg, row, machine)
            leg = self._returned(self.rollouts.note(leg, step=RETURNING), row, machine)
        return self._restored(leg, row) if leg.step == RESTORING else leg

    def _left_alone(self, leg: Leg, row: Workspace, machine: HeldMachine) -> Leg:
        self.report(f"leaving {row.app} on its image")
        if leg.step == CHANGING:
            machine.open_door()
        if not (machine.look().state == "started" and self.eyes.busy(row.url)):
            machine.rest(leg.was)
        return self.rollouts.note(leg, step=UNTOUCHED)

    def _returned(self, leg: Leg, row: Workspace, machine: HeldMachine) -> Leg:
        self.report(f"taking {row.app} back to its old image")
        self._put(row, machine, leg.from_image, f"back from {leg.to_image}: {leg.why}")
        if leg.answered == "no":
            machine.open_door()
            return self.rollouts.note(leg, step=RETURNED)
        if leg.copy and (harm := self._harm(leg, machine)):
            return self.rollouts.note(leg, step=RESTORING, why=f"{leg.why}; {harm}")
        machine.open_door()
        wait_for_page(self.client, self.eyes.page, row.url, self.patience.back_s)
        machine.rest(leg.was)
        return self.rollouts.note(leg, step=RETURNED)

    def _harm(self, leg: Leg, machine: HeldMachine) -> str:
        """Why her volume is not what it was before the new image ran; nobody was let in since."""
        try:
            machine.wait_until_serving(self.patience.back_s)
        except NotInTime as error:
            return str(error)
        return "; ".join(damage(Contents.unpack(leg.copy), machine.contents(), ours=True))

    # --- her data from the snapshot: another volume, and so another machine

    def _restored(self, leg: Leg, row: Workspace) -> Leg:
        self.report(f"restoring {row.app} from {leg.snapshot}")
        with self._old_machine(leg) as old:
            if row.machine_id == leg.machine:
                leg, row = self._replaced(leg, row, old)
            wait_for_page(self.client, self.eyes.page, row.url, self.patience.back_s)
            if old:
                remove_machine(self.client, row.app, leg.machine, nonce=old.nonce)
        delete_volume(self.client, row.app, leg.volume)
        with held(self.client, row, "upgrade", self.report) as machine:
            machine.rest(leg.was)
        return self.rollouts.note(leg, step=RESTORED)

    @contextmanager
    def _old_machine(self, leg: Leg) -> Iterator[HeldMachine | None]:
        """None, where it is gone already."""
        row = self.ledger.get(leg.workspace)
        old = _with(row, machine_id=leg.machine, volume_id=leg.volume)
        with ExitStack() as stack:
            try:
                machine = stack.enter_context(held(self.client, old, "upgrade", self.report))
            except NotFound:
                machine = None
            yield machine

    def _replaced(self, leg: Leg, row: Workspace, old: HeldMachine | None) -> tuple[Leg, Workspace]:
        if old is None:
            raise ChangeError(f"The machine {leg.machine} of {row.app} is gone.", outcome=RESTORING)
        old.close_door()
        self._keep_what_is_there(row)
        volume = self._new_volume(leg, row)
        leg = self.rollouts.note(leg, new_volume=volume.id)
        machine = self._new_machine(leg, row, volume, old.look())
        leg = self.rollouts.note(leg, new_machine=machine.id)
        self.client.wait(row.app, machine.id, "started", timeout_s=STARTED_S)
        facts = {"machine_id": machine.id, "volume_id": volume.id, "image": leg.from_image}
        why = f"from {leg.snapshot}, on {leg.from_image}: {leg.why}"
        return leg, self.ledger.change(row.id, "restored", why, **facts)

    def _keep_what_is_there(self, row: Workspace) -> None:
        """A snapshot of what is given up too: it outlives the volume by some days."""
        with suppress(ApiError, Unreachable, NotInTime):
            kept = take_snapshot(self.client, row, self.report)
            self.ledger.change(row.id, "kept", f"{kept.id}: her volume before it was replaced")

    def _new_volume(self, leg: Leg, row: Workspace) -> Volume:
        def find() -> Volume | None:
            mine = [
                one for one in self.client.volumes(row.app) if one.name == VOLUME_NAME and not one.is_going
            ]
            return next((one for one in mine if one.id != leg.volume), None)

        live = self.client.volume(row.app, leg.volume)
        request = {
            "name": VOLUME_NAME,
            "region": live.region,
            "size_gb": live.size_gb,
            "encrypted": True,
            "snapshot_id": leg.snapshot,
        }
        return find() or made(self.client, lambda: self.client.create_volume(row.app, request), find)

    def _new_machine(self, leg: Leg, row: Workspace, volume: Volume, old: Machine) -> Machine:
        def find() -> Machine | None:
            mine = [one for one in self.client.machines(row.app) if volume.id in one.volumes]
            return next((one for one in mine if not one.is_going), None)

        mounts = [{**mount, "volume": volume.id} for mount in old.config.get("mounts", [])]
        config = {**old.config, "image": leg.from_image, "mounts": mounts}
        request = {"region": volume.region, "config": config}
        return find() or made(self.client, lambda: self.client.create_machine(row.app, request), find)

    # --- shared

    @contextmanager
    def _claimed(self, workspace: str) -> Iterator[Workspace]:
        """*Errors*: LedgerError, another process works on it; ChangeError, it is not ready."""
        row = self.ledger.claim(workspace)
        try:
            if row.state != READY:
                raise ChangeError(f"{row.app} is {row.state}.", outcome=UNTOUCHED, hint="invoke repair")
            yield row
        finally:
            self.ledger.release(row.id)

    def _written(self, row: Workspace, image: str) -> None:
        if row.image != image:
            self.ledger.change(row.id, "image changed", f"{image}, found so", image=image)

    def _image(self, row: Workspace) -> str:
        return self.client.machine(row.app, row.machine_id).image


_TOLD = {
    UNTOUCHED: "It is as it was.",
    RETURNED: "It is back on its old image, with her data as it is.",
    RESTORED: "It is back on its old image, and her data is restored from the snapshot.",
}


def _starts(machine: Machine) -> list[int]:
    """When it was started and ended."""
    return [one.timestamp_ms for one in machine.events if one.type in ("start", "exit")]


def _with(row: Workspace, **facts: str) -> Workspace:
    return Workspace(**(vars(row) | facts))
