"""The stand-in of Anthropic's servers keeps its word, and the real Claude binary believes it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import claude_agent_sdk
import pytest

from tests.support.anthropic import script
from tests.support.anthropic.authority import issue
from tests.support.anthropic.server import (
    API_KEY,
    HOSTS,
    Answer,
    Request,
    State,
    answer,
    authorise,
    challenge_of,
)
from tests.support.anthropic.standin import Anthropic, printed_url

CLAUDE = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
VERIFIER = "a-verifier-of-some-length-that-only-the-client-knows"
SHORT = f"https://claude.ai/oauth/authorize?z-{challenge_of(VERIFIER)}"
SHORT_FOR_A_KEY = f"https://platform.claude.com/oauth/authorize?T-{challenge_of(VERIFIER)}"
LONG = "https://claude.com/cai/oauth/authorize?" + urlencode(
    {
        "response_type": "code",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "state": "STATE",
    }
)


def ask(
    state: State, host: str, path: str, body: object = None, bearer: str = "", method: str = "POST"
) -> Answer:
    """What one of Anthropic's hosts says."""
    headers = {"host": host} | ({"authorization": f"Bearer {bearer}"} if bearer else {})
    request = Request(0, host, method, path, "", headers, body)
    given = asyncio.run(answer(state, request, plain=False))
    assert isinstance(given, Answer)
    return given


def log_in(state: State, code: str, verifier: str = VERIFIER) -> Answer:
    body = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    return ask(state, "platform.claude.com", "/v1/oauth/token", body)


# --- logging in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "after"),
    [(SHORT, challenge_of(VERIFIER)), (SHORT_FOR_A_KEY, challenge_of(VERIFIER)), (LONG, "STATE")],
    ids=["short", "short, for a key", "long"],
)
def test_a_code_and_its_verifier_give_tokens_once(url: str, after: str) -> None:
    state = State()
    code, _, shown = authorise(state, url).partition("#")
    assert shown == after
    tokens = log_in(state, code)
    assert (tokens.status, tokens.body["account"]["email_address"]) == (200, "lilach@example.com")
    assert log_in(state, code).status == 400


def test_a_wrong_verifier_gives_nothing() -> None:
    state = State()
    code = authorise(state, SHORT).partition("#")[0]
    assert log_in(state, code, "another verifier").status == 400
    assert not state.access


def test_an_unknown_code_gives_nothing() -> None:
    assert log_in(State(), "code-invented").status == 400


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/oauth/authorize?z-x",
        "https://claude.ai/other?z-x",
        "https://claude.ai/oauth/authorize?a=b",
    ],
)
def test_an_address_that_is_no_login_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        authorise(State(), url)


def test_a_token_opens_the_profile_until_it_expires_and_a_refresh_brings_the_next() -> None:
    state = State()
    tokens = log_in(state, authorise(state, SHORT).partition("#")[0]).body

    def profile(token: str) -> int:
        return ask(state, "api.anthropic.com", "/api/oauth/profile", bearer=token, method="GET").status

    assert (profile(tokens["access_token"]), profile("sk-ant-oat01-invented")) == (200, 401)
    state.access.clear()
    assert profile(tokens["access_token"]) == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    fresh = ask(state, "platform.claude.com", "/v1/oauth/token", refresh)
    assert profile(fresh.body["access_token"]) == 200
    assert ask(state, "platform.claude.com", "/v1/oauth/token", refresh).status == 400


def test_a_revoked_token_opens_nothing() -> None:
    state = State()
    token = log_in(state, authorise(state, SHORT).partition("#")[0]).body["access_token"]
    ask(state, "platform.claude.com", "/v1/oauth/token/revoke", {"token": token})
    assert (
        ask(state, "api.anthropic.com", "/api/oauth/claude_cli/roles", bearer=token, method="GET").status
        == 401
    )


def test_each_host_answers_only_for_itself() -> None:
    state = State()
    assert ask(state, "claude.ai", "/v1/oauth/token", {"grant_type": "refresh_token"}).status == 404
    assert ask(state, "api.anthropic.com", "/v1/oauth/token", {"grant_type": "refresh_token"}).status == 404
    assert ask(state, "api.anthropic.com", "/api/claude_cli/bootstrap", method="GET").status == 404
    assert ask(state, "api.anthropic.com", "/_control/forget").status == 404


@pytest.mark.parametrize(
    "output",
    [
        f"If the browser didn't open, visit:\r\n\x1b]8;;{SHORT}\x07\x1b[94m{SHORT}\x1b[39m\x1b]8;;\x07\r\n",
        f"visit:\n{SHORT}\n",
        f"visit: \x1b[94m{SHORT}\x1b[39m\r\n",
        f"\x1b]8;;{SHORT}\x1b\\{SHORT[:40]}\r\n{SHORT[40:]}\x1b]8;;\x1b\\\r\n",
    ],
    ids=["hyperlink", "pipe", "coloured", "wrapped"],
)
def test_the_printed_address_is_found_however_it_is_dressed(output: str) -> None:
    assert printed_url(output) == SHORT


def test_one_certificate_holds_for_every_host() -> None:
    from cryptography import x509

    certificates = issue(HOSTS)
    leaf = x509.load_pem_x509_certificate(certificates.certificate_pem)
    ca = x509.load_pem_x509_certificate(certificates.ca_pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == HOSTS
    leaf.verify_directly_issued_by(ca)


# --- the script -----------------------------------------------------------------------------------


def user(*texts: str) -> script.Json:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


ASSISTANT: script.Json = {"role": "assistant", "content": [{"type": "text", "text": "ok"}]}


def test_the_prompt_is_what_the_person_said_last() -> None:
    messages = [
        user("first"),
        ASSISTANT,
        user("[Request interrupted by user]", "second", "<system-reminder>\nnot this\n</system-reminder>\n"),
    ]
    turn = script.turn_of(messages)
    assert (turn.prompt, turn.answered, turn.earlier) == ("second", 0, ("first",))


def test_a_response_ends_with_a_tool_and_those_beside_it() -> None:
    prompt = '[say a] [tool Bash {"command": "x [y]"}] [also Bash {"command": "z"}] [say b]'
    first = script.response(script.Turn(prompt, 0)).steps
    assert [type(step).__name__ for step in first] == ["Text", "Tool", "Tool"]
    assert script.response(script.Turn(prompt, 1)).steps == [script.Text(("b",))]


def test_a_tool_without_a_next_step_is_answered_with_its_result() -> None:
    (step,) = script.response(script.Turn("[tool Bash {}]", 1, tool_results=("hi there",))).steps
    assert isinstance(step, script.Text)
    assert "".join(step.words) == "The tool said: hi there"


@pytest.mark.parametrize(
    "prompt", ["[say never closed", "[tool Bash {broken]", "[wait long]", "[tokens many]"]
)
def test_a_step_that_makes_no_sense_is_the_tests_mistake(prompt: str) -> None:
    with pytest.raises(script.ScriptError):
        script.steps(prompt)


# --- the real binary ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def anthropic() -> Iterator[Anthropic]:
    with Anthropic.in_process() as running:
        yield running


def claude(
    anthropic: Anthropic, prompt: str, folder: Path, by: str = "key"
) -> subprocess.CompletedProcess[str]:
    """What ``claude -p`` says to the prompt, in an empty home."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CLAUDE_CONFIG_DIR": str(folder)}
    environment |= anthropic.environment(by=by)  # type: ignore[arg-type]
    return subprocess.run(
        [CLAUDE, "-p", prompt, "--allowedTools", "Bash"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("good morning", "You said: good morning"),
        ('[think 2 at 1 ms] [tool Bash {"command": "echo $((6*7))"}]', "The tool said: 42"),
        ("[cut after 2 once] [say whole again]", "whole again"),
    ],
)
def test_the_real_binary_gets_its_answer(
    anthropic: Anthropic, tmp_path: Path, prompt: str, said: str
) -> None:
    assert claude(anthropic, prompt, tmp_path).stdout.strip() == said


def test_the_real_binary_meets_a_used_up_limit(anthropic: Anthropic, tmp_path: Path) -> None:
    ended = claude(anthropic, "[limit five_hour in 3600 s]", tmp_path, by="subscription")
    assert (ended.returncode, "5-hour limit" in ended.stdout) == (1, True)


def test_the_real_binary_without_a_login_asks_for_one(anthropic: Anthropic, tmp_path: Path) -> None:
    anthropic.clear()
    assert "Not logged in" in claude(anthropic, "hello", tmp_path, by="nothing").stdout
    assert not anthropic.prompts()


def test_what_the_real_binary_sent_is_kept(anthropic: Anthropic, tmp_path: Path) -> None:
    anthropic.clear()
    claude(anthropic, "remember me", tmp_path)
    (request,) = anthropic.prompts()
    assert request.headers["x-api-key"] == API_KEY
    assert "remember me" in json.dumps(request.body["messages"])
