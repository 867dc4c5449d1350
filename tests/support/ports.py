"""Ports that a test listens on."""

import os
import random
import socket
from contextlib import suppress

_GIVEN: set[int] = set()


def free_port() -> int:
    """One that stays free until it is listened on.

    The system takes the ports of connections that go out from 32768 on, so none may be from there; those who
    choose at the same time choose from different ones, and nobody is given the same twice.
    """
    worker, several = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), 32
    ports = range(20_000 + int(worker.removeprefix("gw")) % several, 32_768, several)
    for port in random.sample(ports, len(ports)):
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            if port not in _GIVEN:
                _GIVEN.add(port)
                return port
    raise AssertionError("no port is free")
