"""One conversation while somebody looks at it or Claude works in it.

A turn lives here, not in a page's socket: pages come and go, follow the board and answer the cards.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from webapp import wording
from webapp.board import LONGEST_SNAPSHOT, Board, Item, now
from webapp.journal import Ended, Journal, Sent
from webapp.process import Heard, Process, Request, Result, Verdict
from webapp.settings import Settings
from webapp.transcript import Transcript, closing
from webapp.translate import Translator, add, ask_item, change, end_item, notice, user_item

log = logging.getLogger("webapp")

Json = dict[str, Any]

IDLE_S = 600.0
"""A process that nobody needs for so long is ended; it comes back in a third of a second."""
INTERRUPT_S = 5.0
CATCH_UP_S = 2.0


class RefusedError(Exception):
    """A request that makes no sense now."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class House(Protocol):
    """What a conversation needs of the chat that it is part of."""

    def settings(self) -> Settings: ...
    async def process(self, conversation: "Conversation", *, resume: bool) -> Process: ...
    async def slot(self, conversation: "Conversation") -> None: ...
    def slot_free(self, conversation: "Conversation") -> None: ...
    def settled(self) -> None: ...
    def changed(self, conversation: "Conversation") -> None: ...


@dataclass
class _Turn:
    """A turn that runs; `own` if a message of the person began it."""

    id: str
    own: bool = True
    began: float = field(default_factory=time.monotonic)
    stopped: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class _Ask:
    """A card that waits for an answer, as long as it takes."""

    request: Request
    item: Item
    answered: asyncio.Future[Verdict]


class Conversation:
    """Its board, its queue, and the process that carries it while there is one."""

    def __init__(self, conversation_id: str, house: House, transcript: Transcript, journal: Journal) -> None:
        self.id = conversation_id
        self.title = ""
        self.used_at = time.monotonic()
        self._house = house
        self._transcript = transcript
        self._journal = journal
        self._translator = Translator(transcript.workspace)
        self._queue: deque[Sent] = deque()
        self._asks: dict[str, _Ask] = {}
        self._turn: _Turn | None = None
        self._process: Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._resting = False
        self._closing = False
        self._state = "idle"
        self._background = 0
        self._cost_usd = 0.0
        self.board = self._fresh_board()

    # --- what others ask of it ---

    @property
    def turn(self) -> str:
        if self._asks:
            return "waiting"
        return "running" if self._turn or self._queue else "idle"

    @property
    def busy(self) -> bool:
        """Whether Claude works, and not the person."""
        return not self._asks and (self._turn is not None or self._state == "running")

    @property
    def live(self) -> bool:
        return self._worker is not None

    @property
    def may_rest(self) -> bool:
        """Whether its process could be ended without loss."""
        return self.live and self.turn == "idle" and self._state != "running" and not self._background

    @property
    def forgettable(self) -> bool:
        return not self.live and self.turn == "idle" and not self.board.followed

    def send(self, message_id: str, text: str) -> None:
        """Takes a message; the same one twice counts once.

        Errors: OSError if it cannot be kept.
        """
        if message_id in self._journal.sent or message_id in self.board.items:
            return
        message = Sent(message_id, now(), text)
        self._journal.send(message)
        self._queue.append(message)
        self.board.emit(add(user_item(message.id, message.at, text, queued=True)))
        self._show_turn()
        self._work_on()

    def stop(self) -> None:
        """Interrupts the turn and drops what is queued."""
        for message in self._queue:
            self._journal.drop(message.id)
            self.board.emit(change(message.id, queued=False, dropped=True))
        self._queue.clear()
        if self._turn and not self._turn.stopped:
            self._turn.stopped = True
            self._chore(self._interrupt(self._turn))
        self._show_turn()
        self._wake.set()

    def answer(self, item_id: str, decision: str, message: str, answers: Json) -> None:
        """The first answer to a card counts.

        Errors: RefusedError.
        """
        ask = self._asks.get(item_id)
        if not ask or ask.answered.done():
            raise RefusedError("already_answered", "This question has been answered already.")
        verdict = _verdict(ask.item, decision, message, answers)
        if not verdict.allow:
            self._translator.denied(ask.request.tool_use_id)
        self.board.emit(change(item_id, state=_state(ask.item, verdict), answer=answers or message or None))
        ask.answered.set_result(verdict)
        self._asks.pop(item_id)
        self._show_turn()

    def rest(self) -> None:
        """Ends the process as soon as nobody needs it."""
        self._resting = True
        self._wake.set()

    async def page(self, before: str | None, limit: int) -> tuple[list[Item], bool]:
        """Items before this one, and whether there are more.

        Errors: KeyError if there is no such item.
        """
        if before is None or before in self.board.items:
            items, more = self.board.items.before(before, limit)
            if items or not self.board.more:
                return items, more or self.board.more
        return await asyncio.to_thread(self._transcript.page, before, limit, self._journal.ended)

    async def refresh(self) -> None:
        """Notices what somebody else, a terminal perhaps, wrote into the transcript."""
        if self.live:
            return
        size = self._transcript.size
        await asyncio.to_thread(self._transcript.refresh)
        if self._transcript.size != size:
            fresh = await asyncio.to_thread(self._fresh_board)
            if self.live:
                return
            former, self.board = self.board, fresh
            former.move_followers(self.board)

    async def close(self, timeout_s: float) -> None:
        """Ends all of it; a turn that runs is cut off, and keeps what it has brought."""
        self._closing = True
        deadline = time.monotonic() + timeout_s
        if self._turn and self._process:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._process.interrupt(), timeout_s / 3)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._turn.over.wait(), timeout_s / 3)
        if self._turn:
            self._end(Ended("lost"), all_is_over=True)
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._leave_process(max(0.2, deadline - time.monotonic()))
        if self._chores:
            await asyncio.wait(self._chores, timeout=max(0.2, deadline - time.monotonic()))
        self.board.flush()

    # --- the worker: carries the queue to Claude, and lives as long as the process ---

    def _work_on(self) -> None:
        self._wake.set()
        if not self._worker:
            self._worker = asyncio.create_task(self._work(), name=f"conversation {self.id}")

    async def _work(self) -> None:
        self._resting = False
        try:
            await self._house.slot(self)
            while await self._something_to_do():
                await self._carry(self._queue.popleft())
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("A conversation broke")
            self._fail(wording.failed(""), "failed")
        finally:
            if not self._closing:
                await self._leave_process()
            self._worker = None
            self._house.slot_free(self)
        if self._queue:
            self._work_on()

    async def _something_to_do(self) -> bool:
        """Waits for a message; False once nobody needs the process any more."""
        idle_since = time.monotonic()
        while not self._queue or self._turn or self._closing:
            left_s = idle_since + IDLE_S - time.monotonic()
            if self._closing:
                return False
            if self._turn or self._state == "running" or self._background:
                idle_since, left_s = time.monotonic(), IDLE_S
            elif self._resting or left_s <= 0 or not self._process:
                return False
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left_s)
        return True

    async def _carry(self, message: Sent) -> None:
        """One message, to the end of its turn."""
        turn = self._turn = _Turn(message.id)
        self._journal.begin(message.id)
        self.board.emit(add(user_item(message.id, message.at, message.text)))
        self._show_turn()
        try:
            process = await self._ready()
            if turn.stopped:
                return self._end(Ended("stopped"))
            await process.send(message.id, message.text)
        except Exception as error:
            # Whatever kept the process from starting: the person needs an end and a reason, the log the rest.
            log.warning("Claude Code did not start: %s", error)
            self._fail(wording.CRASHED, "crashed")
            return await self._leave_process()
        await turn.over.wait()
        return None

    async def _ready(self) -> Process:
        """The process, with the settings of this moment."""
        settings = self._house.settings()
        if self._process and settings.permission_mode == "bypassPermissions" != self._process.mode:
            # Claude Code lets nobody come into this mode from another.
            await self._leave_process()
        if not self._process:
            return await self._start()
        if self._process.model != settings.model:
            await self._process.set_model(settings.model)
        if self._process.mode != settings.permission_mode:
            await self._process.set_mode(settings.permission_mode)
        return self._process

    async def _start(self) -> Process:
        await asyncio.to_thread(self._transcript.refresh)
        self._cost_usd = self._transcript.cost_usd
        process = await self._house.process(self, resume=bool(self._transcript.prompts))
        try:
            await process.start()
        except BaseException:
            process.kill()
            raise
        self._process = process
        self._listener = asyncio.create_task(self._listen(process), name=f"listener {self.id}")
        return process

    async def _leave_process(self, timeout_s: float = 2.0) -> None:
        process, self._process = self._process, None
        listener, self._listener = self._listener, None
        if listener and listener is not asyncio.current_task():
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
        if process:
            await process.close(timeout_s)
        self._state, self._background = "idle", 0
        await asyncio.to_thread(self._transcript.refresh)

    # --- the listener: what Claude says ---

    async def _listen(self, process: Process) -> None:
        why = "it ended by itself"
        try:
            async for heard in process.heard(self._translator):
                self._hear(heard)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            why = str(error)
        self._died(process, why)

    def _hear(self, heard: Heard) -> None:
        if heard.begins and not self._turn:
            # A helper has come to its end, and Claude goes on without being asked.
            self._turn = _Turn(f"after-{now()}", own=False)
            self._show_turn()
        self.board.emit(*heard.ops)
        if heard.mode and self._process:
            self._process.mode = heard.mode
        if heard.background is not None:
            self._background = heard.background
        if heard.state:
            self._state = heard.state
            self._wake.set()
            self._house.settled()
        if heard.result and self._turn:
            self._finish(heard.result)

    def _finish(self, result: Result) -> None:
        assert self._turn
        outcome = "stopped" if self._turn.stopped and result.outcome != "completed" else result.outcome
        outcome = "lost" if self._closing else outcome
        if outcome == "failed" and not self._translator.troubled:
            self.board.emit(
                add(notice(f"notice-{self._turn.id}", now(), "failed", wording.failed(result.why)))
            )
        cost = None
        if result.total_cost_usd is not None:
            cost = max(0.0, result.total_cost_usd - self._cost_usd)
            self._cost_usd = max(self._cost_usd, result.total_cost_usd)
        self._end(Ended(outcome, cost_usd=cost, tokens=result.tokens))

    def _died(self, process: Process, why: str) -> None:
        if self._process is not process:
            return
        self._process = self._listener = None
        self._state, self._background = "idle", 0
        if self._turn and self._turn.stopped:
            self._end(Ended("stopped"), all_is_over=True)
        elif self._turn:
            log.warning("Claude Code's process is gone: %s", why)
            self._fail(wording.CRASHED, "crashed")
        self._cancel_asks()
        self.board.emit(*self._translator.turn_ends(all_is_over=True))
        self._chore(process.close())
        self._wake.set()

    def _fail(self, text: str, code: str) -> None:
        if self._turn:
            self.board.emit(add(notice(f"notice-{self._turn.id}", now(), code, text)))
            self._end(Ended("failed", notice=code), all_is_over=True)

    def _end(self, ended: Ended, *, all_is_over: bool = False) -> None:
        """The one end of a turn."""
        turn, self._turn = self._turn, None
        if not turn:
            return
        ended = replace(ended, duration_ms=int((time.monotonic() - turn.began) * 1000))
        if ended.outcome != "completed":
            self._cancel_asks()
        self.board.emit(*self._translator.turn_ends(all_is_over=all_is_over))
        self.board.emit(add(end_item(turn.id, now(), ended)))
        if turn.own:
            with contextlib.suppress(OSError):
                self._journal.end(turn.id, ended)
        turn.over.set()
        self._wake.set()
        self._show_turn()

    async def _interrupt(self, turn: _Turn) -> None:
        """Stops Claude at once; a process that does not listen is ended."""
        process = self._process
        if not process:
            return
        with contextlib.suppress(Exception):
            await asyncio.wait_for(process.interrupt(), INTERRUPT_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(turn.over.wait(), INTERRUPT_S)
        if not turn.over.is_set() and self._process is process:
            process.kill()

    # --- cards ---

    async def ask(self, request: Request) -> Verdict:
        """Shows a card and waits for its answer, for ever if need be."""
        await self._catch_up(request.tool_use_id)
        given = request.input or self._translator.asked(request.tool_use_id) or {}
        self._translator.asked(request.tool_use_id)
        item = ask_item(
            request.tool_use_id,
            now(),
            request.tool,
            given,
            self._transcript.workspace,
            reason=request.reason,
            can_always=request.can_always,
        )
        ask = _Ask(request, item, asyncio.get_running_loop().create_future())
        self._asks[item["id"]] = ask
        self.board.emit(add(item))
        self._show_turn()
        try:
            return await ask.answered
        except asyncio.CancelledError:
            self._cancel_ask(item["id"])
            raise

    async def _catch_up(self, tool_use_id: str) -> None:
        """The request overtakes the message that it is about: that comes first."""
        deadline = time.monotonic() + CATCH_UP_S
        while not self._translator.knows(tool_use_id) and time.monotonic() < deadline:  # noqa: ASYNC110 - a few ms
            await asyncio.sleep(0.005)

    def _cancel_asks(self) -> None:
        for item_id in list(self._asks):
            self._cancel_ask(item_id)

    def _cancel_ask(self, item_id: str) -> None:
        ask = self._asks.pop(item_id, None)
        if not ask:
            return
        ask.answered.cancel()
        self.board.emit(change(item_id, state="cancelled"))
        self._show_turn()

    # --- the board ---

    def _show_turn(self) -> None:
        self.used_at = time.monotonic()
        if self.board.set_turn(self.turn, len(self._queue)):
            self._house.changed(self)

    def _fresh_board(self) -> Board:
        """The board as the transcript has it, and what was sent but is not in it."""
        self._settle()
        items, more = self._transcript.page(None, LONGEST_SNAPSHOT, self._journal.ended)
        known = set(self._transcript.prompts)
        for message in self._journal.sent.values():
            if message.id not in known and not (more and message.at < items[0]["at"]):
                at = next((i for i, one in enumerate(items) if _follows(one, message)), len(items))
                items[at:at] = self._unsent(message)
        return Board(self.id, items, more=more)

    def _settle(self) -> None:
        """What has no end although nobody works on it was cut off."""
        for message in self._journal.unfinished():
            notice = "lost" if message.id in self._journal.begun else "not_sent"
            self._journal.end(message.id, Ended("lost", notice=notice))

    def _unsent(self, message: Sent) -> list[Item]:
        ended = self._journal.ended[message.id]
        if ended.outcome == "dropped":
            return []
        return [
            user_item(message.id, message.at, message.text),
            *closing(message.id, message.at, ended, "lost"),
        ]

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _follows(item: Item, message: Sent) -> bool:
    """Whether the item began a turn after this message."""
    return bool(item["kind"] == "user" and item["at"] > message.at)


def _verdict(item: Item, decision: str, message: str, answers: Json) -> Verdict:
    """Errors: RefusedError."""
    if decision == "deny":
        return Verdict(allow=False, message=message.strip() or wording.REFUSED_TO_RUN)
    if decision not in ("allow", "always") or (decision == "always" and not item["can_always"]):
        raise RefusedError("bad_decision", "This card cannot be answered like that.")
    if item["ask"] != "question":
        return Verdict(allow=True, always=decision == "always")
    if not answers or not all(isinstance(answer, str) for answer in answers.values()):
        raise RefusedError("no_answer", "The question needs an answer.")
    return Verdict(allow=True, input={**item["input"], "answers": answers})


def _state(item: Item, verdict: Verdict) -> str:
    if not verdict.allow:
        return "denied"
    if item["ask"] == "question":
        return "answered"
    return "always" if verdict.always else "allowed"
