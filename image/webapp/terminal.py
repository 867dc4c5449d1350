"""One login shell on a pseudo-terminal. It belongs to the server: pages come and go."""

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import signal
import struct
import subprocess
import termios
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webapp.history import History
from webapp.ring import Ring
from webapp.title import TitleListener, shown
from webapp.viewer import Viewer

log = logging.getLogger("webapp")

READ_BYTES = 64 << 10
WRITE_BYTES = 64 << 10
ECHO_BYTES = 64
"""Of a key: fewer than anything that has more behind it."""
MOST_INPUT = 32 << 20  # typed or pasted, not yet taken by the program
REST_BYTES = 1 << 20  # printed, not yet read when the shell ends
PATIENCE_S = 10.0  # with a page that draws nothing while the shell waits for it
PATIENCE_IN_COMPANY_S = 3.0
TOLD_EVERY_S = 0.5
IUTF8 = 0o40000  # a backspace takes a whole character; the termios module does not name it
INTERRUPT = b"\x03"
# What a screen answers by itself when a program asks it: attributes, cursor, colours, settings, window.
ANSWER = re.compile(
    rb"(?:\x1b\[[?>=]?[\d;]*(?:\$y|[cnRtu])|\x1b\][\d;]+[^\x07\x1b]*(?:\x07|\x1b\\)|\x1bP[^\x1b]*\x1b\\|\x1b\[[IO])+"
)


class Terminal:
    """A running shell, or one that has ended and whose last words are still there."""

    def __init__(
        self,
        cwd: Path,
        environment: Mapping[str, str],
        cols: int,
        rows: int,
        changed: Callable[["Terminal"], None],
    ) -> None:
        """`changed` is called when its name changes, or the shell ends.

        Errors: OSError if there is no shell, no pseudo-terminal or no process to be had.
        """
        self.name = ""
        """What the person calls it."""
        self._said = TitleListener()
        self._said_title, self._said_by = "", 0
        self._changed = changed
        self._telling: asyncio.TimerHandle | None = None
        self.id = f"t_{os.urandom(8).hex()}"
        self.created_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self.history = History(Ring(), cols, rows)
        self._viewers: list[Viewer] = []  # the last one owns the size
        self._input: deque[memoryview] = deque()
        self._input_bytes = 0
        self.has_room = asyncio.Event()
        """Unless the program has left tens of megabytes of input lying."""
        self.has_room.set()
        self._is_reading = False
        self._is_ending = False
        self._is_silent = False
        self._judging: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._fd, self._process = _start_shell(cwd, environment, cols, rows)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)
        self._regulate()

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()

    def json(self) -> dict[str, Any]:
        size = self.history.size
        return {
            "id": self.id,
            "title": self._title(),
            "created_at": self.created_at,
            "cols": size.cols,
            "rows": size.rows,
            "offset": self.history.end,
            "running": self.is_running,
        }

    # Pages

    def attach(self, drawn: int, say: Callable[[bytes], None]) -> Viewer:
        """A page that has drawn up to this position and wants the rest."""
        viewer = Viewer(self.history, say)
        viewer.begin(drawn)
        self._viewers.insert(0, viewer)
        viewer.show()
        self._regulate()
        return viewer

    def detach(self, viewer: Viewer) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
        self._regulate()
        self._apply_size_of_owner()

    def ack(self, viewer: Viewer, drawn: int) -> None:
        viewer.ack(drawn)
        viewer.show()
        self._regulate()

    def resize(self, viewer: Viewer, cols: int, rows: int) -> None:
        viewer.wanted_size = (cols, rows)
        self._own(viewer)

    def type(self, viewer: Viewer, data: bytes) -> None:
        """Input from a page."""
        if self._viewers and viewer is not self._viewers[-1]:
            if ANSWER.fullmatch(data):
                return  # each screen answers a program's question; it asked once
            self._own(viewer)
        self._write(data)

    def _own(self, viewer: Viewer) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self._viewers.append(viewer)
        self._apply_size_of_owner()

    def _apply_size_of_owner(self) -> None:
        wanted = next((viewer.wanted_size for viewer in reversed(self._viewers) if viewer.wanted_size), None)
        size = self.history.size
        if wanted is None or wanted == (size.cols, size.rows) or not self.is_running:
            return
        _set_size(self._fd, *wanted)
        self.history.resize(*wanted)
        self._show()

    def _show(self) -> None:
        for viewer in self._viewers:
            viewer.show()

    # Output

    def _on_output(self) -> None:
        data, is_over = self._read(READ_BYTES)
        self._print(data)
        if is_over:
            self._is_silent = True
        self._regulate()

    def _read(self, most: int) -> tuple[bytes, bool]:
        """What is there to be read, and whether nothing will ever come again."""
        pieces: list[bytes] = []
        size = 0
        while size < most:
            try:
                piece = os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                return b"".join(pieces), False
            except OSError:  # EIO: nobody holds the other end any more
                return b"".join(pieces), True
            pieces.append(piece)
            size += len(piece)
            if size < ECHO_BYTES:
                break  # that was all; if it was not, the loop says so
        return b"".join(pieces), False

    def _print(self, data: bytes) -> None:
        if data:
            self.history.ring.append(data)
            self._show()
            if (title := self._said.heard(data)) is not None:
                self._said_title, self._said_by = title, self._foreground()
                self._tell()

    def _tell(self) -> None:
        """Some programs change their title with every step."""
        if self._telling is None:
            self._telling = self._loop.call_later(TOLD_EVERY_S, self._tell_now)

    def _tell_now(self) -> None:
        self._telling = None
        self._changed(self)

    def _regulate(self) -> None:
        """Reads only while every page keeps up: the kernel then makes the program wait."""
        behind = [viewer for viewer in self._viewers if viewer.is_behind]
        self._read_on(self.is_running and not self._is_silent and (self._is_ending or not behind))
        for viewer in behind:
            viewer.waited_for_since = viewer.waited_for_since or self._loop.time()
        if behind and self._judging is None:
            self._judging = self._loop.call_later(1.0, self._judge)

    def _read_on(self, reading: bool) -> None:
        if reading and not self._is_reading:
            self._loop.add_reader(self._fd, self._on_output)
        elif self._is_reading and not reading:
            self._loop.remove_reader(self._fd)
        self._is_reading = reading

    def _judge(self) -> None:
        """Sends away the pages that have drawn nothing for too long while the shell waited for them."""
        self._judging = None
        patience = PATIENCE_S if len(self._viewers) == 1 else PATIENCE_IN_COMPANY_S
        for viewer in list(self._viewers):
            since = viewer.waited_for_since
            if viewer.is_behind and since is not None and self._loop.time() - since > patience:
                viewer.sent_away.set()
                self._viewers.remove(viewer)
        self._regulate()

    # Input

    def _write(self, data: bytes) -> None:
        if not self.is_running:
            return
        if data == INTERRUPT:
            self._drop_input()  # as the kernel does with what it still holds
        self._input.append(memoryview(data))
        self._count_input(len(data))
        if len(self._input) == 1:
            self._hand_on_some()
            if self._input:
                self._loop.add_writer(self._fd, self._on_room_for_input)

    def _on_room_for_input(self) -> None:
        self._hand_on_some()
        if not self._input:
            self._loop.remove_writer(self._fd)

    def _hand_on_some(self) -> None:
        """As much as the program takes; the rest waits for its turn."""
        handed_on = 0
        with contextlib.suppress(BlockingIOError):
            while self._input and handed_on < WRITE_BYTES:
                handed_on += self._hand_on(self._input.popleft())

    def _hand_on(self, data: memoryview) -> int:
        try:
            written = os.write(self._fd, data[:WRITE_BYTES])
        except BlockingIOError:
            self._input.appendleft(data)
            raise
        except OSError:
            written = len(data)  # nobody will ever read it
        if rest := data[written:]:
            self._input.appendleft(rest)
        self._count_input(-written)
        return written

    def _drop_input(self) -> None:
        self._input.clear()
        self._count_input(-self._input_bytes)

    def _count_input(self, more: int) -> None:
        self._input_bytes += more
        if self._input_bytes > MOST_INPUT:
            self.has_room.clear()
        else:
            self.has_room.set()

    # End

    async def end(self, grace_s: float = 0.5) -> None:
        """Hangs the shell up, and what runs in its foreground; kills what does not care."""
        self._is_ending = True
        self._regulate()
        for signals, wait_s in (((signal.SIGHUP, signal.SIGCONT), grace_s), ((signal.SIGKILL,), 5.0)):
            if not self.is_running:
                return
            for group in {self._process.pid, self._foreground()}:
                for one in signals:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(group, one)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._ended.wait()

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()
        rest, _ = self._read(REST_BYTES)
        for begin in range(0, len(rest), READ_BYTES):
            self.history.ring.append(rest[begin : begin + READ_BYTES])
        self.history.exit_code = code if code >= 0 else 128 - code
        self._ended.set()
        self._drop_input()
        self._read_on(False)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._show()
        if self._telling:
            self._telling.cancel()
        self._tell_now()

    # Name and place

    def folder(self) -> Path | None:
        """Where the shell is now."""
        try:
            return Path(f"/proc/{self._process.pid}/cwd").readlink() if self.is_running else None
        except OSError:
            return None

    def _title(self) -> str:
        """Its name; or what the program in front calls itself, else what runs in the foreground."""
        if self.name:
            return self.name
        if self.is_running and self._said_title and self._said_by == self._foreground():
            return self._said_title
        title = shown(_program(self._foreground())) if self.is_running and self._has_keyboard() else ""
        return title if title and title != "setsid" else "bash"  # the shell is just being started

    def _has_keyboard(self) -> bool:
        """Whether the shell has taken its terminal: until then its process may still bear our own name."""
        try:
            return os.tcgetpgrp(self._fd) > 0
        except OSError:
            return False

    def _foreground(self) -> int:
        """The process group that has the keyboard."""
        try:
            return os.tcgetpgrp(self._fd) or self._process.pid
        except OSError:
            return self._process.pid


def _start_shell(
    cwd: Path, environment: Mapping[str, str], cols: int, rows: int
) -> tuple[int, subprocess.Popen[bytes]]:
    """The server's end of a new pseudo-terminal, and the login shell at the other.

    `setsid --ctty` gives it a session and its terminal after the fork: Python must not do that where there
    are threads.
    """
    ours, theirs = os.openpty()
    try:
        _set_size(ours, cols, rows)
        attributes = termios.tcgetattr(theirs)
        attributes[0] |= IUTF8
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        os.set_blocking(ours, False)
        command = ["setsid", "--ctty", "bash", "-l"]
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return ours, process


def _program(pid: int) -> str:
    """What it runs, as the kernel calls it; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _set_size(fd: int, cols: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
