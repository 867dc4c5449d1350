"""Which folders pages look at, and that something in them has changed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from webapp.files.place import Names, Workspace, read_path, written_path
from webapp.problem import Problem

if TYPE_CHECKING:
    from asyncinotify import Inotify, Watch

log = logging.getLogger("webapp")

Message = dict[str, Any]
Reply = Callable[[Message], None]

MOST_FOLDERS = 200
GATHER_S = 0.15
AT_MOST_EVERY_S = 0.35


class Watching:
    """One kernel watch for each folder that any page looks at."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._pages: dict[str, tuple[Reply, frozenset[Names]]] = {}
        self._watches: dict[Names, Watch] = {}
        self._inotify: Inotify | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed: set[Names] = set()
        self._telling: asyncio.Task[None] | None = None
        self._setting = asyncio.Lock()

    async def watch(self, session: str, paths: object, reply: Reply) -> None:
        """What this page looks at from now on. Errors: Problem 400."""
        if not isinstance(paths, list) or len(paths) > MOST_FOLDERS:
            raise Problem(400, "bad_paths", f"paths is a list of at most {MOST_FOLDERS} folders.")
        wanted = frozenset(read_path(path) for path in paths)
        _, had = self._pages.get(session, (reply, frozenset[Names]()))
        self._pages[session] = (reply, wanted)
        begun = await self._follow()
        _tell(reply, wanted & (begun | (wanted - had)))  # what was listed before the watch stood may be old

    async def gone(self, session: str) -> None:
        if self._pages.pop(session, None):
            await self._follow()

    async def close(self) -> None:
        for task in (self._reader, self._telling):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._inotify:
            self._inotify.close()
            self._inotify = None
        self._watches.clear()

    @property
    def folders(self) -> frozenset[Names]:
        return frozenset(self._watches)

    async def _follow(self) -> frozenset[Names]:
        """Begins and ends watches until they are what the pages want; gives back those that began."""
        async with self._setting:
            wanted = frozenset[Names]().union(*(names for _, names in self._pages.values()))
            for names in self._watches.keys() - wanted:
                self._forget(names)
            missing = wanted - self.folders
            if missing and self._inotify is None:
                await self._start()
            for names in missing:
                self._add(names)
            return missing

    async def _start(self) -> None:
        module = await run_in_threadpool(__import__, "asyncinotify")
        self._inotify = module.Inotify()
        self._reader = asyncio.create_task(self._read())

    def _add(self, names: Names) -> None:
        from asyncinotify import Mask  # noqa: PLC0415 - loaded by now

        assert self._inotify is not None
        mask = Mask.CREATE | Mask.DELETE | Mask.MOVE | Mask.CLOSE_WRITE | Mask.ATTRIB
        mask |= Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.ONLYDIR
        try:
            with self._workspace.folder(names) as found:
                self._watches[names] = self._inotify.add_watch(f"/proc/self/fd/{found}", mask)
        except (OSError, Problem) as error:
            log.debug("A folder cannot be watched: %s", error)  # whoever lists it learns why

    def _forget(self, names: Names) -> None:
        watch = self._watches.pop(names)
        if watch not in self._watches.values() and self._inotify:
            with contextlib.suppress(Exception):  # a folder that is gone has taken its watch along
                self._inotify.rm_watch(watch)

    async def _read(self) -> None:
        from asyncinotify import Mask  # noqa: PLC0415 - loaded by now

        assert self._inotify is not None
        over = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.IGNORED | Mask.UNMOUNT
        async for event in self._inotify:
            if event.mask & Mask.Q_OVERFLOW:
                for names in self._watches:
                    self._note(names)
            for names in [names for names, watch in self._watches.items() if watch is event.watch]:
                self._note(names)
                if event.mask & over:
                    self._forget(names)

    def _note(self, names: Names) -> None:
        self._changed.add(names)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        """Together what comes together, and not too often."""
        await asyncio.sleep(GATHER_S)
        while self._changed:
            changed, self._changed = self._changed, set()
            for reply, wanted in list(self._pages.values()):
                _tell(reply, wanted & changed)
            await asyncio.sleep(AT_MOST_EVERY_S)


def _tell(reply: Reply, changed: frozenset[Names]) -> None:
    """By the same clock as a listing's `at`: what was listed before may be out of date."""
    if changed:
        paths = sorted(map(written_path, changed))
        reply({"type": "files_changed", "paths": paths, "at": time.monotonic()})
