"""What a fleet of users costs the operator: `users` and `status` with 200 of them, and 20 made at once.

    python benchmarks/fleet.py [--json] [--users 200] [--parallel 20]

The embedded platform runs as a process of its own, on the engine of this machine. The 200 have rows in a
ledger and records on the platform, but no containers; beside them stand the bare request for the
organisation's machines on which `status` rests, the time for which the door is busy when it says of as many
awake machines why they are awake, and the start of Invoke with nothing to do. The 20 are real: provisioned in
as many processes, each until its page answers, from the image that `--image` names.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import docker
import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fly.client import Client  # noqa: E402
from fly.ledger import READY, Ledger, as_workspace, new_id  # noqa: E402
from fly.local import machineconfig, process  # noqa: E402
from fly.local.door import Door  # noqa: E402
from fly.local.leases import Leases  # noqa: E402
from fly.local.machines import Hosting, Machines  # noqa: E402
from fly.local.state import Machine, State, now  # noqa: E402
from fly.plan import NAME_MARK, WORKSPACE_MARK, Person, network_of  # noqa: E402
from fly.provision import draft, provision  # noqa: E402
from fly.settings import Platform, Secret  # noqa: E402

REPEATS = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=20)
    parser.add_argument("--image", default="my-jarvis:latest")
    given = parser.parse_args()
    figures = measured(given.users, given.parallel, given.image)
    if given.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:<64} {value:>10}")
    return 0


def measured(users: int, parallel: int, image: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        about = process.ensure_running(home / "platform", 0, 0)
        address = address_of(about)
        try:
            digest = digest_of(image)
            figures = made_at_once(address, home, digest, parallel)
            fill(address, home, digest, users)
            return figures | asked(address, home, users) | asyncio.run(explained(users))
        finally:
            remove_all(address)
            process.stop(home / "platform")


def address_of(about: dict[str, Any]) -> Platform:
    url, door = about["api_url"], about["door_url"]
    return Platform("local", url, Secret(about["token"]), "personal", url, door_url=door)


def digest_of(image: str) -> str:
    engine = docker.from_env()
    try:
        return f"{image.partition(':')[0]}@{engine.images.get(image).id}"
    finally:
        engine.close()


def fill(address: Platform, home: Path, image: str, users: int) -> None:
    """Rows, and machines that were never launched, in one app: listed at the same cost, made at far less."""
    with Client(address) as client, Ledger(home / "ledger.sqlite") as ledger:
        client.create_app({"name": "fleet-of-the-benchmark", "org_slug": "personal"})
        for number in range(users):
            id_ = new_id()
            config = {"image": image, "metadata": {WORKSPACE_MARK: id_, NAME_MARK: f"User {number}"}}
            wanted = {"config": config, "region": "iad", "skip_launch": True}
            machine = client.create_machine("fleet-of-the-benchmark", wanted)
            facts = {
                "id": id_,
                "name": f"User {number}",
                "email": f"user{number}@example.com",
                "platform": address.key,
                "app": f"user-{number}-myjarvis-{id_[-8:].lower()}",
                "machine_id": machine.id,
                "url": address.url_of(f"user-{number}"),
                "state": READY,
                "network": network_of(id_),
                "created_at": machine.created_at,
            }
            ledger.adopt(as_workspace({k: v for k, v in facts.items() if k != "network"}))


def asked(address: Platform, home: Path, users: int) -> dict[str, Any]:
    environment = {**os.environ, "JARVIS_HOME": str(home)}
    environment.pop("FLY_API_TOKEN", None)
    headers = {"Authorization": f"Bearer {address.token.reveal()}"}
    with httpx.Client(base_url=address.api_url, headers=headers, trust_env=False) as http:
        listing = median_s(lambda: http.get("/v1/orgs/personal/machines").raise_for_status())

    def typed(*words: str) -> float:
        command = [str(ROOT / "bin" / "invoke"), *words]
        return median_s(
            lambda: subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        )

    return {
        f"invoke users, {users} users, s": round(typed("users", "--json"), 3),
        f"invoke status, {users} users, s": round(typed("status", "--json"), 3),
        "reference: invoke --list (its start and nothing else), s": round(typed("--list"), 3),
        f"reference: the bare list of {users} machines, s": round(listing, 3),
    }


async def explained(users: int) -> dict[str, Any]:
    """Records of machines that run, and a door before them: no engine, nobody who could be asked."""
    state = State(":memory:")
    config = machineconfig.complete({"image": "image", "services": [{"internal_port": 3000}]})
    for number in range(users):
        id_, made = f"{number:014x}", now()
        state.save(Machine(id_, f"app-{number}", "m", "iad", "started", id_, config, {}, {}, "", made, made))
    machines = Machines(state, cast(Hosting, None), Leases(state, "benchmark"))
    machines.load()
    door = Door(machines)
    try:
        began = time.perf_counter()
        told = await asyncio.gather(*(door.activity(id_) for id_ in state.machines))
        took_s = time.perf_counter() - began
    finally:
        state.close()
    assert all(one["awake"] for one in told)
    return {f"why {users} machines are awake, the door's part, s": round(took_s, 3)}


def median_s(act: Callable[[], object]) -> float:
    return statistics.median(timed_s(act) for _ in range(REPEATS))


def timed_s(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def made_at_once(address: Platform, home: Path, image: str, parallel: int) -> dict[str, Any]:
    arguments = [(address, home / "ledger.sqlite", image, number) for number in range(parallel + 1)]
    alone_s = timed_s(lambda: make(*arguments[parallel]))
    # Forked: what the platform and the engine need is measured, not twenty starts of Python.
    with multiprocessing.get_context("fork").Pool(parallel) as pool:
        together_s = timed_s(lambda: pool.starmap(make, arguments[:parallel]))
    with Ledger(home / "ledger.sqlite") as ledger:
        ready = [row.state for row in ledger.workspaces()].count(READY)
    assert ready == parallel + 1, f"{ready} of {parallel + 1} are ready"
    return {
        "one user, provision to page answering, s": round(alone_s, 3),
        f"{parallel} users at once, until the last page answers, s": round(together_s, 3),
    }


def make(address: Platform, ledger_path: Path, image: str, number: int) -> None:
    person = Person(f"Person {number}", f"person{number}@example.com")
    with Client(address) as client, Ledger(ledger_path) as ledger:
        provision(client, ledger, draft(address, person, image=image, memory_mb=512))


def remove_all(address: Platform) -> None:
    with Client(address) as client:
        for app in client.apps():
            client.delete_app(app.name)


if __name__ == "__main__":
    sys.exit(main())
