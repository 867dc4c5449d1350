"""Debian's own registry on the loopback, with a password; images of a few bytes to push into it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import Any
from urllib.parse import parse_qs, urlsplit

import docker
import docker.errors
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from fly.settings import Secret
from image.release.registry import Login, Repository
from tests.support.evidence import Piece, tail
from tests.support.ports import free_port
from tests.support.run import Run
from tests.support.wait import wait_until

USER, PASSWORD = "dan", "correct horse"
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"
CONFIGURATION = """
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ROOT}}
http: {addr: "127.0.0.1:PORT", secret: SECRET}
auth: AUTH
"""
BY_PASSWORD = "{htpasswd: {realm: test, path: HTPASSWD}}"
BY_TOKEN = "{token: {realm: REALM, service: test, issuer: tests, rootcertbundle: BUNDLE}}"
LOGIN = Login(USER, Secret(PASSWORD))


class LoopbackRegistry:
    """One `docker-registry serve`; what it keeps lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    def repository(self, name: str = "workspaces") -> Repository:
        return Repository(self.host, name)

    def start(self, *, read_only: bool = False, tokens: TokenServer | None = None) -> None:
        """Serves; `read_only` refuses every upload, as one does that is being looked after.

        With `tokens` it wants to see a token of that server, which wants to see the password.
        """
        program = shutil.which("docker-registry")
        assert program, "docker-registry is missing: `invoke test` installs it"
        (self.folder / "htpasswd").write_text(HTPASSWD, encoding="ascii")
        filled = CONFIGURATION.replace("AUTH", tokens.configuration(self.folder) if tokens else BY_PASSWORD)
        filled = filled.replace("ROOT", str(self.folder / "store")).replace("PORT", str(self._port))
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


class TokenServer:
    """Gives who knows the password a token that the registry believes, as large registries do it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = _certificate(self._key)
        self.given: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def configuration(self, folder: Path) -> str:
        bundle = folder / "bundle.pem"
        bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        realm = f"http://127.0.0.1:{self._http.server_port}/token"
        return BY_TOKEN.replace("REALM", f'"{realm}"').replace("BUNDLE", str(bundle))

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                if self.headers.get("authorization") != f"Basic {wanted}":
                    self.send_error(401)
                    return
                scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
                server.given += scopes
                body = json.dumps({"token": server.token(scopes)}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """Nothing: the tests' own output is for tests."""

        return Handler

    def token(self, scopes: list[str]) -> str:
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in scopes)
        ]
        now = int(time.time())
        der = base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()
        header = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        claims = {"iss": "tests", "aud": "test", "sub": USER, "iat": now, "nbf": now - 10, "exp": now + 300}
        signed = f"{_packed(header)}.{_packed(claims | {'jti': secrets.token_hex(4), 'access': access})}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _packed(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


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
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.images.remove(image, force=True)
