"""Whether a page answers, asked as a browser would ask."""

import socket
from pathlib import Path

import pytest

from fly.page import is_busy, trouble_at
from fly.plan import Person
from fly.provision import draft, provision
from tests.support.fake_fly import served
from tests.support.world import IMAGE, PLATFORM, World, new_world


@pytest.fixture
def made(folder: Path) -> object:
    with new_world(folder) as world:
        provision(
            world.client,
            world.ledger,
            draft(PLATFORM, Person("L", "l@example.com"), image=IMAGE),
            probe=world.fly.page,
        )
        yield world


def test_a_page_behind_the_door_is_found_by_its_name(made: World) -> None:
    [app] = made.fly.ours
    with served(made.fly) as url:
        port = url.rpartition(":")[2]
        assert trouble_at(f"http://{app.name}.localhost:{port}", url) == ""
        assert trouble_at(f"http://nobody.localhost:{port}", url) == "502 Bad Gateway"


def test_a_door_that_is_closed_is_told() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert "refused" in trouble_at("http://x.localhost:1", f"http://127.0.0.1:{port}")


def test_something_else_that_answers_200_is_not_the_page(made: World) -> None:
    [app] = made.fly.ours
    made.fly.page_body = b"<html>parked</html>"
    with served(made.fly) as url:
        assert "something else" in trouble_at(f"http://{app.name}.localhost:80", url)


def test_an_address_that_is_none_is_told() -> None:
    assert trouble_at("http://[broken/")


def test_what_runs_in_a_workspace_is_told_by_its_health(made: World) -> None:
    [app] = made.fly.ours
    with served(made.fly) as url:
        assert not is_busy(f"http://{app.name}.localhost:80", url)
        made.fly.page_headers["x-jarvis-busy"] = "30"
        assert is_busy(f"http://{app.name}.localhost:80", url)
    assert not is_busy(f"http://{app.name}.localhost:80", url), "what does not answer does nothing"
