"""Is Claude Code logged in, and as whom? Only `claude auth status` knows."""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webapp.config import Config
from webapp.problem import Problem

log = logging.getLogger("webapp")

LOOK_EVERY_S = 0.5
SETTLE_S = 0.2  # a login writes several files
STATUS_LIMIT_S = 15.0
LOGOUT_LIMIT_S = 20.0
ASK_AGAIN_AFTER_S = 10.0
# The parts of .claude.json that say who is logged in; the rest of it changes with every turn.
ACCOUNT_KEYS = ("oauthAccount", "primaryApiKey", "customApiKeyResponses")


@dataclass(frozen=True)
class Auth:
    """Whose login Claude Code has.

    Shape: {"state": "checking|signed_out|signed_in", "method": "claude.ai", "email": "…",
    "organisation": "…", "plan": "max", "expires_at": "2026-12-23T01:07:50.291Z", "expired": false,
    "checked_at": "2026-11-23T01:07:50Z"}, null for what is not known; expired: a login came to its end
    """

    state: str = "checking"
    method: str | None = None
    email: str | None = None
    organisation: str | None = None
    plan: str | None = None
    expires_at: str | None = None
    expired: bool = False
    checked_at: str | None = None

    def json(self) -> dict[str, Any]:
        return asdict(self)

    def says_the_same_as(self, other: "Auth") -> bool:
        """A login that was renewed by itself is still the same."""
        before, after = (replace(one, checked_at=None, expires_at=None) for one in (self, other))
        return before == after


def parse_status(output: bytes) -> Auth:
    """What `claude auth status` has printed.

    Errors: ValueError, KeyError if it is not what we know.
    """
    status = json.loads(output)
    if not isinstance(status, dict) or not isinstance(status["loggedIn"], bool):
        raise ValueError("no loggedIn in it")
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if not status["loggedIn"]:
        return Auth("signed_out", checked_at=now)
    return Auth(
        "signed_in",
        method=status.get("authMethod"),
        email=status.get("email"),
        organisation=status.get("orgName"),
        plan=status.get("subscriptionType"),
        expires_at=status.get("loginExpiresAt"),
        checked_at=now,
    )


class Login:
    """The state of the login, and who wants to know when it changes."""

    def __init__(self, config: Config, environment: dict[str, str], changed: Callable[[Auth], None]) -> None:
        self._config = config
        self._environment = environment
        self._changed = changed
        self._asking = asyncio.Lock()
        self._began = float("-inf")  # when the last question was asked
        self._seen: object = None  # the traces of the login on disk when the last question was asked
        self._account = _AccountTrace(config)
        self._credentials = config.claude_config / ".credentials.json"
        self.now = Auth()
        self._complaint = ""
        self._background: asyncio.Task[bool] | None = None
        self.tried = asyncio.Event()

    def routes(self) -> list[Route]:
        return [
            Route("/api/auth", self._get),
            Route("/api/auth/logout", self._post_logout, methods=["POST"]),
        ]

    async def _get(self, request: Request) -> Response:
        if request.query_params.get("fresh") == "1":
            await self.ask()
        elif self._traces() != self._seen and not self._asking.locked():
            self._background = asyncio.create_task(self.ask())
        return JSONResponse(self.now.json())

    async def _post_logout(self, _request: Request) -> Response:
        await self.log_out()
        return JSONResponse(self.now.json())

    async def watch(self, anybody: Callable[[], bool]) -> None:
        """For ever: while anybody looks, asks as soon as the traces on disk change."""
        while True:
            if anybody() and self._traces() != self._seen:
                if self.tried.is_set():
                    await self._settle()
                if not await self.ask():
                    await asyncio.sleep(ASK_AGAIN_AFTER_S)
            await asyncio.sleep(LOOK_EVERY_S)

    async def ask(self) -> bool:
        """Asks the binary; False if it has no answer.

        Whoever comes while a question is out shares the next answer: the one under way may be too old.
        """
        loop = asyncio.get_running_loop()
        came = loop.time()
        async with self._asking:
            if self._began >= came:
                return self.now.state != "checking"
            self._began = loop.time()
            traces = self._traces()
            answer = await self._answer()
            if answer and answer.state == "signed_out":
                answer = replace(answer, expired=_has_former_login(self._credentials))
            self.tried.set()
            if answer is None:
                return False
            self._seen = traces
            before, self.now = self.now, answer
            self._complaint = ""
        if not answer.says_the_same_as(before):
            self._changed(answer)
        return True

    async def log_out(self) -> None:
        """Errors: Problem 502 if Claude Code is still logged in afterwards."""
        await self._run(LOGOUT_LIMIT_S, "auth", "logout")
        await self.ask()
        if self.now.state == "signed_in":
            hint = "A key that the operator has set for this workspace cannot be logged out."
            raise Problem(502, "still_signed_in", "Claude Code is still logged in.", hint)

    async def _settle(self) -> None:
        while True:
            before = self._traces()
            await asyncio.sleep(SETTLE_S)
            if self._traces() == before:
                return

    async def _answer(self) -> Auth | None:
        output = await self._run(STATUS_LIMIT_S, "auth", "status")
        try:
            return None if output is None else parse_status(output)
        except (ValueError, KeyError) as error:
            self._complain(f"claude auth status answered something unknown: {error}")
            return None

    async def _run(self, limit_s: float, *arguments: str) -> bytes | None:
        """What the binary prints; None if it does not run or does not end in time."""
        try:
            process = await asyncio.create_subprocess_exec(
                str(self._config.claude),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,  # a group of its own, which can be killed whole
            )
        except OSError as error:
            self._complain(f"{self._config.claude} cannot be started: {error.strerror}")
            return None
        try:
            async with asyncio.timeout(limit_s):
                output, _ = await process.communicate()
        except TimeoutError:
            self._complain(f"claude {' '.join(arguments)} gave no answer in {limit_s:.0f} s")
            return None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return output

    def _complain(self, text: str) -> None:
        """Once, and not every ten seconds."""
        if text != self._complaint:
            log.warning("%s", text)
        self._complaint = text

    def _traces(self) -> object:
        return _version(self._credentials), self._account.digest()


class _AccountTrace:
    """A digest of the account in `.claude.json`, read again only when the file has changed."""

    def __init__(self, config: Config) -> None:
        self._path = config.claude_config / ".claude.json"
        self._version: object = None
        self._digest = ""

    def digest(self) -> str:
        version = _version(self._path)
        if version != self._version:
            self._digest = _digest_of_account(self._path) or self._digest
            self._version = version
        return self._digest


def _has_former_login(credentials: Path) -> bool:
    """Claude empties a login that came to its end, and removes one that was logged out."""
    try:
        return isinstance(json.loads(credentials.read_bytes()).get("claudeAiOauth"), dict)
    except (OSError, ValueError, AttributeError):
        return False


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _digest_of_account(path: Path) -> str:
    """ "" if the file cannot be read just now."""
    try:
        content = json.loads(path.read_bytes())
        account = {key: content.get(key) for key in ACCOUNT_KEYS}
    except (OSError, ValueError, AttributeError):
        return ""
    return hashlib.sha256(json.dumps(account, sort_keys=True).encode()).hexdigest()
