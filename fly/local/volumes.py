"""Volumes: what may be done with them, and to whom they belong."""

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fly.local import names, regions
from fly.local.hosting import Host, Still
from fly.local.refusal import invalid, missing, precondition, unprocessable
from fly.local.state import App, Snapshot, State, Volume, now

log = logging.getLogger(__name__)
NAME = re.compile(r"[a-z0-9_]{1,30}")
SIZE_GB, RETENTION_DAYS = 3, 5
DONE = "created"
TIDY_EVERY_S = 600.0


class Volumes:
    def __init__(self, state: State, host: Host, still: Still) -> None:
        self._state, self._host, self._still = state, host, still
        self._copies: set[asyncio.Task[None]] = set()
        self._under_way: set[str] = set()
        """The snapshots that are being made."""

    def found(self, app: App, volume_id: str) -> Volume:
        """*Errors*: Refusal 404."""
        volume = self._state.volumes.get(volume_id)
        if volume is None or volume.app != app.name:
            raise missing("volume")
        return volume

    async def create(self, app: App, request: Mapping[str, Any]) -> Volume:
        """A volume, new or out of a snapshot.

        *Errors*: Refusal.
        """
        name = request.get("name", "")
        if not NAME.fullmatch(name):
            raise unprocessable("Name must be up to 30 lowercase letters, digits and underscores")
        region = regions.resolve(request.get("region"))
        snapshot = await self._source(app, request)
        if not self._state.has(app):
            raise missing("app")
        size_gb = request.get("size_gb", snapshot.volume_size if snapshot else SIZE_GB)
        if snapshot and size_gb < snapshot.volume_size:
            raise invalid(
                f"size_gb must be at least {snapshot.volume_size}, the size of the snapshot's volume"
            )
        made = now()
        volume = Volume(
            id=names.volume_id(),
            app=app.name,
            name=name,
            region=region,
            size_gb=size_gb,
            state="created",
            encrypted=request.get("encrypted", True),
            fstype=request.get("fstype", "ext4"),
            snapshot_retention=request.get("snapshot_retention", RETENTION_DAYS),
            auto_backup_enabled=request.get("auto_backup_enabled", True),
            created_at=made,
            updated_at=made,
            snapshot=snapshot.id if snapshot else None,
        )
        self._state.save(volume)
        try:
            await self._host.create_volume(volume)
        except BaseException:
            self._state.drop(volume)
            raise
        if volume.id not in self._state.volumes:  # its app was deleted meanwhile
            await self._host.remove_volume(volume)
            raise missing("app")
        return volume

    async def _source(self, app: App, request: Mapping[str, Any]) -> Snapshot | None:
        """What the new volume is filled from: a snapshot, or another volume as it is now."""
        source = request.get("source_volume_id")
        if source and request.get("snapshot_id"):
            raise invalid("choose one of snapshot_id and source_volume_id")
        if not source:
            return self._snapshot(request.get("snapshot_id"))
        volume = self._state.volumes.get(source)
        if volume is None:
            raise missing("volume")
        if request.get("size_gb", volume.size_gb) < volume.size_gb:
            raise invalid(f"size_gb must be at least {volume.size_gb}, the size of the source volume")
        copy = self._begin(volume, app.name, of="")
        try:
            await self._copied(volume, copy)
        except BaseException:
            self._forget(copy)
            raise
        return self._state.snapshots[copy.id]

    def change(self, volume: Volume, **changes: Any) -> Volume:
        return self._state.change(volume, updated_at=now(), **changes)

    def extend(self, volume: Volume, size_gb: int) -> Volume:
        """*Errors*: Refusal 400 for a size that is not larger."""
        if size_gb <= volume.size_gb:
            raise invalid(f"size_gb must be larger than {volume.size_gb}, what the volume has")
        return self.change(volume, size_gb=size_gb)

    async def delete(self, volume: Volume) -> Volume:
        """Its snapshots stay, for as long as they would have.

        *Errors*: Refusal 412 while a machine has it.
        """
        if volume.machine:
            raise precondition(f"volume is currently bound to machine: {volume.machine}")
        return await self.remove(volume)

    async def remove(self, volume: Volume) -> Volume:
        gone = self.change(volume, state="destroying")
        await self._host.remove_volume(volume)
        self._state.drop(gone)
        return self._destroyed(gone)

    def _destroyed(self, volume: Volume) -> Volume:
        return Volume(**vars(volume) | {"state": "destroyed"})

    def snapshot(self, volume: Volume) -> Snapshot:
        """Begins to copy the volume; the snapshot is listed, and can be used once its status is `created`.

        *Errors*: Refusal 412 while another copy of it is under way.
        """
        under_way = [s for s in self.snapshots(volume) if s.status != DONE]
        if under_way:
            raise precondition(f"snapshot is already scheduled at {under_way[0].created_at}")
        made = self._begin(volume, volume.app, of=volume.id)
        task = asyncio.create_task(self._copy(volume, made))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)
        return made

    async def _copy(self, volume: Volume, snapshot: Snapshot) -> None:
        try:
            await self._copied(volume, snapshot)
        except Exception as error:  # whatever it is: no later copy may wait for this one
            log.exception("snapshot %s of volume %s failed: %s", snapshot.id, volume.id, error)
            self._forget(snapshot)

    def _begin(self, volume: Volume, app: str, *, of: str) -> Snapshot:
        made = _begun(volume, app, of=of)
        self._state.save(made)
        self._under_way.add(made.id)
        return made

    async def _copied(self, volume: Volume, snapshot: Snapshot) -> None:
        try:
            size, digest = await self._host.take_snapshot(volume, snapshot, self._still)
            self._state.change(snapshot, status=DONE, size=size, digest=digest)
        finally:
            self._under_way.discard(snapshot.id)

    async def keep_tidy(self) -> None:
        """Tidies now and then, for as long as the platform runs."""
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            try:
                self.tidy()
            except Exception:
                log.exception("the volumes could not be tidied; tried again in %g s", TIDY_EVERY_S)

    def tidy(self) -> None:
        """Forgets copies that were cut off, whose days are over, or that were made for one volume.

        A volume that is bound to a machine which is not there is free again.
        """
        for snapshot in list(self._state.snapshots.values()):
            over = snapshot.status != DONE or not snapshot.volume or _is_over(snapshot)
            if over and snapshot.id not in self._under_way and not self._is_needed(snapshot):
                self._forget(snapshot)
        for volume in list(self._state.volumes.values()):
            if volume.machine and volume.machine not in self._state.machines:
                log.warning("volume %s was bound to machine %s, which is gone", volume.id, volume.machine)
                self._state.change(volume, machine=None)

    def _is_needed(self, snapshot: Snapshot) -> bool:
        """Whether a volume that has not been used yet is to be filled from it."""
        return any(v.snapshot == snapshot.id and not v.filled for v in self._state.volumes.values())

    def forget_snapshots(self, app: App) -> None:
        for snapshot in [s for s in self._state.snapshots.values() if s.app == app.name]:
            if not self._is_needed(snapshot):
                self._forget(snapshot)

    def _forget(self, snapshot: Snapshot) -> None:
        self._state.drop(snapshot)
        self._host.remove_snapshot(snapshot)

    async def close(self) -> None:
        for task in list(self._copies):
            task.cancel()
        await asyncio.gather(*self._copies, return_exceptions=True)

    def snapshots(self, volume: Volume) -> list[Snapshot]:
        """Newest first."""
        mine = [s for s in self._state.snapshots.values() if s.volume == volume.id]
        return sorted(mine, key=lambda snapshot: snapshot.created_at, reverse=True)

    def _snapshot(self, snapshot_id: str | None) -> Snapshot | None:
        if not snapshot_id:
            return None
        snapshot = self._state.snapshots.get(snapshot_id)
        if snapshot is None or snapshot.status != DONE:
            raise missing("snapshot")
        return snapshot


def _begun(volume: Volume, app: str, *, of: str) -> Snapshot:
    """A copy of the volume that is still to be made; `of` is empty for one that nobody is to list."""
    return Snapshot(
        id=names.snapshot_id(),
        app=app,
        volume=of,
        status="creating",
        size=0,
        volume_size=volume.size_gb,
        digest="",
        retention_days=volume.snapshot_retention,
        created_at=now(),
    )


def _is_over(snapshot: Snapshot) -> bool:
    taken = datetime.fromisoformat(snapshot.created_at)
    return datetime.now(UTC) - taken > timedelta(days=snapshot.retention_days)
