"""Debian's own registry on the loopback, with a password; images of a few bytes to push into it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tarfile import TarFile, TarInfo

import docker
import httpx

from fly.settings import Secret
from image.release.registry import Login, Repository
from tests.support.evidence import Piece, tail
from tests.support.run import Run
from tests.support.wait import wait_until

USER, PASSWORD = "dan", "correct horse"
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"
CONFIGURATION = """
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ROOT}}
http: {addr: "127.0.0.1:PORT", secret: SECRET}
auth: {htpasswd: {realm: test, path: HTPASSWD}}
"""
LOGIN = Login(USER, Secret(PASSWORD))


class LoopbackRegistry:
    """One `docker-registry serve`; what it keeps lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    def repository(self, name: str = "workspaces") -> Repository:
        return Repository(self.host, name)

    def start(self, *, read_only: bool = False) -> None:
        """Serves; `read_only` refuses every upload, as one does that is being looked after."""
        program = shutil.which("docker-registry")
        assert program, "docker-registry is missing: `invoke test` installs it"
        (self.folder / "htpasswd").write_text(HTPASSWD, encoding="ascii")
        filled = CONFIGURATION.replace("ROOT", str(self.folder / "store")).replace("PORT", str(self._port))
        filled = filled.replace("SECRET", secrets.token_hex(8)).replace(
            "HTPASSWD", str(self.folder / "htpasswd")
        )
        (self.folder / "config.yml").write_text(filled, encoding="utf-8")
        environment = dict(os.environ)
        if read_only:
            environment["REGISTRY_STORAGE_MAINTENANCE_READONLY"] = "{enabled: true}"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "serve", str(self.folder / "config.yml")], stdout=log, stderr=log, env=environment
            )
        wait_until(self._answers, "the registry to answer", timeout_s=30)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def evidence(self) -> list[Piece]:
        return [("the registry's log", tail((self.folder / "log").read_text(errors="replace")))]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.evidence()
        try:
            return httpx.get(f"http://{self.host}/v2/", trust_env=False, timeout=5).status_code == 401
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def tiny_image(client: docker.DockerClient, run: Run, content: bytes | None = None) -> Iterator[str]:
    """The id of an image of one layer with one file, which no other image has."""
    packed = BytesIO()
    with TarFile(fileobj=packed, mode="w") as tar:
        text = content or secrets.token_bytes(64)
        entry = TarInfo("content")
        entry.size = len(text)
        tar.addfile(entry, BytesIO(text))
    name = run.name("tiny")
    changes = [f"LABEL {label}={value}" for label, value in run.labels.items()]
    client.api.import_image_from_data(packed.getvalue(), repository=name, tag="latest", changes=changes)
    image = str(client.images.get(name).id)
    try:
        yield image
    finally:
        client.images.remove(image, force=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
