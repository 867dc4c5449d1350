"""Speaks to a courier, as its machine's visitors would: through the platform's own proxy, with a key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from fly.backup.courier import PIECE, Broken, Seal, read
from fly.errors import BackupError, Unreachable
from fly.lazy import Lazy
from fly.settings import Platform, Secret
from fly.trust import trust

if TYPE_CHECKING:
    import httpx
else:
    httpx = Lazy("httpx")

SILENT_S = 120.0


class Wire:
    """The courier at `url`; `transport` is a seam for tests. *Errors*: BackupError, Unreachable."""

    def __init__(
        self, platform: Platform, url: str, key: Secret, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        asked = httpx.URL(url)
        self._http = httpx.Client(
            base_url=platform.door_url or url,
            headers={"host": asked.netloc.decode("ascii"), "x-courier-key": key.reveal()},
            verify=trust(platform.door_url or url, platform.door_certificate),
            trust_env=not platform.door_url,
            timeout=httpx.Timeout(SILENT_S, connect=10),
            transport=transport,
        )
        self._named: dict[str, Any] = {"extensions": {"sni_hostname": asked.host}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def trouble(self) -> str:
        """Why it is not ready; empty when it is."""
        try:
            answer = self._http.get("/courier", timeout=10, **self._named)
            return "" if answer.json().get("ready") is True else "somebody else answers there"
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            return str(error) or type(error).__name__

    @contextmanager
    def copy(self) -> Iterator[Stream]:
        """The volume, as a file to read once."""
        with (
            self._explained("The volume could not be read"),
            self._http.stream("GET", "/courier/copy", **self._named) as answer,
        ):
            _demand(answer)
            yield Stream(answer.iter_raw(PIECE))

    def seal(self) -> Seal:
        """What is on the volume."""
        with (
            self._explained("The volume could not be measured"),
            self._http.stream("GET", "/courier/seal", **self._named) as answer,
        ):
            _demand(answer)
            return _seal(answer.read())

    def fill(self, pieces: Iterable[bytes]) -> Seal:
        """Puts a stream onto the volume, in place of all that is there; what it finds there afterwards."""
        with (
            self._explained("The volume could not be filled"),
            self._http.stream("PUT", "/courier/data", content=iter(pieces), **self._named) as answer,
        ):
            _demand(answer)
            return _seal(answer.read())

    @contextmanager
    def _explained(self, complaint: str) -> Iterator[None]:
        """Where the courier knows better what went wrong, in its words."""
        try:
            yield
        except Broken as error:
            raise BackupError(f"{complaint}: {self._its_words() or error}") from error
        except httpx.HTTPError as error:
            said = self._its_words() or str(error) or type(error).__name__
            raise BackupError(f"{complaint}: {said}", hint="try again") from error

    def _its_words(self) -> str:
        try:
            return str(self._http.get("/courier", timeout=10, **self._named).json().get("trouble", ""))
        except (httpx.HTTPError, ValueError, AttributeError):
            return ""


class Stream:
    """Pieces that arrive, read as a file; each is passed on to `along` as it comes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""
        self.count = 0
        self.along: Any = None

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (piece := next(self._pieces, b"")):
            self.count += len(piece)
            if self.along:
                self.along(piece)
            self._held += piece
        given, self._held = self._held[:size], self._held[size:]
        return given

    def proven(self) -> Seal:
        """Its seal, once all of it has passed. *Errors*: Broken."""
        return read(self)


def _demand(answer: httpx.Response) -> None:
    if answer.status_code != 200:
        answer.read()
        raise Unreachable(f"The courier answers {answer.status_code}.", sent=False, hint="try again")


def _seal(said: bytes) -> Seal:
    try:
        return Seal(**json.loads(said))
    except (ValueError, TypeError) as error:
        raise Broken("its answer makes no sense") from error
