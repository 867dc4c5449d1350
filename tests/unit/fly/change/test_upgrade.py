"""Another image for workspaces that exist: what is proven before, what is tried after, and the ways back."""

from collections.abc import Iterator

import pytest

from fly.change.rollout import cut_off
from fly.change.rollouts import DONE, GONE, RESTORED, RETURNED, UNTOUCHED, Leg
from fly.change.upgrade import Upgrading
from fly.errors import ChangeError
from tests.support.changes import NEXT, Changes, changes_in
from tests.support.fake_courier import FOLDER
from tests.support.fake_fly import STRANGERS_APP
from tests.support.world import IMAGE, World

STATES = ("started", "suspended", "stopped")


@pytest.fixture
def changes(world: World) -> Iterator[Changes]:
    with changes_in(world) as changes:
        yield changes


def titles(world: World) -> list[str]:
    return [call.title.replace("/v1/apps/{app}", "") for call in world.fly.calls if call.method != "GET"]


@pytest.mark.parametrize("state", STATES)
def test_a_workspace_has_the_new_image_and_is_left_as_it_was_found(changes: Changes, state: str) -> None:
    row = changes.user(state=state)
    [leg] = changes.upgrade()
    assert (leg.step, leg.was, leg.from_image, leg.to_image) == (DONE, state, IMAGE, NEXT)
    changes.assert_well(row, NEXT, state)
    changes.world.assert_nothing_of_strangers_was_touched()


def test_nothing_of_hers_is_changed_before_a_copy_was_restored_and_read(changes: Changes) -> None:
    changes.user()
    changes.world.fly.calls.clear()
    changes.upgrade(canaries=0)
    asked = [title for title in titles(changes.world) if "lease" not in title]
    assert asked == [
        "POST /machines/{machine}/exec",
        "POST /machines/{machine}/exec",
        "POST /machines/{machine}/stop",
        "POST /volumes/{volume}/snapshots",
        "POST /volumes",
        "POST /machines",
        "POST /machines/{machine}/exec",
        "DELETE /machines/{machine}",
        "DELETE /volumes/{volume}",
        "POST /machines/{machine}/cordon",
        "POST /machines/{machine}",
        "POST /machines/{machine}/exec",
        "POST /machines/{machine}/exec",
        "POST /machines/{machine}/uncordon",
    ]


def test_the_trial_has_no_door_no_login_and_no_mark_of_hers(changes: Changes) -> None:
    row = changes.user()
    changes.world.fly.calls.clear()
    changes.upgrade()
    [trial] = [call.body for call in changes.world.fly.calls if call.title == "POST /v1/apps/{app}/machines"]
    config = trial["config"]
    assert "services" not in config
    assert "env" not in config
    assert config["image"] == IMAGE
    assert config["mounts"][0]["volume"] != row.volume_id
    assert list(config["metadata"]) == ["my-jarvis-trial"]


def test_a_snapshot_that_lacks_a_file_changes_nothing(changes: Changes) -> None:
    row, fly = changes.user(state="suspended"), changes.world.fly

    def lose(_number: int, call: object) -> None:
        for taken in fly.snapshots.get(row.volume_id, []):
            fly.contents[taken["id"]].pop("workspace/letter.txt", None)

    fly.after = lose
    [leg] = changes.upgrade()
    assert leg.step == UNTOUCHED
    assert "/data/workspace/letter.txt is missing" in leg.why
    changes.assert_well(row, IMAGE, "suspended")


@pytest.mark.parametrize("state", STATES)
def test_an_image_that_does_not_serve_goes_back_and_her_data_stays(changes: Changes, state: str) -> None:
    row = changes.user(state=state)
    changes.world.fly.broken_images.add(NEXT)
    [leg] = changes.upgrade()
    assert (leg.step, "does not answer" in leg.why) == (RETURNED, True)
    changes.assert_well(row, IMAGE, state)


@pytest.mark.parametrize("state", STATES)
def test_a_workspace_that_does_not_answer_on_its_old_image_is_helped_by_a_new_one(
    changes: Changes, state: str
) -> None:
    row = changes.user(state=state)
    changes.world.fly.broken_images.add(IMAGE)
    [leg] = changes.upgrade()
    assert (leg.step, leg.answered) == (DONE, "no")
    changes.assert_well(row, NEXT, state)


def test_where_no_image_answers_it_has_its_old_one_again(changes: Changes) -> None:
    row = changes.user()
    changes.world.fly.broken_images |= {IMAGE, NEXT}
    [leg] = changes.upgrade()
    assert leg.step == RETURNED
    assert changes.image(row) == changes.world.ledger.get(row.id).image == IMAGE
    assert not changes.machine(row)["cordoned"]


def test_a_bad_image_that_was_let_in_is_left_again_in_one_command(changes: Changes) -> None:
    rows = [changes.user("Dan"), changes.user("Zoe", "suspended")]
    changes.upgrade()
    changes.world.fly.broken_images.add(NEXT)
    assert [leg.step for leg in changes.rollback()] == [DONE] * 2
    changes.assert_well(rows[0], IMAGE)
    changes.assert_well(rows[1], IMAGE, "suspended")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("serves", [True, False])
def test_an_image_that_loses_a_file_gives_way_to_the_old_one_and_the_snapshot(
    changes: Changes, state: str, serves: bool
) -> None:
    row, fly = changes.user(state=state), changes.world.fly
    fly.wrecking[NEXT] = lambda there: there.pop("workspace/letter.txt")
    if not serves:
        fly.broken_images.add(NEXT)
    [leg] = changes.upgrade()
    assert leg.step == RESTORED
    restored = changes.world.ledger.get(row.id)
    assert restored.volume_id != row.volume_id
    assert restored.machine_id != row.machine_id
    changes.assert_well(row, IMAGE, state)
    [kept] = [one for one in changes.world.ledger.history(row.id) if one.what == "kept"]
    assert kept.detail.split(":")[0] in fly.contents, "what was given up is a snapshot too"


def test_what_the_server_changes_of_its_own_is_no_harm_while_the_new_image_stays(changes: Changes) -> None:
    row, fly = changes.user(), changes.world.fly
    fly.wrecking[NEXT] = lambda there: there.pop("app/settings.json")
    [leg] = changes.upgrade()
    assert leg.step == DONE
    assert changes.image(row) == NEXT


def test_it_comes_back_when_the_old_image_needs_it(changes: Changes) -> None:
    row, fly = changes.user(), changes.world.fly
    fly.wrecking[NEXT] = lambda there: there.pop("app/settings.json")
    fly.broken_images.add(NEXT)
    [leg] = changes.upgrade()
    assert leg.step == RESTORED
    changes.assert_well(row, IMAGE)


def test_what_runs_is_waited_for(changes: Changes) -> None:
    row, world = changes.user(), changes.world
    world.fly.busy_apps += [row.app] * 3
    [leg] = changes.upgrade()
    assert leg.step == DONE
    assert changes.said.count("something runs in it: waiting until it ends") == 3


def test_what_runs_longer_than_the_deadline_is_cut_off(changes: Changes) -> None:
    row = changes.user()
    changes.world.fly.busy_apps += [row.app] * 100
    [leg] = changes.upgrade()
    assert leg.step == DONE
    assert "something still runs in it, and the deadline has come: it is cut off" in changes.said


def test_a_machine_that_sleeps_is_not_asked_whether_it_is_busy(changes: Changes) -> None:
    row = changes.user(state="suspended")
    changes.world.fly.busy_apps += [row.app] * 100
    changes.world.fly.calls.clear()
    began = changes.world.clock.now_s
    changes.world.client.machine(row.app, row.machine_id)
    changes.upgrade(canaries=0)
    assert "something runs in it: waiting until it ends" not in changes.said[:2]
    assert changes.world.clock.now_s - began < 90


def test_her_key_and_all_of_her_config_stay_as_they_are(changes: Changes) -> None:
    row = changes.user()
    before = dict(changes.machine(row)["config"])
    changes.upgrade()
    assert changes.machine(row)["config"] == before | {"image": NEXT}


def test_the_ledger_tells_what_was_done(changes: Changes) -> None:
    row = changes.user()
    changes.world.fly.broken_images.add(NEXT)
    changes.upgrade()
    told = [one.detail for one in changes.world.ledger.history(row.id) if one.what == "image changed"]
    assert [line.split(",")[0] for line in told] == [NEXT, IMAGE]


# --- several --------------------------------------------------------------------------------------


def test_who_sleeps_goes_first_and_after_a_failure_nobody_else(changes: Changes) -> None:
    awake, asleep = changes.user("Dan"), changes.user("Zoe", "suspended")
    changes.world.fly.broken_images.add(NEXT)
    [leg] = changes.upgrade()
    assert (leg.workspace, leg.is_canary, leg.step) == (asleep.id, 1, RETURNED)
    changes.assert_well(awake, IMAGE)
    changes.assert_well(asleep, IMAGE, "suspended")
    [rollout] = changes.rolling.interrupted("fly/personal")
    assert rollout.state == "stopped"


def test_a_stopped_rollout_goes_on_with_the_one_that_failed(changes: Changes) -> None:
    rows = [changes.user(name) for name in ("Dan", "Zoe", "Mia")]
    changes.world.fly.broken_images.add(NEXT)
    changes.upgrade()
    changes.world.fly.broken_images.clear()
    assert [leg.step for leg in changes.go_on()] == [DONE] * 3
    for row in rows:
        changes.assert_well(row, NEXT)
    assert changes.rolling.interrupted("fly/personal") == []


def test_who_has_the_image_already_is_left_alone(changes: Changes) -> None:
    changes.user()
    changes.upgrade()
    changes.world.fly.calls.clear()
    assert changes.upgrade() == []
    assert titles(changes.world) == []


def test_one_command_takes_everybody_back(changes: Changes) -> None:
    rows = [changes.user(name, state) for name, state in zip(("Dan", "Zoe", "Mia"), STATES, strict=True)]
    changes.upgrade()
    assert [leg.step for leg in changes.rollback()] == [DONE] * 3
    for row, state in zip(rows, STATES, strict=True):
        changes.assert_well(row, IMAGE, state)
    assert changes.rollback() == [], "there is nothing before that"


def test_a_rollback_does_not_stop_at_one_that_resists(changes: Changes) -> None:
    first, second = changes.user("Dan"), changes.user("Zoe")
    changes.upgrade()
    changes.world.client.acquire_lease(first.app, first.machine_id, ttl_s=3600)
    assert [leg.step for leg in changes.rollback()] == [UNTOUCHED, DONE]
    changes.assert_well(second, IMAGE)


def test_a_workspace_that_was_destroyed_in_the_middle_holds_up_nobody(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = changes.user("Dan"), changes.user("Zoe")
    monkeypatch.setattr(Upgrading, "go", lambda self, leg: self.rollouts.start(leg, first))
    changes.upgrade([first])
    monkeypatch.undo()
    changes.world.destroy(first)
    assert [leg.step for leg in changes.upgrade()] == [DONE]
    assert [leg.step for leg in changes.rollouts.of_workspace(first.id)] == [GONE]
    changes.assert_well(second, NEXT)


def test_repair_tells_of_an_upgrade_that_was_cut_off(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, world = changes.user("Dan"), changes.world
    monkeypatch.setattr(Upgrading, "go", lambda self, leg: self.rollouts.start(leg, row))
    changes.upgrade()
    monkeypatch.undo()
    [finding] = cut_off(world.ledger, changes.rollouts, "fly/personal")
    assert (finding.app, finding.ok) == (row.app, True)
    assert finding.what == "the upgrade of dan@example.com was cut off: waiting"
    changes.go_on()
    assert cut_off(world.ledger, changes.rollouts, "fly/personal") == []


def test_a_workspace_that_was_restored_from_elsewhere_meanwhile_is_not_touched(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, world = changes.user(), changes.world

    def die(self: Upgrading, leg: Leg) -> Leg:
        return self.rollouts.note(self.rollouts.start(leg, row), step="changing", copy="what was there")

    monkeypatch.setattr(Upgrading, "go", die)
    changes.upgrade()
    monkeypatch.undo()
    other = changes.machine(row) | {"id": "another"}
    world.fly.machines["another"] = other
    del world.fly.machines[row.machine_id]
    world.ledger.note(row.id, machine_id="another")
    world.fly.calls.clear()
    [leg] = changes.settle()
    assert (leg.step, world.fly.calls) == (UNTOUCHED, [])


def test_an_image_that_nobody_planned_is_not_changed(changes: Changes) -> None:
    row = changes.user()
    rollout = changes.rolling.begin("fly/personal", "upgrade", [])
    leg = changes.rollouts.add(rollout, row, NEXT, IMAGE, is_canary=False)
    with pytest.raises(ChangeError, match="nobody planned"):
        changes.rolling.upgrading(print).go(leg)
    changes.assert_well(row, IMAGE)


def test_only_trials_are_removed_of_what_an_earlier_run_left(changes: Changes) -> None:
    row, world = changes.user(), changes.world
    world.fly.volumes["vol_hers"] = world.fly.volumes[row.volume_id] | {
        "id": "vol_hers", "name": "hers", "attached_machine_id": None,
    }  # fmt: skip
    world.fly.volumes["vol_left"] = world.fly.volumes["vol_hers"] | {"id": "vol_left", "name": "trial"}
    changes.upgrade()
    assert "vol_hers" in world.fly.volumes
    assert "vol_left" not in world.fly.volumes
    assert STRANGERS_APP in world.fly.apps
    assert FOLDER not in world.fly.volumes
