"""What is on a volume: read from what a machine says of its /data, and held against what it said before."""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

HASHED_BYTES = 256 << 20
"""So much of a volume is compared byte by byte, the smallest files first; of the rest, size and time."""
PARTS = ("app", "claude", "home", "workspace")
SHOWN = 5
_ENDS = (".lock", "-shm", "-wal", ".tmp")
_FOLDERS = ("claude/backups/", "claude/cache/", "claude/sessions/", "home/.cache/")
_FILES = ("claude/.claude.json", "home/.bash_history")


@dataclass(frozen=True)
class Item:
    """*Units*: `changed` in whole seconds since 1970. `hash` is empty where a file was too large for it."""

    kind: str
    size: int
    changed: int
    hash: str

    def is_as(self, other: "Item") -> bool:
        if self.kind == "d" or other.kind == "d":
            return self.kind == other.kind
        known = self.hash and other.hash
        same = self.hash == other.hash if known else self.changed == other.changed
        return (self.kind, self.size) == (other.kind, other.size) and same


@dataclass(frozen=True)
class Contents:
    """Everything below /data at one moment.

    *Units*: `began` in seconds since 1970, by the machine's clock.
    """

    began: int
    items: Mapping[str, Item]

    @classmethod
    def unpack(cls, text: str) -> "Contents":
        """*Errors*: ValueError, when it is something else."""
        try:
            found = json.loads(zlib.decompress(base64.b64decode(text.strip(), validate=True)))
            items = {path: Item(*item) for path, item in found["entries"].items()}
            return cls(int(found["began"]), items)
        except (zlib.error, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no list of what is on a volume: {error}") from error

    def pack(self) -> str:
        entries = {path: [one.kind, one.size, one.changed, one.hash] for path, one in self.items.items()}
        text = json.dumps({"began": self.began, "entries": entries})
        return base64.b64encode(zlib.compress(text.encode())).decode()

    @property
    def files(self) -> int:
        return Counter(one.kind for one in self.items.values())["f"]

    @property
    def size(self) -> int:
        """*Units*: bytes."""
        return sum(one.size for one in self.items.values())

    @property
    def summary(self) -> str:
        return f"{self.files} files, {self.size / 1e6:.1f} MB"

    def missing_parts(self) -> list[str]:
        """What every volume that was used has, and this one has not."""
        return [f"/data/{part} is missing" for part in PARTS if part not in self.items]


def missing_of_copy(before: Contents, copy: Contents) -> list[str]:
    """What a copy lacks of what was there when it was made, in sentences.

    Between the look at the volume and the copy its server ended, and whoever used it went on a while: what
    the copy itself shows to be newer than the look is no fault of the copy.
    """

    def is_newer(path: str) -> bool:
        folder = str(PurePosixPath(path).parent)
        seen = copy.items.get(path) or copy.items.get(folder)
        return folder == "." or (seen is not None and seen.changed >= before.began)

    return copy.missing_parts() + _differing(before, copy, lambda path: is_passing(path) or is_newer(path))


def damage(copy: Contents, after: Contents, *, ours: bool = False) -> list[str]:
    """What of hers is not as in the copy any more, in sentences; `ours`: also what the server keeps.

    Nobody but the server was let in between the two.
    """
    return after.missing_parts() + _differing(
        copy, after, lambda path: is_passing(path) or not (ours or _part(path) != "app")
    )


def is_passing(path: str) -> bool:
    """Whether programs write and remove it as they start and end."""
    return path.endswith(_ENDS) or path.startswith(_FOLDERS) or path in _FILES


def _part(path: str) -> str:
    return PurePosixPath(path).parts[0]


def _differing(before: Contents, after: Contents, is_excused: Callable[[str], bool]) -> list[str]:
    lost = [path for path in before.items if path not in after.items and not is_excused(path)]
    changed = [
        path
        for path, item in before.items.items()
        if path in after.items and not item.is_as(after.items[path]) and not is_excused(path)
    ]
    return [*_told(lost, "missing"), *_told(changed, "changed")]


def _told(paths: Sequence[str], what: str) -> list[str]:
    more = [f"and {len(paths) - SHOWN} more {what}"] if len(paths) > SHOWN else []
    return [f"/data/{path!s} is {what}" for path in sorted(paths)[:SHOWN]] + more
