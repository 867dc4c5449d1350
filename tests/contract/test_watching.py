"""What an operator watches with, against the embedded platform: figures, logs, a shell."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx
import pytest

from fly.client import Client
from fly.ledger import Ledger, Workspace
from fly.plan import Person
from fly.provision import draft, provision
from fly.settings import Platform as Address
from fly.settings import Secret
from fly.watch import logs, shell
from fly.watch.measured import Reading, readings
from fly.watch.status import status, statuses
from tests.support.platform import running_platform
from tests.support.run import Run
from tests.support.wait import wait_until

MB = 1 << 20
FILL = "dd if=/dev/zero of=/data/filled bs=1M count=60 conv=fsync 2>/dev/null"
BUSY = 'perl -e \'$x = "x" x (80 << 20); 1 while -e "/busy"\''
PRESENT = "while [ -e /busy ]; do sleep 0.1; done"
SHORT_S = 4


@dataclass
class Office:
    """A user's workspace on a platform that looks around twice a second and soon lets machines sleep."""

    client: Client
    http: httpx.Client
    workspace: Workspace

    def reading(self) -> Reading:
        return readings(self.client, [self.workspace]).get(self.workspace.id, Reading())

    def state(self) -> str:
        return self.client.machine(self.workspace.app, self.workspace.machine_id).state

    @contextmanager
    def kept_at(self, work: str) -> Iterator[None]:
        """A command that runs until the end of the block, while which the machine does not fall asleep."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(shell.run, self.client, self.workspace, f"touch /busy /begun; {work}")
            try:
                begun = lambda: shell.run(self.client, self.workspace, "rm /begun").exit_code == 0  # noqa: E731
                wait_until(begun, "the command to begin", hopeless=lambda: str(done) * done.done())
                yield
            finally:
                shell.run(self.client, self.workspace, "rm -f /busy")
        assert done.result().exit_code == 0


@pytest.fixture(scope="module")
def office(
    run: Run, little: str, docker_client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    image = f"{little.partition(':')[0]}@{docker_client.images.get(little).id}"
    folder: Path = tmp_path_factory.mktemp("watched")
    with running_platform(folder, run, "--look-every=0.5", f"--idle-after={SHORT_S}") as platform:
        about = platform.about
        url, door = about["api_url"], about["door_url"]
        address = Address("local", url, Secret(about["token"]), "personal", url, door_url=door)
        with Client(address) as client, Ledger(folder / "ledger.sqlite") as ledger, platform.client() as http:
            plan = draft(address, Person("Noa", "noa@example.com"), image=image, size_gb=1, memory_mb=256)
            yield Office(client, http, provision(client, ledger, plan))


def test_a_machine_at_work_is_measured_and_one_that_sleeps_is_not_woken_for_it(office: Office) -> None:
    assert shell.run(office.client, office.workspace, FILL).exit_code == 0
    with office.kept_at(BUSY):
        wait_until(lambda: (office.reading().cpu_ratio or 0) > 0.1, "its load to be seen")
        wait_until(lambda: (office.reading().memory_bytes or 0) > 80 * MB, "its memory to be seen")
        assert office.reading().memory_limit_bytes == 256 * MB
    # Every look is a question; it falls asleep all the same, and stays so.
    wait_until(lambda: office.reading() and office.state() == "suspended", "it to fall asleep", timeout_s=60)
    # What took long to measure is left in peace for a hundred times as long: surely it is as it falls asleep.
    wait_until(lambda: (office.reading().disk_used_bytes or 0) >= 60 * MB, "its files to be seen")
    seen = office.reading()
    assert seen.disk_size_bytes == 1024 * MB
    assert seen.disk_used_bytes is not None
    assert seen.disk_used_bytes < 62 * MB
    [told] = statuses(office.client, [office.workspace])
    assert (told.state, told.why) == ("suspended", "")
    assert told.reading.disk_used_bytes is not None
    assert office.state() == "suspended"


def test_prometheus_own_manners(office: Office) -> None:
    where = "/prometheus/personal/api/v1"
    by_form = office.http.post(f"{where}/query", data={"query": "fly_volume_size_bytes"})
    in_address = office.http.get(f"{where}/query", params={"query": "fly_volume_size_bytes"})
    for answer in (by_form, in_address):
        [found] = answer.json()["data"]["result"]
        assert found["metric"]["app"] == office.workspace.app
        assert found["metric"]["id"] == office.workspace.volume_id
        assert float(found["value"][1]) == 1 << 30
    for asked in ({}, {"query": "sum("}, {"query": "up", "time": "soon"}):
        refused = office.http.get(f"{where}/query", params=asked)
        assert (refused.status_code, refused.json()["errorType"]) == (400, "bad_data")
    times = {"query": "up", "start": "1", "end": "0", "step": "5m"}
    assert office.http.get(f"{where}/query_range", params=times).status_code == 400


def test_another_organisation_sees_nothing(office: Office) -> None:
    asked = office.http.get(
        "/prometheus/other/api/v1/query", params={"query": '{__name__=~"fly_volume_size_bytes"}'}
    )
    assert asked.json()["data"]["result"] == []
    assert httpx.get(f"{office.http.base_url}/prometheus/personal/api/v1/query").status_code == 401


def test_one_and_all_are_told_the_same_reason_for_being_awake(office: Office) -> None:
    with office.kept_at(PRESENT):
        alone, [among] = status(office.client, office.workspace), statuses(office.client, [office.workspace])
    assert alone.activity
    assert among.activity
    assert alone.activity.is_awake
    assert among.activity.is_awake


def test_a_log_is_followed_through_a_sleep_and_a_restart(office: Office) -> None:
    client, app, machine = office.client, office.workspace.app, office.workspace.machine_id
    shell.wake(client, office.workspace)
    found = (line.message for line in logs.follow(client, app))
    assert next(line for line in found if line == "listening")
    client.wait(app, machine, "suspended", timeout_s=60)
    client.start(app, machine)
    client.wait(app, machine, "started", timeout_s=60)
    client.restart(app, machine)
    assert next(line for line in found if line == "listening"), "of the next run"


def test_a_terminal_in_a_machine_has_our_size_and_ends_as_its_shell_ends(office: Office) -> None:
    shell.wake(office.client, office.workspace)
    ours, theirs = pty.openpty()
    os.set_blocking(ours, True)
    said = b""

    def type_and_read() -> None:
        nonlocal said
        while b"# " not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"stty size; tty; exit 5\n")
        while b"/dev/pts" not in said:
            said += os.read(ours, 4096)

    person = threading.Thread(target=type_and_read, daemon=True)
    engine = docker.from_env()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        person.start()
        with shell.kept_awake(office.client, office.workspace):
            code = shell.Terminal(engine, office.workspace, ("bash",)).join(theirs, theirs)
        person.join(timeout=60)
        assert not person.is_alive()
    finally:
        engine.close()
        os.close(ours)
        os.close(theirs)
    assert code == 5
    assert b"33 101" in said
