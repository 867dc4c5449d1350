"""One conversation while somebody looks at it or Claude works in it.

A turn lives here, not in a page's socket: pages come and go, follow the board and answer the cards.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from webapp import wording
from webapp.board import LONGEST_SNAPSHOT, MUCH, Board, Item, newest, now
from webapp.draft import Draft, Words, draft_of
from webapp.journal import DROPPED, Choices, Ended, Journal, Sent, Trouble
from webapp.process import Heard, Process, ProcessError, Request, Result, Verdict
from webapp.settings import CHOICES, Settings
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
    async def process(self, conversation: "Conversation", *, resume: bool, after: str | None) -> Process: ...
    async def content(self, message: Sent) -> str | list[Json]: ...
    def started(self, process: Process) -> None: ...
    async def keep(self, conversation: "Conversation") -> None: ...
    async def slot(self, conversation: "Conversation") -> None: ...
    def slot_free(self, conversation: "Conversation") -> None: ...
    def settled(self) -> None: ...
    def changed(self, conversation: "Conversation") -> None: ...


@dataclass
class _Turn:
    """A turn that runs; its id is that of the message that began it, if one did."""

    id: str
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
        self.transcript = transcript
        self.journal = journal
        self.changing = asyncio.Lock()
        self._house = house
        self._translator = Translator(transcript.workspace)
        self._draft = Draft(draft_of(journal.path), self._words)
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
        self._crowded = ""
        self._settle()
        self.board = self._fresh_board()

    # --- what others ask of it ---

    @property
    def turn(self) -> str:
        if self._asks:
            return "waiting"
        return "running" if self._turn or self._queue else "idle"

    @property
    def busy(self) -> bool:
        """Whether Claude works, and does not only wait for the person."""
        if self._turn is None and self._state != "running":
            return False
        asked = [ask.request.tool_use_id for ask in self._asks.values()]
        return not asked or self._translator.works_beside(asked)

    @property
    def waits(self) -> bool:
        """Whether nothing goes on before the person answers."""
        return self.turn == "waiting" and not self.busy

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

    @property
    def wanted(self) -> Choices:
        """How Claude is to work here: as chosen for this conversation, else as in the settings."""
        own, settings = self.journal.choices, self._house.settings()
        return Choices(
            settings.model if own.model is None else own.model,
            settings.effort if own.effort is None else own.effort,
            settings.permission_mode if own.permission_mode is None else own.permission_mode,
        )

    async def choose(self, **choices: str | None) -> None:
        """Changes what this conversation has of its own; another mode holds at once where Claude allows it.

        Errors: OSError if it cannot be kept.
        """
        chosen = replace(self.journal.choices, **choices)
        if chosen == self.journal.choices:
            return
        self.journal.choose(chosen)
        self._house.changed(self)
        mode = self.wanted.permission_mode
        if self._process and self._process.mode != mode != "bypassPermissions":
            # What cannot be said now is said before the next message.
            with contextlib.suppress(ProcessError):
                await self._process.set_mode(mode or "default")

    @property
    def open_turn(self) -> str | None:
        """The message that Claude works on now."""
        return self._turn.id if self._turn else None

    def message(self, message_id: str) -> tuple[str, list[Json]]:
        """What was said in a message, and what was attached to it.

        Errors: RefusedError.
        """
        if sent := self.journal.sent.get(message_id):
            return sent.text, sent.attachments
        if message_id in self.board.items and self.board.items[message_id]["kind"] == "user":
            return self.board.items[message_id]["text"], []
        raise RefusedError("no_such_message", "There is no such message in this conversation.")

    def knows(self, message_id: str) -> bool:
        return message_id in self.journal.sent or message_id in self.board.items

    def send(self, message_id: str, text: str, attachments: list[Json] | None = None) -> None:
        """Takes a message; the same one twice counts once.

        Errors: OSError if it cannot be kept.
        """
        if self.knows(message_id):
            return
        message = Sent(message_id, now(), text, attachments or [])
        self.journal.send(message)
        self._queue.append(message)
        self.board.emit(add(_user(message, queued=True)))
        self._show_turn()
        self._work_on()

    async def go_back(self, message_id: str) -> None:
        """This message and all after it give way to the next one.

        Errors: RefusedError if there is no such message, OSError if that cannot be kept.
        """
        if any(message.id == message_id for message in self._queue):
            return self.take_back(message_id)
        await self._stop_and_leave()
        later = self.transcript.since(message_id)
        if not later and message_id not in self.journal.sent:
            raise RefusedError("no_such_message", "There is no such message in this conversation.")
        answered = bool(later) and await asyncio.to_thread(self._was_answered, message_id)
        if answered:
            await self._house.keep(self)
        self.journal.drop(*dict.fromkeys([*later, *_from(message_id, self.journal)]))
        if later and later == self.transcript.prompts:
            # Nothing is left to go on after: Claude begins anew under the same id.
            self.transcript.path.unlink()
        await asyncio.to_thread(self.transcript.refresh)
        self.transcript.cut(self.journal.dropped)
        await self._show_anew()
        return None

    def _was_answered(self, since: str) -> bool:
        """Whether the turns from this one on hold anything that somebody may want back."""
        turns = self.transcript.turns(self.journal, since=since)
        return any(item["kind"] in ("assistant", "tool") for items in turns for item in items)

    async def _stop_and_leave(self) -> None:
        """Ends the turn and the process."""
        turn = self._turn
        self.stop()
        if turn:
            await _over(turn, 2 * INTERRUPT_S + CATCH_UP_S)
        worker = self._worker
        await self._leave_process()
        # A process that was too slow to say so cannot any more.
        self._end(Ended("stopped"), all_is_over=True)
        self.rest()
        if worker:
            await asyncio.wait([worker], timeout=2 * INTERRUPT_S)

    def failed_for_want_of_login(self) -> str | None:
        """The last message, if all that was missing is a login."""
        items = self.board.items.before(None, 4)[0]
        lacking = any(item.get("action") == "open_terminal" for item in items)
        failed = bool(items) and items[-1].get("outcome") == "failed"
        asked = next((item["id"] for item in reversed(items) if item["kind"] == "user"), None)
        return asked if self.turn == "idle" and lacking and failed and asked in self.journal.sent else None

    def stop(self) -> None:
        """Interrupts the turn and drops what is queued."""
        self._unqueue(lambda _message: True)
        if self._turn and not self._turn.stopped:
            self._turn.stopped = True
            self._chore(self._interrupt(self._turn))
        self._show_turn()
        self._wake.set()

    def take_back(self, message_id: str) -> None:
        """A message that still waits is none any more.

        Errors: RefusedError if Claude has it already, OSError if that cannot be kept.
        """
        if not any(message.id == message_id for message in self._queue):
            raise RefusedError("already_begun", "Claude has this message already.")
        self._unqueue(lambda message: message.id == message_id)
        self._wake.set()

    def _unqueue(self, which: Callable[[Sent], bool]) -> None:
        for message in [one for one in self._queue if which(one)]:
            self.journal.drop(message.id)
            self.board.emit(change(message.id, queued=False, dropped=True))
            self._queue.remove(message)
        if not self._queue:
            self.tell_crowded("")
        self._show_turn()

    def tell_crowded(self, why: str) -> None:
        """Shows why Claude does not begin here; "" once it can."""
        notice_id, former = f"crowded-{self.id}", self._crowded
        self._crowded = why if self._queue else ""
        if self._crowded and not former:
            self.board.emit(add(notice(notice_id, now(), "overloaded", why, action=None)))
        elif self._crowded != former:
            gone = not self._crowded
            self.board.emit(change(notice_id, dropped=True) if gone else change(notice_id, text=why))

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
        self._note_card(ask)
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
        page, open_turn = self.transcript.page, self.open_turn
        return await asyncio.to_thread(page, before, limit, self.journal, open_turn=open_turn)

    async def refresh(self) -> None:
        """Notices what somebody else, a terminal perhaps, wrote into the transcript."""
        if self.live:
            return
        size = self.transcript.size
        await asyncio.to_thread(self.transcript.refresh)
        if self.transcript.size != size:
            await self._show_anew()

    async def close(self, timeout_s: float) -> None:
        """Ends all of it; a turn that runs is cut off, and keeps what it has brought."""
        self._closing = True
        deadline = time.monotonic() + timeout_s
        if (turn := self._turn) and self._process:
            await _ask_to_stop(self._process, timeout_s / 3)
            await _over(turn, timeout_s / 3)
        self._end(Ended("lost"), all_is_over=True)
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._leave_process(max(0.2, deadline - time.monotonic()))
        if self._chores:
            await asyncio.wait(self._chores, timeout=max(0.2, deadline - time.monotonic()))
        self.board.flush()

    async def _show_anew(self) -> None:
        fresh = await asyncio.to_thread(self._fresh_board)
        if not self.live:
            former, self.board = self.board, fresh
            former.move_followers(self.board)

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
                async with asyncio.timeout(left_s):
                    await self._wake.wait()
        return True

    async def _carry(self, message: Sent) -> None:
        """One message, to the end of its turn."""
        turn = self._turn = _Turn(message.id)
        with contextlib.suppress(OSError):
            self.journal.begin(message.id)
        self.board.emit(add(_user(message)))
        self._show_turn()
        try:
            content = await self._content(message)
        except OSError as error:
            log.warning("The files of a message could not be made ready: %s", error)
            return self._fail(wording.files_not_ready(error), "failed")
        try:
            process = await self._ready()
            if turn.stopped:
                return self._end(Ended("stopped"))
            await process.send(message.id, content)
        except Exception as error:
            # Whatever kept the process from starting: the person needs an end and a reason, the log the rest.
            log.warning("Claude Code did not start: %s", error)
            self._fail(wording.CRASHED, "crashed")
            return await self._leave_process()
        await turn.over.wait()
        return None

    async def _content(self, message: Sent) -> str | list[Json]:
        """What Claude gets; what it said before it was cut off, nobody but us can tell it."""
        said = _last_words(self.journal, message.id) if message.text == wording.CONTINUE else ""
        return wording.go_on_after(said) if said else await self._house.content(message)

    async def _ready(self) -> Process:
        """The process, with the settings of this moment."""
        wanted = self.wanted
        model, mode = wanted.model or "", wanted.permission_mode or "default"
        if self._process and (mode == "bypassPermissions" != self._process.mode):
            # Claude Code lets nobody come into this mode from another.
            await self._leave_process()
        if self._process and (self._resting or self._began_otherwise(self._process)):
            self._resting = False
            await self._leave_process()
        if not self._process:
            return await self._start()
        if self._process.model != model:
            await self._process.set_model(model)
        if self._process.mode != mode:
            await self._process.set_mode(mode)
        return self._process

    def _began_otherwise(self, process: Process) -> bool:
        """Whether it was started with what a process keeps for life, and that is another now."""
        return process.effort != self.wanted.effort or process.language != self._house.settings().language

    async def _start(self) -> Process:
        await asyncio.to_thread(self.transcript.refresh)
        self._cost_usd = self.transcript.cost_usd
        after = self.transcript.goes_on_after
        process = await self._house.process(self, resume=bool(self.transcript.prompts), after=after)
        try:
            await process.start()
        except BaseException:
            process.kill()
            raise
        self._process = process
        self._house.started(process)
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
        await asyncio.to_thread(self.transcript.refresh)

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
            self._turn = _Turn(f"after-{now()}")
            self._show_turn()
        self.board.emit(*heard.ops)
        if any(op["op"] in ("add", "append") for op in heard.ops):
            self._draft.grows()
        if heard.mode and self._process:
            self._take_mode(heard.mode, self._process)
        if heard.background is not None:
            self._background = heard.background
        if heard.state:
            self._state = heard.state
            self._wake.set()
            self._house.settled()
        if heard.result and self._turn:
            self._finish(heard.result)
        if self.board.grown > MUCH:
            self.board.grown = 0
            self._chore(self._forget_old())
        if heard.is_refused and self._turn and self._process:
            self._fail(wording.REFUSED, "refused")
            self._process.kill()

    def _take_mode(self, mode: str, process: Process) -> None:
        """A plan that was approved is carried out in another mode, also after this turn."""
        left_plan = process.mode == "plan" == self.wanted.permission_mode and mode != "plan"
        if left_plan and mode in CHOICES["permission_mode"]:
            with contextlib.suppress(OSError):
                self.journal.choose(replace(self.journal.choices, permission_mode=mode))
            self._house.changed(self)
        process.mode = mode

    def _finish(self, result: Result) -> None:
        assert self._turn
        outcome = "stopped" if self._turn.stopped and result.outcome != "completed" else result.outcome
        outcome = "lost" if self._closing else outcome
        why = self._translator.limited
        if outcome == "failed" and not self._translator.troubled:
            why = Trouble(wording.failed(result.why))
            self.board.emit(add(notice(f"notice-{self._turn.id}", now(), "failed", why.text)))
        cost = None
        if result.total_cost_usd is not None:
            cost = max(0.0, result.total_cost_usd - self._cost_usd)
            self._cost_usd = max(self._cost_usd, result.total_cost_usd)
        read, written = result.input_tokens, result.output_tokens
        ended = Ended(outcome, cost_usd=cost, tokens=result.tokens, input_tokens=read, output_tokens=written)
        self._end(replace(ended, notice="failed") if why and why.text else ended, why)

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
            why = Trouble(text) if code == "failed" else None
            self._end(Ended("failed", notice=code), why, all_is_over=True)

    def _end(self, ended: Ended, why: Trouble | None = None, *, all_is_over: bool = False) -> None:
        """The one end of a turn."""
        turn = self._turn
        if not turn:
            return
        words, self._turn = self._words() if all_is_over else None, None
        ended = replace(ended, duration_ms=int((time.monotonic() - turn.began) * 1000))
        if ended.outcome != "completed":
            self._cancel_asks()
        self.board.emit(*self._translator.turn_ends(all_is_over=all_is_over))
        self._keep(words)
        self.board.emit(add(end_item(turn.id, now(), ended)))
        # Also one that a helper's end began: what it has cost is told nowhere else.
        with contextlib.suppress(OSError):
            self.journal.end(turn.id, ended, why)
        turn.over.set()
        self._wake.set()
        self._show_turn()

    def _words(self) -> Words | None:
        """What Claude says now, as pages have seen it."""
        if not self._turn:
            return None
        self.board.flush()
        items = [self.board.items[one] for one in self._translator.words() if one in self.board.items]
        return Words(self._turn.id, items) if items else None

    def _keep(self, words: Words | None) -> None:
        """What was said in a turn that was cut off stays, though no transcript may ever hold it."""
        with contextlib.suppress(OSError):
            if words and (turn := self._prompt_of(words.turn)):
                self.journal.keep_words(turn, [{**item, "done": True} for item in words.items])
            self._draft.clear()

    def _prompt_of(self, turn: str) -> str | None:
        """A turn that no message began has its prompt, the report of a helper, in the transcript alone."""
        return turn if turn in self.journal.sent else next(reversed(self.transcript.prompts), None)

    async def _interrupt(self, turn: _Turn) -> None:
        """Stops Claude at once; a process that does not listen is ended."""
        process = self._process
        if not process:
            return
        await _ask_to_stop(process, INTERRUPT_S)
        await _over(turn, INTERRUPT_S)
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
            self.transcript.workspace,
            reason=request.reason,
            can_always=request.can_always,
        )
        ask = _Ask(request, item, asyncio.get_running_loop().create_future())
        self._asks[item["id"]] = ask
        self.board.emit(add(item))
        self._note_card(ask)
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

    def _note_card(self, ask: _Ask) -> None:
        """A transcript does not tell of permissions; of questions and plans it does."""
        if ask.item["ask"] == "permission":
            with contextlib.suppress(OSError):
                self.journal.card(ask.request.tool_use_id, dict(self.board.items[ask.item["id"]]))

    # --- the board ---

    def _show_turn(self) -> None:
        self.used_at = time.monotonic()
        if self.board.set_turn(self.turn, len(self._queue)):
            self._house.changed(self)

    def _fresh_board(self) -> Board:
        """The board as the transcript has it, and what was sent but is not in it."""
        items, more = self.transcript.page(None, LONGEST_SNAPSHOT, self.journal)
        known = set(self.transcript.prompts)
        for message in self.journal.messages():
            if message.id not in known and not (more and message.at < items[0]["at"]):
                at = next((i for i, one in enumerate(items) if _follows(one, message)), len(items))
                items[at:at] = self._unsent(message)
        return Board(self.id, items, more=more)

    async def _forget_old(self) -> None:
        """Who looks further back has it from the transcript."""
        board, ids = self.board, self._old()
        known = self.transcript.newest_known
        first = await asyncio.to_thread(known, ids, self.journal, self.open_turn) if ids else None
        if first and first in board.items:
            board.forget_before(first)

    def _old(self) -> list[str]:
        """The items before those of a snapshot, but nothing that may still change."""
        held = self.board.items.all()
        old = held[: len(held) - len(newest(held)) + 1]
        settled = next((at for at, item in enumerate(old) if _may_change(item)), len(old) - 1)
        return [item["id"] for item in old[: settled + 1]]

    def _settle(self) -> None:
        """What a former server left without an end was cut off."""
        left = self._draft.left()
        self._keep(left if left and left.turn not in self.journal.cut_off else None)
        for message in self.journal.unfinished():
            notice = "lost" if message.id in self.journal.begun else "not_sent"
            # On a full disk it is told all the same, and written down by the next server.
            with contextlib.suppress(OSError):
                self.journal.end(message.id, Ended("lost", notice=notice))

    def _unsent(self, message: Sent) -> list[Item]:
        ended = self.journal.ended.get(message.id)
        if not ended:
            return [_user(message, queued=True)]
        if ended.outcome == DROPPED:
            return []
        return [
            _user(message),
            *self.journal.cut_off.get(message.id, []),
            *closing(message.id, message.at, ended, self.journal.troubles.get(message.id)),
        ]

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


async def _ask_to_stop(process: Process, timeout_s: float) -> None:
    """Not by `wait_for`, here and below: before Python 3.12 it may forget that it was cancelled."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(timeout_s):
            await process.interrupt()


async def _over(turn: _Turn, timeout_s: float) -> None:
    """Waits for the turn's end, but not longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await turn.over.wait()


def _may_change(item: Item) -> bool:
    is_open = item.get("status") == "running" or item.get("state") == "open"
    return is_open or item.get("done") is False or item.get("queued") is True


def _user(message: Sent, *, queued: bool = False) -> Item:
    return user_item(message.id, message.at, message.text, queued=queued, attachments=message.attachments)


def _from(message_id: str, journal: Journal) -> list[str]:
    """This message and all that were sent after it."""
    sent = list(journal.sent)
    return sent[sent.index(message_id) :] if message_id in sent else []


def _last_words(journal: Journal, message_id: str) -> str:
    """What Claude was saying when the turn before this message was cut off."""
    sent = [one for one in journal.sent if one not in journal.dropped]
    before = sent[sent.index(message_id) - 1 :][:1] if message_id in sent[1:] else []
    said = [item for turn in before for item in journal.cut_off.get(turn, []) if item["kind"] == "assistant"]
    return "\n\n".join(item["text"] for item in said)


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
