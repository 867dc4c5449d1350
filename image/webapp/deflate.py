"""The protocol of one socket: what a page is told comes compressed, what a terminal prints does not."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request

COMPRESSED = "/api/live"
"""Words shrink to a quarter. A terminal would gain little, and lose throughput."""
WINDOW_BITS, MEMORY_LEVEL = 12, 5
"""So a socket needs some 40 KB more."""


class Socket(WebSocketsSansIOProtocol):
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
