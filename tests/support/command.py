"""One command in a running container, to its end and with all that it said.

A plain exec of the engine may lose output: what a program writes before the caller listens, and, on a busy
machine, what the engine has not passed on two seconds after the program's end. So the command begins when it
is told to, and ends when it is told that its last word has come.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from docker.utils.socket import STDERR, STDOUT, frames_iter

from image.patience import patience
from tests.support.wait import wait_until

_BOTH = (STDOUT, STDERR)
_SCRIPT = (
    'said=$1; shift; read -r _; "$@" < /dev/null; status=$?; '
    'printf %s "$said"; printf %s "$said" >&2; read -r _; exit $status'
)


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    status: int
    output: str
    errors: str


def run_in(
    container: Any, command: Sequence[str], *, user: str, environment: Mapping[str, str], timeout_s: int
) -> Ran:
    """Runs an argument list (no shell) under a time limit; `container` is one of docker-py's."""
    api, last_word = container.client.api, secrets.token_hex(8)
    limited = ["timeout", "--kill-after=1", str(round(timeout_s * patience())), *command]
    made = api.exec_create(
        container.id,
        ["sh", "-c", _SCRIPT, "sh", last_word, *limited],
        stdin=True,
        user=user,
        environment=dict(environment),
    )["Id"]
    said = _converse(api.exec_start(made, socket=True), last_word.encode())
    wait_until(lambda: not api.exec_inspect(made)["Running"], "the end of a command")
    output, errors = (part.decode(errors="replace").removesuffix(last_word) for part in said)
    return Ran(int(api.exec_inspect(made)["ExitCode"]), output, errors)


def _converse(socket: Any, last_word: bytes) -> list[bytes]:
    """Both streams, as far as they came: a container that ends takes its commands along."""
    connection = socket._sock
    connection.settimeout(None)  # the command has a limit of its own
    said = {stream: bytearray() for stream in _BOTH}
    try:
        connection.sendall(b"\n")
        for stream, piece in _frames(socket):
            said[stream] += piece
            if all(one.endswith(last_word) for one in said.values()):
                connection.sendall(b"\n")
                break
        for _ in _frames(socket):
            pass
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        socket._response.close()
        connection.close()
    return [bytes(said[stream]) for stream in _BOTH]


def _frames(socket: Any) -> Iterator[tuple[int, bytes]]:
    yield from frames_iter(socket, tty=False)  # type: ignore[no-untyped-call]
