"""Every call that is made, times every way in which it can fail: what is left, what does the ledger say?

And kill -9 of us before each of them, and after each that changes something. The calls are those that a good
run makes, recorded when the tests are collected: a new one is covered the day that it is written.
"""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fly.access.keys import current, rotate
from fly.backup.records import Copy
from fly.change.power import RESTART, SUSPEND, WAKE
from fly.change.resize import Size, resize, size_of
from fly.change.rollouts import ENDED, PLANNED
from fly.change.variables import HANDED_ON, set_variables
from fly.client import Client
from fly.errors import JarvisError
from fly.ledger import READY, Workspace
from fly.plan import ADDRESS_TYPES, Person, Plan
from fly.repair import ADOPT, LIST, REMOVE, repair, survey
from fly.settings import Secret
from tests.support.changes import HERS, NEXT, changes_in
from tests.support.copying import Copying, copies_in
from tests.support.fake_fly import FAULTS, RESTIC, Call
from tests.support.world import DEAD, IMAGE, MEMORY, Killed, World, much_later, new_world

LASTING = (
    "no connection",
    "time-out after",
    "404",
    "409",
    "429",
    "503 before",
    "500 after",
    "cut body",
    "Ctrl-C after",
)
"""Faults that are tried for good too, not only once; the others differ from one of these in words alone."""
PLATFORM_DOWN = ("no connection", "time-out after", "503 before", "401")
"""Faults that befall everything from then on."""


@dataclass(frozen=True)
class Story:
    """Something that is done, after something that was done before."""

    name: str
    before: Callable[[World], Any]
    act: Callable[[World, Any], Any]
    orphans: str = ""
    """What becomes of the one without a row that there was before: `adopt` or `remove`."""
    until: str = ""
    """The call from which on another story tells the same."""
    since: str = ""
    """The call before which another story tells the same."""
    again: Callable[[World, Any], Any] | None = None
    """What the next run does, where something that is ready is changed; until then it may be half changed."""
    is_like_another: bool = False
    """One fault of each class is enough: another story, or a shorter one, meets the same code with all."""
    only_killed: bool = False
    """A story that is another one's mirror: what befalls its calls befell those."""
    failing: tuple[str, str] = ("", "")
    """From which call on and until which one faults are tried, where another story meets the other ones."""
    classes: tuple[str, ...] = ()
    """The faults of what changes something, where they are fewer than `CLASSES`."""
    is_whole: bool = False
    """What its next run finds says all about it: ledger and platform are only compared afterwards."""

    @property
    def few(self) -> bool:
        return self.is_like_another or self.again is not None


def nothing(_world: World) -> None:
    pass


def ready(world: World) -> Workspace:
    return world.provision()


def killed_before_the_volume(world: World) -> Workspace:
    return dead(world, lambda call: call.method == "POST" and call.route.endswith("/volumes"))


def killed_before_the_page(world: World) -> Workspace:
    return dead(world, lambda call: call.route.endswith("/wait"))


def killed_while_removing(world: World) -> Workspace:
    world.provision()
    [row] = world.rows()
    return as_if_dead(world, world.ledger.claim(row.id, state="destroying"))


def dead(world: World, where: Callable[[Call], bool]) -> Workspace:
    """A run that ended without a word: neither undone nor noted."""
    plan = world.draft()
    row = world.ledger.begin(plan)
    make_until(world, plan, where)
    return as_if_dead(world, row)


def make_until(world: World, plan: Plan, where: Callable[[Call], bool]) -> None:
    def strike(_number: int, call: Call) -> None:
        if where(call):
            raise Killed

    world.fly.before = strike
    with pytest.raises(Killed):
        make(world.client, plan)
    world.fly.before = lambda _number, _call: None


def make(client: Client, plan: Plan) -> None:
    client.create_app(plan.app_request)
    for kind in ADDRESS_TYPES:
        client.assign_ip(plan.app, kind)
    volume = client.create_volume(plan.app, plan.volume_request)
    client.create_machine(plan.app, plan.machine_request(volume.id, volume.region))
    client.wait(plan.app, "any", "started", timeout_s=10)


def as_if_dead(world: World, row: Workspace) -> Workspace:
    return world.ledger.note(row.id, owner=DEAD)


def orphaned(world: World) -> None:
    """Everything is there but the row."""
    make_until(world, world.draft(), lambda call: call.route.endswith("/wait"))


def changed(world: World, row: Workspace) -> None:
    """What every change of a machine does: alone with it, the whole config anew, then the wait."""
    with world.client.leased(row.app, row.machine_id) as hold:
        config = dict(world.client.machine(row.app, row.machine_id).config)
        world.client.update_machine(row.app, row.machine_id, {"config": config}, nonce=hold.nonce)
    world.client.wait(row.app, row.machine_id, "started", timeout_s=30)


def lived_in(state: str) -> Callable[[World], Workspace]:
    def before(world: World) -> Workspace:
        with changes_in(world) as changes:
            return changes.user(state=state)

    return before


def upgraded(world: World, _row: Workspace) -> None:
    with changes_in(world) as changes:
        changes.upgrade()


def upgraded_in_the_end(world: World, row: Workspace) -> None:
    """However far it came: on the new image, in the state in which it was found, with all that is hers."""
    with changes_in(world) as changes:
        changes.upgrade()
        changes.assert_well(row, NEXT, "suspended")
        assert all(leg.step in ENDED for leg in changes.rollouts.of_workspace(row.id))


def wrecked(world: World, _row: Workspace) -> None:
    """An upgrade to an image that loses a file, and so all the way back."""
    world.fly.wrecking[NEXT] = lambda there: there.pop("workspace/letter.txt", None)
    with changes_in(world) as changes:
        changes.upgrade()


def intact_in_the_end(world: World, row: Workspace) -> None:
    with changes_in(world) as changes:
        changes.settle()
        changes.assert_well(row, IMAGE, "suspended")
        assert all(leg.step in (*ENDED, PLANNED) for leg in changes.rollouts.of_workspace(row.id))


LARGER = Size(512, 1, 20)


def resized(world: World, row: Workspace) -> None:
    with changes_in(world) as changes:
        resize(changes.power, world.ledger, row, LARGER)


def resized_in_the_end(world: World, row: Workspace) -> None:
    resized(world, row)
    with changes_in(world) as changes:
        assert size_of(world.client, row) == LARGER
        world.fly.page(row.url)
        changes.assert_well(row, IMAGE, asleep_or_not(changes.machine(row)["state"]))


def done(what: str) -> Callable[[World, Workspace], None]:
    """Asleep, awake or anew, at the operator's word."""

    def act(world: World, row: Workspace) -> None:
        with changes_in(world) as changes:
            changes.power.do(what, row)

    return act


def done_in_the_end(what: str, state: str) -> Callable[[World, Workspace], None]:
    def again(world: World, row: Workspace) -> None:
        done(what)(world, row)
        with changes_in(world) as changes:
            changes.assert_well(row, IMAGE, state)

    return again


def restarted_in_the_end(world: World, row: Workspace) -> None:
    """Cut off after the stop it is one that sleeps: it starts anew when it is next used."""
    done(RESTART)(world, row)
    done_in_the_end(WAKE, "started")(world, row)


VARIABLE = {"ANTHROPIC_API_KEY": Secret("sk-of-the-test")}


def told_a_secret(world: World, row: Workspace) -> None:
    with changes_in(world) as changes:
        set_variables(changes.power, world.ledger, row, VARIABLE)


def told_a_secret_in_the_end(world: World, row: Workspace) -> None:
    """Killed while it ran on another's behalf, it is awake and falls asleep by itself."""
    told_a_secret(world, row)
    with changes_in(world) as changes:
        assert world.fly.secrets[row.app] == {name: one.reveal() for name, one in VARIABLE.items()}
        assert changes.machine(row)["config"]["env"][HANDED_ON] == ",".join(VARIABLE)
        changes.assert_well(row, IMAGE, asleep_or_not(changes.machine(row)["state"]))


def asleep_or_not(state: str) -> str:
    assert state in ("suspended", "started"), "one that was woken falls asleep by itself"
    return state


def given_a_key(world: World, row: Workspace) -> None:
    rotate(world.client, world.ledger, row, probe=world.fly.page)


def given_a_key_in_the_end(world: World, row: Workspace) -> None:
    """At any moment the ledger has the key that opens; and the next run draws another one."""
    assert current(world.client, world.ledger, row)
    fresh = rotate(world.client, world.ledger, row, probe=world.fly.page)
    assert current(world.client, world.ledger, row) == fresh
    with changes_in(world) as changes:
        assert fresh.environment.items() <= changes.machine(row)["config"]["env"].items()
        changes.assert_well(row, IMAGE, asleep_or_not(changes.machine(row)["state"]))


def upgraded_before(world: World) -> Workspace:
    row = lived_in("suspended")(world)
    upgraded(world, row)
    return row


def rolled_back(world: World, _row: Workspace) -> None:
    with changes_in(world) as changes:
        changes.rollback()


def rolled_back_in_the_end(world: World, row: Workspace) -> None:
    with changes_in(world) as changes:
        changes.rollback()
        changes.assert_well(row, IMAGE, "suspended")
        assert all(leg.step in ENDED for leg in changes.rollouts.of_workspace(row.id))


LATER = {"workspace/letter.txt": "Dear Noa", "workspace/more.txt": "More"}
"""What she did since she was copied."""


@dataclass(frozen=True)
class Copied:
    """A workspace, and a copy of what was in it before `LATER`."""

    row: Workspace
    copy: Copy


def copied(state: str) -> Callable[[World], Copied]:
    def before(world: World) -> Copied:
        row = lived_in(state)(world)
        with copies_in(world) as copying:
            copy = copying.back_up(row).latest.copy
        world.fly.contents[row.volume_id].update(LATER)
        return Copied(row, copy)

    return before


def lost(world: World) -> Copied:
    """The platform has no such app any more."""
    made = copied("started")(world)
    world.client.delete_app(made.row.app)
    del world.fly.apps[made.row.app]
    return made


def backed_up(world: World, row: Workspace) -> None:
    with copies_in(world) as copying:
        copying.back_up(row)


def backed_up_in_the_end(world: World, row: Workspace) -> None:
    with copies_in(world) as copying:
        hers = copying.hers(row)
        copy = copying.back_up(row).latest.copy
        assert copying.copied(copy) == copying.hers(row) == hers
        assert copying.machine(row)["state"] == "started", "she did not notice"
        assert {one.copy.id for one in copying.repository.copies()} >= {
            one.id for one in copying.backups.copies(row.id)
        }
        copying.assert_in_order(row)


def brought_back(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.bring_back(made.row, made.copy)


def brought_back_in_the_end(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.settle()
        if copying.row(made.row).app in world.fly.apps:
            copying.assert_in_order(made.row)
            assert copying.hers(made.row) in (HERS_AND_LATER, copying.copied(made.copy)), (
                "all of one, or the other"
            )
        copying.bring_back(made.row, made.copy)
        assert_as_copied(copying, made)


def assert_as_copied(copying: Copying, made: Copied) -> None:
    assert copying.hers(made.row) == copying.copied(made.copy)
    copying.assert_in_order(made.row)
    copying.world.assert_whole(copying.row(made.row))


NOA = Person("Noa", "noa@example.com")


def brought_to_noa(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.bring_to_new(NOA, made.copy)


def brought_to_noa_in_the_end(world: World, made: Copied) -> None:
    """Also where a repair has put her workspace in order before."""
    with copies_in(world) as copying:
        repair(world.client, world.ledger, probe=world.fly.page)
        rows = world.ledger.of_email(NOA.email, made.row.platform)
        noa = (
            rows[0]
            if rows and copying_is_done(copying, rows[0], made)
            else copying.bring_to_new(NOA, made.copy)
        )
        assert copying.hers(noa) == copying.copied(made.copy)
        assert copying.hers(made.row) == HERS_AND_LATER
        for row in (made.row, noa):
            copying.assert_in_order(row)


def copying_is_done(copying: Copying, row: Workspace, made: Copied) -> bool:
    copying.settle()
    return copying.hers(row) == copying.copied(made.copy)


def moved(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.move(made.row, ELSEWHERE)


def moved_in_the_end(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.settle()
        copying.assert_in_order(made.row)
        assert copying.hers(made.row) == HERS_AND_LATER
        if copying.row(made.row).region != ELSEWHERE:
            copying.move(made.row, ELSEWHERE)
        assert copying.row(made.row).region == ELSEWHERE
        assert copying.hers(made.row) == HERS_AND_LATER
        copying.assert_in_order(made.row)
        world.assert_whole(copying.row(made.row))


def drilled(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.drill(made.row, made.copy)


def drilled_in_the_end(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        assert copying.drill(made.row, made.copy).ok
        assert copying.hers(made.row) == HERS_AND_LATER
        copying.assert_in_order(made.row)


def settled(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.settle_one(made.row)


def settled_in_the_end(world: World, made: Copied) -> None:
    with copies_in(world) as copying:
        copying.settle()
        copying.assert_in_order(made.row)
        assert copying.hers(made.row) in (HERS_AND_LATER, copying.copied(made.copy))
        world.fly.page(made.row.url)
        world.assert_whole(copying.row(made.row))


def cut_off(what: Callable[[World, Copied], None], title: str, which: int = -1) -> Callable[[World], Copied]:
    """Killed right after a call of this title: the last one of them, or another."""

    def before(world: World) -> Copied:
        made = copied("started")(world)
        saved, here = world.fly.saved(), world.ledger.path.parent
        with tempfile.TemporaryDirectory(dir=here) as folder, new_world(_copy_of(here, Path(folder))) as twin:
            twin.fly.load(saved)
            what(twin, made)
            calls = [number for number, call in enumerate(twin.fly.calls) if call.title == title]
        world.kill(lambda: what(world, made), calls[which], "after")
        return made

    return before


def _copy_of(folder: Path, to: Path) -> Path:
    for path in folder.iterdir():
        if path.is_file():
            shutil.copy(path, to)
        elif path != to:
            shutil.copytree(path, to / path.name)
    return to


UNDOING = ("400", "time-out after")
ELSEWHERE = "fra"
HERS_AND_LATER = dict.fromkeys(("app", "claude", "home", "workspace"), "/") | HERS | LATER

STORIES = (
    Story("provision", nothing, lambda world, _: world.provision()),
    Story(
        "provision after a killed run",
        killed_before_the_volume,
        lambda world, _: world.provision(),
        until="POST /v1/apps",
        is_like_another=True,
    ),
    Story("provision finishing a killed run", killed_before_the_page, lambda world, _: world.provision()),
    Story("destroy", ready, lambda world, row: world.destroy(row)),
    Story("change under a lease", ready, changed, is_like_another=True),
    Story("suspend", lived_in("started"), done(SUSPEND), again=done_in_the_end(SUSPEND, "suspended")),
    Story("wake", lived_in("suspended"), done(WAKE), again=done_in_the_end(WAKE, "started")),
    Story("restart", lived_in("started"), done(RESTART), again=restarted_in_the_end),
    Story("secrets", lived_in("suspended"), told_a_secret, again=told_a_secret_in_the_end),
    Story("rotate-key", lived_in("suspended"), given_a_key, again=given_a_key_in_the_end),
    Story("upgrade", lived_in("suspended"), upgraded, again=upgraded_in_the_end),
    Story(
        "upgrade that harms",
        lived_in("suspended"),
        wrecked,
        since="POST /v1/apps/{app}/machines/{machine}",
        again=intact_in_the_end,
    ),
    Story("rollback", upgraded_before, rolled_back, again=rolled_back_in_the_end, only_killed=True),
    Story("resize", lived_in("suspended"), resized, again=resized_in_the_end),
    Story("backup", lived_in("started"), backed_up, again=backed_up_in_the_end, is_whole=True),
    Story("restore", copied("started"), brought_back, again=brought_back_in_the_end, is_whole=True),
    Story(
        "restore of one that sleeps",
        copied("suspended"),
        brought_back,
        until="POST /v1/apps/{app}/volumes",
        again=brought_back_in_the_end,
        only_killed=True,
        is_whole=True,
    ),
    Story(
        "restore of what is lost",
        lost,
        brought_back,
        again=brought_back_in_the_end,
        failing=("", "GET /courier"),
        is_whole=True,
    ),
    Story(
        "restore to somebody else",
        copied("started"),
        brought_to_noa,
        until="PUT /courier/data",
        again=brought_to_noa_in_the_end,
        only_killed=True,
        is_whole=True,
    ),
    Story(
        "move",
        copied("started"),
        moved,
        again=moved_in_the_end,
        failing=("", "POST /v1/apps/{app}/volumes"),
        is_whole=True,
    ),
    Story(
        "move of one that sleeps",
        copied("suspended"),
        moved,
        until="POST /v1/apps/{app}/volumes",
        again=moved_in_the_end,
        only_killed=True,
        is_whole=True,
    ),
    Story(
        "drill",
        copied("started"),
        drilled,
        again=drilled_in_the_end,
        failing=("GET /courier", "DELETE /v1/apps/{app}"),
        is_whole=True,
    ),
    Story(
        "settling a restore by undoing it",
        cut_off(brought_back, "PUT /courier/data"),
        settled,
        again=settled_in_the_end,
        classes=UNDOING,
        is_whole=True,
    ),
    Story(
        "settling a restore by finishing it",
        cut_off(brought_back, "DELETE /v1/apps/{app}/machines/{machine}"),
        settled,
        again=settled_in_the_end,
        classes=UNDOING,
        is_whole=True,
    ),
    Story(
        "settling a move by undoing it",
        cut_off(moved, "GET /courier/seal", 0),
        settled,
        again=settled_in_the_end,
        classes=UNDOING,
        is_whole=True,
    ),
    Story("repair by undoing", killed_before_the_volume, lambda world, _: mended(world)),
    Story("repair by finishing", killed_before_the_page, lambda world, _: mended(world)),
    Story("repair by removing", killed_while_removing, lambda world, _: mended(world), is_like_another=True),
    Story("repair by adopting", orphaned, lambda world, _: mended(world, ADOPT), orphans=ADOPT),
    Story("repair by removing an orphan", orphaned, lambda world, _: mended(world, REMOVE), orphans=REMOVE),
)


def mended(world: World, orphans: str = LIST) -> None:
    findings = repair(world.client, world.ledger, probe=world.fly.page, orphans=orphans, now_s=much_later)
    for finding in findings:
        if not finding.ok:
            raise JarvisError(finding.outcome)


@dataclass(frozen=True)
class SetUp:
    """A world as a story finds it, kept to be set up again and again without doing again what led to it."""

    fly: bytes
    files: Mapping[str, bytes]
    ledger: str
    now_s: float
    made: Any

    @contextmanager
    def world(self, folder: Path) -> Iterator[World]:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        with new_world(folder, self.ledger) as world:
            world.fly.load(self.fly)
            world.clock.now_s = self.now_s
            yield world


@cache
def set_up(story: Story) -> SetUp:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name, new_world(Path(name)) as world:
        made = story.before(world)
        world.ledger.close()
        folder = Path(name)
        files = {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
        return SetUp(world.fly.saved(), files, world.ledger.path.name, world.clock.now_s, made)


def recorded(story: Story) -> list[Call]:
    ready = set_up(story)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, ready.world(Path(folder)) as world:
        made = ready.made
        world.fly.heal()
        story.act(world, made)
        return list(itertools.takewhile(lambda call: call.title != story.until, world.fly.calls))


def faults_of(call: Call) -> list[str]:
    """A request that only reads has nothing to commit, and is refused in fewer ways."""
    same = {
        "time-out after",
        "reset after",
        "408 after",
        "500 after",
        "502 after",
        "400",
        "409 full",
        "412",
        "422",
    }
    return [fault for fault in FAULTS if call.method != "GET" or fault not in same - {*PLATFORM_DOWN}]


CLASSES = ("time-out before", "time-out after", "400", "429", "500 before", "reset after", "cut body")
"""One fault of each class, for stories with so many calls that all of them would say the same many times."""


def few_faults_of(story: Story, call: Call) -> list[str]:
    if call.method == RESTIC:
        return ["503 before", "500 after"]
    if call.method == "GET":
        return ["503 before", "404"] if not story.classes else ["503 before"]
    return [*(story.classes or (*CLASSES, "no connection", "Ctrl-C after"))]


def durations(call: Call, fault: str) -> Iterator[str]:
    yield "once"
    if call.method != "GET" and FAULTS[fault].commits:
        yield "then no connection"
        yield "then 401"
    if fault in LASTING:
        yield "same"
    if fault in PLATFORM_DOWN:
        yield "all"


def few_durations(story: Story, fault: str) -> tuple[str, ...]:
    lasting = {"no connection", "time-out after", "503 before"}
    if story.is_whole:  # its waits are long, and a platform that is down is met by what it changes too
        lasting -= {"503 before"}
    return ("once", "all") if fault in lasting and not story.classes else ("once",)


def calls_of() -> Iterator[tuple[Story, int, Call]]:
    for story in STORIES:
        calls = recorded(story)
        first = [call.title for call in calls].index(story.since) if story.since else 0
        yield from ((story, number, call) for number, call in list(enumerate(calls))[first:])


CALLS = tuple(calls_of())


def cases() -> Iterator[Any]:
    for story, number, call in failing_calls():
        for fault in few_faults_of(story, call) if story.few else faults_of(call):
            for lasting in few_durations(story, fault) if story.few else durations(call, fault):
                title = f"{story.name}: {number} {call.title}: {fault}, {lasting}"
                yield pytest.param(story, number, call, fault, lasting, id=title)


def failing_calls() -> Iterator[tuple[Story, int, Call]]:
    for story in STORIES:
        calls = [one for one in CALLS if one[0] is story and not story.only_killed]
        titles = [call.title for _, _, call in calls]
        since, until = story.failing
        first = titles.index(since) if since else 0
        yield from calls[first : titles.index(until, first) if until else None]


def deaths() -> Iterator[Any]:
    """After a request that only reads all is as it is before the next one."""
    for story, number, call in CALLS:
        for moment in ("before",) if call.method == "GET" else ("before", "after"):
            title = f"{story.name}: {number} {call.title}: kill -9 {moment}"
            yield pytest.param(story, number, call, moment, id=title)


@pytest.mark.parametrize(("story", "number", "call", "fault", "lasting"), list(cases()))
def test_a_call_that_fails_leaves_nothing_half_done(
    story: Story, number: int, call: Call, fault: str, lasting: str, folder: Path
) -> None:
    with set_up(story).world(folder) as world:
        check_a_call_that_fails(story, world, number, call, fault, lasting)


def check_a_call_that_fails(
    story: Story, world: World, number: int, call: Call, fault: str, lasting: str
) -> None:
    made = set_up(story).made
    world.fly.inject(number, fault, lasting)
    with suppress(JarvisError, KeyboardInterrupt):
        story.act(world, made)
    assert world.fly.injection is not None
    assert world.fly.injection.title == call.title, "the fault met another call than was recorded"
    # A platform that for good denies what it has can be found out only when it stops.
    if not story.again and not (fault == "404" and lasting == "same" and call.method == "GET"):
        world.assert_the_ledger_tells_the_truth(orphans=bool(story.orphans))
    assert_the_next_run_puts_it_in_order(story, world, made)


@pytest.mark.parametrize(("story", "number", "call", "moment"), list(deaths()))
def test_a_run_that_is_killed_leaves_what_the_next_one_puts_in_order(
    story: Story, number: int, call: Call, moment: str, folder: Path
) -> None:
    with set_up(story).world(folder) as world:
        check_a_run_that_is_killed(story, world, number, call, moment)


def check_a_run_that_is_killed(story: Story, world: World, number: int, call: Call, moment: str) -> None:
    made = set_up(story).made
    died_at = world.kill(lambda: story.act(world, made), number, moment)
    assert died_at.title == call.title, "it was killed at another call than was recorded"
    if not story.again:
        world.assert_the_ledger_tells_the_truth(orphans=bool(story.orphans))
    assert_the_next_run_puts_it_in_order(story, world, made)


def assert_the_next_run_puts_it_in_order(story: Story, world: World, made: Any) -> None:
    world.assert_nothing_of_strangers_was_touched()
    world.fly.heal()
    if story.orphans:
        mended(world, story.orphans)
    if story.again:
        story.again(world, made)
    if story.is_whole:
        assert survey(world.client, world.ledger) == []
        world.assert_nothing_of_strangers_was_touched()
    else:
        world.assert_it_converges()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_good_run_ends_well(story: Story, world: World) -> None:
    made = story.before(world)
    story.act(world, made)
    world.assert_the_ledger_tells_the_truth()
    if "provision" in story.name:
        assert [row.state for row in world.rows()].count(READY) == 1
    if not story.is_whole:
        world.assert_it_converges()
