"""The only file that speaks to Docker: plain HTTP over its socket, at little cost beyond the engine's own."""

import asyncio
import json
import os
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fly.errors import EngineError

Json = Any
HEAD_LIMIT = 1 << 20
QUICK_S = 30.0
COPY_S = 3600.0
PIECE_BYTES = 1 << 20
EXEC_OUTPUT_BYTES = 4 << 20
"""So much is kept of each stream of a command."""


class DockerError(EngineError):
    """The engine said no, in its own words. Status 0: it was not reached; 408: it did not answer in time."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class ExecResult:
    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass
class Reply:
    """An answer whose head has been read; `chunks` yields the body as it comes."""

    status: int
    headers: Mapping[str, str]
    reader: asyncio.StreamReader

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readline() or b"0", 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
        elif "content-length" in self.headers:
            yield await self.reader.readexactly(int(self.headers["content-length"]))
        elif self.status not in {204, 304}:
            while chunk := await self.reader.read(1 << 16):
                yield chunk

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])


def addresses() -> list[str]:
    """Where an engine may listen, in the order in which to look."""
    if named := os.environ.get("DOCKER_HOST"):
        return [named]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")
    paths = [
        Path("/var/run/docker.sock"),
        Path.home() / ".docker/run/docker.sock",
        Path(runtime) / "docker.sock",
    ]
    return [f"unix://{path}" for path in paths if path.exists()] or ["unix:///var/run/docker.sock"]


class Engine:
    """A Docker Engine's verbs.

    *Errors*: DockerError, from every method.
    *Source*: Docker Engine API 1.41 and later; the engine's own version is spoken.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.cpus = 1
        self._prefix = ""

    async def greet(self) -> None:
        """Learns the version that the engine speaks and the processors it has."""
        version = await self.call("GET", "/version")
        self._prefix = f"/v{version['ApiVersion']}"
        self.cpus = int((await self.call("GET", "/info"))["NCPU"])

    # -- the conversation

    async def call(
        self,
        method: str,
        path: str,
        body: Json | bytes | Path = None,
        /,
        *,
        timeout_s: float = QUICK_S,
        **query: object,
    ) -> Json:
        """The decoded answer; None where there is none."""
        text = await self._read(method, path, body, query, timeout_s)
        return json.loads(text) if text.strip() else None

    async def _read(
        self, method: str, path: str, body: Json | bytes | Path, query: Mapping[str, object], timeout_s: float
    ) -> bytes:
        try:
            async with asyncio.timeout(timeout_s), self._send(method, path, body, query) as reply:
                return await reply.body()
        except TimeoutError as error:
            raise DockerError(408, f"the engine did not answer {method} {path} in {timeout_s:g} s") from error

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, body: Json | bytes | Path, query: Mapping[str, object]
    ) -> AsyncIterator[Reply]:
        reader, writer = await self._connect()
        try:
            writer.write(_request(method, f"{self._prefix}{path}", body, query))
            if isinstance(body, Path):
                await _send_file(body, writer)
            reply = await _read_head(reader)
            if reply.status >= 400:
                raise DockerError(reply.status, _complaint(await reply.body()))
            yield reply
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise DockerError(0, f"the engine broke off during {method} {path}: {error}") from error
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        scheme, _, where = self.address.partition("://")
        try:
            if scheme == "unix":
                return await asyncio.open_unix_connection(where, limit=HEAD_LIMIT)
            host, _, port = where.rpartition(":")
            return await asyncio.open_connection(host, int(port), limit=HEAD_LIMIT)
        except (OSError, ValueError) as error:
            raise DockerError(0, f"no Docker Engine answers at {self.address}: {error}") from error

    # -- images

    async def image(self, reference: str) -> Json:
        """What the engine knows of an image; `name@sha256:…` may be a repo digest or an image's own id."""
        try:
            return await self.call("GET", f"/images/{quote(reference, safe='/:@')}/json")
        except DockerError as error:
            _, at, digest = reference.rpartition("@")
            if not at or error.status != 404:
                raise
            return await self.call("GET", f"/images/{quote(digest, safe=':')}/json")

    async def any_image(self) -> str:
        """The id of some image."""
        images = await self.call("GET", "/images/json")
        if not images:
            raise DockerError(404, "the engine has no image at all")
        return str(images[0]["Id"])

    # -- containers

    async def create(self, name: str, body: Json) -> str:
        return str((await self.call("POST", "/containers/create", body, name=name))["Id"])

    async def start(self, container: str) -> None:
        await self.call("POST", f"/containers/{container}/start", timeout_s=60)

    async def pause(self, container: str, timeout_s: float) -> None:
        await self.call("POST", f"/containers/{container}/pause", timeout_s=timeout_s)

    async def unpause(self, container: str, timeout_s: float) -> None:
        await self.call("POST", f"/containers/{container}/unpause", timeout_s=timeout_s)

    async def limit_memory(self, container: str, limit: int) -> None:
        """*Units*: bytes"""
        await self.call("POST", f"/containers/{container}/update", {"Memory": limit, "MemorySwap": limit})

    async def kill(self, container: str, signal: str) -> None:
        await self.call("POST", f"/containers/{container}/kill", signal=signal)

    async def wait(self, container: str, timeout_s: float) -> bool:
        """Whether the container's process ended within the time."""
        try:
            await self.call("POST", f"/containers/{container}/wait", timeout_s=timeout_s)
        except DockerError as error:
            if error.status == 408:
                return False
            raise
        return True

    async def remove(self, container: str) -> None:
        """Ends and removes; gone already is as good."""
        try:
            await self.call("DELETE", f"/containers/{container}", force="true", v="true", timeout_s=60)
        except DockerError as error:
            if error.status == 409:  # another removal of the same container is under way
                await self._until_gone(container)
            elif error.status != 404:
                raise

    async def _until_gone(self, container: str) -> None:
        for _ in range(100):
            if await self.inspect(container) is None:
                return
            await asyncio.sleep(0.1)
        raise DockerError(409, f"container {container} is being removed, but does not go")

    async def inspect(self, container: str) -> Json | None:
        """The container as the engine sees it; None if there is none."""
        return await self._or_none("GET", f"/containers/{container}/json")

    async def containers(self, label: str) -> list[Json]:
        return list(await self.call("GET", "/containers/json", all="true", filters=_filters(label=[label])))

    async def top(self, container: str, ps_args: str) -> Json:
        return await self.call("GET", f"/containers/{container}/top", ps_args=ps_args)

    async def stats(self, container: str) -> Json:
        return await self.call("GET", f"/containers/{container}/stats?stream=false&one-shot=true")

    async def logs(self, container: str, *, since: str = "0", tail: str = "all") -> bytes:
        """What the process wrote, oldest first, each line with its time."""
        query = {"stdout": "true", "stderr": "true", "timestamps": "true", "since": since, "tail": tail}
        out, err = split_streams(
            await self._read("GET", f"/containers/{container}/logs", None, query, QUICK_S)
        )
        return b"\n".join(sorted((out + err).splitlines()))

    async def put_archive(self, container: str, path: str, tar: bytes | Path) -> None:
        """Unpacks `tar` at `path`, owners and modes included; the container need not run."""
        await self.call("PUT", f"/containers/{container}/archive", tar, path=path, timeout_s=COPY_S)

    async def get_archive(
        self, container: str, path: str, sink: Callable[[bytes], object], timeout_s: float = COPY_S
    ) -> None:
        """Packs `path` and hands the tar over piece by piece."""
        where = f"/containers/{container}/archive"
        try:
            async with asyncio.timeout(timeout_s), self._send("GET", where, None, {"path": path}) as reply:
                async for chunk in reply.chunks():
                    sink(chunk)
        except TimeoutError as error:
            raise DockerError(408, f"the engine did not pack {path} in {timeout_s:g} s") from error

    # -- exec

    async def exec(
        self, container: str, command: list[str], stdin: bytes, timeout_s: float, started: Callable[[], None]
    ) -> ExecResult:
        """Runs a command to its end; what outlasts `timeout_s` is killed and reported as 408.

        `started` is called once the engine has begun to run it, or has refused to.
        """
        wanted = {"Cmd": command, "AttachStdin": bool(stdin), "AttachStdout": True, "AttachStderr": True}
        exec_id = (await self.call("POST", f"/containers/{container}/exec", wanted))["Id"]
        try:
            async with asyncio.timeout(timeout_s):
                output = await self._run_exec(exec_id, stdin, started)
        except TimeoutError as error:
            await self._kill_exec(exec_id)
            raise DockerError(408, f"the command did not end in {timeout_s:g} s") from error
        finally:
            started()
        code = (await self.call("GET", f"/exec/{exec_id}/json"))["ExitCode"]
        return ExecResult(int(code or 0), output.stdout, output.stderr)

    async def _run_exec(self, exec_id: str, stdin: bytes, started: Callable[[], None]) -> "Output":
        reader, writer = await self._connect()
        telling: asyncio.Task[None] | None = None
        try:
            body, output = {"Detach": False, "Tty": False}, Output(EXEC_OUTPUT_BYTES)
            writer.write(_request("POST", f"{self._prefix}/exec/{exec_id}/start", body, {}))
            reply = await _read_head(reader)
            if reply.status >= 400:
                output.feed(_as_stderr(_complaint(await reply.body())))
                return output
            telling = asyncio.create_task(self._tell_when_running(exec_id, started))
            if stdin:
                writer.write(stdin)
                writer.write_eof()
            async for piece in reply.chunks():
                output.feed(piece)
            return output
        finally:
            writer.close()
            if telling:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)

    async def _tell_when_running(self, exec_id: str, started: Callable[[], None]) -> None:
        for _ in range(200):
            seen = await self._or_none("GET", f"/exec/{exec_id}/json")
            if seen is None or seen.get("Pid") or seen.get("ExitCode") is not None:
                break
            await asyncio.sleep(0.02)
        started()

    async def _kill_exec(self, exec_id: str) -> None:
        """The engine has no verb for this; the process is ended where it is one of this host's."""
        seen = await self._or_none("GET", f"/exec/{exec_id}/json")
        if seen and seen.get("Running") and seen.get("Pid") and self.address.startswith("unix:"):
            try:
                os.kill(seen["Pid"], 9)
            except OSError:
                return

    async def execs_starting(self, container: str) -> bool:
        """Whether an exec is between asked for and running: the moment at which a pause hangs the engine."""
        seen = await self.inspect(container)
        for exec_id in (seen or {}).get("ExecIDs") or []:
            state = await self._or_none("GET", f"/exec/{exec_id}/json")
            if state and state["Running"] and not state["Pid"]:
                return True
        return False

    # -- volumes and networks

    async def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        await self.call("POST", "/volumes/create", {"Name": name, "Labels": dict(labels)})

    async def volume(self, name: str) -> Json | None:
        return await self._or_none("GET", f"/volumes/{name}")

    async def remove_volume(self, name: str) -> None:
        await self._or_none("DELETE", f"/volumes/{name}")

    async def volumes(self, label: str) -> list[Json]:
        return (await self.call("GET", "/volumes", filters=_filters(label=[label])))["Volumes"] or []

    async def volume_bytes(self, name: str) -> int | None:
        """What a volume holds; the engine weighs all that it has for it, which takes a while."""
        try:
            found = await self.call("GET", "/system/df", type="volume", timeout_s=COPY_S)
        except DockerError as error:
            if error.status == 409:  # it is at it already, for somebody else
                return None
            raise
        sizes = {one["Name"]: (one.get("UsageData") or {}).get("Size", -1) for one in found["Volumes"] or []}
        size = int(sizes.get(name, -1))
        return size if size >= 0 else None

    async def networks(self) -> list[Json]:
        return list(await self.call("GET", "/networks"))

    async def network(self, name: str) -> Json | None:
        return await self._or_none("GET", f"/networks/{name}")

    async def create_network(self, name: str, subnet: str, labels: Mapping[str, str]) -> None:
        body = {
            "Name": name,
            "CheckDuplicate": True,
            "Labels": dict(labels),
            "IPAM": {"Config": [{"Subnet": subnet}]},
        }
        await self.call("POST", "/networks/create", body)

    async def remove_network(self, name: str) -> None:
        await self._or_none("DELETE", f"/networks/{name}")

    # -- events

    async def events(self, label: str) -> AsyncIterator[Json]:
        """What happens to containers with this label, until the engine goes away."""
        filters = _filters(label=[label], type=["container"], event=["die", "pause", "unpause", "destroy"])
        async with self._send("GET", "/events", None, {"filters": filters}) as reply:
            pending = b""
            async for chunk in reply.chunks():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in filter(None, lines):
                    yield json.loads(line)

    async def _or_none(self, method: str, path: str) -> Json | None:
        try:
            return await self.call(method, path)
        except DockerError as error:
            if error.status == 404:
                return None
            raise


def _request(method: str, path: str, body: Json | bytes | Path, query: Mapping[str, object]) -> bytes:
    """The head, and the body unless that is a file, which is sent piece by piece."""
    is_tar = isinstance(body, bytes | Path)
    payload = b"" if body is None or isinstance(body, Path) else body if is_tar else json.dumps(body).encode()
    length = body.stat().st_size if isinstance(body, Path) else len(payload)
    kind = "application/x-tar" if is_tar else "application/json"
    target = f"{path}?{urlencode(query)}" if query else path
    head = f"{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + payload


async def _send_file(path: Path, writer: asyncio.StreamWriter) -> None:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            writer.write(piece)
            await writer.drain()


async def _read_head(reader: asyncio.StreamReader) -> Reply:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Reply(int(first.split()[1]), headers, reader)


def _complaint(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def _filters(**wanted: list[str]) -> str:
    return json.dumps(wanted)


def _as_stderr(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">BxxxL", 2, len(data)) + data


def split_streams(data: bytes) -> tuple[bytes, bytes]:
    """stdout and stderr out of the engine's frames."""
    output = Output(len(data))
    output.feed(data)
    return output.stdout, output.stderr


class Output:
    """What a program wrote, out of the engine's frames: one byte of kind, three of nothing, four of length.

    Of each stream so much is kept; that there was more is said at its end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = {1: bytearray(), 2: bytearray()}
        self._dropped = {1: 0, 2: 0}
        self._head = b""
        """Of a frame, as far as it has come."""
        self._kind, self._left = 0, 0

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            at = self._take(data, at) if self._left else self._begin(data, at)

    def _begin(self, data: bytes, at: int) -> int:
        step = 8 - len(self._head)
        self._head += data[at : at + step]
        if len(self._head) == 8:
            self._kind, self._left = struct.unpack(">BxxxL", self._head)
            self._head = b""
        return at + step

    def _take(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._left]
        self._left -= len(piece)
        if self._kind in self._kept:
            room = self._limit - len(self._kept[self._kind])
            self._kept[self._kind] += piece[:room]
            self._dropped[self._kind] += max(0, len(piece) - room)
        return at + len(piece)

    @property
    def stdout(self) -> bytes:
        return self._of(1)

    @property
    def stderr(self) -> bytes:
        return self._of(2)

    def _of(self, kind: int) -> bytes:
        dropped = self._dropped[kind]
        return bytes(self._kept[kind]) + (b"\n[%d more bytes are left out]\n" % dropped if dropped else b"")
