"""Sleeping machines: who comes waits, one wake serves all, and nobody is lost between waking and sleeping."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from fly.local.door import Door
from fly.local.idle import Rule
from fly.local.machines import Tended
from fly.local.probe import Address
from tests.support.door import (
    HOST,
    IMPATIENT,
    MACHINE,
    QUICK,
    Asked,
    Client,
    Page,
    Scene,
    answer,
    answering,
    read_request,
    run,
    scene,
    until,
)
from tests.support.host import scene as machines_scene

SLEEPY = replace(QUICK, idle=Rule(idle_after_s=0.1, idle_stream_s=0.5))


def holding(one: Scene) -> asyncio.Event:
    one.machines.hurdle = asyncio.Event()
    return one.machines.hurdle


def test_a_request_to_a_sleeping_machine_is_held_until_it_is_awake() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False) as one:
            hurdle = holding(one)
            asking = asyncio.create_task((await one.client()).ask())
            await until(lambda: one.held == 1, "the request to be held")
            hurdle.set()
            assert (await asking).body == b"hello"
            assert one.door.metrics()["wakes"]["count"] == 1
            assert one.door.metrics()["cold_answers"]["count"] == 1

    run(work())


def test_one_wake_serves_everybody_who_waits() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False) as one:
            hurdle = holding(one)
            clients = [await one.client() for _ in range(50)]
            asking = [asyncio.create_task(client.ask()) for client in clients]
            await until(lambda: one.held == 50, "all to be held")
            hurdle.set()
            assert {reply.body for reply in await asyncio.gather(*asking)} == {b"hello"}
            assert one.machines.wakes == 1
            assert one.held == 0

    run(work())


def test_a_websocket_waits_for_the_machine_too() -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi"

    async def work() -> None:
        async with scene(answering(upgrade), awake=False) as one:
            hurdle = holding(one)
            client = await one.client()
            await client.send(
                f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            await asyncio.sleep(QUICK.page_s * 2)
            hurdle.set()
            assert (await client.head()).status == 101
            assert await client.reader.readexactly(2) == b"hi"

    run(work())


def test_a_big_upload_stops_while_the_machine_wakes_and_arrives_whole() -> None:
    seen: list[Asked] = []
    body = bytes(range(256)) * (20 << 12)  # 20 MiB

    async def work() -> None:
        async with scene(answering(answer(), seen=seen), awake=False) as one:
            hurdle = holding(one)
            client = await one.client()
            await client.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n")
            client.writer.write(body)
            await until(lambda: one.held == 1, "the upload to be held")
            await asyncio.sleep(0.1)
            assert client.writer.transport.get_write_buffer_size() > 8 << 20, (
                "the door reads on though it can not"
            )
            hurdle.set()
            assert (await client.reply()).status == 200
            assert seen[0].body == body

    run(work())


def test_a_visitor_who_leaves_while_he_waits_is_forgotten() -> None:
    seen: list[Asked] = []

    async def work() -> None:
        async with scene(answering(answer(), seen=seen), awake=False, limits=IMPATIENT) as one:
            hurdle = holding(one)
            leaves, closes, stays = [await one.client() for _ in range(3)]
            asking = asyncio.create_task(stays.ask("/stays"))
            for client in (leaves, closes):
                await client.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n")
            await until(lambda: one.held == 3, "all to be held")
            leaves.leave()
            closes.writer.close()
            await until(lambda: one.held == 1, "those who left to be forgotten")
            hurdle.set()
            assert (await asking).status == 200
            assert [asked.line for asked in seen] == ["GET /stays HTTP/1.1"]

    run(work())


UPLOAD = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {32 << 20}\r\n\r\n"
CHUNKED = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n"
UNHURRIED = replace(QUICK, body_s=60, half_close_s=60, hold_s=60)


def reset(client: Client) -> None:
    """Gone, and the kernel says so at once."""
    endpoint = client.writer.get_extra_info("socket")
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.leave()


@pytest.mark.parametrize("goes", [reset, Client.leave], ids=["reset", "closed"])
@pytest.mark.parametrize("size", [1 << 20, 16 << 20], ids=["in reach", "under way"])
@pytest.mark.parametrize("head", [UPLOAD, CHUNKED], ids=["sized", "chunked"])
@pytest.mark.parametrize("awake", [False, True], ids=["waking", "not reading"])
def test_a_visitor_who_vanishes_in_the_middle_of_an_upload_is_noticed_soon(
    goes: Callable[[Client], None], size: int, head: str, awake: bool
) -> None:
    """Also where the end of what he sent has not even arrived."""

    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def work() -> None:
        async with scene(rest, awake=awake, limits=UNHURRIED) as one:
            holding(one)
            client = await one.client()
            await client.send(head)
            client.writer.write(b"x" * size)
            await until(lambda: one.door._unheard or one.page.open, "the upload to be on its way")
            await asyncio.sleep(0.1)
            goes(client)
            await until(lambda: not one.door.metrics()["visitor_connections"], "the visitor to be missed")
            figures = one.door.metrics()
            assert (figures["held"], figures["open"], one.door._unheard) == (0, 0, set())
            if awake:
                await until(lambda: not one.door.metrics()["machine_connections"], "the machine to be left")

    run(work())


@pytest.mark.parametrize("chunked", [False, True])
def test_who_has_sent_all_and_says_so_still_gets_his_answer(chunked: bool) -> None:
    body, seen = b"x" * (1 << 20), list[Asked]()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"

    async def work() -> None:
        async with scene(answering(answer(), seen=seen), awake=False, limits=UNHURRIED) as one:
            hurdle = holding(one)
            client = await one.client()
            await client.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\n{framing}\r\n\r\n")
            await client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
            client.writer.write_eof()
            await until(lambda: one.door._unheard, "the door to read no more")
            await asyncio.sleep(0.2)
            hurdle.set()
            assert (await client.reply()).status == 200
            assert seen[0].body == body

    run(work())


def test_a_visitor_who_leaves_a_websocket_that_nobody_reads_is_noticed_soon() -> None:
    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        await asyncio.sleep(60)

    async def work() -> None:
        async with scene(rest, limits=UNHURRIED) as one:
            client = await one.client()
            await client.send(
                f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            assert (await client.head()).status == 101
            client.writer.write(b"x" * (32 << 20))
            await until(lambda: one.door._unheard, "the door to read no more")
            client.leave()
            await until(lambda: not one.door.metrics()["visitor_connections"], "the visitor to be missed")
            await until(lambda: not one.door.metrics()["machine_connections"], "the machine to be left")

    run(work())


def test_a_browser_gets_a_page_that_asks_again_and_then_the_real_one() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False) as one:
            hurdle = holding(one)
            client = await one.client()
            for _ in range(2):
                reply = await client.ask("/", "Accept: text/html,*/*", "Sec-Fetch-Dest: document")
                assert (reply.status, reply.headers["cache-control"]) == (503, "no-store")
                assert reply.headers["retry-after"] == "1"
                assert b'http-equiv="refresh"' in reply.body
                assert b"waking up" in reply.body
            assert one.held == 0
            hurdle.set()
            assert (await client.ask("/", "Accept: text/html")).body == b"hello"
            assert one.machines.wakes == 1

    run(work())


def test_a_program_is_held_until_the_deadline_and_never_sees_the_waking_page() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False, limits=replace(QUICK, hold_s=0.4)) as one:
            hurdle = holding(one)
            reply = await (await one.client()).ask("/api", "Accept: application/json")
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (504, "wake_timeout")
            hurdle.set()

    run(work())


def test_a_failed_wake_is_told_to_all_and_not_tried_again_at_once() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False) as one:
            one.machines.fails = "no memory left"
            replies = await asyncio.gather(*[(await one.client()).ask() for _ in range(5)])
            assert {reply.status for reply in replies} == {503}
            assert one.machines.wakes == 1
            assert "no memory left" in (await one.door.activity(MACHINE))["why"]
            assert (await (await one.client()).ask()).status == 503
            assert one.machines.wakes == 1
            one.machines.fails = ""
            client = await one.client()
            while (await client.ask()).status != 200:
                assert one.machines.wakes == 1
                await asyncio.sleep(0.02)
            assert one.machines.wakes == 2

    run(work())


def test_a_machine_that_may_not_wake_by_itself_stays_asleep() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False, autostart=False) as one:
            reply = await (await one.client()).ask()
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (503, "asleep")
            assert one.machines.wakes == 0

    run(work())


def test_only_so_many_are_held_for_one_machine() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False, limits=replace(QUICK, held_requests=2)) as one:
            hurdle = holding(one)
            waiting = [asyncio.create_task((await one.client()).ask()) for _ in range(2)]
            await until(lambda: one.held == 2, "two to be held")
            assert (await (await one.client()).ask()).status == 503
            hurdle.set()
            assert [(await one_of).status for one_of in waiting] == [200, 200]

    run(work())


def test_a_page_that_refuses_connections_is_waited_for_like_a_sleeping_one() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            await one.page.stop()
            hurdle = holding(one)
            asking = asyncio.create_task((await one.client()).ask())
            await until(lambda: one.held == 1, "the request to be held")
            again = Page(answering(answer(b"back")), port=one.page.port)
            await again.start()
            hurdle.set()
            assert (await asking).body == b"back"
            await again.stop()

    run(work())


def test_a_page_that_refuses_connections_again_and_again_is_waited_for() -> None:
    """As when the server in the machine starts anew: who can wait never sees a 502."""

    async def work() -> None:
        async with scene(answering(answer())) as one:
            await one.page.stop()
            program, person = await one.client(), await one.client()
            asking = asyncio.create_task(program.ask("/", "Content-Length: 0", method="POST"))
            page = await person.ask("/", "Accept: text/html", "Sec-Fetch-Dest: document")
            assert (page.status, b"waking up" in page.body) == (503, True)
            await until(lambda: one.machines.wakes > 2, "it to be tried more than once")
            again = Page(answering(answer(b"back")), port=one.page.port)
            await again.start()
            assert (await asking).body == b"back"
            assert (await person.ask("/", "Accept: text/html")).body == b"back"
            await again.stop()

    run(work())


def test_a_page_that_refuses_connections_for_good_is_a_502_once_the_time_to_wait_is_over() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=replace(QUICK, hold_s=0.4)) as one:
            await one.page.stop()
            client, began = await one.client(), time.monotonic()
            reply = await client.ask()
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (502, "unreachable")
            assert 0.3 < time.monotonic() - began < 3
            assert one.machines.wakes > 1
            assert one.door.metrics()["machine_connections"] == 0
            assert one.door.metrics()["open"] == 0

    run(work())


def test_the_server_in_a_machine_may_start_anew_and_nobody_sees_it() -> None:
    """The door over the machines as they are: only the host pretends."""

    async def work() -> None:
        async with machines_scene() as one:
            machine = await one.running()
            door = Door(one.machines, port=0, limits=QUICK)
            await door.start()
            client = Client(*await asyncio.open_connection("127.0.0.1", door.port))
            assert (await client.ask()).status == 200
            port = one.host.page_port
            one.host.server.close()
            asking = asyncio.create_task(client.ask())
            await until(lambda: door.metrics()["held"] == 1, "the request to be held")
            await asyncio.sleep(0.1)
            assert not asking.done()
            again = await asyncio.start_server(one.host.serve, "127.0.0.1", port)
            assert (await asking).status == 200
            assert one.host.calls.count("launch") == 1
            assert one.now(machine).state == "started"
            client.leave()
            again.close()
            await door.stop()

    run(work())


def test_a_machine_that_runs_and_may_not_be_woken_is_waited_for() -> None:
    async def work() -> None:
        async with scene(answering(answer()), autostart=False) as one:
            one.machines.missed(MACHINE)
            assert (await (await one.client()).ask()).body == b"hello"

    run(work())


def test_a_workspace_that_is_being_changed_says_so_and_opens_by_itself() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client, target = await one.client(), one.machines.one
            one.machines.one = replace(target, app="another")
            page = await client.ask("/", "Accept: text/html")
            assert (page.status, page.headers["retry-after"]) == (503, "5")
            assert b"being looked after" in page.body
            assert b'http-equiv="refresh"' in page.body
            told = await client.ask("/api", "Accept: application/json")
            assert (told.status, json.loads(told.body)["error"]["code"]) == (503, "looked_after")
            assert (await client.ask(host="nobody.localhost")).status == 404
            one.machines.one = target
            assert (await client.ask()).body == b"hello"

    run(work())


def test_a_machine_that_somebody_holds_is_being_looked_after() -> None:
    async def work() -> None:
        async with scene(answering(answer()), awake=False) as one:
            one.machines.fails, one.machines.failure = "the lease is held", Tended
            for _ in range(2):
                page = await (await one.client()).ask("/", "Accept: text/html")
                assert (page.status, b"being looked after" in page.body) == (503, True)

    run(work())


def test_a_machine_that_wakes_at_another_address_is_found_there() -> None:
    async def work() -> None:
        async with scene(answering(answer(b"old"))) as one:
            client = await one.client()
            assert (await client.ask()).body == b"old"
            moved = Page(answering(answer(b"new")))
            await moved.start()
            one.machines.nod_off()
            one.machines.one = replace(one.machines.one, address=Address("127.0.0.1", moved.port))
            assert (await client.ask()).body == b"new"
            await moved.stop()

    run(work())


def test_falling_asleep_drops_the_connections_to_the_machine() -> None:
    async def work() -> None:
        async with scene(answering(answer())) as one:
            client = await one.client()
            await client.ask()
            one.machines.nod_off()
            await until(lambda: one.page.open == 0, "the connections to close")
            assert (await client.ask()).status == 200
            assert (one.page.connections, one.machines.wakes) == (2, 1)

    run(work())


def test_a_question_under_way_when_the_machine_falls_asleep_wakes_it_again() -> None:
    asked = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if not asked.is_set():
            asked.set()
            await reader.read()
        writer.write(answer())
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            asking = asyncio.create_task((await one.client()).ask())
            await asked.wait()
            one.machines.nod_off()
            assert (await asking).body == b"hello"
            assert one.machines.wakes == 1

    run(work())


def test_an_unused_machine_is_put_to_sleep() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=SLEEPY) as one:
            assert (await (await one.client()).ask()).status == 200
            activity = await one.door.activity(MACHINE)
            assert (activity["awake"], activity["why"]) == (True, "last used 0 s ago")
            await until(lambda: one.machines.sleeps == 1, "it to sleep")
            assert (await one.door.activity(MACHINE))["why"] == "asleep"
            assert (await one.door.activity("no such machine"))["awake"] is False

    run(work())


def test_a_flood_of_refusals_keeps_nothing_awake() -> None:
    async def work() -> None:
        async with scene(answering(answer(b"", "404 Not Found")), limits=SLEEPY) as one:
            client = await one.client()
            while not one.machines.sleeps:
                assert (await client.ask()).status == 404
                await asyncio.sleep(0.005)

    run(work())


@pytest.mark.parametrize("autostop", ["off", "suspend"])
def test_an_open_websocket_with_life_in_it_keeps_a_machine_awake(autostop: str) -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(upgrade)
        await reader.read()

    async def work() -> None:
        async with scene(handle, limits=SLEEPY, autostop=autostop) as one:
            client = await one.client()
            await client.send(
                f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            await client.head()
            for _ in range(10):
                await client.send("tick")
                await asyncio.sleep(0.05)
            assert one.machines.sleeps == 0
            why = (await one.door.activity(MACHINE))["why"]
            if autostop == "off":
                assert "autostop is off" in why
                return
            assert why == "an open terminal or page connection (1), last byte 0 s ago"
            await until(lambda: one.machines.sleeps == 1, "the silent socket to count no more")
            assert await client.is_closed()

    run(work())


def test_a_machine_is_asked_whether_it_is_busy_and_asking_is_no_use_of_it() -> None:
    busy = {"now": True}
    questions: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        questions.append((await read_request(reader)).line)
        writer.write(answer(b"{}", "200 OK", *(["x-jarvis-busy: 0.2"] if busy["now"] else [])))

    async def work() -> None:
        async with scene(handle, limits=SLEEPY, health_path="/health") as one:
            await until(lambda: len(questions) >= 3, "it to be asked again and again")
            assert one.machines.sleeps == 0
            assert "at work" in (await one.door.activity(MACHINE))["why"]
            busy["now"] = False
            await until(lambda: one.machines.sleeps == 1, "it to sleep")
            assert set(questions) == {"GET /health HTTP/1.1"}

    run(work())


def test_who_asks_when_it_sleeps_hears_of_a_turn_that_nobody_watches() -> None:
    questions: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        questions.append((await read_request(reader)).line)
        writer.write(answer(b"{}", "200 OK", "x-jarvis-busy: 110"))

    async def work() -> None:
        async with scene(handle, limits=replace(QUICK, glance_kept_s=60), health_path="/health") as one:
            told = await one.door.activity(MACHINE)
            assert told["why"] == "the workspace is at work, for 110 s more at least"
            assert (told["last_activity_s"], told["open_connections"]) == (None, 0)
            assert 299 < told["sleeps_in_s"] <= 300
            await one.door.activity(MACHINE)
            assert questions == ["GET /health HTTP/1.1"]

    run(work())


def test_who_asks_when_it_sleeps_does_not_wait_long_for_a_workspace_that_is_silent() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def work() -> None:
        async with scene(handle, limits=replace(QUICK, glance_s=0.05), health_path="/health") as one:
            assert (await one.door.activity(MACHINE))["why"] == "woken 0 s ago"

    run(work())


def test_a_workspace_that_does_not_say_whether_it_is_busy_is_asked_three_times() -> None:
    asked: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(1)

    async def work() -> None:
        async with scene(handle, limits=SLEEPY, health_path="/health") as one:
            await until(lambda: one.machines.sleeps == 1, "it to sleep all the same")
            assert len(asked) == 3

    run(work())


def test_a_request_between_the_decision_and_the_sleep_is_served() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=SLEEPY) as one:
            asking: list[asyncio.Task[object]] = []

            async def meanwhile() -> None:
                if not asking:
                    client = await one.client()
                    asking.append(asyncio.create_task(client.ask()))
                    await until(lambda: one.held == 1, "the request to wait")

            one.machines.before_sleep = meanwhile
            await until(lambda: one.machines.sleeps, "it to sleep")
            assert getattr(await asking[0], "body") == b"hello"  # noqa: B009
            assert one.machines.wakes == 1

    run(work())


def test_a_machine_that_slept_and_woke_is_reached_without_being_woken_again() -> None:
    async def work() -> None:
        async with scene(answering(answer()), limits=SLEEPY) as one:
            await until(lambda: one.machines.sleeps == 1, "it to sleep")
            client = await one.client()
            for _ in range(5):
                assert (await client.ask()).status == 200
            assert one.machines.wakes == 1

    run(work())


def test_requests_never_get_lost_while_a_machine_falls_asleep_and_wakes_all_the_time() -> None:
    hectic = replace(QUICK, idle=Rule(idle_after_s=0.0), tick_s=0.001, pass_s=0.001, reconsider_s=0.0)

    async def work() -> None:
        async with scene(answering(answer()), limits=hectic) as one:

            async def ask_often() -> None:
                client = await one.client()
                for _ in range(100):
                    assert (await client.ask()).body == b"hello"
                    await asyncio.sleep(0.002)

            await asyncio.gather(*[ask_often() for _ in range(4)])
            assert one.machines.sleeps > 5
            assert one.door.metrics()["open"] == one.held == 0

    run(work())


def test_a_visitor_who_only_repeats_what_must_not_be_repeated_is_told_when_the_machine_falls_asleep() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def work() -> None:
        async with scene(handle) as one:
            client = await one.client()
            await client.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\n\r\nx")
            await until(lambda: one.page.open, "the request to arrive")
            one.machines.nod_off()
            assert (await client.reply()).status == 502

    run(work())
