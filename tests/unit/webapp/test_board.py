"""The numbered events of a conversation: none lost, none doubled, and not too many."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from webapp.board import HEAVIEST, KEPT_EVENTS, LONGEST_SNAPSHOT, Board, Items, weight
from webapp.translate import add, append, change, user_item

from tests.support.chat_page import soon


def item(item_id: str) -> dict[str, Any]:
    return user_item(item_id, "2026-11-23T10:00:00.000Z", "")


class Reader:
    """Holds what a follower was sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    @property
    def numbers(self) -> list[int]:
        return [message["seq"] for message in self.messages if message["type"] == "event"]


def run(story: Callable[[Board], Awaitable[None]]) -> None:
    async def told() -> None:
        await story(Board("conversation"))

    asyncio.run(told())


def test_a_new_follower_gets_the_whole_state_and_then_each_change() -> None:
    async def story(board: Board) -> None:
        board.emit(add(item("a")))
        reader = Reader()
        board.follow("page", reader, None, None)
        board.emit(add(item("b")))
        assert [message["type"] for message in reader.messages] == ["snapshot", "event"]
        assert (reader.messages[0]["seq"], reader.numbers) == (1, [2])
        assert [one["id"] for one in reader.messages[0]["items"]] == ["a"]

    run(story)


def test_words_are_gathered_and_none_is_lost() -> None:
    async def story(board: Board) -> None:
        reader = Reader()
        board.follow("page", reader, None, None)
        board.emit(add(item("a")))
        for number in range(300):
            board.emit(append("a", "text", f"{number} "))
        await soon(lambda: board.items["a"]["text"].endswith("299 "), "the last word")
        assert board.items["a"]["text"] == "".join(f"{number} " for number in range(300))
        assert len(reader.messages) < 10
        assert reader.numbers == list(range(1, len(reader.numbers) + 1))

    run(story)


def test_a_change_never_overtakes_the_words_before_it() -> None:
    async def story(board: Board) -> None:
        board.emit(add(item("a")))
        board.emit(append("a", "text", "one "), append("a", "text", "two"), change("a", text="all of it"))
        await asyncio.sleep(0.1)
        assert board.items["a"]["text"] == "all of it"

    run(story)


@pytest.mark.parametrize("after", [-1, 4, None])
def test_a_number_that_cannot_be_brings_a_snapshot(after: int | None) -> None:
    async def story(board: Board) -> None:
        board.emit(*(add(item(name)) for name in "abc"))
        reader = Reader()
        board.follow("page", reader, board.epoch, after)
        assert [message["type"] for message in reader.messages] == ["snapshot"]

    run(story)


def test_who_missed_more_than_is_kept_gets_a_snapshot_and_who_missed_less_does_not() -> None:
    async def story(board: Board) -> None:
        board.emit(*(add(item(str(number))) for number in range(KEPT_EVENTS + 10)))
        far, near, other_epoch = Reader(), Reader(), Reader()
        board.follow("far", far, board.epoch, 9)
        board.follow("near", near, board.epoch, 10)
        board.follow("other", other_epoch, "another", 10)
        assert [message["type"] for message in far.messages] == ["snapshot"]
        assert near.numbers == list(range(11, KEPT_EVENTS + 11))
        assert [message["type"] for message in other_epoch.messages] == ["snapshot"]
        assert len(far.messages[0]["items"]) == LONGEST_SNAPSHOT
        assert far.messages[0]["more"]

    run(story)


def test_an_item_that_is_added_again_moves_to_the_end() -> None:
    items = Items([item("a"), item("b")])
    items.apply(add(item("a")))
    assert [one["id"] for one in items.all()] == ["b", "a"]


def test_a_dropped_item_is_gone() -> None:
    items = Items([item("a"), item("b")])
    items.apply(change("a", dropped=True))
    assert [one["id"] for one in items.all()] == ["b"]


# --- how much of it ---


def heavy(item_id: str, characters: int) -> dict[str, Any]:
    return {**item(item_id), "text": "x" * characters}


def asking(item_id: str) -> dict[str, Any]:
    return {"kind": "ask", "id": item_id, "at": "", "state": "open"}


def test_a_snapshot_is_no_heavier_than_a_slow_phone_can_take_and_the_rest_comes_page_by_page() -> None:
    async def story(board: Board) -> None:
        board.emit(*(add(heavy(str(number), 60_000)) for number in range(40)))
        snapshot = board.snapshot()
        seen = [one["id"] for one in snapshot["items"]]
        assert len(json.dumps(snapshot)) <= HEAVIEST
        assert snapshot["more"]
        more = True
        while more:
            items, more = board.items.before(seen[0], 200)
            assert len(json.dumps(items)) <= HEAVIEST
            seen = [one["id"] for one in items] + seen
        assert seen == [str(number) for number in range(40)]

    run(story)


def test_what_is_too_heavy_alone_comes_alone() -> None:
    async def story(board: Board) -> None:
        board.emit(add(item("a")), add(heavy("b", 2 * HEAVIEST)))
        assert [one["id"] for one in board.snapshot()["items"]] == ["b"]
        board.emit(add(item("c")))
        assert [one["id"] for one in board.snapshot()["items"]] == ["c"]
        assert [one["id"] for one in board.items.before("c", 200)[0]] == ["b"]

    run(story)


def test_a_card_that_waits_is_in_every_snapshot_however_much_came_after_it() -> None:
    async def story(board: Board) -> None:
        board.emit(add(asking("ask")), add({**asking("settled"), "state": "allowed"}))
        board.emit(*(add(item(str(number))) for number in range(LONGEST_SNAPSHOT)))
        ids = [one["id"] for one in board.snapshot()["items"]]
        assert ids == [*map(str, range(LONGEST_SNAPSHOT)), "ask"]

    run(story)


def test_what_is_kept_for_pages_that_come_back_is_bounded_by_weight_too() -> None:
    async def story(board: Board) -> None:
        board.emit(add(item("a")))
        for _ in range(40):
            board.emit(change("a", text="x" * 60_000))
        behind, near = Reader(), Reader()
        board.follow("behind", behind, board.epoch, 1)
        board.follow("near", near, board.epoch, board.seq - 3)
        assert [message["type"] for message in behind.messages] == ["snapshot"]
        assert near.numbers == [board.seq - 2, board.seq - 1, board.seq]
        assert weight([message for message, _ in board._events]) <= HEAVIEST

    run(story)


def test_what_was_forgotten_is_no_gap_and_its_late_changes_do_no_harm() -> None:
    async def story(board: Board) -> None:
        board.emit(*(add(item(name)) for name in "abc"))
        reader = Reader()
        board.follow("page", reader, None, None)
        board.forget_before("c")
        board.emit(change("a", text="late"), append("b", "text", "late"))
        board.flush()
        assert [one["id"] for one in board.items.all()] == ["c"]
        assert board.snapshot()["more"]
        assert reader.numbers == [4, 5]

    run(story)
