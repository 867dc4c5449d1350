"""What a request asks for, in the shapes that Fly knows; what makes no sense is refused."""

import json
import math
import shlex
import signal as signals
import time
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from fly.local import shapes
from fly.local.promql import BadQuery
from fly.local.refusal import Refusal, invalid

BODY_LIMIT = 32 << 20
SIGNALS = {name.name for name in signals.Signals}


async def body(request: Request, shape: Any) -> dict[str, Any]:
    """What the body holds of `shape`; no body is an empty one."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_LIMIT:
            raise Refusal(413, "the body is too large")
    try:
        given = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"unable to parse the body as JSON: {error}") from error
    return dict(shapes.clean({} if given is None else given, shape))


async def form(request: Request) -> dict[str, str]:
    """Prometheus takes its parameters in the address, or as a form in the body."""
    body = (await request.body()).decode(errors="replace") if request.method == "POST" else ""
    return dict(request.query_params) | dict(parse_qsl(body))


def moment(given: str | None) -> float:
    """Seconds since 1970, or RFC 3339; now, where nothing is said.

    *Errors*: BadQuery.
    """
    if not given:
        return time.time()
    try:
        at = (
            float(given)
            if given[:5].replace(".", "").isdigit()
            else datetime.fromisoformat(given).timestamp()
        )
    except ValueError as error:
        raise BadQuery(f"{given!r} is no moment") from error
    if not math.isfinite(at):
        raise BadQuery(f"{given!r} is no moment")
    return at


def flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in {"1", "true"}


def whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    given = request.query_params.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdecimal() and len(given) < 12 and int(given) >= low):
        raise invalid(f"{name} must be a whole number of at least {low}")
    return min(int(given), high)


def seconds(given: object) -> float | None:
    """`"10s"`, `"10"`, or nanoseconds as a number; None if absent or zero."""
    if given in {None, ""}:
        return None
    text = given if isinstance(given, str) else shapes.clean(given, shapes.Time(), "timeout")
    found = shapes.seconds(text)
    if found is None:
        raise invalid('timeout must be a duration such as "10s"')
    return found


def signal(given: object) -> str | None:
    """A signal by its name, with or without SIG, or by its number."""
    if given in (None, ""):
        return None
    if isinstance(given, int) and not isinstance(given, bool) and given in set(signals.Signals):
        return signals.Signals(given).name
    name = given.upper() if isinstance(given, str) else ""
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name not in SIGNALS:
        raise invalid("signal must be a signal's name or number")
    return name


def words(cmd: str) -> list[str]:
    try:
        return shlex.split(cmd)
    except ValueError as error:
        raise invalid(f"cmd can not be split into words: {error}") from error


def filtered(records: list[Any], request: Request) -> list[Any]:
    """Those in the wanted states and regions."""
    states = set(filter(None, ",".join(request.query_params.getlist("state")).split(",")))
    wanted = request.query_params.get("region", "")
    return [r for r in records if (not states or r.state in states) and wanted in {"", r.region}]


def page(records: list[Any], request: Request) -> tuple[list[Any], str]:
    """A page in the order of the last update, and the cursor of the next one."""
    after, limit = request.query_params.get("updated_after", ""), whole(request, "limit", 1000, 1, 1000)
    cursor = request.query_params.get("cursor", "")
    ordered = sorted(records, key=lambda record: (record.updated_at, record.id))
    rest = [r for r in ordered if r.updated_at > after and f"{r.updated_at},{r.id}" > cursor]
    shown = rest[:limit]
    return shown, f"{shown[-1].updated_at},{shown[-1].id}" if len(rest) > limit else ""
