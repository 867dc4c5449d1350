"""Whatever is asked, also nonsense made from Fly's own document: the answer is JSON, and never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.schemas import APIOperation

from tests.contract.conftest import AppUnderTest, Asker, Make, app_name
from tests.support.openapi import DOCUMENT
from tests.support.platform import Platform

EXAMPLES = 12
SCHEMA = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))
OPERATIONS = {
    f"{o.method.upper()} {o.path}": o for o in (result.ok() for result in SCHEMA.get_all_operations())
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
    before = {app["name"] for app in ask.json("GET", "/apps")["apps"]}
    yield {"app_name": name, "machine_id": machine["id"], "volume_id": volume["id"], "secret_name": "KEY"}
    for made in {app["name"] for app in ask.json("GET", "/apps")["apps"]} - before | {name}:
        ask("DELETE", f"/apps/{made}")


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - NOT_ASKED))
def test_nonsense_is_answered_in_json_and_is_never_our_fault(
    name: str, platform: Platform, known: dict[str, str]
) -> None:
    operation: APIOperation[Any, Any, Any] = OPERATIONS[name]
    phases = (Phase.explicit, Phase.reuse, Phase.generate)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        answer = send(platform, operation, case, known)
        assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text}"
        if answer.content:
            answer.json()

    ask()


def send(platform: Platform, operation: Any, case: Any, known: dict[str, str]) -> httpx.Response:
    """The case, about things that exist and in a time that can be waited for."""
    values = case.path_parameters | {
        key: value for key, value in known.items() if key in case.path_parameters
    }
    path = operation.path.format(**{key: quote(str(value), safe="") for key, value in values.items()})
    query = {key: value for key, value in (case.query or {}).items() if value is not None}
    if path.endswith("/wait"):
        query["timeout"] = "1"
    body = None if isinstance(case.body, schemathesis.core.NotSet) else case.body
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        key: value for key, value in (case.headers or {}).items() if value.isascii() and value.isprintable()
    }
    with platform.client() as client:
        return client.request(operation.method, f"/v1{path}", params=query, content=content, headers=headers)
