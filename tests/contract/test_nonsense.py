"""Nonsense made from Fly's own document: the answer is JSON, and never a fault of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core import NotSet

from tests.contract.conftest import AppUnderTest, Asker, Make, app_name
from tests.support.openapi import DOCUMENT, Measure
from tests.support.platform import ROOT, Platform

EXAMPLES, EXAMPLES_OF_A_NAME = 8, 2
"""Where nothing but names can be nonsense there is little to try."""
SCHEMA = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))
FOUND: list[Any] = list(SCHEMA.get_all_operations())
OPERATIONS: dict[str, Any] = {
    f"{one.method.upper()} {one.path}": one for one in (found.ok() for found in FOUND)
}
NOT_ASKED = {"DELETE /apps/{app_name}"}
"""It would take the ground from under the other questions; other tests ask it."""
_KEY = "/apps/{app_name}/secretkeys/{secret_name}"
NOT_SERVED = {
    "GET /apps/{app_name}/secretkeys",
    *(f"{method} {_KEY}" for method in ("GET", "POST", "DELETE")),
    *(f"POST {_KEY}/{verb}" for verb in ("decrypt", "encrypt", "generate", "sign", "verify")),
    "POST /apps/{app_name}/deploy_token",
    *(f"POST /tokens/{what}" for what in ("authorize", "kms", "oidc")),
}


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
def measure() -> Measure:
    return Measure()


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client() as client:
        yield client


@pytest.mark.parametrize(
    "name", sorted(OPERATIONS.keys() - NOT_ASKED, key=lambda name: ("DELETE" in str(name), str(name)))
)
def test_nonsense_is_answered_in_json_and_is_never_our_fault(
    name: str, client: httpx.Client, known: dict[str, str], little: str, measure: Measure
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
        if is_of(answer, operation):
            measure.check(answer)

    ask()


def is_of(answer: httpx.Response, operation: Any) -> bool:
    """Whether the request got to the operation: a name such as `..` leads elsewhere."""
    return unquote(answer.request.url.path).count("/") == f"/v1{operation.path}".count("/")


def test_what_is_not_served_is_known_and_named(client: httpx.Client) -> None:
    """Asked about an app that is not there, with a body that is no JSON: nothing comes of it."""
    missing = set()
    for name, operation in OPERATIONS.items():
        path = re.sub(r"\{[^}]*\}", "nobody-is-here", operation.path)
        answer = client.request(operation.method, f"/v1{path}", content=b"{" if operation.body else None)
        if answer.status_code in {404, 405} and str(answer.json()["error"]).endswith(f"{path}: Not Found"):
            missing.add(name)
    assert missing == NOT_SERVED
    told = (ROOT / "docs" / "platform.md").read_text(encoding="utf-8")
    assert [name for name in NOT_SERVED if not re.search(named(name), told)] == []


def named(operation: str) -> str:
    """How the documents speak of it: `secretkeys`, `deploy_token`, `tokens/kms`."""
    path = operation.partition(" ")[2].removeprefix("/apps/{app_name}")
    return "/".join(path.removesuffix("/").split("/")[1 : 3 if path.startswith("/tokens") else 2])


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
