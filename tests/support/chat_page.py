"""A page as the chat's server sees it, without a browser: follows a conversation, holds what it is told."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from webapp.board import Item, Items, Message
from webapp.chat import Chat

T = TypeVar("T")


async def soon(probe: Callable[[], T | None], what: str, timeout_s: float = 60) -> T:
    """The first true answer; the loop goes on meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        await asyncio.sleep(0.005)
    return answer


class Page:
    """Applies what comes as a page must; an event that is missing, doubled or out of order fails the test."""

    def __init__(self, chat: Chat, conversation: str | None = None, *, from_now: bool = False) -> None:
        """`from_now` leaves out what was there when the page first looked."""
        self.from_now = from_now
        self.former: set[str] | None = None
        self.chat = chat
        self.conversation = conversation or str(uuid.uuid4())
        self.session = uuid.uuid4().hex
        self.items = Items()
        self.epoch: str | None = None
        self.seq: int | None = None
        self.turn = "idle"
        self.queued = 0
        self.more = False
        self.received: list[Message] = []

    def take(self, message: Message) -> None:
        self.received.append(message)
        match message["type"]:
            case "snapshot":
                self.epoch, self.seq = message["epoch"], message["seq"]
                self.items = Items(message["items"])
                if self.former is None:
                    self.former = {item["id"] for item in message["items"]} if self.from_now else set()
                self.turn, self.queued, self.more = message["turn"], message["queued"], message["more"]
            case "event":
                assert self.seq is not None, "an event before any snapshot"
                assert message["seq"] == self.seq + 1, f"event {message['seq']} came after {self.seq}"
                self.seq += 1
                if message["op"] == "turn":
                    self.turn, self.queued = message["turn"], message["queued"]
                else:
                    self.items.apply(message)

    async def say(self, kind: str, **rest: Any) -> None:
        message = {"type": kind, "conversation": self.conversation, **rest}
        await self.chat.handle(message, self.take, self.session)

    async def follow(self) -> Page:
        await self.say("follow", epoch=self.epoch, after=self.seq)
        return self

    def leave(self) -> None:
        self.chat.gone(self.session)

    async def send(self, text: str, message_id: str | None = None) -> str:
        message_id = message_id or str(uuid.uuid4())
        await self.say("send", message_id=message_id, text=text)
        return message_id

    async def ask(self, text: str) -> list[Item]:
        """Sends it, and gives what the turn brought, once it is over."""
        before = len(self.ends)
        await self.send(text)
        await self.turn_over(before + 1)
        turn = self.shown
        start = max(index for index, item in enumerate(turn) if item["kind"] == "user")
        return turn[start:]

    async def answer(self, card: Item, decision: str, **rest: Any) -> None:
        await self.say("answer", ask=card["id"], decision=decision, **rest)

    @property
    def shown(self) -> list[Item]:
        return [item for item in self.items.all() if item["id"] not in (self.former or ())]

    def of(self, kind: str) -> list[Item]:
        return [item for item in self.shown if item["kind"] == kind]

    @property
    def ends(self) -> list[Item]:
        return self.of("end")

    @property
    def outcomes(self) -> list[str]:
        return [end["outcome"] for end in self.ends]

    @property
    def said(self) -> str:
        """All that Claude said."""
        return "\n".join(item["text"] for item in self.of("assistant"))

    @property
    def refusals(self) -> list[str]:
        return [message["code"] for message in self.received if message["type"] == "refused"]

    async def card(self) -> Item:
        """The card that waits for an answer."""
        return await soon(
            lambda: next((card for card in self.of("ask") if card["state"] == "open"), None), "a card"
        )

    async def turn_over(self, number: int = 1) -> None:
        await soon(lambda: len(self.ends) >= number and self.turn == "idle", f"the end of turn {number}")
