"""Makes a Plan true step by step, undoing everything on failure; and unmakes it.

A step has three outcomes. *Made*. *Refused*: then nothing was made, and nothing is removed. *Unknown*, when
the answer was lost: then what was asked for is looked up by its mark, and never asked for again.

Undoing is one request, since an app takes its machines and volumes along. It looks before it deletes: an app
is ours when its private network names our ledger's row.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fly.access.welcome import LINK, draw
from fly.client import Client, may_have_happened
from fly.errors import (
    ApiError,
    JarvisError,
    LedgerError,
    NameTaken,
    NotAllowed,
    NotFound,
    NotInTime,
    ProvisionError,
    Unreachable,
)
from fly.interrupt import one_interrupt
from fly.ledger import (
    DESTROYED,
    DESTROYING,
    FAILED,
    HALF_DONE,
    PROVISIONING,
    READY,
    Ledger,
    Workspace,
    new_id,
    plan_of,
)
from fly.model import Machine, Volume
from fly.page import trouble_at
from fly.plan import ADDRESS_TYPES, ALPHABET, SUFFIX_LENGTH, Person, Plan, make_plan, render_toml
from fly.pulse import Pulse
from fly.remains import LOOK_AGAIN_S, find_app, find_machine, find_volume, remove_app, to_oneself
from fly.settings import Platform

T = TypeVar("T")
Probe = Callable[[str], str]
"""What is wrong with the page at a URL; empty when it answers."""
Report = Callable[[str], None]

TEMPLATE = Path(__file__).with_name("fly.toml")
KNOWN_S, STARTED_S, PAGE_S, SERVING_S = 20.0, 180.0, 120.0, 30.0
"""How long: a new app to be known, a machine to boot, a page to answer, a found one to serve."""
LOOK_S = 1.0
"""How long between two looks whether the machine of a page that does not answer still lives."""


def _silent(_line: str) -> None:
    pass


# --- planning -------------------------------------------------------------------------------------


def draft(platform: Platform, person: Person, *, image: str, login: str = LINK, **wanted: Any) -> Plan:
    """A Plan with a name and a key that nobody can guess; `wanted`: region, size_gb, memory_mb, cpus.

    *Errors*: PlanError.
    """
    return make_plan(
        person,
        id=new_id(),
        suffix="".join(secrets.choice(ALPHABET) for _ in range(SUFFIX_LENGTH)),
        platform=platform.key,
        org=platform.org,
        url_of=platform.url_of,
        image=image,
        welcome=draw(login, person.email),
        **wanted,
    )


def fly_toml(plan: Plan) -> str:
    """The user's app in the words of Fly's own tools."""
    return render_toml(plan, TEMPLATE.read_text(encoding="utf-8"))


def page_probe(platform: Platform) -> Probe:
    """Asks the platform's pages as a browser would."""
    return partial(trouble_at, door_url=platform.door_url, certificate=platform.door_certificate)


# --- making ---------------------------------------------------------------------------------------


def provision(
    client: Client,
    ledger: Ledger,
    plan: Plan,
    *,
    again: bool = False,
    remark: tuple[str, str] | None = None,
    probe: Probe | None = None,
    report: Report = _silent,
) -> Workspace:
    """The workspace, its page answering. What an earlier run left half done is put in order first.

    `remark`: what history is to say of it from its first moment on, such as what it is made for.

    *Errors*: AlreadyThere; ProvisionError, saying what was undone and what was left behind.
    """
    asked = probe or page_probe(client.platform)
    finished = _settle_earlier(client, ledger, plan, asked, report)
    if finished:
        return finished
    making = _Making(client, ledger, plan, asked, report)
    with one_interrupt() as undoing:
        ledger.begin(plan, again=again)
        if remark:
            ledger.remark(plan.id, *remark)
        try:
            return making.run(undoing)
        except BaseException as error:
            if isinstance(error, JarvisError) or making.left:
                raise making.failure(error) from error
            raise


def _settle_earlier(
    client: Client, ledger: Ledger, plan: Plan, probe: Probe, report: Report
) -> Workspace | None:
    """The workspace that a killed run all but made, if it is what `plan` asks for."""
    for row in ledger.of_email(plan.email, plan.platform):
        if not row.is_unfinished:
            continue
        report(f"An earlier run left {row.app} half done")
        before = plan_of(row)
        same = before is not None and plan.asks_the_same_as(before)
        mended = mend(client, ledger, row, probe=probe, report=report, keep=same)
        if mended.state == READY:
            return mended
    return None


class _Making:
    """One workspace on its way into being."""

    def __init__(self, client: Client, ledger: Ledger, plan: Plan, probe: Probe, report: Report) -> None:
        self._client = client
        self._ledger = ledger
        self._plan = plan
        self._probe = probe
        self._report = report
        self._step = "the ledger"
        self._may_exist = False
        self._undone = False
        self.left = ""

    def run(self, undoing: Callable[[], None]) -> Workspace:
        with ExitStack() as undo:
            undo.push(self._close_row)
            undo.callback(self._remove_app)
            undo.callback(undoing)
            self._app()
            self._addresses()
            machine = self._machine(self._volume())
            self._started(machine)
            self._page(machine)
            workspace = self._ledger.finish(self._plan.id)
            undo.pop_all()
        return workspace

    def failure(self, error: BaseException) -> ProvisionError:
        why = str(error) or type(error).__name__
        hint = getattr(error, "hint", "")
        ending = "Nothing of it is left."
        if self.left:
            ending = f"Left behind: {self.left}."
            hint = f"invoke repair, or invoke destroy --name {self._plan.app} --yes"
        return ProvisionError(
            f"The workspace of {self._plan.email} could not be made: {self._step}: {why}\n{ending}",
            step=self._step,
            undone=[self._plan.app] if self._undone else [],
            left_behind=[self.left] if self.left else [],
            hint=hint,
        )

    def _enter(self, step: str, detail: str = "") -> None:
        self._step = step
        self._report(f"{step} {detail}".strip())

    # --- the steps

    def _app(self) -> None:
        self._enter("app", self._plan.app)
        self._may_exist = True
        try:
            self._made(
                lambda: self._client.create_app(self._plan.app_request),
                lambda: find_app(self._client, self._plan.app, self._plan.network),
            )
        except NameTaken:
            # Ours, if something between us and Fly sent the request twice; only the network can prove it.
            if not self._is_proven():
                self._may_exist = False
                raise
        except JarvisError as error:
            self._may_exist = may_have_happened(error)
            raise
        self._known()

    def _is_proven(self) -> bool:
        try:
            return self._client.app(self._plan.app).network == self._plan.network
        except (NotFound, NotAllowed):
            return False

    def _known(self) -> None:
        """Waits until Fly knows what it has just made: for a moment it may answer 404 or 401."""
        deadline = self._client.clock() + KNOWN_S
        while True:
            try:
                self._client.app(self._plan.app)
                return
            except (NotFound, NotAllowed):
                if self._client.clock() > deadline:
                    raise
            self._client.sleep(0.5)

    def _addresses(self) -> None:
        for kind in ADDRESS_TYPES:
            self._enter("address", kind)
            self._made(
                partial(self._client.assign_ip, self._plan.app, kind), partial(self._has_address, kind)
            )

    def _has_address(self, kind: str) -> bool | None:
        return any(ip.type == kind for ip in self._client.ips(self._plan.app)) or None

    def _volume(self) -> Volume:
        self._enter("volume", f"{self._plan.size_gb} GB in {self._plan.region}")
        request = self._plan.volume_request
        volume = self._made(
            lambda: self._client.create_volume(self._plan.app, request),
            lambda: find_volume(self._client, self._plan.app),
        )
        # The volume decides on which host the machine can run, and so in which region.
        self._ledger.note(self._plan.id, volume_id=volume.id, region=volume.region)
        return volume

    def _machine(self, volume: Volume) -> Machine:
        self._enter("machine", f"{self._plan.memory_mb} MB")
        request = self._plan.machine_request(volume.id, volume.region)
        machine = self._made(
            lambda: self._client.create_machine(self._plan.app, request),
            lambda: find_machine(self._client, self._plan.app, self._plan.id),
        )
        self._ledger.note(self._plan.id, machine_id=machine.id)
        return machine

    def _started(self, machine: Machine) -> None:
        self._enter("start", machine.id)
        try:
            self._client.wait(self._plan.app, machine.id, "started", timeout_s=STARTED_S)
        except NotInTime as error:
            raise self._explained(error, machine) from error

    def _page(self, machine: Machine) -> None:
        self._enter("page", self._plan.url)
        try:
            pulse = Pulse(self._client, self._plan.app, machine.id)
            wait_for_page(self._client, self._probe, self._plan.url, PAGE_S, pulse)
        except NotInTime as error:
            raise self._explained(error, machine) from error

    def _explained(self, error: NotInTime, machine: Machine) -> NotInTime:
        """The same, with the machine's last words: it is gone when anybody could ask for them."""
        words = _last_words(self._client, self._plan.app, machine.id)
        return NotInTime(
            "; ".join([str(error), *words]),
            wanted=error.wanted,
            seen=error.seen,
            waited_s=error.waited_s,
            hint=error.hint,
        )

    def _made(self, create: Callable[[], T], find: Callable[[], Any]) -> T:
        """What `create` made; when its answer was lost, what `find` finds instead."""
        try:
            return create()
        except JarvisError as error:
            if not may_have_happened(error):
                raise
            self._report("the answer was lost: looking whether it was made")
            found: T | None = self._looked_up(find)
            if found is None:
                raise
            return found

    def _looked_up(self, find: Callable[[], T | None]) -> T | None:
        """What `find` finds within some looks; a look that fails does not tell that there is nothing."""
        for pause_s in LOOK_AGAIN_S:
            self._client.sleep(pause_s)
            with suppress(Unreachable, ApiError):
                found = find()
                if found is not None:
                    return found
        return None

    # --- undoing them

    def _remove_app(self) -> None:
        if not self._may_exist:
            return
        self._report(f"undoing: removing {self._plan.app}")
        try:
            self._undone = remove_app(self._client, self._plan.app, self._plan.network)
        except JarvisError as error:
            self.left = f"app {self._plan.app} ({error})"

    def _close_row(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        why = f"{self._step}: {str(error) or type(error).__name__}"
        try:
            if self.left:
                self._ledger.leave_behind(self._plan.id, self.left, why)
            else:
                self._ledger.fail(self._plan.id, why)
        except LedgerError as refused:
            # The row still says `provisioning`; once this process is gone it counts as left half done.
            self._report(str(refused))


def wait_for_page(
    client: Client, probe: Probe, url: str, timeout_s: float, pulse: Pulse | None = None
) -> None:
    """Returns when the page answers.

    *Errors*: NotInTime; at once, where the `pulse` of its machine says that it is in vain.
    """
    began = looked = client.clock()
    pause_s = 0.05
    while trouble := probe(url):
        now, lost = client.clock(), ""
        if pulse and now - looked > LOOK_S:
            looked, lost = now, pulse.lost()
        if lost or now - began > timeout_s:
            raise NotInTime(
                f"The page {url} did not answer in {now - began:.0f} s; last seen: {lost or trouble}",
                wanted="an answer",
                seen=lost or trouble,
                waited_s=now - began,
            )
        client.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 1.0)


def _last_words(client: Client, app: str, machine_id: str) -> Iterator[str]:
    """What the machine's state, its events and its log say about why it does not serve."""
    try:
        machine = client.machine(app, machine_id)
        yield f"the machine is {machine.state}"
        yield from [event.exit for event in machine.events if event.exit][:1]
        yield from [f"log: {line.message}" for line in client.logs(app).lines[-3:]]
    except JarvisError:
        return


# --- unmaking -------------------------------------------------------------------------------------


def destroy(client: Client, ledger: Ledger, workspace: Workspace, *, report: Report = _silent) -> Workspace:
    """The workspace's row, closed: nothing of it exists any more. Needs neither its image nor its plan.

    *Errors*: LedgerError, another process works on it; ProvisionError, saying what is left.
    """
    if workspace.state in (DESTROYED, FAILED):
        report(f"{workspace.app} is gone already")
        return workspace
    with one_interrupt():
        row = ledger.claim(workspace.id, state=DESTROYING)
        report(f"removing {row.app}")
        with _given_back(ledger, row):
            try:
                with to_oneself(client, row.app, row.id, row.machine_id, "destroy"):
                    remove_app(client, row.app, row.network)
            except JarvisError as error:
                raise _left(ledger, row, error) from error
            return ledger.destroyed(row.id)


def _left(ledger: Ledger, row: Workspace, error: JarvisError) -> ProvisionError:
    what = f"app {row.app} ({error})"
    ledger.leave_behind(row.id, what, str(error))
    return ProvisionError(
        f"The workspace of {row.email} could not be removed: {error}\nLeft behind: {what}.",
        step="app",
        left_behind=[what],
        hint=error.hint or "try again, or invoke repair",
    )


@contextmanager
def _given_back(ledger: Ledger, row: Workspace) -> Iterator[None]:
    """Whatever ends the work on a claimed row, nobody is left as its owner."""
    try:
        yield
    except BaseException:
        if ledger.get(row.id).owner:
            ledger.release(row.id)
        raise


# --- what a killed run left -----------------------------------------------------------------------


def mend(
    client: Client,
    ledger: Ledger,
    row: Workspace,
    *,
    probe: Probe,
    report: Report = _silent,
    keep: bool = True,
) -> Workspace:
    """The row of a run that died, finished if its page answers and `keep`, else undone.

    Where somebody else was quicker it is as they left it.

    *Errors*: LedgerError, another process works on it; ProvisionError.
    """
    row = ledger.claim(row.id)
    with _given_back(ledger, row):
        if row.state not in HALF_DONE:
            ledger.release(row.id)
            return ledger.get(row.id)
        with to_oneself(client, row.app, row.id, row.machine_id, "repair"):
            return _mended(client, ledger, row, probe, report, keep=keep)


def _mended(
    client: Client, ledger: Ledger, row: Workspace, probe: Probe, report: Report, *, keep: bool
) -> Workspace:
    if row.state == PROVISIONING and keep and (machine := _serving(client, row, probe)):
        report(f"{row.app} answers: finished")
        volume_id = next(iter(machine.volumes), row.volume_id)
        ledger.note(row.id, machine_id=machine.id, volume_id=volume_id, region=machine.region)
        return ledger.finish(row.id)
    report(f"removing {row.app}")
    try:
        remove_app(client, row.app, row.network)
    except JarvisError as error:
        raise _left(ledger, row, error) from error
    if row.state == PROVISIONING:
        return ledger.fail(row.id, "an earlier run died; what it had made is removed")
    return ledger.destroyed(row.id, "an earlier run died; the rest is removed")


def _serving(client: Client, row: Workspace, probe: Probe) -> Machine | None:
    """The row's machine, if it is there and its page answers."""
    try:
        if not find_app(client, row.app, row.network):
            return None
        machine = find_machine(client, row.app, row.id)
        if machine:
            wait_for_page(client, probe, row.url, SERVING_S)
        return machine
    except (NotFound, NotInTime):
        return None
