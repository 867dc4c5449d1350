"""Whose login Claude Code has: asked seldom, known soon."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from webapp.auth import Auth, Login, parse_status
from webapp.config import Config

from tests.support.webapp import NoChat, Served, run_async, short_environment, workspace_config

SIGNED_OUT = {"loggedIn": False, "authMethod": "none", "configDirectory": "/data/claude"}
SIGNED_IN = {
    "loggedIn": True,
    "authMethod": "claude.ai",
    "email": "lilach@example.com",
    "orgName": "Lilach's",
    "subscriptionType": "max",
}

# Stands for the binary: answers what lies beside it, notes each question, and can be slow.
CLAUDE = """#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >> asked
env > environment
[ -f slow ] && sleep "$(cat slow)"
[ "$*" = "auth logout" ] && [ ! -f deaf ] && echo '{"loggedIn": false}' > status && exit 0
cat status
grep -q true status
"""


class Binary:
    """A claude that says what the test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.path = folder / "claude"
        self.path.write_text(CLAUDE)
        self.path.chmod(0o755)
        self.says(SIGNED_OUT)

    def says(self, status: dict[str, Any] | str) -> None:
        (self.folder / "status").write_text(status if isinstance(status, str) else json.dumps(status))

    def asked(self) -> list[str]:
        asked = self.folder / "asked"
        return asked.read_text().splitlines() if asked.exists() else []


@pytest.fixture
def binary(tmp_path: Path) -> Binary:
    return Binary(tmp_path / "bin")


@pytest.fixture
def config(tmp_path: Path, binary: Binary) -> Config:
    return workspace_config(tmp_path, binary.path)


class Watched:
    """A login under watch, and all changes that it told."""

    def __init__(self, config: Config) -> None:
        self.told: list[Auth] = []
        self.somebody = True
        self.login = Login(config, short_environment(config), self.told.append)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not true():
                await asyncio.sleep(0.01)


def watching(config: Config, story: Callable[[Watched], Awaitable[None]]) -> None:
    async def run() -> None:
        watched = Watched(config)
        watch = asyncio.create_task(watched.login.watch(lambda: watched.somebody))
        try:
            await story(watched)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    run_async(run)


def log_in(binary: Binary, config: Config, status: dict[str, Any] = SIGNED_IN) -> None:
    """What a login leaves behind."""
    binary.says(status)
    (config.claude_config / ".credentials.json").write_text('{"claudeAiOauth": {}}')


def test_a_status_is_read() -> None:
    auth = parse_status(json.dumps(SIGNED_IN).encode())
    assert auth.says_the_same_as(Auth("signed_in", "claude.ai", "lilach@example.com", "Lilach's", "max"))
    assert auth.checked_at is not None
    assert auth.checked_at.endswith("Z")
    assert parse_status(json.dumps(SIGNED_OUT).encode()).says_the_same_as(Auth("signed_out"))


@pytest.mark.parametrize("output", [b"", b"[]", b"{}", b'{"loggedIn": "yes"}', b"Error: no", b"\xff"])
def test_what_is_no_status_is_not_taken_for_one(output: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_status(output)


def test_a_login_is_noticed_by_itself(config: Config, binary: Binary) -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: watched.login.now.state == "signed_out")
        log_in(binary, config)
        await watched.until(lambda: watched.login.now.state == "signed_in")
        assert [auth.state for auth in watched.told] == ["signed_out", "signed_in"]
        assert watched.told[-1].email == "lilach@example.com"

    watching(config, story)


def test_a_logout_in_the_terminal_is_noticed_by_itself(config: Config, binary: Binary) -> None:
    log_in(binary, config)

    async def story(watched: Watched) -> None:
        await watched.until(lambda: watched.login.now.state == "signed_in")
        binary.says(SIGNED_OUT)
        (config.claude_config / ".credentials.json").unlink()
        await watched.until(lambda: watched.login.now.state == "signed_out")

    watching(config, story)


def test_a_login_that_came_to_its_end_is_told_from_one_that_was_logged_out(
    config: Config, binary: Binary
) -> None:
    log_in(binary, config, {**SIGNED_IN, "loginExpiresAt": "2026-12-23T07:15:51.291Z"})

    async def story(watched: Watched) -> None:
        await watched.until(lambda: watched.login.now.expires_at == "2026-12-23T07:15:51.291Z")
        binary.says(SIGNED_OUT)
        ended = '{"claudeAiOauth": {"accessToken": "", "refreshToken": ""}}'  # as Claude leaves it then
        (config.claude_config / ".credentials.json").write_text(ended)
        await watched.until(lambda: watched.login.now.expired)
        assert watched.login.now.state == "signed_out"
        (config.claude_config / ".credentials.json").unlink()
        await watched.until(lambda: not watched.login.now.expired)

    watching(config, story)


def test_a_login_that_was_renewed_is_no_news() -> None:
    before, after = (Auth("signed_in", email="a@b.example", expires_at=when) for when in ("2026", "2027"))
    assert before.says_the_same_as(after)


def test_another_account_is_noticed(config: Config, binary: Binary) -> None:
    log_in(binary, config)

    async def story(watched: Watched) -> None:
        await watched.until(lambda: watched.login.now.email == "lilach@example.com")
        binary.says({**SIGNED_IN, "email": "noam@example.com"})
        (config.claude_config / ".claude.json").write_text(
            '{"oauthAccount": {"emailAddress": "noam@example.com"}}'
        )
        await watched.until(lambda: watched.login.now.email == "noam@example.com")

    watching(config, story)


def test_the_binary_is_asked_only_when_the_login_may_have_changed(
    config: Config, binary: Binary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.auth.LOOK_EVERY_S", 0.01)

    async def story(watched: Watched) -> None:
        await watched.until(lambda: watched.login.now.state == "signed_out")
        for turn in range(10):  # Claude writes its file with every turn
            content = {
                "numStartups": turn,
                "oauthAccount": None,
                "projects": {"/data/workspace": {"cost": turn}},
            }
            (config.claude_config / ".claude.json").write_text(json.dumps(content))
            await asyncio.sleep(0.03)
        questions = len(binary.asked())
        assert questions <= 2, "the account has not changed"

    watching(config, story)


def test_nobody_there_means_no_question(
    config: Config, binary: Binary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.auth.LOOK_EVERY_S", 0.01)

    async def story(watched: Watched) -> None:
        watched.somebody = False
        await asyncio.sleep(0.2)
        assert binary.asked() == []
        watched.somebody = True
        await watched.until(lambda: watched.login.now.state == "signed_out")

    watching(config, story)


def test_many_who_ask_at_once_share_one_question(config: Config, binary: Binary) -> None:
    (binary.folder / "slow").write_text("0.2")

    async def ask() -> None:
        login = Login(config, short_environment(config), lambda auth: None)
        first = asyncio.create_task(login.ask())
        await asyncio.sleep(0.05)
        binary.says(SIGNED_IN)
        await asyncio.gather(first, *(login.ask() for _ in range(20)))
        assert login.now.state == "signed_in"  # those who came later did not get the older answer

    run_async(ask)
    assert binary.asked() == ["auth status"] * 2


def test_the_binary_sees_the_short_environment(
    config: Config, binary: Binary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLY_API_TOKEN", "secret")

    async def story(watched: Watched) -> None:
        await watched.until(lambda: watched.login.now.state == "signed_out")

    watching(config, story)
    seen = (binary.folder / "environment").read_text()
    assert f"CLAUDE_CONFIG_DIR={config.claude_config}" in seen
    assert "secret" not in seen


def test_no_answer_keeps_what_was_known(
    config: Config, binary: Binary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("webapp.auth.STATUS_LIMIT_S", 0.5)
    log_in(binary, config)

    async def ask() -> None:
        login = Login(config, short_environment(config), lambda auth: None)
        assert await login.ask()
        binary.says("Error: something")
        assert not await login.ask()
        (binary.folder / "slow").write_text("60")
        assert not await login.ask()
        binary.path.unlink()
        assert not await login.ask()
        assert not await login.ask()
        assert login.now.email == "lilach@example.com"

    with caplog.at_level(logging.WARNING):
        run_async(ask)
    assert len(caplog.records) == 3, "each trouble is said once"


def test_a_binary_that_hangs_is_not_left_running(
    config: Config, binary: Binary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.auth.STATUS_LIMIT_S", 0.3)
    binary.path.write_text('#!/bin/sh\necho $$ > "$(dirname "$0")/pid"\nexec sleep 60\n')

    async def ask() -> None:
        assert not await Login(config, short_environment(config), lambda auth: None).ask()

    run_async(ask)
    assert not Path("/proc", (binary.folder / "pid").read_text().strip()).exists()


def receive(socket: Any, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=60))
        if message["type"] == kind:
            return message


def test_the_first_page_does_not_wait_for_the_binary(served: Served, binary: Binary) -> None:
    (binary.folder / "slow").write_text("1")
    with served.connect("/api/live") as live:
        boot = json.loads(live.recv(timeout=60))["boot"]
        assert boot["auth"] == Auth().json()
        assert receive(live, "auth")["auth"]["state"] == "signed_out"


def test_the_page_and_the_chat_hear_of_a_login(
    served: Served, config: Config, binary: Binary, chat: NoChat
) -> None:
    with served.connect("/api/live") as live:
        assert receive(live, "auth")["auth"]["state"] == "signed_out"
        log_in(binary, config)
        assert receive(live, "auth")["auth"]["email"] == "lilach@example.com"
    assert chat.calls.count("auth_changed") == 2


def test_who_only_asks_comes_to_know(served: Served) -> None:
    from tests.support.wait import wait_until

    with served.client() as client:
        assert client.get("/api/auth").json()["state"] == "checking"
        wait_until(lambda: client.get("/api/auth").json()["state"] == "signed_out", "an answer")


def test_a_fresh_answer_is_the_binarys_own(served: Served, binary: Binary) -> None:
    with served.client() as client:
        assert client.get("/api/auth?fresh=1").json()["state"] == "signed_out"
        binary.says(SIGNED_IN)  # nothing on disk tells it
        assert client.get("/api/auth").json()["state"] == "signed_out"
        assert client.get("/api/auth?fresh=1").json()["plan"] == "max"


def test_logging_out(served: Served, config: Config, binary: Binary) -> None:
    log_in(binary, config)
    with served.client() as client:
        assert client.get("/api/auth?fresh=1").json()["state"] == "signed_in"
        assert client.post("/api/auth/logout").json()["state"] == "signed_out"
    assert "auth logout" in binary.asked()


def test_a_key_that_cannot_be_logged_out_is_said(served: Served, binary: Binary) -> None:
    binary.says({"loggedIn": True, "authMethod": "api_key"})
    (binary.folder / "deaf").touch()
    with served.client() as client:
        answer = client.post("/api/auth/logout")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "still_signed_in")
