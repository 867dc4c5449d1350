"""Opens a secret address in the browser, and in no list of processes, where others could read it."""

import secrets
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event
from time import monotonic

TAKEN_WITHIN_S = 20.0


def open_secret(url: str, opener: Callable[[str], bool] = webbrowser.open) -> bool:
    """Whether the browser has taken it, from an address on this machine that gives it away once."""
    path, taken = f"/{secrets.token_urlsafe(24)}", Event()
    with HTTPServer(("127.0.0.1", 0), _handler(path, url, taken)) as server:
        if opener(f"http://127.0.0.1:{server.server_port}{path}"):
            _serve(server, taken)
    return taken.is_set()


def _serve(server: HTTPServer, taken: Event) -> None:
    deadline = monotonic() + TAKEN_WITHIN_S
    while not taken.is_set() and (left_s := deadline - monotonic()) > 0:
        server.timeout = left_s
        server.handle_request()


def _handler(path: str, url: str, taken: Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 2  # a browser may open connections that it does not use

        def do_GET(self) -> None:
            if not secrets.compare_digest(self.path, path):
                self.send_error(404)
                return
            taken.set()
            self.send_response(303)
            self.send_header("location", url)
            self.send_header("referrer-policy", "no-referrer")
            self.send_header("cache-control", "no-store")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler
