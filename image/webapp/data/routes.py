"""The page's routes to all of her data at once."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute

from webapp.config import Config
from webapp.data.usage import usage
from webapp.files.routes import Files, answering
from webapp.files.sending import attachment
from webapp.problem import Problem, json_object

Message = dict[str, Any]


class Data:
    """Usage, export and import. What makes and reads archives is loaded when it is first needed."""

    def __init__(
        self, config: Config, files: Files, publish: Callable[[Message], None], arrived: Callable[[], None]
    ) -> None:
        self._config = config
        self._files = files
        self._publish = publish
        self._arrived = arrived
        self._busy = asyncio.Lock()
        self._state = ""

    def routes(self) -> list[BaseRoute]:
        return [
            answering("GET", "/api/data/usage", self._usage),
            answering("GET", "/api/data/export", self._export),
            answering("GET", "/api/data/import", self._get_import),
            answering("POST", "/api/data/import", self._check),
            answering("DELETE", "/api/data/import", self._forget),
            answering("POST", "/api/data/import/apply", self._apply),
        ]

    async def _usage(self, _request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(usage, self._config))

    async def _export(self, request: Request) -> Response:
        from webapp.data.export import export, file_name  # noqa: PLC0415

        secrets = request.query_params.get("secrets") == "1"
        headers = {"content-disposition": attachment(file_name(self._config))}
        pieces = export(self._config, secrets=secrets)
        return StreamingResponse(pieces, headers=headers, media_type="application/gzip")

    async def _get_import(self, _request: Request) -> Response:
        now = await run_in_threadpool(self._intake().now)
        return JSONResponse({**now.json(), "state": self._state or now.state})

    async def _check(self, request: Request) -> Response:
        from webapp.data.archive import BadArchive  # noqa: PLC0415

        name = (await json_object(request)).get("upload")
        archive = self._files.uploads.whole(str(name))
        intake = self._intake()
        self._refuse_while_busy()
        async with self._busy:
            if intake.now().state == "applying":
                raise _half_done()
            self._state = "checking"
            try:
                ready = await run_in_threadpool(intake.check, archive)
            except BadArchive as bad:
                message = f"This archive cannot be brought in. {bad}"
                raise Problem(
                    422, "bad_archive", message, "Export it again, or upload it once more."
                ) from bad
            finally:
                self._state = ""
        await self._files.uploads.drop(str(name))
        return JSONResponse(ready.json())

    async def _apply(self, request: Request) -> Response:
        from webapp.data.intake import CHOICES  # noqa: PLC0415

        existing = (await json_object(request)).get("existing", "keep")
        if existing not in CHOICES:
            raise Problem(400, "bad_request", f"existing is one of {', '.join(CHOICES)}.")
        intake = self._intake()
        self._refuse_while_busy()
        async with self._busy:
            if intake.now().state not in {"ready", "applying"}:
                raise Problem(409, "nothing_ready", "There is no archive that could be brought in.")
            done = await run_in_threadpool(intake.apply, str(existing))
        self._arrived()
        return JSONResponse(done.json())

    async def _forget(self, _request: Request) -> Response:
        intake = self._intake()
        self._refuse_while_busy()
        async with self._busy:
            if intake.now().state == "applying":
                raise _half_done()
            await run_in_threadpool(intake.forget)
        return Response(status_code=204)

    def _intake(self) -> Any:
        from webapp.data.intake import Import, Intake  # noqa: PLC0415

        loop = asyncio.get_running_loop()

        def told(now: Import) -> None:
            loop.call_soon_threadsafe(self._publish, {"type": "import", "import": now.json()})

        return Intake(self._config, self._files.trash, told)

    def _refuse_while_busy(self) -> None:
        if self._busy.locked():
            raise Problem(409, "busy", "An archive is being brought in just now.")


def _half_done() -> Problem:
    return Problem(409, "half_done", "An import was cut off in the middle.", "Go on with it first.")
