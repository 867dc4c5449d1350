"""Nonsense made from Fly's own document: the answer is JSON, and never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core import NotSet

from tests.contract.conftest import AppUnderTest, Asker, Make, app_name
from tests.support.openapi import DOCUMENT
from tests.support.platform import Platform

EXAMPLES, EXAMPLES_OF_A_NAME = 8, 2
"""Where nothing but names can be nonsense there is little to try."""
SCHEMA = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))
FOUND: list[Any] = list(SCHEMA.get_all_operations())
OPERATIONS: dict[str, Any] = {
    f"{one.method.upper()} {one.path}": one for one in (found.ok() for found in FOUND)
}
NOT_ASKED = {"DELETE /apps/{app_name}"}
"""It would take the ground from under the other questions; other tests ask it."""


@pytest.fixture(scope="module")
def known(ask: Asker, config: Make) -> Iterator[dict[str, str]]:
    """Names that exist, so that nonsense gets beyond the first `not found`."""
    name = app_name()
    ask.json("POST", "/apps", {"name": name, "network": name}, code=201)
    app = AppUnderTest(ask, name)
    volume = app.volume()
    machine = app.machine(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    ask.json("POST", f"{app.path}/secrets", {"values": {"KEY": "value"}})
    kept = {str(app["name"]) for app in ask.json("GET", "/apps")["apps"]} - {name}
    yield {"app_name": name, "machine_id": machine["id"], "volume_id": volume["id"], "secret_name": "KEY"}
    for made in {str(app["name"]) for app in ask.json("GET", "/apps")["apps"]} - kept:
        ask("DELETE", f"/apps/{made}")


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client() as client:
        yield client


@pytest.mark.parametrize(
    "name", sorted(OPERATIONS.keys() - NOT_ASKED, key=lambda name: ("DELETE" in str(name), str(name)))
)
def test_nonsense_is_answered_in_json_and_is_never_our_fault(
    name: str, client: httpx.Client, known: dict[str, str], little: str
) -> None:
    operation = OPERATIONS[name]
    phases = (Phase.explicit, Phase.reuse, Phase.generate)

    varied = len(operation.body) + len(operation.query)

    @settings(
        max_examples=EXAMPLES if varied else EXAMPLES_OF_A_NAME,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        answer = client.send(request(client, operation, case, known, little))
        assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text}"
        if answer.content:
            answer.json()

    ask()


def request(
    client: httpx.Client, operation: Any, case: Any, known: dict[str, str], image: str
) -> httpx.Request:
    """The case, about things that exist and in a time that can be waited for."""
    values = case.path_parameters | {
        key: value for key, value in known.items() if key in case.path_parameters
    }
    path = operation.path.format(**{key: quote(str(value), safe="") for key, value in values.items()})
    query = {key: value for key, value in (case.query or {}).items() if value is not None}
    if path.endswith("/wait"):
        query["timeout"] = "10ms"
    headers = {
        key: value for key, value in (case.headers or {}).items() if value.isascii() and value.isprintable()
    }
    return client.build_request(
        operation.method, f"/v1{path}", params=query, content=content(case.body, image), headers=headers
    )


def content(body: Any, image: str) -> bytes:
    """The body; a machine's image is one that exists, so that the rest of its config counts too."""
    if isinstance(body, NotSet):
        return b""
    if isinstance(body, dict) and isinstance(body.get("config"), dict):
        body["config"]["image"] = image
    return body if isinstance(body, bytes) else json.dumps(body).encode()
