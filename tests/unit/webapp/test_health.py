"""The health check, and "do not put me to sleep"."""

from __future__ import annotations

import sys
import threading
from typing import Any

from tests.support.webapp import NoChat, Served


def test_a_server_that_works_for_nobody_may_sleep(served: Served) -> None:
    with served.client() as client:
        answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "busy": False})
    assert "x-jarvis-busy" not in answer.headers


def test_a_running_turn_keeps_the_machine_awake(served: Served, chat: NoChat) -> None:
    chat.is_busy = True
    with served.client() as client:
        answer = client.get("/health")
    assert answer.json() == {"status": "ok", "busy": True}
    assert answer.headers["x-jarvis-busy"] == "30"


def test_head_is_enough(served: Served) -> None:
    with served.client() as client:
        assert client.head("/health").status_code == 200


def test_health_never_touches_the_disk(served: Served) -> None:
    touched: list[str] = []
    watching = True

    def notice(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in {"open", "os.listdir", "os.scandir"} and is_server():
            touched.append(f"{event} {arguments}")

    with served.client() as client:
        client.get("/health")
        sys.addaudithook(notice)
        client.get("/")
        assert touched, "the page comes from the disk, and that must be seen"
        touched.clear()
        answer = client.get("/health")
        watching = False
    assert (answer.status_code, touched) == (200, [])


def is_server() -> bool:
    return threading.current_thread().name == "server"
