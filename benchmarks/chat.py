"""How soon the first word of an answer is there, how much memory it takes, and how much a long past weighs.

    python benchmarks/chat.py [--turns 40] [--past 1000] [--heavy 100] [--image my-jarvis:latest] [--json]

A container of the image with the real Claude Code in it, spoken to as the page does, against a stand-in of
Anthropic's servers that answers at once. Beside it stand two floors of the same run: the stand-in asked
directly, and the same binary driven over its own stream of JSON, in the same container, by a mere loop.

The long past: a thousand conversations and one of 100 MB, as Claude Code writes them down, in a container of
their own. The first look at the list reads all of it; beside it stands how long the disk takes to give it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.anthropic.standin import Anthropic
from tests.support.containers import OPEN, PERSON

PROMPT = "[say hello]"
RESIDENT, SHARE = " RSS", " PSS"
# Runs inside the container: what Claude Code itself needs, from a line written to a word read.
ALONE = """
import json, subprocess, sys, time
command = ["/opt/claude/claude", "-p", "--input-format", "stream-json", "--output-format", "stream-json",
           "--verbose", "--include-partial-messages"]
claude = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/data/workspace")
for _ in range(int(sys.argv[1])):
    message = {"type": "user", "message": {"role": "user", "content": sys.argv[2]}}
    began, first = time.perf_counter(), None
    claude.stdin.write(json.dumps(message).encode() + b"\\n")
    claude.stdin.flush()
    for line in claude.stdout:
        if first is None and b'"text_delta"' in line:
            first = time.perf_counter() - began
        if json.loads(line)["type"] == "result":
            break
    print(first * 1000, flush=True)
    time.sleep(0.2)
claude.kill()
"""
# Runs inside the container: so many conversations, and one whose tools brought so many MB.
PAST = """
import json, pathlib, random, sys, uuid
number, megabytes = int(sys.argv[1]), int(sys.argv[2])
folder = pathlib.Path("/data/claude/projects/-data-workspace")
folder.mkdir(parents=True, exist_ok=True)
chance = random.Random(7)
words = "the tower was built of stone before winter came and nobody knew why מגדל אבן חורף".split()
some = lambda many: " ".join(chance.choices(words, k=many))
new = lambda: str(uuid.UUID(int=chance.getrandbits(128)))

def turn(conversation, parent, count, output):
    at = f"2026-01-{1 + count // 1440 % 28:02}T{count // 60 % 24:02}:{count % 60:02}:00.000Z"
    call = {"type": "tool_use", "id": f"toolu_{count}", "name": "Bash", "input": {"command": "ls"}}
    brought = {"type": "tool_result", "tool_use_id": f"toolu_{count}", "content": some(output // 5)}
    answer = {"type": "text", "text": some(200)}
    said = [
        ("user", f"question {count}: {some(20)}", {}),
        ("assistant", [call], {"id": f"msg_{count}a", "stop_reason": "tool_use"}),
        ("user", [brought], {}),
        ("assistant", [answer], {"id": f"msg_{count}b", "stop_reason": "end_turn"}),
    ]
    for kind, content, more in said:
        message = {"role": kind, "content": content, **more}
        entry = {"parentUuid": parent, "isSidechain": False, "type": kind, "message": message}
        parent = new()
        yield parent, entry | {"uuid": parent, "timestamp": at, "sessionId": conversation, "apiBlockIndex": 0}

def write(conversation, turns, output):
    parent = None
    with (folder / f"{conversation}.jsonl").open("w") as file:
        for count in range(turns):
            for parent, entry in turn(conversation, parent, count, output):
                file.write(json.dumps(entry, separators=(",", ":"), ensure_ascii=False) + "\\n")
    return (folder / f"{conversation}.jsonl").stat().st_size

for _ in range(number):
    write(new(), 5, 600)
heavy = new()
print(heavy, write(heavy, megabytes * 50, 18_000))
"""
READ = "cat /data/claude/projects/*/*.jsonl > /dev/null"
MEMORY = r"""
for p in /proc/[0-9]*; do
  awk -v exe="$(readlink $p/exe)" '/^Rss:/ {rss=$2} /^Pss:/ {pss=$2} END {if (rss) print exe, rss, pss}' \
    $p/smaps_rollup 2>/dev/null
done
"""


def summary(samples: list[float]) -> dict[str, float]:
    """*Shape*: {"n", "p50", "p90", "max"}, milliseconds; the first turn is a cold one and left out."""
    ordered = sorted(samples[1:])
    p90 = ordered[round(0.9 * (len(ordered) - 1))]
    return {"n": len(ordered), "p50": statistics.median(ordered), "p90": p90, "max": ordered[-1]}


@contextlib.contextmanager
def workspace(client: Any, image: str) -> Iterator[tuple[Any, str, Anthropic]]:
    """A running container, its address, and the stand-in that it asks."""
    with Anthropic.in_container(client, image) as anthropic:
        standin = anthropic._container
        address = standin.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        asks = anthropic.environment(by="key") | {"ANTHROPIC_BASE_URL": f"http://{address}:8000"}
        container = client.containers.run(
            image,
            detach=True,
            ports={"3000/tcp": ("127.0.0.1", None)},
            environment={**PERSON, **OPEN, **asks},
        )
        try:
            container.reload()
            url = f"http://127.0.0.1:{container.ports['3000/tcp'][0]['HostPort']}"
            _wait(url)
            yield container, url, anthropic
        finally:
            container.remove(force=True, v=True)


def _wait(url: str) -> None:
    while True:
        try:
            httpx.get(f"{url}/health", timeout=1, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return


class Talk:
    """A page with one conversation."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._conversation = str(uuid.uuid4())
        self._say("follow", epoch=None, after=None)

    def turn(self, text: str = PROMPT) -> float:
        """How long the first word took, milliseconds; returns when the turn is over."""
        began, first = time.perf_counter(), 0.0
        self._say("send", message_id=str(uuid.uuid4()), text=text)
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            item = message.get("item", {})
            if not first and item.get("kind") == "assistant" and item["text"]:
                first = time.perf_counter() - began
            if item.get("kind") == "end":
                assert item["outcome"] == "completed", item
                return first * 1000

    def _say(self, kind: str, **rest: Any) -> None:
        self._socket.send(json.dumps({"type": kind, "conversation": self._conversation, **rest}))


def standin_alone(anthropic: Anthropic, turns: int) -> list[float]:
    """A request of the same kind, to the first word of its answer."""
    body = {
        "model": "claude",
        "max_tokens": 100,
        "stream": True,
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": PROMPT}],
    }
    samples = []
    key = anthropic.environment(by="key")["ANTHROPIC_API_KEY"]
    with httpx.Client(trust_env=False, headers={"x-api-key": key}) as http:
        for _ in range(turns):
            began = time.perf_counter()
            with http.stream("POST", f"{anthropic.base_url}/v1/messages?beta=true", json=body) as answer:
                for line in answer.iter_lines():
                    if "text_delta" in line:
                        samples.append((time.perf_counter() - began) * 1000)
                        break
    return samples


def binary_alone(container: Any, turns: int) -> list[float]:
    python = "/opt/jarvis/venv/bin/python"
    asks = {"CLAUDE_CONFIG_DIR": "/data/claude", "HOME": "/data/home"}
    done = container.exec_run([python, "-c", ALONE, str(turns), PROMPT], user="jarvis", environment=asks)
    if done.exit_code:
        raise RuntimeError(done.output.decode(errors="replace"))
    return [float(line) for line in done.output.split()]


def memory_mb(container: Any) -> dict[str, float]:
    """Of the server, and of all Claude processes together: resident, and the proportional share.

    The share gets smaller with every container of the same image that runs beside this one.
    """
    lines = container.exec_run(["bash", "-c", MEMORY], user="jarvis").output.decode().splitlines()
    found = [line.rsplit(" ", 2) for line in lines if line.count(" ") >= 2]
    of = {"server": "python", "claude": "claude"}
    return {
        f"{name}{kind}": sum(float(sizes[at]) for exe, *sizes in found if program in exe) / 1024
        for name, program in of.items()
        for at, kind in enumerate((RESIDENT, SHARE))
    }


def measure(image: str, turns: int) -> dict[str, Any]:
    client: Any = docker.from_env(timeout=120)
    try:
        with workspace(client, image) as (container, url, anthropic):
            memory = {"at rest": memory_mb(container)}
            address = f"{url.replace('http', 'ws', 1)}/api/live"
            with connect(address, origin=Origin(url), proxy=None, max_size=None) as socket:
                socket.recv()
                time.sleep(5)
                memory["page open, ready to chat"] = memory_mb(container)
                talk = Talk(socket)
                warm = []
                for _ in range(turns):
                    warm.append(talk.turn())
                    time.sleep(0.2)
                memory["one live chat"] = memory_mb(container)
                Talk(socket).turn()
                memory["two live chats"] = memory_mb(container)
            return {
                "first word, ms": {
                    "the stand-in alone": summary(standin_alone(anthropic, turns)),
                    "Claude Code alone": summary(binary_alone(container, turns)),
                    "through the page's socket": summary(warm),
                },
                "first message of a new process, ms": warm[0],
                "memory, MB": memory,
            }
    finally:
        client.close()


def past(image: str, number: int, megabytes: int) -> dict[str, Any]:
    """A workspace with a long past, from the first look at the list on."""
    client: Any = docker.from_env(timeout=600)
    try:
        with workspace(client, image) as (container, url, _):
            python = ["/opt/jarvis/venv/bin/python", "-c", PAST, str(number), str(megabytes)]
            done = container.exec_run(python, user="jarvis")
            if done.exit_code:
                raise RuntimeError(done.output.decode(errors="replace"))
            heavy, size = done.output.decode().split()
            took = {"the disk gives it all": _took(lambda: container.exec_run(["bash", "-c", READ]))}
            with httpx.Client(base_url=url, trust_env=False, timeout=120) as http:
                took["first list"] = _took(lambda: _listed(http, "", number + 1))
                took["list"] = _best(lambda: _listed(http, "", number + 1))
                took["search: in nearly all"] = _best(lambda: _listed(http, "winter stone"))
                took["search: in one"] = _best(lambda: _listed(http, "question 4321:", 1))
                took["search: in none"] = _best(lambda: _listed(http, "not-a-word-of-it", 0))
                took["open the heavy one"] = _took(lambda: _opened(url, heavy))
                took["open it again"] = _best(lambda: _opened(url, heavy))
            return {"conversations": number + 1, "heavy one, MB": int(size) / 1e6, "ms": took} | {
                "memory, MB": memory_mb(container)
            }
    finally:
        client.close()


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _best(work: Callable[[], object]) -> float:
    return min(_took(work) for _ in range(5))


def _listed(http: httpx.Client, query: str, total: int | None = None) -> None:
    answer = http.get("/api/conversations", params={"q": query}).raise_for_status().json()
    assert total in (None, answer["total"]), answer["total"]


def _opened(url: str, conversation: str) -> None:
    """As a page does: until what it draws is there."""
    address = f"{url.replace('http', 'ws', 1)}/api/live"
    with connect(address, origin=Origin(url), proxy=None, max_size=None) as socket:
        asked = {"type": "follow", "conversation": conversation, "epoch": None, "after": None}
        socket.send(json.dumps(asked))
        while json.loads(socket.recv(timeout=60))["type"] != "snapshot":
            """Others greet the page first."""


def past_table(result: dict[str, Any]) -> str:
    about = f"{result['conversations']:,} conversations, one of {result['heavy one, MB']:.0f} MB"
    rows = [f"{what:<32}{ms:>10.1f}" for what, ms in result["ms"].items()]
    memory = ", ".join(f"{name} {mb:.1f}" for name, mb in result["memory, MB"].items() if "server" in name)
    return "\n".join([f"\n{about:<32}{'ms':>10}", *rows, f"memory, MB: {memory}"])


def table(result: dict[str, Any]) -> str:
    words = result["first word, ms"]
    lines = [f"{'first word of a warm chat':<32}{'p50 ms':>10}{'p90':>10}{'max':>10}"]
    lines += [
        f"{way:<32}{row['p50']:>10.1f}{row['p90']:>10.1f}{row['max']:>10.1f}" for way, row in words.items()
    ]
    alone, ours = words["Claude Code alone"]["p50"], words["through the page's socket"]["p50"]
    lines.append(f"the workspace adds {ours - alone:.1f} ms to Claude Code itself")
    lines.append(f"first message of a new process: {result['first message of a new process, ms']:.0f} ms")
    memory = result["memory, MB"]
    lines.append(f"\n{'memory, MB':<32}" + "".join(f"{name:>12}" for name in memory["at rest"]))
    lines += [f"{when:<32}" + "".join(f"{mb:>12.1f}" for mb in row.values()) for when, row in memory.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--image", default="my-jarvis:latest")
    parser.add_argument("--past", type=int, default=1000, help="conversations of the long past; 0: none")
    parser.add_argument("--heavy", type=int, default=100, help="MB of its heaviest conversation")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    given = parser.parse_args()
    result = measure(given.image, given.turns) if given.turns else {}
    history = past(given.image, given.past, given.heavy) if given.past else {}
    if given.json:
        print(json.dumps(result | ({"past": history} if history else {}), indent=2))
        return
    print(table(result) if result else "", past_table(history) if history else "", sep="\n")


if __name__ == "__main__":
    main()
