"""The protocol of one socket: what a page is told comes compressed; a terminal speaks and hears past ASGI.

For a key and its echo, ASGI's own queue, tasks and messages take as long as all the rest.
"""

import contextlib
from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request

COMPRESSED = "/api/live"
"""Words shrink to a quarter. A terminal would gain little, and lose throughput."""
WINDOW_BITS, MEMORY_LEVEL = 12, 5
"""So a socket needs some 40 KB more."""


class Socket(WebSocketsSansIOProtocol):
    """Whoever serves it finds it as `state.socket`."""

    _heard: Callable[[bytes], None] | None = None

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """From now on each message goes there, as it comes; `receive` tells of the end alone."""
        self._heard = heard
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for message in waiting:
            if message["type"] == "websocket.receive":
                heard(message.get("bytes") or b"")
            else:
                self.queue.put_nowait(message)
        self.hold(False)

    def hold(self, on: bool) -> None:
        """Whether who sends has to wait."""
        self.read_paused = on
        if on:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def say(self, message: bytes) -> None:
        """At once. Whoever says more than the other takes has to see to it that it stays little."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        with contextlib.suppress(InvalidState):
            self.conn.send_binary(message)
            self.transport.write(b"".join(self.conn.data_to_send()))

    def send_receive_event_to_app(self) -> None:
        if self._heard is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        message, self.frames = b"".join(self.frames), []
        self._heard(message if self.curr_msg_data_type == "bytes" else b"")

    def handle_connect(self, event: Request) -> None:
        if event.path.partition("?")[0] == COMPRESSED:
            self.conn.available_extensions = [
                ServerPerMessageDeflateFactory(
                    server_max_window_bits=WINDOW_BITS,
                    client_max_window_bits=WINDOW_BITS,
                    compress_settings={"memLevel": MEMORY_LEVEL},
                )
            ]
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["state"]["socket"] = self
