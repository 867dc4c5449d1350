"""The door speaks HTTP/1.1: requests reach the page as they were meant, and its answers the visitor."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from fly.local.figures import Times
from tests.support.door import (
    IMPATIENT,
    QUICK,
    Asked,
    Client,
    answer,
    answering,
    certificate,
    read_request,
    run,
    scene,
    until,
)


def test_a_request_reaches_the_page_and_its_answer_the_visitor() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(b"hi", "200 OK", "X-Mine: 1"), seen=seen)) as one:
            reply = await (await one.client()).ask("/a?b=c", "X-Yours: 2")
            assert (reply.status, reply.body, reply.headers["x-mine"]) == (200, b"hi", "1")
            assert seen[0].line == "GET /a?b=c HTTP/1.1"
            assert seen[0].headers["x-yours"] == "2"
            assert seen[0].headers["host"] == "app.localhost"

    run(work())


def test_one_connection_serves_many_requests_over_one_connection_to_the_page() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client = await one.client()
            for _ in range(20):
                assert (await client.ask()).body == b"hello"
            assert one.page.connections == 1

    run(work())


def test_pipelined_requests_are_answered_in_order() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_request(reader)
            await asyncio.sleep(0.02 if "/1" in asked.line else 0)
            writer.write(answer(asked.line.split()[1].encode() + asked.body))

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            get = "GET /{} HTTP/1.1\r\nHost: app.localhost\r\n\r\n"
            post = "POST /{} HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 3\r\n\r\nabc"
            unknown = get.replace("app", "nobody")
            await client.send(get.format(1) + post.format(2) + unknown.format(3) + get.format(4))
            assert (await client.reply()).body == b"/1"
            assert (await client.reply()).body == b"/2abc"
            assert (await client.reply()).status == 404
            assert (await client.reply()).body == b"/4"

    run(work())


def test_a_thousand_pipelined_requests_to_nowhere_do_not_pile_up() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client = await one.client()
            sending = asyncio.create_task(client.send(b"GET / HTTP/1.1\r\nHost: no.localhost\r\n\r\n" * 5000))
            for _ in range(5000):
                assert (await client.reply()).status == 404
            await sending

    run(work())


def test_chunks_pass_both_ways_with_trailers() -> None:
    seen: list[Asked] = []
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    chunked = head + b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"

    async def work() -> None:
        async with scene(answering(chunked, seen=seen)) as one:
            client = await one.client()
            for _ in range(2):
                await client.send(
                    "POST / HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                for piece in (
                    b"3\r",
                    b"\nabc",
                    b"\r\n",
                    b"A;x=y\r\n01234",
                    b"56789\r\n0",
                    b"\r\nX-T: v\r\n",
                    b"\r\n",
                ):
                    await client.send(piece)
                    await asyncio.sleep(0)
                assert (await client.reply()).body == b"hello[trailer]X-Sum: 1"
            assert [asked.body for asked in seen] == [b"abc0123456789[trailer]X-T: v"] * 2
            assert one.page.connections == 1

    run(work())


def test_an_event_stream_is_not_buffered() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(5):
            writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
            assert await reader.readexactly(1) == b"."  # the next one only when this one was seen

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send("POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 5\r\n\r\n")
            assert (await client.head()).headers["content-type"] == "text/event-stream"
            for number in range(5):
                assert await client.reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
                await client.send(b".")

    run(work())


def test_expect_continue_asks_the_page_before_the_body_is_sent() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Expect: 100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(5) == b"12345"
        writer.write(answer(b"thanks"))

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(
                "PUT / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
            )
            assert (await client.head()).status == 100
            await client.send("12345")
            assert (await client.reply()).body == b"thanks"

    run(work())


def test_a_page_that_declines_a_body_is_heard_and_the_connection_ends() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"no", "413 Content Too Large"))
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(
                "PUT / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 999999\r\n\r\n" + "x" * 5000
            )
            reply = await client.reply()
            assert (reply.status, reply.body, reply.headers["connection"]) == (413, b"no", "close")
            assert await client.is_closed()

    run(work())


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n'),
    ],
)
def test_answers_without_a_body_keep_the_connection(method: str, head: bytes) -> None:
    async def work() -> None:
        async with scene(answering(head, answer())) as one:
            client = await one.client()
            reply = await client.ask(method=method)
            assert reply.headers.get("content-length", "5") == "5"
            assert (await client.ask()).body == b"hello"
            assert one.page.connections == 1

    run(work())


def test_early_hints_are_passed_on() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"

    async def work() -> None:
        async with scene(answering(hints + answer())) as one:
            client = await one.client()
            await client.send("GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n")
            head = await client.head()
            assert (head.status, head.headers) == (103, {"link": "</a.css>"})
            assert (await client.reply()).body == b"hello"

    run(work())


def test_an_answer_that_ends_with_its_connection_ends_the_visitors_too() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        writer.close()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            reply = await client.ask()
            assert (reply.body, reply.headers["connection"]) == (b"until the end", "close")

    run(work())


def test_an_old_client_gets_an_answer_without_chunks_and_a_close() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen)) as one:
            client = await one.client()
            await client.send("GET / HTTP/1.0\r\nHost: app.localhost\r\nConnection: keep-alive\r\n\r\n")
            reply = await client.reply()
            assert (reply.body, reply.headers["connection"]) == (b"hello", "close")
            assert await client.is_closed()
            assert seen[0].line == "GET / HTTP/1.0"
            assert seen[0].headers["connection"] == "close"

    run(work())


def test_a_visitor_who_closes_his_half_still_gets_the_answer() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client = await one.client()
            client.writer.write(b"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n")
            client.writer.write_eof()
            assert (await client.reply()).body == b"hello"
            assert await client.is_closed()

    run(work())


def test_all_that_was_asked_before_the_half_was_closed_is_answered() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client = await one.client()
            client.writer.write(b"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n" * 3)
            client.writer.write_eof()
            for _ in range(3):
                assert (await client.reply()).body == b"hello"
            assert await client.is_closed()

    run(work())


def test_a_visitor_who_left_a_silent_stream_is_noticed() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await reader.read()

    async def work() -> None:
        async with scene(handle, limits=IMPATIENT) as one:
            client = await one.client()
            await client.send("GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n")
            await client.head()
            client.writer.close()
            await until(lambda: one.page.open == 0, "the page to be told")
            assert one.door.metrics()["open"] == 0

    run(work())


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked", "X-None: 1"])
def test_a_page_that_dies_in_its_answer_is_not_taken_for_a_whole_answer(framing: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        part = b"5\r\nhello\r\n" if "chunked" in framing else b"hello"
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + part)
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: a reset, no end
        writer.transport.abort()

    async def work() -> None:
        async with scene(handle) as one:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError, ValueError)):
                await (await one.client()).ask()
            assert one.door.metrics()["open"] == 0

    run(work())


def test_a_page_that_breaks_off_before_its_answer_is_a_502_for_what_may_not_be_repeated() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send("POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 1\r\n\r\nx")
            reply = await client.reply()
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (502, "broke_off")
            assert (reply.headers["cache-control"], reply.headers["retry-after"]) == ("no-store", "1")
            assert one.page.connections == 1

    run(work())


def test_what_does_no_harm_is_asked_a_second_time_and_no_third() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async def work() -> None:
        async with scene(handle) as one:
            assert (await (await one.client()).ask()).status == 502
            assert one.page.connections == 2

    run(work())


def test_a_page_that_speaks_no_http_is_a_502() -> None:
    async def work() -> None:
        async with scene(answering(b"SSH-2.0-OpenSSH\r\n\r\n")) as one:
            assert (await (await one.client()).ask()).status == 502

    run(work())


def test_an_unwanted_switch_of_protocol_is_a_502() -> None:
    async def work() -> None:
        async with scene(answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")) as one:
            assert (await (await one.client()).ask()).status == 502

    run(work())


def test_a_pooled_connection_that_died_costs_nobody_an_answer() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer())  # says nothing of closing, and closes

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            for method in ("GET", "HEAD", "GET", "DELETE", "GET"):
                assert (await client.ask(method=method)).status == 200
            await until(lambda: one.page.open == 0, "the page to close")
            for _ in range(5):
                await client.send("POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 1\r\n\r\nx")
                assert (await client.reply()).status == 200
                await until(lambda: one.door.metrics()["machine_connections"] == 0, "the door to notice")

    run(work())


def test_what_may_not_be_repeated_goes_over_no_connection_that_may_be_about_to_die() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=replace(QUICK, fresh_s=-1.0)) as one:
            client = await one.client()
            await client.ask()
            await client.ask()
            assert one.page.connections == 1
            await client.send("POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 1\r\n\r\nx")
            assert (await client.reply()).status == 200
            assert one.page.connections == 2

    run(work())


def test_a_request_that_was_sent_over_a_connection_as_it_died_is_repeated() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader)
        writer.write(answer())
        if "/first" in asked.line:
            await reader.read(1)  # the next request has arrived: dies without a word
            return
        await read_request(reader)

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            assert (await client.ask("/first")).status == 200
            assert (await client.ask("/second")).status == 200
            assert one.door.metrics()["retried"] == 1

    run(work())


def test_two_hundred_megabytes_pass_with_flat_memory_to_a_slow_reader() -> None:
    size, piece = 200 << 20, b"x" * (1 << 18)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            writer.write(piece)
            await writer.drain()
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send("GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n")
            await client.head()
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            await asyncio.sleep(0.1)  # reads nothing for a while: everything must come to a halt
            left = size
            while left:
                left -= len(await client.reader.read(1 << 20))
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000

    run(work())


def test_a_big_upload_passes_to_a_page_that_reads_slowly() -> None:
    size = 50 << 20
    sums: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        left, digest = size, hashlib.sha256()
        while left:
            data = await reader.read(1 << 18)
            left -= len(data)
            digest.update(data)
        sums.append(digest.hexdigest())
        writer.write(answer())
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(f"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: {size}\r\n\r\n")
            content = bytes(range(256)) * 4096
            for _ in range(size // len(content)):
                await client.send(content)
            assert (await client.reply()).body == b"hello"
            assert sums == [hashlib.sha256(content * (size // len(content))).hexdigest()]

    run(work())


def test_a_websocket_is_joined_byte_for_byte_whatever_the_size_of_its_frames() -> None:
    seen: list[Asked] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: abc\r\n\r\nfirst words"
        )
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
        writer.write(b"goodbye")
        writer.close()
        await writer.wait_closed()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(
                "GET /ws HTTP/1.1\r\nHost: app.localhost\r\n"
                "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
                "Sec-WebSocket-Key: k\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            )
            head = await client.head()
            assert head.headers["connection"] == "Upgrade"
            assert (head.status, head.headers["upgrade"], "Upgrade") == (
                101,
                "websocket",
                "Upgrade",
            )
            assert head.headers["sec-websocket-accept"] == "abc"
            assert seen[0].headers["sec-websocket-extensions"] == "permessage-deflate"
            assert (seen[0].headers["connection"], seen[0].headers["upgrade"]) == ("Upgrade", "websocket")
            assert await client.reader.readexactly(11) == b"first words"
            frame = bytes(range(256)) * (5 << 12)  # 5 MiB
            sending = asyncio.create_task(client.send(frame * 2))
            assert await client.reader.readexactly(len(frame) * 2) == frame * 2
            await sending
            assert one.door.metrics()["open_websockets"] == 1
            client.writer.write_eof()
            assert await client.reader.read() == b"goodbye"
            client.writer.close()
            await until(lambda: one.door.metrics()["visitor_connections"] == 0, "the tunnel to end")
            assert one.door.metrics()["machine_connections"] == 0

    run(work())


@pytest.mark.parametrize("reads", ["visitor", "page"])
def test_a_websocket_whose_reader_rests_makes_its_writer_rest(reads: str) -> None:
    rested = asyncio.Event()
    flood = b"x" * (32 << 20)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        if reads == "visitor":
            writer.write(flood)
            await writer.drain()
        else:
            await rested.wait()
            writer.write(b"%d" % len(await reader.readexactly(len(flood))))
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(
                "GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            assert (await client.head()).status == 101
            if reads == "page":
                client.writer.write(flood)
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            await asyncio.sleep(0.2)  # long enough for the door to take it all, if it did
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000
            rested.set()
            if reads == "page":
                assert await client.reader.readexactly(8) == b"%d" % len(flood)
            else:
                assert await client.reader.readexactly(len(flood)) == flood

    run(work())


def test_words_spoken_before_the_socket_is_agreed_on_arrive() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        writer.write(await reader.readexactly(5))
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(
                "GET / HTTP/1.1\r\nHost: app.localhost\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly"
            )
            assert (await client.head()).status == 101
            assert await client.reader.readexactly(5) == b"early"

    run(work())


def test_a_page_that_declines_a_websocket_answers_like_any_other() -> None:
    async def work() -> None:
        async with scene(answering(answer(b"no", "403 Forbidden"))) as one:
            client = await one.client()
            for _ in range(2):
                reply = await client.ask("/ws", "Connection: Upgrade", "Upgrade: websocket")
                assert (reply.status, reply.body) == (403, b"no")

    run(work())


@pytest.mark.parametrize("who", ["visitor", "page"])
def test_when_one_end_of_a_websocket_vanishes_the_other_is_closed(who: str) -> None:
    ended = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        if who == "visitor":
            await reader.read()
            ended.set()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(
                "GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            assert (await client.head()).status == 101
            if who == "visitor":
                client.leave()
                await asyncio.wait_for(ended.wait(), 3)
            else:
                assert await client.is_closed()
                client.leave()
            await until(lambda: one.door.metrics()["visitor_connections"] == 0, "the tunnel to end")

    run(work())


def test_headers_that_only_the_door_may_set_are_replaced() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen)) as one:
            spoofed = [
                "Fly-Client-IP: 6.6.6.6", "fly-region: mars", "X-Forwarded-For: 6.6.6.6",
                "X-Forwarded-Proto: https", "Forwarded: for=6.6.6.6", "Fly_Client_IP: 6.6.6.6",
                "X_Forwarded_For: 6.6.6.6", "Fly-Prefer-Region: x", "Fly-Request-Id: mine",
                "Connection: x-secret-hop, keep-alive, host", "X-Secret-Hop: 1",
                "Keep-Alive: timeout=5", "Proxy-Authorization: x", "Proxy: evil", "TE: gzip", "Upgrade: h2c",
            ]  # fmt: skip
            reply = await (await one.client()).ask("/", *spoofed)
            asked = seen[0].headers
            assert asked["fly-client-ip"] == asked["x-forwarded-for"] == "127.0.0.1"
            assert asked["fly-forwarded-port"] == asked["x-forwarded-port"] == str(one.door.port)
            assert (asked["x-forwarded-proto"], asked["x-forwarded-ssl"]) == ("http", "off")
            assert (asked["fly-region"], asked["via"], asked["host"]) == (
                "local",
                "1.1 fly.io",
                "app.localhost",
            )
            assert asked["fly-request-id"] == reply.headers["fly-request-id"] != "mine"
            gone = {"forwarded", "fly_client_ip", "x_forwarded_for", "fly-prefer-region", "x-secret-hop"}
            gone |= {"keep-alive", "proxy-authorization", "proxy", "te", "upgrade", "connection"}
            assert not gone & set(asked)

    run(work())


def test_what_a_page_says_of_its_own_connection_stays_here() -> None:
    head = (
        b"HTTP/1.1 200 Fine\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Content-Length: 0\r\nSet-Cookie: a=1\r\n\r\n"
    )

    async def work() -> None:
        async with scene(answering(head)) as one:
            headers = (await (await one.client()).ask()).headers
            assert headers["set-cookie"] == "a=1"
            assert not {"connection", "x-hop", "keep-alive"} & set(headers)

    run(work())


def test_the_target_may_be_a_whole_url_of_the_same_host() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen)) as one:
            client = await one.client()
            assert (await client.ask("http://APP.localhost/x?y")).status == 200
            assert seen[0].line == "GET /x?y HTTP/1.1"
            assert (await client.ask("http://other.localhost/x")).status == 400

    run(work())


@pytest.mark.parametrize(
    "host", ["app.localhost", "APP.LocalHost", "app.localhost:8080", "app.localhost.:80"]
)
def test_the_host_may_be_written_in_these_ways(host: str) -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            assert (await (await one.client()).ask(host=host)).status == 200

    run(work())


@pytest.mark.parametrize(
    "host",
    ["other.localhost", "localhost", "127.0.0.1:8080", "x.app.localhost", "app.localhost.evil.com", "app"],
)
def test_an_unknown_host_is_a_404_at_once_and_wakes_nothing(host: str) -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False) as one:
            client = await one.client()
            reply = await client.ask("/", "Accept: text/html", host=host)
            assert (reply.status, reply.headers["cache-control"]) == (404, "no-store")
            assert reply.body.startswith(b"<!doctype html>")
            reply = await client.ask(host=host)
            assert json.loads(reply.body)["error"]["code"] == "no_such_workspace"
            assert (await client.ask(host=host, method="HEAD")).status == 404
            assert one.machines.wakes == one.page.connections == 0

    run(work())


def test_the_door_leaves_no_file_descriptor_behind() -> None:
    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    async def work() -> None:
        async with scene(answering(answer())) as warm_up:
            await (await warm_up.client()).ask()
        before = descriptors()
        async with scene(answering(answer())) as one:
            for _ in range(30):
                client = await one.client()
                await client.ask()
                await client.send("POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 9\r\n\r\nx")
                client.leave()
            await until(lambda: one.door.metrics()["visitor_connections"] == 0, "the door to notice")
        await until(lambda: descriptors() <= before, "the last to close")

    run(work())


def test_the_door_counts_what_it_does() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client = await one.client()
            await client.ask()
            told = one.door.metrics()
            assert (told["requests"], told["open"], told["visitor_connections"]) == (1, 0, 1)
            assert told["machine_connections"] == 1
            assert told["wakes"] == {
                "count": 0,
                "p50_ms": None,
                "p99_ms": None,
                "max_ms": None,
                "up_to_ms": {},
            }
            assert json.loads(json.dumps(told)) == told

    run(work())


def test_percentiles_are_of_what_was_measured() -> None:
    times = Times()
    for number in range(1, 101):
        times.add(number / 1000)
    told = times.report()
    assert (told["count"], told["p50_ms"], told["p99_ms"], told["max_ms"]) == (100, 51.0, 100.0, 100.0)
    assert told["up_to_ms"] == {"5": 5, "10": 5, "15": 5, "20": 5, "30": 10, "50": 20, "100": 50}


def test_a_request_that_woke_a_machine_is_logged_without_what_must_stay_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False) as one:
            await (await one.client()).ask("/path?token=secret")

    with caplog.at_level(logging.INFO, "fly.local.visitor"):
        run(work())
    assert re.fullmatch(r"m1 GET /path 200 [0-9.]+ ms cold", caplog.messages[-1])


def test_tls_is_an_option() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        server, trusted = certificate("app.localhost")
        async with scene(answering(answer(), seen=seen), tls=server) as one:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", one.door.port, ssl=trusted, server_hostname="app.localhost"
            )
            assert (await Client(reader, writer).ask()).body == b"hello"
            assert (seen[0].headers["x-forwarded-proto"], seen[0].headers["fly-forwarded-ssl"]) == (
                "https",
                "on",
            )
            writer.transport.abort()

    run(work())


def test_stopping_lets_an_answer_finish_and_takes_nobody_new() -> None:
    go_on = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await go_on.wait()
        writer.write(answer())
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            busy, unused = await one.client(), await one.client()
            await busy.send("GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n")
            await until(lambda: one.page.open, "the request to arrive")
            stopping = asyncio.create_task(one.door.stop())
            assert await unused.is_closed()
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await one.client()
            go_on.set()
            reply = await busy.reply()
            assert (reply.body, reply.headers["connection"]) == (b"hello", "close")
            await stopping

    run(work())


def test_more_visitors_than_there_is_room_for_are_told_so() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=replace(QUICK, connections=2)) as one:
            first = await one.client()
            assert (await first.ask()).status == 200
            assert (await (await one.client()).ask()).status == 200
            assert (await (await one.client()).reply()).status == 503
            assert (await first.ask()).status == 200

    run(work())
