"""What the operator may know: numbers, and nothing that was said or who came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from webapp import told
from webapp.told import MOST, Places

from tests.support.wait import wait_until
from tests.support.webapp import NoChat, serving, workspace_config


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_the_same_place_counts_once() -> None:
    places = Places(Clock())
    for address in ("203.0.113.7", "203.0.113.7", "203.0.113.8"):
        places.note(address)
    assert places.count() == 2


def test_a_network_at_home_is_one_place_however_many_addresses_it_takes() -> None:
    places = Places(Clock())
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"):
        places.note(address)
    assert places.count() == 2


def test_after_an_hour_a_place_is_forgotten() -> None:
    clock = Clock()
    places = Places(clock)
    places.note("203.0.113.7")
    clock.now += 3599
    places.note("203.0.113.8")
    assert places.count() == 2
    clock.now += 1
    assert places.count() == 1


def test_no_address_can_be_read_from_what_is_kept() -> None:
    places = Places(Clock())
    places.note("203.0.113.7")
    assert b"203" not in b"".join(places._seen)
    other = Places(Clock())
    other.note("203.0.113.7")
    assert set(places._seen).isdisjoint(other._seen), "another start, another key"


def test_a_flood_of_addresses_fills_no_memory() -> None:
    places = Places(Clock())
    for number in range(3 * MOST):
        places.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert places.count() == MOST


def test_only_who_is_in_is_counted_and_only_numbers_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "TOLD_EVERY_S", 0.02)
    config = workspace_config(
        tmp_path, environ={"JARVIS_LOGIN": "link", "JARVIS_LOGIN_HASH": "sha256:" + "a" * 64}
    )
    file = config.told
    with serving(config, NoChat()) as served, served.client() as client:
        for number in range(5):
            client.get("/", headers={"fly-client-ip": f"203.0.113.{number}"})
        wait_until(file.exists, "what the operator may know")
        assert json.loads(file.read_text())["addresses"] == 0


def test_places_of_those_who_are_in_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "TOLD_EVERY_S", 0.02)
    config = workspace_config(tmp_path)
    file = config.told
    with serving(config, NoChat()) as served, served.client() as client:
        for number in range(3):
            client.get("/api/boot", headers={"fly-client-ip": f"203.0.113.{number}"})
        wait_until(lambda: file.exists() and json.loads(file.read_text())["addresses"] == 3, "three places")
    assert set(json.loads(file.read_text())) == {"connected", "addresses", "turns", "claude"}
    assert "203.0" not in file.read_text()
