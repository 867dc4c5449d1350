"""A registry by its own HTTP interface: which manifest is there, and under which tag.

*Source*: the OCI distribution specification. The layers themselves go up through the Docker Engine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fly.errors import RegistryError, SettingsError
from fly.lazy import Lazy
from fly.settings import Secret

if TYPE_CHECKING:
    import httpx
else:
    httpx = Lazy("httpx")

FLY_HOST = "registry.fly.io"
MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
APP = re.compile(r"[a-z0-9][a-z0-9-]*")
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
LIMIT_S = 30


@dataclass(frozen=True)
class Repository:
    """Where images of one kind are kept, such as `registry.fly.io/my-images`."""

    host: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Repository:
        """`HOST/PATH`, or the name of an app on Fly alone.

        *Errors*: SettingsError.
        """
        host, slash, path = text.strip().partition("/")
        if not slash and APP.fullmatch(host):
            host, path = FLY_HOST, host
        if not host or not all(NAME.fullmatch(part) for part in path.split("/")):
            raise SettingsError(
                f"{text!r} is no place for images.",
                hint="a Fly app's name, or HOST/REPOSITORY in small letters, without a tag",
            )
        return cls(host, path)

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def is_of_fly(self) -> bool:
        return self.host == FLY_HOST

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine: then without TLS, as the Docker Engine speaks to it."""
        return _is_loopback(self.host.rpartition(":")[0] or self.host)

    @property
    def url(self) -> str:
        return f"{'http' if self.is_here else 'https'}://{self.host}/v2/{self.path}"


@dataclass(frozen=True)
class Login:
    """Who we are to a registry."""

    user: str
    password: Secret

    def for_engine(self) -> dict[str, str]:
        """As docker-py wants it; it reaches the engine in a header, and no file."""
        return {"username": self.user, "password": self.password.reveal()}


@dataclass(frozen=True)
class Manifest:
    """What a digest stands for: `config_digest` is the content's own, empty for an index of several."""

    digest: str
    media_type: str
    body: bytes
    config_digest: str


class Registry:
    """One repository in a registry.

    *Errors*: RegistryError: no answer, no permission, not there, or an answer that cannot be true.
    """

    def __init__(
        self, repository: Repository, login: Login | None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.repository = repository
        self._login = login
        self._bearer = Secret("")
        # A registry of this machine is not behind its proxy.
        self._http = httpx.Client(timeout=LIMIT_S, transport=transport, trust_env=not repository.is_here)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def find(self, reference: str) -> Manifest | None:
        """The manifest that a tag or digest stands for; None if there is none."""
        answer = self._ask("GET", reference, headers={"accept": ", ".join(MEDIA_TYPES)})
        if answer.status_code == 404:
            return None
        self._must_be_good(answer, f"read {reference}")
        return self._manifest(answer, reference)

    def get(self, reference: str) -> Manifest:
        """The same, where it has to be there."""
        found = self.find(reference)
        if found is None:
            raise RegistryError(f"{self.repository} has no {reference}.", hint="invoke releases")
        return found

    def put(self, manifest: Manifest, tag: str) -> None:
        """From now on the tag stands for this manifest, whose layers are there; nothing is uploaded."""
        headers = {"content-type": manifest.media_type}
        self._must_be_good(self._ask("PUT", tag, headers=headers, content=manifest.body), f"set {tag}")
        if (now := self.get(tag).digest) != manifest.digest:
            raise RegistryError(
                f"{self.repository}:{tag} should be {manifest.digest}, and the registry says {now}.",
                hint="somebody else may be pushing: run this again",
            )

    def _manifest(self, answer: httpx.Response, reference: str) -> Manifest:
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        claims = {answer.headers.get("docker-content-digest", digest), digest}
        if reference.startswith("sha256:"):
            claims.add(reference)
        if len(claims) > 1:
            raise RegistryError(
                f"{self.repository} answers {reference} with what is not that: {', '.join(sorted(claims))}.",
                hint="something between here and the registry changes what it sends",
            )
        try:
            content: dict[str, Any] = json.loads(answer.content)
            config = str((content.get("config") or {}).get("digest", ""))
        except (ValueError, AttributeError) as error:
            raise RegistryError(
                f"{self.repository} answers {reference} with what is no manifest.", hint="is it a registry?"
            ) from error
        media_type = str(content.get("mediaType") or answer.headers.get("content-type", MEDIA_TYPES[0]))
        return Manifest(digest, media_type, answer.content, config)

    # --- HTTP -------------------------------------------------------------------------------------

    def _ask(
        self, method: str, reference: str, *, headers: Mapping[str, str], content: bytes = b""
    ) -> httpx.Response:
        url = f"{self.repository.url}/manifests/{reference}"
        answer = self._send(method, url, {**headers, **self._authorization()}, content)
        if answer.status_code == 401 and self._login:
            authorization = self._answer(answer.headers.get("www-authenticate", ""))
            answer = self._send(method, url, {**headers, **authorization}, content)
        return answer

    def _authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._bearer.reveal()}"} if self._bearer else {}

    def _answer(self, challenge: str) -> dict[str, str]:
        """What the registry wants to see: our password, or a token that another server gives for it."""
        assert self._login
        if challenge.lower().startswith("basic"):
            return {"authorization": _basic(*self._credentials())}
        asked = dict(CHALLENGE.findall(challenge))
        if not challenge.lower().startswith("bearer") or "realm" not in asked:
            raise RegistryError(
                f"{self.repository.host} wants a login of an unknown kind: {challenge[:80]!r}."
            )
        realm = _url(asked.pop("realm"))
        if realm.scheme != "https" and not _is_loopback(realm.host):
            raise RegistryError(
                f"{self.repository.host} wants the password sent in the clear to {realm.host}."
            )
        asked["scope"] = f"repository:{self.repository.path}:pull,push"
        answer = self._send("GET", str(realm.copy_merge_params(asked)), {}, b"", auth=self._credentials())
        self._must_be_good(answer, "log in")
        self._bearer = Secret(_token(answer))
        return self._authorization()

    def _credentials(self) -> tuple[str, str]:
        assert self._login
        return self._login.user, self._login.password.reveal()

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        *,
        auth: tuple[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._http.request(method, url, headers=dict(headers), content=content, auth=auth)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RegistryError(
                f"The registry {self.repository.host} does not answer: {error or type(error).__name__}",
                hint="is the address right, and the network there?",
            ) from error

    def _must_be_good(self, answer: httpx.Response, doing: str) -> None:
        if answer.is_success:
            return
        said = _said(answer)
        if answer.status_code in (401, 403):
            raise RegistryError(
                f"The registry {self.repository.host} does not let us {doing}: {said}",
                hint=login_hint(self.repository),
            )
        raise RegistryError(
            f"The registry {self.repository.host} could not {doing}: {answer.status_code} {said}",
            hint="run this again; if it stays, look at the registry's own status",
        )


def login_hint(repository: Repository) -> str:
    """What to set so that the registry knows us."""
    if repository.is_of_fly:
        app = repository.path
        return f"FLY_API_TOKEN of the organisation that has the app {app}; fly apps create {app}"
    return "JARVIS_REGISTRY_USER and JARVIS_REGISTRY_PASSWORD"


def _url(text: str) -> httpx.URL:
    try:
        return httpx.URL(text)
    except httpx.InvalidURL as error:
        raise RegistryError(
            f"The registry sends us to {text[:80]!r} for a login, which is no address: {error}",
            hint="is it a registry?",
        ) from error


def _token(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        token = body.get("token") or body.get("access_token")
    except (ValueError, AttributeError):
        token = None
    if not token:
        raise RegistryError(
            f"{answer.url.host} says yes to our login, and gives no token.", hint="run this again later"
        )
    return str(token)


def _said(answer: httpx.Response) -> str:
    try:
        errors = answer.json()["errors"]
        return "; ".join(str(error.get("message") or error.get("code")) for error in errors)[:200]
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.reason_phrase


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
