"""How often one may ask: Fly's limits per action and per machine or app. Pure, but for the clock it is given.

*Source*: docs.fly.io, "Working with the Machines API": 1 request per second and a burst of 3 for each action
on each machine or app, 5 and 10 to read a machine; 100 apps deleted per minute.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MOST_BUCKETS = 10_000
_NAMES = re.compile(r"/v1/(?:(apps)/([^/]+)(?:/(machines|volumes)(?:/([^/]+))?)?|orgs/([^/]+))")
_MACHINE = re.compile(r"/v1/apps/[^/]+/machines/[^/]+")
_APP = re.compile(r"/v1/apps/[^/]+")


@dataclass(frozen=True)
class Rate:
    per_s: float
    burst: int


USUAL, READ_MACHINE, DELETE_APP = Rate(1.0, 3), Rate(5.0, 10), Rate(100 / 60, 100)


@dataclass
class _Bucket:
    tokens: float
    at: float


class Rates:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def wait_s(self, method: str, path: str) -> float:
        """Takes one request's place: 0 if it may go on, else how long until the next one may."""
        if not path.startswith("/v1/"):
            return 0.0
        rate, key = _rate(method, path), _key(method, path)
        now = self._clock()
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.clear()
        bucket = self._buckets.setdefault(key, _Bucket(rate.burst, now))
        bucket.tokens = min(rate.burst, bucket.tokens + (now - bucket.at) * rate.per_s)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate.per_s
        bucket.tokens -= 1
        return 0.0


def _rate(method: str, path: str) -> Rate:
    if method == "GET" and _MACHINE.fullmatch(path):
        return READ_MACHINE
    return DELETE_APP if method == "DELETE" and _APP.fullmatch(path) else USUAL


def _key(method: str, path: str) -> tuple[str, str]:
    """The action, and on what: a machine or a volume, else an app, else the organisation."""
    found = _NAMES.match(path)
    if found is None or (method == "DELETE" and _APP.fullmatch(path)):
        return f"{method} {_APP.sub('/v1/apps/*', path)}", ""
    names = [name for name in (found[2], found[4], found[5]) if name]
    action = path
    for name in names:
        action = action.replace(f"/{name}", "/*", 1)
    return f"{method} {action}", "/".join(names)
