"""The machine is held awake while a turn runs, by a request of the server to itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from webapp import awake as awake_module
from webapp.__main__ import uvicorn_config
from webapp.awake import HEADER, PATH, Awake
from webapp.config import ConfigError, read_config
from webapp.problem import Problem, answer_problem

from tests.support.chat_page import soon


class House:
    """A server that may be busy, and whoever is connected to it."""

    def __init__(self) -> None:
        self.busy = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.awake = Awake(self.url, lambda: self.busy)
        routes = self.awake.routes()
        app = Starlette(routes=routes, exception_handlers={Problem: answer_problem})
        self.server = uvicorn.Server(uvicorn_config(lambda: app))

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def begin(self) -> None:
        self.busy = True
        self.awake.stir()

    def end(self) -> None:
        self.busy = False
        self.awake.stir()


def live(story: Callable[[House], Awaitable[None]]) -> None:
    async def life() -> None:
        house = House()
        serving = asyncio.create_task(house.server.serve([house.listener]))
        watching = asyncio.create_task(house.awake.watch())
        try:
            await soon(lambda: house.server.started, "the server")
            await story(house)
        finally:
            watching.cancel()
            house.server.should_exit = True
            await asyncio.gather(watching, serving, return_exceptions=True)

    asyncio.run(life())


def test_a_connection_is_there_as_long_as_a_turn_runs() -> None:
    async def story(house: House) -> None:
        assert house.connections == 0
        for _ in range(2):
            house.begin()
            await soon(lambda: house.connections == 1, "the connection")
            house.end()
            await soon(lambda: house.connections == 0, "its end")

    live(story)


def test_what_lasts_too_long_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake_module, "LONGEST_S", 0.05)
    monkeypatch.setattr(awake_module, "BEAT_S", 0.02)

    async def story(house: House) -> None:
        house.begin()
        before = house.server.server_state.total_requests
        await soon(lambda: house.server.server_state.total_requests > before + 2, "the next ones")
        house.end()
        await soon(lambda: house.connections == 0, "the end")

    live(story)


def test_nobody_else_can_hold_it_awake() -> None:
    async def story(house: House) -> None:
        house.begin()
        await soon(lambda: house.connections == 1, "the connection")
        async with httpx.AsyncClient(trust_env=False) as other:
            refused = [
                (await other.get(house.url + PATH, headers=headers)).status_code
                for headers in ({}, {HEADER: "guessed"}, {HEADER: ""})
            ]
        assert refused == [401, 401, 401]

    live(story)


def test_an_address_that_does_not_answer_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake_module, "FIRST_PAUSE_S", 0.01)
    tries = 0

    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        writer.close()

    async def life() -> None:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        awake = Awake(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lambda: True)
        watching = asyncio.create_task(awake.watch())
        await soon(lambda: tries >= 3, "three tries")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        server.close()

    asyncio.run(life())


def test_without_an_address_nothing_is_held() -> None:
    asyncio.run(asyncio.wait_for(Awake("", lambda: True).watch(), 5))


@pytest.mark.parametrize(
    "url", ["fly.dev", "ftp://a.b", "https://a.b/path", "https://u:p@a.b", "https://a b"]
)
def test_an_address_that_makes_no_sense_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match="JARVIS_URL"):
        read_config({"JARVIS_URL": url})
