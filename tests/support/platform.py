"""The embedded platform as a process of the test's own, and an image for its machines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import Any

import docker
import httpx

from tests.support.evidence import Piece, tail
from tests.support.run import Run
from tests.support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
BASE = "debian:trixie-slim"
PORT = 3000
SERVER = r"""
use strict; use IO::Socket::INET;
$| = 1; $SIG{CHLD} = 'IGNORE';
$SIG{INT} = $SIG{TERM} = sub { print "bye\n"; exit 0 } unless $ENV{DEAF};
$SIG{USR1} = sub { exit 3 }; $SIG{USR2} = sub { exit 0 };
exit $ENV{EXIT_AT_ONCE} if defined $ENV{EXIT_AT_ONCE};
my $socket = IO::Socket::INET->new(LocalPort => 3000, Listen => 128, ReuseAddr => 1) or die "listen: $!";
print "listening\n"; print STDERR "a line of stderr\n";
while (1) {
    my $client = $socket->accept or next;
    next if fork;
    while (<$client>) { last if /^\r?\n$/ }
    print $client "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}";
    close $client; exit 0;
}
"""
"""SIGUSR1 ends it with 3, SIGUSR2 with 0; EXIT_AT_ONCE useless, DEAF stubborn."""


@contextmanager
def little_image(client: docker.DockerClient, run: Run) -> Iterator[str]:
    """An image whose server answers 200 on port 3000: Debian and its own Perl, nothing else to fetch."""
    reference = f"{run.name('machine')}:latest"
    lines = [f"FROM {BASE}", "COPY server.pl /server.pl", "WORKDIR /srv", 'CMD ["perl", "/server.pl"]']
    context = _tar({"Dockerfile": "\n".join(lines), "server.pl": SERVER})
    client.images.build(fileobj=context, custom_context=True, tag=reference, labels=run.labels, rm=True)
    try:
        yield reference
    finally:
        client.images.remove(reference, force=True)


def _tar(files: Mapping[str, str]) -> BytesIO:
    packed = BytesIO()
    with TarFile(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            entry = TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, BytesIO(text.encode()))
    packed.seek(0)
    return packed


class Platform:
    """One `python -m fly.local`; start, stop and kill it as a test likes."""

    def __init__(self, folder: Path, run: Run, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.options = options
        self._run = run
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What `platform.json` holds."""
        return dict(json.loads((self.folder / "platform.json").read_text()))

    def start(self) -> Platform:
        """Returns when it answers."""
        labels = [f"--label={name}={value}" for name, value in self._run.labels.items()]
        command = [sys.executable, "-m", "fly.local", "--state-dir", str(self.folder), *labels]
        command += ["--api-port=0", "--door-port=0", "--log", str(self._log), *self.options]
        (self.folder / "platform.json").unlink(missing_ok=True)
        process = self._process = subprocess.Popen(command, cwd=ROOT)
        gone = lambda: f"it exited with {process.returncode}" if process.poll() is not None else ""  # noqa: E731
        wait_until((self.folder / "platform.json").exists, "the platform", hopeless=gone)
        return self

    def stop(self) -> None:
        """As an operator does; its machines stay as they are."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As an accident does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def client(self) -> httpx.Client:
        """Speaks to its API with its token."""
        about = self.about
        headers = {"Authorization": f"Bearer {about['token']}"}
        return httpx.Client(base_url=about["api_url"], headers=headers, timeout=75, trust_env=False)

    @property
    def _log(self) -> Path:
        return self.folder / "platform.log"

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def evidence(self) -> list[Piece]:
        return [("log of the embedded platform", tail(self.log()))]


@contextmanager
def running_platform(folder: Path, run: Run, *options: str) -> Iterator[Platform]:
    """A platform that ends with the block, and all its apps with it."""
    platform = Platform(folder, run, options)
    try:
        yield platform.start()
        with platform.client() as client:
            for app in client.get("/v1/apps").json()["apps"]:
                client.delete(f"/v1/apps/{app['name']}")
    finally:
        platform.stop()
