"""What answers first: /health, signing in, the page's files. Everything else is loaded behind it.

A machine that was stopped is started because somebody waits for a page. She gets it, from a third of the
code. The rest is loaded when anything asks for it, or a moment after anything was; where nobody came (it was
made, or looked at), when others that start beside it have had their turn. From then on it answers.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from webapp.access import Access
from webapp.assets import Assets
from webapp.config import Config
from webapp.gate import Gate
from webapp.guard import HEALTH, Guard
from webapp.health import health_routes
from webapp.problem import Problem, answer_crash, answer_http_exception, answer_problem

if TYPE_CHECKING:
    from webapp.app import Server

log = logging.getLogger("webapp")

LARGEST_BODY = 1 << 20
LOADED_AFTER_S = 0.25
UNVISITED_LOADED_AFTER_S = 10.0
IN_THIS_ORDER = (
    "webapp.terminals",
    "webapp.files.routes",
    "webapp.data.routes",
    "webapp.conversation",
    "webapp.chat",
)
"""The longest of what is imported, a part at a time: in between, who waits for the page is answered."""


def answering(routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """These routes, and how a request that fails is answered."""
    return Starlette(
        routes=routes,
        exception_handlers={
            Problem: answer_problem,
            HTTPException: answer_http_exception,
            Exception: answer_crash,
        },
        lifespan=lifespan,
        max_body_size=LARGEST_BODY,
    )


def guarded(app: ASGIApp, config: Config, access: Access, assets: Assets) -> ASGIApp:
    """This, behind all that stands before it."""
    if config.paused_until is not None:
        from webapp.pause import Pause  # noqa: PLC0415

        app = Pause(app, config.paused_until, config.contact)
    # The outermost, so that nothing answers without them.
    return Guard(Gate(app, access, assets.sign_in), config.hosts)


class Front:
    """The whole server, from its first answer on; where the rest cannot be had it has `failed`, and ends."""

    def __init__(self, config: Config, environment: dict[str, str]) -> None:
        self.failed = False
        self.give_up: Callable[[], None] = lambda: None
        self._config = config
        self._environment = environment
        self._access = Access(config)
        self._assets = Assets(config.static)
        self._visited = asyncio.Event()
        self._wanted = asyncio.Event()
        self._loaded = asyncio.Event()
        self._ended = asyncio.Event()
        self._whole: ASGIApp | None = None
        self._first = answering(
            [*health_routes(lambda: False), *self._access.routes(), *self._assets.routes()],
            lambda _app: self._life(),
        )

    def app(self) -> ASGIApp:
        return guarded(self._answer, self._config, self._access, self._assets)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._whole is None and not _is_a_look(scope):
            self._visited.set()
            if not _comes_first(scope):
                self._wanted.set()
                await self._loaded.wait()
        await (self._whole or self._first)(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _life(self) -> AsyncIterator[None]:
        living = asyncio.create_task(self._live())
        try:
            yield
        finally:
            self._ended.set()
            self._visited.set()
            self._wanted.set()
            await living

    async def _live(self) -> None:
        """Loads the rest, and lives with it until the end."""
        await _come_or_over(self._visited, UNVISITED_LOADED_AFTER_S)
        await _come_or_over(self._wanted, LOADED_AFTER_S)
        if self._ended.is_set():
            return
        try:
            server = await self._load()
            if self._ended.is_set():
                return
            async with server.life():
                self._have(server.inner())
                await asyncio.sleep(
                    0
                )  # what runs beside the answers begins: only then can it be ended quietly
                await self._ended.wait()
        except Exception:
            log.exception("The server cannot be put together")
            self.failed = True
            self._have(Problem(503, "broken", "The workspace could not be started.").response())
            self.give_up()

    def _have(self, whole: ASGIApp) -> None:
        self._whole = whole
        self._loaded.set()
        gc.freeze()
        gc.enable()

    async def _load(self) -> "Server":
        for name in IN_THIS_ORDER:
            importlib.import_module(name)
            await asyncio.sleep(0)
        from webapp.app import Server  # noqa: PLC0415

        return Server(self._config, self._environment, self._access, self._assets)


async def _come_or_over(event: asyncio.Event, limit_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()


def _is_a_look(scope: Scope) -> bool:
    """Whether only a machine asks: the platform how it fares, or uvicorn to begin and to end."""
    return scope["type"] == "lifespan" or scope.get("path") == HEALTH


def _comes_first(scope: Scope) -> bool:
    if scope["type"] != "http":
        return bool(scope["type"] == "lifespan")
    path: str = scope["path"]
    return path == "/api/login" or not (path == "/api" or path.startswith("/api/"))
