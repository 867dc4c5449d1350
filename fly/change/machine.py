"""A workspace's machine while its lease is ours: woken, stopped, changed, asked, and left as it was found.

What is asked twice does no harm, so a request whose answer was lost is made again once a look has shown that
nothing came of it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fly.access.welcome import LOGIN_VARIABLE
from fly.change.contents import HASHED_BYTES, Contents
from fly.client import Client, Hold, may_have_happened
from fly.errors import ApiError, JarvisError, NotInTime, PlatformBroken, Unreachable
from fly.ledger import Workspace
from fly.model import Machine
from fly.page import SHOWN
from fly.plan import MOUNT_PATH, PORT
from fly.provision import STARTED_S, Report
from fly.remains import LOOK_AGAIN_S

PYTHON = "/opt/jarvis/venv/bin/python"
INSIDE = Path(__file__).with_name("inside.py")
STOPPED_S, LISTED_S = 60.0, 300
ASLEEP = ("stopped", "suspended")
ENDED = ("created", "stopped", "failed")
GIVEN_UP = ("stopped", "failed", "destroyed")


def surely(client: Client, act: Callable[[], object], is_done: Callable[[], bool]) -> None:
    """`act` was carried out: asked for again where its answer was lost and `is_done` finds it not done."""
    for pause_s in LOOK_AGAIN_S:
        try:
            act()
            return
        except (Unreachable, ApiError) as error:
            if not may_have_happened(error):
                raise
        client.sleep(pause_s)
        with suppress(Unreachable, ApiError):
            if is_done():
                return
    act()


def ask_inside(client: Client, app: str, machine_id: str, *words: str, timeout_s: int) -> str:
    """What our script says inside a machine.

    *Errors*: PlatformBroken, where it could not run.
    """
    command = [PYTHON, "-IBc", INSIDE.read_text(encoding="utf-8"), *words]
    done = client.exec(app, machine_id, command, timeout_s=timeout_s)
    if done.exit_code != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.exit_code}"])[-1]
        raise PlatformBroken(f"Machine {machine_id} could not be asked: {last[:200]}", status=200)
    return done.stdout


def list_data(client: Client, app: str, machine_id: str) -> Contents:
    """Everything that a machine has below /data.

    *Errors*: PlatformBroken, where it could not be listed.
    """
    words = ("list", MOUNT_PATH, str(HASHED_BYTES))
    said = ask_inside(client, app, machine_id, *words, timeout_s=LISTED_S)
    try:
        return Contents.unpack(said)
    except ValueError as error:
        raise PlatformBroken(f"Machine {machine_id}: {error}", status=200) from error


class HeldMachine:
    """The machine of a workspace, and its lease."""

    def __init__(self, client: Client, row: Workspace, hold: Hold, report: Report) -> None:
        self.client, self.row, self.report = client, row, report
        self._hold = hold
        self._at = (row.app, row.machine_id)

    @property
    def nonce(self) -> str:
        """*Errors*: ApiError 409, once the lease has run out."""
        return self._hold.nonce

    def look(self) -> Machine:
        return self.client.machine(*self._at)

    def wake(self) -> None:
        """It runs; whether its page answers is another question."""
        if self.look().state in ASLEEP:
            surely(self.client, lambda: self.client.start(*self._at, nonce=self.nonce), self._is("started"))
        self.client.wait(*self._at, "started", timeout_s=STARTED_S)

    def stop(self) -> None:
        """Its server has ended in order, so that all it knew is on the volume."""
        if self.look().state in ENDED:
            return
        surely(self.client, lambda: self.client.stop(*self._at, nonce=self.nonce), self._is("stopped"))
        self.client.wait(*self._at, "stopped", timeout_s=STOPPED_S)

    def end(self) -> None:
        """It has stopped in order, also where it was frozen: then it had not written everything yet."""
        if self.look().state == "suspended":
            self.wake()
        self.stop()

    def rest(self, was: str) -> None:
        """It is as it was found; one that ran is woken."""
        if was not in ASLEEP:
            self.wake()
            return
        if self.look().state == was:
            return
        self.report("putting it to sleep")
        if was == "stopped":
            self.stop()
            return
        self.wake()  # only what runs can be suspended
        surely(self.client, lambda: self.client.suspend(*self._at, nonce=self.nonce), self._is("suspended"))
        self.client.wait(*self._at, "suspended", timeout_s=STOPPED_S)

    def change(self, config: Mapping[str, Any], *, closed: bool = False) -> None:
        """It runs with another config, all of it. `closed`: nobody outside is let in until `open_door`."""
        before = self.look().instance_id
        request = {"config": dict(config)} | ({"skip_service_registration": True} if closed else {})

        def is_done() -> bool:
            return self.look().instance_id != before

        surely(
            self.client,
            lambda: self.client.update_machine(*self._at, request, nonce=self.nonce),
            is_done,
        )
        now = self.look().instance_id
        self.client.wait(*self._at, "started", timeout_s=STARTED_S, instance_id=now)

    def close_door(self) -> None:
        """Nobody outside is let in, and nobody wakes it."""
        cordon = self.client.cordon
        surely(self.client, lambda: cordon(*self._at, nonce=self.nonce), lambda: self.look().is_cordoned)

    def open_door(self) -> None:
        uncordon = self.client.uncordon
        surely(
            self.client, lambda: uncordon(*self._at, nonce=self.nonce), lambda: not self.look().is_cordoned
        )

    def contents(self) -> Contents:
        return list_data(self.client, *self._at)

    def wait_until_serving(self, patience_s: float) -> None:
        """Its server answers inside, and knows how its user signs in.

        *Errors*: NotInTime, with what was seen last.
        """
        began, trouble, ended, pause_s = self.client.clock(), "", 0, 0.2
        while True:
            trouble = self._trouble_inside()
            ended = ended + 1 if trouble.startswith(GIVEN_UP) else 0
            if not trouble:
                return
            if ended > 1 or self.client.clock() - began > patience_s:
                raise NotInTime(
                    f"The server of {self.row.app} does not answer: {trouble}",
                    wanted="an answer",
                    seen=trouble,
                    waited_s=self.client.clock() - began,
                )
            self.client.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 3.0)

    def _trouble_inside(self) -> str:
        machine = self.look()
        if machine.state != "started":
            return f"{machine.state} {next((one.exit for one in machine.events if one.exit), '')}".strip()
        try:
            url = f"http://127.0.0.1:{PORT}"
            said = ask_inside(self.client, *self._at, "serve", url, timeout_s=45)
            return _trouble_of(json.loads(said), _login_of(machine))
        except (JarvisError, ValueError) as error:
            return str(error)

    def _is(self, state: str) -> Callable[[], bool]:
        return lambda: self.look().state == state


def _trouble_of(answers: Mapping[str, Any], login: str) -> str:
    if answers.get("health") != 200 or not answers.get("well"):
        return f"health: {answers.get('health') or 'no answer'}"
    if answers.get("page") not in SHOWN:
        return f"the page: {answers.get('page') or 'no answer'}"
    if login and answers.get("login") != login:
        return f"it lets in by {answers.get('login') or 'nothing'}, and not by {login}"
    return ""


def _login_of(machine: Machine) -> str:
    return str((machine.config.get("env") or {}).get(LOGIN_VARIABLE, ""))


@contextmanager
def held(client: Client, row: Workspace, what: str, report: Report) -> Iterator[HeldMachine]:
    """*Errors*: ApiError 409, when somebody else changes the machine."""
    with client.leased(row.app, row.machine_id, description=f"my-jarvis: {what}") as hold:
        yield HeldMachine(client, row, hold, report)
