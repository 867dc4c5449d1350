"""Story: a conversation on the page goes through login, an end, a loss of power and a gap in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.support.containers import Workspace, Workspaces
from tests.support.figures import Figures
from tests.support.internet import Internet
from tests.support.livepage import LivePage
from tests.support.login import give_login, log_in
from tests.support.volumes import Volume
from tests.support.wait import wait_until

LONG_ANSWER = "Tell me a story [tokens 600 at 20 ms]"
GAP_S = 3.0
MEMORY_MB = 1024


@pytest.fixture
def begin(workspaces: Workspaces, kept_volume: Volume, internet: Internet) -> Callable[[], Workspace]:
    """Starts a workspace whose operator pays by key; again on the same volume, another container."""
    key = internet.anthropic.environment(by="key")["ANTHROPIC_API_KEY"]
    return lambda: workspaces.start(kept_volume, internet=internet, environment={"ANTHROPIC_API_KEY": key})


def _begun(page: LivePage) -> None:
    """A long answer has begun to arrive."""
    page.send(LONG_ANSWER)
    page.until(lambda: "word20 " in page.said, "the begin of the answer")


def test_a_login_in_the_terminal_reaches_the_chat(
    lilachs_workspace: Callable[[], Workspace], internet: Internet
) -> None:
    """A page that is open and was told "not connected" answers as soon as she logs in, in a terminal."""
    workspace = lilachs_workspace()
    with LivePage(workspace) as page:
        page.send("hello?")
        page.until(lambda: [one for one in page.of("notice") if one["code"] == "not_connected"], "the notice")
        log_in(workspace.shell().settle(), internet.anthropic)
        page.until(lambda: page.auth.get("state") == "signed_in", "the page to know of the login")
        assert page.ask("good morning") == "You said: good morning"


def test_an_open_answer_is_kept_at_the_end(begin: Callable[[], Workspace]) -> None:
    """SIGTERM in the middle of an answer ends it cleanly; question and words are there after a start."""
    workspace = begin()
    with LivePage(workspace) as page:
        _begun(page)
        assert workspace.stop("SIGTERM", timeout_s=5) == 0
    workspace.start()
    with LivePage(workspace, page.conversation) as again:
        assert [one["text"] for one in again.of("user")] == [LONG_ANSWER]
        assert "word1 word2 " in again.said
        assert len(again.of("end")) == 1
        assert again.ask("[recall]").startswith("Earlier you said: Tell me a story")


def test_a_loss_of_power_costs_no_message(begin: Callable[[], Workspace], internet: Internet) -> None:
    """After kill -9 in an answer what was said is there, the turn is called lost and can be continued."""
    workspace = begin()
    with LivePage(workspace) as page:
        assert page.ask("the word is plum") == "You said: the word is plum"
        _begun(page)
        page.until(lambda: "word80 " in page.said, "more than a second of the answer")
        workspace.stop("SIGKILL")
    workspace.start()
    with LivePage(workspace, page.conversation) as again:
        assert [one["text"] for one in again.of("user")] == ["the word is plum", LONG_ANSWER]
        assert [one["outcome"] for one in again.of("end")] == ["completed", "lost"]
        assert [one["action"] for one in again.of("notice")] == ["continue"]
        assert "word40 " in again.said, "what was seen most of a second before is there"
        assert (again.said + " ").startswith(page.said[:200])
        cut_off = again.said
        assert again.go_on().startswith("You said: ")
        assert cut_off in str(internet.anthropic.prompts()[-1].body), "Claude is told what it had said"
        assert "the word is plum" in again.ask("[recall]")
    workspace.stop("SIGTERM", timeout_s=5)
    workspace.start()
    with LivePage(workspace, page.conversation) as later:
        assert [one["text"].split()[0] for one in later.of("assistant")] == ["You", "word1", "You", "Earlier"]


def test_a_loss_of_power_breaks_no_file(begin: Callable[[], Workspace], kept_volume: Volume) -> None:
    """After kill -9 in the middle of writing all that was written is whole, and settings are the last."""
    workspace = begin()
    shell = workspace.shell().settle()
    shell.type(
        "cd /data/workspace; for n in $(seq 100000); do head -c 200000 /dev/urandom > part; "
        "sha256sum < part > sum; mv part f$((n % 20)); mv sum f$((n % 20)).sum; done"
    )
    told: list[int] = []
    writer = threading.Thread(target=_write_settings, args=(workspace, told))
    writer.start()
    wait_until(lambda: len(told) > 50 and "workspace/f5" in kept_volume.paths("workspace"), "many writes")
    workspace.stop("SIGKILL")
    writer.join(120)
    assert not writer.is_alive(), "a request that nobody answers any more has no end"
    workspace.start()
    name = workspace.get("/api/boot").json()["settings"]["display_name"]
    assert int(name) in {told[-1], told[-1] + 1}
    check = (
        "cd /data/workspace; for f in f? f1?; do"
        " if [ -e $f ]; then sha256sum < $f | cmp -s - $f.sum || echo $f; fi; done"
    )
    broken = workspace.run("sh", "-c", check).split()
    assert len(broken) <= 1, "more than the one that was being written"


def _write_settings(workspace: Workspace, told: list[int]) -> None:
    """Until nobody answers any more."""
    number = 0
    while True:
        number += 1
        try:
            workspace.ask("PUT", "/api/settings", {"display_name": str(number)}).raise_for_status()
        except httpx.TransportError:
            return
        told.append(number)


def test_a_gap_in_time_does_no_harm(begin: Callable[[], Workspace]) -> None:
    """After seconds of suspension in the middle of an answer the answer is whole and the log quiet."""
    workspace = begin()
    with LivePage(workspace) as page:
        page.send("Tell me [tokens 300 at 10 ms]")
        page.until(lambda: "word20 " in page.said, "the begin of the answer")
        workspace.suspend()
        gap = threading.Event()
        gap.wait(GAP_S)
        workspace.resume()
        page.until(lambda: page.of("end"), "the end of the turn")
        assert page.said.split() == [f"word{number}" for number in range(1, 301)]
        assert page.of("end")[0]["outcome"] == "completed"
        assert page.ask("and now?") == "You said: and now?"
    assert workspace.complaints() == []


@pytest.mark.timeout(900)  # four programs of Claude, where others need the processors too
def test_a_small_machine_is_enough(
    lilachs_workspace: Callable[[], Workspace], internet: Internet, figures: Figures
) -> None:
    """In 1024 MB three conversations and Claude in a terminal run side by side, and nothing is killed."""
    workspace = lilachs_workspace()
    give_login(workspace, internet.anthropic)
    shell = workspace.shell(columns=120, rows=40).settle()
    shell.type("claude")
    shell.expect("❯", timeout_s=40)
    with LivePage(workspace) as one, LivePage(workspace) as two, LivePage(workspace) as three:
        for page in (one, two, three):
            page.send("Tell me [tokens 100 at 20 ms]")
        for page in (one, two, three):
            page.until(partial(page.of, "end"), "the end of a turn", timeout_s=120)
        assert [page.of("end")[0]["outcome"] for page in (one, two, three)] == ["completed"] * 3
        used_mb = workspace.memory_mb()
    figures.size("memory with three conversations and a terminal", int(used_mb * 1e6))
    assert workspace.state()["OOMKilled"] is False
    assert used_mb < MEMORY_MB
