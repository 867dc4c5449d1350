"""The least that a server in this image can be: what the workspace's figures are compared with."""

from __future__ import annotations

from fly.plan import PORT
from tests.support.containers import Workspace, Workspaces

_PROGRAM = f"""
import socket
server = socket.create_server(("0.0.0.0", {PORT}))
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\nok")
    client.close()
"""


def static_server(workspaces: Workspaces) -> Workspace:
    """A container of the image whose one process answers everything with "ok"."""
    return workspaces.start(entrypoint=["python3", "-ISc", _PROGRAM], command=[], init=True)
