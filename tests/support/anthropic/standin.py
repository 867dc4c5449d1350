"""What a test holds of the stand-in: the same handle whether it runs in this process or in a container.

*In this process*: plain HTTP on loopback; chat without a login (`environment` says how)::

    with Anthropic.in_process() as anthropic:
        subprocess.run([claude, "-p", "hello"], env=anthropic.environment() | …)

*In a container*: TLS under Anthropic's own names on the networks that it joins; login works too.
The container under test must trust ``anthropic.ca_pem`` (``NODE_EXTRA_CA_CERTS``)::

    with Anthropic.in_container(docker_client, image, networks=[network]) as anthropic:
        …
        anthropic.authorise(printed_url(what_the_terminal_showed))     # the CODE#STATE to paste
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import secrets
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tests.support.anthropic.authority import Certificates, issue
from tests.support.anthropic.server import API_KEY, HOSTS, SUBSCRIPTION, Request, Server

_SOURCES = ("__init__.py", "script.py", "server.py")
_HYPERLINK = re.compile(r"\x1b\]8;[^;]*;(https://[^\x07\x1b]+)(?:\x07|\x1b\\)")
_ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]")
_ADDRESS = re.compile(r"https://[\w.-]+/(?:cai/)?oauth/authorize\?\S+")


def printed_url(output: str) -> str:
    """The address to log in at, from what a terminal or a pipe was sent: wrapped, coloured, a hyperlink."""
    if hyperlinks := [url for url in _HYPERLINK.findall(output) if _ADDRESS.fullmatch(url)]:
        return str(hyperlinks[-1])
    found = _ADDRESS.findall(_ESCAPES.sub("", output))
    if not found:
        raise ValueError(f"no address to log in at in: {output!r}")
    return str(found[-1])


class Anthropic:
    """A running stand-in."""

    def __init__(self, base_url: str, certificates: Certificates | None = None) -> None:
        self.base_url = base_url
        self._certificates = certificates
        self._container: Any = None

    @property
    def ca_pem(self) -> bytes:
        """What its clients must trust."""
        assert self._certificates is not None, "this stand-in speaks plain HTTP"
        return self._certificates.ca_pem

    def environment(self, *, by: Literal["key", "subscription", "nothing"] = "key") -> dict[str, str]:
        """What makes Claude talk to it in plain HTTP: by key, by long-lived token or not logged in."""
        logged_in = {
            "key": {"ANTHROPIC_API_KEY": API_KEY},
            "subscription": {"CLAUDE_CODE_OAUTH_TOKEN": SUBSCRIPTION},
        }
        return logged_in.get(by, {}) | {
            "ANTHROPIC_BASE_URL": self.base_url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
        }

    def requests(self, path: str = "") -> list[Request]:
        """What it was asked, oldest first; only below this path."""
        return [Request(**one) for one in self._control("requests", {"path": path})]

    def prompts(self) -> list[Request]:
        """The requests of conversations: not those for titles and other side jobs."""
        return [one for one in self.requests("/v1/messages") if one.body and one.body.get("tools")]

    def clear(self) -> None:
        """Forgets requests, and which errors it gave already."""
        self._control("clear", {})

    def configure(self, **settings: Any) -> None:
        """Changes ``expires_in_s``, ``revocable``, ``refreshable`` or parts of ``account``."""
        self._control("settings", settings)

    def authorise(self, url: str) -> str:
        """The ``CODE#STATE`` that a person gets in the browser at the address that Claude printed."""
        return str(self._control("authorise", {"url": url})["code"])

    def give_tokens(self) -> dict[str, Any]:
        """What a login brings, as the answer to its code, without one."""
        given: dict[str, Any] = self._control("give", {})
        return given

    def expire_tokens(self) -> None:
        """Access tokens hold no longer; a refresh brings new ones."""
        self._control("expire", {})

    def forget_tokens(self) -> None:
        """Nothing given so far holds: everybody has to log in again."""
        self._control("forget", {})

    def join(self, network: Any) -> None:
        """Answers on this network too, under Anthropic's names; ``network`` is one of docker-py's."""
        network.connect(self._container, aliases=list(HOSTS))

    def _control(self, verb: str, body: dict[str, Any]) -> Any:
        asked = urllib.request.Request(
            f"{self.base_url}/_control/{verb}",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answered:
                return json.load(answered)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]["message"]) from error

    @classmethod
    @contextlib.contextmanager
    def in_process(cls) -> Iterator[Anthropic]:
        """One on a free port of loopback, in a thread."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="anthropic-stand-in", daemon=True)
        thread.start()
        server = Server()
        try:
            port = asyncio.run_coroutine_threadsafe(server.listen("127.0.0.1", 0), loop).result(10)
            yield cls(f"http://127.0.0.1:{port}")
        finally:
            asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    @classmethod
    @contextlib.contextmanager
    def in_container(
        cls, client: Any, image: str, networks: Sequence[Any] = (), *, labels: Mapping[str, str] | None = None
    ) -> Iterator[Anthropic]:
        """One in a container of this image, which has ``python3``; client and networks are docker-py's."""
        certificates = issue(HOSTS)
        container = client.containers.create(
            image,
            entrypoint=["python3", "-m", "tests.support.anthropic.server"],
            command=[
                "--plain=8000",
                "--tls=443",
                "--certificate=/stand-in/cert.pem",
                "--key=/stand-in/key.pem",
            ],
            user="0:0",
            working_dir="/stand-in",
            name=f"my-jarvis-test-anthropic-{secrets.token_hex(4)}",
            labels=dict(labels or {"my-jarvis.test": "anthropic"}),
            ports={"8000/tcp": ("127.0.0.1", None)},
            healthcheck={"test": ["NONE"]},
            init=True,
        )
        try:
            container.put_archive("/", _archive(certificates))
            container.start()
            anthropic = cls(_published(container), certificates)
            anthropic._container = container
            for network in networks:
                anthropic.join(network)
            anthropic._wait_until_ready()
            yield anthropic
        finally:
            container.remove(force=True, v=True)

    def _wait_until_ready(self, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._control("ready", {})
            except OSError as error:
                if time.monotonic() > deadline:
                    log = self._container.logs().decode(errors="replace")
                    raise TimeoutError(f"the stand-in does not answer; its log: {log}") from error
                time.sleep(0.05)
            else:
                return


def _published(container: Any) -> str:
    container.reload()
    port = container.attrs["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
    return f"http://127.0.0.1:{port}"


def _archive(certificates: Certificates) -> bytes:
    here = Path(__file__).parent
    files = {f"stand-in/tests/support/anthropic/{name}": (here / name).read_bytes() for name in _SOURCES}
    files |= {"stand-in/cert.pem": certificates.certificate_pem, "stand-in/key.pem": certificates.key_pem}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return whole.getvalue()
