"""What the user chose: kept as one small JSON file, changed by atomic replacement."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webapp.jsonfile import read_object, save_object
from webapp.problem import Problem, json_object

CHOICES = {
    "theme": ("system", "light", "dark"),
    "text_size": ("small", "medium", "large"),
    "detail": ("clean", "detailed"),
    "permission_mode": ("default", "acceptEdits", "plan", "bypassPermissions"),
    "effort": ("", "low", "medium", "high", "xhigh", "max"),
}
LONGEST = {"display_name": 100, "language": 40, "model": 100}


@dataclass(frozen=True)
class Settings:
    display_name: str = ""
    language: str = ""
    theme: str = "system"
    text_size: str = "medium"
    enter_sends: bool = True
    detail: str = "clean"
    permission_mode: str = "default"
    model: str = ""
    effort: str = ""

    def json(self) -> dict[str, Any]:
        return asdict(self)


NAMES = frozenset(field.name for field in fields(Settings))


def fault(name: str, value: object) -> str:
    """What is wrong with this value for this setting, "" if nothing."""
    if name not in NAMES:
        return f"There is no setting {name[:40]!r}."
    if name == "enter_sends":
        return "" if isinstance(value, bool) else "enter_sends must be true or false."
    if not isinstance(value, str):
        return f"{name} must be a text."
    if name in CHOICES:
        return "" if value in CHOICES[name] else f"{name} must be one of {', '.join(CHOICES[name])}."
    if len(value) > LONGEST[name] or not value.isprintable():
        return f"{name} must be one line of at most {LONGEST[name]} characters."
    return ""


class SettingsFile:
    """The settings in a file; read once, when first asked for."""

    def __init__(self, path: Path, changed: Callable[[Settings], None]) -> None:
        self._path = path
        self._changed = changed
        self._stored: dict[str, Any] | None = None  # with the keys of versions to come, which are kept
        self._writing = asyncio.Lock()

    @property
    def current(self) -> Settings:
        if self._stored is None:
            self._stored = read_object(self._path)
        return _settings(self._stored)

    def read_again(self) -> None:
        """The file has been brought in from elsewhere."""
        self._stored = None
        self._changed(self.current)

    async def change(self, patch: dict[str, Any]) -> Settings:
        """The settings with this part changed, on disk before it is true.

        Errors: Problem 400 for what makes no sense, 507 if it cannot be written.
        """
        for name, value in patch.items():
            if problem := fault(name, value):
                raise Problem(400, "bad_setting", problem)
        async with self._writing:
            before = self.current
            after = replace(before, **patch)
            if after != before:
                stored = {**(self._stored or {}), **after.json()}
                await asyncio.to_thread(save_object, self._path, stored, "The settings")
                self._stored = stored
                self._changed(after)
        return after

    def routes(self) -> list[Route]:
        return [Route("/api/settings", self._put, methods=["PUT"])]

    async def _put(self, request: Request) -> Response:
        return JSONResponse((await self.change(await json_object(request))).json())


def _settings(stored: dict[str, Any]) -> Settings:
    return Settings(**{name: value for name, value in stored.items() if not fault(name, value)})
