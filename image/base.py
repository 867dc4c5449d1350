"""The base image: present, else pulled, else bootstrapped from Debian's packages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import geteuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fly.errors import BuildError
from fly.lazy import Lazy
from image.engine import Report, install_packages
from image.program import run_program

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

SUITE = "trixie"
BASE_REF = f"debian:{SUITE}-slim"
REGISTRY_LIMIT_S = 10
MADE_HERE = "my-jarvis.base"
# Debian's own slim images leave out the same.
LEFT_OUT = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
CHANGES = [
    'CMD ["bash"]',
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    f"LABEL {MADE_HERE}=bootstrapped",
]


@dataclass(frozen=True)
class BaseImage:
    """What the image is built on; `id` names its content here, `digest` in its registry, if it is of one."""

    ref: str
    id: str
    source: Literal["present", "pulled", "bootstrapped"]
    digest: str = ""


def ensure_base(client: docker.DockerClient, ref: str, report: Report) -> BaseImage:
    """The base image, made to be there.

    Errors: BuildError, EngineError.
    """
    if (found := find_base(client, ref)) is not None:
        return found
    return _fetch(client, ref, report, "is not there and cannot be pulled")


def renew_base(client: docker.DockerClient, ref: str, report: Report) -> BaseImage:
    """The base image as it is now: pulled anew, or bootstrapped anew where there is no registry.

    Errors: BuildError, EngineError.
    """
    return _fetch(client, ref, report, "cannot be pulled")


def find_base(client: docker.DockerClient, ref: str) -> BaseImage | None:
    """The base image as it is here; nobody is asked.

    Errors: docker.errors.DockerException.
    """
    try:
        return _describe(client, ref, "present")
    except docker.errors.ImageNotFound:
        return None


def digest_there(client: docker.DockerClient, ref: str) -> str:
    """What `ref` stands for in its registry now; nothing where no registry answers."""
    try:
        with _patience(client, REGISTRY_LIMIT_S):
            return str(client.images.get_registry_data(ref).id)
    except (docker.errors.DockerException, requests.RequestException):
        return ""


def _fetch(client: docker.DockerClient, ref: str, report: Report, trouble: str) -> BaseImage:
    refusal = _pull(client, ref, report)
    if refusal is None:
        return _describe(client, ref, "pulled")
    if ref != BASE_REF:
        raise BuildError(f"The base image {ref} {trouble}: {refusal}", hint=f"docker pull {ref}")
    _bootstrap(client, ref, refusal, report)
    return _describe(client, ref, "bootstrapped")


def _describe(
    client: docker.DockerClient, ref: str, source: Literal["present", "pulled", "bootstrapped"]
) -> BaseImage:
    """An engine may give a digest of its own to what no registry knows: that is none."""
    image: Any = client.images.get(ref)
    digests = [] if MADE_HERE in (image.labels or {}) else image.attrs.get("RepoDigests") or []
    return BaseImage(ref, str(image.id), source, str(digests[0]).rpartition("@")[2] if digests else "")


def _pull(client: docker.DockerClient, ref: str, report: Report) -> str | None:
    """Why it could not be pulled; None if it could."""
    report(f"asking the registry for {ref}")
    try:
        with _patience(client, REGISTRY_LIMIT_S):
            # Asked first, since a pull knows no limit and could hang without a network.
            client.images.get_registry_data(ref)
        report(f"pulling {ref}")
        for event in client.api.pull(ref, stream=True, decode=True):
            if refusal := event.get("error") or (event.get("errorDetail") or {}).get("message"):
                return str(refusal)
    except (docker.errors.DockerException, requests.RequestException) as error:
        return _reason(error)
    return None


@contextmanager
def _patience(client: docker.DockerClient, limit_s: int) -> Iterator[None]:
    before = client.api.timeout
    client.api.timeout = limit_s
    try:
        yield
    finally:
        client.api.timeout = before


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer in {REGISTRY_LIMIT_S} s"
    return str(
        error.explanation if isinstance(error, docker.errors.APIError) and error.explanation else error
    )


def _bootstrap(client: docker.DockerClient, ref: str, refusal: str, report: Report) -> None:
    """Makes it from Debian's packages, as Debian itself does."""
    if shutil.which("mmdebstrap") is None:
        if geteuid() != 0 or shutil.which("apt-get") is None:
            raise BuildError(
                f"The base image {ref} is not there and cannot be pulled: {refusal}",
                hint=f"docker pull {ref} once the network is back; or, on Debian as root, run this again",
            )
        install_packages(report, "mmdebstrap", "debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="my-jarvis-base-") as folder:
        archive = Path(folder) / "base.tar"
        report(f"bootstrapping {ref} from Debian's packages")
        _run(_mmdebstrap(archive))
        report(f"importing {ref}")
        _import(client, archive, ref)


def _mmdebstrap(archive: Path) -> list[str]:
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in LEFT_OUT]
    included = [f"--dpkgopt=path-include={path}" for path in KEPT]
    return ["mmdebstrap", "--variant=minbase", *excluded, *included, SUITE, str(archive)]


def _run(command: list[str]) -> None:
    done = run_program(command)
    if done.returncode != 0:
        said = "\n".join(f"{done.stdout}{done.stderr}".strip().splitlines()[-8:])
        raise BuildError(
            f"The base image could not be bootstrapped from Debian's packages:\n{said}",
            hint="check the network (is Debian's mirror reachable?) and the space in /tmp",
        )


def _import(client: docker.DockerClient, archive: Path, ref: str) -> None:
    repository, _, tag = ref.partition(":")
    try:
        client.api.import_image(src=str(archive), repository=repository, tag=tag, changes=CHANGES)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise BuildError(
            f"The engine refuses the base image: {_reason(error)}", hint="docker info"
        ) from error
