"""How a workspace is made and unmade: what is asked in which order, what is refused, what is told."""

import itertools
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fly.errors import AlreadyThere, LedgerError, NameTaken, NotInTime, PlanError, ProvisionError
from fly.ledger import DESTROYED, FAILED, LEFT_BEHIND, READY, Ledger, Workspace
from fly.owner import Owner
from fly.plan import ALPHABET, Person, network_of
from fly.provision import destroy, draft, fly_toml, provision
from tests.support.fake_fly import FAULTS, STRANGERS_APP, TOKEN, AppState, Call
from tests.support.world import IMAGE, LILACH, PLATFORM, World


def deletions(world: World) -> list[str]:
    return [call.path for call in world.fly.calls if call.method == "DELETE"]


def failing(world: World, **wanted: Any) -> ProvisionError:
    with pytest.raises(ProvisionError) as caught:
        world.provision(**wanted)
    return caught.value


# --- making ---------------------------------------------------------------------------------------


def test_a_workspace_is_made_and_written_down(world: World) -> None:
    workspace = world.provision()
    assert workspace.state == READY
    assert workspace == world.ledger.get(workspace.id)
    world.assert_whole(workspace)
    assert list(workspace.to_json()) == [
        "name", "email", "app", "url", "machine_id", "volume_id", "region", "state", "image", "created_at",
    ]  # fmt: skip


def test_the_calls_of_a_dry_run_are_the_calls_that_are_made(world: World) -> None:
    plan = world.draft()
    provision(world.client, world.ledger, plan, probe=world.fly.page)
    made = [call for call in world.fly.calls if call.method != "GET"]
    promised = list(plan.calls())
    assert [(one.method, one.path) for one in made] == [(one.method, one.path) for one in promised]
    [volume] = world.fly.of_app(world.fly.volumes, plan.app)
    machine = plan.machine_request(volume["id"], plan.region)
    assert [one.body for one in made] == [*(one.body for one in promised[:-1]), machine]


def test_the_row_is_there_before_the_first_request(world: World, folder: Path) -> None:
    seen: list[Workspace] = []

    def look(number: int, _call: Call) -> None:
        if number == 0:
            with Ledger(folder / "ledger.sqlite") as other:
                seen.extend(other.workspaces())

    world.fly.before = look
    workspace = world.provision()
    assert [(row.id, row.app, row.state) for row in seen] == [(workspace.id, workspace.app, "provisioning")]


def test_every_id_is_written_down_before_the_next_request(world: World, folder: Path) -> None:
    noted: dict[str, tuple[str, str]] = {}

    def look(_number: int, call: Call) -> None:
        with Ledger(folder / "ledger.sqlite") as other:
            [row] = other.workspaces()
            noted.setdefault(call.title, (row.volume_id, row.machine_id))

    world.fly.before = look
    workspace = world.provision()
    assert noted["POST /v1/apps/{app}/machines"] == (workspace.volume_id, "")
    assert noted["GET /v1/apps/{app}/machines/{machine}/wait"] == (workspace.volume_id, workspace.machine_id)


def test_the_machine_is_made_where_its_volume_came_to_lie(world: World) -> None:
    world.fly.volume_region = "ewr"
    workspace = world.provision(region="iad")
    assert workspace.region == "ewr"
    world.assert_whole(workspace)


def test_the_page_is_waited_for(world: World) -> None:
    answers = itertools.chain(["connection refused", "502 Bad Gateway"], itertools.repeat(""))
    asked: list[str] = []

    def probe(url: str) -> str:
        asked.append(url)
        return next(answers)

    workspace = provision(world.client, world.ledger, world.draft(), probe=probe)
    assert asked == [workspace.url] * 3


def test_an_app_that_is_not_known_at_once_is_waited_for(world: World) -> None:
    world.fly.inject(1, "404")
    assert world.provision().state == READY
    assert world.fly.calls[1].title == world.fly.calls[2].title == "GET /v1/apps/{app}"


def test_progress_is_told_step_by_step(world: World) -> None:
    lines: list[str] = []
    plan = world.draft()
    provision(world.client, world.ledger, plan, probe=world.fly.page, report=lines.append)
    words = ["app", "address", "address", "volume", "machine", "start", "page"]
    assert [line.split()[0] for line in lines] == words


def test_a_drawn_name_holds_65_random_bits() -> None:
    plans = [draft(PLATFORM, LILACH, image=IMAGE) for _ in range(200)]
    suffixes = {plan.app.removeprefix("lilach-myjarvis-") for plan in plans}
    assert len(suffixes) == 200
    assert all(len(one) == 13 and set(one) <= set(ALPHABET) for one in suffixes)
    assert len(ALPHABET) == 32
    assert set("".join(suffixes)) == set(ALPHABET)


def test_a_bad_request_reaches_neither_ledger_nor_platform(world: World) -> None:
    with pytest.raises(PlanError):
        world.provision(region="mars")
    assert world.rows() == []
    assert world.fly.calls == []


def test_the_rendered_file_is_the_users(world: World) -> None:
    plan = world.draft()
    assert f'app = "{plan.app}"' in fly_toml(plan)


# --- a name that is taken -------------------------------------------------------------------------


def test_a_name_that_another_organisation_has_deletes_nothing(world: World) -> None:
    plan = world.draft()
    world.fly.taken.add(plan.app)
    with pytest.raises(ProvisionError) as caught:
        provision(world.client, world.ledger, plan, probe=world.fly.page)
    assert isinstance(caught.value.__cause__, NameTaken)
    assert deletions(world) == []
    assert [row.state for row in world.rows()] == [FAILED]
    assert caught.value.left_behind == ()


def test_a_name_that_another_app_of_ours_has_deletes_nothing(world: World) -> None:
    plan = replace(world.draft(), app=STRANGERS_APP)
    with pytest.raises(ProvisionError):
        provision(world.client, world.ledger, plan, probe=world.fly.page)
    assert deletions(world) == []
    world.assert_nothing_of_strangers_was_touched()


def test_a_name_that_is_taken_by_our_own_request_sent_twice_is_no_error(world: World) -> None:
    plan = world.draft()
    world.fly.apps[plan.app] = AppState(plan.app, PLATFORM.org, plan.network)
    assert provision(world.client, world.ledger, plan, probe=world.fly.page).state == READY


def test_a_taken_name_whose_app_shows_no_network_is_not_believed_to_be_ours(world: World) -> None:
    plan = world.draft()
    world.fly.shows_networks = False
    world.fly.apps[plan.app] = AppState(plan.app, PLATFORM.org, "")
    with pytest.raises(ProvisionError):
        provision(world.client, world.ledger, plan, probe=world.fly.page)
    assert deletions(world) == []


def test_answers_without_networks_still_let_us_undo_what_we_made(world: World) -> None:
    world.fly.shows_networks = False
    world.fly.inject(4, "409 full", "same")
    failing(world)
    assert world.fly.ours == []


# --- lost answers ---------------------------------------------------------------------------------

LOST = [name for name, fault in FAULTS.items() if fault.commits and not name.startswith("Ctrl-C")]
MAKING = {0: "/v1/apps", 2: "ip_assignments", 3: "ip_assignments", 4: "volumes", 5: "machines"}


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("number", MAKING)
def test_what_was_made_although_the_answer_was_lost_is_found_and_not_made_twice(
    world: World, number: int, fault: str
) -> None:
    world.fly.inject(number, fault)
    workspace = world.provision()
    world.assert_whole(workspace)
    made = [call.path.rpartition("/")[2] for call in world.fly.calls if call.method == "POST"]
    assert made == ["apps", "ip_assignments", "ip_assignments", "volumes", "machines"]
    assert MAKING[number].rpartition("/")[2] == world.fly.calls[number].path.rpartition("/")[2]


def test_a_look_that_fails_does_not_end_the_looking(world: World) -> None:
    world.fly.inject(4, "time-out after", "then 500 before")
    world.fly.before = lambda number, _call: world.fly.heal() if number == 6 else None
    world.assert_whole(world.provision())


# --- failing --------------------------------------------------------------------------------------


def test_the_error_says_which_step_failed_why_and_what_was_undone(world: World) -> None:
    world.fly.inject(5, "409 full", "same")
    error = failing(world)
    [row] = world.rows()
    assert error.step == "machine"
    assert error.undone == (row.app,)
    assert error.left_behind == ()
    assert error.hint == "another --region"
    assert "could not reserve resource" in str(error)
    assert "Nothing of it is left" in str(error)


def test_the_history_keeps_why_it_failed(world: World) -> None:
    world.fly.inject(4, "422")
    failing(world)
    [row] = world.rows()
    last = world.ledger.history(row.id)[-1]
    assert last.what == "failed"
    assert "volume" in last.detail
    assert "Validation failed" in last.detail


def test_what_cannot_be_undone_is_named_with_the_command_that_removes_it(world: World) -> None:
    world.fly.inject(5, "503 before", "all")
    error = failing(world)
    [row] = world.rows()
    assert row.state == LEFT_BEHIND
    assert row.app in error.left_behind[0]
    assert f"invoke destroy --name {row.app}" in error.hint
    assert isinstance(error.__cause__, Exception), "the first error is not hidden"


def test_the_next_run_removes_what_was_left_behind_first(world: World) -> None:
    world.fly.inject(5, "503 before", "all")
    failing(world)
    world.fly.heal()
    workspace = world.provision()
    assert [app.name for app in world.fly.ours] == [workspace.app]
    assert [row.state for row in world.rows()] == [DESTROYED, READY]


def test_a_page_that_never_answers_is_told_with_the_machines_last_words(world: World) -> None:
    plan = world.draft()
    world.fly.broken_pages.add(plan.app)
    world.fly.logs[plan.app] = ["listening", "cannot open /data"]

    def crash(_number: int, _call: Call) -> None:
        for machine in world.fly.of_app(world.fly.machines, plan.app):
            crashed = {"exit_event": {"exit_code": 3, "oom_killed": True}}
            machine["events"] = [{"type": "exit", "request": crashed}]

    world.fly.after = crash
    with pytest.raises(ProvisionError) as caught:
        provision(world.client, world.ledger, plan, probe=world.fly.page)
    said = str(caught.value)
    assert isinstance(caught.value.__cause__, NotInTime)
    for words in ("502 Bad Gateway", "machine is started", "exit code 3, out of memory", "cannot open /data"):
        assert words in said
    assert world.fly.ours == []


def test_a_machine_that_never_boots_is_given_up_and_removed(world: World) -> None:
    world.fly.boots = False
    error = failing(world)
    assert error.step == "start"
    assert "currently created" in str(error)
    assert world.fly.ours == []


def test_a_machine_that_fails_to_boot_is_noticed_at_once(world: World) -> None:
    world.fly.boots = False

    def fail(_number: int, _call: Call) -> None:
        for machine in world.fly.machines.values():
            if machine["id"] != "stranger":
                machine["state"] = "failed"

    world.fly.after = fail
    began = world.clock.now_s
    error = failing(world)
    assert "will not start any more: it is failed" in str(error)
    assert world.clock.now_s - began < 10
    assert world.fly.ours == []


def test_a_machine_that_crashes_after_its_start_is_noticed_long_before_the_page_is_given_up(
    world: World,
) -> None:
    plan = world.draft()
    world.fly.broken_pages.add(plan.app)

    def crash(_number: int, _call: Call) -> None:
        for machine in world.fly.of_app(world.fly.machines, plan.app):
            ended = {"exit_event": {"exit_code": 3, "requested_stop": False}}
            machine["events"] = [{"type": "exit", "timestamp": at, "request": ended} for at in (3, 2, 1)]

    world.fly.after = crash
    began = world.clock.now_s
    with pytest.raises(ProvisionError, match="its program ended 3 times"):
        provision(world.client, world.ledger, plan, probe=world.fly.page)
    assert world.clock.now_s - began < 20
    assert world.fly.ours == []


def test_a_broken_ledger_undoes_what_was_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_facts: str) -> Workspace:
        raise LedgerError("disk full")

    monkeypatch.setattr(world.ledger, "note", full)
    failing(world)
    assert world.fly.ours == []


def test_a_defect_of_our_own_undoes_what_was_made_and_is_not_disguised(world: World) -> None:
    def defect(_url: str) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        provision(world.client, world.ledger, world.draft(), probe=defect)
    assert world.fly.ours == []
    assert [row.state for row in world.rows()] == [FAILED]


# --- Ctrl-C ---------------------------------------------------------------------------------------


def strike_at(world: World, *titles: str) -> None:
    def strike(_number: int, call: Call) -> None:
        if call.title in titles:
            signal.raise_signal(signal.SIGINT)

    world.fly.before = strike


def test_ctrl_c_undoes_and_stays_ctrl_c(world: World) -> None:
    strike_at(world, "POST /v1/apps/{app}/machines")
    with pytest.raises(KeyboardInterrupt):
        world.provision()
    assert world.fly.ours == []
    assert [row.state for row in world.rows()] == [FAILED]


def test_a_second_ctrl_c_does_not_break_the_undoing(world: World) -> None:
    strike_at(world, "POST /v1/apps/{app}/machines", "DELETE /v1/apps/{app}", "GET /v1/apps/{app}")
    world.fly.before, strike = (lambda _number, _call: None), world.fly.before
    world.fly.after = lambda number, call: strike(number, call) if number > 3 else None
    with pytest.raises(KeyboardInterrupt):
        world.provision()
    assert world.fly.ours == []
    assert [row.state for row in world.rows()] == [FAILED]


def test_ctrl_c_while_a_failure_is_undone_does_not_break_the_undoing(world: World) -> None:
    world.fly.inject(5, "409 full", "same")
    strike_at(world, "DELETE /v1/apps/{app}")
    failing(world)
    assert world.fly.ours == []
    assert [row.state for row in world.rows()] == [FAILED]


def test_ctrl_c_means_afterwards_what_it_meant_before(world: World) -> None:
    before = signal.getsignal(signal.SIGINT)
    world.provision()
    assert signal.getsignal(signal.SIGINT) is before


# --- the same person twice ------------------------------------------------------------------------


def test_the_same_e_mail_is_refused_and_its_workspace_named(world: World) -> None:
    first = world.provision()
    made = len(world.fly.calls)
    with pytest.raises(AlreadyThere, match=first.app) as caught:
        world.provision(Person("Lili", "Lilach@Example.com"))
    assert caught.value.workspace == first
    assert "--again" in caught.value.hint
    assert len(world.fly.calls) == made


def test_again_makes_a_second_workspace_for_the_same_e_mail(world: World) -> None:
    first = world.provision()
    second = world.provision(again=True)
    assert first.app != second.app
    world.assert_the_ledger_tells_the_truth()


def test_two_people_of_one_name_have_a_workspace_each(world: World) -> None:
    first = world.provision(Person("John", "john@example.com"))
    second = world.provision(Person("John", "john@example.org"))
    assert first.app != second.app


def test_a_workspace_that_was_destroyed_is_in_nobodys_way(world: World) -> None:
    first = world.provision()
    world.destroy(first)
    assert world.provision().app != first.app


@pytest.mark.parametrize("again", [False, True])
def test_two_operators_at_once_make_one_workspace_each_as_asked(
    world: World, folder: Path, again: bool
) -> None:
    start = threading.Barrier(2)
    outcomes: list[Workspace | AlreadyThere] = []

    def operator() -> None:
        with Ledger(folder / "ledger.sqlite") as ledger:
            start.wait(10)
            try:
                plan = world.draft()
                outcomes.append(provision(world.client, ledger, plan, again=again, probe=world.fly.page))
            except AlreadyThere as refusal:
                outcomes.append(refusal)

    threads = [threading.Thread(target=operator) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    made = [one for one in outcomes if isinstance(one, Workspace)]
    assert (len(outcomes), len(made)) == (2, 2 if again else 1)
    world.assert_the_ledger_tells_the_truth()
    assert sorted(app.name for app in world.fly.ours) == sorted(one.app for one in made)


def test_one_that_is_being_made_by_a_living_process_is_left_to_it(world: World) -> None:
    world.ledger.begin(world.draft())
    with pytest.raises(AlreadyThere, match="at this moment"):
        world.provision()
    assert world.fly.calls == []


def test_a_killed_run_that_asked_for_something_else_is_undone_not_finished(world: World) -> None:
    small = world.provision(size_gb=10)
    dead = replace(Owner.me(), started="long ago")
    world.ledger.note(small.id, owner=str(dead), state="provisioning")
    big = world.provision(size_gb=50)
    assert big.app != small.app
    [volume] = world.fly.of_app(world.fly.volumes, big.app)
    assert volume["size_gb"] == 50
    assert [app.name for app in world.fly.ours] == [big.app]


# --- unmaking -------------------------------------------------------------------------------------


def test_destroying_leaves_nothing_and_closes_the_row(world: World) -> None:
    workspace = world.provision()
    closed = world.destroy(workspace)
    assert closed.state == DESTROYED
    assert world.fly.ours == []
    assert workspace.app not in world.fly.apps, "it waits until the app is really gone"
    world.assert_nothing_of_strangers_was_touched()


def test_destroying_twice_is_no_error(world: World) -> None:
    workspace = world.provision()
    closed = world.destroy(workspace)
    asked = len(world.fly.calls)
    assert world.destroy(closed) == closed
    assert len(world.fly.calls) == asked


def test_destroying_what_is_gone_from_the_platform_is_no_error(world: World) -> None:
    workspace = world.provision()
    del world.fly.apps[workspace.app]
    assert world.destroy(workspace).state == DESTROYED


def test_destroying_needs_neither_plan_nor_image(world: World) -> None:
    workspace = world.provision()
    world.ledger.note(workspace.id, plan="written by another version", image="")
    assert world.destroy(workspace).state == DESTROYED


def test_an_app_that_is_no_longer_ours_is_not_destroyed(world: World) -> None:
    workspace = world.provision()
    world.fly.apps[workspace.app].network = network_of("01SOMEBODYELSE")
    with pytest.raises(ProvisionError, match="somebody else's"):
        world.destroy(workspace)
    assert deletions(world) == []
    assert world.fly.leases == {}
    assert world.ledger.get(workspace.id).state == LEFT_BEHIND


def test_a_workspace_that_somebody_changes_is_not_destroyed_meanwhile(world: World) -> None:
    workspace = world.provision()
    world.fly.leases[workspace.machine_id] = ("somebody's", world.clock.now_s + 3600)
    with pytest.raises(ProvisionError, match="currently held"):
        world.destroy(workspace)
    world.assert_whole(world.ledger.get(workspace.id))
    world.fly.leases.clear()
    assert world.destroy(workspace).state == DESTROYED


def test_what_another_process_works_on_is_not_destroyed(world: World) -> None:
    row = world.ledger.begin(world.draft())
    with pytest.raises(LedgerError, match="being worked on"):
        world.destroy(row)


def test_one_that_resists_is_told_and_can_be_destroyed_later(world: World) -> None:
    workspace = world.provision()
    world.fly.inject(0, "503 before", "all")
    with pytest.raises(ProvisionError) as caught:
        world.destroy(workspace)
    assert workspace.app in caught.value.left_behind[0]
    world.fly.heal()
    assert destroy(world.client, world.ledger, world.ledger.get(workspace.id)).state == DESTROYED


# --- secrets --------------------------------------------------------------------------------------


def test_the_token_is_in_no_error_and_not_in_the_ledger(world: World, folder: Path) -> None:
    world.fly.logs = {}
    world.fly.inject(4, "409 full", "same")
    error = failing(world)
    secret = TOKEN.split()[1]
    assert secret not in f"{error!r}{error}{error.hint}{error.__cause__!r}{world.client!r}{PLATFORM!r}"
    assert not any(secret.encode() in path.read_bytes() for path in folder.iterdir())
