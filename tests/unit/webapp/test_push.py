"""News for a phone in a pocket, through a push service on the loopback; opened as a browser opens it."""

from __future__ import annotations

import asyncio
import base64
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from webapp.problem import Problem, answer_problem
from webapp.push import FINISHED, MOST_RECEIVERS, WAITS, Push, news_of
from webapp.sealed import decoded, encoded

from tests.support.webapp import Served, run_async

CURVE = ec.SECP256R1()
SUBJECT = "https://lilach.example.com"


class Browser:
    """What a browser keeps of a subscription."""

    def __init__(
        self, endpoint: str, private: int | None = None, secret: bytes = b"0123456789abcdef"
    ) -> None:
        self.endpoint = endpoint
        self.secret = secret
        self._key = ec.derive_private_key(private, CURVE) if private else ec.generate_private_key(CURVE)

    @property
    def subscription(self) -> dict[str, Any]:
        keys = {"p256dh": encoded(self._point), "auth": encoded(self.secret)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    @property
    def _point(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def opened(self, body: bytes) -> bytes:
        """As RFC 8291 has it; fails for what was not sealed for this browser."""
        salt, size, sender = body[:16], body[20], body[21 : 21 + body[20]]
        shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
        secret = _derived(self.secret, shared, b"WebPush: info\0" + self._point + sender, 32)
        key, nonce = (
            _derived(salt, secret, f"Content-Encoding: {what}\0".encode(), length)
            for what, length in (("aes128gcm", 16), ("nonce", 12))
        )
        return AESGCM(key).decrypt(nonce, body[21 + size :], None).rstrip(b"\0").removesuffix(b"\2")


def _derived(salt: bytes, secret: bytes, about: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, about).derive(secret)


def claims_of(token: str, public: str) -> dict[str, Any]:
    """What stands in a JWT that is signed with this key; fails for any other."""
    told, _, signature = token.rpartition(".")
    first, second = (
        int.from_bytes(half, "big") for half in (decoded(signature)[:32], decoded(signature)[32:])
    )
    verifier = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, decoded(public))
    verifier.verify(encode_dss_signature(first, second), told.encode(), ec.ECDSA(hashes.SHA256()))
    head, claims = (json.loads(decoded(part)) for part in told.split("."))
    assert head == {"typ": "JWT", "alg": "ES256"}
    return dict(claims)


def certificate(folder: Path) -> Path:
    """One for the loopback, with its key."""
    key, name = ec.generate_private_key(CURVE), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "push")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "push.pem"
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


class Service(http.server.ThreadingHTTPServer):
    """A push service: takes what comes for a browser, as long as it knows that browser."""

    def __init__(self, pem: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.origin = f"https://127.0.0.1:{self.server_port}"
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, int] = {}

    def browser(self, name: str, answer: int = 201) -> Browser:
        self.answers[f"/{name}"] = answer
        return Browser(f"{self.origin}/{name}")


class _Door(http.server.BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.came.append((self.path, headers, body))
        self.send_response(self.server.answers[self.path])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    pem = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Service(pem)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


class Desk:
    """A workspace's side, and who may come in."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "push.json"
        self.devices: set[str] = {""}
        self.is_looked_at = False
        self.push = Push(self.file, SUBJECT, self.devices.__contains__, lambda: self.is_looked_at)

    def run(self, story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async def life() -> None:
            app = Starlette(routes=self.push.routes(), exception_handlers={Problem: answer_problem})
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://w") as client:
                await story(client)

        run_async(life)

    async def turn(self, turn: str, conversation: str = "c") -> None:
        """This happens, and what is to be sent for it has been."""
        about = {"id": conversation, "turn": turn, "title": "Secret plans"}
        self.push.hear({"type": "conversation", "conversation": about})
        await asyncio.gather(*self.push._sending)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_the_standard_gives_as_an_example_is_opened_here() -> None:
    """So what opens the others below does it as every browser does."""
    private = int.from_bytes(decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big")
    browser = Browser("https://push.example.net", private, decoded("BTBZMqHH6r4Tts7J_aSIgg"))
    body = decoded(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w"
        "EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert browser.opened(body) == b"When I grow up, I want to be a watermelon"


def test_a_closed_page_is_told_of_news_that_only_its_browser_can_read(desk: Desk, service: Service) -> None:
    phone = service.browser("phone")

    async def story(client: httpx.AsyncClient) -> None:
        key = (await client.get("/api/push")).json()["key"]
        assert (await client.post("/api/push", json=phone.subscription)).status_code == 204
        await desk.turn("running")
        assert service.came == []
        await desk.turn("waiting")
        ((path, headers, body),) = service.came
        assert path == "/phone"
        assert json.loads(phone.opened(body)) == {"title": WAITS, "conversation": "c"}
        assert (headers["content-encoding"], headers["urgency"], int(headers["ttl"]) > 0) == (
            "aes128gcm",
            "high",
            True,
        )
        scheme, _, told = headers["authorization"].partition(" ")
        token, public = (one.partition("=")[2] for one in told.split(", "))
        assert (scheme, public) == ("vapid", key)
        assert claims_of(token, public).items() >= {"aud": service.origin, "sub": SUBJECT}.items()
        await desk.turn("idle")
        assert json.loads(phone.opened(service.came[-1][2]))["title"] == FINISHED

    desk.run(story)


def test_nothing_goes_out_while_a_page_is_looked_at(desk: Desk, service: Service) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        await client.post("/api/push", json=service.browser("phone").subscription)
        desk.is_looked_at = True
        await desk.turn("waiting")
        assert service.came == []

    desk.run(story)


def test_a_device_that_was_signed_out_gets_nothing_more(desk: Desk, service: Service) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        await client.post("/api/push", json=service.browser("phone").subscription)
        desk.devices.clear()
        await desk.turn("waiting")
        desk.devices.add("")
        await desk.turn("idle")
        assert service.came == []

    desk.run(story)


@pytest.mark.parametrize(("answer", "times"), [(201, 2), (410, 1), (404, 1), (500, 2), (429, 2)])
def test_a_browser_that_is_gone_is_forgotten_and_one_in_trouble_is_not(
    desk: Desk, service: Service, answer: int, times: int
) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        await client.post("/api/push", json=service.browser("phone", answer).subscription)
        await client.post("/api/push", json=service.browser("laptop").subscription)
        await desk.turn("waiting")
        await desk.turn("idle")
        paths = [path for path, _, _ in service.came]
        assert (paths.count("/phone"), paths.count("/laptop")) == (times, 2)

    desk.run(story)


def test_a_service_that_cannot_be_reached_is_no_trouble(desk: Desk) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        await client.post("/api/push", json=Browser("https://127.0.0.1:1/phone").subscription)
        await desk.turn("waiting")
        assert len(json.loads(desk.file.read_text())["receivers"]) == 1

    desk.run(story)


def test_who_wants_to_know_no_more_is_forgotten_and_nobody_is_told_twice(
    desk: Desk, service: Service
) -> None:
    phone = service.browser("phone")

    async def story(client: httpx.AsyncClient) -> None:
        key = (await client.get("/api/push")).json()["key"]
        for _ in range(2):
            await client.post("/api/push", json=phone.subscription)
        await desk.turn("waiting")
        assert len(service.came) == 1
        await client.request("DELETE", "/api/push", json={"endpoint": phone.endpoint})
        await desk.turn("idle")
        assert len(service.came) == 1
        assert (await client.get("/api/push")).json()["key"] == key, "browsers know it by this one"

    desk.run(story)
    assert desk.file.stat().st_mode & 0o777 == 0o600


def test_the_oldest_browsers_give_way(desk: Desk) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        for number in range(MOST_RECEIVERS + 2):
            await client.post("/api/push", json=Browser(f"https://push.example/{number}").subscription)

    desk.run(story)
    kept = [one["endpoint"] for one in json.loads(desk.file.read_text())["receivers"]]
    assert kept == [f"https://push.example/{number}" for number in range(2, MOST_RECEIVERS + 2)]


GOOD = Browser("https://push.example/phone").subscription


@pytest.mark.parametrize(
    "given",
    [
        {},
        {**GOOD, "endpoint": "http://push.example/phone"},
        {**GOOD, "endpoint": "file:///etc/passwd"},
        {**GOOD, "endpoint": "https://"},
        {**GOOD, "endpoint": "https://user@push.example/"},
        {**GOOD, "endpoint": "https://push.example/" + "x" * 1000},
        {**GOOD, "endpoint": 7},
        {**GOOD, "keys": None},
        {**GOOD, "keys": {**GOOD["keys"], "auth": "short"}},
        {**GOOD, "keys": {**GOOD["keys"], "auth": "?" * 22}},
        {**GOOD, "keys": {**GOOD["keys"], "p256dh": encoded(b"\4" + bytes(64))}},
        {**GOOD, "keys": {**GOOD["keys"], "p256dh": "é"}},
    ],
)
def test_what_no_browser_subscribes_with_is_refused(desk: Desk, given: dict[str, Any]) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/push", json=given)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_subscription")

    desk.run(story)
    assert not desk.file.exists()


def test_the_end_of_the_server_is_no_news(desk: Desk, service: Service) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        await client.post("/api/push", json=service.browser("phone").subscription)
        await desk.turn("running")
        await desk.push.close()
        await desk.turn("idle")
        assert service.came == []

    desk.run(story)


@pytest.mark.parametrize(
    ("before", "turn", "news"),
    [
        ("running", "waiting", WAITS),
        ("idle", "waiting", WAITS),
        ("waiting", "waiting", ""),
        ("running", "idle", FINISHED),
        ("waiting", "idle", FINISHED),
        ("idle", "idle", ""),
        ("idle", "running", ""),
        ("waiting", "running", ""),
    ],
)
def test_news_are_the_same_as_on_an_open_page(before: str, turn: str, news: str) -> None:
    assert news_of(before, turn) == news


def test_the_key_is_drawn_when_a_browser_first_asks_for_it(served: Served) -> None:
    assert not (served.config.app / "push.json").exists()
    with served.client() as client:
        assert len(base64.urlsafe_b64decode(client.get("/api/push").json()["key"] + "=")) == 65
