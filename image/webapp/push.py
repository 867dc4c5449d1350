"""News for a device that shows no page, a phone in a pocket: by the push service of its browser (RFC 8030).

Only for devices on which she asked for it, and only while no page of hers is looked at anywhere. The service
learns that this workspace has news, not what they are: they are sealed for the browser, and hold no word of
any conversation. A device that is signed out gets nothing more.
"""

import asyncio
import importlib
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webapp.access import device_id
from webapp.jsonfile import read_object, save_object
from webapp.problem import Problem, json_object

log = logging.getLogger("webapp")

MOST_RECEIVERS = 20
LONGEST_ENDPOINT = 1000
KEPT_BY_THE_SERVICE_S = 4 * 3600
"""For a phone without a network; later it is no news any more."""
SENT_WITHIN_S = 10.0
GONE = (404, 410)
WAITS, FINISHED = "Claude waits for your answer", "Claude has finished"


@dataclass(frozen=True)
class Receiver:
    """A browser, and the device that it is on; "" where nobody has to sign in."""

    endpoint: str
    p256dh: str
    auth: str
    device: str


class Push:
    def __init__(
        self, file: Path, subject: str, is_in: Callable[[str], bool], is_looked_at: Callable[[], bool]
    ) -> None:
        """`subject` is whom a push service may turn to: an address of https or mail."""
        self._file = file
        self._subject = subject
        self._is_in = is_in
        self._is_looked_at = is_looked_at
        self._turns: dict[str, str] = {}
        self._changing = asyncio.Lock()
        self._sending: set[asyncio.Task[None]] = set()
        self._closed = False

    def hear(self, message: dict[str, Any]) -> None:
        """What all pages are told; where that is news, it goes out."""
        if message["type"] != "conversation" or self._closed:
            return
        conversation, turn = message["conversation"]["id"], message["conversation"]["turn"]
        news = news_of(self._turns.get(conversation, "idle"), turn)
        self._turns[conversation] = turn
        if turn == "idle":
            del self._turns[conversation]
        if news and not self._is_looked_at():
            task = asyncio.create_task(self._send(news, conversation))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """What is under way goes out, and nothing after it."""
        self._closed = True
        if self._sending:
            await asyncio.wait(self._sending)

    def routes(self) -> list[Route]:
        return [
            Route("/api/push", self._get, methods=["GET"]),
            Route("/api/push", self._post, methods=["POST"]),
            Route("/api/push", self._delete, methods=["DELETE"]),
        ]

    # --- sending ---

    async def _send(self, news: str, conversation: str) -> None:
        words = json.dumps({"title": news, "conversation": conversation})
        try:
            async with self._changing:
                known = await asyncio.to_thread(self._receivers)
                receivers = [one for one in known if self._is_in(one.device)]
                await asyncio.to_thread(self._send_to, receivers, words.encode(), known)
        except Exception:
            log.exception("Nobody could be notified")

    def _send_to(self, receivers: list[Receiver], words: bytes, known: list[Receiver]) -> None:
        left = [one for one in receivers if self._reached(one, words)]
        if left != known:
            self._save(left)

    def _reached(self, receiver: Receiver, words: bytes) -> bool:
        """False if there is no such browser any more."""
        sealed = importlib.import_module("webapp.sealed")
        headers = {
            "authorization": sealed.authorization(self._key(), receiver.endpoint, self._subject),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(KEPT_BY_THE_SERVICE_S),
            "urgency": "high",
        }
        body = sealed.sealed(words, receiver.p256dh, receiver.auth)
        # Nothing but https came in.
        request = urllib.request.Request(receiver.endpoint, body, headers, method="POST")  # noqa: S310
        try:
            urllib.request.urlopen(request, timeout=SENT_WITHIN_S).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            log.info("%s does not pass a message on: %s", urlsplit(receiver.endpoint).hostname, error.code)
            return error.code not in GONE
        except OSError as error:
            log.info("%s cannot be reached: %s", urlsplit(receiver.endpoint).hostname, error)
        return True

    # --- what is kept ---

    def _receivers(self) -> list[Receiver]:
        return [Receiver(**one) for one in read_object(self._file).get("receivers", [])]

    def _key(self) -> str:
        """This workspace's own, drawn when it is first asked for.

        Errors: Problem 507.
        """
        if not (kept := read_object(self._file)).get("key"):
            kept["key"] = importlib.import_module("webapp.sealed").new_key()
            save_object(self._file, kept, "The key for notifications")
        return str(kept["key"])

    def _save(self, receivers: list[Receiver]) -> None:
        kept = {"key": self._key(), "receivers": [asdict(one) for one in receivers[-MOST_RECEIVERS:]]}
        save_object(self._file, kept, "The choice")

    # --- HTTP ---

    async def _get(self, _request: Request) -> Response:
        async with self._changing:
            return JSONResponse({"key": await asyncio.to_thread(self._public_key)})

    def _public_key(self) -> str:
        return str(importlib.import_module("webapp.sealed").public_of(self._key()))

    async def _post(self, request: Request) -> Response:
        receiver = await asyncio.to_thread(_receiver, await json_object(request), device_id(request))
        async with self._changing:
            await asyncio.to_thread(self._put, receiver.endpoint, receiver)
        return Response(status_code=204)

    async def _delete(self, request: Request) -> Response:
        endpoint = (await json_object(request)).get("endpoint")
        async with self._changing:
            await asyncio.to_thread(self._put, str(endpoint), None)
        return Response(status_code=204)

    def _put(self, endpoint: str, receiver: Receiver | None) -> None:
        others = [one for one in self._receivers() if one.endpoint != endpoint]
        self._save([*others, receiver] if receiver else others)


def news_of(before: str, turn: str) -> str:
    """What is new for a person; "" where nothing is."""
    if turn == "waiting" != before:
        return WAITS
    return FINISHED if turn == "idle" != before else ""


def _receiver(given: dict[str, object], device: str) -> Receiver:
    """Errors: Problem 400."""
    endpoint, keys = given.get("endpoint"), given.get("keys")
    try:
        if not isinstance(endpoint, str) or not isinstance(keys, dict) or len(endpoint) > LONGEST_ENDPOINT:
            raise ValueError
        parts = urlsplit(endpoint)
        if parts.scheme != "https" or not parts.hostname or parts.username or not endpoint.isascii():
            raise ValueError
        receiver = Receiver(endpoint, str(keys.get("p256dh")), str(keys.get("auth")), device)
        importlib.import_module("webapp.sealed").check_receiver(receiver.p256dh, receiver.auth)
    except ValueError:
        raise Problem(400, "bad_subscription", "This is not what a browser subscribes with.") from None
    return receiver
