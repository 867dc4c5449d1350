"""What the stand-in answers: chosen by the prompt itself.

Words in square brackets are steps; all else is talk. Without steps the answer is ``You said: <the words>``
(what stands before the first step; ``Done.`` without any). Steps are spread over as many responses as the
tools need: a response ends with a tool call (and the ``also`` calls after it), or with the last step. When
they are used up, a tool's result is answered with ``The tool said: <result>``.

::

    [say TEXT]                         that text
    [recall]                           "Earlier you said: A | B": the conversation's former prompts
    [tokens 50 at 20 ms]               fifty words ("word1 word2 …"), one every 20 ms
    [think 50 at 20 ms]                the same as thinking
    [wait 1.5 s]                       silence
    [tool Bash {"command": "ls"}]      a tool call
    [also Bash {"command": "pwd"}]     one more in the same response
    [ask Which colour? | red | blue]   a question; or the tool's whole input: [ask {"questions": [...]}]
    [plan TEXT]                        a plan to approve (ExitPlanMode)
    [status 529]                       an error; [status 401 once], [status 429 3 times] in this conversation
    [limit five_hour in 3600 s]        429 as from a subscription that is used up; or seven_day
    [cut after 5]                      the connection breaks after five words; also [cut after 5 once]

A sub-agent's script stands in its prompt: ``[tool Agent {"description": "d", "prompt": "[say hi]", …}]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """Words to stream as the answer, or as thinking."""

    words: tuple[str, ...]
    pause_s: float = 0.0
    thinking: bool = False


@dataclass(frozen=True)
class Wait:
    """Silence."""

    seconds: float


@dataclass(frozen=True)
class Tool:
    """A tool call."""

    name: str
    input: Json
    beside: bool = False


@dataclass(frozen=True)
class Recall:
    """The conversation's former prompts."""


@dataclass(frozen=True)
class Failure:
    """An error instead of an answer; ``times`` is None for always."""

    status: int
    times: int | None
    headers: tuple[tuple[str, str], ...] = ()
    reset_in_s: int | None = None


@dataclass(frozen=True)
class Cut:
    """The connection breaks after some words; ``times`` is None for always."""

    after: int
    times: int | None


Step = Text | Wait | Tool | Recall | Failure | Cut


@dataclass(frozen=True)
class Turn:
    """Where a conversation stands: the prompt, how often it was answered, what was said before."""

    prompt: str
    answered: int
    earlier: tuple[str, ...] = ()
    tool_results: tuple[str, ...] = ()


# --- from the request to the turn -----------------------------------------------------------------

# The CLI puts reminders around the user's words, as blocks of their own or inside the same one.
_WRAPPERS = re.compile(r"<(system-reminder|local-command-[a-z]+|command-[a-z]+)>.*?</\1>", re.DOTALL)
# What the CLI says in her name: that she stopped an answer, that a tool's description has come.
_IN_HER_NAME = re.compile(r"\[Request interrupted by user[^\]]*\]|\ATool loaded\.\Z")


def turn_of(messages: list[Json]) -> Turn:
    """The turn that a request asks to go on with."""
    spoken = [(index, words) for index, message in enumerate(messages) if (words := _words(message))]
    if not spoken:
        return Turn("", 0)
    at, prompt = spoken[-1]
    after = messages[at + 1 :]
    return Turn(
        prompt,
        answered=sum(message["role"] == "assistant" for message in after),
        earlier=tuple(words for _, words in spoken[:-1]),
        tool_results=tuple(_tool_results(after[-2:])),
    )


def _words(message: Json) -> str:
    """The last thing that a person said in this message, or nothing."""
    if message["role"] != "user":
        return ""
    said = [_IN_HER_NAME.sub("", _WRAPPERS.sub("", text)).strip() for text in _texts(message["content"])]
    return next((words for words in reversed(said) if words), "")


def _texts(content: str | list[Json]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    for block in content:
        if block.get("type") == "text":
            yield block["text"]


def _tool_results(messages: list[Json]) -> Iterator[str]:
    for message in messages:
        if message["role"] != "user" or isinstance(message["content"], str):
            continue
        for block in message["content"]:
            if block.get("type") == "tool_result":
                yield " ".join(_texts(block.get("content") or "")).strip()


# --- from the prompt to the steps -----------------------------------------------------------------

_VERB = re.compile(r"\[(say|recall|tokens|think|wait|tool|also|ask|plan|status|limit|cut)\b\s*")
_PACE = re.compile(r"(\d+)(?:\s+at\s+([\d.]+)\s*ms)?")
_SECONDS = re.compile(r"([\d.]+)\s*s")
_COUNTED = re.compile(r"(\d+)(?:\s+(once|(\d+)\s+times))?")
_LIMIT = re.compile(r"(\w+)\s+in\s+(\d+)\s*s")


class ScriptError(ValueError):
    """A step that makes no sense: a mistake in the test, answered as such."""


def steps(prompt: str) -> list[Step]:
    """The steps that stand in a prompt."""
    found: list[Step] = []
    at = 0
    while match := _VERB.search(prompt, at):
        step, at = _step(match.group(1), prompt, match.end())
        found.append(step)
    return found


def _step(verb: str, prompt: str, at: int) -> tuple[Step, int]:
    if verb in ("tool", "also") or (verb == "ask" and prompt.startswith("{", at)):
        return _call(verb, prompt, at)
    close = prompt.find("]", at)
    if close < 0:
        raise ScriptError(f"[{verb} has no closing bracket")
    return _plain(verb, prompt[at:close].strip()), close + 1


def _call(verb: str, prompt: str, at: int) -> tuple[Tool, int]:
    """A step that holds JSON, which may hold brackets."""
    name = "AskUserQuestion"
    if verb != "ask":
        match = re.compile(r"(\S+)\s*").match(prompt, at)
        if match is None:
            raise ScriptError(f"[{verb} names no tool")
        name, at = match.group(1), match.end()
    try:
        given, at = json.JSONDecoder().raw_decode(prompt, at)
    except ValueError as error:
        raise ScriptError(f"[{verb} {name} has no valid JSON: {error}") from error
    return Tool(name, given, beside=verb == "also"), prompt.index("]", at) + 1


def _plain(verb: str, rest: str) -> Step:
    match verb:
        case "say":
            return Text(tuple(re.findall(r"\S+\s*", rest)))
        case "recall":
            return Recall()
        case "tokens" | "think":
            count, pause_ms = _parsed(_PACE, verb, rest)
            words = tuple(f"word{number} " for number in range(1, int(count) + 1))
            return Text(words, float(pause_ms or 0) / 1000, thinking=verb == "think")
        case "wait":
            return Wait(float(_parsed(_SECONDS, verb, rest)[0]))
        case "ask":
            return Tool("AskUserQuestion", _question(rest))
        case "plan":
            return Tool("ExitPlanMode", {"plan": rest})
        case "status":
            code, often, times = _parsed(_COUNTED, verb, rest)
            return Failure(int(code), _times(often, times))
        case "limit":
            claim, seconds = _parsed(_LIMIT, verb, rest)
            headers = (
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-representative-claim", claim),
            )
            return Failure(429, None, headers, int(seconds))
        case _:
            after, often, times = _parsed(_COUNTED, verb, rest.removeprefix("after "))
            return Cut(int(after), _times(often, times))


def _parsed(pattern: re.Pattern[str], verb: str, rest: str) -> tuple[str, ...]:
    match = pattern.fullmatch(rest)
    if match is None:
        raise ScriptError(f"[{verb} {rest}] makes no sense")
    return match.groups()


def _times(often: str | None, times: str | None) -> int | None:
    if often is None:
        return None
    return int(times) if times else 1


def _question(rest: str) -> Json:
    question, *labels = (part.strip() for part in rest.split("|"))
    options = [{"label": label, "description": f"The answer {label}"} for label in labels]
    return {
        "questions": [{"question": question, "header": "Choice", "multiSelect": False, "options": options}]
    }


# --- from the turn to the response ----------------------------------------------------------------


@dataclass
class Response:
    """One response's steps, errors and cuts apart."""

    steps: list[Step] = field(default_factory=list)

    @property
    def failures(self) -> list[Failure]:
        return [step for step in self.steps if isinstance(step, Failure)]

    @property
    def cuts(self) -> list[Cut]:
        return [step for step in self.steps if isinstance(step, Cut)]

    @property
    def calls_tool(self) -> bool:
        return any(isinstance(step, Tool) for step in self.steps)


def response(turn: Turn) -> Response:
    """What to answer at this point of the turn; speaks always."""
    responses = _responses(steps(turn.prompt))
    chosen = responses[turn.answered] if turn.answered < len(responses) else Response()
    speaks = chosen.calls_tool or any(isinstance(step, Text) and not step.thinking for step in chosen.steps)
    if not speaks and not any(isinstance(step, Recall) for step in chosen.steps):
        chosen.steps.append(_default(turn))
    chosen.steps = [_recalled(turn) if isinstance(step, Recall) else step for step in chosen.steps]
    return chosen


def _responses(found: list[Step]) -> list[Response]:
    made: list[Response] = []
    for step in found:
        joins = isinstance(step, Tool) and step.beside
        if not made or (made[-1].calls_tool and not joins):
            made.append(Response())
        made[-1].steps.append(step)
    return made


def _default(turn: Turn) -> Text:
    if turn.tool_results:
        return _sentence("The tool said: " + " | ".join(turn.tool_results))
    words = _VERB.split(turn.prompt)[0].strip()
    return _sentence(f"You said: {words}" if words else "Done.")


def _recalled(turn: Turn) -> Text:
    return _sentence("Earlier you said: " + " | ".join(turn.earlier))


def _sentence(text: str) -> Text:
    return Text(tuple(re.findall(r"\s*\S+\s*?", text)))
