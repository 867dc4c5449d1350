"""The verbs of Fly's Machines API, one short method each; every foreign error becomes one of ours here.

A request is sent again by itself only where that can do no harm: a GET that was cut off or found a busy
server, and any request that was refused for coming too soon (429). Everything else is for the caller to
judge.

*Source*: the OpenAPI document of the Machines API, and what the live API is known to do differently.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

from fly.errors import (
    ApiError,
    JarvisError,
    NameTaken,
    NoCapacity,
    NotAllowed,
    NotFound,
    NotInTime,
    PlatformBroken,
    TooMany,
    Unreachable,
)
from fly.lazy import Lazy
from fly.model import (
    Activity,
    App,
    AppSecret,
    Event,
    Exec,
    Ip,
    Lease,
    LogPage,
    Machine,
    MachinePage,
    Region,
    Series,
    Snapshot,
    Stray,
    Volume,
    activities_from_json,
    many,
    series_from_json,
    strays_from_json,
)
from fly.settings import Platform
from fly.trust import trust

if TYPE_CHECKING:
    import httpx
else:
    httpx = Lazy("httpx")

T = TypeVar("T")
Json = Mapping[str, Any]

ATTEMPTS = 4
RETRY_AFTER_MAX_S = 30.0
LOOKS_S = (1, 2, 5)
"""How long each request of a wait asks the API to wait, which is 60 at most; between them we look."""
GIVEN_UP = frozenset({"failed", "launch_failed", "destroying", "destroyed"})
"""States from which nobody takes a machine by itself."""
LEASE_S = 15
"""So long a machine stays leased whose holder was killed."""
NONCE = "fly-machine-lease-nonce"
LEASE_LOST = "lease_lost"
"""Our own code, for a lease that ran out while we worked."""


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    body: Json | None
    params: Mapping[str, str]
    headers: Mapping[str, str]
    timeout_s: float

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Hold:
    """A machine's lease, kept by whoever changes the machine.

    One that ran out (this computer slept, or no refresh came through) is not taken up again: somebody else
    may have changed the machine since, and what was seen before no longer counts. Whoever wants to go on, or
    back, takes a new lease and looks anew.
    """

    def __init__(self, machine_id: str, nonce: str) -> None:
        self._machine_id, self._nonce = machine_id, nonce
        self._lost = threading.Event()

    @property
    def is_lost(self) -> bool:
        return self._lost.is_set()

    def lose(self) -> None:
        self._lost.set()

    @property
    def nonce(self) -> str:
        """*Errors*: ApiError 409, once it is lost."""
        if self.is_lost:
            raise ApiError(
                f"The lease of machine {self._machine_id} ran out: somebody else may have changed it since.",
                status=409,
                code=LEASE_LOST,
                hint="try again",
            )
        return self._nonce


class Client:
    """One platform, spoken to over HTTP. `sleep` and `clock` are seams for tests.

    *Errors*: Unreachable, ApiError and its kinds, from every method.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.platform = platform
        self.sleep = sleep
        self.clock = clock
        self._transport = transport
        self._first = threading.Lock()
        self._made: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.platform.api_url})"

    def close(self) -> None:
        with self._first:
            if self._made:
                self._made.close()

    @property
    def _http(self) -> httpx.Client:
        """Made for the first request: many verbs ask the ledger alone."""
        with self._first:
            self._made = self._made or httpx.Client(
                base_url=self.platform.api_url,
                headers={"authorization": _authorization(self.platform), "user-agent": "my-jarvis"},
                transport=self._transport,
                verify=trust(self.platform.api_url),
                # A proxy of the operator's has no business between us and this machine's own platform.
                trust_env=self.platform.kind == "fly",
            )
            return self._made

    # --- apps -------------------------------------------------------------------------------------

    def apps(self) -> list[App]:
        """All apps of the organisation."""
        params = {"org_slug": self.platform.org}
        return self._get("/v1/apps", lambda data: list(map(App.from_json, many(data, "apps"))), params)

    def app(self, app: str) -> App:
        return self._get(_path("apps", app), App.from_json)

    def create_app(self, request: Json) -> None:
        """*Errors*: NameTaken. The answers of Fly and of its documents differ; `app` tells what is there."""
        self._send("POST", "/v1/apps", request)

    def delete_app(self, app: str) -> None:
        """Deletes it with all its machines and volumes; that ends in the background."""
        self._send("DELETE", _path("apps", app), params={"force": "true"})

    # --- secrets ----------------------------------------------------------------------------------

    def secrets(self, app: str) -> list[AppSecret]:
        """Which there are; their values the platform keeps to itself."""
        path = _path("apps", app, "secrets")
        return self._get(path, lambda data: list(map(AppSecret.from_json, many(data, "secrets"))))

    def set_secrets(self, app: str, values: Mapping[str, str | None]) -> None:
        """Sets these, and removes those that are None; a machine learns of it when it is next updated."""
        self._send("POST", _path("apps", app, "secrets"), {"values": dict(values)})

    # --- addresses --------------------------------------------------------------------------------

    def ips(self, app: str) -> list[Ip]:
        path = _path("apps", app, "ip_assignments")
        return self._get(path, lambda data: list(map(Ip.from_json, many(data, "ips"))))

    def assign_ip(self, app: str, type: str) -> None:  # noqa: A002
        self._send("POST", _path("apps", app, "ip_assignments"), {"type": type})

    def release_ip(self, app: str, ip: str) -> None:
        self._send("DELETE", _path("apps", app, "ip_assignments", ip))

    # --- volumes ----------------------------------------------------------------------------------

    def volumes(self, app: str) -> list[Volume]:
        return self._get(_path("apps", app, "volumes"), lambda data: list(map(Volume.from_json, many(data))))

    def volume(self, app: str, volume_id: str) -> Volume:
        return self._get(_path("apps", app, "volumes", volume_id), Volume.from_json)

    def create_volume(self, app: str, request: Json) -> Volume:
        return self._post(_path("apps", app, "volumes"), Volume.from_json, request)

    def extend_volume(self, app: str, volume_id: str, size_gb: int) -> tuple[Volume, bool]:
        """The larger volume, and whether its machine sees that only after a restart."""
        path = _path("apps", app, "volumes", volume_id, "extend")
        answer = self._send("PUT", path, {"size_gb": size_gb})
        return self._read(
            "PUT",
            path,
            answer,
            lambda data: (Volume.from_json(data["volume"]), data.get("needs_restart") is True),
        )

    def delete_volume(self, app: str, volume_id: str) -> None:
        self._send("DELETE", _path("apps", app, "volumes", volume_id))

    def snapshots(self, app: str, volume_id: str) -> list[Snapshot]:
        path = _path("apps", app, "volumes", volume_id, "snapshots")
        return self._get(path, lambda data: list(map(Snapshot.from_json, many(data))))

    def take_snapshot(self, app: str, volume_id: str) -> None:
        """Begins one; `snapshots` shows when it is there."""
        self._send("POST", _path("apps", app, "volumes", volume_id, "snapshots"))

    # --- machines ---------------------------------------------------------------------------------

    def machines(self, app: str) -> list[Machine]:
        return self._get(
            _path("apps", app, "machines"), lambda data: list(map(Machine.from_json, many(data)))
        )

    def machine(self, app: str, machine_id: str) -> Machine:
        return self._get(_machine(app, machine_id), Machine.from_json)

    def create_machine(self, app: str, request: Json) -> Machine:
        return self._post(_path("apps", app, "machines"), Machine.from_json, request)

    def update_machine(self, app: str, machine_id: str, request: Json, *, nonce: str = "") -> Machine:
        """Replaces the whole config: what `request` leaves out is gone."""
        return self._post(_machine(app, machine_id), Machine.from_json, request, nonce=nonce)

    def destroy_machine(self, app: str, machine_id: str, *, force: bool = False, nonce: str = "") -> None:
        self._send("DELETE", _machine(app, machine_id), params={"force": _flag(force)}, nonce=nonce)

    def start(self, app: str, machine_id: str, *, nonce: str = "") -> None:
        self._send("POST", _machine(app, machine_id, "start"), nonce=nonce)

    def stop(self, app: str, machine_id: str, *, nonce: str = "") -> None:
        self._send("POST", _machine(app, machine_id, "stop"), {}, nonce=nonce)

    def suspend(self, app: str, machine_id: str, *, nonce: str = "") -> None:
        self._send("POST", _machine(app, machine_id, "suspend"), nonce=nonce)

    def restart(self, app: str, machine_id: str, *, nonce: str = "") -> None:
        self._send("POST", _machine(app, machine_id, "restart"), nonce=nonce)

    def cordon(self, app: str, machine_id: str, *, nonce: str = "") -> None:
        """Nobody is let in to it, and nobody wakes it, until `uncordon`."""
        self._send("POST", _machine(app, machine_id, "cordon"), nonce=nonce)

    def uncordon(self, app: str, machine_id: str, *, nonce: str = "") -> None:
        self._send("POST", _machine(app, machine_id, "uncordon"), nonce=nonce)

    def exec(self, app: str, machine_id: str, command: Sequence[str], *, timeout_s: int = 30) -> Exec:
        """Runs a command inside; read `exit_code`, a failed command is no error here."""
        body = {"command": list(command), "timeout": timeout_s}
        path = _machine(app, machine_id, "exec")
        return self._post(path, Exec.from_json, body, timeout_s=timeout_s + 15)

    def events(self, app: str, machine_id: str) -> list[Event]:
        """Newest first."""
        path = _machine(app, machine_id, "events")
        return self._get(path, lambda data: list(map(Event.from_json, many(data))))

    def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        self._send("POST", _machine(app, machine_id, "metadata", key), {"value": value})

    def organisation_machines(self) -> Iterator[Machine]:
        """Every machine of the organisation, with the app it is of: the cheap view of a whole fleet."""
        path = _path("orgs", self.platform.org, "machines")
        page = self._get(path, MachinePage.from_json)
        yield from page.machines
        while page.cursor:
            page = self._get(path, MachinePage.from_json, {"cursor": page.cursor})
            yield from page.machines

    def wait(self, app: str, machine_id: str, state: str, *, timeout_s: float, instance_id: str = "") -> None:
        """Returns when the machine is in `state`; `started` means booted, not that its page answers.

        A machine that is not there is what waiting for `destroyed` hopes for; any other wait goes on, since
        right after it was made a machine may not be known everywhere. One that gave up is not waited for.

        *Errors*: NotInTime.
        """
        began, looks, stopped = self.clock(), iter(LOOKS_S), 0
        seen = "no answer"
        while (left_s := timeout_s - (self.clock() - began)) > 0:
            asked_s = max(1, min(next(looks, LOOKS_S[-1]), int(left_s)))
            try:
                return self._wait_once(app, machine_id, state, instance_id, asked_s)
            except NotFound as error:
                if state == "destroyed":
                    return None
                seen = str(error)
            except ApiError as error:
                if error.status != 408 and not isinstance(error, PlatformBroken | TooMany):
                    raise
                seen = str(error)
                if state == "started" and error.status == 408:
                    stopped = self._given_up(app, machine_id, stopped, self.clock() - began)
            except Unreachable as error:
                seen = str(error)
            self.sleep(min(0.5, left_s))
        raise NotInTime(
            f"Machine {machine_id} was not {state} after {timeout_s:.0f} s; last seen: {seen}",
            wanted=state,
            seen=seen,
            waited_s=timeout_s,
        )

    def _wait_once(self, app: str, machine_id: str, state: str, instance_id: str, asked_s: int) -> None:
        params = {"state": state, "timeout": str(asked_s)}
        if instance_id:
            params["instance_id"] = instance_id
        self._send("GET", _machine(app, machine_id, "wait"), params=params, timeout_s=asked_s + 15)

    def _given_up(self, app: str, machine_id: str, stopped: int, waited_s: float) -> int:
        """How often in a row it was seen to have ended; it may read `stopped` for a moment on its way up.

        *Errors*: NotInTime, when it will not start any more.
        """
        try:
            machine = self.machine(app, machine_id)
        except (ApiError, Unreachable):
            return stopped
        ended = next((event.exit for event in machine.events if event.exit), "")
        stopped = stopped + 1 if machine.state == "stopped" and ended else 0
        if machine.state not in GIVEN_UP and stopped < 2:
            return stopped
        why = f" ({ended})" if ended else ""
        raise NotInTime(
            f"Machine {machine_id} will not start any more: it is {machine.state}{why}",
            wanted="started",
            seen=machine.state,
            waited_s=waited_s,
        )

    # --- leases -----------------------------------------------------------------------------------

    def acquire_lease(self, app: str, machine_id: str, *, ttl_s: int, description: str = "") -> Lease:
        body = {"ttl": ttl_s, "description": description}
        return self._post(_machine(app, machine_id, "lease"), Lease.from_json, body)

    def refresh_lease(self, app: str, machine_id: str, nonce: str, *, ttl_s: int) -> Lease:
        return self._post(_machine(app, machine_id, "lease"), Lease.from_json, {"ttl": ttl_s}, nonce=nonce)

    def release_lease(self, app: str, machine_id: str, nonce: str) -> None:
        """One that has expired is as good as released."""
        try:
            self._send("DELETE", _machine(app, machine_id, "lease"), nonce=nonce)
        except NotFound:
            return

    @contextmanager
    def leased(
        self, app: str, machine_id: str, *, description: str = "", patience_s: float = LEASE_S + 5
    ) -> Iterator[Hold]:
        """The hold with whose nonce alone the machine can be changed meanwhile, however long that takes.

        Who holds it already is waited for, as long as it takes a lease whose holder was killed to run out.

        *Errors*: ApiError 409, when it is held for longer.
        """
        hold = Hold(machine_id, self._lease_within(app, machine_id, description, patience_s))
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(app, machine_id, hold, done), daemon=True)
        keeper.start()
        try:
            yield hold
        finally:
            done.set()
            keeper.join()
            if not hold.is_lost:
                # One that can not be given back runs out by itself.
                with suppress(ApiError, Unreachable):
                    self.release_lease(app, machine_id, hold.nonce)

    def _lease_within(self, app: str, machine_id: str, description: str, patience_s: float) -> str:
        began = self.clock()
        while True:
            try:
                return self.acquire_lease(app, machine_id, ttl_s=LEASE_S, description=description).nonce
            except ApiError as error:
                if error.status != 409 or self.clock() - began > patience_s:
                    raise
            self.sleep(1.0)

    def _keep(self, app: str, machine_id: str, hold: Hold, done: threading.Event) -> None:
        """Refreshes a lease until it is done with, or lost."""
        while not (hold.is_lost or done.wait(LEASE_S / 3)):
            with suppress(ApiError, Unreachable):
                self._refresh(app, machine_id, hold)

    def _refresh(self, app: str, machine_id: str, hold: Hold) -> None:
        """One that had run out comes back as another one, or is another's by now: then the hold is lost."""
        try:
            found = self.refresh_lease(app, machine_id, hold.nonce, ttl_s=LEASE_S).nonce
        except ApiError as error:
            if error.status == 409:
                hold.lose()
            raise
        if found != hold.nonce:
            hold.lose()
            self.release_lease(app, machine_id, found)

    # --- the platform -----------------------------------------------------------------------------

    def regions(self) -> list[Region]:
        return self._get(
            "/v1/platform/regions", lambda data: list(map(Region.from_json, many(data, "regions")))
        )

    def logs(self, app: str, *, token: str = "", instance: str = "") -> LogPage:
        """What the app's machines wrote, oldest first; the page's `token` asks for what came after it."""
        params = {name: value for name, value in {"next_token": token, "instance": instance}.items() if value}
        url = f"{self.platform.logs_url}/api/v1/apps/{quote(app, safe='')}/logs"
        return self._get(url, LogPage.from_json, params)

    def measured(self, query: str) -> list[Series]:
        """What a query of Prometheus's answers now, for the whole organisation.

        *Source*: Fly's documents, "Metrics on Fly.io", "Querying"
        """
        return self._get(self._prometheus("query"), series_from_json, {"query": query})

    def measured_since(self, query: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
        """The same for each step of a time: both ends are in it."""
        params = {
            "query": query,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{step.total_seconds():.0f}",
        }
        return self._get(self._prometheus("query_range"), series_from_json, params)

    def _prometheus(self, kind: str) -> str:
        return f"{self.platform.logs_url}/prometheus/{quote(self.platform.org, safe='')}/api/v1/{kind}"

    def activities(self) -> dict[str, Activity]:
        """Why each machine is awake, or asleep, by its id; of none on Fly, which does not tell."""
        if self.platform.kind == "fly":
            return {}
        return self._get("/_local/activity", activities_from_json)

    def activity(self, machine: str) -> Activity | None:
        """Why a machine is awake, or asleep; None on Fly, which does not tell."""
        if self.platform.kind == "fly":
            return None
        return self._get(f"/_local/machines/{quote(machine, safe='')}/activity", Activity.from_json)

    # --- the embedded platform's own --------------------------------------------------------------

    def is_like_fly(self) -> bool:
        """Whether the embedded platform is as slow and as strict as Fly."""
        return self._get("/_local/platform", lambda data: bool(data["like_fly"]))

    def strays(self) -> list[Stray]:
        """What the embedded platform has in the engine, and no record of."""
        return self._get("/_local/orphans", strays_from_json)

    def remove_strays(self) -> list[Stray]:
        """Removes them, with what is on them; gives what they were."""
        answer = self._send("DELETE", "/_local/orphans", timeout_s=300)
        return self._read("DELETE", "/_local/orphans", answer, strays_from_json)

    # --- one request ------------------------------------------------------------------------------

    def _get(self, path: str, read: Callable[[Any], T], params: Mapping[str, str] | None = None) -> T:
        return self._read("GET", path, self._send("GET", path, params=params), read)

    def _post(
        self,
        path: str,
        read: Callable[[Any], T],
        body: Json | None = None,
        *,
        nonce: str = "",
        timeout_s: float = 60,
    ) -> T:
        answer = self._send("POST", path, body, nonce=nonce, timeout_s=timeout_s)
        return self._read("POST", path, answer, read)

    def _read(self, method: str, path: str, answer: httpx.Response, read: Callable[[Any], T]) -> T:
        try:
            return read(answer.json())
        except (ValueError, KeyError, TypeError) as error:
            raise PlatformBroken(
                f"{method} {_shown(path)}: the answer makes no sense ({error})",
                status=answer.status_code,
                method=method,
                path=_shown(path),
                request_id=_request_id(answer),
                hint="invoke repair, once the platform is well again",
            ) from None

    def _send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: Mapping[str, str] | None = None,
        nonce: str = "",
        timeout_s: float = 60,
    ) -> httpx.Response:
        headers = {NONCE: nonce} if nonce else {}
        request = _Request(method, path, body, params or {}, headers, timeout_s)
        for attempt in range(1, ATTEMPTS):
            try:
                return self._exchange(request)
            except (Unreachable, ApiError) as error:
                pause_s = _pause_s(request, error, attempt)
                if pause_s is None:
                    raise
                self.sleep(pause_s)
        return self._exchange(request)

    def _exchange(self, request: _Request) -> httpx.Response:
        try:
            answer = self._http.request(
                request.method,
                request.path,
                json=request.body,
                params=request.params or None,
                headers=request.headers,
                timeout=httpx.Timeout(request.timeout_s, connect=10),
            )
        except httpx.InvalidURL as error:
            raise Unreachable(f"{request.path!r} is no address: {error}", sent=False) from None
        except httpx.RequestError as error:
            raise self._unreachable(request, error) from error
        if answer.is_success:
            return answer
        raise self._refusal(request, answer)

    def _unreachable(self, request: _Request, error: httpx.RequestError) -> Unreachable:
        said = self._masked(str(error)) or type(error).__name__
        where = urlsplit(str(self._http.base_url)).netloc
        embedded = self.platform.kind == "local"
        return Unreachable(
            f"{request.method} {_shown(request.path)}: no answer from {where} ({said})",
            sent=not _is_unsent(error),
            hint="invoke up" if embedded else "look at the network, then at Fly's status page, and try again",
        )

    def _refusal(self, request: _Request, answer: httpx.Response) -> ApiError:
        said, code = _said(answer)
        kind, hint = _kind_of(answer.status_code, code, said)
        if kind is NotAllowed and self.platform.kind == "local":
            hint = "`invoke down`, then `invoke up`: the embedded platform has another token by now"
        request_id = _request_id(answer)
        named = f" (request {request_id})" if request_id else ""
        error = kind(
            f"{request.method} {_shown(request.path)}: {answer.status_code} {self._masked(said)}{named}",
            status=answer.status_code,
            code=code,
            method=request.method,
            path=_shown(request.path),
            request_id=request_id,
            hint=hint,
        )
        if isinstance(error, TooMany):
            error.retry_after_s = _retry_after_s(answer)
        return error

    def _masked(self, text: str) -> str:
        token = self.platform.token.reveal()
        return text.replace(token, "[hidden]") if token else text


def may_have_happened(error: JarvisError) -> bool:
    """Whether what was asked may have been carried out although it ended in this error."""
    if isinstance(error, Unreachable):
        return error.sent
    return isinstance(error, PlatformBroken) or (isinstance(error, ApiError) and error.status == 408)


def _authorization(platform: Platform) -> str:
    """`fly tokens create` prints macaroons with their scheme in front; everything else is a bearer's."""
    token = platform.token.reveal()
    return token if token.startswith("FlyV1 ") else f"Bearer {token}"


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _machine(app: str, machine_id: str, *parts: str) -> str:
    return _path("apps", app, "machines", machine_id, *parts)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _shown(path: str) -> str:
    return urlsplit(path).path


def _is_unsent(error: httpx.RequestError) -> bool:
    """Whether it was not on its way yet; whatever else goes wrong may do so after it was carried out."""
    begun = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
    return isinstance(error, (*begun, httpx.UnsupportedProtocol))


def _request_id(answer: httpx.Response) -> str:
    return str(answer.headers.get("fly-request-id", ""))


def _pause_s(request: _Request, error: Unreachable | ApiError, attempt: int) -> float | None:
    """How long to wait before asking again; None when asking again could do harm or no good."""
    if isinstance(error, TooMany):
        return error.retry_after_s or float(2**attempt)
    if request.method != "GET":
        return None
    # A second time-out would only double the wait.
    cut_off = isinstance(error, Unreachable) and not isinstance(error.__cause__, httpx.ReadTimeout)
    busy = isinstance(error, ApiError) and error.status in (502, 503) and not isinstance(error, NoCapacity)
    return 0.1 * 4 ** (attempt - 1) if cut_off or busy else None


def _retry_after_s(answer: httpx.Response) -> float:
    """*Source*: RFC 9110, 10.2.3: seconds, or a date."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        wanted_s = float(text) if text.isdigit() else _seconds_until(text)
    except (ValueError, TypeError):
        return 0.0
    return min(max(wanted_s, 0.0), RETRY_AFTER_MAX_S)


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _said(answer: httpx.Response) -> tuple[str, str]:
    """What went wrong in the platform's words, and its code for it."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return " ".join(answer.text.split())[:200] or answer.reason_phrase, ""
    said = body.get("message") or body.get("error") or answer.reason_phrase
    code = body.get("status")
    return " ".join(str(said).split())[:500], code if isinstance(code, str) else ""


_FULL = (
    "could not reserve resource for machine",
    "insufficient resources to create new machine with existing volume",
    "no capacity",
    "out of capacity",
    "over the allowed quota",
)


def _kind_of(status: int, code: str, said: str) -> tuple[type[ApiError], str]:
    """The error's class, and what to try. A code is believed before the words: some errors quote others."""
    if code == "name_taken" or (status == 422 and not code and "Name has already been taken" in said):
        return NameTaken, "try again: every try draws a name of its own"
    full = status in (400, 403, 409, 412) and any(words in said for words in _FULL)
    if code in ("insufficient_capacity", "volume_placement_capacity") or full:
        return NoCapacity, "another --region"
    if status in (401, 403):
        return NotAllowed, "look at FLY_API_TOKEN and FLY_ORG: fly tokens create org"
    if status == 404:
        return NotFound, ""
    if status == 429:
        return TooMany, "wait a minute, then try again"
    if status >= 500 or status < 400:
        return PlatformBroken, "try again; `invoke repair` puts in order what is half done"
    return ApiError, "look at JARVIS_IMAGE, or build and push the image first" if "manifest" in said else ""
