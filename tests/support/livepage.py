"""A page on a workspace's live socket, without a browser: one conversation, and what it is told of it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from image.patience import patience
from tests.support.containers import Workspace
from tests.support.wait import NeverHappenedError

Item = dict[str, Any]


class LivePage:
    """Follows a conversation from its begin on; a new one unless told which."""

    def __init__(self, workspace: Workspace, conversation: str | None = None, cookie: str = "") -> None:
        self.conversation = conversation or str(uuid.uuid4())
        self.auth: dict[str, Any] = {}
        self.turn = "idle"
        self.refusals: list[str] = []
        self._items: dict[str, Item] = {}
        self._followed = False
        self._workspace = workspace
        self._cookie = cookie
        self._open = ExitStack()

    def __enter__(self) -> LivePage:
        self._socket = self._open.enter_context(self._workspace.socket("/api/live", cookie=self._cookie))
        self._say("follow", epoch=None, after=None)
        self.until(lambda: self._followed, "the conversation")
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    # --- what a person does -----------------------------------------------------------------------

    def send(self, text: str) -> None:
        self._say("send", message_id=str(uuid.uuid4()), text=text)

    def ask(self, text: str) -> str:
        """Sends it, and gives what Claude answered once the turn is over."""
        before = len(self.of("end"))
        self.send(text)
        self.until(lambda: len(self.of("end")) > before and self.turn == "idle", "the end of the turn")
        return self.said

    def go_on(self) -> str:
        """Lets Claude continue an answer that was cut off; what it says, once the turn is over."""
        before = len(self.of("end"))
        self._say("continue", message_id=str(uuid.uuid4()))
        self.until(lambda: len(self.of("end")) > before and self.turn == "idle", "the end of the turn")
        return self.said

    # --- what a person sees -----------------------------------------------------------------------

    def of(self, kind: str) -> list[Item]:
        return [item for item in self._items.values() if item["kind"] == kind]

    @property
    def said(self) -> str:
        """The last that Claude said."""
        return str(self.of("assistant")[-1]["text"]) if self.of("assistant") else ""

    def until(self, probe: Callable[[], object], what: str, timeout_s: float = 90) -> None:
        """Takes in what comes until this is true. Errors: `NeverHappenedError`."""
        began = time.monotonic()
        while not probe():
            left_s = timeout_s * patience() - (time.monotonic() - began)
            try:
                self._take(json.loads(self._socket.recv(timeout=max(0.0, left_s))))
            except TimeoutError:
                seen = json.dumps([*self._items.values()], ensure_ascii=False)[-2000:]
                raise NeverHappenedError(
                    f"waited {timeout_s:g} s for {what}; the page shows {seen}"
                ) from None

    # --- the protocol -----------------------------------------------------------------------------

    def _say(self, kind: str, **rest: Any) -> None:
        self._socket.send(json.dumps({"type": kind, "conversation": self.conversation, **rest}))

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "hello":
                self.auth = message["boot"]["auth"]
            case "auth":
                self.auth = message["auth"]
            case "refused":
                self.refusals.append(message["code"])
            case "snapshot" if message["conversation"] == self.conversation:
                self._items = {item["id"]: item for item in message["items"]}
                self.turn = message["turn"]
                self._followed = True
            case "event" if message["conversation"] == self.conversation:
                self._change(message)

    def _change(self, event: dict[str, Any]) -> None:
        match event["op"]:
            case "add":
                self._items.pop(event["item"]["id"], None)
                self._items[event["item"]["id"]] = event["item"]
            case "append":
                self._items[event["id"]][event["field"]] += event["text"]
            case "set":
                self._items[event["id"]].update(event["patch"])
            case "turn":
                self.turn = event["turn"]
