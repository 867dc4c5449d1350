"""An archive on its way in: unpacked aside, checked to its end, then put in place; nothing is replaced.

While it is checked nothing of hers is touched. Putting it in place moves one thing after the other; cut off
anywhere, it goes on from there: what has been moved is no longer aside.
"""

import contextlib
import errno
import gzip
import hashlib
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from webapp.config import Config
from webapp.data.archive import (
    END,
    FORMAT,
    HEAD,
    LARGEST_NOTE,
    BadArchive,
    Origin,
    Seal,
    names_of,
    time_ns,
)
from webapp.data.parts import WORKSPACE, Part, parts
from webapp.files.draft import place, remove
from webapp.files.place import Names, name_of, rename_new
from webapp.files.trash import Trash
from webapp.files.tree import Found, tree

CHOICES = ("keep", "rename", "trash")
SHOWN = 100
PIECE = 1 << 20
LEFT_FREE = 64 << 20
LOOK_EVERY = 16 << 20
FOLDER_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Import:
    """How far an import is.

    Shape: {"state": "none|checking|ready|applying|done", "from": {…}, "files": 120, "size": 34567,
    "differ": {"count": 3, "paths": ["workspace/a.txt"]}}
    """

    state: str = "none"
    origin: Origin | None = None
    files: int = 0
    size: int = 0
    differ: int = 0
    differing: list[str] = field(default_factory=list)
    existing: str = "keep"

    def json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "from": self.origin.json() if self.origin else None,
            "files": self.files,
            "size": self.size,
            "differ": {"count": self.differ, "paths": self.differing},
        }


class Intake:
    """Synchronous, for threads; one import at a time."""

    def __init__(self, config: Config, trash: Trash, told: Callable[[Import], None]) -> None:
        self._config = config
        self._trash = trash
        self._told = told
        self._folder = config.app / "import"
        self._note = self._folder / "import.json"
        self._aside = self._folder / "aside"
        self._dates = self._folder / "folders.jsonl"

    def now(self) -> Import:
        """What a restart has left of it; an archive that was still being checked is not left."""
        try:
            note = json.loads(self._note.read_bytes())
            origin = Origin(**note.pop("origin"))
            return Import(**{**note, "origin": origin})
        except (OSError, ValueError, TypeError, KeyError):
            return Import()

    def forget(self) -> None:
        remove(self._folder)

    def check(self, archive: Path) -> Import:
        """Unpacks it aside. Errors: BadArchive, OSError."""
        self.forget()
        self._aside.mkdir(parents=True, mode=0o700)
        try:
            unpacked = _Unpacking(self._config, self._aside, self._dates, self._told).run(archive)
            differing = list(self._differing(unpacked))
            ready = replace(unpacked, state="ready", differ=len(differing), differing=differing[:SHOWN])
            self._save(ready)
        except BaseException:
            self.forget()
            self._told(Import())
            raise
        # Pages that heard "checking" hear its end in the same row: what they ask elsewhere may overtake it.
        self._told(ready)
        return ready

    def apply(self, existing: str) -> Import:
        """Puts everything in place; can be called again after it was cut off. Errors: OSError."""
        going = replace(self.now(), state="applying", existing=existing)
        self._save(going)
        self._told(going)
        for part in self._parts(going):
            self._apply_part(part, existing)
        self._date_folders()
        done = replace(going, state="done")
        self._save(done)
        remove(self._aside)
        self._told(done)
        return done

    def _parts(self, archive: Import) -> list[Part]:
        secrets = bool(archive.origin and archive.origin.secrets)
        found = parts(self._config, secrets=secrets).values()
        return [part for part in found if (self._aside / part.name).is_dir()]

    def _save(self, now: Import) -> None:
        draft = self._note.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(now), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._note)

    def _differing(self, unpacked: Import) -> Iterator[str]:
        """Files that are there already and are not the same."""
        for part in self._parts(unpacked):
            for one, folder in self._staged(part):
                if not one.is_folder and _is_other(one, folder):
                    yield "/".join([part.name, *map(name_of, one.names)])

    def _staged(self, part: Part) -> Iterator[tuple[Found, "_Spot"]]:
        """What lies aside, and where it belongs."""
        top = os.open(self._aside / part.name, FOLDER_FLAGS)
        try:
            for one in tree(top, _unreadable):
                yield one, _Spot(part.folder, one.names)
        finally:
            os.close(top)

    def _apply_part(self, part: Part, existing: str) -> None:
        aside = self._aside / part.name
        for one, spot in self._staged(part):
            with _opened_below(aside, one.names[:-1]) as source, spot.made() as folder:
                if one.is_folder:
                    _make_folder(folder, spot.name)
                else:
                    self._put(
                        (source, spot.name), folder, one, spot, existing if part.name == WORKSPACE else ""
                    )

    def _put(self, source: tuple[int, bytes], folder: int, one: Found, spot: "_Spot", existing: str) -> None:
        try:
            rename_new(source, (folder, spot.name))
            return
        except FileExistsError:
            pass
        if existing == "keep" or not _is_other(one, spot):
            os.unlink(source[1], dir_fd=source[0])
        elif existing == "rename":
            place(source, folder, spot.name, rename=True)
        elif existing == "trash":
            self._trash.put(spot.names)
            rename_new(source, (folder, spot.name))
        else:
            os.unlink(source[1], dir_fd=source[0])

    def _date_folders(self) -> None:
        """Modes and dates of folders come last, deepest first: what is put into them would change them."""
        with contextlib.suppress(FileNotFoundError):
            lines = self._dates.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            found = {part.name: part for part in parts(self._config, secrets=True).values()}
            for line in reversed(lines):
                name, mode, when = json.loads(line)
                part, names = names_of(name)
                with contextlib.suppress(OSError), _opened_below(found[part].folder, names) as folder:
                    os.chmod(f"/proc/self/fd/{folder}", mode)
                    os.utime(f"/proc/self/fd/{folder}", ns=(when, when))


def _unreadable(names: Names) -> None:
    raise OSError(errno.EIO, "What was unpacked cannot be read", name_of(names[-1]) if names else "")


@dataclass(frozen=True)
class _Spot:
    """Where in a part of the volume something belongs. No link is followed on the way."""

    top: Path
    names: Names

    @property
    def name(self) -> bytes:
        return self.names[-1]

    @contextlib.contextmanager
    def made(self) -> Iterator[int]:
        """The folder that it belongs into."""
        self.top.mkdir(parents=True, exist_ok=True)
        with _opened_below(self.top, self.names[:-1], make=True) as folder:
            yield folder


@contextlib.contextmanager
def _opened_below(top: Path, names: Names, *, make: bool = False) -> Iterator[int]:
    """Errors: OSError, also where a link or a file stands in the way."""
    here = os.open(top, FOLDER_FLAGS)
    try:
        for name in names:
            if make:
                _make_folder(here, name)
            below = os.open(name, FOLDER_FLAGS, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _make_folder(folder: int, name: bytes) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)


def _is_other(one: Found, spot: _Spot) -> bool:
    """Whether something else than this is there already."""
    try:
        with _opened_below(spot.top, spot.names[:-1]) as folder:
            there = os.open(spot.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return _content(there) != _content(one.at)
    finally:
        os.close(there)


def _content(found: int) -> object:
    status = os.fstat(found)
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(b"", dir_fd=found)
    if not stat.S_ISREG(status.st_mode):
        return stat.S_IFMT(status.st_mode)
    with open(f"/proc/self/fd/{found}", "rb") as file:
        return status.st_size, hashlib.file_digest(file, "sha256").digest()


class _Unpacking:
    """Unpacks one archive into an empty folder."""

    def __init__(self, config: Config, aside: Path, dates: Path, told: Callable[[Import], None]) -> None:
        self._config = config
        self._aside = aside
        self._dates = dates
        self._told = told
        self._seal = Seal()
        self._now = Import("checking")
        self._written = 0

    def run(self, archive: Path) -> Import:
        """Errors: BadArchive, OSError."""
        try:
            with gzip.open(archive) as unpacked, self._open(unpacked) as tar:
                self._read(tar)
                while unpacked.read(PIECE):  # to the checksum at the very end
                    pass
        except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, UnicodeError) as error:
            raise BadArchive("It is damaged, or only a part of an archive.") from error
        return self._now

    def _open(self, unpacked: Any) -> tarfile.TarFile:
        return tarfile.open(fileobj=unpacked, mode="r|", encoding="utf-8", errors="surrogateescape")

    def _read(self, tar: tarfile.TarFile) -> None:
        head = tar.next()
        self._begin(_note(tar, head, HEAD))
        with self._dates.open("w", encoding="utf-8", errors="surrogateescape") as self._folders:
            while (info := tar.next()) and info.name != END:
                self._take(tar, info)
        if _note(tar, info, END) != self._seal.json():
            raise BadArchive("Its content is not what it was when it was made.")

    def _begin(self, head: dict[str, Any]) -> None:
        if head.get("format") != FORMAT:
            raise BadArchive("It was made by a newer version than this one.")
        try:
            origin = Origin(**{name: head[name] for name in ("name", "email", "made_at", "secrets")})
        except KeyError as error:
            raise BadArchive("It does not say whose it is.") from error
        self._now = replace(self._now, origin=origin)
        self._parts = parts(self._config, secrets=bool(origin.secrets))

    def _take(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        name, names = names_of(info.name)
        part = self._parts.get(name)
        if part is None or not part.takes(names):
            raise BadArchive("It holds what does not belong into an archive.")
        (self._aside / name).mkdir(exist_ok=True)
        try:
            with _opened_below(self._aside / name, names[:-1], make=True) as folder:
                self._seal.add(info, self._put(tar, info, folder, names[-1]))
        except (FileExistsError, NotADirectoryError) as error:
            raise BadArchive("Two things in it bear the same name.") from error

    def _put(self, tar: tarfile.TarFile, info: tarfile.TarInfo, folder: int, name: bytes) -> bytes:
        """One member; what the seal needs of its content."""
        when = time_ns(info)
        if info.isdir():
            _make_folder(folder, name)
            self._folders.write(json.dumps([info.name, info.mode & 0o777, when]) + "\n")
            return b""
        if info.issym():
            target = os.fsencode(info.linkname)
            os.symlink(target, name, dir_fd=folder)
            os.utime(name, ns=(when, when), dir_fd=folder, follow_symlinks=False)
            return target
        if not info.isreg():
            raise BadArchive("It holds what is no file, folder or link.")
        return self._put_file(tar, info, folder, name)

    def _put_file(self, tar: tarfile.TarFile, info: tarfile.TarInfo, folder: int, name: bytes) -> bytes:
        digest = hashlib.sha256()
        source = tar.extractfile(info)
        assert source is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
            while piece := source.read(PIECE):
                self._need_room(len(piece))
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fchmod(file.fileno(), info.mode & 0o777)
            os.utime(file.fileno(), ns=(time_ns(info), time_ns(info)))
        self._now = replace(self._now, files=self._now.files + 1, size=self._now.size + info.size)
        return digest.digest()

    def _need_room(self, more: int) -> None:
        """Looks now and then, and tells how far it is."""
        before, self._written = self._written, self._written + more
        if before // LOOK_EVERY != self._written // LOOK_EVERY or before == 0:
            self._told(self._now)
            if shutil.disk_usage(self._aside).free < LEFT_FREE:
                raise OSError(errno.ENOSPC, "No space left on device")


def _note(tar: tarfile.TarFile, info: tarfile.TarInfo | None, name: str) -> dict[str, Any]:
    """One of the notes that an archive begins and ends with. Errors: BadArchive."""
    if info is None or info.name != name or not info.isreg() or info.size > LARGEST_NOTE:
        raise BadArchive("It is no archive of my-jarvis, or not all of it.")
    file = tar.extractfile(info)
    try:
        content = json.loads(file.read()) if file else None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise BadArchive("It is no archive of my-jarvis.")
    return content
