"""What killed copies, restores and moves have left: `repair` shows it and cures it."""

import time
from collections.abc import Iterator

import pytest

from fly.backup.records import Borrowed, Swap
from fly.backup.unsettled import ABANDONED, STRAY, SWAP, settle_all
from fly.errors import BackupError, JarvisError
from fly.ledger import Ledger, Workspace, new_id
from fly.repair import Finding, survey
from tests.support.changes import HERS, changes_in
from tests.support.copying import Copying, copies_in
from tests.support.fake_fly import AppState, Call
from tests.support.world import DEAD, PLATFORM, World, much_later


@pytest.fixture
def row(world: World) -> Workspace:
    with changes_in(world) as changes:
        return changes.user()


@pytest.fixture
def copying(world: World, row: Workspace) -> Iterator[Copying]:
    with copies_in(world) as copying:
        yield copying


def settled(world: World, *, remove: bool = False, dry_run: bool = False) -> list[Finding]:
    with copies_in(world) as copying:
        return settle_all(
            copying.backing, world.ledger, remove=remove, dry_run=dry_run, now_s=lambda: time.time() + 7200
        )


def number_of(world: World, title: str) -> int:
    """The call of this title, the last one that was made."""
    return max(number for number, call in enumerate(world.fly.calls) if call.title == title)


def killed_restore(world: World, row: Workspace, title: str, moment: str = "after") -> None:
    """A restore of what is there now, killed at this call."""
    with copies_in(world) as copying:
        copy = copying.back_up(row).latest.copy
        saved = world.fly.saved()
        world.fly.heal()
        copying.bring_back(row, copy)
        number = number_of(world, title)
    world.fly.load(saved)
    with copies_in(world) as copying:
        facts = {"machine_id": row.machine_id, "volume_id": row.volume_id}
        world.ledger.note(row.id, **facts)
        world.kill(lambda: copying.bring_back(row, copy), number, moment)


def test_a_restore_that_was_cut_off_is_found_and_undone(world: World, row: Workspace) -> None:
    killed_restore(world, row, "PUT /courier/data")
    assert world.fly.machines[row.machine_id]["cordoned"]
    [found] = settled(world, dry_run=True)
    assert (found.kind, found.app, found.cure, found.outcome) == (SWAP, row.app, "undo it", "")
    assert world.fly.machines[row.machine_id]["cordoned"], "a dry run changes nothing"
    [found] = settled(world)
    assert (found.outcome, found.ok) == ("undone", True)
    assert settled(world) == []
    world.assert_whole(world.ledger.get(row.id))
    assert world.fly.contents[row.volume_id].items() >= HERS.items()


def test_a_restore_whose_page_answered_is_found_and_finished(world: World, row: Workspace) -> None:
    killed_restore(world, row, "DELETE /v1/apps/{app}/machines/{machine}", "before")
    [found] = settled(world, dry_run=True)
    assert found.cure == "finish it"
    [found] = settled(world)
    assert (found.outcome, found.ok) == ("finished", True)
    assert world.ledger.get(row.id).machine_id != row.machine_id
    world.assert_whole(world.ledger.get(row.id))


def test_a_swap_that_resists_stays_and_says_why(world: World, row: Workspace) -> None:
    killed_restore(world, row, "PUT /courier/data")
    world.fly.inject(1, "401", "all")
    [found] = settled(world)
    assert not found.ok
    assert "401" in found.outcome
    world.fly.heal()
    [found] = settled(world)
    assert found.ok


def test_a_swap_of_a_workspace_that_was_removed_since_is_forgotten(world: World, row: Workspace) -> None:
    killed_restore(world, row, "PUT /courier/data")
    world.destroy(world.ledger.get(row.id))
    [found] = settled(world)
    assert (found.outcome, found.ok) == ("forgotten", True)
    assert settled(world) == []


def test_a_throw_away_machine_that_could_not_be_removed_stays_in_the_record_until_it_is(
    world: World, row: Workspace, copying: Copying
) -> None:
    """In a copy or drill it holds a user's data."""

    def refuse(_number: int, call: Call) -> None:
        if call.title == "DELETE /v1/apps/{app}":
            world.fly.inject(0, "403", "all")

    world.fly.before = refuse
    with pytest.raises(BackupError, match="Left behind: app copy-"):
        copying.back_up(row)
    world.fly.before = lambda _number, _call: None
    world.fly.heal()
    assert len(copying.repository.copies()) == 1, "the copy itself is whole"
    [left] = copying.backups.borrowed(PLATFORM.key)
    assert left.app in world.fly.apps
    [found] = settled(world, dry_run=True)
    assert (found.kind, found.app) == (ABANDONED, left.app)
    [found] = settled(world)
    assert found.outcome == "removed"
    copying.assert_nothing_is_under_way()


def test_a_drill_is_proven_although_its_machine_could_not_be_removed(
    world: World, row: Workspace, copying: Copying
) -> None:
    copy = copying.back_up(row).latest.copy

    def refuse(_number: int, call: Call) -> None:
        if call.title == "DELETE /v1/apps/{app}":
            world.fly.inject(0, "403", "all")

    world.fly.before = refuse
    with pytest.raises(BackupError, match="Left behind"):
        copying.drill(row, copy)
    assert [one.ok for one in copying.backups.drills()] == [True]


def a_throwaway(world: World, drawn: str) -> str:
    """An app of an id that was drawn at some time, in no record of ours."""
    app = f"copy-{drawn[-5:].lower()}"
    world.fly.apps[app] = AppState(app, "personal", f"jarviscopy-{drawn.lower()}")
    return app


def test_a_throw_away_app_without_a_record_is_listed_once_it_is_old_and_removed_when_asked(
    world: World, copying: Copying
) -> None:
    app = a_throwaway(world, "0" * 10 + new_id()[10:])
    world.fly.apps["copy-of-somebody"] = AppState("copy-of-somebody", "personal", "default")
    [found] = settle_all(copying.backing, world.ledger)
    assert (found.kind, found.app, found.outcome, found.ok) == (STRAY, app, "left as it is", True)
    [found] = settle_all(copying.backing, world.ledger, remove=True)
    assert found.outcome == "removed"
    assert app not in {one.name for one in world.fly.ours}
    assert "copy-of-somebody" in world.fly.apps


def test_a_throw_away_app_that_another_operator_may_be_using_is_not_touched(
    world: World, copying: Copying
) -> None:
    app = a_throwaway(world, new_id())
    assert settle_all(copying.backing, world.ledger, remove=True) == []
    assert app in world.fly.apps
    assert [one.app for one in settled(world)] == [app], "two hours later nobody can be"


def test_of_two_who_settle_one_swap_at_once_one_does_it(world: World, row: Workspace) -> None:
    """The other one has read it before; it refuses, and undoes nothing."""
    killed_restore(world, row, "PUT /courier/data")
    seen: list[str] = []

    def meanwhile(_number: int, _call: Call) -> None:
        world.fly.before = lambda _number, _call: None
        with Ledger(world.ledger.path) as ledger, copies_in(world) as copying:
            with pytest.raises(JarvisError, match="being worked on"):
                copying.settle_one(row)
            with pytest.raises(BackupError, match="worked on by another process"):
                copying.backups.take_over(row.id)
            seen.append(ledger.get(row.id).owner)

    world.fly.before = meanwhile
    with copies_in(world) as copying:
        copying.settle_one(row)
    assert len(seen) == 1
    world.assert_whole(world.ledger.get(row.id))


def test_nothing_is_removed_of_an_app_that_was_thought_lost_and_is_there(
    world: World, row: Workspace, copying: Copying
) -> None:
    """A platform that answers 404 for a while, and a restore that fails, take nothing away."""
    copy = copying.back_up(row).latest.copy
    app = world.fly.apps.pop(row.app)

    def back_again(_number: int, call: Call) -> None:
        if call.title == "POST /v1/apps":
            world.fly.apps[row.app] = app

    world.fly.before = back_again
    with pytest.raises(JarvisError):
        copying.bring_back(row, copy)
    world.fly.before = lambda _number, _call: None
    world.assert_whole(world.ledger.get(row.id))
    assert world.fly.contents[row.volume_id].items() >= HERS.items()
    copying.assert_nothing_is_under_way()


def test_a_name_that_somebody_else_has_by_now_stops_nobody_for_good(
    world: World, row: Workspace, copying: Copying
) -> None:
    copy = copying.back_up(row).latest.copy
    world.client.delete_app(row.app)
    del world.fly.apps[row.app]

    def taken(_number: int, call: Call) -> None:
        if call.title == "POST /v1/apps":
            world.fly.taken.add(row.app)

    world.fly.before = taken
    with pytest.raises(JarvisError):
        copying.bring_back(row, copy)
    world.fly.before = lambda _number, _call: None
    assert copying.backups.swaps() == []
    assert settled(world) == []


def test_a_machine_that_somebody_else_holds_is_not_put_aside(
    world: World, row: Workspace, copying: Copying
) -> None:
    copy = copying.back_up(row).latest.copy
    world.client.acquire_lease(row.app, row.machine_id, ttl_s=600)
    with pytest.raises(JarvisError, match="currently held"):
        copying.bring_back(row, copy)
    with pytest.raises(JarvisError, match="currently held"):
        copying.move(row, "fra")
    assert not world.fly.machines[row.machine_id].get("cordoned")
    copying.assert_nothing_is_under_way()
    assert survey(world.client, world.ledger, much_later) == []


def test_what_a_dead_process_elsewhere_left_is_settled_in_the_end(copying: Copying) -> None:
    """A container that is made anew has another name: its dead would be believed to live for ever."""
    copying.backups.borrow(Borrowed("copy-1", "jarviscopy-1"), PLATFORM.key)
    elsewhere = f"elsewhere|{DEAD.partition('|')[2]}"
    copying.backups._execute("UPDATE borrowed SET owner = ?", elsewhere)
    assert copying.backups.abandoned(PLATFORM.key) == []
    copying.backups._execute("UPDATE borrowed SET at = '2026-01-01T00:00:00.000Z'")
    assert [one.app for one in copying.backups.abandoned(PLATFORM.key)] == ["copy-1"]


def test_a_swap_that_somebody_else_began_first_is_not_undone_by_us(
    world: World, row: Workspace, copying: Copying
) -> None:
    copy = copying.back_up(row).latest.copy

    def meanwhile(_number: int, call: Call) -> None:
        if call.route.endswith("/lease") and call.method == "POST":
            world.fly.before = lambda _number, _call: None
            copying.backups.begin(Swap(row.id, "move", row.machine_id, row.volume_id, "started", "{}"))
            copying.backups._execute("UPDATE swaps SET owner = 'elsewhere|1|2'")

    world.fly.before = meanwhile
    with pytest.raises(BackupError):
        copying.bring_back(row, copy)
    [swap] = copying.backups.swaps()
    assert (swap.what, swap.is_worked_on) == ("move", True)
    assert not world.fly.machines[row.machine_id].get("cordoned")
