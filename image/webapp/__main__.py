"""`python -m webapp`: serves the workspace until SIGTERM or SIGINT, then ends cleanly."""

import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from webapp import __version__
from webapp.config import Config, ConfigError, read_config
from webapp.environment import environment
from webapp.lean import uvicorn_alone

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from starlette.types import ASGIApp

log = logging.getLogger("webapp")

DEAD_AFTER_MS = 60_000
FAILED = 1


def main() -> int:
    gc.disable()  # until all is loaded: what is imported stays, and to search it for waste costs a tenth
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    log.setLevel(logging.INFO)
    # uvicorn's word for a socket that was refused: anybody could fill the log with it.
    refused = "ASGI callable returned without completing handshake."
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg != refused)
    try:
        config = read_config(os.environ)
        listener = _listen(config.port)
    except (ConfigError, OSError) as error:
        log.error("%s", error)
        return 2
    code = _serve(config, listener)
    # All is closed. A thread that still loads what only the chat needs would hold up the end for seconds.
    logging.shutdown()
    os._exit(code)


def _serve(config: Config, listener: socket.socket) -> int:
    # Only now: what is wrong with environment or port is said at once, and who connects from here on waits.
    import asyncio  # noqa: PLC0415

    from webapp.front import Front  # noqa: PLC0415

    short = environment(config, os.environ)
    os.environ.clear()  # so that nothing that is started from here can inherit more than this
    os.environ.update(short)
    front = Front(config, short)
    server = uvicorn_alone().Server(uvicorn_config(front.app))

    def end(*_signal: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn has its own while it serves, and raises the signal once more when it has ended.
        signal.signal(number, end)
    front.give_up = end
    log.info("my-jarvis %s serves on port %d", __version__, listener.getsockname()[1])
    asyncio.new_event_loop().run_until_complete(server.serve(sockets=[listener]))
    log.info("my-jarvis has ended")
    return FAILED if front.failed else 0


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it: a page that vanished without a word is noticed in a minute, not in fifteen.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_MS)
    # And no word or key waits until the one before it is acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind(("0.0.0.0", port))  # noqa: S104 - the platform's proxy comes from outside the machine
    except OSError as error:
        listener.close()
        raise OSError(f"Port {port} cannot be had: {error.strerror}") from error
    listener.listen(2048)  # whoever knocks before the rest is loaded waits, and need not try again
    return listener


def uvicorn_config(app: "Callable[[], ASGIApp]") -> "uvicorn.Config":
    """How the server speaks HTTP and WebSocket."""
    return uvicorn_alone().Config(  # type: ignore[no-any-return]
        app,
        factory=True,
        ws=_websocket,
        ws_per_message_deflate=False,  # each socket decides for itself
        ws_max_size=16 << 20,
        ws_ping_interval=20,
        ws_ping_timeout=40,  # on a slow link the ping arrives behind all that was sent before it
        http="h11",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,  # longer than a proxy keeps a connection in its pool
        timeout_graceful_shutdown=1,
    )


def _websocket(*given: Any, **named: Any) -> "asyncio.Protocol":
    """The protocol of one socket: the first one loads it."""
    from webapp.protocol import Socket  # noqa: PLC0415

    return Socket(*given, **named)


if __name__ == "__main__":
    sys.exit(main())
