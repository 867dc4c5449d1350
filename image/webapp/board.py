"""A conversation as pages see it: its items in order, and the numbered events that changed them."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

Item = dict[str, Any]
Op = dict[str, Any]
Message = dict[str, Any]
Reply = Callable[[Message], None]

LONGEST_SNAPSHOT = 200
HEAVIEST = 256 * 1024
"""Of a snapshot, of older items in one answer, and of the events that are kept: seconds on a slow phone."""
KEPT_EVENTS = 1000
"""A page that missed more, or what weighs more, is better served by a snapshot."""
MUCH = 8 * HEAVIEST
"""So much may come before it is worth looking for what can be forgotten."""
FLUSH_S = 1 / 30


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def weight(value: Any) -> int:
    """About how many characters this takes as JSON."""
    match value:
        case str():
            return len(value)
        case dict():
            return sum(len(name) + 6 + weight(one) for name, one in value.items())
        case list():
            return sum(2 + weight(one) for one in value)
    return 4


def newest(items: Sequence[Item], limit: int = LONGEST_SNAPSHOT, heaviest: int = HEAVIEST) -> list[Item]:
    """As many from the end as one answer holds; one at least, however heavy."""
    begin = len(items)
    while begin > 0 and len(items) - begin < limit:
        heaviest -= weight(items[begin - 1])
        if heaviest < 0 and begin < len(items):
            break
        begin -= 1
    return list(items[begin:])


def refusal(message: Message, code: str, text: str) -> Message:
    """The answer to a request that made no sense; it names the message or the card that it was about."""
    about: Message = {name: message[name] for name in ("message_id", "ask") if name in message}
    named = {"of": message.get("type"), "conversation": message.get("conversation"), **about}
    return {"type": "refused", **named, "code": code, "message": text}


class Items:
    """Items in order; `apply` is what a page does too."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items: dict[str, Item] = {item["id"]: item for item in items}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __getitem__(self, item_id: str) -> Item:
        return self._items[item_id]

    def __len__(self) -> int:
        return len(self._items)

    def all(self) -> list[Item]:
        return list(self._items.values())

    def before(self, item_id: str | None, limit: int) -> tuple[list[Item], bool]:
        """The last items before this one (None: of all), and whether there are more."""
        items = self.all()
        end = len(items) if item_id is None else list(self._items).index(item_id)
        found = newest(items[:end], limit)
        return found, end > len(found)

    def forget_before(self, item_id: str) -> bool:
        """Whether there was anything before this one."""
        gone = list(self._items)[: list(self._items).index(item_id)]
        for one in gone:
            del self._items[one]
        return bool(gone)

    def apply(self, op: Op) -> None:
        match op["op"]:
            case "add":
                # An item that is there already moves to the end: a queued message whose turn has come.
                self._items.pop(op["item"]["id"], None)
                self._items[op["item"]["id"]] = dict(op["item"])
            case "append" | "set" if op["id"] not in self._items:
                """It was forgotten: whoever shows it has it from the record."""
            case "append":
                self._items[op["id"]][op["field"]] += op["text"]
            case "set":
                self._items[op["id"]].update(op["patch"])
                if op["patch"].get("dropped"):
                    del self._items[op["id"]]


class Board:
    """The state at `seq`, and who follows it. Streamed words are gathered, to at most 30 events a second."""

    def __init__(self, conversation: str, items: Iterable[Item] = (), *, more: bool = False) -> None:
        self.conversation = conversation
        self.epoch = uuid.uuid4().hex
        self.seq = 0
        self.items = Items(items)
        self.more = more
        self.turn = "idle"
        self.queued = 0
        self.grown = 0
        """What has come since something was forgotten."""
        self._events: deque[tuple[Message, int]] = deque()
        self._kept = 0
        self._followers: dict[str, Reply] = {}
        self._waiting: dict[tuple[str, str], str] = {}
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0

    @property
    def followed(self) -> bool:
        return bool(self._followers)

    def follow(self, session: str, reply: Reply, epoch: str | None, after: int | None) -> None:
        """Sends what was missed, and from now on what happens."""
        self.flush()
        missed = self._missed(epoch, after)
        for message in [self.snapshot()] if missed is None else missed:
            reply(message)
        self._followers[session] = reply

    def unfollow(self, session: str) -> None:
        self._followers.pop(session, None)

    def move_followers(self, other: "Board") -> None:
        """Goes on as another board, of another epoch."""
        for session, reply in self._followers.items():
            other.follow(session, reply, None, None)
        self._followers.clear()

    def forget_before(self, item_id: str) -> None:
        """What the record has as well need not be held here."""
        self.more = self.items.forget_before(item_id) or self.more
        self.grown = 0

    def snapshot(self) -> Message:
        items, more = self.items.before(None, LONGEST_SNAPSHOT)
        if more:
            items += self._open_cards(items[0]["id"])
        return {
            "type": "snapshot",
            "conversation": self.conversation,
            "epoch": self.epoch,
            "seq": self.seq,
            "items": [dict(item) for item in items],
            "more": more or self.more,
            "turn": self.turn,
            "queued": self.queued,
        }

    def _open_cards(self, before: str) -> list[Item]:
        """Those that would be left out, and wait for her all the same."""
        older = self.items.all()
        older = older[: next(at for at, item in enumerate(older) if item["id"] == before)]
        return [item for item in older if item["kind"] == "ask" and item["state"] == "open"]

    def emit(self, *ops: Op) -> None:
        for op in ops:
            if op["op"] == "append":
                self._gather(op)
            else:
                self.flush()
                self._event(op)

    def set_turn(self, turn: str, queued: int) -> bool:
        """Whether this was a change."""
        if (turn, queued) == (self.turn, self.queued):
            return False
        self.turn, self.queued = turn, queued
        self.emit({"op": "turn", "turn": turn, "queued": queued})
        return True

    def flush(self) -> None:
        """Sends the words that were gathered."""
        if self._flush_timer:
            self._flush_timer.cancel()
            self._flush_timer = None
        waiting, self._waiting = self._waiting, {}
        for (item_id, field), text in waiting.items():
            self._event({"op": "append", "id": item_id, "field": field, "text": text})

    def _gather(self, op: Op) -> None:
        key = (op["id"], op["field"])
        self._waiting[key] = self._waiting.get(key, "") + op["text"]
        if self._flush_timer:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._flushed_at + FLUSH_S - loop.time()
        if wait_s <= 0:
            self._flush_now()
        else:
            self._flush_timer = loop.call_later(wait_s, self._flush_now)

    def _flush_now(self) -> None:
        self._flushed_at = asyncio.get_running_loop().time()
        self.flush()

    def _event(self, op: Op) -> None:
        self.seq += 1
        self.items.apply(op)
        message = {"type": "event", "conversation": self.conversation, "seq": self.seq, **op}
        self._note(message, weight(message))
        for reply in list(self._followers.values()):
            reply(message)

    def _note(self, message: Message, heavy: int) -> None:
        self.grown += heavy
        self._events.append((message, heavy))
        self._kept += heavy
        while len(self._events) > KEPT_EVENTS or self._kept > HEAVIEST:
            self._kept -= self._events.popleft()[1]

    def _missed(self, epoch: str | None, after: int | None) -> list[Message] | None:
        """The events after this one; None if they are not known."""
        if epoch != self.epoch or after is None or not 0 <= after <= self.seq:
            return None
        if after < self.seq - len(self._events):
            return None
        return [message for message, _ in self._events if message["seq"] > after]
