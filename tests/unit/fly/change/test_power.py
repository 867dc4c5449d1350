"""Sleep, size and variables of workspaces that exist."""

import json
from collections.abc import Callable, Iterator

import pytest

from fly.access.keys import rotate
from fly.change.power import RESTART, SUSPEND, WAKE
from fly.change.resize import Size, resize, size_of, wanted_size
from fly.change.variables import HANDED_ON, checked, set_variables
from fly.errors import ChangeError, JarvisError, PlanError
from fly.settings import Secret
from tests.support.changes import Changes, changes_in
from tests.support.fake_fly import Call
from tests.support.world import IMAGE, World

NOW = Size(1024, 1, 10)


@pytest.fixture
def changes(world: World) -> Iterator[Changes]:
    with changes_in(world) as changes:
        yield changes


@pytest.mark.parametrize(
    ("what", "state", "then"),
    [
        (SUSPEND, "started", "suspended"),
        (SUSPEND, "stopped", "stopped"),
        (WAKE, "suspended", "started"),
        (WAKE, "stopped", "started"),
        (RESTART, "started", "started"),
        (RESTART, "suspended", "stopped"),
    ],
)
def test_a_machine_is_afterwards_as_it_was_wanted(changes: Changes, what: str, state: str, then: str) -> None:
    row = changes.user(state=state)
    assert changes.power.do(what, row) == then
    changes.assert_well(row, IMAGE, then)


@pytest.mark.parametrize("what", [SUSPEND, RESTART])
def test_what_runs_is_not_cut_off(changes: Changes, what: str) -> None:
    row = changes.user()
    changes.world.fly.busy_apps += [row.app] * 2
    changes.power.do(what, row)
    assert changes.world.fly.busy_apps == []


@pytest.mark.parametrize("what", ["wake", "key"])
def test_what_crashes_again_and_again_is_not_waited_for(changes: Changes, what: str) -> None:
    row, fly = changes.user(state="suspended"), changes.world.fly
    fly.broken_pages.add(row.app)
    ended = {"exit_event": {"exit_code": 3, "requested_stop": False}}

    def crash(_number: int, call: Call) -> None:
        if call.method == "GET" and call.route.endswith("/wait"):
            fly.machines[row.machine_id]["events"] = [
                {"type": "exit", "timestamp": at, "request": ended} for at in (3, 2, 1)
            ]

    fly.after = crash
    began = changes.world.clock.now_s
    acts: dict[str, Callable[[], object]] = {
        "wake": lambda: changes.power.do(WAKE, row),
        "key": lambda: rotate(changes.world.client, changes.world.ledger, row, probe=fly.page),
    }
    with pytest.raises(JarvisError, match="its program ended 3 times"):
        acts[what]()
    assert changes.world.clock.now_s - began < 30


def test_what_somebody_else_changes_is_left_alone(changes: Changes) -> None:
    row = changes.user()
    changes.world.client.acquire_lease(row.app, row.machine_id, ttl_s=3600)
    with pytest.raises(JarvisError, match="currently held"):
        changes.power.do(SUSPEND, row)
    assert changes.machine(row)["state"] == "started"


@pytest.mark.parametrize("state", ["started", "suspended", "stopped"])
def test_memory_processors_and_volume_grow_and_the_machine_is_as_it_was(changes: Changes, state: str) -> None:
    row = changes.user(state=state)
    wanted = Size(2048, 2, 20)
    assert resize(changes.power, changes.world.ledger, row, wanted) == wanted
    changes.assert_well(row, IMAGE, state)
    told = [entry.detail for entry in changes.world.ledger.history(row.id) if entry.what == "resized"]
    assert told == ["2048 MB, 2 CPU, 20 GB"]


def test_the_same_size_once_more_asks_nothing(changes: Changes) -> None:
    row = changes.user()
    changes.world.fly.calls.clear()
    assert resize(changes.power, changes.world.ledger, row, NOW) == NOW
    asked = {call.title.rpartition("}")[2] for call in changes.world.fly.calls if call.method != "GET"}
    assert asked == {"/lease"}


def test_a_size_with_which_the_page_does_not_answer_is_taken_back(changes: Changes) -> None:
    row, fly = changes.user(), changes.world.fly
    changes.power.eyes.page(row.url)
    small = Size(256, 1, 10)

    def page(url: str) -> str:
        guest = changes.machine(row)["config"]["guest"]
        return "out of memory" if guest["memory_mb"] == 256 else fly.page(url)

    power = changes.power
    object.__setattr__(power, "eyes", type(power.eyes)(page, fly.busy))
    with pytest.raises(ChangeError, match="old ones"):
        resize(power, changes.world.ledger, row, small)
    assert size_of(changes.world.client, row) == NOW
    changes.assert_well(row, IMAGE)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"size_gb": 5}, "never becomes smaller"),
        ({"size_gb": 900}, "cannot have 900 GB"),
        ({"memory_mb": 300}, "300 MB"),
        ({"memory_mb": 4096}, "4096 MB"),
        ({"cpus": 3}, "3 CPUs"),
        ({"cpus": 8}, "1024 MB"),
    ],
)
def test_what_fly_would_refuse_is_refused_before_anything_is_touched(
    wanted: dict[str, int], words: str
) -> None:
    with pytest.raises(PlanError, match=words):
        wanted_size(NOW, **wanted)


@pytest.mark.parametrize("state", ["started", "suspended"])
def test_a_variable_is_the_apps_secret_and_stands_nowhere_else(changes: Changes, state: str) -> None:
    row, world = changes.user(state=state), changes.world
    set_variables(changes.power, world.ledger, row, {"MY_KEY": Secret("sk-very-secret")})
    assert world.fly.secrets[row.app] == {"MY_KEY": "sk-very-secret"}
    assert changes.machine(row)["config"]["env"][HANDED_ON] == "MY_KEY"
    assert changes.machine(row)["state"] == state
    shown = [*map(str, world.ledger.history(row.id)), json.dumps(changes.machine(row)), *changes.said]
    assert not any("sk-very-secret" in text for text in shown)
    set_variables(changes.power, world.ledger, row, {"MY_KEY": None})
    assert world.fly.secrets[row.app] == {}
    assert changes.machine(row)["config"]["env"][HANDED_ON] == ""


def test_a_variable_for_later_restarts_nothing(changes: Changes) -> None:
    row, world = changes.user(), changes.world
    before = changes.machine(row)["instance_id"]
    set_variables(changes.power, world.ledger, row, {"MY_KEY": Secret("k")}, later=True)
    assert changes.machine(row)["instance_id"] == before


@pytest.mark.parametrize(
    "name", ["", "my_key", "1KEY", "A B", "JARVIS_LOGIN", "FLY_APP_NAME", "PATH", "LD_PRELOAD"]
)
def test_names_that_are_not_hers_to_have_are_refused(name: str) -> None:
    with pytest.raises(PlanError):
        checked(name, None)


@pytest.mark.parametrize("value", ["", "a\0b", "x" * 20000])
def test_values_that_no_variable_can_have_are_refused_without_being_told(value: str) -> None:
    with pytest.raises(PlanError) as caught:
        checked("MY_KEY", Secret(value))
    assert not value or value not in str(caught.value)
