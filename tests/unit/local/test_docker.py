"""The engine's client: every shape of answer is read, every way to fail has a status."""

from __future__ import annotations

import asyncio
import gc
import json
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fly.local import docker
from fly.local.docker import DockerError, Engine, addresses, split_streams
from tests.support.door import run

Handler = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def reply(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def frame(kind: int, text: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(text)) + text


@asynccontextmanager
async def engine(folder: Path, handler: Handler) -> AsyncIterator[Engine]:
    """A client of an engine that answers what `handler` writes to a request line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n")).decode().strip()
        await reader.readuntil(b"\r\n\r\n")
        await handler(line, reader, writer)
        writer.close()

    path = folder / "docker.sock"
    server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield Engine(f"unix://{path}")
    finally:
        server.close()


def answering(*answers: bytes, lines: list[str] | None = None) -> Handler:
    """Each request gets the next of these answers."""
    left = list(answers)

    async def handle(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if lines is not None:
            lines.append(line)
        writer.write(left.pop(0))

    return handle


def test_it_speaks_the_engines_own_version(tmp_path: Path) -> None:
    lines: list[str] = []
    answers = reply(b'{"ApiVersion":"1.41"}'), reply(b'{"NCPU":4}'), reply(b"[]")

    async def work() -> None:
        async with engine(tmp_path, answering(*answers, lines=lines)) as one:
            await one.greet()
            assert one.cpus == 4
            assert await one.networks() == []

    run(work())
    assert lines == ["GET /version HTTP/1.1", "GET /v1.41/info HTTP/1.1", "GET /v1.41/networks HTTP/1.1"]


@pytest.mark.parametrize(
    "answer",
    [
        reply(b'{"a":1}'),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
        b'HTTP/1.1 200 OK\r\n\r\n{"a":1}',
    ],
)
def test_bodies_are_read_however_they_are_framed(tmp_path: Path, answer: bytes) -> None:
    async def work() -> None:
        async with engine(tmp_path, answering(answer)) as one:
            assert await one.call("GET", "/x") == {"a": 1}

    run(work())


def test_an_answer_without_a_body_is_none(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path, answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as one:
            assert await one.call("POST", "/x") is None

    run(work())


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (reply(b'{"message":"no such thing"}', "404 Not Found"), 404, "no such thing"),
        (reply(b"plain", "500 Oops"), 500, "plain"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 0, "broke off"),
        (b"", 0, "broke off"),
    ],
)
def test_what_goes_wrong_has_a_status_and_words(
    tmp_path: Path, answer: bytes, status: int, words: str
) -> None:
    async def work() -> None:
        async with engine(tmp_path, answering(answer)) as one:
            with pytest.raises(DockerError, match=words) as failed:
                await one.call("GET", "/x")
            assert failed.value.status == status

    run(work())


def test_an_engine_that_does_not_answer_is_a_408(tmp_path: Path) -> None:
    async def silent(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def work() -> None:
        async with engine(tmp_path, silent) as one:
            with pytest.raises(DockerError, match="did not answer POST /containers/c/pause") as failed:
                await one.pause("c", 0.05)
            assert failed.value.status == 408
            assert not await one.wait("c", 0.05)

    run(work())


def test_no_engine_at_all_is_said_with_its_address(tmp_path: Path) -> None:
    async def work() -> None:
        for address in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:1", "tcp://nonsense", "npipe://x"):
            with pytest.raises(DockerError, match="no Docker Engine answers at") as failed:
                await Engine(address).greet()
            assert failed.value.status == 0

    run(work())


def test_an_image_by_digest_is_a_repo_digest_or_an_id(tmp_path: Path) -> None:
    lines: list[str] = []
    answers = reply(b'{"message":"no"}', "404 Not Found"), reply(b'{"Id":"sha256:1"}')

    async def work() -> None:
        async with engine(tmp_path, answering(*answers, lines=lines)) as one:
            assert (await one.image("localhost:5000/a/b@sha256:1"))["Id"] == "sha256:1"

    run(work())
    assert lines == [
        "GET /images/localhost:5000/a/b@sha256:1/json HTTP/1.1",
        "GET /images/sha256:1/json HTTP/1.1",
    ]


def test_a_reference_can_not_leave_its_place_in_the_path(tmp_path: Path) -> None:
    lines: list[str] = []

    async def work() -> None:
        async with engine(tmp_path, answering(reply(b"{}"), lines=lines)) as one:
            await one.image("a?b#c%2e d\r\nX: y")

    run(work())
    assert lines == ["GET /images/a%3Fb%23c%252e%20d%0D%0AX:%20y/json HTTP/1.1"]


def test_exec_keeps_streams_apart_and_tells_when_it_runs(tmp_path: Path) -> None:
    told: list[bool] = []
    output = frame(1, b"out") + frame(2, b"err") + frame(1, b"more")
    typed: list[bytes] = []

    async def handle(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line.startswith("POST /containers/c/exec"):
            writer.write(reply(b'{"Id":"e"}', "201 Created"))
        elif line.startswith("POST /exec/e/start"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
            typed.append((await reader.read()).rpartition(b"}")[2])
            writer.write(output)
        else:
            writer.write(reply(json.dumps({"ExitCode": 7, "Running": False, "Pid": 12}).encode()))

    async def work() -> None:
        async with engine(tmp_path, handle) as one:
            result = await one.exec("c", ["x"], b"typed", 5, lambda: told.append(True))
            assert (result.exit_code, result.stdout, result.stderr) == (7, b"outmore", b"err")

    run(work())
    assert typed == [b"typed"]
    assert told


def test_a_command_that_writes_without_end_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "EXEC_OUTPUT_BYTES", 10)

    async def handle(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line.startswith("POST /containers/c/exec"):
            writer.write(reply(b'{"Id":"e"}', "201 Created"))
        elif line.startswith("POST /exec/e/start"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
            for _ in range(100):
                writer.write(frame(1, b"0123456") + frame(2, b"!")[:5])
                await writer.drain()
                writer.write(frame(2, b"!")[5:])
        else:
            writer.write(reply(b"nonsense" if line.startswith("GET /exec/e/json?") else b'{"ExitCode":0}'))

    async def work() -> None:
        async with engine(tmp_path, handle) as one:
            result = await one.exec("c", ["x"], b"", 5, lambda: None)
            assert result.stdout == b"0123456012\n[690 more bytes are left out]\n"
            assert result.stderr == b"!" * 10 + b"\n[90 more bytes are left out]\n"

    run(work())


def test_who_watches_an_exec_begin_fails_quietly_and_is_gone_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line.startswith("POST /containers/c/exec"):
            writer.write(reply(b'{"Id":"e"}', "201 Created"))
        elif line.startswith("POST /exec/e/start"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.sleep(0.05)
        elif "asked" in seen:
            writer.write(reply(b'{"ExitCode":0}'))
        else:
            seen.append("asked")
            writer.write(reply(b'{"message":"no"}', "500 Oops"))

    seen: list[str] = []

    async def work() -> None:
        async with engine(tmp_path, handle) as one:
            assert (await one.exec("c", ["x"], b"", 5, lambda: None)).exit_code == 0
            gc.collect()

    run(work())
    assert seen == ["asked"]
    assert caplog.records == []


def test_a_copy_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def handle(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nthe beginning")
        await reader.read()

    async def work() -> None:
        got: list[bytes] = []
        async with engine(tmp_path, handle) as one:
            with pytest.raises(DockerError, match="did not pack /data") as given_up:
                await one.get_archive("c", "/data", got.append, 0.1)
            assert given_up.value.status == 408
            assert got == [b"the beginning"]

    run(work())


def test_logs_that_do_not_come_are_an_error_of_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def work() -> None:
        async with engine(tmp_path, handle) as one:
            with pytest.raises(DockerError, match="did not answer") as late:
                await one.logs("c")
            assert late.value.status == 408

    monkeypatch.setattr(docker, "QUICK_S", 0.1)
    run(work())


def test_an_exec_that_the_engine_refuses_is_a_command_that_failed(tmp_path: Path) -> None:
    answers = (
        reply(b'{"Id":"e"}', "201 Created"),
        reply(b'{"message":"no such program"}', "400 Bad Request"),
        reply(b'{"ExitCode":127}'),
    )

    async def work() -> None:
        async with engine(tmp_path, answering(*answers)) as one:
            result = await one.exec("c", ["x"], b"", 5, lambda: None)
            assert (result.exit_code, result.stderr) == (127, b"no such program")

    run(work())


def test_events_come_one_by_one_over_any_cut(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"

    async def handle(line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (head + b'{"n"', b':1}\n{"n":2}', b"\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def work() -> None:
        async with engine(tmp_path, handle) as one:
            assert [event["n"] async for event in one.events("label")] == [1, 2]

    run(work())


def test_what_is_gone_already_is_gone(tmp_path: Path) -> None:
    gone = reply(b'{"message":"no"}', "404 Not Found")

    async def work() -> None:
        async with engine(tmp_path, answering(*[gone] * 5)) as one:
            await one.remove("c")
            await one.remove_volume("v")
            await one.remove_network("n")
            assert await one.inspect("c") is None
            assert await one.volume("v") is None

    run(work())


def test_a_removal_that_somebody_else_began_is_waited_for(tmp_path: Path) -> None:
    busy = reply(b'{"message":"removal already in progress"}', "409 Conflict")
    answers = busy, reply(b'{"Id":"c"}'), reply(b'{"message":"no"}', "404 Not Found")

    async def work() -> None:
        async with engine(tmp_path, answering(*answers)) as one:
            await one.remove("c")

    run(work())


def test_frames_that_were_cut_off_lose_only_their_end() -> None:
    whole = frame(1, b"abc") + frame(2, b"def")
    assert split_streams(whole) == (b"abc", b"def")
    assert split_streams(whole[:-1]) == (b"abc", b"de")
    assert split_streams(b"") == (b"", b"")


def test_the_engine_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    assert addresses() == ["unix:///elsewhere.sock"]
    monkeypatch.delenv("DOCKER_HOST")
    assert all(address.startswith("unix://") for address in addresses())
