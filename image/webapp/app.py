"""The server, put together."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from webapp.assets import Assets
from webapp.auth import Auth, Login
from webapp.boot import boot_of, boot_routes

try:  # until chat.py is there
    from webapp.chat import Chat
except ModuleNotFoundError:
    class Chat:  # type: ignore
        def __init__(self, *a): pass
        async def handle(self, m, reply, s): reply({"type":"refused","of":m["type"],"conversation":m.get("conversation"),"code":"absent","message":"no chat yet"})
        def gone(self, s): pass
        def busy(self): return False
        def routes(self): return []
        async def auth_changed(self): pass
        async def close(self): pass
        async def warm(self): pass
from webapp.config import Config
from webapp.guard import Guard
from webapp.health import health_routes
from webapp.live import Live
from webapp.problem import Problem, answer_crash, answer_http_exception, answer_problem
from webapp.settings import Settings, SettingsFile
from webapp.terminals import Terminals

log = logging.getLogger("webapp")

LARGEST_BODY = 1 << 20
CLOSE_WITHIN_S = 2.5
WARM_AFTER_S = 3.0


class Server:
    """All parts of a workspace's server, and how they hear of each other."""

    def __init__(self, config: Config, environment: dict[str, str]) -> None:
        self.live = Live()
        self.settings = SettingsFile(config.app / "settings.json", self._settings_changed)
        self.login = Login(config, environment, self._auth_changed)
        self.terminals = Terminals(config.workspace, environment)
        self.chat = Chat(config, environment, self.live.publish, lambda: self.settings.current)
        self._boot = boot_of(config, self.login, self.settings)
        self._assets = Assets(config.static)
        self._somebody_came = asyncio.Event()

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                *health_routes(self.chat.busy),
                *boot_routes(self._boot),
                *self.login.routes(),
                *self.settings.routes(),
                *self.terminals.routes(),
                *self.chat.routes(),
                *self.live.routes(self._boot, self.chat, self._somebody_came.set),
                *self._assets.routes(),
            ],
            middleware=[Middleware(Guard)],
            exception_handlers={Problem: answer_problem, HTTPException: answer_http_exception, Exception: answer_crash},
            lifespan=lambda _app: self._life(),
            max_body_size=LARGEST_BODY,
        )

    @contextlib.asynccontextmanager
    async def _life(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.login.watch(self.live.anybody)), asyncio.create_task(self._warm())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(_in_time(self.chat.close), _in_time(self.terminals.close))

    async def _warm(self) -> None:
        """Loads what chatting needs, once a page is there and the login, which it waits for, is known."""
        await self._somebody_came.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WARM_AFTER_S):
                await self.login.known.wait()
        try:
            await self.chat.warm()
        except Exception:
            log.exception("The chat could not be prepared")

    def _settings_changed(self, settings: Settings) -> None:
        self.live.publish({"type": "settings", "settings": settings.json()})

    async def _auth_changed(self, auth: Auth) -> None:
        self.live.publish({"type": "auth", "auth": auth.json()})
        await self.chat.auth_changed()


async def _in_time(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await close()
    except TimeoutError:
        log.warning("%s took too long to close", close.__qualname__.partition(".")[0])
    except Exception:
        log.exception("%s could not be closed", close.__qualname__.partition(".")[0])
