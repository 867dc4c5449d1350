"""The records: what was saved is there after any end, and belongs to whom it should."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fly.local.names import ulid
from fly.local.state import EVENTS_KEPT, App, Lease, Machine, State, Version, Volume, now


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State(tmp_path / "state.sqlite")
    yield made
    made.close()


def app(name: str = "app") -> App:
    return App(name, "a" * 16, 1, "personal", "default", 0)


def machine(app_name: str = "app", **given: Any) -> Machine:
    return Machine(
        **{
            "id": ulid()[-14:],
            "app": app_name,
            "name": "n",
            "region": "iad",
            "state": "created",
            "instance_id": ulid(),
            "config": {"env": {"A": "ü"}},
            "image": {"id": "sha256:0"},
            "secrets": {"KEY": "value"},
            "private_ip": "10.117.0.2",
            "created_at": now(),
            "updated_at": now(),
        }
        | given
    )


def test_what_was_saved_is_there_without_a_farewell(state: State, tmp_path: Path) -> None:
    made = machine(restarts=3, cordoned=True)
    lease = Lease(made.id, "nonce", 1, "me", "", made.instance_id)
    state.save(app(), made, lease, Version(made.instance_id, made.id, made.config))
    event = state.note(made.id, "launch", "created", "user", {"a": [1]})
    other = State(tmp_path / "state.sqlite")
    assert other.apps == {"app": app()}
    assert other.machines == {made.id: made}
    assert other.leases == {made.id: lease}
    assert other.events_of(made.id) == [event]
    assert [version.config for version in other.versions_of(made.id)] == [made.config]
    other.close()


def test_several_records_are_saved_together_or_not_at_all(state: State, tmp_path: Path) -> None:
    bad = machine(config={"not": {1, 2}})
    with pytest.raises(TypeError):
        state.save(app(), bad)
    assert state.apps == {}
    other = State(tmp_path / "state.sqlite")
    assert other.apps == {}
    other.close()


def test_only_the_newest_events_of_a_machine_are_kept(state: State, tmp_path: Path) -> None:
    for number in range(EVENTS_KEPT + 5):
        state.note("m", f"event-{number}", "s", "user")
    state.note("other", "alone", "s", "user")
    kept = state.events_of("m")
    assert [event.type for event in kept[:2]] == [f"event-{EVENTS_KEPT + 4}", f"event-{EVENTS_KEPT + 3}"]
    assert len(kept) == EVENTS_KEPT
    other = State(tmp_path / "state.sqlite")
    assert other.events_of("m") == kept
    other.close()


def test_a_forgotten_machine_leaves_nothing_behind(state: State, tmp_path: Path) -> None:
    made, stays = machine(), machine()
    for one in (made, stays):
        state.save(one, Lease(one.id, "n", 1, "me", "", "v"), Version(one.instance_id, one.id, {}))
        state.note(one.id, "launch", "created", "user")
    state.bury(made, now())
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        left = [
            database.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
            for t in ("machines", "leases", "events", "versions")
        ]
    database.close()
    assert left == [1, 1, 1, 1]
    assert state.events_of(made.id) == []
    assert len(state.events_of(stays.id)) == 1


def test_a_change_gives_the_changed_record(state: State) -> None:
    made = machine()
    state.save(made)
    changed = state.change(made, state="started")
    assert (made.state, changed.state, state.machines[made.id].state) == ("created", "started", "started")


def test_what_belongs_to_an_app_is_found_by_its_name(state: State) -> None:
    mine, other = machine("mine"), machine("other")
    volume = Volume("vol_1", "mine", "data", "iad", 1, "created", True, "ext4", 5, True, now(), now())
    state.save(mine, other, volume)
    assert state.machines_of("mine") == [mine]
    assert state.volumes_of("mine") == [volume]
    assert state.volumes_of("other") == []


def test_a_fact_is_made_once(state: State, tmp_path: Path) -> None:
    assert state.fact("platform_id", "first") == "first"
    assert state.fact("platform_id", "second") == "first"


def test_records_of_an_earlier_version_are_read(state: State, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        old = '{"name":"old","id":"x","numeric_id":1,"org":"o","network":"n","created_at":0,"no_longer":true}'
        database.execute("INSERT INTO apps VALUES ('old', ?)", (old,))
    database.close()
    other = State(tmp_path / "state.sqlite")
    assert other.apps["old"].secrets == {}
    other.close()


def test_ulids_rise_also_within_a_millisecond() -> None:
    made = [ulid() for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == 2000
    assert {len(one) for one in made} == {26}
