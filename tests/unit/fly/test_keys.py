"""Keys of workspaces: kept where nobody sees them, made anew without ever being lost."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from argon2 import PasswordHasher

from fly.access import keys
from fly.access.handover import open_secret
from fly.access.welcome import LINK, LOGINS, NONE, PASSWORD, Welcome, draw, of_environment
from fly.errors import JarvisError, LedgerError, PlanError
from fly.ledger import READY, Ledger, Workspace
from fly.plan import Plan
from fly.repair import ADOPT, repair
from tests.support.fake_fly import FAULTS, Injection
from tests.support.world import World, much_later, new_world

RESTING = ("started", "suspended", "stopped")


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    with new_world(folder) as world:
        yield world


def told(world: World, row: Workspace) -> Welcome:
    """What the machine of a workspace was told, as the platform has it."""
    return of_environment(world.fly.machines[row.machine_id]["config"]["env"])


def rotate(world: World, row: Workspace, login: str = "") -> Welcome:
    return keys.rotate(world.client, world.ledger, row, login=login, probe=world.fly.page)


# --- drawing ----------------------------------------------------------------------------------------


def test_a_link_holds_a_key_of_192_bits_and_its_machine_the_hash_alone() -> None:
    drawn = draw(LINK, "lilach@example.com")
    key = drawn.secret.reveal()
    assert re.fullmatch(r"[\w-]{32}", key)
    assert drawn.link("https://a.example") == f"https://a.example/#key={key}"
    assert drawn.environment == {
        "JARVIS_LOGIN": "link",
        "JARVIS_LOGIN_HASH": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}",
    }


def test_a_password_is_drawn_with_its_argon2_hash() -> None:
    drawn = draw(PASSWORD, "lilach@example.com")
    assert re.fullmatch(r"([2-9a-hjkmnp-z]{5}-){3}[2-9a-hjkmnp-z]{5}", drawn.secret.reveal())
    assert drawn.hash.startswith("$argon2id$")
    assert PasswordHasher().verify(drawn.hash, drawn.secret.reveal())
    assert drawn.link("https://a.example") == "https://a.example"
    assert drawn.environment["JARVIS_LOGIN_USER"] == "lilach@example.com"


def test_no_login_has_to_be_asked_for() -> None:
    assert draw(NONE, "").environment == {"JARVIS_LOGIN": "none"}
    assert Welcome().environment == {}
    with pytest.raises(PlanError, match="no way to sign in called 'open'"):
        draw("open", "")


def test_every_drawing_is_another_one() -> None:
    assert len({draw(LINK, "").secret.reveal() for _ in range(50)}) == 50


# --- where they are, and where they are not ---------------------------------------------------------


@pytest.mark.parametrize("login", LOGINS)
def test_a_new_workspace_has_a_key_that_opens_it(world: World, login: str) -> None:
    row = world.provision(login=login)
    welcome = keys.current(world.client, world.ledger, row)
    assert (welcome.login, welcome) == (login, told(world, row))
    assert bool(welcome.secret) is (login != NONE)


@pytest.mark.parametrize("login", [LINK, PASSWORD])
def test_a_secret_stands_nowhere_but_in_its_own_table(world: World, login: str) -> None:
    plan = world.draft(login=login)
    secret = plan.welcome.secret.reveal()
    row = world.provision(login=login)
    drawn = keys.current(world.client, world.ledger, row).secret.reveal()
    shown = [
        *(repr(plan), json.dumps(plan.to_json()), json.dumps([call.body for call in plan.calls()])),
        *(repr(row), json.dumps(row.to_json()), row.plan),
        *(str(entry) for entry in world.ledger.history(row.id)),
        *(json.dumps(call.body) for call in world.fly.calls),
    ]
    for text in shown:
        assert secret not in text
        assert drawn not in text
    assert stat.S_IMODE(world.ledger.path.stat().st_mode) == 0o600


def test_a_plan_comes_back_from_the_ledger_without_its_secret(world: World) -> None:
    plan = world.draft()
    assert Plan.from_json(plan.to_json()) == plan
    assert not Plan.from_json(plan.to_json()).welcome.secret


def test_destroying_forgets_the_key_for_good(world: World) -> None:
    row = world.provision()
    secret = keys.current(world.client, world.ledger, row).secret.reveal()
    world.destroy(row)
    assert world.ledger.keys(row.id) == []
    with pytest.raises(LedgerError, match="not in this ledger"):
        keys.current(world.client, world.ledger, row)
    world.ledger.close()
    for path in world.ledger.path.parent.glob("ledger.sqlite*"):
        assert secret.encode() not in path.read_bytes()


def test_a_provision_that_fails_leaves_no_key(world: World) -> None:
    world.fly.injection = Injection(4, FAULTS["400"], "once")
    with pytest.raises(JarvisError):
        world.provision()
    assert [world.ledger.keys(row.id) for row in world.rows()] == [[]]


def test_a_workspace_of_another_ledger_has_no_key_until_it_gets_one(world: World, folder: Path) -> None:
    world.provision()
    with Ledger(folder / "another.sqlite") as other:
        [finding] = repair(world.client, other, probe=world.fly.page, orphans=ADOPT, now_s=much_later)
        assert "invoke rotate-key --name" in finding.outcome
        [row] = other.workspaces()
        with pytest.raises(LedgerError) as unknown:
            keys.current(world.client, other, row)
        assert unknown.value.hint == f"invoke rotate-key --name {row.app}"
        fresh = keys.rotate(world.client, other, row, probe=world.fly.page)
        assert keys.current(world.client, other, row).secret == fresh.secret
        assert told(world, row) == fresh


# --- another key ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", RESTING)
def test_another_key_changes_nothing_else_and_leaves_the_machine_as_it_was(world: World, state: str) -> None:
    row = world.provision()
    before, machine = keys.current(world.client, world.ledger, row), world.fly.machines[row.machine_id]
    machine["config"] |= {"env": machine["config"]["env"] | {"TZ": "Asia/Jerusalem"}, "other": {"kept": True}}
    config, machine["state"] = json.loads(json.dumps(machine["config"])), state
    fresh = rotate(world, row)
    assert fresh.secret != before.secret
    assert told(world, row) == fresh
    assert machine["config"] == config | {"env": config["env"] | fresh.environment}
    assert machine["state"] == state
    assert world.ledger.keys(row.id) == [fresh]
    assert (world.ledger.get(row.id).state, world.ledger.get(row.id).owner) == (READY, "")
    assert world.fly.leases == {}, "the lease was given back"


@pytest.mark.parametrize("login", LOGINS)
def test_the_way_to_sign_in_can_be_changed(world: World, login: str) -> None:
    row = world.provision()
    fresh = rotate(world, row, login)
    assert (fresh.login, told(world, row)) == (login, fresh)
    env = world.fly.machines[row.machine_id]["config"]["env"]
    assert ("JARVIS_LOGIN_USER" in env) is (login == PASSWORD)
    assert env["JARVIS_HOSTS"] == f"{row.app}.fly.dev"


def test_it_stays_the_way_it_was_unless_told(world: World) -> None:
    row = world.provision(login=PASSWORD)
    assert rotate(world, row).login == PASSWORD


def test_a_workspace_from_before_there_were_keys_gets_one(world: World) -> None:
    row = world.provision()
    world.ledger.forget_keys(row.id, but="")
    config = world.fly.machines[row.machine_id]["config"]
    config["env"] = {"USER_NAME": "Lilach", "USER_EMAIL": "lilach@example.com"}
    fresh = rotate(world, row)
    env = world.fly.machines[row.machine_id]["config"]["env"]
    assert (fresh.login, env["JARVIS_HOSTS"]) == (LINK, f"{row.app}.fly.dev")


def test_what_is_gone_gets_no_key(world: World) -> None:
    row = world.destroy(world.provision())
    with pytest.raises(LedgerError, match="no door"):
        rotate(world, row)


def test_whoever_holds_the_machines_lease_is_not_disturbed(world: World) -> None:
    row = world.provision()
    before = told(world, row)
    world.client.acquire_lease(row.app, row.machine_id, ttl_s=60)
    with pytest.raises(JarvisError, match="lease currently held"):
        rotate(world, row)
    assert told(world, row) == before
    assert keys.current(world.client, world.ledger, row) == before


def calls_of_a_rotation(folder: Path) -> int:
    with new_world(folder) as world:
        row = world.provision()
        world.fly.calls.clear()
        rotate(world, row)
        return len(world.fly.calls)


@pytest.mark.parametrize(
    ("fault", "lasting"),
    [*((fault, "once") for fault in FAULTS), *((fault, "all") for fault in ("reset after", "500 before"))],
)
def test_whatever_goes_wrong_the_key_of_today_is_known_and_another_can_be_made(
    folder: Path, fault: str, lasting: str
) -> None:
    """Each fault at each request of a rotation; some also at all from there on."""
    for number in range(calls_of_a_rotation(folder / "count")):
        with new_world(folder / str(number)) as world:
            row = world.provision()
            world.fly.calls.clear()
            world.fly.injection = Injection(number, FAULTS[fault], lasting)
            with contextlib.suppress(JarvisError, KeyboardInterrupt):
                rotate(world, row)
            world.fly.heal()
            world.fly.leases.clear()  # they run out
            known = keys.current(world.client, world.ledger, row)
            assert known == told(world, row)
            assert known.secret
            assert rotate(world, row) == told(world, row)
            assert len(world.ledger.keys(row.id)) == 1


# --- handing it to the browser ----------------------------------------------------------------------


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_named: object) -> None:
        return None


class Browser:
    """Asks for what it is told to open, as soon as somebody answers."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.led_to: list[str] = []
        self._thread = threading.Thread(target=self._ask)

    def open(self, url: str) -> bool:
        self.opened.append(url)
        self._thread.start()
        return True

    def close(self) -> None:
        self._thread.join(timeout=20)

    def _ask(self) -> None:
        try:
            build_opener(NoRedirect).open(self.opened[0], timeout=10)
        except HTTPError as answer:
            self.led_to.append(answer.headers["location"])
            answer.close()


def test_the_browser_gets_the_secret_address_and_no_list_of_processes_does() -> None:
    browser, secret = Browser(), "http://127.0.0.1:9/#key=secret"
    assert open_secret(secret, browser.open)
    browser.close()
    assert browser.led_to == [secret]
    assert "secret" not in browser.opened[0]


def test_without_a_browser_nothing_waits() -> None:
    assert not open_secret("https://a.example/#key=secret", lambda _url: False)
