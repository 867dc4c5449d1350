"""Trouble on demand: each fault does what it says, to the requests it is for, and to no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.conftest import app_name
from tests.support.platform import Platform


@pytest.fixture
def troubled(platform: Platform) -> Iterator[httpx.Client]:
    """The platform that all share; faults are aimed at names that no other test has."""
    with platform.client() as client:
        yield client
        client.delete("/_local/faults")
        for name in [app["name"] for app in client.get("/v1/apps").json()["apps"]]:
            if name.startswith("fault-"):
                client.delete(f"/v1/apps/{name}")


@pytest.fixture
def name() -> str:
    return app_name().replace("contract", "fault")


def arm(client: httpx.Client, effect: str, **wanted: Any) -> Any:
    answer = client.post("/_local/faults", json={"effect": effect} | wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


def create(client: httpx.Client, name: str) -> httpx.Response:
    return client.post("/v1/apps", json={"name": name, "network": "shared-by-faults"})


def exists(client: httpx.Client, name: str) -> bool:
    return name in [app["name"] for app in client.get("/v1/apps").json()["apps"]]


def test_a_refusal_is_not_carried_out_and_comes_once(troubled: httpx.Client, name: str) -> None:
    arm(troubled, "refuse", method="POST", path="/v1/apps", status=502, error="bad gateway", code="odd")
    refused = create(troubled, name)
    assert (refused.status_code, refused.json()) == (502, {"error": "bad gateway", "status": "odd"})
    assert "fly-request-id" in refused.headers
    assert not exists(troubled, name)
    assert create(troubled, name).status_code == 201


def test_what_was_committed_before_the_refusal_is_there(troubled: httpx.Client, name: str) -> None:
    arm(troubled, "commit_then_refuse", method="POST", path="/v1/apps", status=408)
    assert create(troubled, name).status_code == 408
    assert exists(troubled, name)


@pytest.mark.parametrize(("effect", "is_there"), [("drop", False), ("commit_then_drop", True)])
def test_a_connection_breaks_off_without_a_word(
    troubled: httpx.Client, name: str, effect: str, is_there: bool
) -> None:
    arm(troubled, effect, method="POST", path="/v1/apps")
    with pytest.raises(httpx.TransportError):
        create(troubled, name)
    assert exists(troubled, name) is is_there


def test_an_answer_may_be_cut_in_its_middle(troubled: httpx.Client, name: str) -> None:
    arm(troubled, "commit_then_malformed", method="POST", path="/v1/apps")
    answer = create(troubled, name)
    assert answer.status_code == 201
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert exists(troubled, name)


def test_a_slow_answer_comes(troubled: httpx.Client, name: str) -> None:
    arm(troubled, "delay", path="/v1/apps", method="POST", delay_s=0.3)
    answer = create(troubled, name)
    assert answer.status_code == 201
    assert answer.elapsed.total_seconds() > 0.3


def test_the_words_of_limits_and_of_full_regions_are_flys(troubled: httpx.Client, name: str) -> None:
    arm(troubled, "rate_limit", path="/v1/apps", method="POST", retry_after_s=7)
    limited = create(troubled, name)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    arm(troubled, "insufficient_capacity", path="/v1/apps", method="POST")
    full = create(troubled, name)
    assert (full.status_code, full.json()["status"]) == (422, "insufficient_capacity")


def test_a_fault_strikes_the_requests_that_it_is_for(troubled: httpx.Client, name: str) -> None:
    create(troubled, name)
    fault = arm(troubled, "refuse", method="GET", path=f"/v1/apps/{name}*", after=1, times=2)
    codes = [troubled.get(f"/v1/apps/{name}").status_code for _ in range(4)]
    assert codes == [200, 503, 503, 200]
    assert troubled.get("/v1/platform/regions").status_code == 200
    [listed] = troubled.get("/_local/faults").json()["faults"]
    assert (listed["id"], listed["struck"]) == (fault["id"], 2)


def test_a_fault_without_end_ends_when_it_is_cleared(troubled: httpx.Client, name: str) -> None:
    create(troubled, name)
    fault = arm(troubled, "refuse", path=f"/v1/apps/{name}", times=0)
    assert [troubled.get(f"/v1/apps/{name}").status_code for _ in range(3)] == [503, 503, 503]
    assert troubled.delete(f"/_local/faults/{fault['id']}").status_code == 204
    assert troubled.get(f"/v1/apps/{name}").status_code == 200
    assert troubled.delete(f"/_local/faults/{fault['id']}").status_code == 404


@pytest.mark.parametrize("wanted", [{}, {"effect": "earthquake"}, {"effect": "refuse", "status": 200}])
def test_a_fault_that_makes_no_sense_is_refused(troubled: httpx.Client, wanted: dict[str, Any]) -> None:
    assert troubled.post("/_local/faults", json=wanted).status_code == 400
    assert troubled.get("/_local/faults").json() == {"faults": []}


def test_faults_are_for_whoever_has_the_token(platform: Platform) -> None:
    answer = httpx.post(
        f"{platform.about['api_url']}/_local/faults", json={"effect": "drop"}, trust_env=False
    )
    assert answer.status_code == 401
