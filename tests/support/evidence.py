"""What is shown when a test fails: transcripts and logs, without the secrets in them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Protocol, runtime_checkable

Piece = tuple[str, str]
"""A title and what stands under it."""

_SECRETS = re.compile(r"(sk-ant-[a-z0-9]{2,8}-)[\w-]+|(code-)[\w-]{16,}(?:#[\w-]+)?|(Bearer )[\w.-]+")
_KEPT_LINES = 300
_ROOT = Path(__file__).resolve().parents[2]
_WORDS = re.compile(r"\w+")


@runtime_checkable
class Witness(Protocol):
    """A fixture's value that can tell what happened."""

    def evidence(self) -> list[Piece]: ...


def evidence_of(value: object) -> list[Piece]:
    """What this value can tell; its own trouble never hides the failure that is asked about."""
    if not isinstance(value, Witness):
        return []
    try:
        return value.evidence()
    except Exception as error:
        return [("evidence that could not be had", repr(error))]


def output() -> Path:
    """Where this run leaves what people may want to look at."""
    return Path(os.environ.get("MY_JARVIS_TEST_OUTPUT") or _ROOT / "test-output")


def keep_transcript(text: str) -> None:
    """What a terminal showed, under the running test's name, if who started the tests wants to have it."""
    if not text.strip() or "MY_JARVIS_TEST_OUTPUT" not in os.environ:
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "session").partition(" (")[0].rpartition("/")[2]
    name = "-".join(_WORDS.findall(test.replace(".py::", "-"))).removeprefix("test_")[:100]
    folder = output() / "transcripts"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.txt").open("a", encoding="utf-8") as file:
        file.write(f"{masked(text).strip()}\n\n")


def masked(text: str) -> str:
    """The same text with each token's secret part gone."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2] or found[3]}[hidden]", text)


def tail(text: str, lines: int = _KEPT_LINES) -> str:
    """The last lines of a long text."""
    kept = text.splitlines()
    left_out = len(kept) - lines
    return text if left_out <= 0 else "\n".join([f"… {left_out} lines left out …", *kept[-lines:]])
