"""How often one may ask."""

from __future__ import annotations

import pytest

from fly.local.rates import Rates

APP, MACHINE = "/v1/apps/a", "/v1/apps/a/machines/m"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> Rates:
    return Rates(clock)


def let_through(rates: Rates, method: str, path: str, times: int = 200) -> int:
    return sum(rates.wait_s(method, path) == 0 for _ in range(times))


@pytest.mark.parametrize(
    ("method", "path", "burst"),
    [
        ("POST", f"{MACHINE}/start", 3),
        ("POST", MACHINE, 3),
        ("GET", MACHINE, 10),
        ("GET", f"{MACHINE}/events", 3),
        ("GET", f"{APP}/machines", 3),
        ("POST", "/v1/apps", 3),
        ("GET", "/v1/orgs/personal/machines", 3),
        ("DELETE", APP, 100),
        ("POST", "/graphql", 200),
    ],
)
def test_a_burst_is_let_through_and_then_no_more(rates: Rates, method: str, path: str, burst: int) -> None:
    assert let_through(rates, method, path) == burst


def test_what_is_to_come_is_told_and_true(rates: Rates, clock: Clock) -> None:
    let_through(rates, "POST", f"{MACHINE}/start")
    wait_s = rates.wait_s("POST", f"{MACHINE}/start")
    assert 0 < wait_s <= 1
    clock.now_s += wait_s + 1e-6
    assert let_through(rates, "POST", f"{MACHINE}/start") == 1


def test_each_action_and_each_machine_has_its_own(rates: Rates) -> None:
    let_through(rates, "POST", f"{MACHINE}/start")
    assert let_through(rates, "POST", f"{MACHINE}/stop") == 3
    assert let_through(rates, "POST", "/v1/apps/a/machines/n/start") == 3
    assert let_through(rates, "POST", "/v1/apps/b/machines/m/start") == 3


def test_apps_are_deleted_at_a_rate_of_all_of_them(rates: Rates) -> None:
    assert sum(rates.wait_s("DELETE", f"/v1/apps/app-{number}") == 0 for number in range(150)) == 100
