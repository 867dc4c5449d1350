"""A kept volume as Fly gives one: root's, with a root-only lost+found; readable whatever runs on it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors

from image.patience import patience
from tests.support.run import Run
from tests.support.wait import wait_until

_MOUNT = "/volume"
QUIET_S = 0.5


@dataclass(frozen=True)
class Entry:
    """One thing on a volume."""

    kind: str
    mode: str
    owner: str
    content: str
    """SHA-256 of a file's bytes, the target of a link"""


Manifest = dict[str, Entry]
"""path below the volume's root -> what is there"""


class Volume:
    """A named volume, with a container that never runs and through which it is read and written."""

    def __init__(self, client: docker.DockerClient, run: Run, image: str) -> None:
        self.name = run.name("volume")
        self._volume = client.volumes.create(self.name, labels=run.labels)
        # The image's own mount point is avoided: the engine would fill an empty volume from what is there.
        self._reader: Any = client.containers.create(
            image,
            entrypoint=["true"],
            command=[],
            name=f"{self.name}-reader",
            labels=run.labels,
            volumes={self.name: {"bind": _MOUNT, "mode": "rw"}},
            network_mode="none",
        )

    def put(self, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> None:
        """Writes these, with exactly the owners and modes that they carry."""
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w") as archive:
            for entry, content in entries:
                archive.addfile(entry, io.BytesIO(content))
        assert self._reader.put_archive(_MOUNT, whole.getvalue())

    def manifest(self, below: str = "") -> Manifest:
        """Every path on it (or below a folder) with kind, mode, owner and a hash of its bytes."""
        return manifest_of(self._reader, _MOUNT, below)

    def at_rest(self) -> Manifest:
        """The manifest once nobody writes any more: on a busy machine who writes may be slow to."""
        seen: Manifest = {}
        since = time.monotonic()

        def unchanged() -> Manifest | None:
            nonlocal seen, since
            before, seen = seen, self.manifest()
            if seen != before:
                since = time.monotonic()
            return seen if time.monotonic() - since >= QUIET_S * patience() else None

        return wait_until(unchanged, "the volume to be at rest", interval_s=0.2)

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        with _archive(self._reader, f"{_MOUNT}/{path}") as archive:
            content = archive.extractfile(archive.getmembers()[0])
            assert content is not None, f"{path} is no file"
            return content.read()

    def saved(self) -> bytes:
        """All of it as a tar, from which `restore` makes the same volume again."""
        return b"".join(self._reader.get_archive(f"{_MOUNT}/.")[0])

    def restore(self, saved: bytes) -> None:
        """Puts on it what `saved` gave, owners and modes too."""
        assert self._reader.put_archive(_MOUNT, saved)

    def paths(self, below: str = "") -> set[str]:
        """Every path on it (or below a folder)."""
        return set(self.manifest(below))

    def remove(self) -> None:
        for remove in (lambda: self._reader.remove(force=True), self._volume.remove):
            with contextlib.suppress(docker.errors.NotFound):
                remove()


def manifest_of(container: Any, mount: str, below: str = "") -> Manifest:
    """Every path of what a container has mounted there (or below a folder of it)."""
    with _archive(container, f"{mount}/{below}") as archive:
        return {path: _entry(archive, member) for member in archive if (path := _below_root(member, below))}


@contextlib.contextmanager
def _archive(container: Any, path: str) -> Iterator[tarfile.TarFile]:
    chunks, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        yield archive


def folder(path: str, *, mode: int, owner: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    """A folder to `put`."""
    entry = _owned(path, mode, owner)
    entry.type = tarfile.DIRTYPE
    return entry, b""


def file(path: str, content: bytes, *, mode: int = 0o644, owner: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    """A file to `put`."""
    entry = _owned(path, mode, owner)
    entry.size = len(content)
    return entry, content


def as_fly_makes_it(volume: Volume) -> Volume:
    """A new ext4: everything root's, and a lost+found that only root may enter."""
    volume.put([folder(".", mode=0o755), folder("lost+found", mode=0o700)])
    return volume


@contextlib.contextmanager
def small_volume(client: docker.DockerClient, run: Run, image: str, size_mb: int = 8) -> Iterator[str]:
    """The name of a volume in memory, as Fly makes one but small; it keeps its content while this is open."""
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size_mb}m,mode=755"}
    volume = client.volumes.create(run.name("small"), driver="local", driver_opts=options, labels=run.labels)
    # The engine unmounts it, and forgets all, once no container that runs has it.
    holder: Any = client.containers.create(
        image,
        entrypoint=["sleep"],
        command=["infinity"],
        init=True,
        name=f"{volume.name}-holder",
        labels=run.labels,
        volumes={str(volume.name): {"bind": _MOUNT, "mode": "rw"}},
        network_mode="none",
    )
    try:
        holder.start()
        yield str(volume.name)
    finally:
        holder.remove(force=True)
        volume.remove()


def differences(before: Manifest, after: Manifest) -> list[str]:
    """What is gone, new or changed, one line each; empty if both are byte-identical."""
    gone = [f"gone: {path}" for path in sorted(before.keys() - after.keys())]
    new = [f"new: {path}" for path in sorted(after.keys() - before.keys())]
    changed = [
        f"changed: {path}: {before[path]} -> {after[path]}"
        for path in sorted(before.keys() & after.keys())
        if before[path] != after[path]
    ]
    return gone + new + changed


def _owned(path: str, mode: int, owner: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.mode, entry.uid, entry.gid = mode, owner, owner
    return entry


def _below_root(member: tarfile.TarInfo, below: str) -> str:
    """The archive names everything after its last folder; here it is named from the volume's root."""
    base, _, rest = member.name.partition("/")
    parent = below.rpartition("/")[0]
    top = base if below else ""
    return "/".join(part for part in (parent, top, rest.rstrip("/")) if part) or "."


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    content = archive.extractfile(member) if member.isfile() else None
    found = hashlib.sha256(content.read()).hexdigest() if content else member.linkname
    return Entry(
        kind=_KINDS.get(member.type, repr(member.type)),
        mode=stat.filemode(member.mode)[1:],
        owner=f"{member.uid}:{member.gid}",
        content=found,
    )


_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard link",
    tarfile.FIFOTYPE: "fifo",
}
