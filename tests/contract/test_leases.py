"""Leases: who holds a machine, for how long, and what others may not do meanwhile."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.contract.conftest import AppUnderTest, Asker, Make
from tests.support.wait import wait_until

NONCE = "fly-machine-lease-nonce"


@pytest.fixture
def machine(app: AppUnderTest, config: Make) -> Any:
    return app.machine(config(), skip_launch=True, state="created")


def lease(app: AppUnderTest, machine: Any, body: Any = None, **options: Any) -> Any:
    answer = app.ask.json("POST", app.at(machine["id"], "lease"), body, code=201, **options)
    assert answer["status"] == "success"
    return answer["data"]


def test_a_lease_comes_in_an_envelope_and_is_found_again(app: AppUnderTest, ask: Asker, machine: Any) -> None:
    asked_at = int(time.time())
    held = lease(app, machine, {"ttl": 60, "description": "upgrade"})
    assert asked_at + 60 <= held["expires_at"] <= time.time() + 60
    assert (held["description"], held["version"]) == ("upgrade", machine["instance_id"])
    assert ask.json("GET", app.at(machine["id"], "lease"))["data"] == held


def test_the_time_may_be_in_the_query(app: AppUnderTest, machine: Any) -> None:
    asked_at = int(time.time())
    held = lease(app, machine, params={"ttl": 120})
    assert asked_at + 120 <= held["expires_at"] <= time.time() + 120


def test_others_are_kept_out_of_a_leased_machine(
    app: AppUnderTest, ask: Asker, config: Make, machine: Any
) -> None:
    held = lease(app, machine, {"ttl": 60})
    at = app.at(machine["id"])
    for method, path, body in [
        ("POST", f"{at}/start", None),
        ("POST", f"{at}/stop", None),
        ("POST", f"{at}/suspend", None),
        ("POST", f"{at}/restart", None),
        ("POST", f"{at}/cordon", None),
        ("POST", f"{at}/lease", {"ttl": 5}),
        ("POST", at, {"config": config()}),
        ("DELETE", at, None),
        ("DELETE", f"{at}?force=true", None),
    ]:
        said = ask.refusal(409, method, path, body)
        assert said.startswith(f"aborted: machine ID {machine['id']} lease currently held by "), path
        assert "@tokens.fly.io, expires at 20" in said
    assert app.get(machine["id"])["state"] == "created"
    assert ask("GET", at).status_code == 200
    assert ask("POST", f"{at}/metadata/free", {"value": "yes"}).status_code == 204
    assert app.do(machine["id"], "start", headers={NONCE: held["nonce"]})["previous_state"] == "created"


def test_a_lease_is_refreshed_with_its_nonce_which_stays(app: AppUnderTest, machine: Any) -> None:
    held = lease(app, machine, {"ttl": 60})
    again = lease(app, machine, {"ttl": 600}, headers={NONCE: held["nonce"]})
    assert again["nonce"] == held["nonce"]
    assert again["expires_at"] > held["expires_at"]


def test_a_lease_is_given_back_with_its_nonce_only(app: AppUnderTest, ask: Asker, machine: Any) -> None:
    held, path = lease(app, machine, {"ttl": 60}), app.at(machine["id"], "lease")
    assert NONCE in ask.refusal(400, "DELETE", path)
    ask.refusal(409, "DELETE", path, headers={NONCE: "wrong"})
    given_back = ask.json("DELETE", path, headers={NONCE: held["nonce"]})
    assert given_back == {"status": "success", "data": {"ok": True}}
    assert ask.refusal(404, "GET", path) == "lease not found"
    assert lease(app, machine)["nonce"] != held["nonce"]


def test_a_lease_runs_out(app: AppUnderTest, ask: Asker, machine: Any) -> None:
    lease(app, machine, {"ttl": 1})
    wait_until(
        lambda: ask("POST", app.at(machine["id"], "cordon")).status_code == 200, "the end of the lease"
    )


def test_a_machine_may_be_made_leased(app: AppUnderTest, ask: Asker, config: Make) -> None:
    made = app.ask.json(
        "POST", f"{app.path}/machines", {"config": config(), "skip_launch": True, "lease_ttl": 60}
    )
    assert made["nonce"]
    assert "nonce" not in app.get(made["id"])
    seen = ask.json("GET", app.at(made["id"]), params={"include_leases": "true"})["lease"]
    assert set(seen) == {"expires_at", "owner", "description"}
    ask.refusal(409, "DELETE", app.at(made["id"]))
