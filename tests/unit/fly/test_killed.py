"""kill -9 of a real process of the operator's, at its requests.

Every one that makes or unmakes a workspace, and the worst ones of what changes or repairs one; of those every
moment is tried without a process in `test_nothing_is_left_half_done.py`.
"""

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from fly.change.eyes import Eyes, Patience
from fly.change.rollout import Rolling, cut_off, plan
from fly.change.rollouts import UPGRADE, Leg, Rollouts
from fly.change.upgrade import Upgrading
from fly.client import Client
from fly.ledger import READY, Ledger
from fly.plan import Person
from fly.provision import destroy, draft, page_probe, provision
from fly.repair import repair, survey
from fly.settings import Platform, Secret
from tests.support.changes import NEXT
from tests.support.fake_fly import ORG, TOKEN, Call, FakeFly, served
from tests.support.world import DEAD, IMAGE, LILACH, World


def platform_at(url: str) -> Platform:
    return Platform("local", url, Secret(TOKEN), ORG, url, door_url=url)


def provision_there(url: str, ledger_path: str) -> None:
    """What the killed process does."""
    platform = platform_at(url)
    with Client(platform) as client, Ledger(Path(ledger_path)) as ledger:
        provision(client, ledger, draft(platform, LILACH, image=IMAGE))


def destroy_there(url: str, ledger_path: str) -> None:
    """What the killed process does."""
    platform = platform_at(url)
    with Client(platform) as client, Ledger(Path(ledger_path)) as ledger:
        destroy(client, ledger, ledger.find(LILACH.email, platform.key))


def upgrade_there(url: str, ledger_path: str) -> None:
    """What the killed process does."""
    platform = platform_at(url)
    with Client(platform) as client, Ledger(Path(ledger_path)) as ledger, Rollouts(ledger.path) as rollouts:
        upgrade_all(platform, client, ledger, rollouts)


def upgrade_all(platform: Platform, client: Client, ledger: Ledger, rollouts: Rollouts) -> list[Leg]:
    """As the verb does it: what was cut off first, then who is not there yet."""

    def upgrading(report: Callable[[str], None]) -> Upgrading:
        return Upgrading(client, ledger, rollouts, Eyes.of(platform), Patience(5, 5, 0), report)

    rolling = Rolling(ledger, rollouts, upgrading, lambda _title: nullcontext(lambda _line: None))
    settled = rolling.settle(platform.key)
    stops = plan(client, ledger.workspaces(platform.key), lambda _row: NEXT, 1)
    return [*settled, *rolling.run(rolling.begin(platform.key, UPGRADE, stops))]


Run = Callable[[str, str], None]


def briefly(seconds: float) -> None:
    time.sleep(seconds / 50)


@dataclass
class Theatre:
    """A platform over HTTP, and a ledger beside it."""

    fly: FakeFly
    url: str
    ledger_path: Path
    processes: ForkServerContext

    def run(self, target: Run) -> BaseProcess:
        process = self.processes.Process(target=target, args=(self.url, str(self.ledger_path)))
        process.start()
        return process

    def run_killed(self, target: Run, number: int, moment: str) -> None:
        """Runs `target` until its request of that number; kills it before or after that is carried out."""
        started: Future[int | None] = Future()

        def strike(at: int, _call: Call) -> None:
            if at == number:
                os.kill(started.result(30) or 0, signal.SIGKILL)

        self.fly.calls.clear()
        setattr(self.fly, moment, strike)
        process = self.run(target)
        started.set_result(process.pid)
        process.join(30)
        setattr(self.fly, moment, lambda _number, _call: None)
        assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start in milliseconds: forked from one that has imported everything, without threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "fly.provision", "fly.change.upgrade"])
    return context


@contextmanager
def theatre_in(folder: Path, processes: ForkServerContext) -> Iterator[Theatre]:
    fly = FakeFly()
    with served(fly) as url:
        yield Theatre(fly, url, folder / "ledger.sqlite", processes)


@pytest.fixture
def theatre(folder: Path, processes: ForkServerContext) -> Iterator[Theatre]:
    with theatre_in(folder, processes) as theatre:
        yield theatre


def hastily() -> float:
    """A clock for leases: whoever was killed does not keep the next run waiting for long."""
    return time.monotonic() * 50


def requests_of(target: Run, *before: Run) -> list[str]:
    """What a run asks that nobody kills."""
    fly = FakeFly()
    with served(fly) as url, tempfile.TemporaryDirectory() as folder:
        for run in (*before, target):
            fly.calls.clear()
            run(url, f"{folder}/ledger.sqlite")
        return [call.title for call in fly.calls]


def moments(titles: list[str]) -> list[object]:
    return [
        pytest.param(number, moment, id=f"{moment} {number} {title}")
        for number, title in enumerate(titles)
        for moment in ("before", "after")
    ]


def check_that_it_converges(theatre: Theatre) -> None:
    """The next run of the same person ends with one workspace and nothing else."""
    platform = platform_at(theatre.url)
    with Client(platform, sleep=briefly) as client, Ledger(theatre.ledger_path) as ledger:
        world = World(theatre.fly, ledger, client, clock=None)  # type: ignore[arg-type]
        probe = page_probe(platform)
        [row] = ledger.workspaces()
        assert row.is_unfinished
        assert {app.name for app in theatre.fly.ours} <= {row.app}
        workspace = provision(client, ledger, draft(platform, LILACH, image=IMAGE), probe=probe)
        assert workspace.state == READY
        world.assert_whole(workspace)
        world.assert_the_ledger_tells_the_truth()
        assert [app.name for app in theatre.fly.ours] == [workspace.app]
        assert survey(client, ledger) == []
        world.assert_nothing_of_strangers_was_touched()


@pytest.mark.parametrize(("number", "moment"), moments(requests_of(provision_there)))
def test_a_provision_that_is_killed_leaves_a_row_that_the_next_one_puts_in_order(
    theatre: Theatre, number: int, moment: str
) -> None:
    theatre.run_killed(provision_there, number, moment)
    check_that_it_converges(theatre)


@pytest.mark.parametrize(("number", "moment"), moments(requests_of(destroy_there, provision_there)))
def test_a_destroy_that_is_killed_is_ended_by_repair(theatre: Theatre, number: int, moment: str) -> None:
    provision_there(theatre.url, str(theatre.ledger_path))
    theatre.run_killed(destroy_there, number, moment)
    theatre.fly.clock = hastily
    platform = platform_at(theatre.url)
    with Client(platform, sleep=briefly) as client, Ledger(theatre.ledger_path) as ledger:
        [finding] = repair(client, ledger)
        assert (finding.ok, finding.outcome) == (True, "destroyed")
        assert ledger.workspaces() == []
    assert theatre.fly.ours == []
    assert theatre.fly.stranger_is_untouched


def at(titles: list[str], wanted: str) -> list[object]:
    """Right before and after the last request of this title."""
    number = len(titles) - 1 - titles[::-1].index(wanted)
    return [pytest.param(number, moment, id=f"{moment} {wanted}") for moment in ("before", "after")]


def repair_there(url: str, ledger_path: str) -> None:
    """What the killed process does."""
    platform = platform_at(url)
    with Client(platform) as client, Ledger(Path(ledger_path)) as ledger:
        repair(client, ledger)


def die_early(url: str, ledger_path: str) -> None:
    """A provision that another process began, and of which nothing answers yet."""
    platform = platform_at(url)
    with Client(platform) as client, Ledger(Path(ledger_path)) as ledger:
        plan = draft(platform, LILACH, image=IMAGE)
        client.create_app(plan.app_request)
        row = ledger.begin(plan)
        ledger.note(row.id, owner=DEAD)


@pytest.mark.parametrize(
    ("number", "moment"), at(requests_of(repair_there, die_early), "DELETE /v1/apps/{app}")
)
def test_a_repair_that_is_killed_is_ended_by_the_next_one(theatre: Theatre, number: int, moment: str) -> None:
    die_early(theatre.url, str(theatre.ledger_path))
    theatre.run_killed(repair_there, number, moment)
    platform = platform_at(theatre.url)
    with Client(platform, sleep=briefly) as client, Ledger(theatre.ledger_path) as ledger:
        [finding] = repair(client, ledger)
        assert (finding.ok, finding.outcome) == (True, "failed")
        assert ledger.workspaces() == []
    assert theatre.fly.ours == []
    assert theatre.fly.stranger_is_untouched


@pytest.mark.parametrize(
    ("number", "moment"),
    at(requests_of(upgrade_there, provision_there), "POST /v1/apps/{app}/machines/{machine}"),
)
def test_an_upgrade_that_is_killed_is_ended_by_the_next_one(
    theatre: Theatre, number: int, moment: str
) -> None:
    theatre.fly.clock = hastily
    provision_there(theatre.url, str(theatre.ledger_path))
    [volume] = [one for one in theatre.fly.volumes if one != "vol_stranger"]
    theatre.fly.contents[volume]["workspace/letter.txt"] = "Dear"
    theatre.run_killed(upgrade_there, number, moment)
    platform = platform_at(theatre.url)
    with Client(platform, sleep=briefly) as client, Ledger(theatre.ledger_path) as ledger:
        with Rollouts(ledger.path) as rollouts:
            upgrade_all(platform, client, ledger, rollouts)
            assert cut_off(ledger, rollouts, platform.key) == []
        [row] = ledger.workspaces()
        World(theatre.fly, ledger, client, clock=None).assert_whole(row)  # type: ignore[arg-type]
        assert (row.image, client.machine(row.app, row.machine_id).image) == (NEXT, NEXT)
        assert theatre.fly.contents[row.volume_id]["workspace/letter.txt"] == "Dear"
    assert theatre.fly.stranger_is_untouched


def test_two_processes_at_once_make_one_workspace(theatre: Theatre) -> None:
    runs = [theatre.run(provision_there) for _ in range(2)]
    for run in runs:
        run.join(30)
    assert sorted(run.exitcode or 0 for run in runs) == [0, 1], "one made it, one was refused"
    with Ledger(theatre.ledger_path) as ledger:
        [row] = ledger.workspaces()
    assert row.state == READY
    assert [app.name for app in theatre.fly.ours] == [row.app]


def test_another_person_is_not_kept_waiting_by_a_killed_run(theatre: Theatre) -> None:
    theatre.run_killed(provision_there, 5, "after")
    platform = platform_at(theatre.url)
    with Client(platform) as client, Ledger(theatre.ledger_path) as ledger:
        other = Person("Dan", "dan@example.com")
        assert provision(client, ledger, draft(platform, other, image=IMAGE)).state == READY
