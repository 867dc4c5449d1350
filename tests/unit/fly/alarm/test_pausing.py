"""Who has used up her month: warned first, told once, paused only where nothing of hers is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from fly.alarm import pausing
from fly.alarm.caps import HOURS, Cap, Caps, Use
from fly.alarm.pausing import PAUSE, RESUME, WAITS, WARNED, Keeper, Step, is_paused, lift
from fly.errors import JarvisError
from fly.ledger import Workspace
from fly.money.bill import Month
from fly.people.post import Post
from tests.support.fake_fly import FAULTS, Call, Injection
from tests.support.world import World
from tests.unit.fly.alarm.conftest import Door, Watch

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Keeping:
    """A workspace with a cap of ten hours, and whoever keeps to it."""

    world: World
    watch: Watch
    caps: Caps
    row: Workspace
    door: Door

    @property
    def machine(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.fly.machines[self.row.machine_id]
        return found

    @property
    def env(self) -> dict[str, str]:
        found: dict[str, str] = self.machine["config"]["env"]
        return found

    def keeper(self, **changes: Any) -> Keeper:
        world = self.world
        post = Post(self.watch.settings, world.client, world.ledger, self.watch.outbox)
        made = Keeper(
            world.client, world.ledger, self.caps, post, "My Jarvis <me@example.com>", NOW, world.fly.page
        )
        return replace(made, **changes)

    def use(self, hours: str) -> Use:
        return Use(self.row.id, Month.of(NOW), Decimal(hours), Decimal(0))

    def keep(self, hours: str, **changes: Any) -> Step | None:
        machine = self.world.client.machine(self.row.app, self.row.machine_id)
        return self.keeper(**changes).keep(self.row, machine, self.use(hours))

    def tell(self, **told: Any) -> None:
        """What the workspace tells from now on."""
        self.world.fly.told = told


@pytest.fixture
def keeping(world: World, watch: Watch, door: Door) -> Iterator[Keeping]:
    row = world.provision()
    world.client.platform = door.platform
    with Caps(watch.settings.ledger) as caps:
        caps.set(row.id, Cap(HOURS, Decimal(10)))
        made = Keeping(world, watch, caps, row, door)
        made.tell(turns=0)
        yield made


def test_at_eighty_percent_she_is_warned_once_a_month(keeping: Keeping) -> None:
    step = keeping.keep("8")
    assert step
    assert (step.act, step.mail and step.mail.state) == (WARNED, "sent")
    assert keeping.keep("9") is None
    assert keeping.watch.subjects == ["You have used most of this month's allowance"]
    assert "JARVIS_PAUSED_UNTIL" not in keeping.env


def test_at_a_hundred_percent_her_page_rests_until_the_month_turns(keeping: Keeping) -> None:
    step = keeping.keep("10")
    assert step
    assert step.act == PAUSE
    assert keeping.env["JARVIS_PAUSED_UNTIL"] == "2026-12-01T00:00:00.000Z"
    assert keeping.env["JARVIS_CONTACT"] == "me@example.com"
    assert keeping.env["USER_NAME"] == "Lilach", "all else stays"
    assert keeping.watch.subjects == ["Your workspace rests until December 1"]
    assert keeping.keep("11") is None
    assert not keeping.world.ledger.get(keeping.row.id).is_worked_on


@pytest.mark.parametrize("told", [{"turns": 1}, {}, {"turns": None}])
def test_she_is_never_cut_off_in_the_middle_of_a_turn(keeping: Keeping, told: dict[str, Any]) -> None:
    keeping.tell(**told)
    step = keeping.keep("10")
    assert step
    assert step.act == WAITS
    assert "JARVIS_PAUSED_UNTIL" not in keeping.env
    assert keeping.watch.subjects == []


def test_a_turn_that_begins_at_the_last_moment_is_seen(keeping: Keeping) -> None:
    keeping.door.health = '{"status":"ok","busy":true}'
    step = keeping.keep("10")
    assert step
    assert step.act == WAITS


@pytest.mark.parametrize("state", ["suspended", "stopped", "starting"])
def test_who_is_not_there_is_told_when_she_comes_back(keeping: Keeping, state: str) -> None:
    keeping.machine["state"] = state
    step = keeping.keep("10")
    assert step
    assert step.act == WAITS
    assert keeping.machine["state"] == state


def test_a_cap_that_is_lifted_lets_her_back_in_and_she_sleeps_on_if_she_slept(keeping: Keeping) -> None:
    keeping.keep("10")
    keeping.machine["state"] = "suspended"
    assert lift(keeping.keeper(), keeping.row, keeping.use("12"))
    assert "JARVIS_PAUSED_UNTIL" not in keeping.env
    assert keeping.machine["state"] == "suspended"
    assert keeping.keep("13") is None, "for the whole month"


def test_a_cap_that_is_raised_lets_her_back_in(keeping: Keeping) -> None:
    keeping.keep("10")
    keeping.caps.set(keeping.row.id, Cap(HOURS, Decimal(40)))
    step = keeping.keep("12")
    assert step
    assert step.act == RESUME
    assert keeping.keep("13") is None


def test_when_the_month_has_turned_there_is_nothing_to_do(keeping: Keeping) -> None:
    keeping.keep("10")
    december = datetime(2026, 12, 1, tzinfo=UTC)
    machine = keeping.world.client.machine(keeping.row.app, keeping.row.machine_id)
    assert is_paused(machine, NOW)
    assert not is_paused(machine, december)
    assert keeping.keep("0", now=december) is None


def test_a_dry_run_changes_nothing(keeping: Keeping) -> None:
    machine = keeping.world.client.machine(keeping.row.app, keeping.row.machine_id)
    step = keeping.keeper().keep(keeping.row, machine, keeping.use("10"), dry_run=True)
    assert step
    assert step.act == PAUSE
    assert "JARVIS_PAUSED_UNTIL" not in keeping.env
    assert keeping.watch.subjects == []


@pytest.mark.parametrize("fault", ["time-out after", "500 after", "reset before", "time-out before"])
def test_an_answer_that_is_lost_is_looked_up(keeping: Keeping, fault: str) -> None:
    fail_at_update(keeping, fault)
    step = keeping.keep("10")
    assert step
    assert step.act == PAUSE
    assert keeping.env["JARVIS_PAUSED_UNTIL"]


def test_a_platform_that_refuses_leaves_nothing_half_done(keeping: Keeping) -> None:
    fail_at_update(keeping, "422")
    with pytest.raises(JarvisError):
        keeping.keep("10")
    keeping.world.fly.before = lambda _number, _call: None
    keeping.world.fly.heal()
    assert not keeping.world.ledger.get(keeping.row.id).is_worked_on
    assert keeping.watch.subjects == []
    step = keeping.keep("10")
    assert step
    assert step.act == PAUSE


def fail_at_update(keeping: Keeping, fault: str) -> None:
    """The first request that would tell the machine meets this fault."""
    fly = keeping.world.fly

    def before(number: int, call: Call) -> None:
        if call.title.endswith("/lease") and call.method == "POST" and fly.injection is None:
            fly.injection = Injection(number + 3, FAULTS[fault])  # after two looks at the machine

    fly.before = before


def test_what_is_shown_until_a_moment_that_makes_no_sense_is_no_pause(keeping: Keeping) -> None:
    keeping.env["JARVIS_PAUSED_UNTIL"] = "soon"
    machine = keeping.world.client.machine(keeping.row.app, keeping.row.machine_id)
    assert not is_paused(machine, NOW)
    assert pausing.environment(machine)["JARVIS_PAUSED_UNTIL"] == "soon"
