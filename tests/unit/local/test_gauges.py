"""What the platform remembers of what machines use."""

from fly.local.gauges import KEPT_S, Memory, counters, gauges

SEEN = {
    "id": "c1",
    "cpu_stats": {
        "cpu_usage": {"total_usage": 5_000_000_000, "usage_in_usermode": 3, "usage_in_kernelmode": 1}
    },
    "memory_stats": {"usage": 300, "limit": 1000, "stats": {"total_inactive_file": 100}},
    "networks": {"eth0": {"rx_bytes": 7, "tx_bytes": 9}},
}


def test_processor_time_is_in_hundredths_and_split_as_the_engine_splits_it() -> None:
    found = {(name, dict(labels).get("mode")): value for (name, labels), value in counters(SEEN).items()}
    assert found["fly_instance_cpu", "user"] == 375
    assert found["fly_instance_cpu", "system"] == 125


def test_what_was_sent_is_told_by_device() -> None:
    assert counters(SEEN)["fly_instance_net_sent_bytes", (("device", "eth0"),)] == 9


def test_files_that_the_kernel_could_forget_are_no_used_memory() -> None:
    found = gauges(SEEN)
    assert found["fly_instance_memory_mem_total"] - found["fly_instance_memory_mem_available"] == 200


def test_a_version_two_host_calls_it_by_another_name() -> None:
    memory = {"usage": 300, "limit": 1000, "stats": {"inactive_file": 50}}
    assert gauges({"memory_stats": memory})["fly_instance_memory_mem_available"] == 750


def test_the_newest_part_is_kept_and_what_fell_silent_is_forgotten() -> None:
    memory = Memory()
    for minute in range(60 * 8):
        memory.note(minute * 60.0, "fly_instance_up", 1, app="a")
    [one] = memory.series()
    assert KEPT_S <= one.times[-1] - one.times[0] <= KEPT_S * 1.1
    memory.forget_silent(one.times[-1] + KEPT_S + 1)
    assert memory.series() == []
