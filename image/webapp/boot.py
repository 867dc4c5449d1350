"""What a page must know to draw itself."""

import importlib.util
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webapp import __version__
from webapp.auth import Login
from webapp.config import Config
from webapp.settings import SettingsFile

Boot = Callable[[], dict[str, Any]]


def boot_of(config: Config, login: Login, settings: SettingsFile) -> Boot:
    """The answer to `GET /api/boot`, from what is known at once: nobody waits for the binary."""

    def boot() -> dict[str, Any]:
        return {
            "user": {"name": config.user_name, "email": config.user_email},
            "auth": login.now.json(),
            "settings": settings.current.json(),
            "versions": versions(),
            "workspace": str(config.workspace),
        }

    return boot


def boot_routes(boot: Boot) -> list[Route]:
    async def get(_request: Request) -> Response:
        return JSONResponse(boot())

    return [Route("/api/boot", get)]


@cache
def versions() -> dict[str, str]:
    """Read from the SDK's files, since importing it takes half a second."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    return {
        "app": __version__,
        "claude": _constant(folder / "_cli_version.py", "__cli_version__"),
        "sdk": _constant(folder / "_version.py", "__version__"),
    }


def _constant(path: Path, name: str) -> str:
    try:
        found = re.search(rf'^{name} = "([^"]+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1) if found else ""
