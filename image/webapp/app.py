"""The server, put together."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from webapp.access import Access
from webapp.assets import Assets
from webapp.auth import Auth, Login
from webapp.awake import Awake
from webapp.boot import boot_of, boot_routes, versions
from webapp.chat import Chat
from webapp.config import Config
from webapp.data.routes import Data
from webapp.files.routes import Files
from webapp.front import answering, guarded
from webapp.health import health_routes
from webapp.live import Live
from webapp.push import Push
from webapp.settings import Settings, SettingsFile
from webapp.terminals import Terminals
from webapp.told import keep_told

log = logging.getLogger("webapp")

CLOSE_WITHIN_S = 2.5
WARM_AFTER_S = 3.0


class Server:
    """All parts of a workspace's server, and how they hear of each other."""

    def __init__(
        self,
        config: Config,
        environment: dict[str, str],
        access: Access | None = None,
        assets: Assets | None = None,
    ) -> None:
        """With the access and the assets that have answered so far, if any have."""
        self.live = Live()
        self.access = access or Access(config)
        self.settings = SettingsFile(config.app / "settings.json", self._settings_changed)
        self.login = Login(config, environment, self._auth_changed)
        self.terminals = Terminals(config.workspace, environment, self.live.publish)
        subject = config.url if config.url.startswith("https://") else f"mailto:{config.user_email}"
        self.push = Push(config.app / "push.json", subject, self.access.is_in, self.live.is_looked_at)
        self.files = Files(config, environment, self.live.publish)
        self.chat = Chat(
            config, environment, self._tell_of_chat, lambda: self.settings.current, self.files.uploads
        )
        self.awake = Awake(config.url, self.chat.busy)
        self.chat.stirred = self.awake.stir
        self.data = Data(config, self.files, self.live.publish, self._data_arrived)
        self._boot = boot_of(config, self.login, self.settings)
        self._assets = assets or Assets(config.static)
        self._config = config
        self._told = config.told
        self._somebody_came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def app(self) -> ASGIApp:
        """All of it, alone."""
        return guarded(self.inner(), self._config, self.access, self._assets)

    def inner(self) -> Starlette:
        """What answers who has come through the gate."""
        return answering(self.routes(), lambda _app: self.life())

    def routes(self) -> list[BaseRoute]:
        """Everything that can be asked for."""
        return [
            *health_routes(self.chat.busy),
            *self.access.routes(),
            *boot_routes(self._boot),
            *self.login.routes(),
            *self.settings.routes(),
            *self.terminals.routes(),
            *self.chat.routes(),
            *self.push.routes(),
            *self.awake.routes(),
            *self.files.routes(),
            *self.data.routes(),
            *self.live.routes(self._boot, self.chat, self.files.watching, self._somebody_came.set),
            *self._assets.routes(),
        ]

    @contextlib.asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        """From the start of what runs beside the answers to the end of all that was opened."""
        self._in_background("The login is no longer watched", self.login.watch(self.live.anybody))
        self._in_background("The chat could not be prepared", self._warm())
        self._in_background("The chat's folders are not kept in order", self.chat.keep_house())
        self._in_background("The machine is no longer held awake", self.awake.watch())
        self._in_background("The operator is no longer told", keep_told(self._told, self._facts))
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            closing = (
                ("notifications", self.push.close()),  # first: that a turn is cut off by the end is no news
                ("chat", self.chat.close()),
                ("terminals", self.terminals.close()),
                ("files", self.files.watching.close()),
                ("list of devices", self.access.close()),
            )
            await asyncio.gather(*(_in_time(what, work) for what, work in closing))

    def _facts(self) -> dict[str, Any]:
        """What the operator may know."""
        state = self.login.now.state
        return {
            "connected": None if state == "checking" else state == "signed_in",
            "addresses": self.access.places.count(),
            "turns": self.chat.turns(),
            "claude": versions()["claude"],
        }

    async def _warm(self) -> None:
        """Loads what chatting needs, once a page is there and has been told of the login."""
        await self._somebody_came.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WARM_AFTER_S):
                await self.login.tried.wait()
        await self.chat.warm()

    def _tell_of_chat(self, message: dict[str, Any]) -> None:
        self.live.publish(message)
        self.push.hear(message)

    def _settings_changed(self, settings: Settings) -> None:
        self.live.publish({"type": "settings", "settings": settings.json()})

    def _data_arrived(self) -> None:
        self.settings.read_again()

    def _auth_changed(self, auth: Auth) -> None:
        self.live.publish({"type": "auth", "auth": auth.json()})
        self._in_background(
            "The chat did not take the change of login",
            self.chat.auth_changed(signed_in=auth.state == "signed_in"),
        )

    def _in_background(self, complaint: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_or_complain(complaint, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _in_time(what: str, closing: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await _or_complain(f"The {what} could not be closed", closing)
    except TimeoutError:
        log.warning("The %s took too long to close", what)


async def _or_complain(complaint: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("%s", complaint)
