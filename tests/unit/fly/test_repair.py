"""Ledger and platform compared, both ways; and what is done about it."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fly.errors import NotFound
from fly.ledger import DESTROYED, FAILED, READY, Ledger, Workspace, drawn_at_s, new_id
from fly.plan import Person
from fly.provision import mend, provision
from fly.repair import (
    ADOPT,
    IN_THE_MAKING,
    LEFTOVER,
    LIST,
    ORPHAN,
    REMOVE,
    RESTORABLE,
    UNFINISHED,
    VANISHED,
    Finding,
    repair,
    survey,
)
from tests.support.fake_fly import AppState
from tests.support.world import DEAD, PLATFORM, World, much_later


def mended(world: World, orphans: str = LIST, *, dry_run: bool = False) -> list[Finding]:
    return repair(
        world.client,
        world.ledger,
        probe=world.fly.page,
        orphans=orphans,
        dry_run=dry_run,
        now_s=much_later,
    )


def made_by_another_operator(world: World, folder: Path, email: str = "far@example.com") -> Workspace:
    with Ledger(folder / "other.sqlite") as other:
        return provision(world.client, other, world.draft(Person("Far", email)), probe=world.fly.page)


def test_where_all_is_well_there_is_nothing_to_find(world: World) -> None:
    world.provision()
    assert survey(world.client, world.ledger) == []


def test_a_dry_run_changes_nothing(world: World, folder: Path) -> None:
    workspace = world.provision()
    world.ledger.note(workspace.id, owner=DEAD, state="destroying")
    made_by_another_operator(world, folder)
    rows, apps = world.rows(), list(world.fly.ours)
    findings = mended(world, REMOVE, dry_run=True)
    assert [finding.kind for finding in findings] == [UNFINISHED, ORPHAN]
    assert all(finding.cure and not finding.outcome for finding in findings)
    assert (world.rows(), list(world.fly.ours)) == (rows, apps)


def test_a_run_that_died_after_the_page_answered_is_finished(world: World) -> None:
    workspace = world.provision()
    world.ledger.note(workspace.id, owner=DEAD, state="provisioning", machine_id="", volume_id="")
    [finding] = mended(world)
    assert (finding.kind, finding.outcome, finding.ok) == (UNFINISHED, READY, True)
    world.assert_whole(world.ledger.get(workspace.id))


def test_a_run_that_died_before_its_page_answered_is_undone(world: World) -> None:
    workspace = world.provision()
    world.fly.broken_pages.add(workspace.app)
    world.ledger.note(workspace.id, owner=DEAD, state="provisioning")
    [finding] = mended(world)
    assert finding.outcome == FAILED
    assert world.fly.ours == []


def test_what_another_repair_has_finished_meanwhile_is_not_touched(world: World) -> None:
    ready = world.provision()
    mend(world.client, world.ledger, replace(ready, state="provisioning"), probe=world.fly.page)
    assert world.ledger.get(ready.id).state == READY
    world.assert_whole(world.ledger.get(ready.id))


def test_two_who_repair_at_once_from_copies_of_a_ledger_do_not_meet(world: World) -> None:
    workspace = world.provision()
    world.ledger.note(workspace.id, owner=DEAD, state="provisioning")
    held = world.client.acquire_lease(workspace.app, workspace.machine_id, ttl_s=600)
    [finding] = mended(world)
    assert not finding.ok
    assert "Somebody else works on" in finding.outcome
    world.client.release_lease(workspace.app, workspace.machine_id, held.nonce)
    [finding] = mended(world)
    assert (finding.outcome, finding.ok) == (READY, True)


def test_a_run_that_lives_is_left_alone(world: World) -> None:
    workspace = world.provision()
    world.ledger.claim(workspace.id, state="destroying")
    assert mended(world) == []
    assert world.fly.ours


def test_a_row_whose_app_is_gone_is_closed(world: World) -> None:
    workspace = world.provision()
    del world.fly.apps[workspace.app]
    world.fly.machines.pop(workspace.machine_id)
    [finding] = mended(world)
    assert (finding.kind, finding.outcome) == (VANISHED, DESTROYED)
    assert mended(world) == []


def test_a_row_whose_app_is_gone_stays_while_there_is_a_copy_of_it(world: World) -> None:
    workspace = world.provision()
    del world.fly.apps[workspace.app]
    world.fly.machines.pop(workspace.machine_id)

    def copy_of(row: Workspace) -> str:
        return "there is a copy" if row.id == workspace.id else ""

    for dry_run in (True, False):
        [finding] = repair(world.client, world.ledger, copy_of=copy_of, dry_run=dry_run)
        assert (finding.kind, finding.ok) == (RESTORABLE, True)
        assert f"invoke restore --name {workspace.app}" in finding.cure
    assert world.ledger.get(workspace.id).state == READY


def test_a_list_that_leaves_an_app_out_closes_no_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = world.provision()
    monkeypatch.setattr(world.client, "apps", list)
    assert mended(world) == []
    assert world.ledger.get(workspace.id).state == READY


def test_the_app_of_a_closed_row_is_removed(world: World) -> None:
    workspace = world.provision()
    world.ledger.destroyed(workspace.id)
    [finding] = mended(world)
    assert (finding.kind, finding.outcome) == (LEFTOVER, "removed")
    assert world.fly.ours == []


def test_the_workspaces_of_another_operator_are_listed_and_left(world: World, folder: Path) -> None:
    other = made_by_another_operator(world, folder)
    [finding] = mended(world)
    assert (finding.kind, finding.app, finding.ok) == (ORPHAN, other.app, True)
    assert "far@example.com" in finding.what
    world.assert_whole(other)


def test_an_orphan_can_be_adopted_with_all_that_its_marks_tell(world: World, folder: Path) -> None:
    other = made_by_another_operator(world, folder)
    [finding] = mended(world, ADOPT)
    assert finding.ok
    adopted = world.ledger.get(other.id)
    assert adopted.to_json() | {"created_at": ""} == other.to_json() | {"created_at": ""}
    assert survey(world.client, world.ledger) == []
    assert world.destroy(adopted).state == DESTROYED


def test_an_orphan_that_does_not_answer_is_neither_adopted_nor_touched(world: World, folder: Path) -> None:
    other = made_by_another_operator(world, folder)
    world.fly.broken_pages.add(other.app)
    [finding] = mended(world, ADOPT)
    assert not finding.ok
    assert "did not answer" in finding.outcome
    assert world.rows() == []
    assert [app.name for app in world.fly.ours] == [other.app]


def test_an_orphan_can_be_removed(world: World, folder: Path) -> None:
    made_by_another_operator(world, folder)
    [finding] = mended(world, REMOVE)
    assert finding.outcome == "removed"
    assert world.fly.ours == []
    world.assert_nothing_of_strangers_was_touched()


@pytest.mark.parametrize("orphans", [LIST, ADOPT, REMOVE])
@pytest.mark.parametrize("reaches", ["app", "volume", "machine"])
def test_what_another_operator_makes_at_this_moment_is_left_to_him(
    world: World, orphans: str, reaches: str
) -> None:
    plan = world.draft()
    world.client.create_app(plan.app_request)
    if reaches != "app":
        volume = world.client.create_volume(plan.app, plan.volume_request)
    if reaches == "machine":
        world.client.create_machine(plan.app, plan.machine_request(volume.id, volume.region))
    [finding] = repair(world.client, world.ledger, probe=world.fly.page, orphans=orphans)
    assert (finding.kind, finding.outcome, finding.ok) == (IN_THE_MAKING, "left as it is", True)
    assert "s old" in finding.what
    assert [app.name for app in world.fly.ours] == [plan.app]
    assert world.rows() == []


def test_an_old_workspace_that_is_just_being_restored_is_as_young_as_its_machine(world: World) -> None:
    plan = replace(world.draft(), id="0" * 26)
    world.client.create_app(plan.app_request)
    volume = world.client.create_volume(plan.app, plan.volume_request)
    machine = world.client.create_machine(plan.app, plan.machine_request(volume.id, volume.region))
    found = world.fly.machines[machine.id]
    found["created_at"] = datetime.now(UTC).isoformat()
    assert [one.kind for one in survey(world.client, world.ledger)] == [IN_THE_MAKING]
    found["created_at"] = "2020-01-01T00:00:00Z"
    assert [one.kind for one in survey(world.client, world.ledger)] == [ORPHAN]


@pytest.mark.parametrize("orphans", [ADOPT, REMOVE])
def test_what_somebody_works_on_is_neither_adopted_nor_removed(
    world: World, folder: Path, orphans: str
) -> None:
    other = made_by_another_operator(world, folder)
    held = world.client.acquire_lease(other.app, other.machine_id, ttl_s=600)
    [finding] = mended(world, orphans)
    assert not finding.ok
    assert "Somebody else works on" in finding.outcome
    world.assert_whole(other)
    world.client.release_lease(other.app, other.machine_id, held.nonce)
    [finding] = mended(world, orphans)
    assert finding.ok
    assert not world.fly.machines.get(other.machine_id, {}).get("lease")


def test_the_app_of_a_closed_row_is_not_removed_under_somebodys_hands(world: World) -> None:
    workspace = world.provision()
    world.ledger.destroyed(workspace.id)
    held = world.client.acquire_lease(workspace.app, workspace.machine_id, ttl_s=600)
    [finding] = mended(world)
    assert (finding.kind, finding.ok) == (LEFTOVER, False)
    world.client.release_lease(workspace.app, workspace.machine_id, held.nonce)
    assert mended(world)[0].outcome == "removed"


def test_an_id_tells_when_it_was_drawn() -> None:
    before_s = time.time()
    assert before_s - 0.01 < drawn_at_s(new_id()) < time.time() + 0.01
    assert drawn_at_s("not one of ours") == 0.0


def test_an_app_without_a_machine_is_found_by_its_network(world: World) -> None:
    plan = world.draft()
    world.fly.apps[plan.app] = AppState(plan.app, PLATFORM.org, plan.network)
    [finding] = mended(world, ADOPT)
    assert (finding.kind, finding.ok) == (ORPHAN, False)
    [finding] = mended(world, REMOVE)
    assert finding.outcome == "removed"


def test_a_whole_ledger_can_be_rebuilt_from_the_platform(world: World, folder: Path) -> None:
    people = [Person(f"User {number}", f"user{number}@example.com") for number in range(5)]
    made = [world.provision(person) for person in people]
    with Ledger(folder / "new.sqlite") as fresh:
        repair(world.client, fresh, probe=world.fly.page, orphans=ADOPT, now_s=much_later)
        found = {row.id: row.to_json() | {"created_at": ""} for row in fresh.workspaces()}
    assert found == {row.id: row.to_json() | {"created_at": ""} for row in made}


def test_a_copied_mark_on_somebody_elses_app_does_not_get_it_removed(world: World) -> None:
    plan = world.draft()
    world.fly.machines["stranger"]["config"] = {"metadata": plan.metadata}
    [finding] = mended(world, REMOVE)
    assert not finding.ok
    assert "somebody else's" in finding.outcome
    assert "strangers-app" in world.fly.apps


def test_one_that_resists_does_not_stop_the_rest(world: World) -> None:
    first = world.provision()
    second = world.provision(again=True)
    for row in (first, second):
        world.ledger.destroyed(row.id)
    world.fly.apps[first.app].network = "changed"
    world.fly.machines[first.machine_id]["config"]["metadata"] = first_marks(first)
    findings = {finding.app: finding for finding in mended(world)}
    assert not findings[first.app].ok
    assert findings[second.app].outcome == "removed"


def first_marks(row: Workspace) -> dict[str, str]:
    return {"my-jarvis-workspace": row.id, "my-jarvis-email": row.email}


def test_findings_are_told_to_programs_too(world: World) -> None:
    workspace = world.provision()
    world.ledger.destroyed(workspace.id)
    [finding] = mended(world)
    told = finding.to_json()
    assert told["kind"] == LEFTOVER
    assert set(told) == {"kind", "app", "what", "cure", "workspace_id", "outcome", "ok"}


def test_the_fake_really_pages_its_list_of_machines(world: World) -> None:
    for number in range(3):
        world.provision(Person("User", f"user{number}@example.com"))
    assert len(list(world.client.organisation_machines())) == 4
    pages = [call for call in world.fly.calls if call.route == "/v1/orgs/{org}/machines"]
    assert len(pages) == 2


def test_another_organisations_apps_are_not_looked_at(world: World) -> None:
    plan = world.draft()
    world.fly.apps[plan.app] = AppState(plan.app, "another-org", plan.network)
    assert survey(world.client, world.ledger) == []
    with pytest.raises(NotFound):
        world.client.machine(plan.app, "none")
