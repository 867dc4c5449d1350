"""The API's manners: whatever comes in, JSON goes out, and never a 5xx that is ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fly.local import api, asked, shapes
from fly.local.apps import Apps
from fly.local.container import Site
from fly.local.docker import Engine
from fly.local.hosting import Host
from fly.local.likeness import OWN
from fly.local.platform import Platform
from fly.local.refusal import Refusal
from fly.local.volumes import Volumes
from tests.support.door import run, until
from tests.support.host import Scene, scene

TOKEN = {"Authorization": "Bearer token"}


async def activity(machine_id: str) -> dict[str, bool]:
    return {"awake": machine_id == "x"}


@asynccontextmanager
async def client(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Scene]]:
    """The API over machines that run nowhere, with an engine that is away."""
    async with scene() as one:
        host = Host(one.state, Engine(f"unix://{folder}/none.sock"), Site("p", 2, True), folder)
        volumes = Volumes(one.state, host, one.machines.while_still)
        platform = Platform(
            one.state,
            host,
            one.leases,
            one.machines,
            volumes,
            Apps(one.state, host, one.machines, volumes),
            OWN,
            token="token",
            about=lambda: {"pid": 1},
            activity=activity,
            measured=list,
        )
        transport = httpx.ASGITransport(api.build(platform))
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=TOKEN) as asking:
            yield asking, one


def test_the_token_is_asked_for_before_anything_else(tmp_path: Path) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, _):
            for given in (
                "",
                "Bearer",
                "Bearer ",
                "Bearer tok",
                "Bearer token2",
                "Basic token",
                "bearer\ttoken",
            ):
                for path in ("/v1/apps", "/nowhere", "/_local/platform"):
                    answer = await ask.get(path, headers={"Authorization": given})
                    assert (answer.status_code, answer.json()) == (401, {"error": "invalid token"})
            assert (await ask.get("/v1/apps", headers={"Authorization": "bearer token"})).status_code == 200

    run(work())


def test_what_is_not_served_is_said_in_json(tmp_path: Path) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, _):
            for method, path, code in [
                ("GET", "/v1/nowhere", 404),
                ("GET", "/", 404),
                ("PUT", "/v1/apps", 405),
                ("GET", "/v1/apps/%00", 404),
                ("GET", "/v1/apps/app/machines/..%2f..%2fx", 404),
            ]:
                answer = await ask.request(method, path)
                assert answer.status_code == code, path
                assert answer.json()["error"], path

    run(work())


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"3",
        b"\xff",
        b'{"name": 3}',
        b"[" * 100_000,
        b'{"name":"\\ud800"}',
        b'{"name":"a\\u0000"}',
    ],
)
def test_a_body_that_makes_no_sense_is_a_400(tmp_path: Path, body: bytes) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, one):
            answer = await ask.post("/v1/apps", content=body)
            assert answer.status_code in {400, 422}, answer.text
            assert answer.json()["error"]
            assert list(one.state.apps) == ["app"]

    run(work())


def test_a_body_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "BODY_LIMIT", 1000)

    async def work() -> None:
        async with client(tmp_path) as (ask, _):
            answer = await ask.post("/v1/apps", content=b" " * 1001)
            assert (answer.status_code, answer.json()) == (413, {"error": "the body is too large"})

    run(work())


def test_an_engine_that_is_away_is_a_503_in_words_and_makes_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, one):
            for path, body in [
                ("/v1/apps", {"name": "new"}),
                ("/v1/apps/app/volumes", {"name": "data", "region": "iad"}),
                ("/v1/apps/app/machines", {"config": {"image": "x"}}),
            ]:
                answer = await ask.post(path, json=body)
                assert answer.status_code == 503, path
                assert "no Docker Engine answers at" in answer.json()["error"]
            assert (list(one.state.apps), one.state.volumes, one.state.machines) == (["app"], {}, {})

    run(work())


def test_a_machine_tells_what_clients_read(tmp_path: Path) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, one):
            machine = await one.running()
            seen = (await ask.get(f"/v1/apps/app/machines/{machine.id}")).json()
            assert seen["host_status"] == "ok"
            assert seen["config"]["guest"]["memory_mb"] == 256
            assert seen["checks"][0]["updated_at"]
            activity = await ask.get(f"/_local/machines/{machine.id}/activity")
            assert activity.json() == {"state": "started", "awake": False}
            assert (await ask.get("/_local/machines/none/activity")).status_code == 404

    run(work())


@pytest.mark.parametrize(
    "path", ["events?limit=0", "events?limit=-1", "events?limit=1e9", "events?limit=²", "wait?timeout=x"]
)
def test_a_query_that_makes_no_sense_is_a_400(tmp_path: Path, path: str) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, one):
            machine = await one.running()
            answer = await ask.get(f"/v1/apps/app/machines/{machine.id}/{path}")
            assert answer.status_code == 400, answer.text

    run(work())


@pytest.mark.parametrize(
    ("given", "shape", "words"),
    [
        ({"a": 1}, {"a": shapes.Text()}, "body.a must be text"),
        ({"a": "x" * 9}, {"a": shapes.Text(8)}, "at most 8"),
        ({"a": True}, {"a": shapes.Whole()}, "body.a must be a whole number"),
        ({"a": 1 << 70}, {"a": shapes.Whole()}, "body.a must be a whole number"),
        ({"a": 1.0}, {"a": shapes.Whole()}, "body.a must be a whole number"),
        ({"a": 1}, {"a": shapes.Flag()}, "true or false"),
        ({"a": [1]}, {"a": [shapes.Text()]}, r"body.a\[0\] must be text"),
        ({"a": {"b": 1}}, {"a": shapes.Map(shapes.Text())}, "body.a.b must be text"),
        ({"a": "1y"}, {"a": shapes.Time()}, "duration"),
        ({"a": "9" * 40 + "h"}, {"a": shapes.Time()}, "duration"),
        ({"a": -1}, {"a": shapes.Time()}, "duration"),
        ({"a": "maybe"}, {"a": shapes.Autostop()}, "one of off, stop, suspend"),
        ([], {}, "body must be an object"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(given: Any, shape: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words) as refused:
        shapes.clean(given, shape)
    assert refused.value.code == 400


def test_unknown_fields_and_nulls_are_left_out() -> None:
    shape = {"a": shapes.Text(), "b": {"c": shapes.Flag()}, "t": shapes.Time()}
    given = json.loads('{"a": null, "b": {"c": false, "x": 1}, "y": 2, "t": 1500000000}')
    assert shapes.clean(given, shape) == {"b": {"c": False}, "t": "1.5s"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("250ms", 0.25), ("7", 7), ("1h", 3600), ("", None), ("s", None)],
)
def test_durations_are_understood(text: str, seconds: float | None) -> None:
    assert shapes.seconds(text) == seconds


@pytest.mark.parametrize("verb", ["start", "stop", "suspend", "restart"])
def test_a_lease_that_was_taken_while_a_call_waited_for_its_turn_holds(tmp_path: Path, verb: str) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, one):
            machine = one.machine()
            gate = one.host.gate("launch")
            await one.machines.start(machine.id)
            await gate.reached.wait()
            waiting = asyncio.create_task(ask.post(f"/v1/apps/app/machines/{machine.id}/{verb}"))
            await asyncio.sleep(0.05)
            one.leases.acquire(machine, 60, "", None)
            gate.opened.set()
            assert (await waiting).status_code == 409
            await one.reach(machine, "started")
            assert one.host.calls.count("launch") == 1

    run(work())


def test_a_machine_that_woke_before_its_turn_to_be_destroyed_came_is_left_alone(tmp_path: Path) -> None:
    async def work() -> None:
        async with client(tmp_path) as (ask, one):
            machine = await one.suspended()
            at, copied = f"/v1/apps/app/machines/{machine.id}", asyncio.Event()

            async def copy() -> None:
                await copied.wait()

            first = asyncio.create_task(one.machines.while_still(machine.id, copy))
            waking = asyncio.create_task(ask.post(f"{at}/start"))
            await until(lambda: one.machines.busy(machine.id), "its turn")
            destroying = asyncio.create_task(ask.delete(at))
            await asyncio.sleep(0.05)
            copied.set()
            await first
            assert (await waking).status_code == 200
            assert (await destroying).status_code == 412
            assert one.now(machine).state == "started"

    run(work())
