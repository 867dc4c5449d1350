"""Metadata: marks on a machine that change neither its version nor its state."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import AppUnderTest, Asker, Make


@pytest.fixture
def machine(app: AppUnderTest, config: Make) -> Any:
    return app.machine(config(metadata={"a": "1", "b": "2"}), skip_launch=True, state="created")


def test_one_mark_is_read_written_and_removed(app: AppUnderTest, ask: Asker, machine: Any) -> None:
    path = app.at(machine["id"], "metadata")
    assert ask("POST", f"{path}/c", {"value": "3"}).status_code == 204
    assert ask.json("GET", f"{path}/c") == {"value": "3"}
    assert ask("DELETE", f"{path}/a").status_code == 204
    assert ask("POST", f"{path}/b", {"value": ""}).status_code == 204
    assert ask.json("GET", path) == {"c": "3"}
    assert "not found" in ask.refusal(404, "GET", f"{path}/a")
    after = app.get(machine["id"])
    assert (after["instance_id"], after["state"]) == (machine["instance_id"], "created")
    assert after["config"]["metadata"] == {"c": "3"}


def test_put_replaces_and_patch_adds(app: AppUnderTest, ask: Asker, machine: Any) -> None:
    path = app.at(machine["id"], "metadata")
    assert ask("PATCH", path, {"metadata": {"a": None, "c": "3"}}).status_code == 204
    assert ask.json("GET", path) == {"b": "2", "c": "3"}
    assert ask("PUT", path, {"metadata": {"d": "4"}}).status_code == 204
    assert ask.json("GET", path) == {"d": "4"}


def test_what_is_stale_is_refused(app: AppUnderTest, ask: Asker, machine: Any) -> None:
    path = app.at(machine["id"], "metadata")
    fresh = {"metadata": {}, "machine_version": machine["instance_id"], "updated_at": machine["updated_at"]}
    for stale in ({"machine_version": "01A"}, {"updated_at": "2020-01-01T00:00:00Z"}):
        assert "stale" in ask.refusal(412, "PUT", path, fresh | stale)
    assert ask("PUT", path, fresh).status_code == 204


def test_metadata_that_makes_no_sense_is_refused(app: AppUnderTest, ask: Asker, machine: Any) -> None:
    path = app.at(machine["id"], "metadata")
    for body in ({}, {"metadata": 3}, {"metadata": {"a": 1}}, {"metadata": {"a": {"b": "c"}}}):
        ask.refusal(400, "PUT", path, body)
    ask.refusal(400, "POST", f"{path}/a", {})
    assert ask.json("GET", path) == {"a": "1", "b": "2"}
