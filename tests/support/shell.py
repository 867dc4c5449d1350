"""A person at a terminal in a container."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pexpect
from pexpect.fdpexpect import fdspawn

from image.patience import patience
from tests.support.evidence import keep_transcript
from tests.support.wait import NeverHappenedError, wait_until

CTRL_C, CTRL_D, ENTER, ESCAPE = "\x03", "\x04", "\r", "\x1b"
WITHIN_S = 30.0
_PROMPT = re.compile(r"<<exit:(\d+)>>")
_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78]"
)
# What makes bash speak plainly: no echo, no line editing codes, and a prompt that tells the exit status.
_PLAIN = "PROMPT_COMMAND=; PS1='<<ex''it:$?>>'; PS2=; stty -echo; bind 'set enable-bracketed-paste off'"


class ShellFailedError(AssertionError):
    """A command's exit status was not 0."""


def without_escapes(text: str) -> str:
    """What a person reads of what the terminal was sent."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "")


class Shell:
    """One terminal session through the engine's exec, driven by pexpect.

    The engine's socket instead of a `docker exec -it`: no client program, no fork in a process with threads.
    """

    def __init__(
        self,
        api: Any,
        container_id: str,
        *,
        user: str,
        columns: int = 80,
        rows: int = 24,
        command: Sequence[str] = ("bash", "--login"),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.size = (columns, rows)
        self._api = api
        self._exec: str = api.exec_create(
            container_id,
            list(command),
            tty=True,
            stdin=True,
            user=user,
            environment={"TERM": "xterm-256color"} | (environment or {}),
        )["Id"]
        self._socket = api.exec_start(self._exec, tty=True, socket=True)
        # The API's read limit would make the descriptor non-blocking, and a long paste would be cut.
        self._connection = self._socket._sock
        self._connection.settimeout(None)
        self._log = io.StringIO()
        self._terminal = fdspawn(
            self._socket.fileno(), encoding="utf-8", codec_errors="replace", timeout=WITHIN_S, maxread=65536
        )
        self._terminal.logfile_read = self._log
        self.resize(columns, rows)

    # --- what a person does -----------------------------------------------------------------------

    def type(self, text: str) -> None:
        """Types a line and Enter."""
        self.press(text + ENTER)

    def press(self, keys: str) -> None:
        self._terminal.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        self.size = (columns, rows)
        self._api.exec_resize(self._exec, height=rows, width=columns)

    # --- what a person sees -----------------------------------------------------------------------

    def expect(self, *patterns: str, timeout_s: float = WITHIN_S) -> re.Match[str]:
        """Waits until one of the regular expressions shows; the session's end is a failure that says so."""
        wanted = " | ".join(patterns)
        index = self._shown([*patterns, pexpect.EOF], f"{wanted!r} on the terminal", timeout_s)
        if index == len(patterns):
            raise NeverHappenedError(f"the session ended before {wanted!r} showed")
        found = self._terminal.match
        assert isinstance(found, re.Match)
        return found

    def expect_text(self, text: str, timeout_s: float = WITHIN_S) -> str:
        """Waits until exactly this shows; gives what came before it."""
        self.expect(re.escape(text), timeout_s=timeout_s)
        return self.before

    def expect_end(self, timeout_s: float = WITHIN_S) -> str:
        """Waits until the session is over; gives what it still said."""
        self._shown([pexpect.EOF], "the end of the session", timeout_s)
        return self.before

    def _shown(self, patterns: list[Any], what: str, timeout_s: float) -> int:
        """Which of them came; `timeout_s` is meant for a free machine."""
        began = time.monotonic()
        while (waited_s := time.monotonic() - began) < timeout_s * patience():
            with suppress(pexpect.TIMEOUT):
                return int(self._terminal.expect(patterns, timeout=timeout_s * patience() - waited_s))
        raise NeverHappenedError(f"waited {waited_s:.1f} s for {what}")

    @property
    def before(self) -> str:
        """What came before what was last expected."""
        return str(self._terminal.before)

    @property
    def transcript(self) -> str:
        return self._log.getvalue()

    # --- commands, one after the other ------------------------------------------------------------

    def settle(self) -> Shell:
        """From here on `run` works: the shell speaks plainly and has the size that was asked for."""
        self.type(_PLAIN)
        self._prompt(WITHIN_S)
        columns, rows = self.size
        wait_until(
            lambda: self.run("stty size").split() == [str(rows), str(columns)],
            f"a terminal of {columns}x{rows}",
        )
        return self

    def run(self, command: str, timeout_s: float = WITHIN_S) -> str:
        """What a command prints, without escape codes. Errors: `ShellFailedError` unless it exits with 0."""
        status, output = self.attempt(command, timeout_s)
        if status != 0:
            raise ShellFailedError(f"{command!r} exited with {status}: {output}")
        return output

    def attempt(self, command: str, timeout_s: float = WITHIN_S) -> tuple[int, str]:
        """Exit status and output of a command."""
        self.type(command)
        return self.finished(timeout_s)

    def finished(self, timeout_s: float = WITHIN_S) -> tuple[int, str]:
        """Exit status and output, once the command under way is done."""
        status = self._prompt(timeout_s)
        return status, without_escapes(self.before).strip("\n")

    def _prompt(self, timeout_s: float) -> int:
        return int(self.expect(_PROMPT.pattern, timeout_s=timeout_s)[1])

    # --- the end ----------------------------------------------------------------------------------

    def exit_code(self, timeout_s: float = WITHIN_S) -> int:
        """The exit code of the session, once it is over."""

        wait_until(lambda: not self._state()["Running"], "the end of the session", timeout_s=timeout_s)
        return int(self._state()["ExitCode"])

    def _state(self) -> dict[str, Any]:
        return dict(self._api.exec_inspect(self._exec))

    def close(self) -> None:
        """Leaves; what runs in the session goes on, as when a window is closed over a bad line."""
        keep_transcript(without_escapes(self.transcript))
        self._socket._response.close()
        self._connection.close()
