"""What a machine may do when: every state has a way out, whoever comes in the middle is served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from fly.local import machines as module
from fly.local.docker import DockerError
from fly.local.hosting import Exit, Place
from fly.local.machines import Tended, WakeFailed
from fly.local.names import ulid
from fly.local.refusal import Refusal
from fly.local.state import Destroyed, Machine, now
from tests.support.door import run, until
from tests.support.host import PORT, Scene, engine_error, scene, service


def test_a_start_launches_and_notes_it() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine()
            assert await one.machines.start(machine.id) == "created"
            assert one.now(machine).state == "starting"
            await one.reach(machine, "started")
            told = [(event.type, event.status) for event in one.state.events_of(machine.id)]
            assert told == [("start", "started"), ("start", "starting"), ("launch", "created")]

    run(work())


def test_a_second_start_waits_for_the_first_and_changes_nothing() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine()
            previous = await asyncio.gather(*(one.machines.start(machine.id) for _ in range(5)))
            assert sorted(previous) == ["created", *["started"] * 4]
            assert one.host.calls.count("launch") == 1

    run(work())


def test_a_launch_that_fails_leaves_a_failed_machine_that_can_be_started() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine()
            one.host.fails["launch"] = [engine_error(500, "no space left on device")]
            await one.machines.start(machine.id)
            await one.reach(machine, "failed")
            event = one.state.events_of(machine.id)[0]
            assert event.request
            assert event.request["exit_event"]["error"] == "no space left on device"
            assert one.host.calls[-1] == "discard"
            assert await one.machines.start(machine.id) == "failed"
            await one.reach(machine, "started")

    run(work())


@pytest.mark.parametrize(
    ("verb", "at", "passing"),
    [
        ("start", "launch", ["starting"]),
        ("resume", "thaw", ["resuming"]),
        ("suspend", "freeze", ["suspending"]),
        ("stop", "end SIGINT 5", ["stopping"]),
        ("restart", "end SIGINT 5", ["restarting"]),
        ("update", "end SIGINT 5", ["updating", "replacing"]),
        ("destroy", "discard", ["destroying"]),
    ],
)
def test_what_a_machine_passes_through_is_seen_and_told_and_has_an_end(
    verb: str, at: str, passing: list[str]
) -> None:
    async def work() -> None:
        async with scene() as one:
            asleep = {"start": one.stopped, "resume": one.suspended}
            machine = await asleep.get(verb, one.running)()
            gate = one.host.gate(at)
            await begin(one, machine, verb)
            await gate.reached.wait()
            assert one.now(machine).state == passing[-1]
            told = [event.status for event in one.state.events_of(machine.id)[: len(passing)]]
            assert told[::-1] == passing
            waits = one.machines.wait(machine.id, {"failed"}, None, None, 0.01)
            with pytest.raises(Refusal, match=f"desired state, failed, currently {passing[-1]}"):
                await waits
            gate.opened.set()
            if verb == "destroy":
                await one.machines.gone(machine.id)
            else:
                await settled(one, machine.id)

    run(work())


async def begin(one: Scene, machine: Machine, verb: str) -> None:
    if verb == "update":
        await one.machines.replace(machine.id, lambda: replace(machine, instance_id=ulid()), launch=True)
    elif verb == "restart":
        await one.machines.restart(machine.id, None, None, force=False)
    elif verb == "destroy":
        await one.machines.destroy(machine.id, force=True)
    else:
        acts: dict[str, Callable[[str], Awaitable[object]]] = {
            "stop": one.machines.stop,
            "suspend": one.machines.suspend,
        }
        await acts.get(verb, one.machines.start)(machine.id)


@pytest.mark.parametrize(
    ("verb", "at"), [("resume", "thaw"), ("update", "end SIGINT 5"), ("suspend", "freeze")]
)
@pytest.mark.parametrize("then", ["start", "stop", "suspend", "restart", "update", "destroy", "wake"])
def test_who_comes_in_the_middle_has_its_turn_afterwards(verb: str, at: str, then: str) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await (one.suspended() if verb == "resume" else one.running())
            gate = one.host.gate(at)
            await begin(one, machine, verb)
            await gate.reached.wait()
            one.host.page_answers.clear()  # a frozen page answers nobody
            coming = asyncio.create_task(
                one.machines.wake(machine.id) if then == "wake" else begin(one, machine, then)
            )
            await asyncio.sleep(0.01)
            assert coming.done() == (then == "destroy")
            one.host.page_answers.set()
            gate.opened.set()
            [outcome] = await asyncio.gather(coming, return_exceptions=True)
            if then == "destroy":
                await one.machines.gone(machine.id)
                return
            await settled(one, machine.id)
            ends = {"stop": "stopped", "suspend": "suspended"}.get(then, "started")
            assert (one.now(machine).state, isinstance(outcome, Exception)) == (ends, False)

    run(work())


def test_stopping_uses_the_signal_and_the_time_of_the_config() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running(stop_config={"signal": "SIGTERM", "timeout": "42s"})
            await one.machines.stop(machine.id)
            await one.reach(machine, "stopped")
            assert "end SIGTERM 42" in one.host.calls
            await one.machines.start(machine.id)
            await one.reach(machine, "started")
            await one.machines.stop(machine.id, "SIGHUP", 0.5)
            await one.reach(machine, "stopped")
            assert "end SIGHUP 0.5" in one.host.calls

    run(work())


def test_a_frozen_process_is_not_woken_to_be_stopped() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.suspended()
            await one.machines.stop(machine.id)
            await one.reach(machine, "stopped")
            assert "thaw" not in one.host.calls
            assert not [call for call in one.host.calls if call.startswith("end")]

    run(work())


def test_an_engine_that_can_not_end_a_container_still_leaves_a_stopped_machine() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            one.host.fails["end SIGINT 5"] = [engine_error()]
            await one.machines.stop(machine.id)
            await one.reach(machine, "stopped")
            assert one.host.seen[machine.id] == "absent"

    run(work())


def test_a_suspend_that_fails_tells_what_is_there() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            one.host.fails["freeze"] = [engine_error(408)]
            await one.machines.suspend(machine.id)
            await one.reach(machine, "started")
            one.host.fails["freeze"] = [engine_error(408)]
            one.host.fails["look"] = [engine_error(408)]
            await one.machines.suspend(machine.id)
            await one.reach(machine, "stopped")

    run(work())


def test_a_resume_that_fails_boots_instead() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.suspended()
            one.host.fails["thaw"] = [engine_error()]
            one.host.seen[machine.id] = "absent"
            await one.machines.start(machine.id)
            await one.reach(machine, "started")
            assert one.host.calls.count("launch") == 2

    run(work())


def test_no_pause_meets_an_exec_that_is_starting() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            gate = one.host.gate("exec starts")
            running = asyncio.create_task(one.machines.exec(machine.id, ["true"], b"", 5))
            await gate.reached.wait()
            await one.machines.suspend(machine.id)
            await asyncio.sleep(0.05)
            assert "freeze" not in one.host.calls
            gate.opened.set()
            await running
            await one.reach(machine, "suspended")
            assert one.host.calls.index("exec") < one.host.calls.index("freeze")

    run(work())


def test_an_exec_that_runs_on_is_frozen_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.05)

    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            gate = one.host.gate("exec")
            running = asyncio.create_task(one.machines.exec(machine.id, ["sleep", "9"], b"", 5))
            await gate.reached.wait()
            await one.machines.suspend(machine.id)
            await one.reach(machine, "suspended")
            gate.opened.set()
            await running

    run(work())


def test_a_machine_is_not_put_to_sleep_under_an_exec_a_lease_or_a_visitor() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            gate = one.host.gate("exec")
            running = asyncio.create_task(one.machines.exec(machine.id, ["sleep", "9"], b"", 5))
            await gate.reached.wait()
            assert not await one.machines.sleep(machine.id, lambda: True)
            gate.opened.set()
            await running
            lease = one.leases.acquire(machine, 60, "", None)
            assert not await one.machines.sleep(machine.id, lambda: True)
            one.leases.release(machine, lease.nonce)
            assert not await one.machines.sleep(machine.id, lambda: False)
            assert one.now(machine).state == "started"
            assert await one.machines.sleep(machine.id, lambda: True)
            assert one.now(machine).state == "suspended"

    run(work())


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        ({"services": [service(autostop="off")]}, "started"),
        ({"services": [service(autostop="stop")]}, "stopped"),
        ({"services": [service()], "init": {"swap_size_mb": 1}}, "stopped"),
        ({"services": [service(min_machines_running=1)]}, "started"),
    ],
)
def test_a_machine_sleeps_the_way_its_config_says(given: dict[str, object], ends: str) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running(**given)
            assert await one.machines.sleep(machine.id, lambda: True) == (ends != "started")
            assert one.now(machine).state == ends

    run(work())


def test_who_wants_it_awake_stops_a_suspend_that_has_not_happened() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            gate = one.host.gate("exec")
            running = asyncio.create_task(one.machines.exec(machine.id, ["sleep", "9"], b"", 5))
            await gate.reached.wait()
            await one.machines.suspend(machine.id)
            assert one.now(machine).state == "suspending"
            address = await one.machines.wake(machine.id)
            assert address.port == one.host.page_port
            assert "freeze" not in one.host.calls
            gate.opened.set()
            await running

    run(work())


def test_a_wake_in_the_middle_of_falling_asleep_wakes_it_again() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            for verb, asleep in (("freeze", one.machines.suspend), ("end SIGINT 5", one.machines.stop)):
                gate = one.host.gate(verb)
                await asleep(machine.id)
                await gate.reached.wait()
                waking = asyncio.create_task(one.machines.wake(machine.id))
                await asyncio.sleep(0.02)
                assert not waking.done()
                gate.opened.set()
                await waking
                assert one.machines.target("app") is not None
                await one.reach(machine, "started")

    run(work())


def test_all_who_wait_share_one_wake_and_who_leaves_ends_nothing() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.suspended()
            gate = one.host.gate("thaw")
            waiting = [asyncio.create_task(one.machines.wake(machine.id)) for _ in range(20)]
            await gate.reached.wait()
            waiting.pop().cancel()
            one.host.page_answers.clear()
            gate.opened.set()
            await one.reach(machine, "started")
            assert not any(task.done() for task in waiting[:-1])
            one.host.page_answers.set()
            assert len(set(await asyncio.gather(*waiting))) == 1
            assert one.host.calls.count("thaw") == 1

    run(work())


def test_a_machine_that_falls_asleep_while_it_is_woken_is_woken_again() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.suspended()
            one.host.page_answers.clear()
            waking = asyncio.create_task(one.machines.wake(machine.id))
            await one.reach(machine, "started")
            one.host.seen[machine.id] = "paused"
            await one.machines.ended(machine.id)
            await until(lambda: one.host.calls.count("thaw") == 2, "the second thaw")
            one.host.page_answers.set()
            await waking

    run(work())


def test_awake_means_that_the_page_has_answered() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            before = one.machines.target("app")
            assert before
            assert not before.awake
            assert [target.machine_id for target in one.machines.awake()] == [machine.id]
            await one.machines.wake(machine.id)
            after = one.machines.target("app")
            assert after
            assert after.awake
            assert after.address
            assert (after.autostop, after.health_path) == ("suspend", "/health")

    run(work())


def test_whoever_listens_is_told_before_a_machine_sleeps() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            told: list[tuple[str, bool]] = []
            one.machines.on_sleep(lambda machine_id: told.append((machine_id, "freeze" in one.host.calls)))
            await one.machines.suspend(machine.id)
            await one.reach(machine, "suspended")
            target = one.machines.target("app")
            assert told == [(machine.id, False)]
            assert target
            assert not target.awake

    run(work())


def test_a_wake_that_can_not_be_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine()
            one.host.fails["launch"] = [engine_error(500, "no such image")]
            with pytest.raises(WakeFailed, match="no such image"):
                await one.machines.wake(machine.id)
            one.leases.acquire(machine, 60, "", None)
            with pytest.raises(Tended, match="lease currently held"):
                await one.machines.wake(machine.id)
            with pytest.raises(WakeFailed, match="machine not found"):
                await one.machines.wake("0" * 14)

    async def deadline() -> None:
        async with scene() as one:
            machine = one.machine()
            one.host.page_answers.clear()
            with pytest.raises(WakeFailed, match="did not answer in"):
                await one.machines.wake(machine.id)
            assert one.now(machine).state == "started"

    run(work())
    monkeypatch.setattr(module, "WAKE_DEADLINE_S", 0.1)
    run(deadline())


def test_a_crash_starts_it_again_and_a_good_end_does_not() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            one.host.seen[machine.id], one.host.exit = "exited", Exit(3, True, now())
            await one.machines.ended(machine.id)
            await one.reach(machine, "restarting")
            await one.reach(machine, "started")
            ended = one.state.events_of(machine.id)[2].request
            assert ended
            assert ended["exit_event"]["exit_code"] == 3
            assert ended["exit_event"]["oom_killed"]
            one.host.seen[machine.id], one.host.exit = "exited", Exit(0, False, now())
            await one.machines.ended(machine.id)
            await one.reach(machine, "stopped")

    run(work())


def test_a_start_does_not_wait_for_the_next_try_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACK_OFF_S", 60)

    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            one.host.seen[machine.id], one.host.exit = "exited", Exit(1, False, now())
            await one.machines.ended(machine.id)
            await one.reach(machine, "restarting")
            await one.machines.wake(machine.id)

    run(work())


def test_an_end_that_nobody_saw_because_it_was_busy_is_seen_afterwards() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine(restart={"policy": "no"})
            gate, one.host.launched = one.host.gate("launch"), "exited"
            await one.machines.start(machine.id)
            await gate.reached.wait()
            await one.machines.ended(machine.id)
            gate.opened.set()
            await one.reach(machine, "stopped")

    run(work())


def test_an_end_that_is_told_of_just_as_another_s_turn_comes_is_seen_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)

    async def work() -> None:
        async with scene() as one:
            machine = await one.running(restart={"policy": "no"})
            lock, gate = one.machines._of(machine.id).lock, one.host.gate("launch")
            one.host.launched = "exited"
            await lock.acquire()
            restarting = asyncio.create_task(one.machines.restart(machine.id, None, None, force=False))
            await asyncio.sleep(0)
            lock.release()
            await one.machines.ended(machine.id)  # nobody has the lock, but it is promised
            await restarting
            await gate.reached.wait()
            gate.opened.set()
            await one.reach(machine, "stopped")

    run(work())


def test_nothing_moves_in_a_machine_while_its_volume_is_copied() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            during: list[tuple[str, str]] = []

            async def copy() -> None:
                during.append((one.now(machine).state, one.host.seen[machine.id]))

            await one.machines.while_still(machine.id, copy)
            await until(lambda: not one.machines.busy(machine.id), "rest")
            assert during == [("started", "paused")]
            assert (one.now(machine).state, one.host.seen[machine.id]) == ("started", "running")
            assert not one.now(machine).held
            asleep = await one.suspended()
            await one.machines.while_still(asleep.id, copy)
            await one.machines.while_still(None, copy)
            await one.machines.while_still("0" * 14, copy)
            assert len(during) == 4
            assert (one.now(asleep).state, one.host.seen[asleep.id]) == ("suspended", "paused")

    run(work())


@pytest.mark.parametrize("trouble", ["freeze", "copy", "thaw", "leaves"])
def test_a_copy_that_fails_leaves_the_machine_running(trouble: str) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            if trouble != "leaves":
                one.host.fails[trouble] = [engine_error()]

            async def copy() -> None:
                if trouble == "copy":
                    raise engine_error()
                if trouble == "leaves":
                    await asyncio.sleep(60)

            copying = asyncio.create_task(one.machines.while_still(machine.id, copy))
            if trouble == "leaves":
                await until(lambda: one.host.seen[machine.id] == "paused", "the copy to be under way")
                copying.cancel()
            [outcome] = await asyncio.gather(copying, return_exceptions=True)
            assert isinstance(outcome, BaseException) is (trouble != "thaw")
            await until(lambda: not one.machines.busy(machine.id) and not one.now(machine).held, "rest")
            await one.reach(machine, "started")
            assert one.host.seen[machine.id] == "running"

    run(work())


def test_a_machine_that_is_destroyed_in_the_middle_of_a_copy_ends_the_copy() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            copying = asyncio.create_task(one.machines.while_still(machine.id, lambda: asyncio.sleep(60)))
            await until(lambda: one.host.seen[machine.id] == "paused", "the copy to be under way")
            await one.machines.destroy(machine.id, force=True)
            with pytest.raises(DockerError, match="taken away in the middle"):
                await copying
            await one.machines.gone(machine.id)

    run(work())


def test_a_machine_that_was_held_still_when_the_platform_was_killed_runs_on() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            one.state.change(machine, held=True)
            one.host.seen[machine.id] = "paused"
            other = await one.again()
            other.machines.load()
            await other.machines.adopt()
            await settled(other, machine.id)
            assert (other.now(machine).state, other.now(machine).held) == ("started", False)
            assert one.host.seen[machine.id] == "running"
            await other.machines.close()

    run(work())


def test_a_forced_destroy_takes_the_lock_away() -> None:
    async def work() -> None:
        async with scene() as one:
            for verb in ("launch", "end SIGINT 5"):
                machine = one.machine()
                if verb != "launch":
                    await one.machines.start(machine.id)
                    await one.reach(machine, "started")
                gate = one.host.gate(verb)
                await (one.machines.start if verb == "launch" else one.machines.stop)(machine.id)
                await gate.reached.wait()
                await one.machines.destroy(machine.id, force=True)
                await one.machines.gone(machine.id)
                assert isinstance(one.state.destroyed[machine.id], Destroyed)
                assert one.state.events_of(machine.id) == []
                one.host.gates.clear()

    run(work())


def test_a_forced_destroy_waits_for_what_it_cut_off_to_tidy_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)

    async def work() -> None:
        async with scene() as one:
            begun = asyncio.Event()

            async def launch(_machine: Machine) -> Place:
                """The engine is slow, and what it makes has to be seen to its end."""
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0.2)
                raise AssertionError

            monkeypatch.setattr(one.host, "launch", launch)
            machine = one.machine()
            await one.machines.start(machine.id)
            await begun.wait()
            await one.machines.destroy(machine.id, force=True)
            await one.machines.gone(machine.id)

    run(work())


def test_a_destroy_right_after_a_start_leaves_nothing() -> None:
    async def work() -> None:
        async with scene() as one:
            for _ in range(20):
                machine = one.machine()
                await one.machines.start(machine.id)
                await one.machines.destroy(machine.id, force=True)
                await one.machines.gone(machine.id)
            assert one.state.machines == {}
            assert one.machines.target("app") is None

    run(work())


def test_who_waits_too_long_for_its_turn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)

    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            gate = one.host.gate("end SIGINT 5")
            await one.machines.stop(machine.id)
            await gate.reached.wait()
            with pytest.raises(Refusal, match="machine still active, refusing to start") as refused:
                await one.machines.start(machine.id)
            assert refused.value.code == 412
            gate.opened.set()
            await one.reach(machine, "stopped")

    run(work())


@pytest.mark.parametrize(
    ("state", "container", "ends"),
    [
        ("created", "absent", "created"),
        ("created", "running", "started"),
        ("starting", "absent", "started"),
        ("starting", "running", "started"),
        ("starting", "paused", "started"),
        ("starting", "exited", "started"),
        ("resuming", "paused", "started"),
        ("resuming", "running", "started"),
        ("resuming", "absent", "started"),
        ("resuming", "exited", "started"),
        ("started", "running", "started"),
        ("started", "paused", "suspended"),
        ("started", "absent", "stopped"),
        ("started", "exited", "stopped"),
        ("suspending", "running", "suspended"),
        ("suspending", "paused", "suspended"),
        ("suspending", "absent", "stopped"),
        ("suspended", "paused", "suspended"),
        ("suspended", "running", "started"),
        ("suspended", "absent", "stopped"),
        ("suspended", "exited", "stopped"),
        ("stopping", "running", "stopped"),
        ("stopping", "paused", "stopped"),
        ("stopping", "absent", "stopped"),
        ("stopped", "absent", "stopped"),
        ("stopped", "exited", "stopped"),
        ("stopped", "running", "started"),
        ("restarting", "running", "started"),
        ("restarting", "absent", "started"),
        ("updating", "running", "started"),
        ("updating", "paused", "started"),
        ("updating", "absent", "started"),
        ("replacing", "running", "started"),
        ("replacing", "absent", "started"),
        ("failed", "absent", "failed"),
        ("failed", "running", "started"),
        ("destroying", "running", "gone"),
        ("destroying", "absent", "gone"),
    ],
)
def test_a_platform_that_comes_back_goes_on_from_every_state(state: str, container: str, ends: str) -> None:
    async def work() -> None:
        async with scene() as one:
            machine = one.machine(state, restart={"policy": "no"})
            one.host.seen[machine.id] = container
            other = await one.again()
            other.machines.load()
            await other.machines.adopt()
            if ends == "gone":
                await other.machines.gone(machine.id)
            else:
                await settled(other, machine.id)
                assert one.state.machines[machine.id].state == ends
            at_rest = {"started": "running", "suspended": "paused"}.get(ends, "absent")
            assert one.host.seen[machine.id] == at_rest
            await other.machines.close()

    run(work())


async def settled(one: Scene, machine_id: str) -> None:
    lasting = {"created", "started", "stopped", "suspended", "failed"}
    await until(
        lambda: one.state.machines[machine_id].state in lasting and not one.machines.busy(machine_id), "rest"
    )


def test_an_engine_that_is_away_at_the_start_is_no_end() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            one.host.fails["look"] = [engine_error(0, "connection refused")]
            other = await one.again()
            other.machines.load()
            await other.machines.adopt()
            await settled(other, machine.id)
            await other.machines.look_again()
            await other.reach(machine, "started")
            await other.machines.close()

    run(work())


def test_an_app_with_several_machines_is_served_by_one_that_is_awake() -> None:
    async def work() -> None:
        async with scene() as one:
            asleep, awake, cordoned = [await one.running() for _ in range(3)]
            await one.machines.wake(awake.id)
            await one.machines.wake(cordoned.id)
            one.machines.amend(cordoned, cordoned=True)
            target = one.machines.target("app")
            assert target
            assert target.machine_id == awake.id
            one.machines.amend(awake, cordoned=True)
            one.machines.amend(asleep, cordoned=True)
            assert one.machines.target("app") is None
            assert one.machines.knows("app")
            assert not one.machines.knows("nobody")
            one.state.change(one.state.apps["app"], deleting=True)
            assert not one.machines.knows("app")

    run(work())


def test_a_page_that_took_no_connection_is_awake_again_when_it_answers() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running()
            await one.machines.wake(machine.id)
            one.host.page_answers.clear()
            one.machines.missed(machine.id)
            target = one.machines.target("app")
            assert target
            assert (target.awake, target.up) == (False, True)
            assert one.machines.running(machine.id) == target
            waking = asyncio.create_task(one.machines.wake(machine.id))
            await asyncio.sleep(0.05)
            assert not waking.done()
            one.host.page_answers.set()
            await waking
            assert one.host.calls.count("launch") == 1
            one.machines.missed("0" * 14)
            assert one.machines.running("0" * 14) is None

    run(work())


def test_a_machine_without_a_service_is_no_target_and_never_put_to_sleep() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.running(services=[])
            assert one.machines.target("app") is None
            assert one.machines.awake() == []
            assert not await one.machines.sleep(machine.id, lambda: True)

    run(work())


def test_an_update_of_what_sleeps_throws_its_memory_away() -> None:
    async def work() -> None:
        async with scene() as one:
            machine = await one.suspended()
            draft = replace(machine, instance_id=ulid())
            changed = await one.machines.replace(machine.id, lambda: draft, launch=True)
            assert changed.state == "updating"
            await one.reach(machine, "started")
            assert "thaw" not in one.host.calls
            assert one.now(machine).instance_id == draft.instance_id
            assert [v.instance_id for v in one.state.versions_of(machine.id)] == [
                draft.instance_id,
                machine.instance_id,
            ]

    run(work())


def test_a_check_has_its_grace_after_a_boot_and_none_after_a_resume() -> None:
    checks = {"health": {"type": "http", "path": "/health", "port": PORT, "grace_period": "1h"}}

    async def work() -> None:
        async with scene() as one:
            machine = await one.running(checks=checks, services=[service(checks=[])])
            await asyncio.sleep(0.1)
            (found,) = one.machines.checks(one.now(machine))
            assert (found.status, found.output) == ("critical", "the check has not run yet")
            await one.machines.suspend(machine.id)
            await one.reach(machine, "suspended")
            await one.machines.start(machine.id)
            await until(lambda: one.machines.checks(one.now(machine))[0].status == "passing", "the check")

    run(work())
