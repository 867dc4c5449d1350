"""How long a user waits: for a new workspace, for one that is suspended, for one that is stopped.

    python benchmarks/wake.py [--cycles 50] [--json]

Everything is real: the embedded platform as a process of its own, containers of the image, requests through
the door. Beside each figure stands its floor, of the same run, with the engine alone: `docker unpause`
and `docker start` up to the page's own answer, without the platform.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import docker
import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fly.client import Client
from fly.desk import image_reference
from fly.ledger import Ledger
from fly.plan import Person
from fly.provision import draft, provision
from fly.settings import Settings, choose_platform
from tests.support.operator import Operator

IMAGE = "my-jarvis:latest"


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def summary(samples: list[float]) -> dict[str, float]:
    """*Shape*: {"n", "p50", "p99", "max"}, milliseconds."""
    ordered = sorted(samples)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return {"n": len(ordered), "p50": statistics.median(ordered), "p99": p99, "max": ordered[-1]}


def answered(url: str) -> httpx.Response:
    while True:
        try:
            return httpx.get(f"{url}/health", timeout=1).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.002)


def floors(cycles: int) -> dict[str, dict[str, float]]:
    """The engine alone: one container of the image, on a published port."""
    client: Any = docker.from_env(timeout=60)
    container = client.containers.run(IMAGE, detach=True, ports={"3000/tcp": ("127.0.0.1", None)})
    try:
        suspended, stopped = [], []
        for _ in range(cycles):
            answered(_address(container))
            container.pause()
            suspended.append(milliseconds(lambda: (container.unpause(), answered(_address(container)))))
        for _ in range(max(3, cycles // 5)):
            container.stop()
            stopped.append(milliseconds(lambda: (container.start(), answered(_address(container)))))
        return {"suspended": summary(suspended), "stopped": summary(stopped)}
    finally:
        container.remove(force=True, v=True)
        client.close()


def _address(container: Any) -> str:
    container.reload()
    return f"http://127.0.0.1:{container.ports['3000/tcp'][0]['HostPort']}"


def through_the_door(cycles: int) -> dict[str, dict[str, float]]:
    """The whole platform, as `invoke up` starts it."""
    with tempfile.TemporaryDirectory() as folder:
        operator = Operator(Path(folder) / "home")
        operator.runs("up")
        try:
            about, user = operator.reads("platform"), operator.reads("users")[0]
            machine = f"{about['api_url']}/v1/apps/{user['app']}/machines/{user['machine_id']}"
            api = httpx.Client(headers={"authorization": f"Bearer {about['token']}"}, timeout=60)
            page = httpx.Client(
                base_url=about["door_url"], headers={"host": httpx.URL(user["url"]).netloc.decode()}
            )

            def wake_from(verb: str, state: str, times: int) -> dict[str, float]:
                samples = []
                for _ in range(times):
                    api.post(f"{machine}/{verb}").raise_for_status()
                    api.get(f"{machine}/wait", params={"state": state}).raise_for_status()
                    samples.append(milliseconds(lambda: page.get("/health", timeout=60).raise_for_status()))
                return summary(samples)

            result = {
                "suspended": wake_from("suspend", "suspended", cycles),
                "stopped": wake_from("stop", "stopped", max(3, cycles // 5)),
                "provision to page": provisioning(operator),
            }
            page.close()
            api.close()
            return result
        finally:
            operator.runs("down", "--destroy", "--keep-cache", "--yes")


def provisioning(operator: Operator) -> dict[str, float]:
    """From the first request to the answering page, without the start of Python."""
    settings = Settings.read({"JARVIS_HOME": str(operator.home)}, Path.cwd())
    platform = choose_platform(settings, "local")
    image = image_reference(settings, platform)
    samples = []
    with Ledger(settings.ledger) as ledger, Client(platform) as client:
        for number in range(5):
            plan = draft(platform, Person(f"User {number}", f"user{number}@example.com"), image=image)
            samples.append(milliseconds(partial(provision, client, ledger, plan)))
    return summary(samples)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    floor, ours = floors(given.cycles), through_the_door(given.cycles)
    if given.json:
        print(json.dumps({"floor_ms": floor, "door_ms": ours}, indent=2))
        return
    print(f"{'milliseconds':24}{'n':>5}{'p50':>10}{'p99':>10}{'max':>10}   p50 against the engine alone")
    for name, figures in ours.items():
        ratio = (
            f"{figures['p50'] / floor[name]['p50']:.2f}x of {floor[name]['p50']:.1f}" if name in floor else ""
        )
        shown = "".join(f"{figures[key]:>10.1f}" for key in ("p50", "p99", "max"))
        print(f"{name:24}{figures['n']:>5}{shown}   {ratio}")


if __name__ == "__main__":
    main()
