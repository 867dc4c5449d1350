"""The one mouth: what goes over the wire, what is asked again, and what every refusal becomes."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fly import client as client_module
from fly.client import Client, may_have_happened
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
from fly.settings import Platform, Secret
from tests.support.wait import wait_until
from tests.support.world import Clock

SECRET = "fm2_never-to-be-seen"
DOCUMENT = Path(__file__).resolve().parents[2] / "contract" / "fly-openapi.json"
Answer = httpx.Response | type[httpx.RequestError]


class Wire:
    """Answers with what it was given, one after the other, the last one for good; keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [httpx.Response(200, json={})]
        self.asked: list[httpx.Request] = []
        self.clock = Clock()
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        raise answer("fault", request=request)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.sleep(seconds)

    def client(self, kind: str = "fly", token: str = SECRET) -> Client:
        platform = Platform(kind, "https://fly.test", Secret(token), "acme", "https://logs.test")
        transport = httpx.MockTransport(self)
        return Client(platform, transport=transport, sleep=self.sleep, clock=self.clock)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(wire: Wire) -> Iterator[Client]:
    with wire.client() as client:
        yield client


def refusal(status: int, error: str = "no", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": error}, headers=headers)


# --- what goes over the wire ----------------------------------------------------------------------

MACHINE = {"id": "m", "state": "started"}
VOLUME = {"id": "vol_1", "name": "data", "region": "iad"}
LEASE = {"status": "success", "data": {"nonce": "n"}}
VERBS: dict[str, tuple[Callable[[Client], Any], str, Any]] = {
    "apps": (lambda c: c.apps(), "GET /apps?org_slug=acme", {"apps": []}),
    "app": (lambda c: c.app("a"), "GET /apps/a", {"name": "a"}),
    "create_app": (lambda c: c.create_app({"name": "a"}), "POST /apps", {}),
    "delete_app": (lambda c: c.delete_app("a"), "DELETE /apps/a?force=true", {}),
    "ips": (lambda c: c.ips("a"), "GET /apps/a/ip_assignments", {"ips": []}),
    "assign_ip": (lambda c: c.assign_ip("a", "v6"), "POST /apps/a/ip_assignments", {}),
    "release_ip": (lambda c: c.release_ip("a", "::1"), "DELETE /apps/a/ip_assignments/%3A%3A1", {}),
    "volumes": (lambda c: c.volumes("a"), "GET /apps/a/volumes", []),
    "volume": (lambda c: c.volume("a", "v"), "GET /apps/a/volumes/v", VOLUME),
    "create_volume": (lambda c: c.create_volume("a", {"name": "data"}), "POST /apps/a/volumes", VOLUME),
    "extend_volume": (
        lambda c: c.extend_volume("a", "v", 20),
        "PUT /apps/a/volumes/v/extend",
        {"volume": VOLUME, "needs_restart": False},
    ),
    "delete_volume": (lambda c: c.delete_volume("a", "v"), "DELETE /apps/a/volumes/v", {}),
    "snapshots": (lambda c: c.snapshots("a", "v"), "GET /apps/a/volumes/v/snapshots", []),
    "take_snapshot": (lambda c: c.take_snapshot("a", "v"), "POST /apps/a/volumes/v/snapshots", {}),
    "machines": (lambda c: c.machines("a"), "GET /apps/a/machines", [MACHINE]),
    "machine": (lambda c: c.machine("a", "m"), "GET /apps/a/machines/m", MACHINE),
    "create_machine": (lambda c: c.create_machine("a", {"config": {}}), "POST /apps/a/machines", MACHINE),
    "update_machine": (
        lambda c: c.update_machine("a", "m", {"config": {}}),
        "POST /apps/a/machines/m",
        MACHINE,
    ),
    "destroy_machine": (
        lambda c: c.destroy_machine("a", "m", force=True),
        "DELETE /apps/a/machines/m?force=true",
        {},
    ),
    "start": (lambda c: c.start("a", "m"), "POST /apps/a/machines/m/start", {}),
    "stop": (lambda c: c.stop("a", "m"), "POST /apps/a/machines/m/stop", {}),
    "suspend": (lambda c: c.suspend("a", "m"), "POST /apps/a/machines/m/suspend", {}),
    "cordon": (lambda c: c.cordon("a", "m"), "POST /apps/a/machines/m/cordon", {}),
    "uncordon": (lambda c: c.uncordon("a", "m"), "POST /apps/a/machines/m/uncordon", {}),
    "secrets": (lambda c: c.secrets("a"), "GET /apps/a/secrets", {"secrets": []}),
    "set_secrets": (lambda c: c.set_secrets("a", {"K": None}), "POST /apps/a/secrets", {}),
    "restart": (lambda c: c.restart("a", "m"), "POST /apps/a/machines/m/restart", {}),
    "exec": (lambda c: c.exec("a", "m", ["true"]), "POST /apps/a/machines/m/exec", {"exit_code": 0}),
    "events": (lambda c: c.events("a", "m"), "GET /apps/a/machines/m/events", []),
    "set_metadata": (
        lambda c: c.set_metadata("a", "m", "k", "v"),
        "POST /apps/a/machines/m/metadata/k",
        {},
    ),
    "organisation_machines": (
        lambda c: list(c.organisation_machines()),
        "GET /orgs/acme/machines",
        {"machines": []},
    ),
    "wait": (
        lambda c: c.wait("a", "m", "started", timeout_s=9.5),
        "GET /apps/a/machines/m/wait?state=started&timeout=1",
        {"ok": True},
    ),
    "acquire_lease": (
        lambda c: c.acquire_lease("a", "m", ttl_s=13),
        "POST /apps/a/machines/m/lease",
        LEASE,
    ),
    "refresh_lease": (
        lambda c: c.refresh_lease("a", "m", "n", ttl_s=13),
        "POST /apps/a/machines/m/lease",
        LEASE,
    ),
    "release_lease": (lambda c: c.release_lease("a", "m", "n"), "DELETE /apps/a/machines/m/lease", {}),
    "regions": (lambda c: c.regions(), "GET /platform/regions", {"Regions": [{"code": "iad"}]}),
}
NOT_OF_THE_DOCUMENT = {
    *("activity", "activities", "logs", "leased", "close", "is_like_fly", "strays", "remove_strays"),
    *("measured", "measured_since"),
}


def shown(request: httpx.Request) -> str:
    return f"{request.method} {request.url.raw_path.decode().removeprefix('/v1')}"


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_asks_what_flys_document_describes(name: str, wire: Wire, client: Client) -> None:
    call, expected, answer = VERBS[name]
    wire.answers = [httpx.Response(200, json=answer)]
    call(client)
    [request] = wire.asked
    assert shown(request) == expected
    assert request.url.path.startswith("/v1/")
    operation = operation_of(request)
    described = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    # The document does not know this one; Fly's own pages do.
    assert set(request.url.params) - {"force"} <= described


def operation_of(request: httpx.Request) -> dict[str, Any]:
    paths = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
    asked = request.url.raw_path.decode().partition("?")[0].removeprefix("/v1")
    found = [path for path in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), asked)]
    # "/apps/{app}/machines/{id}/…" may fit several; the one with the fewest names is meant.
    operations = paths[min(found, key=lambda path: path.count("{"))]
    operation = operations[request.method.lower()]
    assert isinstance(operation, dict)
    return operation


def test_every_verb_is_tried() -> None:
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert public == VERBS.keys() | NOT_OF_THE_DOCUMENT


@pytest.mark.parametrize(
    ("token", "header"),
    [("abc", "Bearer abc"), ("FlyV1 fm2_abc", "FlyV1 fm2_abc"), ("fm2_a", "Bearer fm2_a")],
)
def test_the_token_goes_in_its_own_scheme(token: str, header: str, wire: Wire) -> None:
    with wire.client(token=token) as client:
        client.create_app({})
    assert wire.asked[0].headers["authorization"] == header


def test_a_nonce_goes_with_what_it_allows(wire: Wire, client: Client) -> None:
    for call in (client.start, client.stop, client.suspend, client.restart, client.destroy_machine):
        call("a", "m", nonce="n1")
    assert [request.headers["fly-machine-lease-nonce"] for request in wire.asked] == ["n1"] * 5
    client.start("a", "m")
    assert "fly-machine-lease-nonce" not in wire.asked[-1].headers


def test_a_lease_is_released_whatever_happens_under_it(wire: Wire, client: Client) -> None:
    wire.answers = [httpx.Response(201, json=LEASE), httpx.Response(200, json={})]
    nonces = []
    with pytest.raises(ZeroDivisionError), client.leased("a", "m") as hold:
        nonces.append(1 / 0 if hold.nonce == "n" else hold.nonce)
    assert nonces == []
    assert [request.method for request in wire.asked] == ["POST", "DELETE"]
    assert wire.asked[-1].headers["fly-machine-lease-nonce"] == "n"


def test_a_lease_is_kept_for_as_long_as_it_is_needed(
    wire: Wire, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LEASE_S", 0.03)
    wire.answers = [httpx.Response(201, json=LEASE)]
    with client.leased("a", "m"):
        wait_until(lambda: len(wire.asked) > 3, "the lease to be refreshed")
    assert {request.headers["fly-machine-lease-nonce"] for request in wire.asked[1:]} == {"n"}
    assert [request.method for request in wire.asked][-1] == "DELETE"


def test_a_lease_that_had_run_out_and_came_back_as_another_is_given_back_and_no_longer_counts(
    wire: Wire, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may have changed the machine in between: whoever goes on has to look anew."""
    monkeypatch.setattr(client_module, "LEASE_S", 0.03)
    another = {"status": "success", "data": {"nonce": "another"}}
    wire.answers = [
        httpx.Response(201, json=LEASE), httpx.Response(201, json=another), httpx.Response(200, json={})
    ]  # fmt: skip
    with client.leased("a", "m") as hold:
        wait_until(lambda: len(wire.asked) > 2, "what was taken anew to be given back")
        with pytest.raises(ApiError, match="ran out") as refused:
            client.stop("a", "m", nonce=hold.nonce)
    assert refused.value.status == 409
    said = [(one.method, one.headers.get("fly-machine-lease-nonce")) for one in wire.asked]
    assert said == [("POST", None), ("POST", "n"), ("DELETE", "another")]


def test_a_lease_that_had_run_out_and_is_somebody_elses_by_now_is_not_theirs_to_lose(
    wire: Wire, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LEASE_S", 0.03)
    held = refusal(409, "aborted: machine ID m lease currently held by somebody")
    wire.answers = [httpx.Response(201, json=LEASE), held]
    with client.leased("a", "m") as hold:
        wait_until(lambda: hold.is_lost, "the loss to be noticed")
    assert [one.method for one in wire.asked] == ["POST", "POST"]


def test_a_lease_whose_holder_was_killed_is_waited_for(wire: Wire, client: Client) -> None:
    held = refusal(409, "aborted: machine ID m lease currently held by somebody")
    wire.answers = [held, held, httpx.Response(201, json=LEASE), httpx.Response(200, json={})]
    with client.leased("a", "m") as hold:
        assert hold.nonce == "n"
    assert wire.slept == [1.0, 1.0]


def test_a_lease_that_somebody_keeps_is_not_waited_for_for_ever(wire: Wire, client: Client) -> None:
    wire.answers = [refusal(409, "aborted: machine ID m lease currently held by somebody")]
    with pytest.raises(ApiError, match="currently held by somebody"), client.leased("a", "m"):
        raise AssertionError
    assert 15 < wire.clock.now_s - 1000 < 30


def test_a_lease_that_can_not_be_given_back_does_not_hide_what_went_wrong(wire: Wire, client: Client) -> None:
    wire.answers = [httpx.Response(201, json=LEASE), httpx.ConnectError]
    with pytest.raises(ZeroDivisionError), client.leased("a", "m"):
        raise ZeroDivisionError


def test_a_lease_that_has_expired_is_as_good_as_released(wire: Wire, client: Client) -> None:
    wire.answers = [refusal(404)]
    client.release_lease("a", "m", "n")


def test_names_cannot_leave_their_place_in_a_path(wire: Wire, client: Client) -> None:
    wire.answers = [httpx.Response(200, json={"name": "a"})]
    client.app("../orgs?x=1#y")
    assert shown(wire.asked[0]) == "GET /apps/..%2Forgs%3Fx%3D1%23y"


@pytest.mark.parametrize("verb", ["strays", "remove_strays"])
def test_what_has_no_record_is_named(verb: str, wire: Wire, client: Client) -> None:
    volume = {"name": "jarvis-a-vol_1", "labels": {"my-jarvis.app": "a"}, "state": ""}
    wire.answers = [httpx.Response(200, json={"containers": [], "volumes": [volume], "networks": []})]
    [stray] = getattr(client, verb)()
    assert (stray.kind, stray.name, stray.labels["my-jarvis.app"]) == ("volume", "jarvis-a-vol_1", "a")
    assert shown(wire.asked[0]).endswith("/_local/orphans")


def test_logs_are_read_from_where_fly_keeps_them(wire: Wire, client: Client) -> None:
    wire.answers = [
        httpx.Response(
            200, json={"data": [{"attributes": {"message": "hello"}}], "meta": {"next_token": "t2"}}
        )
    ]
    page = client.logs("a", token="t1")
    assert str(wire.asked[0].url) == "https://logs.test/api/v1/apps/a/logs?next_token=t1"
    assert ([line.message for line in page.lines], page.token) == (["hello"], "t2")


def test_a_long_list_of_machines_is_read_to_its_end(wire: Wire, client: Client) -> None:
    pages = [
        {"machines": [{"id": "a", "state": "s"}], "next_cursor": "c1"},
        {"machines": [], "next_cursor": "c2"},
        {"machines": [{"id": "b", "state": "s"}]},
    ]
    wire.answers = [httpx.Response(200, json=page) for page in pages]
    assert [machine.id for machine in client.organisation_machines()] == ["a", "b"]
    assert [request.url.params.get("cursor") for request in wire.asked] == [None, "c1", "c2"]


def test_the_embedded_platform_is_not_asked_through_a_proxy(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with wire.client("local") as client:
        client.start("a", "m")
    assert len(wire.asked) == 1


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": "invalid token"}, NotAllowed),
        (403, {"error": "unauthorized"}, NotAllowed),
        (404, {"error": "app not found"}, NotFound),
        (422, {"error": "Validation failed: Name has already been taken", "status": "name_taken"}, NameTaken),
        (422, {"error": "Validation failed: Name has already been taken"}, NameTaken),
        (422, {"error": "uniqueness constraint violated"}, ApiError),
        (503, {"error": "upstream said Name has already been taken"}, PlatformBroken),
        (422, {"error": "Name has already been taken", "status": "unknown"}, ApiError),
        (422, {"error": "out of capacity", "status": "insufficient_capacity"}, NoCapacity),
        (503, {"error": "out of capacity", "status": "insufficient_capacity"}, NoCapacity),
        (412, {"error": "no room", "status": "volume_placement_capacity"}, NoCapacity),
        (409, {"error": "could not reserve resource for machine: insufficient memory available"}, NoCapacity),
        (
            412,
            {"error": "insufficient resources to create new machine with existing volume 'vol_1'"},
            NoCapacity,
        ),
        (409, {"error": "no capacity"}, NoCapacity),
        (400, {"error": "no capacity"}, NoCapacity),
        (403, {"error": 'organization "X" is using 9 MB, which is over the allowed quota.'}, NoCapacity),
        (409, {"error": "aborted: lease currently held by somebody"}, ApiError),
        (412, {"error": "failed_precondition: unable to start machine"}, ApiError),
        (400, {"error": "invalid"}, ApiError),
        (408, {"error": "deadline_exceeded"}, ApiError),
        (500, {"error": "internal"}, PlatformBroken),
        (302, {}, PlatformBroken),
    ],
)
def test_every_refusal_becomes_the_error_that_a_caller_can_act_on(
    status: int, body: dict[str, str], kind: type[ApiError], wire: Wire, client: Client
) -> None:
    wire.answers = [httpx.Response(status, json=body, headers={"fly-request-id": "01REQ"})]
    with pytest.raises(ApiError) as caught:
        client.create_app({})
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.method, error.path, error.request_id) == (
        status, body.get("status", ""), "POST", "/v1/apps", "01REQ",
    )  # fmt: skip
    assert str(error).startswith(f"POST /v1/apps: {status} ")
    assert str(error).endswith("(request 01REQ)")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Bad Gateway"),
        (b"<html>\n  <b>oh</b> no", "<html> <b>oh</b> no"),
        (b"[1]", "[1]"),
        (b'{"message": "better", "error": "worse"}', "better"),
        (b'{"error": null}', "Bad Gateway"),
        (b"\xff\xfe", ""),
    ],
)
def test_a_refusal_in_any_body_is_put_in_words(
    content: bytes, words: str, wire: Wire, client: Client
) -> None:
    wire.answers = [httpx.Response(502, content=content)]
    with pytest.raises(PlatformBroken, match="502") as caught:
        client.create_app({})
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (httpx.ConnectError, False),
        (httpx.ConnectTimeout, False),
        (httpx.PoolTimeout, False),
        (httpx.ProxyError, False),
        (httpx.ReadTimeout, True),
        (httpx.WriteTimeout, True),
        (httpx.ReadError, True),
        (httpx.WriteError, True),
        (httpx.RemoteProtocolError, True),
        (httpx.DecodingError, True),
    ],
)
def test_a_lost_answer_says_whether_the_request_was_on_its_way(
    fault: type[httpx.RequestError], sent: bool, wire: Wire, client: Client
) -> None:
    wire.answers = [fault]
    with pytest.raises(Unreachable) as caught:
        client.create_app({})
    assert caught.value.sent is may_have_happened(caught.value) is sent
    assert "fly.test" in str(caught.value)
    assert caught.value.hint
    assert len(wire.asked) == 1, "nobody knows whether it happened: it is not asked again"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b'{"id": 3}', b"<html>"])
def test_an_answer_that_makes_no_sense_is_the_platforms_fault(
    content: bytes, wire: Wire, client: Client
) -> None:
    wire.answers = [httpx.Response(200, content=content, headers={"fly-request-id": "01REQ"})]
    with pytest.raises(PlatformBroken, match="makes no sense") as caught:
        client.create_machine("a", {})
    assert may_have_happened(caught.value)
    assert caught.value.request_id == "01REQ"


def test_an_image_that_is_not_there_points_to_where_it_is_named(wire: Wire, client: Client) -> None:
    wire.answers = [refusal(400, "invalid_argument: failed to get manifest x@sha256:1: manifest unknown")]
    with pytest.raises(ApiError) as caught:
        client.create_machine("a", {})
    assert "JARVIS_IMAGE" in caught.value.hint


@pytest.mark.parametrize("kind", ["fly", "local"])
def test_the_hint_fits_the_platform(kind: str, wire: Wire) -> None:
    wire.answers = [refusal(401)]
    with wire.client(kind) as client, pytest.raises(NotAllowed) as caught:
        client.create_app({})
    assert ("FLY_API_TOKEN" in caught.value.hint) is (kind == "fly")


def test_the_token_is_in_no_error_even_when_the_platform_says_it(wire: Wire) -> None:
    errors: list[JarvisError] = []
    answers: tuple[Answer, ...] = (refusal(401, f"invalid token {SECRET}"), httpx.ReadError)
    with wire.client() as client:
        for answer in answers:
            wire.answers = [answer]
            with pytest.raises(JarvisError) as caught:
                client.create_app({})
            errors.append(caught.value)
        assert SECRET not in repr(client) + repr(vars(client))
    assert "[hidden]" in str(errors[0])
    assert all(SECRET not in f"{error!r} {error.hint} {vars(error)}" for error in errors)


# --- asking again ---------------------------------------------------------------------------------

AGAIN_FOR_READING: list[Answer] = [
    httpx.ConnectError,
    httpx.ReadError,
    httpx.RemoteProtocolError,
    refusal(502),
    refusal(503),
]


@pytest.mark.parametrize("answer", AGAIN_FOR_READING, ids=str)
def test_reading_is_tried_again(answer: Answer, wire: Wire, client: Client) -> None:
    wire.answers = [answer, answer, httpx.Response(200, json={"name": "a"})]
    assert client.app("a").name == "a"
    assert len(wire.asked) == 3
    assert wire.slept == sorted(wire.slept)


@pytest.mark.parametrize("answer", AGAIN_FOR_READING, ids=str)
def test_reading_is_not_tried_for_ever(answer: Answer, wire: Wire, client: Client) -> None:
    wire.answers = [answer]
    with pytest.raises(JarvisError):
        client.app("a")
    assert len(wire.asked) == client_module.ATTEMPTS


@pytest.mark.parametrize(
    "answer", [*AGAIN_FOR_READING, httpx.ReadTimeout, refusal(500), refusal(408)], ids=str
)
@pytest.mark.parametrize("verb", ["create_app", "delete_app", "extend_volume", "start"])
def test_what_changes_something_is_never_asked_twice(
    verb: str, answer: Answer, wire: Wire, client: Client
) -> None:
    wire.answers = [answer]
    with pytest.raises(JarvisError):
        VERBS[verb][0](client)
    assert len(wire.asked) == 1


@pytest.mark.parametrize("answer", [refusal(400), refusal(404), refusal(500), httpx.ReadTimeout], ids=str)
def test_what_would_fail_again_is_not_tried_again(answer: Answer, wire: Wire, client: Client) -> None:
    wire.answers = [answer]
    with pytest.raises(JarvisError):
        client.app("a")
    assert len(wire.asked) == 1


@pytest.mark.parametrize("verb", ["app", "create_app"])
def test_too_many_requests_wait_as_long_as_they_are_told(verb: str, wire: Wire, client: Client) -> None:
    wire.answers = [refusal(429, **{"retry-after": "7"}), httpx.Response(200, json={"name": "a"})]
    VERBS[verb][0](client)
    assert wire.slept == [7.0]


@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [
        ("3600", 30, 30),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 30, 30),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 2, 2),
        ("soon", 2, 2),
        ("-5", 2, 2),
        ("", 2, 2),
    ],
    # Not the dates themselves: each worker would have others.
    ids=["long", "a date to come", "a date gone by", "words", "negative", "nothing"],
)
def test_any_retry_after_is_bounded(
    header: str, least_s: float, most_s: float, wire: Wire, client: Client
) -> None:
    wire.answers = [refusal(429, **{"retry-after": header}), httpx.Response(200, json={})]
    client.create_app({})
    [slept_s] = wire.slept
    assert least_s <= slept_s <= most_s


def test_a_date_to_come_back_at_is_waited_for(wire: Wire, client: Client) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20))
    wire.answers = [refusal(429, **{"retry-after": soon}), httpx.Response(200, json={})]
    client.create_app({})
    [slept_s] = wire.slept
    assert 1 < slept_s <= 20


def test_too_many_for_too_long_is_told(wire: Wire, client: Client) -> None:
    wire.answers = [refusal(429)]
    with pytest.raises(TooMany) as caught:
        client.create_app({})
    assert len(wire.asked) == client_module.ATTEMPTS
    assert not may_have_happened(caught.value)


# --- waiting --------------------------------------------------------------------------------------


def waited(client: Client, state: str = "started", timeout_s: float = 100) -> None:
    client.wait("a", "m", state, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "answer",
    [refusal(408), refusal(404), refusal(500), refusal(429), httpx.ReadTimeout, httpx.ReadError],
    ids=str,
)
def test_a_wait_goes_on_until_it_is_over(answer: Answer, wire: Wire, client: Client) -> None:
    wire.answers = [answer, answer, httpx.Response(200, json={"ok": True})]
    waited(client)
    assert len(wire.asked) == 3


def test_a_wait_asks_for_no_longer_than_the_api_allows_and_it_has(wire: Wire, client: Client) -> None:
    wire.answers = [refusal(408)]
    with pytest.raises(NotInTime):
        waited(client, timeout_s=100)
    asked = [int(r.url.params["timeout"]) for r in wire.asked if r.url.path.endswith("/wait")]
    assert asked[:3] == [1, 2, 5]
    assert max(asked) <= 60
    assert asked[-1] == 1


def test_a_wait_that_was_in_vain_says_what_was_last_seen(wire: Wire, client: Client) -> None:
    words = "deadline_exceeded: machine failed to reach desired state, started, currently stopped"
    wire.answers = [refusal(408, words)]
    with pytest.raises(NotInTime, match="currently stopped") as caught:
        waited(client, timeout_s=10)
    assert (caught.value.wanted, caught.value.waited_s) == ("started", 10)
    assert wire.clock.now_s < 1000 + 15


@pytest.mark.parametrize(
    ("state", "looks"), [("failed", 1), ("destroyed", 1), ("launch_failed", 1), ("stopped", 2)]
)
def test_a_machine_that_gave_up_is_not_waited_for(state: str, looks: int, wire: Wire, client: Client) -> None:
    exit_event = {"type": "exit", "request": {"exit_event": {"exit_code": 7}}}
    gave_up = httpx.Response(200, json={"id": "m", "state": state, "events": [exit_event]})
    wire.answers = [refusal(408), gave_up, refusal(408), gave_up]
    with pytest.raises(NotInTime, match=rf"it is {state} \(exit code 7\)") as caught:
        waited(client, timeout_s=180)
    assert len(wire.asked) == 2 * looks
    assert caught.value.waited_s < 10


def test_a_machine_that_is_stopped_for_a_moment_on_its_way_up_is_waited_for(
    wire: Wire, client: Client
) -> None:
    def seen(state: str, *events: Any) -> httpx.Response:
        return httpx.Response(200, json={"id": "m", "state": state, "events": list(events)})

    exit_event = {"type": "exit", "request": {"exit_event": {"exit_code": 0}}}
    looks = [seen("stopped", exit_event), seen("starting", exit_event), seen("stopped")]
    wire.answers = [step for look in looks for step in (refusal(408), look)]
    wire.answers += [httpx.Response(200, json={"ok": True})]
    waited(client)
    assert len(wire.asked) == 7


def test_gone_is_what_waiting_for_destroyed_hopes_for(wire: Wire, client: Client) -> None:
    wire.answers = [refusal(408), refusal(404)]
    waited(client, "destroyed")
    assert len(wire.asked) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 412])
def test_a_wait_that_makes_no_sense_ends_at_once(status: int, wire: Wire, client: Client) -> None:
    wire.answers = [refusal(status)]
    with pytest.raises(ApiError):
        waited(client)
    assert len(wire.asked) == 1


def test_a_wait_can_be_for_one_version_of_the_machine(wire: Wire, client: Client) -> None:
    client.wait("a", "m", "stopped", timeout_s=5, instance_id="01X")
    assert wire.asked[0].url.params["instance_id"] == "01X"
