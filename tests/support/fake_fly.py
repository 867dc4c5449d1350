"""Fly's Machines API in memory, as far as a workspace needs it, with every fault that an API can have.

It records what it was asked. Things in it can be somebody else's: whoever touches those is found out.
"""

import hashlib
import json
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from fly.backup.throwaway import MARK
from fly.change.contents import Contents, Item
from fly.errors import BackupError
from fly.local import promql
from tests.support import fake_courier
from tests.support.fake_courier import FOLDER

TOKEN = "FlyV1 fm2_token-of-the-fake"
ORG = "personal"
STRANGERS_APP = "strangers-app"
RESTIC = "RESTIC"
"""The method of what is asked of the repository of copies."""


# --- faults ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer; `commits`: after the request was carried out."""

    name: str
    commits: bool
    act: Callable[[httpx.Request], httpx.Response | None]


def _raising(error: type[httpx.RequestError]) -> Callable[[httpx.Request], httpx.Response]:
    def act(request: httpx.Request) -> httpx.Response:
        raise error("fault", request=request)

    return act


def _saying(status: int, error: str, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request: httpx.Response(status, json={"error": error}, headers=named)


def _body(content: bytes) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(200, content=content)


def _interrupt(_request: httpx.Request) -> None:
    signal.raise_signal(signal.SIGINT)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("no connection", False, _raising(httpx.ConnectError)),
        Fault("time-out before", False, _raising(httpx.ReadTimeout)),
        Fault("time-out after", True, _raising(httpx.ReadTimeout)),
        Fault("reset before", False, _raising(httpx.ReadError)),
        Fault("reset after", True, _raising(httpx.RemoteProtocolError)),
        Fault("408 before", False, _saying(408, "deadline_exceeded")),
        Fault("408 after", True, _saying(408, "deadline_exceeded")),
        Fault("400", False, _saying(400, "invalid")),
        Fault("401", False, _saying(401, "invalid token")),
        Fault("403", False, _saying(403, "unauthorized")),
        Fault("404", False, _saying(404, "app not found")),
        Fault("409", False, _saying(409, "aborted: lease currently held by somebody")),
        Fault("409 full", False, _saying(409, "could not reserve resource for machine: insufficient memory")),
        Fault("412", False, _saying(412, "failed_precondition: not now")),
        Fault("422", False, _saying(422, "Validation failed: something")),
        Fault("429", False, _saying(429, "slow down", retry_after="1")),
        Fault("500 before", False, _saying(500, "internal")),
        Fault("500 after", True, _saying(500, "internal")),
        Fault("502 after", True, _saying(502, "bad gateway")),
        Fault("503 before", False, _saying(503, "unavailable")),
        Fault("cut body", True, _body(b'{"id": "')),
        Fault("empty body", True, _body(b"")),
        Fault("other shape", True, _body(b'["what", null]')),
        Fault("page instead", True, _body(b"<html>maintenance</html>")),
        Fault("Ctrl-C before", False, _interrupt),
        Fault("Ctrl-C after", True, _interrupt),
    )
}


@dataclass(frozen=True)
class Call:
    """A request as it came; `route` has names where the path has ids."""

    method: str
    route: str
    path: str
    body: Any = None

    @property
    def title(self) -> str:
        return f"{self.method} {self.route}"


@dataclass
class Injection:
    """A fault at call number `at`: `once`, at later ones of that route too (`same`), at `all` later ones, or
    followed by another fault at all later ones (`then …`).
    """

    at: int
    fault: Fault
    lasting: str = "once"
    title: str = ""

    def fault_of(self, number: int, call: Call) -> Fault | None:
        """What befalls this call."""
        if number < self.at:
            return None
        if number == self.at:
            self.title = call.title
            return self.fault
        if self.lasting.startswith("then "):
            return FAULTS[self.lasting.removeprefix("then ")]
        again = self.lasting == "all" or (self.lasting == "same" and call.title == self.title)
        return self.fault if again else None


# --- the platform ---------------------------------------------------------------------------------


@dataclass
class AppState:
    name: str
    org: str
    network: str
    ips: list[dict[str, Any]] = field(default_factory=list)
    seen_while_going: int | None = None
    """How often it is still shown, once it is deleted; None while it is not."""


class Refusal(Exception):  # noqa: N818
    def __init__(self, status: int, error: str, code: str = "") -> None:
        super().__init__(error)
        self.answer = httpx.Response(status, json={"error": error} | ({"status": code} if code else {}))


Handler = Callable[["FakeFly", httpx.Request, dict[str, str]], Any]
ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = []


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + "$")

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, pattern, template, handler))
        return handler

    return register


class FakeFly:
    """The platform. `inject` makes it fail; `before` and `after` are called around what each request does."""

    def __init__(self) -> None:
        self.apps: dict[str, AppState] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, dict[str, str]] = {}
        """What is on each volume, or in each snapshot: text by path, `FOLDER` for folders."""
        self.snapshots: dict[str, list[dict[str, Any]]] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.machines: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, list[str]] = {}
        self.measured: list[promql.Series] = []
        """What its Prometheus knows."""
        self.leases: dict[str, tuple[str, float]] = {}
        """A nonce, and until when it holds."""
        self.clock: Callable[[], float] = time.monotonic
        self.calls: list[Call] = []
        self.injection: Injection | None = None
        self.before: Callable[[int, Call], None] = lambda _number, _call: None
        self.after: Callable[[int, Call], None] = lambda _number, _call: None
        self.broken_pages: set[str] = set()
        self.broken_images: set[str] = set()
        """Images whose server does not answer."""
        self.wrecking: dict[str, Callable[[dict[str, str]], object]] = {}
        """What an image does to the volume on which it starts."""
        self.busy_apps: list[str] = []
        """Each look finds the first of them done."""
        self.page_headers: dict[str, str] = {}
        self.page_body = b'{"status": "ok", "busy": false}'
        self.told: dict[str, Any] = {}
        """What every workspace tells its operator; nothing where it is too old to tell."""
        self.boots = True
        self.volume_region = ""
        """Where volumes come to lie, when not where they were asked for."""
        self.shows_networks = True
        self.slow_boots = 1
        self.taken: set[str] = set()
        """Names that another organisation has."""
        self._lock = threading.RLock()
        self._last_number = 0
        self._settle_a_stranger()

    def _settle_a_stranger(self) -> None:
        self.apps[STRANGERS_APP] = AppState(STRANGERS_APP, ORG, "default")
        self.volumes["vol_stranger"] = _volume(
            "vol_stranger", STRANGERS_APP, {"name": "data", "region": "fra"}
        )
        self.machines["stranger"] = _machine("stranger", STRANGERS_APP, {"config": {}, "region": "fra"})
        self._strangers = self._belongings(STRANGERS_APP)

    def _belongings(self, app: str) -> str:
        owned = [one for one in (*self.volumes.values(), *self.machines.values()) if one["app"] == app]
        return json.dumps([self.apps[app].__dict__, owned] if app in self.apps else [], sort_keys=True)

    @property
    def stranger_is_untouched(self) -> bool:
        return self._belongings(STRANGERS_APP) == self._strangers

    @property
    def ours(self) -> list[AppState]:
        """The apps that are not the stranger's and are not about to vanish."""
        return [
            app for app in self.apps.values() if app.name != STRANGERS_APP and app.seen_while_going is None
        ]

    def of_app(self, kind: dict[str, dict[str, Any]], app: str) -> list[dict[str, Any]]:
        return [one for one in kind.values() if one["app"] == app]

    def inject(self, at: int, fault: str, lasting: str = "once") -> None:
        """From now on, counting calls from 0."""
        self.calls.clear()
        self.injection = Injection(at, FAULTS[fault], lasting)

    def heal(self) -> None:
        self.injection = None
        self.calls.clear()

    def page(self, url: str) -> str:
        """What a browser finds at an app's address: what is wrong, or nothing."""
        app = httpx.URL(url).host.partition(".")[0]
        if app in self.broken_pages:
            return "502 Bad Gateway"
        for machine in self.of_app(self.machines, app):
            self.let_boot(machine)
        ips = self.apps[app].ips if app in self.apps else []
        types = {"v6" if ":" in ip["ip"] else "v4" for ip in ips}
        running = [one for one in self.of_app(self.machines, app) if self._lets_in(one)]
        return "" if running and types == {"v4", "v6"} else "connection refused"

    def _lets_in(self, machine: dict[str, Any]) -> bool:
        config = machine["config"]
        awake = machine["state"] in ("started", "suspended")
        return awake and not machine.get("cordoned") and "services" in config and self.serves(machine)

    def serves(self, machine: dict[str, Any]) -> bool:
        is_well = machine["state"] != "created" and machine["config"]["image"] not in self.broken_images
        return is_well and not _is_courier(machine)

    def busy(self, url: str) -> bool:
        """Whether something runs in an app: as often as it stands in `busy_apps`."""
        app = httpx.URL(url).host.partition(".")[0]
        if app not in self.busy_apps:
            return False
        self.busy_apps.remove(app)
        return True

    def on_volume_of(self, machine: dict[str, Any]) -> dict[str, str]:
        return self.contents[machine["config"]["mounts"][0]["volume"]]

    # --- requests

    def handle(self, request: httpx.Request) -> httpx.Response:
        """One request, as a transport's handler."""
        found = _match(request)
        call = Call(request.method, found[0], request.url.path, json.loads(request.content or "null"))
        return self._answered(request, call, lambda: self._carry_out(request, found))

    def visit(self, request: httpx.Request) -> httpx.Response:
        """One request to a courier, as a transport's handler: over the pages' proxy, with the same faults."""
        path = request.url.path
        call = Call(request.method, path, path)
        answer = self._answered(request, call, lambda: self._at_courier(request))
        # Not read yet, so that it can be read as it comes.
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    def _at_courier(self, request: httpx.Request) -> httpx.Response:
        shown = hashlib.sha256(request.headers["x-courier-key"].encode()).hexdigest()
        for machine in self.of_app(self.machines, request.url.host.partition(".")[0]):
            self.let_boot(machine)
            is_open = machine["state"] == "started" and not machine.get("cordoned")
            if is_open and _is_courier(machine) and machine["config"]["init"]["exec"][-1] == shown:
                return fake_courier.answer(request, self.on_volume_of(machine))
        return httpx.Response(503)

    def perform(self, what: str, act: Callable[[], Any]) -> Any:
        """Something that is done elsewhere than on the platform, with the same faults."""
        call, done = Call(RESTIC, what, what), []

        def carried_out() -> httpx.Response:
            done.append(act())
            return httpx.Response(200)

        try:
            answer = self._answered(httpx.Request(RESTIC, "https://kept.test"), call, carried_out)
        except httpx.RequestError as error:
            raise BackupError(f"restic: {error}") from error
        if not done or answer.status_code != 200 or answer.content:
            raise BackupError(f"restic: {answer.status_code}")
        return done[0]

    def _answered(
        self, request: httpx.Request, call: Call, act: Callable[[], httpx.Response]
    ) -> httpx.Response:
        with self._lock:
            number = len(self.calls)
            self.calls.append(call)
        fault = self.injection.fault_of(number, call) if self.injection else None
        self.before(number, call)
        answer = None
        if fault is None or fault.commits:
            answer = act()
        elif fault.name.startswith("Ctrl-C"):
            fault.act(request)
            answer = act()
        self.after(number, call)
        return (fault.act(request) if fault else None) or answer or httpx.Response(500)

    def _carry_out(
        self, request: httpx.Request, found: tuple[str, Handler | None, dict[str, str]]
    ) -> httpx.Response:
        _, handler, names = found
        if handler is None:
            return httpx.Response(404, json={"error": "no such path"})
        if request.headers.get("authorization") != TOKEN:
            return httpx.Response(401, json={"error": "invalid token"})
        with self._lock:
            try:
                done = handler(self, request, names)
            except Refusal as refused:
                return refused.answer
        return done if isinstance(done, httpx.Response) else httpx.Response(200, json=done)

    def app_called(self, name: str) -> AppState:
        app = self.apps.get(name)
        if app is None:
            raise Refusal(404, "app not found")
        return app

    def machine_called(self, names: dict[str, str]) -> dict[str, Any]:
        self.app_called(names["app"])
        machine = self.machines.get(names["machine"])
        if machine is None or machine["app"] != names["app"]:
            raise Refusal(404, "machine not found")
        return machine

    def volume_called(self, names: dict[str, str]) -> dict[str, Any]:
        self.app_called(names["app"])
        volume = self.volumes.get(names["volume"])
        if volume is None or volume["app"] != names["app"]:
            raise Refusal(404, "volume not found")
        return volume

    def let_boot(self, machine: dict[str, Any]) -> None:
        """Each look at a new machine finds it a little further."""
        machine["looks"] = machine.get("looks", 0) + 1
        if self.boots and machine["state"] == "created" and machine["looks"] > self.slow_boots:
            machine["state"] = "started"
            if "services" in machine["config"] and not _is_courier(machine):
                self._server_starts(machine)

    def _server_starts(self, machine: dict[str, Any]) -> None:
        there, image = self.on_volume_of(machine), machine["config"]["image"]
        for part in ("app", "claude", "home", "workspace"):
            there.setdefault(part, FOLDER)
        if image in self.wrecking:
            self.wrecking[image](there)
        if image not in self.broken_images:
            there["claude/.claude.json"] = f"started {self.new_number()} times"

    def lease_of(self, machine: str) -> str:
        """The nonce of the lease that holds now."""
        nonce, ends = self.leases.get(machine, ("", 0.0))
        return nonce if ends > self.clock() else ""

    def guard(self, machine: dict[str, Any], request: httpx.Request) -> None:
        held = self.lease_of(machine["id"])
        if held and request.headers.get("fly-machine-lease-nonce") != held:
            raise Refusal(409, f"aborted: machine ID {machine['id']} lease currently held by somebody")

    def new_number(self) -> int:
        self._last_number += 1
        return self._last_number

    # --- the same platform once more

    def saved(self) -> bytes:
        """All that is on it, for `load`."""
        return pickle.dumps({name: getattr(self, name) for name in _KEPT})

    def load(self, saved: bytes) -> None:
        vars(self).update(pickle.loads(saved))


_KEPT = ("apps", "volumes", "contents", "snapshots", "secrets", "machines", "leases", "_last_number")


def _match(request: httpx.Request) -> tuple[str, Handler | None, dict[str, str]]:
    for method, pattern, template, handler in ROUTES:
        found = pattern.match(request.url.path)
        if found and method == request.method:
            return template, handler, found.groupdict()
    return request.url.path, None, {}


def _volume(id_: str, app: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"id": id_, "app": app, "state": "created", "size_gb": 3, "attached_machine_id": None} | body


def _machine(id_: str, app: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"id": id_, "app": app, "state": "created", "instance_id": f"01{id_}", "events": []} | body


def _is_courier(machine: dict[str, Any]) -> bool:
    return MARK in machine["config"].get("metadata", {})


def _shown_app(fly: FakeFly, app: AppState) -> dict[str, Any]:
    network = {"network": app.network} if fly.shows_networks else {}
    return {
        "id": app.name,
        "name": app.name,
        "organization": {"slug": app.org},
        "status": "pending",
    } | network


def _body_of(request: httpx.Request) -> dict[str, Any]:
    body = json.loads(request.content or "{}")
    assert isinstance(body, dict)
    return body


@route("GET", "/v1/apps")
def list_apps(fly: FakeFly, request: httpx.Request, _names: dict[str, str]) -> Any:
    org = request.url.params["org_slug"]
    return {"apps": [_shown_app(fly, app) for app in fly.apps.values() if app.org == org]}


@route("POST", "/v1/apps")
def create_app(fly: FakeFly, request: httpx.Request, _names: dict[str, str]) -> Any:
    body = _body_of(request)
    if body["name"] in fly.apps or body["name"] in fly.taken:
        raise Refusal(422, "Validation failed: Name has already been taken", "name_taken")
    fly.apps[body["name"]] = AppState(body["name"], body["org_slug"], body["network"])
    return httpx.Response(201, json={"id": body["name"], "created_at": 1})


@route("GET", "/v1/apps/{app}")
def get_app(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    if names["app"] in fly.taken:
        raise Refusal(403, "unauthorized")
    app = fly.app_called(names["app"])
    if app.seen_while_going is not None:
        app.seen_while_going -= 1
        if app.seen_while_going < 0:
            del fly.apps[app.name]
            raise Refusal(404, "app not found")
    return _shown_app(fly, app)


@route("DELETE", "/v1/apps/{app}")
def delete_app(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    app = fly.app_called(names["app"])
    app.seen_while_going = 1
    for kind in (fly.volumes, fly.machines):
        for id_ in [id_ for id_, one in kind.items() if one["app"] == app.name]:
            del kind[id_]
    return httpx.Response(202)


@route("GET", "/v1/apps/{app}/ip_assignments")
def list_ips(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    return {"ips": fly.app_called(names["app"]).ips}


@route("POST", "/v1/apps/{app}/ip_assignments")
def assign_ip(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    shared = _body_of(request)["type"] == "shared_v4"
    number = fly.new_number()
    ip = {"ip": f"66.241.0.{number}" if shared else f"2a09:8280:1::{number:x}", "shared": shared}
    fly.app_called(names["app"]).ips.append(ip)
    return ip


@route("GET", "/v1/apps/{app}/volumes")
def list_volumes(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    return fly.of_app(fly.volumes, fly.app_called(names["app"]).name)


@route("GET", "/v1/apps/{app}/volumes/{volume}")
def get_volume(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    return fly.volume_called(names)


@route("DELETE", "/v1/apps/{app}/volumes/{volume}")
def delete_volume(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    volume = fly.volume_called(names)
    if volume["attached_machine_id"]:
        raise Refusal(412, f"volume is currently bound to machine: {volume['attached_machine_id']}")
    del fly.volumes[volume["id"]]
    return volume | {"state": "destroyed"}


@route("PUT", "/v1/apps/{app}/volumes/{volume}/extend")
def extend_volume(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    volume, size_gb = fly.volume_called(names), _body_of(request)["size_gb"]
    if size_gb <= volume["size_gb"]:
        raise Refusal(400, f"size_gb must be larger than {volume['size_gb']}")
    volume["size_gb"] = size_gb
    return {"volume": volume, "needs_restart": True}


@route("GET", "/v1/apps/{app}/volumes/{volume}/snapshots")
def list_snapshots(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    """Each look finds what is under way complete at the next one."""
    fly.volume_called(names)
    found = fly.snapshots.get(names["volume"], [])
    shown = [dict(one) for one in found]
    for one in found:
        one["status"] = "created"
    return shown


@route("POST", "/v1/apps/{app}/volumes/{volume}/snapshots")
def take_snapshot(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    volume, number = fly.volume_called(names), fly.new_number()
    taken_id = f"vs_{number:08d}"
    taken = {"id": taken_id, "status": "creating", "size": 1, "created_at": f"{number:08d}"}
    fly.snapshots.setdefault(volume["id"], []).append(taken)
    fly.contents[taken_id] = dict(fly.contents[volume["id"]])
    return {"Msg": {}}


@route("GET", "/v1/apps/{app}/secrets")
def list_secrets(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    known = fly.secrets.get(fly.app_called(names["app"]).name, {})
    return {"secrets": [{"name": name, "digest": str(len(value))} for name, value in known.items()]}


@route("POST", "/v1/apps/{app}/secrets")
def set_secrets(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    known = fly.secrets.setdefault(fly.app_called(names["app"]).name, {})
    for name, value in _body_of(request)["values"].items():
        known.pop(name, None)
        if value is not None:
            known[name] = value
    return {"secrets": [], "version": 1}


@route("POST", "/v1/apps/{app}/volumes")
def create_volume(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    fly.app_called(names["app"])
    id_ = f"vol_{fly.new_number():016d}"
    region = {"region": fly.volume_region} if fly.volume_region else {}
    body = _body_of(request)
    fly.contents[id_] = dict(fly.contents.get(body.get("snapshot_id", ""), {}))
    fly.volumes[id_] = _volume(id_, names["app"], body | region)
    return fly.volumes[id_]


@route("GET", "/v1/apps/{app}/machines")
def list_machines(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    return fly.of_app(fly.machines, fly.app_called(names["app"]).name)


@route("POST", "/v1/apps/{app}/machines")
def create_machine(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    fly.app_called(names["app"])
    body = _body_of(request)
    for mount in body["config"]["mounts"]:
        volume = fly.volumes[mount["volume"]]
        if volume["attached_machine_id"]:
            raise Refusal(412, f"volume already claimed by machine {volume['attached_machine_id']}")
        if volume["region"] != body["region"]:
            raise Refusal(412, "the volume is in another region")
    id_ = f"{fly.new_number():014x}"
    for mount in body["config"]["mounts"]:
        fly.volumes[mount["volume"]]["attached_machine_id"] = id_
    fly.machines[id_] = _machine(id_, names["app"], body)
    return fly.machines[id_]


@route("GET", "/v1/apps/{app}/machines/{machine}")
def get_machine(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    return fly.machine_called(names)


@route("POST", "/v1/apps/{app}/machines/{machine}")
def update_machine(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    body = _body_of(request)
    machine.update(config=body["config"], instance_id=f"01{fly.new_number()}", state="created", looks=1)
    return machine


@route("POST", "/v1/apps/{app}/machines/{machine}/lease")
def acquire_lease(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    nonce = fly.lease_of(machine["id"]) or f"{fly.new_number():012x}"
    fly.leases[machine["id"]] = (nonce, fly.clock() + _body_of(request)["ttl"])
    data = {"nonce": nonce, "expires_at": 1, "owner": "me", "description": "", "version": "1"}
    return httpx.Response(201, json={"status": "success", "data": data})


@route("DELETE", "/v1/apps/{app}/machines/{machine}/lease")
def release_lease(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    if fly.leases.pop(machine["id"], None) is None:
        raise Refusal(404, "lease not found")
    return {"status": "success", "data": {"ok": True}}


@route("DELETE", "/v1/apps/{app}/machines/{machine}")
def destroy_machine(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    for volume in fly.volumes.values():
        if volume["attached_machine_id"] == machine["id"]:
            volume["attached_machine_id"] = None
    del fly.machines[machine["id"]]
    return {"ok": True}


@route("POST", "/v1/apps/{app}/machines/{machine}/start")
def start_machine(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    previous = machine["state"]
    if previous == "suspended":
        machine["state"] = "started"
    elif previous == "stopped":
        machine.update(state="created", looks=1)
    return {"previous_state": previous}


@route("POST", "/v1/apps/{app}/machines/{machine}/cordon")
def cordon(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    machine["cordoned"] = True
    return {"ok": True}


@route("POST", "/v1/apps/{app}/machines/{machine}/uncordon")
def uncordon(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    machine["cordoned"] = False
    return {"ok": True}


@route("POST", "/v1/apps/{app}/machines/{machine}/exec")
def exec_(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    """What `fly/change/inside.py` would say there."""
    machine = fly.machine_called(names)
    fly.let_boot(machine)
    if machine["state"] != "started":
        raise Refusal(412, f"unable to exec in machine, not currently started: '{machine['state']}'")
    command = _body_of(request)["command"]
    if command[0] == "cat":
        return {"exit_code": 0 if fly.told else 1, "stdout": json.dumps(fly.told)}
    answer = _listed if command[3:4] == ["list"] else _served
    return {"exit_code": 0, "stdout": answer(fly, machine)}


def _listed(fly: FakeFly, machine: dict[str, Any]) -> str:
    there = fly.on_volume_of(machine)
    items = {
        path: Item("d", 0, 0, "") if text == FOLDER else Item("f", len(text), 0, text)
        for path, text in there.items()
    }
    return Contents(1, items).pack()


def _served(fly: FakeFly, machine: dict[str, Any]) -> str:
    well = fly.serves(machine) and "services" in machine["config"]
    login = machine["config"].get("env", {}).get("JARVIS_LOGIN", "")
    status = {"health": 200, "page": 401} if well else {"health": 0, "page": 0}
    return json.dumps({"well": well, "login": login} | status)


@route("POST", "/v1/apps/{app}/machines/{machine}/suspend")
def suspend_machine(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    return _put_to_sleep(fly, request, names, "suspended")


@route("POST", "/v1/apps/{app}/machines/{machine}/stop")
def stop_machine(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    return _put_to_sleep(fly, request, names, "stopped")


def _put_to_sleep(fly: FakeFly, request: httpx.Request, names: dict[str, str], state: str) -> Any:
    machine = fly.machine_called(names)
    fly.guard(machine, request)
    machine["state"] = state
    return {"ok": True}


@route("GET", "/v1/apps/{app}/machines/{machine}/wait")
def wait_machine(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machine = fly.machine_called(names)
    fly.let_boot(machine)
    wanted = request.url.params["state"]
    if machine["state"] != wanted:
        raise Refusal(
            408,
            "deadline_exceeded: machine failed to reach desired state, "
            f"{wanted}, currently {machine['state']}",
        )
    return {"ok": True, "state": wanted}


@route("GET", "/_local/machines/{machine}/activity")
def activity(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    awake = fly.machines[names["machine"]]["state"] == "started"
    why = "last used 3 s ago" if awake else "asleep"
    return {"awake": awake, "why": why, "open_connections": 0, "sleeps_in_s": 297.0 if awake else None}


@route("GET", "/v1/orgs/{org}/machines")
def list_org_machines(fly: FakeFly, request: httpx.Request, names: dict[str, str]) -> Any:
    machines = [
        one | {"app_name": one["app"]}
        for one in fly.machines.values()
        if fly.apps[one["app"]].org == names["org"]
    ]
    # Two a page, so that whoever reads only the first one is found out.
    start = int(request.url.params.get("cursor", "0"))
    more = {"next_cursor": str(start + 2)} if start + 2 < len(machines) else {}
    return {"machines": machines[start : start + 2]} | more


@route("GET", "/_local/activity")
def activities(fly: FakeFly, request: httpx.Request, _names: dict[str, str]) -> Any:
    return {"machines": {id_: activity(fly, request, {"machine": id_}) for id_ in fly.machines}}


@route("GET", "/prometheus/{org}/api/v1/query")
def query(fly: FakeFly, request: httpx.Request, _names: dict[str, str]) -> Any:
    asked = promql.parse(request.url.params["query"])
    latest = max((one.times[-1] for one in fly.measured), default=0.0)
    return {"status": "success", "data": {"result": promql.instant(asked, fly.measured, latest)}}


@route("GET", "/prometheus/{org}/api/v1/query_range")
def query_range(fly: FakeFly, request: httpx.Request, _names: dict[str, str]) -> Any:
    asked = promql.parse(request.url.params["query"])
    start, end, step = (float(request.url.params[name]) for name in ("start", "end", "step"))
    return {"status": "success", "data": {"result": promql.ranged(asked, fly.measured, start, end, step)}}


@route("GET", "/api/v1/apps/{app}/logs")
def get_logs(fly: FakeFly, _request: httpx.Request, names: dict[str, str]) -> Any:
    lines = fly.logs.get(names["app"], [])
    return {
        "data": [
            {"id": str(number), "attributes": {"timestamp": "2026-01-01T00:00:00Z", "message": line}}
            for number, line in enumerate(lines)
        ],
        "meta": {"next_token": "next"},
    }


# --- over HTTP ------------------------------------------------------------------------------------


@contextmanager
def served(fly: FakeFly) -> Iterator[str]:
    """The same platform on a port of this machine, its pages too (told apart by their Host header)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(fly))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler_of(fly: FakeFly) -> type[BaseHTTPRequestHandler]:
    class Connection(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            request = httpx.Request(
                self.command,
                f"http://fly{self.path}",
                headers=dict(self.headers.items()),
                content=self.rfile.read(length),
            )
            host = self.headers.get("host", "")
            try:
                answer = self.page(host) if ".localhost" in host else fly.handle(request)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.startswith("x-"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)
            except (httpx.RequestError, OSError):
                self.close_connection = True

        def page(self, host: str) -> httpx.Response:
            trouble = fly.page(f"http://{host}")
            if trouble:
                return httpx.Response(502, text=trouble)
            return (
                httpx.Response(200, content=fly.page_body, headers=fly.page_headers)
                if self.path == "/health"
                else httpx.Response(401)
            )

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Connection
