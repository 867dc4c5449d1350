"""From a person and a few numbers to a Plan: exactly what should exist. Pure: no clock, network or chance.

Here stand the four facts in which the image and the platform meet: the image's reference, the port, the
health path and the mount.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from anyascii import anyascii

from fly.access.welcome import HOSTS_VARIABLE, Welcome
from fly.errors import PlanError
from fly.lazy import Lazy

if TYPE_CHECKING:
    import email_validator
else:
    email_validator = Lazy("email_validator")

PORT = 3000
HEALTH_PATH = "/health"
MOUNT_PATH = "/data"
VOLUME_NAME = "data"
URL_VARIABLE = "JARVIS_URL"
PAUSED_VARIABLE, CONTACT_VARIABLE = "JARVIS_PAUSED_UNTIL", "JARVIS_CONTACT"

WORKSPACE_MARK = "my-jarvis-workspace"
NAME_MARK = "my-jarvis-name"
EMAIL_MARK = "my-jarvis-email"
NETWORK_PREFIX = "myjarvis-"

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""32 signs without i, l, o and u, which people mistake for others: five bits each."""
SUFFIX_LENGTH = 13
"""65 bits: where a workspace asks for no key, its address works as its password."""
APP_NAME_MAX = 62
"""Fly wants names of under 63 signs; a label of a host name may have 63."""

REGIONS = (
    "ams", "arn", "bom", "cdg", "dfw", "ewr", "fra", "gru", "iad",
    "jnb", "lax", "lhr", "nrt", "ord", "sin", "sjc", "syd", "yyz",
)  # fmt: skip
CPUS = (1, 2, 4, 6, 8)
MEMORY_STEP_MB = 256
MEMORY_MAX_MB = 2048
"""What Fly can suspend; it stops a larger machine instead, and its memory is lost."""
SIZE_MAX_GB = 500
NAME_MAX = 80

NOBODY = Welcome()

ADDRESS_TYPES = ("shared_v4", "v6")


@dataclass(frozen=True)
class Person:
    """Whom a workspace is for, checked.

    *Errors*: PlanError.
    """

    name: str
    email: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _checked_name(self.name))
        object.__setattr__(self, "email", _checked_email(self.email))


@dataclass(frozen=True)
class Call:
    """A request that would be made: `<…>` stands for what only an earlier answer tells."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """What should exist for one person. `id` is the ledger's, and the mark on everything that is made."""

    id: str
    name: str
    email: str
    platform: str
    org: str
    app: str
    url: str
    image: str
    region: str
    size_gb: int
    memory_mb: int
    cpus: int
    welcome: Welcome

    @property
    def network(self) -> str:
        return network_of(self.id)

    @property
    def app_request(self) -> dict[str, Any]:
        return {"app_name": self.app, "name": self.app, "org_slug": self.org, "network": self.network}

    @property
    def volume_request(self) -> dict[str, Any]:
        return {"name": VOLUME_NAME, "region": self.region, "size_gb": self.size_gb, "encrypted": True}

    def machine_request(self, volume_id: str, region: str) -> dict[str, Any]:
        """The machine, in the region where its volume really is."""
        return {"name": self.app, "region": region, "config": self.machine_config(volume_id)}

    def machine_config(self, volume_id: str) -> dict[str, Any]:
        """*Source*: the Machines API's `config`. Suspending refuses swap, so there is none."""
        return {
            "image": self.image,
            "env": self.environment,
            "guest": {"cpu_kind": "shared", "cpus": self.cpus, "memory_mb": self.memory_mb},
            "mounts": [{"volume": volume_id, "path": MOUNT_PATH}],
            "services": [service()],
            # Fly's checks come from the host, not through its proxy: they keep no machine awake.
            "checks": {"health": _health_check()},
            "restart": {"policy": "on-failure", "max_retries": 10},
            "stop_config": {"signal": "SIGTERM", "timeout": "10s"},
            "metadata": self.metadata,
        }

    @property
    def environment(self) -> dict[str, str]:
        """What the server is told: whose workspace it is, who may come in, which name it has."""
        person = {"USER_NAME": self.name, "USER_EMAIL": self.email}
        # Fly's proxy counts connections alone: while Claude works, the server holds one to itself.
        public = {URL_VARIABLE: self.url} if self.platform.startswith("fly") else {}
        return person | self.welcome.environment | {HOSTS_VARIABLE: self.host} | public

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def metadata(self) -> dict[str, str]:
        """Whose it is, so that the ledger can be rebuilt; `fly status` shows only what says it is of `v2`."""
        return {
            WORKSPACE_MARK: self.id,
            NAME_MARK: self.name,
            EMAIL_MARK: self.email,
            "fly_platform_version": "v2",
            "fly_process_group": "app",
        }

    def calls(self) -> Iterator[Call]:
        """Every request that changes something, in order."""
        app = f"/v1/apps/{self.app}"
        yield Call("POST", "/v1/apps", self.app_request)
        for kind in ADDRESS_TYPES:
            yield Call("POST", f"{app}/ip_assignments", {"type": kind})
        yield Call("POST", f"{app}/volumes", self.volume_request)
        machine = self.machine_request("<the volume's id>", "<the volume's region>")
        yield Call("POST", f"{app}/machines", machine)

    def asks_the_same_as(self, other: Plan) -> bool:
        """Whether a workspace made from the other one is what this one asks for."""
        drawn = {"id", "app", "url", "welcome"}
        return self.welcome.login == other.welcome.login and all(
            getattr(self, f.name) == getattr(other, f.name) for f in fields(self) if f.name not in drawn
        )

    def to_json(self) -> dict[str, Any]:
        """Without any secret."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "welcome"}
        told = {"login": self.welcome.login, "login_user": self.welcome.user, "login_hash": self.welcome.hash}
        return plain | told

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """*Errors*: KeyError where a field is missing."""
        plain = {field.name: data[field.name] for field in fields(cls) if field.name != "welcome"}
        return cls(**plain, welcome=Welcome(data["login"], data["login_user"], data["login_hash"]))


def make_plan(
    person: Person,
    *,
    id: str,  # noqa: A002
    suffix: str,
    platform: str,
    org: str,
    url_of: Callable[[str], str],
    image: str,
    region: str = "iad",
    size_gb: int = 10,
    memory_mb: int = 1024,
    cpus: int = 1,
    welcome: Welcome = NOBODY,
) -> Plan:
    """What should exist for `person`, everything checked; `url_of(app)` is the platform's.

    Without a `welcome` the workspace lets nobody in.

    *Errors*: PlanError, before anything is touched.
    """
    app = app_name(person.name, suffix)
    return Plan(
        id=id,
        name=person.name,
        email=person.email,
        platform=platform,
        org=org,
        app=app,
        url=url_of(app),
        image=_checked_image(image),
        region=_checked_region(region),
        size_gb=checked_size(size_gb),
        memory_mb=checked_memory(memory_mb, cpus),
        cpus=cpus,
        welcome=welcome,
    )


def network_of(id: str) -> str:  # noqa: A002
    """The private network of a workspace's app; it names the workspace, so it is what proves an app ours."""
    return f"{NETWORK_PREFIX}{id.lower()}"


def workspace_of(network: str) -> str:
    """The workspace whose app has this network; empty when it is none of ours."""
    return network.removeprefix(NETWORK_PREFIX).upper() if network.startswith(NETWORK_PREFIX) else ""


def app_name(name: str, suffix: str) -> str:
    """`<slug>-myjarvis-<random>`: a label of a host name that says who, and that nobody can guess."""
    tail = f"-myjarvis-{suffix}"
    return f"{slug_of(name, APP_NAME_MAX - len(tail))}{tail}"


def slug_of(name: str, length: int = 30) -> str:
    """A human name in `a-z0-9-`, whatever its script; `user` when nothing of it can be written so."""
    latin = re.sub(r"['’`]", "", anyascii(unicodedata.normalize("NFKC", name)).lower())
    slug = re.sub(r"[^a-z0-9]+", "-", latin).strip("-")
    return slug[: min(length, 30)].strip("-") or "user"


def render_toml(plan: Plan, template: str) -> str:
    """The user's `fly.toml`; its comments are the template's."""
    # JSON's way of escaping is one that TOML's strings understand too.
    values = {
        name: json.dumps(str(value), ensure_ascii=False)[1:-1] for name, value in plan.to_json().items()
    }
    facts = {
        "network": plan.network,
        "host": plan.host,
        "port": PORT,
        "health_path": HEALTH_PATH,
        "mount_path": MOUNT_PATH,
    }
    return string.Template(template).substitute(values, **facts, volume_name=VOLUME_NAME)


def service() -> dict[str, Any]:
    """How a machine is reached from outside."""
    return {
        "protocol": "tcp",
        "internal_port": PORT,
        "autostop": "suspend",
        "autostart": True,
        "min_machines_running": 0,
        "ports": [
            {"port": 443, "handlers": ["tls", "http"]},
            {"port": 80, "handlers": ["http"], "force_https": True},
        ],
        # A page keeps several connections open, sockets among them; Fly's own default is 20.
        "concurrency": {"type": "connections", "soft_limit": 200, "hard_limit": 1000},
    }


def _health_check() -> dict[str, Any]:
    return {
        "type": "http",
        "port": PORT,
        "method": "GET",
        "path": HEALTH_PATH,
        "interval": "30s",
        "timeout": "5s",
        "grace_period": "10s",
    }


def _checked_name(name: str) -> str:
    stripped = unicodedata.normalize("NFC", name).strip()
    if not stripped:
        raise PlanError("The name is empty.", hint='--name "Lilach"')
    if len(stripped) > NAME_MAX:
        raise PlanError(f"The name has {len(stripped)} characters.", hint=f"at most {NAME_MAX}")
    if stripped.startswith("-"):
        raise PlanError(f"The name {stripped!r} starts with a dash.", hint='--name "Lilach"')
    if any(_is_control(character) for character in stripped):
        raise PlanError(f"The name {stripped!r} holds characters that cannot be seen.", hint="type it anew")
    return stripped


def _is_control(character: str) -> bool:
    """Controls, line breaks and halves of characters; joiners stay, since scripts and emoji need them."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp", "Cn", "Co") or character in _BIDI


_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""What turns the direction of the text around it, and so makes one name look like another."""


def _checked_email(email: str) -> str:
    try:
        return email_validator.validate_email(email.strip(), check_deliverability=False).normalized
    except email_validator.EmailNotValidError as error:
        raise PlanError(
            f"{email!r} is no e-mail address: {error}", hint="--email lilach@example.com"
        ) from None


def _checked_image(image: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}", image):
        raise PlanError(
            f"The image {image!r} is not named by its digest.",
            hint="NAME@sha256:DIGEST in JARVIS_IMAGE; a tag may be another image tomorrow",
        )
    return image


def _checked_region(region: str) -> str:
    if region not in REGIONS:
        raise PlanError(f"There is no region {region!r}.", hint=f"one of {' '.join(REGIONS)}")
    return region


def checked_size(size_gb: int) -> int:
    if not 1 <= size_gb <= SIZE_MAX_GB:
        raise PlanError(f"A volume cannot have {size_gb} GB.", hint=f"--size-gb 1 to {SIZE_MAX_GB}")
    return size_gb


def checked_memory(memory_mb: int, cpus: int) -> int:
    if cpus not in CPUS:
        raise PlanError(f"A machine cannot have {cpus} CPUs.", hint=f"one of {', '.join(map(str, CPUS))}")
    least = MEMORY_STEP_MB * cpus
    if memory_mb % MEMORY_STEP_MB or not least <= memory_mb <= MEMORY_MAX_MB:
        raise PlanError(
            f"A machine that can be suspended cannot have {memory_mb} MB of memory.",
            hint=f"--memory-mb {least} to {MEMORY_MAX_MB} in steps of {MEMORY_STEP_MB}",
        )
    return memory_mb
