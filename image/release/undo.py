"""What a bump is about to change, on disk until it is over: what fails is undone, and the killed by the next.

*Shape*: `<folder>/bump.json` has the files as they were (nothing for one that was not there) and what the
images' names stood for. What lies in the place of such a file by then may be somebody's work: it is moved
aside into `<folder>/bump-undone`, not lost.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly.errors import BuildError
from fly.interrupt import one_interrupt
from fly.lazy import Lazy

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")

JOURNAL, LOCK, ASIDE = "bump.json", "bump.lock", "bump-undone"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Nobody else moves pins meanwhile; the lock of a killed one is free.

    *Errors*: BuildError if somebody does.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildError("Another bump is under way here.", hint="wait for its end") from None
        yield


@contextmanager
def written_down(
    client: docker.DockerClient, folder: Path, root: Path, files: Iterable[str], tags: Iterable[str]
) -> Iterator[None]:
    """What goes wrong inside, Ctrl-C too, leaves all as it was; what is killed inside the next one undoes."""
    before = {"files": {name: _text(root / name) for name in files}, "tags": _ids(client, tags)}
    journal = folder / JOURNAL
    fresh = journal.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(before, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(journal)
    with one_interrupt() as undoing:
        try:
            yield
        except BaseException:
            undoing()
            _undo(client, before, root)
            journal.unlink()
            raise
    journal.unlink()


def undo_killed(client: docker.DockerClient, folder: Path, root: Path) -> list[str]:
    """Puts back what a bump that was killed has left, as often as needed; what was put back."""
    journal = folder / JOURNAL
    if not journal.exists():
        return []
    undone = _undo(client, json.loads(journal.read_text(encoding="utf-8")), root, folder / ASIDE)
    journal.unlink()
    return undone


def _undo(
    client: docker.DockerClient, before: dict[str, Any], root: Path, aside: Path | None = None
) -> list[str]:
    undone = [name for name, text in before["files"].items() if _put_back(root / name, text, aside)]
    return undone + _tag_again(client, before["tags"])


def _put_back(path: Path, text: str | None, aside: Path | None) -> bool:
    if _text(path) == text:
        return False
    if aside and path.exists():
        aside.mkdir(exist_ok=True, mode=0o700)
        (aside / path.name).write_bytes(path.read_bytes())
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text, encoding="utf-8", newline="")
    return True


def _tag_again(client: docker.DockerClient, before: Mapping[str, str]) -> list[str]:
    """An image that is gone by now keeps nobody from going on: it is built anew."""
    here = _ids(client, (*before, *before.values()))
    moved = [tag for tag, image in before.items() if image in here and here.get(tag) != image]
    for tag in moved:
        repository, _, name = tag.rpartition(":")
        client.api.tag(before[tag], repository, name)
    return moved


def _ids(client: docker.DockerClient, names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = str(client.images.get(name).id)
        except docker.errors.ImageNotFound:
            continue
    return found


def _text(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8") if path.exists() else None
