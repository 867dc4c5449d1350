"""The socket that each page keeps open."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from webapp.live import HEAVIEST_QUEUE, Live, Socket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.support.wait import wait_until
from tests.support.webapp import NoChat, Served, run_async


@pytest.fixture
def shared_chat(shared: Served) -> NoChat:
    """The shared server's chat, which has heard of nothing yet."""
    shared.chat.handled.clear()
    shared.chat.left.clear()
    return shared.chat


def receive(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=60))
        if message["type"] == kind:
            return message


def close_code(socket: ClientConnection) -> int | None:
    try:
        while True:
            socket.recv(timeout=60)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_a_page_is_greeted_with_all_that_it_draws(shared: Served) -> None:
    with shared.connect("/api/live") as live, shared.client() as client:
        hello = json.loads(live.recv(timeout=60))
        assert (hello["type"], hello["boot"]) == ("hello", client.get("/api/boot").json())


def test_a_ping_is_answered(shared: Served) -> None:
    with shared.connect("/api/live") as live:
        live.send('{"type": "ping"}')
        assert receive(live, "pong") == {"type": "pong"}


def test_every_page_hears_of_changed_settings(shared: Served) -> None:
    with (
        shared.connect("/api/live") as first,
        shared.connect("/api/live") as second,
        shared.client() as client,
    ):
        for page in (first, second):
            receive(page, "hello")
        client.put("/api/settings", json={"theme": "dark"})
        for page in (first, second):
            assert receive(page, "settings")["settings"]["theme"] == "dark"


@pytest.mark.parametrize("kind", ["send", "stop", "take_back", "answer", "follow", "unfollow"])
def test_what_is_for_the_chat_reaches_it_and_its_answer_comes_back(
    shared: Served, shared_chat: NoChat, kind: str
) -> None:
    with shared.connect("/api/live") as live:
        live.send(json.dumps({"type": kind, "conversation": "c"}))
        assert receive(live, "refused")["of"] == kind
    assert [message for message, _ in shared_chat.handled] == [{"type": kind, "conversation": "c"}]


def test_the_chat_can_tell_pages_apart_and_hears_when_one_leaves(shared: Served, shared_chat: NoChat) -> None:
    with shared.connect("/api/live") as first, shared.connect("/api/live") as second:
        for page in (first, second):
            page.send('{"type": "follow"}')
            receive(page, "refused")
        sessions = [session for _, session in shared_chat.handled]
        assert len(set(sessions)) == 2
        first.close()
        wait_until(lambda: sessions[0] in shared_chat.left, "the chat to hear of it")
        assert sessions[1] not in shared_chat.left


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "null",
        '{"type": 7}',
        '{"type": ["send"]}',
        '{"type": {}}',
        '{"type": "dance"}',
        "[" * 100_000,
    ],
)
def test_what_makes_no_sense_is_refused_and_ends_nothing(
    shared: Served, shared_chat: NoChat, text: str
) -> None:
    with shared.connect("/api/live") as live:
        live.send(text)
        assert receive(live, "refused")["code"] == "unknown"
        live.send('{"type": "ping"}')
        receive(live, "pong")
    assert shared_chat.handled == []


def test_a_fault_in_the_chat_ends_no_socket(shared: Served, caplog: pytest.LogCaptureFixture) -> None:
    with shared.connect("/api/live") as live:
        live.send('{"type": "send", "conversation": "c", "message_id": "m", "text": "break"}')
        refused = receive(live, "refused")
        assert (refused["of"], refused["conversation"], refused["code"]) == ("send", "c", "broken")
        assert refused["message_id"] == "m"
        live.send('{"type": "ping"}')
        receive(live, "pong")
    assert "broken on purpose" in caplog.text


def test_half_a_character_is_sent_as_a_question_mark(shared: Served) -> None:
    with shared.connect("/api/live") as live:
        live.send('{"type": "send", "conversation": "\\ud800", "text": "break"}')
        assert receive(live, "refused")["conversation"] == "?"


def test_half_a_character_reaches_the_chat_as_one_that_can_be_kept(
    shared: Served, shared_chat: NoChat
) -> None:
    with shared.connect("/api/live") as live:
        live.send(
            '{"type": "send", "text": "a \\ud83d b \\ud83d\\ude00", "answers": {"\\uDC00": ["\\udfff"]}}'
        )
        receive(live, "refused")
    ((message, _),) = shared_chat.handled
    assert message == {"type": "send", "text": "a ? b 😀", "answers": {"?": ["?"]}}


def test_a_binary_frame_is_not_our_page(shared: Served) -> None:
    with shared.connect("/api/live") as live:
        live.send(b"binary")
        assert close_code(live) == 1002


def test_a_page_that_falls_too_far_behind_is_sent_away(shared: Served) -> None:
    with shared.connect("/api/live") as live:
        live.send('{"type": "send", "replies": 1000}')
        for _ in range(1000):
            receive(live, "refused")
        live.send('{"type": "send", "replies": 2100}')
        assert close_code(live) == 4408


def test_pages_that_stand_still_cannot_fill_the_memory() -> None:
    nobody: Any = None  # nothing is sent, and nothing comes
    socket = Socket(nobody, NoChat(), nobody)
    heavy = "x" * (HEAVIEST_QUEUE // 4)
    socket.enqueue(4 * heavy + heavy)
    assert not socket.is_too_far_behind, "what is alone goes out, however heavy"
    socket.enqueue(heavy)
    assert socket.is_too_far_behind


def test_who_takes_what_it_is_sent_is_never_too_far_behind(shared: Served) -> None:
    name = "n" * 60_000
    with shared.connect("/api/live") as live:
        for _ in range(2 * HEAVIEST_QUEUE // len(name)):
            live.send(json.dumps({"type": "dance", "conversation": name}))
            receive(live, "refused")
        live.send('{"type": "ping"}')
        receive(live, "pong")


def test_what_a_page_is_told_comes_compressed_and_what_a_terminal_prints_does_not(shared: Served) -> None:
    def extensions(path: str) -> list[str]:
        with connect(
            shared.socket_url + path, origin=Origin(shared.url), compression="deflate", proxy=None
        ) as socket:
            return [extension.name for extension in socket.protocol.extensions]

    with shared.client() as client:
        terminal = client.post("/api/terminals", json={"cols": 80, "rows": 24}).json()["id"]
        assert extensions("/api/live") == ["permessage-deflate"]
        assert extensions(f"/api/terminals/{terminal}/socket") == []
        client.delete(f"/api/terminals/{terminal}")


def test_the_workspace_knows_whether_a_page_is_looked_at() -> None:
    nobody: Any = None
    live, socket = Live(), Socket(nobody, NoChat(), nobody)
    live._sockets.add(socket)
    seen = []
    for told in ({"is": True}, {"is": False}, {"is": True}, {"is": "yes"}, {}):
        run_async(partial(socket._handle, json.dumps({"type": "looking", **told})))
        seen.append(live.is_looked_at())
    assert seen == [True, False, True, False, False]


def test_the_chat_is_made_ready_once_a_page_is_there(served: Served, chat: NoChat) -> None:
    with served.client() as client:
        client.get("/health")
    assert chat.calls == []
    with served.connect("/api/live"):
        wait_until(lambda: "warm" in chat.calls, "the chat to be made ready")
    with served.connect("/api/live"):
        pass
    assert chat.calls.count("warm") == 1


def test_when_the_server_ends_pages_are_told_to_come_back(served: Served, chat: NoChat) -> None:
    with served.connect("/api/live") as live:
        receive(live, "hello")
        served.server.should_exit = True
        assert close_code(live) == 1012
    wait_until(lambda: "close" in chat.calls, "the chat to close")
