"""An operator at a terminal of her own: her verbs, her state, her ports; nothing of the checkout's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pexpect

from fly.local import process
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
INVOKE = Path(sys.executable).with_name("invoke")
PATIENCE_S = 600
"""For one verb: how long its test may take in all is for pytest to say."""
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Operator:
    """Types verbs; `home` holds her ledger and the embedded platform's state, `more` her environment."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home = home
        self.environment = (
            {name: value for name, value in os.environ.items() if not name.startswith("FLY_")}
            | {
                "JARVIS_HOME": str(home),
                "JARVIS_API_PORT": str(free_port()),
                "JARVIS_DOOR_PORT": str(free_port()),
                "COLUMNS": "160",
                "TERM": "xterm-256color",
            }
            | more
        )
        self._said: list[str] = []

    @property
    def ports(self) -> tuple[int, int]:
        """Of the API and of the door."""
        return int(self.environment["JARVIS_API_PORT"]), int(self.environment["JARVIS_DOOR_PORT"])

    def types(self, *words: str) -> pexpect.spawn[str]:
        """A verb, started at a terminal."""
        child: pexpect.spawn[str] = pexpect.spawn(
            str(INVOKE), list(words), cwd=str(ROOT), env=self.environment, encoding="utf-8",
            timeout=PATIENCE_S, dimensions=(50, 160),
        )  # fmt: skip
        return child

    def runs(self, *words: str, status: int = 0) -> str:
        """What a verb said to its end, without colours; it ends with `status`."""
        child = self.types(*words)
        child.expect(pexpect.EOF)
        return self.ended(child, status=status)

    def ended(self, child: pexpect.spawn[str], *, status: int = 0) -> str:
        child.close()
        said = _COLOURS.sub("", child.before or "")
        self._said.append(f"$ invoke\n{said}")
        assert child.exitstatus == status, said
        return said

    def reads(self, *words: str) -> Any:
        """What a verb's `--json` prints: all from its first bracket on."""
        said = self.runs(*words, "--json")
        return json.loads(said[re.search(r"^[\[{]", said, re.MULTILINE).start() :])  # type: ignore[union-attr]

    def killed_at(self, *words: str, verb: Sequence[str]) -> None:
        """A verb that is killed (-9) as soon as it has said all these, one after the other.

        Its words go into a pipe: there they come line by line, while a terminal shows only what lasts.
        """
        with subprocess.Popen(
            (str(INVOKE), *verb), cwd=ROOT, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as process_:  # fmt: skip
            assert process_.stderr is not None
            said, wanted = [], list(words)
            for line in process_.stderr:
                said.append(line)
                if wanted[0] in line:
                    del wanted[0]
                if not wanted:
                    break
            process_.kill()
        assert not wanted, f"it never said {wanted}: {''.join(said)}"

    def visits(self, url: str, path: str = "/health") -> httpx.Response:
        """A page, asked for through the door."""
        door = f"http://127.0.0.1:{self.environment['JARVIS_DOOR_PORT']}"
        return httpx.get(f"{door}{path}", headers={"host": httpx.URL(url).netloc.decode()}, timeout=90)

    def signs_in(self, name: str) -> httpx.Client:
        """A browser in which a workspace's link was opened; closed by the caller."""
        link = httpx.URL(self.reads("link", "--name", name)["link"])
        url = f"{link.scheme}://{link.netloc.decode()}"
        door = f"http://127.0.0.1:{self.environment['JARVIS_DOOR_PORT']}"
        headers = {"host": link.netloc.decode(), "origin": url}
        client = httpx.Client(base_url=door, headers=headers, timeout=90, trust_env=False)
        client.post("/api/login", json={"key": link.fragment.removeprefix("key=")}).raise_for_status()
        return client

    def stands_up(self) -> None:
        """The embedded platform runs; nothing is built for it."""
        api, door = (int(self.environment[f"JARVIS_{name}_PORT"]) for name in ("API", "DOOR"))
        process.ensure_running(self.home / "platform", api, door)

    def evidence(self) -> list[tuple[str, str]]:
        log = self.home / "platform" / "platform.log"
        platform = (
            [("log of the embedded platform", log.read_text(errors="replace")[-4000:])]
            if log.exists()
            else []
        )
        return [("what the operator saw", "\n".join(self._said)[-6000:]), *platform]
