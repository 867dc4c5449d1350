"""Am I well, and may I be put to sleep?"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webapp.guard import HEALTH

BUSY_FOR_S = 30


def health_routes(busy: Callable[[], bool]) -> list[Route]:
    """`GET /health`: from memory alone, so that a full or slow disk does not look like a dead server."""

    async def health(_request: Request) -> Response:
        working = busy()
        headers = {"cache-control": "no-store"}
        if working:
            headers["x-jarvis-busy"] = str(BUSY_FOR_S)
        return JSONResponse({"status": "ok", "busy": working}, headers=headers)

    return [Route(HEALTH, health)]
