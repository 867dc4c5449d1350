"""A door with machines that only pretend: real sockets, real small servers, no containers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fly.local.door import Door, Limits
from fly.local.idle import Rule
from fly.local.machines import Target, WakeFailed
from fly.local.probe import Address

HOST = "app.localhost"
MACHINE = "m1"
QUICK = Limits(
    idle=Rule(),
    head_s=5.0,
    keep_alive_s=5.0,
    body_s=5.0,
    pace_s=5.0,
    pace_bytes=10,
    connect_s=0.5,
    first_byte_s=5.0,
    half_close_s=3.0,
    look_round_s=0.05,
    linger_s=1.0,
    drain_s=1.0,
    hold_s=5.0,
    page_s=0.15,
    wake_s=5.0,
    failed_wake_s=0.3,
    busy_s=0.5,
    reconsider_s=0.05,
    tick_s=0.01,
    pass_s=0.02,
)

IMPATIENT = replace(QUICK, head_s=0.3, body_s=0.3, pace_s=0.3, half_close_s=0.3, linger_s=0.3)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Sleepers:
    """Machines that sleep and wake as a test wants it; the real ones keep the same promises."""

    def __init__(self, target: Target) -> None:
        self.one = replace(target, up=target.awake)
        self.known = {target.app}
        self.wakes = 0
        self.sleeps = 0
        self.wake_s = 0.0
        self.fails = ""
        self.failure: type[WakeFailed] = WakeFailed
        self.hurdle: asyncio.Event | None = None
        """A wake goes on only when it is set."""
        self.before_sleep: Callable[[], Awaitable[None]] | None = None
        """Runs between the decision that it may sleep and its sleep."""
        self._lock = asyncio.Lock()
        self._callbacks: list[Callable[[str], None]] = []
        self._waking: asyncio.Task[Address] | None = None

    def target(self, app: str) -> Target | None:
        return self.one if app == self.one.app else None

    def awake(self) -> list[Target]:
        return [self.one] if self.one.up else []

    def running(self, machine_id: str) -> Target | None:
        return self.one if self.one.up and machine_id == self.one.machine_id else None

    def knows(self, app: str) -> bool:
        return app in self.known

    def missed(self, machine_id: str) -> None:
        assert machine_id == self.one.machine_id
        self.one = replace(self.one, awake=False)

    def on_sleep(self, callback: Callable[[str], None]) -> None:
        self._callbacks.append(callback)

    async def wake(self, machine_id: str) -> Address:
        assert machine_id == self.one.machine_id
        if self._waking is None or self._waking.done():
            self._waking = asyncio.create_task(self._wake())
        return await asyncio.shield(self._waking)

    async def _wake(self) -> Address:
        async with self._lock:
            self.wakes += 1
            await asyncio.sleep(self.wake_s)
            if self.hurdle:
                await self.hurdle.wait()
            if self.fails:
                raise self.failure(self.fails)
            self.one = replace(self.one, awake=True, up=True)
            assert self.one.address is not None
            return self.one.address

    async def sleep(self, machine_id: str, still_idle: Callable[[], bool]) -> bool:
        assert machine_id == self.one.machine_id
        async with self._lock:
            if not still_idle():
                return False
            if self.before_sleep:
                await self.before_sleep()
            self.nod_off()
            return True

    def nod_off(self) -> None:
        self.sleeps += 1
        self.one = replace(self.one, awake=False, up=False)
        for callback in self._callbacks:
            callback(self.one.machine_id)


@dataclass
class Page:
    """A small server: the pretended machine's page. Each connection is handed to `handle`."""

    handle: Handler
    port: int = 0
    connections: int = 0
    open: int = 0
    errors: list[BaseException] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            await self.handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as error:
            self.errors.append(error)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()


class Client:
    """One raw connection to the door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def ask(self, path: str = "/", *lines: str, method: str = "GET", host: str = HOST) -> Reply:
        await self.send("\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]))
        return await self.reply(bodiless=method == "HEAD")

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """The next answer, read by a reader of its own: it shares no code with the door."""
        head = await self.head()
        return replace(head, body=b"" if bodiless else await self._body(head))

    async def head(self) -> Reply:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = text[:-4].split("\r\n")
        pairs = [one.partition(": ")[::2] for one in lines]
        return Reply(int(line.split()[1]), {name.lower(): value for name, value in pairs})

    async def _body(self, head: Reply) -> bytes:
        if head.status in {204, 304} or head.status < 200:
            return b""
        if head.headers.get("transfer-encoding") == "chunked":
            return await self._chunks()
        if "content-length" in head.headers:
            return await self.reader.readexactly(int(head.headers["content-length"]))
        return await self.reader.read()

    async def _chunks(self) -> bytes:
        whole = b""
        while size := int((await self.reader.readuntil(b"\n")).split(b";")[0], 16):
            whole += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        while (line := await self.reader.readuntil(b"\n")) != b"\r\n":
            whole += b"[trailer]" + line.strip()
        return whole

    async def is_closed(self) -> bool:
        """Nothing more comes."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 3) == b""
        except ConnectionResetError:
            return True

    def leave(self) -> None:
        self.writer.transport.abort()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Scene:
    """What a test of the door works with."""

    door: Door
    machines: Sleepers
    page: Page
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.door.port, limit=1 << 20)
        self.clients.append(Client(reader, writer))
        return self.clients[-1]

    @property
    def held(self) -> int:
        return int(self.door.metrics()["held"])


@contextlib.asynccontextmanager
async def scene(
    handle: Handler,
    *,
    awake: bool = True,
    limits: Limits = QUICK,
    autostart: bool = True,
    autostop: str = "suspend",
    health_path: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Scene]:
    """A page behind a door, both running."""
    page = Page(handle)
    await page.start()
    address = Address("127.0.0.1", page.port)
    machines = Sleepers(Target(MACHINE, "app", address, awake, autostart, autostop, health_path))  # type: ignore[arg-type]
    door = Door(machines, port=0, limits=limits, tls=tls)
    await door.start()
    one = Scene(door, machines, page)
    try:
        yield one
    finally:
        for client in one.clients:
            client.leave()
        await door.stop()
        await page.stop()
    assert page.errors == []


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a test on the event loop that the platform uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work, 20))


async def until(probe: Callable[[], object], what: str, timeout_s: float = 5) -> None:
    """Waits until `probe` is true."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not probe():
        assert asyncio.get_running_loop().time() < deadline, f"waited {timeout_s} s for {what}"
        await asyncio.sleep(0.005)


@dataclass(frozen=True)
class Asked:
    """A request as the page got it."""

    line: str
    headers: dict[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Asked:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = text[:-4].split("\r\n")
    headers = {name.lower(): value for name, value in (one.partition(": ")[::2] for one in lines)}
    reply = Client(reader, None)  # type: ignore[arg-type]
    framed = headers.get("transfer-encoding") or headers.get("content-length")
    return Asked(line, headers, await reply._body(Reply(200, headers)) if framed else b"")


def answer(body: bytes = b"hello", status: str = "200 OK", *lines: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", ""])
    return head.encode() + body


def answering(*answers: bytes, seen: list[Asked] | None = None) -> Handler:
    """A page that reads request after request, and gives the answers in turn; the last one for ever."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue = list(answers)
        while True:
            asked = await read_request(reader)
            if seen is not None:
                seen.append(asked)
            writer.write(queue.pop(0) if len(queue) > 1 else queue[0])
            await writer.drain()

    return handle


def certificate(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server of this name, and for a client that trusts it."""
    public, secret = certificate_pem(name)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(public + secret)
        file.flush()
        server.load_cert_chain(file.name)
    return server, ssl.create_default_context(cadata=public.decode())


def certificate_pem(name: str) -> tuple[bytes, bytes]:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), secret
