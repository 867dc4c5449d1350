"""Shells on real pseudo-terminals, and pages that look at them through real sockets."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from webapp.config import Config
from webapp.viewer import WINDOW
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.support.wait import wait_until
from tests.support.webapp import Page, Served

PROMPT = "ready> "


class Shells:
    """Opens terminals and pages on them."""

    def __init__(self, served: Served, client: httpx.Client, pages: ExitStack) -> None:
        self.served = served
        self.client = client
        self._pages = pages

    def open(self, **size: int) -> dict[str, Any]:
        answer = self.client.post("/api/terminals", json=size)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def page(self, terminal: dict[str, Any], drawn: int = 0) -> Page:
        socket = self.served.connect(f"/api/terminals/{terminal['id']}/socket")
        return Page(self._pages.enter_context(socket), drawn)

    def ready(self) -> tuple[dict[str, Any], Page]:
        """A new shell at its prompt, and a page on it."""
        terminal = self.open()
        page = self.page(terminal)
        page.until(PROMPT)
        return terminal, page

    def listed(self, terminal: dict[str, Any]) -> dict[str, Any]:
        terminals = self.client.get("/api/terminals").json()["terminals"]
        return next(one for one in terminals if one["id"] == terminal["id"])

    def wait_title(self, terminal: dict[str, Any], title: str) -> None:
        """Until this program has the keyboard."""
        wait_until(lambda: self.listed(terminal)["title"] == title, title)


@pytest.fixture
def shells(shared: Served) -> Iterator[Shells]:
    with shared.client() as client, ExitStack() as pages:
        yield Shells(shared, client, pages)
        for terminal in client.get("/api/terminals").json()["terminals"]:
            client.delete(f"/api/terminals/{terminal['id']}")


@pytest.fixture
def own_shells(served: Served) -> Iterator[Shells]:
    """For tests that spoil the server or its workspace."""
    with served.client() as client, ExitStack() as pages:
        yield Shells(served, client, pages)


def close_code(page: Page) -> int | None:
    try:
        while True:
            page.step()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def refusal(socket: ClientConnection) -> int | None:
    """How a socket ends that never says anything."""
    try:
        return pytest.fail(f"got {socket.recv(timeout=60)!r}")
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def shell_pid(page: Page) -> int:
    page.type("echo pid=$$.\r")
    wait_for(page, lambda: re.search(rb"pid=(\d+)\.", page.output))
    found = re.search(rb"pid=(\d+)\.", page.output)
    assert found
    return int(found[1])


def wait_for(page: Page, true: Callable[[], object]) -> None:
    while not true():
        page.step()


# What a person has in her hands


def test_a_new_terminal_is_described(shells: Shells) -> None:
    terminal = shells.open(cols=100, rows=30)
    assert set(terminal) == {"id", "title", "created_at", "cols", "rows", "offset", "running"}
    assert (terminal["cols"], terminal["rows"], terminal["running"]) == (100, 30, True)
    assert re.fullmatch(r"t_[0-9a-f]{16}", terminal["id"])


def test_it_is_a_login_shell_in_the_workspace(own_shells: Shells, config: Config) -> None:
    _, page = own_shells.ready()
    page.type('shopt -q login_shell && echo "login $PWD $HOME $TERM $0 $-"\r')
    page.until(f"login {config.workspace} {config.home} xterm-256color bash himBH")


def test_the_shell_has_a_terminal_and_job_control(shells: Shells) -> None:
    _, page = shells.ready()
    page.type("tty; sleep 100 & jobs; kill %1; echo d''one\r")
    page.until("done")
    assert b"/dev/pts/" in page.output
    assert b"[1]" in page.output


def test_the_shell_sees_nothing_of_the_server(shells: Shells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JARVIS_SECRET", "hidden-value")
    _, page = shells.ready()
    page.type("env; ls -l /proc/$$/fd; echo d''one\r")
    page.until("done")
    assert b"hidden-value" not in page.output
    assert set(re.findall(rb" (\d+) -> ", page.output)) <= {b"0", b"1", b"2", b"255"}


def test_the_screen_has_the_size_that_was_asked_for(shells: Shells) -> None:
    page = shells.page(shells.open(cols=97, rows=31))
    page.until(PROMPT)
    page.type("stty size\r")
    page.until("31 97")


def test_a_backspace_takes_a_whole_character(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("cat\r")
    shells.wait_title(terminal, "cat")
    page.type("aש\x7fb\r")
    page.until("\r\nab\r\n")


def test_ctrl_c_interrupts_and_ctrl_d_ends(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("sleep 1000\r")
    shells.wait_title(terminal, "sleep")
    page.type("\x03")
    page.until(f"^C\r\n{PROMPT}")
    page.type("\x04")
    page.until_kind("x")
    assert page.exit_code == 130


def test_the_title_is_what_runs_in_front(shells: Shells) -> None:
    terminal, page = shells.ready()
    assert shells.listed(terminal)["title"] == "bash"
    page.type("sleep 1000\r")
    shells.wait_title(terminal, "sleep")


def test_a_program_may_name_its_terminal_as_long_as_it_is_in_front(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("""bash -c 'printf "\\033]0;build <b>1</b>\\007"; sleep 1000'\r""")
    shells.wait_title(terminal, "build <b>1</b>")
    page.type("\x03")
    shells.wait_title(terminal, "bash")


def test_a_persons_own_title_stays(shells: Shells) -> None:
    terminal, page = shells.ready()
    path = f"/api/terminals/{terminal['id']}"
    assert shells.client.patch(path, json={"title": " my build "}).json()["title"] == "my build"
    page.type("""printf '\\033]0;other\\007'; echo d''one\r""")
    page.until("done")
    assert shells.listed(terminal)["title"] == "my build"
    assert shells.client.patch(path, json={"title": ""}).json()["title"] == "other"
    for wrong in ("a\nb", "x" * 200, 7, "a\u202eb"):
        assert shells.client.patch(path, json={"title": wrong}).status_code == 400
    assert shells.client.patch("/api/terminals/t_none", json={"title": "x"}).status_code == 404


def test_a_terminal_like_another_begins_where_that_one_is(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("mkdir -p deep/er; cd deep/er; echo d''one\r")
    page.until("done\r\n")
    answer = shells.client.post("/api/terminals", json={"like": terminal["id"]})
    beside = shells.page(answer.json())
    beside.type("pwd; echo d''one\r")
    beside.until("done\r\n")
    assert b"workspace/deep/er" in beside.output
    gone = shells.client.post("/api/terminals", json={"like": "t_none"})
    assert gone.status_code == 201


def test_every_page_hears_of_terminals(shells: Shells) -> None:
    live = shells.served.connect("/api/live")
    shells._pages.enter_context(live)
    terminal, page = shells.ready()
    heard: list[tuple[str, Any]] = []

    def until(kind: str, title: str | None = None) -> None:
        while not heard or heard[-1] != (kind, title):
            message = json.loads(live.recv(timeout=60))
            if message["type"].startswith("terminal"):
                heard.append((message["type"], message.get("terminal", {}).get("title")))

    until("terminal", "bash")
    page.type("""bash -c 'printf "\\033]2;named\\033\\134"; sleep 1000'\r""")
    until("terminal", "named")
    shells.client.delete(f"/api/terminals/{terminal['id']}")
    until("terminal_gone")


def test_what_two_terminals_print_does_not_mix(shells: Shells) -> None:
    (_, first), (_, second) = shells.ready(), shells.ready()
    first.type("yes first | head -200000; echo d''one\r")
    second.type("yes second | head -200000; echo d''one\r")
    first.until("done\r\n")
    second.until("done\r\n")
    assert first.output.count(b"first\r\n") == 200_000
    assert second.output.count(b"second\r\n") == 200_000
    assert b"second" not in first.output


# Coming and going


def test_a_shell_outlives_its_page_and_goes_on_printing(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("echo be''fore; while [ ! -e go ]; do sleep 0.05; done; echo af''ter\r")
    page.until("before\r\n")
    drawn = page.position
    page.socket.close()
    (Path(shell_cwd(shells)) / "go").touch()
    wait_until(lambda: shells.listed(terminal)["offset"] > drawn, "more output")
    again = shells.page(terminal, drawn)
    again.until("after")
    assert again.resets == []
    assert bytes(again.output).startswith(b"after")


def shell_cwd(shells: Shells) -> str:
    with shells.served.client() as client:
        return str(client.get("/api/boot").json()["workspace"])


def test_two_pages_see_the_same_bytes(shells: Shells) -> None:
    terminal, first = shells.ready()
    second = shells.page(terminal)
    first.type("seq 1 20000; echo d''one\r")
    for page in (first, second):
        page.until("done\r\n" + PROMPT)
    assert first.output == second.output


def test_a_flood_arrives_whole_and_in_order(shells: Shells) -> None:
    _, page = shells.ready()
    page.type("seq 1 300000; echo d''one\r")
    page.until("done\r\n")
    lines = bytes(page.output).split(b"\r\n")
    first = lines.index(b"1")
    assert lines[first : first + 300_000] == [b"%d" % number for number in range(1, 300_001)]


def test_a_page_that_reconnects_in_a_flood_misses_nothing(shells: Shells) -> None:
    terminal, page = shells.ready()
    start = page.position
    page.type("seq 1 200000; echo d''one\r")
    whole = bytearray()
    while b"done\r\n" not in whole[-2000:]:
        page.output.clear()
        begin = page.position
        while page.position < begin + 150_000 and b"done\r\n" not in page.output[-2000:]:
            page.step()
        whole += page.output
        page.socket.close()
        page = shells.page(terminal, page.position)
    assert page.resets == []
    assert re.sub(rb"\r\n", b"\n", whole[whole.index(b"\r\n1\r\n") + 2 :]).startswith(
        b"".join(b"%d\n" % number for number in range(1, 200_001))
    )
    assert page.position > start


def test_the_replay_ends_with_a_mark_for_going_live(shells: Shells) -> None:
    terminal, first = shells.ready()
    second = shells.page(terminal)
    second.until_kind("e")
    assert second.output == first.output
    assert second.kinds.count("e") == 1


def test_an_unknown_terminal_is_said_by_its_code(shells: Shells) -> None:
    with shells.served.connect("/api/terminals/t_unknown/socket") as socket:
        assert refusal(socket) == 4404


# Sizes


def test_who_typed_or_resized_last_owns_the_size(shells: Shells) -> None:
    terminal, desktop = shells.ready()
    phone = shells.page(terminal)
    desktop.resize(120, 40)
    wait_for(desktop, lambda: desktop.size == (120, 40))
    phone.resize(40, 20)
    wait_for(desktop, lambda: desktop.size == (40, 20))
    desktop.type("stty size\r")
    desktop.until("40 120")
    wait_for(phone, lambda: phone.size == (120, 40))


def test_when_the_owner_leaves_the_size_is_the_other_ones(shells: Shells) -> None:
    terminal, desktop = shells.ready()
    phone = shells.page(terminal)
    desktop.resize(120, 40)
    wait_for(desktop, lambda: desktop.size == (120, 40))
    phone.resize(40, 20)
    wait_for(desktop, lambda: desktop.size == (40, 20))
    phone.socket.close()
    wait_for(desktop, lambda: desktop.size == (120, 40))
    assert (shells.listed(terminal)["cols"], shells.listed(terminal)["rows"]) == (120, 40)


def test_only_one_screen_answers_a_programs_question(shells: Shells) -> None:
    terminal, desktop = shells.ready()
    phone = shells.page(terminal)
    phone.until_kind("e")
    desktop.type("cat -v\r")
    desktop.until("cat -v\r\n")
    for page in (phone, desktop):
        page.type("\x1b[?62;4c\x1b[24;80R")
    desktop.type("\r")
    desktop.until("^[[?62;4c^[[24;80R\r\n")
    desktop.drain()
    assert desktop.output.count(b"^[[?62;4c") == 2  # the echo, and what cat read


# Backpressure


def test_output_waits_for_a_page_that_does_not_draw_and_ctrl_c_still_works(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.acks = False
    page.type("yes\r")
    wait_for(page, lambda: page.position - page.acked == WINDOW)
    page.drain()
    assert page.position - page.acked == WINDOW
    assert shells.listed(terminal)["offset"] - page.acked < WINDOW + 200_000, "the program is not held back"
    page.type("\x03")
    page.acks = True
    page.ack()
    page.until(f"^C\r\n{PROMPT}")


def test_a_page_that_draws_nothing_any_more_is_sent_away_and_the_shell_goes_on(
    shells: Shells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.terminal.PATIENCE_S", 0.5)
    terminal, page = shells.ready()
    page.acks = False
    page.type("seq 1 500000; echo d''one\r")
    assert close_code(page) == 4408
    again = shells.page(terminal, page.position)
    again.until("done\r\n")


def test_a_stalled_page_does_not_hold_another_for_long(
    shells: Shells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.terminal.PATIENCE_IN_COMPANY_S", 0.2)
    terminal, stalled = shells.ready()
    stalled.acks = False
    page = shells.page(terminal)
    page.type("seq 1 300000; echo d''one\r")
    page.until("done\r\n")
    assert close_code(stalled) == 4408


def test_without_any_page_the_shell_is_never_held_back(shells: Shells) -> None:
    _, page = shells.ready()
    page.type("seq 1 400000; touch finished\r")
    page.socket.close()
    finished = Path(shell_cwd(shells)) / "finished"
    wait_until(finished.exists, "the end of the program")


def test_a_paste_of_twenty_megabytes_arrives_whole(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("stty raw -echo; head -c 20000000 | sha256sum; stty sane; echo d''one\r")
    wait_until(lambda: shells.listed(terminal)["title"] != "bash", "the reader")
    block = os.urandom(100_000).replace(b"\x00", b"\x01")
    for _ in range(200):
        page.send("i", block)
    import hashlib

    page.until(hashlib.sha256(block * 200).hexdigest())


def test_a_paste_that_nobody_reads_can_be_interrupted(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("sleep 1000\r")
    shells.wait_title(terminal, "sleep")
    for _ in range(50):
        page.send("i", b"x" * 100_000)
    page.type("\x03")
    shells.wait_title(terminal, "bash")


# The end


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -KILL $$", 137)])
def test_the_end_is_told_with_its_code_after_the_last_byte(shells: Shells, command: str, code: int) -> None:
    terminal, page = shells.ready()
    page.type(f"seq 1 50000; {command}\r")
    page.until_kind("x")
    assert page.exit_code == code
    assert b"\r\n50000\r\n" in page.output
    assert close_code(page) == 1000
    assert not shells.listed(terminal)["running"]


def test_what_is_printed_while_the_page_is_behind_is_not_lost_by_the_end(shells: Shells) -> None:
    _, page = shells.ready()
    page.acks = False
    page.type("head -c 466000 /dev/zero | tr '\\0' x; exit 5\r")
    page.drain()
    page.acks = True
    page.ack()
    page.until_kind("x")
    assert (page.output.count(b"x" * 1000), page.exit_code) == (466, 5)


def test_last_words_can_be_read_later(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.type("echo last words; exit 3\r")
    page.until_kind("x")
    later = shells.page(terminal)
    later.until_kind("x")
    assert (later.output, later.exit_code) == (page.output, 3)


def test_a_program_left_in_the_background_does_not_hide_the_end(shells: Shells) -> None:
    _, page = shells.ready()
    page.type("(trap '' HUP; exec sleep 5) & exit 4\r")
    page.until_kind("x")
    assert page.exit_code == 4


def test_closing_a_terminal_ends_what_runs_in_it(shells: Shells) -> None:
    terminal, page = shells.ready()
    pid = shell_pid(page)
    page.type("sleep 1000\r")
    shells.wait_title(terminal, "sleep")
    sleeper = children(pid)[0]
    assert shells.client.delete(f"/api/terminals/{terminal['id']}").status_code == 204
    assert not Path(f"/proc/{pid}").exists()
    wait_until(lambda: not Path(f"/proc/{sleeper}").exists(), "the end of the sleeper")
    assert shells.client.get("/api/terminals").json() == {"terminals": []}
    assert shells.client.delete(f"/api/terminals/{terminal['id']}").status_code == 404
    page.until_kind("x")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_program_that_ignores_hanging_up_is_killed(shells: Shells) -> None:
    terminal, page = shells.ready()
    pid = shell_pid(page)
    page.type("trap '' HUP TERM INT; while :; do sleep 0.1; done\r")
    shells.wait_title(terminal, "sleep")
    assert shells.client.delete(f"/api/terminals/{terminal['id']}").status_code == 204
    assert not Path(f"/proc/{pid}").exists()


def test_a_shell_whose_page_does_not_draw_can_be_closed(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.acks = False
    page.type("yes\r")
    page.drain()
    assert shells.client.delete(f"/api/terminals/{terminal['id']}").status_code == 204


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_ended_shells_leave_no_zombie_and_no_open_file(shells: Shells) -> None:
    shells.listed(shells.ready()[0])
    before = open_files()
    for _ in range(5):
        terminal, page = shells.ready()
        page.type("exit\r")
        page.until_kind("x")
        page.socket.close()
        shells.client.delete(f"/api/terminals/{terminal['id']}")
    wait_until(lambda: open_files() <= before, "files to be closed")
    assert not [pid for pid in children(os.getpid()) if _state(pid) == "Z"]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_the_server_takes_its_shells_with_it(own_shells: Shells) -> None:
    _, page = own_shells.ready()
    pid = shell_pid(page)
    own_shells.served.server.should_exit = True
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the shell")


# Bounds


def test_there_is_a_bound_and_it_is_said(shells: Shells) -> None:
    terminals = [shells.open() for _ in range(12)]
    refused = shells.client.post("/api/terminals", json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "too_many_terminals")
    page = shells.page(terminals[3])
    page.until(PROMPT)
    page.type("exit\r")
    page.until_kind("x")
    shells.open()  # one that has ended makes room
    assert terminals[3]["id"] not in {
        one["id"] for one in shells.client.get("/api/terminals").json()["terminals"]
    }


@pytest.mark.parametrize(
    "size", [{"cols": 0}, {"rows": 1001}, {"cols": "80"}, {"cols": True}, {"rows": 2.5}, {"cols": None}]
)
def test_a_size_that_makes_no_sense_is_refused(shells: Shells, size: dict[str, Any]) -> None:
    refused = shells.client.post("/api/terminals", json=size)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_size")
    assert shells.client.get("/api/terminals").json() == {"terminals": []}


def test_no_pseudo_terminal_to_be_had_is_said(shells: Shells, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> tuple[int, int]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "openpty", none_left)
    refused = shells.client.post("/api/terminals", json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_shell")


def test_a_workspace_that_is_gone_opens_the_shell_at_home(own_shells: Shells, config: Config) -> None:
    config.workspace.rmdir()
    _, page = own_shells.ready()
    page.type("pwd\r")
    page.until(f"\r\n{config.home}\r\n")


@pytest.mark.parametrize(
    "frame",
    [
        b"?",
        b"h" + bytes(8),
        b"a" + bytes(7),
        b"r" + bytes(3),
        b"r" + struct.pack(">HH", 0, 24),
        b"r" + struct.pack(">HH", 80, 60_000),
        "text",
        b"",
    ],
)
def test_what_no_page_of_ours_sends_ends_the_socket_and_not_the_shell(
    shells: Shells, frame: bytes | str
) -> None:
    terminal, page = shells.ready()
    page.socket.send(frame)
    assert close_code(page) == 1002
    assert shells.listed(terminal)["running"]


@pytest.mark.parametrize("frame", [b"i" + b"ls\r", b"h" + bytes(7), b"h", "hello"])
def test_the_first_frame_must_be_a_hello(shells: Shells, frame: bytes | str) -> None:
    terminal = shells.open()
    with shells.served.connect(f"/api/terminals/{terminal['id']}/socket") as socket:
        socket.send(frame)
        assert refusal(socket) == 1002


def test_a_socket_that_never_says_hello_is_closed(shells: Shells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.terminals.HELLO_WITHIN_S", 0.2)
    terminal = shells.open()
    with shells.served.connect(f"/api/terminals/{terminal['id']}/socket") as socket:
        assert refusal(socket) == 1002


def test_a_page_may_vanish_without_a_word(shells: Shells) -> None:
    terminal, page = shells.ready()
    page.acks = False
    page.type("seq 1 200000; echo d''one\r")
    page.step()
    page.socket.socket.close()
    again = shells.page(terminal, page.position)
    again.until("done\r\n")
