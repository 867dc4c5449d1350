"""All that lies below a folder, found without following a link or leaving it, whatever moves meanwhile."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webapp.files.place import Names, reopen_folder

DEEPEST = 200  # each level holds a descriptor


@dataclass(frozen=True)
class Found:
    """Something in a tree; `at` is an O_PATH descriptor that holds until the next one is asked for."""

    names: Names
    at: int
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)


class _Level:
    """A folder that is open, and what in it is still to be seen."""

    def __init__(self, names: Names, found: int) -> None:
        self.names = names
        self.opened = reopen_folder(found)
        with os.scandir(self.opened) as scan:
            self.ahead = sorted((os.fsencode(item.name) for item in scan), reverse=True)


def _all(_names: Names) -> bool:
    return True


def tree(
    top: int, unreadable: Callable[[Names], None], wanted: Callable[[Names], bool] = _all
) -> Iterator[Found]:
    """Folders before what is in them, in order of names; `unreadable` hears of what cannot be opened."""
    levels: list[_Level] = []
    try:
        _descend(levels, (), top, unreadable)
        while levels:
            level = levels[-1]
            if not level.ahead:
                os.close(levels.pop().opened)
            elif wanted(names := (*level.names, level.ahead.pop())):
                yield from _next(levels, names, unreadable)
    finally:
        for level in levels:
            os.close(level.opened)


def _next(levels: list[_Level], names: Names, unreadable: Callable[[Names], None]) -> Iterator[Found]:
    try:
        at = os.open(names[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=levels[-1].opened)
    except FileNotFoundError:
        return  # gone since it was listed
    except OSError:
        unreadable(names)
        return
    try:
        found = Found(names, at, os.fstat(at))
        yield found
        if found.is_folder:
            _descend(levels, names, at, unreadable)
    finally:
        os.close(at)


def _descend(levels: list[_Level], names: Names, at: int, unreadable: Callable[[Names], None]) -> None:
    if len(levels) >= DEEPEST:
        unreadable(names)
        return
    try:
        levels.append(_Level(names, at))
    except OSError:
        unreadable(names)
