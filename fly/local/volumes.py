"""Volumes: what may be done with them, and to whom they belong."""

import re
from collections.abc import Mapping
from typing import Any

from fly.local import names, regions
from fly.local.hosting import Host
from fly.local.refusal import invalid, missing, precondition, unprocessable
from fly.local.state import App, Snapshot, State, Volume, now

NAME = re.compile(r"[a-z0-9_]{1,30}")
SIZE_GB, RETENTION_DAYS = 3, 5


class Volumes:
    def __init__(self, state: State, host: Host) -> None:
        self._state, self._host = state, host

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
        if request.get("source_volume_id"):
            raise invalid("forking a volume is not available on this platform: use a snapshot")
        snapshot = self._snapshot(request.get("snapshot_id"))
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
            region=regions.resolve(request.get("region")),
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
        return volume

    def change(self, volume: Volume, **changes: Any) -> Volume:
        return self._state.change(volume, updated_at=now(), **changes)

    def extend(self, volume: Volume, size_gb: int) -> Volume:
        """*Errors*: Refusal 400 for a size that is not larger."""
        if size_gb <= volume.size_gb:
            raise invalid(f"size_gb must be larger than {volume.size_gb}, what the volume has")
        return self.change(volume, size_gb=size_gb)

    async def delete(self, volume: Volume) -> Volume:
        """*Errors*: Refusal 412 while a machine has it."""
        if volume.machine:
            raise precondition(f"volume is currently bound to machine: {volume.machine}")
        return await self.remove(volume)

    async def remove(self, volume: Volume) -> Volume:
        gone = self.change(volume, state="destroying")
        await self._host.remove_volume(volume)
        for snapshot in self.snapshots(volume):
            self._state.drop(snapshot)
            self._host.remove_snapshot(snapshot)
        self._state.drop(gone)
        return self._destroyed(gone)

    def _destroyed(self, volume: Volume) -> Volume:
        return Volume(**vars(volume) | {"state": "destroyed"})

    def snapshots(self, volume: Volume) -> list[Snapshot]:
        """Newest first."""
        mine = [s for s in self._state.snapshots.values() if s.volume == volume.id]
        return sorted(mine, key=lambda snapshot: snapshot.created_at, reverse=True)

    def _snapshot(self, snapshot_id: str | None) -> Snapshot | None:
        if not snapshot_id:
            return None
        if snapshot_id not in self._state.snapshots:
            raise missing("snapshot")
        return self._state.snapshots[snapshot_id]
