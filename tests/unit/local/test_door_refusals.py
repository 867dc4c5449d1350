"""What the door does not take: shapes that two servers may read differently, and visitors that hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fly.local.bodies import BodyError, Chunked
from fly.local.heads import HeadError, Request, parse_request, parse_response
from fly.local.idle import Rule
from tests.support.door import IMPATIENT, QUICK, Asked, answer, answering, certificate, run, scene, until

GET = b"GET / HTTP/1.1\r\nHost: app.localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: app.localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"

SMUGGLED = {
    "CL and TE": (CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "TE and CL": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    "one length twice": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    "a list of lengths": (POST + b"Content-Length: 1, 1\r\n\r\nx", 400),
    "a signed length": (POST + b"Content-Length: +1\r\n\r\nx", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\nx", 400),
    "a hexadecimal length": (POST + b"Content-Length: 0x1\r\n\r\nx", 400),
    "a length with a space in it": (POST + b"Content-Length: 1 0\r\n\r\nx", 400),
    "a length without end": (POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nx", 400),
    "an empty length": (POST + b"Content-Length: \r\n\r\n", 400),
    "a strange coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    "a coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    "chunked and identity": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        501,
    ),
    "a coding behind a vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "a coding in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n", 400),
    "a space before the colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n", 400),
    "a folded line": (POST + b"X: a\r\n b\r\n\r\n", 400),
    "a folded coding": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n", 400),
    "a line without a colon": (GET + b"nonsense\r\n\r\n", 400),
    "a line without a name": (GET + b": x\r\n\r\n", 400),
    "a lone LF in a value": (GET + b"X: a\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "a lone CR in a value": (GET + b"X: a\rY: b\r\n\r\n", 400),
    "a NUL in a value": (GET + b"X: a\x00b\r\n\r\n", 400),
    "a lone LF at each end": (b"GET / HTTP/1.1\nHost: app.localhost\n\n", 400),
    "a lone LF at the end": (GET.replace(b"\r\n", b"\n") + b"\r\n", 400),
    "two hosts": (GET + b"Host: other.localhost\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a host with a user": (b"GET / HTTP/1.1\r\nHost: a@app.localhost\r\n\r\n", 400),
    "a host with a path": (b"GET / HTTP/1.1\r\nHost: app.localhost/x\r\n\r\n", 400),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: app.localhost\r\n\r\n", 400),
    "a target that is no path": (b"GET a HTTP/1.1\r\nHost: app.localhost\r\n\r\n", 400),
    "a tunnel": (b"CONNECT app.localhost:22 HTTP/1.1\r\nHost: app.localhost\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: app.localhost\r\n\r\n", 400),
    "a method with a colon": (b"GET: / HTTP/1.1\r\nHost: app.localhost\r\n\r\n", 400),
    "no version": (b"GET /\r\nHost: app.localhost\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: app.localhost\r\n\r\n", 505),
    "a chunk size with a sign": (CHUNKED + b"\r\n+5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with 0x": (CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with an underscore": (CHUNKED + b"\r\n1_0\r\nhello\r\n0\r\n\r\n", 400),
    "an empty chunk size": (CHUNKED + b"\r\n\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with a space before it": (CHUNKED + b"\r\n 5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size that overflows": (CHUNKED + b"\r\n" + b"F" * 17 + b"\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size that ends with LF": (CHUNKED + b"\r\n5\nhello\r\n0\r\n\r\n", 400),
    "a chunk extension with LF": (CHUNKED + b"\r\n5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk extension with CR": (CHUNKED + b"\r\n5;a\rb\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk extension without end": (CHUNKED + b"\r\n5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk longer than it says": (CHUNKED + b"\r\n4\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk that ends with LF": (CHUNKED + b"\r\n5\r\nhello\n0\r\n\r\n", 400),
    "a trailer that frames": (CHUNKED + b"\r\n0\r\nContent-Length: 5\r\n\r\n", 400),
    "a trailer that vouches": (CHUNKED + b"\r\n0\r\nFly-Client-IP: 1.1.1.1\r\n\r\n", 400),
    "a folded trailer": (CHUNKED + b"\r\n0\r\nX: 1\r\n y\r\n\r\n", 400),
    "trailers without end": (CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 5000 + b"\r\n", 400),
}


@pytest.mark.parametrize("shape", SMUGGLED)
def test_shapes_that_can_be_read_in_two_ways_are_refused(shape: str) -> None:
    request, status = SMUGGLED[shape]
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen)) as one:
            client = await one.client()
            await client.send(request + b"GET /smuggled HTTP/1.1\r\nHost: app.localhost\r\n\r\n")
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (status, "close")
            assert await client.is_closed()
            assert seen == []

    run(work())


def test_a_connection_that_carried_a_malformed_body_is_not_used_again() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen)) as one:
            client = await one.client()
            assert (await client.ask("/good")).status == 200
            await client.send(CHUNKED + b"\r\n3\r\nabc\r\n")
            await until(lambda: one.door.metrics()["open"] == 1, "the request to be under way")
            await client.send(b"nonsense\r\n")
            assert (await client.reply()).status == 400
            assert (await (await one.client()).ask("/next")).status == 200
            assert [asked.line.split()[1] for asked in seen] == ["/good", "/next"]

    run(work())


def test_names_with_underscores_that_mean_framing_do_not_reach_the_page() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen)) as one:
            reply = await (await one.client()).ask(
                "/", "Content_Length: 5", "Transfer_Encoding: chunked", "My_Own: 1"
            )
            assert reply.status == 200
            assert seen[0].headers["my_own"] == "1"
            assert not {"content_length", "transfer_encoding"} & set(seen[0].headers)

    run(work())


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Transfer-Encoding: gzip",
        b"X : y",
        b"X: a\nY: b",
    ],
)
def test_an_answer_that_can_be_read_in_two_ways_is_a_502(head: bytes) -> None:
    async def work() -> None:
        async with scene(
            answering(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        ) as one:
            assert (await (await one.client()).ask()).status == 502

    run(work())


def test_bytes_behind_an_answer_are_nobodys() -> None:
    async def work() -> None:
        async with scene(answering(answer() + answer(b"for somebody else"))) as one:
            for _ in range(3):
                assert (await (await one.client()).ask()).body == b"hello"
            assert one.page.connections == 3

    run(work())


UPGRADES = [
    ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
    ["Connection: Upgrade", "Upgrade: h2c"],
    ["Upgrade: h2c"],
    ["Connection: Upgrade", "Upgrade: anything/1.0"],
    ["Connection: Upgrade", "Upgrade: TLS/1.0, HTTP/1.1"],
    ["Connection: Upgrade", "Upgrade: websocket, h2c"],
    ["Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"],
    ["Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"],
    ["Connection: close", "Upgrade: websocket"],
    ["Upgrade: websocket"],
]


@pytest.mark.parametrize("lines", UPGRADES, ids=" ".join)
def test_no_upgrade_but_a_websocket_reaches_the_page_and_none_of_them_becomes_a_tunnel(
    lines: list[str],
) -> None:
    """As nginx has it: it is a plain request, and what follows it is read as the next one."""
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen)) as one:
            client = await one.client()
            assert (await client.ask("/", *lines)).status == 200
            if "Connection: close" not in lines:
                await client.send(b"GET /next HTTP/1.1\r\nHost: evil.example\r\nFly-Client-IP: 1\r\n\r\n")
                assert (await client.reply()).status == 404
            assert one.door.metrics()["websockets"] == 0

    run(work())
    [asked] = seen
    assert {"upgrade", "http2-settings"} & set(asked.headers) == set()
    assert "upgrade" not in asked.headers.get("connection", "").lower()


@pytest.mark.parametrize("agreed", ["h2c", "websocket", "anything"])
@pytest.mark.parametrize("wanted", ["h2c", "anything", "websocket, h2c"])
def test_a_page_that_switches_to_what_nobody_asked_it_for_is_cut_off(agreed: str, wanted: str) -> None:
    switch = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {agreed}\r\n\r\nsecret"

    async def work() -> None:
        async with scene(answering(switch.encode())) as one:
            client = await one.client()
            reply = await client.ask("/", "Connection: Upgrade", f"Upgrade: {wanted}")
            assert reply.status == 502
            assert b"secret" not in reply.body
            figures = one.door.metrics()
            assert (figures["websockets"], figures["machine_connections"]) == (0, 0)

    run(work())


def test_an_http2_preface_is_refused() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client = await one.client()
            await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert (await client.reply()).status == 505
            assert await client.is_closed()
            assert one.page.connections == 0

    run(work())


def test_a_head_that_is_too_long_is_refused() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            for line in (b"X: " + b"a" * 40_000, b"X: y\r\n" * 8000):
                client = await one.client()
                await client.send(GET + line)
                reply = await client.reply()
                assert reply.status == 431

    run(work())


def test_an_answer_whose_head_never_ends_is_a_502() -> None:
    async def work() -> None:
        async with scene(answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000)) as one:
            assert (await (await one.client()).ask()).status == 502

    run(work())


def test_who_sends_a_head_drop_by_drop_is_cut_off() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=IMPATIENT) as one:
            client = await one.client()
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                for byte in GET + b"X: " + b"a" * 1000:
                    await client.send(bytes([byte]))
                    await asyncio.sleep(0.01)
                    if client.reader._buffer:  # type: ignore[attr-defined]
                        break
            assert time.monotonic() - began < 2
            assert (await client.reply()).status == 408
            assert await client.is_closed()

    run(work())


def test_who_says_nothing_at_all_is_let_go() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=replace(IMPATIENT, keep_alive_s=0.1)) as one:
            assert await (await one.client()).is_closed()
            client = await one.client()
            await client.ask()
            assert await client.is_closed()

    run(work())


def test_who_stops_in_the_middle_of_a_body_is_cut_off() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=IMPATIENT) as one:
            client = await one.client()
            await client.send(POST + b"Content-Length: 10\r\n\r\nhalf")
            assert (await client.reply()).status == 408
            assert await client.is_closed()
            await until(lambda: one.page.open == 0, "the page to be told")

    run(work())


DRIP = replace(QUICK, pace_s=0.3, pace_bytes=100, idle=Rule(idle_after_s=0.1, idle_stream_s=60))


def test_who_sends_a_body_drop_by_drop_is_cut_off_and_who_is_only_slow_is_not() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen), limits=DRIP) as one:
            drips, slow = await one.client(), await one.client()
            for client in (drips, slow):
                await client.send(POST + b"Content-Length: 5000\r\n\r\n")
            answered = asyncio.create_task(drips.reply())
            for _ in range(50):
                await slow.send(b"x" * 100)
                with contextlib.suppress(ConnectionError):
                    await drips.send(b"x")
                await asyncio.sleep(0.02)
            assert (await answered).status == 408
            assert (await slow.reply()).status == 200
            assert [len(asked.body) for asked in seen] == [5000]

    run(work())


def test_who_waits_for_the_machine_is_not_slow() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.2)
            writer.write(b"" if reader.at_eof() else b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await reader.readexactly(8 << 20)
        writer.write(answer())

    async def work() -> None:
        async with scene(handle, limits=DRIP) as one:
            client = await one.client()
            await client.send(POST + b"Content-Length: %d\r\n\r\n" % (8 << 20))
            client.writer.write(b"x" * (8 << 20))
            while (reply := await client.reply()).status == 103:
                pass
            assert reply.status == 200

    run(work())


BIG = answer(b"x" * (8 << 20))
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "whole"),
    [(GET + b"\r\n", BIG), (UPGRADE, SWITCH + BIG), (GET + b"\r\n", answer(b"x" * (200 << 10)))],
    ids=["an answer", "a websocket", "the end of an answer"],
)
def test_who_does_not_take_what_waits_for_him_is_let_go(request_: bytes, whole: bytes) -> None:
    async def work() -> None:
        limits = replace(DRIP, keep_alive_s=0.1, buffer_bytes=16 << 10 if len(whole) > 1 << 20 else 1 << 20)
        async with scene(answering(whole), limits=limits) as one:
            stops, reads = await one.client(), await one.client()
            endpoint = stops.writer.get_extra_info("socket")
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stops.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await stops.send(request_)
            await reads.send(request_)
            rest = len(whole)
            while rest:
                rest -= len(await reads.reader.readexactly(min(rest, 64 << 10)))
                await asyncio.sleep(0.003)
            reads.leave()
            await until(lambda: not one.door.metrics()["visitor_connections"], "the other to be let go")
            assert one.door.metrics()["open"] == 0

    run(work())


def test_a_request_keeps_a_machine_awake_only_once_a_good_answer_has_begun() -> None:
    begin = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"/good" in asked:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        if b"/bad" in asked:
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n")
        await begin.wait()

    async def work() -> None:
        limits = replace(QUICK, idle=Rule(idle_after_s=0.05, idle_stream_s=0.3))
        async with scene(handle, limits=limits) as one:
            for path, sleeps in (("/none", 1), ("/bad", 1), ("/good", 0)):
                client, before = await one.client(), one.machines.sleeps
                await client.send(
                    f"POST {path} HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 900\r\n\r\n"
                )
                for _ in range(30):
                    with contextlib.suppress(ConnectionError):
                        await client.send(b"x")
                    await asyncio.sleep(0.03)
                assert (one.machines.sleeps > before) is bool(sleeps), path
            begin.set()

    run(work())


def test_nobody_alone_can_take_all_the_room() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=replace(QUICK, connections_of_one=2)) as one:
            first, _ = await one.client(), await one.client()
            assert (await (await one.client()).reply()).status == 503
            first.leave()
            await until(lambda: one.door.metrics()["visitor_connections"] == 1, "the others to be gone")
            assert (await (await one.client()).ask()).status == 200

    run(work())


def test_who_does_not_finish_the_handshake_is_let_go() -> None:
    async def work() -> None:
        server, _ = certificate("app.localhost")
        async with scene(answering(answer()), limits=replace(QUICK, handshake_s=0.2), tls=server) as one:
            client = await one.client()
            await client.send(b"")
            assert await client.is_closed()

    run(work())


def test_a_page_that_never_answers_is_a_504() -> None:
    async def work() -> None:
        async with scene(answering(b""), limits=replace(QUICK, first_byte_s=0.1)) as one:
            reply = await (await one.client()).ask("/", "Accept: text/html")
            assert (reply.status, reply.headers["retry-after"]) == (504, "5")
            await until(lambda: one.page.open == 0, "the page to be told")

    run(work())


def test_a_visitor_who_never_reads_a_refusal_is_cut_off() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=IMPATIENT) as one:
            client = await one.client()
            await client.send(POST + b"Content-Length: nonsense\r\n\r\n")
            await until(lambda: one.door.metrics()["visitor_connections"] == 0, "the door to lose patience")

    run(work())


HEADS = rb"\A[A-Z]{3,4} /[a-z]* HTTP/1\.[01](\r\n[A-Za-z-]+: ?[\x09-\x7f]*){1,3}\Z"


@given(st.binary(max_size=200) | st.from_regex(HEADS))
@example(b"")
@example(b"GET / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 5\r\nConnection: x")
def test_no_bytes_can_break_the_reading_of_heads(head: bytes) -> None:
    try:
        request = parse_request(head)
    except HeadError as error:
        status = error.status
    else:
        again = parse_request(request.onward(b"")[:-4])
        assert (again.target, again.manner.method) == (request.target, request.manner.method)
        assert again.manner.length == request.manner.length
        status = 0
    assert status in {0, 400, 501, 505}


@given(st.binary(max_size=100).map(b"HTTP/1.1 200 OK\r\n".__add__))
def test_no_bytes_can_break_the_reading_of_answers(head: bytes) -> None:
    with contextlib.suppress(HeadError):
        parse_response(head)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=10), st.data())
def test_chunks_end_where_they_end_however_they_are_cut(
    chunks: list[bytes], rest: bytes, data: st.DataObject
) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX: y\r\n\r\n"
    stream, body, taken = framed + rest, Chunked(), 0
    while taken < len(stream) and not body.done:
        piece = stream[taken : taken + data.draw(st.integers(1, 30))]
        size = body.feed(piece)
        taken += size
        assert size == len(piece) or body.done
    assert (taken, body.done) == (len(framed), True)


@given(st.binary(max_size=100))
def test_no_bytes_can_break_the_reading_of_chunks(data: bytes) -> None:
    with contextlib.suppress(BodyError):
        assert Chunked().feed(data) <= len(data)


def parsed(*lines: str) -> Request:
    return parse_request("\r\n".join(["GET / HTTP/1.1", "Host: a.localhost", *lines]).encode())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Accept: text/html,*/*"], True),
        (["Accept: text/html", "Sec-Fetch-Dest: document"], True),
        (["Accept: text/html", "Sec-Fetch-Dest: empty"], False),
        (["Accept: */*"], False),
        (["Accept: text/html", "Connection: Upgrade", "Upgrade: websocket"], False),
        ([], False),
    ],
)
def test_a_person_at_a_browser_is_told_from_a_program(lines: list[str], expected: bool) -> None:
    assert parsed(*lines).manner.navigation is expected
