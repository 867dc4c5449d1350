"""How long a user waits: for a new workspace, for one that is suspended, for one that is stopped.

    python benchmarks/wake.py [--cycles 50] [--json]

Everything is real: the embedded platform as a process of its own, containers of the image, requests through
the door. Beside each figure stands its floor, of the same run, with the engine alone: `docker unpause`
up to the page's own answer, and `docker start` up to that of a static server in the same image.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

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
CROWD = 20


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def summary(samples: list[float]) -> dict[str, float]:
    """*Shape*: {"n", "p50", "p99", "max"}, milliseconds."""
    ordered = sorted(samples)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return {"n": len(ordered), "p50": statistics.median(ordered), "p99": p99, "max": ordered[-1]}


def answered(page: httpx.Client, url: str) -> httpx.Response:
    while True:
        try:
            return page.get(f"{url}/health", timeout=1).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.002)


def paused(container: Any) -> None:
    """An engine of old can not freeze at every moment: then the next."""
    while True:
        try:
            return cast(None, container.pause())
        except docker.errors.APIError as error:
            if "unable to freeze" not in str(error):
                raise
            time.sleep(0.1)


def floors(cycles: int) -> dict[str, dict[str, float]]:
    """The engine alone: one container of the image, on a published port."""
    client: Any = docker.from_env(timeout=60)
    container = client.containers.run(
        IMAGE, detach=True, environment={"JARVIS_LOGIN": "none"}, ports={"3000/tcp": ("127.0.0.1", None)}
    )
    try:
        suspended = []
        with httpx.Client(trust_env=False) as page:
            url = _address(container)
            for _ in range(cycles):
                answered(page, url)
                paused(container)
                suspended.append(milliseconds(lambda: (container.unpause(), answered(page, url))))
        return {"suspended": summary(suspended), "stopped": static_server(client, max(3, cycles // 5))}
    finally:
        container.remove(force=True, v=True)
        client.close()


def static_server(client: Any, times: int) -> dict[str, float]:
    """The same image and engine, with as little as can answer: Python's own server of files."""
    serve = [
        "-c",
        "mkdir -p /tmp/site && echo ok > /tmp/site/health && exec python3 -m http.server -d /tmp/site 3000",
    ]
    container = client.containers.create(
        IMAGE, serve, entrypoint="sh", ports={"3000/tcp": ("127.0.0.1", None)}
    )
    try:
        samples = []
        with httpx.Client(trust_env=False) as page:
            for _ in range(times):
                samples.append(milliseconds(lambda: (container.start(), answered(page, _address(container)))))
                container.kill()
                container.wait()
        return summary(samples)
    finally:
        container.remove(force=True, v=True)


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
                f"{CROWD} woken at once": crowd(operator, api, about),
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


def crowd(operator: Operator, api: httpx.Client, about: dict[str, Any]) -> dict[str, float]:
    """Everybody's machine asleep, and everybody comes at the same moment: how long each of them waits."""
    _fill(operator)
    users = operator.reads("users")
    for user in users:
        machine = f"{about['api_url']}/v1/apps/{user['app']}/machines/{user['machine_id']}"
        api.post(f"{machine}/suspend").raise_for_status()
        api.get(f"{machine}/wait", params={"state": "suspended"}).raise_for_status()
    return summary(asyncio.run(_all_at_once(about["door_url"], [user["url"] for user in users])))


def _fill(operator: Operator) -> None:
    settings = Settings.read({"JARVIS_HOME": str(operator.home)}, Path.cwd())
    platform = choose_platform(settings, "local")
    image = image_reference(settings, platform)
    with Ledger(settings.ledger) as ledger, Client(platform) as client:
        for number in range(CROWD - len(ledger.workspaces(platform.key))):
            provision(
                client, ledger, draft(platform, Person(f"C {number}", f"c{number}@example.com"), image=image)
            )


async def _all_at_once(door_url: str, urls: list[str]) -> list[float]:
    async def visit(url: str) -> float:
        began = time.perf_counter()
        answer = await page.get(f"{door_url}/health", headers={"host": httpx.URL(url).netloc.decode()})
        answer.raise_for_status()
        return (time.perf_counter() - began) * 1000

    async with httpx.AsyncClient(
        timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)
    ) as page:
        return await asyncio.gather(*map(visit, urls))


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
