"""What goes wrong in a request, told to the page as JSON."""

import json

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Problem(Exception):  # noqa: N818 - the word of the standard for such answers (RFC 9457)
    """A request that is answered with an error.

    Shape: {"error": {"code": "not_found", "message": "one plain sentence", "hint": "what to try next"}}
    """

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = headers

    def response(self, **more: object) -> Response:
        error = {"code": self.code, "message": self.message, "hint": self.hint}
        return JSONResponse({"error": error, **more}, self.status, headers=self.headers)


def not_found(what: str) -> Problem:
    return Problem(404, "not_found", f"There is no {what}.")


async def answer_problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.path_params.get("path", "").startswith("api/"):
        problem = not_found("such route")  # only the page's own route, which takes every path, came close
    elif error.status_code == 405:
        problem = Problem(405, "method_not_allowed", f"{request.method} is not possible here.")
    elif error.status_code == 413:
        problem = Problem(413, "too_large", "The request is too large.")
    else:
        problem = Problem(error.status_code, "refused", error.detail)
    response = problem.response()
    response.headers.update(error.headers or {})
    return response


async def answer_crash(_request: Request, _error: Exception) -> Response:
    """Starlette logs the traceback; the page learns only that it is not her fault."""
    return Problem(
        500, "broken", "Something went wrong in the workspace.", "Try again; reload the page if it stays."
    ).response()


async def json_object(request: Request) -> dict[str, object]:
    """The body as a JSON object; an empty body is an empty object.

    Errors: Problem 400.
    """
    body = await request.body()
    try:
        value = json.loads(body) if body.strip() else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Problem(400, "bad_json", "The request's body is no JSON object.")
    return value
