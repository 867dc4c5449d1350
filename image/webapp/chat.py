"""The chat: all conversations of this workspace, and what pages ask of them.

The SDK takes most of a second to import: a thread does it, after the first page or at the first message.
"""

import asyncio
import contextlib
import importlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Protocol, cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from webapp import wording
from webapp.abilities import Abilities
from webapp.attachments import UNKNOWN, Attachments, already_there, kept_as, safe_name, type_of
from webapp.board import Message, Reply, now, refusal
from webapp.config import Config
from webapp.conversation import Conversation, RefusedError
from webapp.conversations import UUID, Index, Summary, about, title_of
from webapp.copying import copy_transcript
from webapp.export import markdown
from webapp.files.uploads import Uploads
from webapp.journal import Journal, Sent
from webapp.memory import free_mb
from webapp.orphans import MARK, end_orphans
from webapp.problem import Problem, json_object, not_found
from webapp.process import Ask, Process, Verdict, Way
from webapp.process import Request as Asked
from webapp.settings import Settings, fault
from webapp.transcript import Transcript, folder_of

log = logging.getLogger("webapp")

MOST_PROCESSES = 3
"""At work at once. One more waits until one of them has nothing to do, or only waits for the person."""
ROOM_MB = 350
"""What must be left for one more beside those: it takes about 220, and what it starts takes some, too."""
LOOK_AGAIN_S = 5.0
MOST_LOADED = 30
LONGEST_TEXT = 1_000_000
MOST_ATTACHMENTS = 20
NEW_CONVERSATION = (["/clear"], ["/reset"], ["/new"])
"""Commands that would make Claude Code go on under another id, in a transcript that nobody looks at."""
CLOSING_S = 2.0
WRITTEN_WITHIN_S = 2.0
TIDY_AFTER_S, TIDY_EVERY_S = 60.0, 24 * 3600.0


class Start(Protocol):
    """Makes a process; `session.Session` is one."""

    def __call__(self, way: Way, ask: Ask) -> Process: ...


class Chat:
    """Everything about conversations; pages reach it through `handle` and `routes`."""

    def __init__(
        self,
        config: Config,
        environment: dict[str, str],
        publish: Callable[[Message], None],
        settings: Callable[[], Settings],
        uploads: Uploads,
    ) -> None:
        self.settings = settings
        self._config = config
        self._environment = environment
        self._publish = publish
        self.abilities = Abilities(
            config.app / "abilities.json", config.workspace, self._ask_claude, self._rest_all
        )
        self.attachments = Attachments(config.app / "attachments", config.workspace, uploads)
        self._index = Index(folder_of(config.claude_config, config.workspace), config.app)
        self._loaded: dict[str, Conversation] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self._following: dict[str, set[str]] = {}
        self._processes: list[Conversation] = []
        self._freed = asyncio.Event()
        self._alone: asyncio.Task[None] | None = None
        self.stirred: Callable[[], None] = _ignored
        """Called when a turn began, waits or ended."""

    # --- the life of the server ---

    async def warm(self) -> None:
        """Gets ready for the first message."""
        await self._starter()

    async def keep_house(self) -> None:
        """Ends what a killed server left, and once a day removes what nobody needs any more."""
        await self._be_alone()
        while True:
            await asyncio.sleep(TIDY_AFTER_S)
            await asyncio.to_thread(self._tidy)
            await asyncio.sleep(TIDY_EVERY_S)

    def _tidy(self) -> None:
        self._index.purge(time.time())
        self.attachments.tidy(self._index.attachments(), time.time())

    async def _be_alone(self) -> None:
        """Nobody but us writes into transcripts."""
        if not self._alone:
            work = asyncio.to_thread(end_orphans, self._config.claude, str(self._config.app))
            self._alone = asyncio.create_task(_done(work))
        await asyncio.shield(self._alone)

    def busy(self) -> bool:
        """Whether Claude works somewhere; not while it only waits for the person."""
        return any(conversation.busy for conversation in self._loaded.values())

    def turns(self) -> int:
        """How many are under way, also those that wait for the person."""
        return sum(one.busy or one.turn != "idle" for one in self._loaded.values())

    async def auth_changed(self, *, signed_in: bool = False) -> None:
        """Processes that have nothing to do end: the next ones start with the new login.

        What failed for want of a login is sent again.
        """
        self._rest_all()
        for conversation in list(self._loaded.values()):
            if signed_in and (failed := conversation.failed_for_want_of_login()):
                with contextlib.suppress(RefusedError, OSError):
                    await self._retry(conversation.id, str(uuid.uuid4()), failed)

    def _rest_all(self) -> None:
        for conversation in self._loaded.values():
            conversation.rest()

    async def close(self) -> None:
        """Cuts off what runs, and keeps all that it brought."""
        await asyncio.gather(*(one.close(CLOSING_S) for one in self._loaded.values()), return_exceptions=True)
        await asyncio.to_thread(self._index.close)

    # --- what a page says on its socket ---

    async def handle(self, message: Message, reply: Reply, session: str) -> None:
        try:
            await self._handle(message, reply, session)
        except RefusedError as error:
            reply(refusal(message, error.code, str(error)))
        except OSError as error:
            log.warning("A message could not be kept: %s", error)
            reply(refusal(message, "not_saved", "Your message could not be saved. Is the disk full?"))

    async def _handle(self, message: Message, reply: Reply, session: str) -> None:
        conversation_id = _uuid(message, "conversation")
        match message["type"]:
            case "follow":
                await self._follow(conversation_id, message, reply, session)
            case "unfollow":
                self._unfollow(conversation_id, session)
            case "send":
                await self._send(conversation_id, message)
            case "retry":
                await self._retry(conversation_id, _uuid(message, "message_id"), _uuid(message, "of"))
            case "continue":
                await self._say(conversation_id, _uuid(message, "message_id"), wording.CONTINUE)
            case "stop":
                if conversation := self._loaded.get(conversation_id):
                    conversation.stop()
            case "take_back":
                conversation = await self._conversation(conversation_id)
                conversation.take_back(_uuid(message, "message_id"))
            case "answer":
                self._answer(conversation_id, message)

    async def _follow(self, conversation_id: str, message: Message, reply: Reply, session: str) -> None:
        conversation = await self._conversation(conversation_id)
        await conversation.refresh()
        epoch, after = message.get("epoch"), message.get("after")
        self._following.setdefault(session, set()).add(conversation_id)
        conversation.board.follow(session, reply, epoch, after if isinstance(after, int) else None)

    def _unfollow(self, conversation_id: str, session: str) -> None:
        self._following.get(session, set()).discard(conversation_id)
        if conversation := self._loaded.get(conversation_id):
            conversation.board.unfollow(session)

    def gone(self, session: str) -> None:
        """This page has left."""
        for conversation_id in self._following.pop(session, set()):
            if conversation := self._loaded.get(conversation_id):
                conversation.board.unfollow(session)

    async def _send(self, conversation_id: str, message: Message) -> None:
        files = message.get("attachments") or []
        attachments = await asyncio.to_thread(self._attached, files) if files else []
        text, choices = message.get("text"), message.get("options") or {}
        if not isinstance(text, str) or not (text.strip() or attachments) or len(text) > LONGEST_TEXT:
            raise RefusedError(
                "bad_text", "A message needs some text, and not more than a million characters."
            )
        if text.split(maxsplit=1)[:1] in NEW_CONVERSATION:
            raise RefusedError("bad_text", "To begin anew, open a new conversation: this one stays as it is.")
        if not isinstance(choices, dict) or (wrong := _wrong_choice(choices)):
            raise RefusedError("bad_option", wrong if isinstance(choices, dict) else "options is an object.")
        replaces = _uuid(message, "replaces") if message.get("replaces") else None
        message_id = _uuid(message, "message_id")
        await self._say(
            conversation_id, message_id, text, attachments=attachments, replaces=replaces, choices=choices
        )

    async def _say(
        self,
        conversation_id: str,
        message_id: str,
        text: str,
        *,
        attachments: list[dict[str, Any]] | None = None,
        replaces: str | None = None,
        choices: dict[str, str | None] | None = None,
    ) -> None:
        conversation = await self._conversation(conversation_id)
        async with conversation.changing:
            await conversation.refresh()
            if conversation.knows(message_id):
                return
            if choices:
                await conversation.choose(**choices)
            if replaces:
                await conversation.go_back(replaces)
            names = ", ".join(one["name"] for one in attachments or [])
            conversation.title = conversation.title or title_of(text.strip() or names)
            conversation.send(message_id, text, attachments)

    async def _retry(self, conversation_id: str, message_id: str, of: str) -> None:
        conversation = await self._conversation(conversation_id)
        text, attachments = conversation.message(of)
        await self._say(conversation_id, message_id, text, attachments=attachments, replaces=of)

    def _attached(self, ids: object) -> list[dict[str, Any]]:
        if not isinstance(ids, list) or len(ids) > MOST_ATTACHMENTS:
            raise RefusedError("bad_attachment", f"A message takes at most {MOST_ATTACHMENTS} files.")
        found = [self.attachments.get(str(one)) for one in ids]
        if None in found:
            raise RefusedError("bad_attachment", "An attached file is gone. Please attach it again.")
        return [asdict(one) for one in found if one]

    def _answer(self, conversation_id: str, message: Message) -> None:
        conversation = self._loaded.get(conversation_id)
        if not conversation:
            raise RefusedError("already_answered", "This question is not open any more.")
        answers = message.get("answers")
        conversation.answer(
            str(message.get("ask")),
            str(message.get("decision")),
            str(message.get("message") or ""),
            answers if isinstance(answers, dict) else {},
        )

    # --- conversations in memory ---

    async def _conversation(self, conversation_id: str) -> Conversation:
        async with self._loading.setdefault(conversation_id, asyncio.Lock()):
            if conversation_id not in self._loaded:
                await self._be_alone()
                self._forget_some()
                self._loaded[conversation_id] = await asyncio.to_thread(self._load, conversation_id)
        self._loading.pop(conversation_id, None)
        conversation = self._loaded[conversation_id]
        # Who asks has it in hand for a moment: another that is loaded meanwhile must not push it out.
        conversation.used_at = time.monotonic()
        return conversation

    def _load(self, conversation_id: str) -> Conversation:
        transcript = Transcript(self._index.transcript_path(conversation_id), str(self._config.workspace))
        journal = Journal(self._index.journal_path(conversation_id))
        transcript.refresh()
        transcript.cut(journal.dropped)
        conversation = Conversation(conversation_id, self, transcript, journal)
        summary = self._index.get(conversation_id)
        conversation.title = summary.title if summary else ""
        return conversation

    def _forget_some(self) -> None:
        spare = sorted((one for one in self._loaded.values() if one.forgettable), key=lambda one: one.used_at)
        for conversation in spare[: max(0, len(self._loaded) - MOST_LOADED + 1)]:
            del self._loaded[conversation.id]

    def changed(self, conversation: Conversation) -> None:
        """A conversation's turn began, waits or ended: the list shows it, and its process may be free."""
        self._freed.set()
        self.stirred()
        summary = Summary(conversation.id, conversation.title, now(), about(conversation.journal))
        self._publish({"type": "conversation", "conversation": summary.json(conversation.turn)})

    # --- processes ---

    async def process(self, conversation: Conversation, *, resume: bool, after: str | None) -> Process:
        start = await self._starter()
        wanted = conversation.wanted
        return start(
            Way(
                claude=self._config.claude,
                workspace=self._config.workspace,
                environment=self._marked,
                conversation=conversation.id,
                resume=resume,
                model=wanted.model or "",
                mode=wanted.permission_mode or "default",
                effort=wanted.effort or "",
                language=self.settings().language,
                after=after,
            ),
            conversation.ask,
        )

    async def content(self, message: Sent) -> str | list[dict[str, Any]]:
        """What Claude gets of a message."""
        if not message.attachments:
            return message.text
        return await asyncio.to_thread(self.attachments.content, message.text, message.attachments)

    async def _ask_claude(self) -> dict[str, Any]:
        """What a process says of itself before it is told anything."""
        start, settings = await self._starter(), self.settings()
        claude, workspace = self._config.claude, self._config.workspace
        way = Way(claude, workspace, self._marked, str(uuid.uuid4()), False, "", settings.permission_mode)
        process = start(way, _nobody)
        try:
            await process.start()
            return process.info
        finally:
            await process.close(CLOSING_S)

    def started(self, process: Process) -> None:
        self.abilities.learn(process.info)

    # --- copies ---

    async def keep(self, conversation: Conversation) -> None:
        """What is about to give way stays as a conversation of its own."""
        await self._copy(conversation, None, f"{conversation.title[:170]} (before the change)")

    async def _copy(self, conversation: Conversation, at: str | None, title: str) -> Summary:
        """Errors: KeyError if there is no such item, LookupError if there is nothing to copy."""
        summary = await asyncio.to_thread(self._copied, conversation, at, title)
        self._publish({"type": "conversation", "conversation": self._json(summary)})
        return summary

    def _copied(self, conversation: Conversation, at: str | None, title: str) -> Summary:
        source, new = conversation.transcript, str(uuid.uuid4())
        prompts = [prompt for prompt in source.prompts if prompt != conversation.open_turn]
        last = source.turn_of_item(at, conversation.journal) if at else next(reversed(prompts), None)
        if last not in prompts:
            raise LookupError("There is nothing to copy yet.")
        kept = prompts[: prompts.index(last) + 1]
        conversation.journal.copy(self._index.journal_path(new), conversation.id, kept)
        copy_transcript(source.path, self._index.transcript_path(new), title, end=source.end_of(last))
        summary = self._index.get(new)
        assert summary
        return summary

    @property
    def _marked(self) -> dict[str, str]:
        return self._environment | {MARK: str(self._config.app)}

    async def _starter(self) -> Start:
        module = await asyncio.to_thread(importlib.import_module, "webapp.session")
        start: Start = module.Session
        return start

    async def slot(self, conversation: Conversation) -> None:
        """Waits until there may be one more process."""
        while not self._has_room():
            self._freed.clear()
            resting = sorted((one for one in self._processes if one.may_rest), key=lambda one: one.used_at)
            if resting:
                resting[0].rest()
            else:
                waiting = sum(one.waits for one in self._processes)
                conversation.tell_crowded(wording.crowded(len(self._processes) - waiting, waiting))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._freed.wait()
        conversation.tell_crowded("")
        self._processes.append(conversation)

    def _has_room(self) -> bool:
        """While there is memory, who waits for the person, perhaps for days, keeps nobody from working."""
        if len(self._processes) < MOST_PROCESSES:
            return True
        at_work = [one for one in self._processes if not one.waits]
        return len(at_work) < MOST_PROCESSES and free_mb() >= ROOM_MB

    def settled(self) -> None:
        """A process may have nothing to do any more."""
        self._freed.set()
        self.stirred()

    def slot_free(self, conversation: Conversation) -> None:
        with contextlib.suppress(ValueError):
            self._processes.remove(conversation)
        self._freed.set()

    # --- HTTP ---

    def routes(self) -> list[Route]:
        one = "/api/conversations/{id}"
        return [
            Route("/api/conversations", self._get_list, methods=["GET"]),
            Route("/api/conversations/deleted", self._get_deleted, methods=["GET"]),
            Route(one, self._patch, methods=["PATCH"]),
            Route(one, self._delete, methods=["DELETE"]),
            Route(f"{one}/restore", self._post_restore, methods=["POST"]),
            Route(f"{one}/fork", self._post_fork, methods=["POST"]),
            Route(f"{one}/export.md", self._get_export),
            *self.attachments.routes(),
            *self.abilities.routes(),
            Route(f"{one}/items", self._get_items, methods=["GET"]),
            Route(f"{one}/pictures/{{picture}}", self._get_picture, methods=["GET"]),
        ]

    async def _get_list(self, request: Request) -> Response:
        limit, offset = _number(request, "limit", 50, 1, 200), _number(request, "offset", 0, 0, 10**9)
        query = request.query_params.get("q", "")[:200]
        found, total = await asyncio.to_thread(self._index.listed, limit, offset, query)
        deleted = await asyncio.to_thread(self._index.has_deleted)
        return JSONResponse(
            {"conversations": [self._json(one) for one in found], "total": total, "deleted": deleted}
        )

    async def _get_deleted(self, _request: Request) -> Response:
        found = await asyncio.to_thread(self._index.deleted)
        return JSONResponse({"conversations": [one.json() for one in found]})

    async def _patch(self, request: Request) -> Response:
        conversation_id, body = _path_id(request), await json_object(request)
        choices = {name: value for name, value in body.items() if name != "title"}
        if wrong := _wrong_choice(choices):
            raise Problem(400, "bad_option", wrong)
        if not await asyncio.to_thread(self._index.get, conversation_id):
            raise not_found("such conversation")
        if choices:
            conversation = await self._conversation(conversation_id)
            await conversation.choose(**cast(dict[str, str | None], choices))
        if "title" in body or not choices:
            await self._rename(conversation_id, body.get("title"))
        summary = await asyncio.to_thread(self._index.get, conversation_id)
        assert summary
        return self._told(summary)

    async def _rename(self, conversation_id: str, title: object) -> None:
        if not isinstance(title, str) or not title.strip() or len(title) > 200 or not title.isprintable():
            raise Problem(400, "bad_title", "A title is one line of 1 to 200 characters.")
        summary = await asyncio.to_thread(self._index.rename, conversation_id, title.strip())
        if summary and (loaded := self._loaded.get(conversation_id)):
            loaded.title = summary.title

    async def _delete(self, request: Request) -> Response:
        conversation_id = _path_id(request)
        if not await asyncio.to_thread(self._index.get, conversation_id):
            raise not_found("such conversation")
        if loaded := self._loaded.pop(conversation_id, None):
            await loaded.close(CLOSING_S)
        await asyncio.to_thread(self._index.delete, conversation_id)
        self._publish({"type": "conversation_gone", "id": conversation_id})
        return Response(status_code=204)

    async def _post_restore(self, request: Request) -> Response:
        summary = await asyncio.to_thread(self._index.restore, _path_id(request))
        if not summary:
            raise not_found("such deleted conversation")
        return self._told(summary)

    async def _post_fork(self, request: Request) -> Response:
        body, conversation = await json_object(request), await self._existing(request)
        at = body.get("at")
        if at is not None and not isinstance(at, str):
            raise Problem(400, "bad_item", "at is the id of an item, or null.")
        try:
            copied = await self._copy(conversation, at, f"{conversation.title[:180]} (copy)")
        except KeyError:
            raise not_found("such item") from None
        except LookupError as error:
            raise Problem(409, "nothing_to_copy", str(error)) from None
        return JSONResponse(self._json(copied), 201)

    async def _get_export(self, request: Request) -> Response:
        conversation = await self._existing(request)
        turns = conversation.transcript.turns(conversation.journal, open_turn=conversation.open_turn)
        name = quote(f"{safe_name(conversation.title or 'conversation')}.md", safe="")
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
        return StreamingResponse(
            markdown(conversation.title, turns), media_type="text/markdown; charset=utf-8", headers=headers
        )

    async def _existing(self, request: Request) -> Conversation:
        conversation_id = _path_id(request)
        if not await asyncio.to_thread(self._index.get, conversation_id):
            raise not_found("such conversation")
        conversation = await self._conversation(conversation_id)
        await conversation.refresh()
        await asyncio.to_thread(conversation.transcript.refresh)
        return conversation

    async def _get_items(self, request: Request) -> Response:
        limit = _number(request, "limit", 200, 1, 500)
        conversation_id = _path_id(request)
        if not await asyncio.to_thread(self._index.get, conversation_id):
            raise not_found("such conversation")
        conversation = await self._conversation(conversation_id)
        try:
            items, more = await conversation.page(request.query_params.get("before"), limit)
        except KeyError:
            raise not_found("such item") from None
        return JSONResponse({"items": items, "more": more})

    async def _get_picture(self, request: Request) -> Response:
        picture, conversation = request.path_params["picture"], await self._existing(request)
        if answer := already_there(request, picture):
            return answer
        content = await self._written(conversation, picture)
        type_ = type_of(content[:16], "") if content else UNKNOWN
        if not content or type_ == UNKNOWN:
            raise not_found("such picture")
        return Response(content, media_type=type_, headers=kept_as(picture))

    async def _written(self, conversation: Conversation, picture: str) -> bytes | None:
        """Claude Code tells of a picture a moment before it writes it down."""
        deadline = time.monotonic() + (WRITTEN_WITHIN_S if conversation.busy else 0)
        while True:
            find = conversation.transcript.picture
            found = await asyncio.to_thread(find, picture, conversation.journal)
            if found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    def _told(self, summary: Summary) -> Response:
        self._publish({"type": "conversation", "conversation": self._json(summary)})
        return JSONResponse(self._json(summary))

    def _json(self, summary: Summary) -> dict[str, Any]:
        loaded = self._loaded.get(summary.id)
        return summary.json(loaded.turn if loaded else "idle")


async def _done(work: Awaitable[object]) -> None:
    await work


def _ignored() -> None:
    """Nobody wants to know."""


async def _nobody(_request: Asked) -> Verdict:
    return Verdict(allow=False, message=wording.REFUSED_TO_RUN)


def _wrong_choice(choices: dict[str, Any]) -> str:
    """What is wrong with a conversation's own choices, "" if nothing."""
    for name, value in choices.items():
        if name not in ("model", "effort", "permission_mode"):
            return f"There is no choice {name[:40]!r}."
        if value is not None and (wrong := fault(name, value)):
            return wrong
    return ""


def _uuid(message: Message, name: str) -> str:
    value = message.get(name)
    if isinstance(value, str) and UUID.fullmatch(value):
        return value
    raise RefusedError("bad_id", f"The {name.removesuffix('_id')} has no proper id.")


def _path_id(request: Request) -> str:
    value = str(request.path_params["id"])
    if not UUID.fullmatch(value):
        raise not_found("such conversation")
    return value


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise Problem(400, "bad_number", f"{name} must be a number.")
    return min(most, max(least, int(text[:12])))
