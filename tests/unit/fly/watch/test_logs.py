"""Logs, read once and followed."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from fly.client import Client
from fly.errors import NotFound, PlanError
from fly.model import LogLine
from fly.watch import logs
from tests.support.world import PLATFORM

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Platform:
    """A log that grows: what is written at each question, or an answer that is no log."""

    def __init__(self, *written: list[str] | httpx.Response | Exception) -> None:
        self._written = list(written)
        self._lines: list[str] = []
        self.slept: list[float] = []
        self.client = Client(PLATFORM, transport=httpx.MockTransport(self._answer), sleep=self.slept.append)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        fresh = self._written.pop(0) if self._written else []
        if isinstance(fresh, Exception):
            raise fresh
        if isinstance(fresh, httpx.Response):
            return fresh
        self._lines += fresh
        first = int(request.url.params.get("next_token", "0"))
        shown = list(enumerate(self._lines))[first:]
        return httpx.Response(200, json={"data": [_line(*one) for one in shown], "meta": _token(self._lines)})


def _token(lines: list[str]) -> dict[str, str]:
    return {"next_token": str(len(lines))}


def _line(number: int, text: str) -> dict[str, Any]:
    at = (NOW + timedelta(minutes=number)).isoformat(timespec="seconds").replace("+00:00", ".123456789Z")
    return {"id": str(number), "attributes": {"timestamp": at, "message": text}}


def first(found: Iterator[LogLine], count: int) -> list[str]:
    return [line.message for line in itertools.islice(found, count)]


def test_what_there_is_is_read_to_its_end() -> None:
    platform = Platform(["a", "b"], ["c"], [])
    assert [line.message for line in logs.lines(platform.client, "app")] == ["a", "b", "c"]


def test_following_goes_on_from_where_it_was_and_says_nothing_twice() -> None:
    platform = Platform(["a"], [], [], ["b", "c"])
    assert first(logs.follow(platform.client, "app"), 3) == ["a", "b", "c"]


def test_it_asks_more_and_more_slowly_while_nothing_is_written_and_soon_again_after() -> None:
    platform = Platform(["a"], *([[]] * 6), ["b"], ["c"])
    assert first(logs.follow(platform.client, "app"), 3) == ["a", "b", "c"]
    assert platform.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 0.25]


@pytest.mark.parametrize(
    "trouble", [httpx.ReadTimeout("cut off"), httpx.Response(500, json={"error": "internal"})]
)
def test_a_platform_that_is_away_for_a_while_ends_nothing_and_is_told_once(trouble: Any) -> None:
    said: list[str] = []
    platform = Platform(["a"], trouble, trouble, ["b"])
    assert first(logs.follow(platform.client, "app", report=said.append), 2) == ["a", "b"]
    assert len(said) == 2
    assert said[1] == "The platform answers again."


def test_an_app_that_is_gone_ends_it() -> None:
    platform = Platform(["a"], httpx.Response(404, json={"error": "app not found"}))
    with pytest.raises(NotFound):
        list(logs.follow(platform.client, "app"))


def test_only_what_was_written_from_then_on_is_shown() -> None:
    platform = Platform(["a", "b", "c"], [])
    found = logs.lines(platform.client, "app", NOW + timedelta(minutes=1))
    assert [line.message for line in found] == ["b", "c"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("2h", NOW - timedelta(hours=2)),
        ("1d", NOW - timedelta(days=1)),
        ("30s", NOW - timedelta(seconds=30)),
        ("2026-11-23T08:00", NOW - timedelta(hours=1)),
        ("2026-11-23T10:00+02:00", NOW - timedelta(hours=1)),
    ],
)
def test_since_is_a_length_of_time_or_a_moment(text: str, moment: datetime) -> None:
    assert logs.since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "10", "m", "ten minutes", "10y", "2026-13-01", "999999d"])
def test_what_is_no_time_is_refused_in_words(text: str) -> None:
    with pytest.raises(PlanError, match="is no time"):
        logs.since(text, NOW)
