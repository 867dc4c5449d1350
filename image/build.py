"""`image/` -> `my-jarvis:latest`, with live progress.

It goes through the engine's own build interface as docker-py speaks it. That is the classic builder: it is in
every engine from 20.10 on, and needs no client program, no plugin and no configuration. docker-py speaks no
BuildKit; the Dockerfile is written so that BuildKit makes the same of it for whoever prefers that.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly.errors import BuildError
from fly.lazy import Lazy
from image.base import BASE_REF, MADE_HERE, BaseImage, ensure_base, find_base
from image.context import CONTENTS, FOLDER, Context, build_arguments, make_context, read_certificates
from image.engine import Report

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

TAG = "my-jarvis:latest"
CONTEXT_LABEL = "my-jarvis.context"
STAGE_LABEL = "my-jarvis.stage"
BASE_LABEL = "my-jarvis.base.id"
"""What this engine calls the base: another may call the same one otherwise."""
BASE_DIGEST_LABEL = "org.opencontainers.image.base.digest"
REVISION_LABEL = "org.opencontainers.image.revision"
VERSION_LABEL = "org.opencontainers.image.version"
DIRTY = "-dirty"
CLAUDE_VERSION = "/opt/claude/version"

NEEDED_BYTES = 3_000_000_000  # of a first build: its stages hold the Claude binary more than once
KEPT_STAGES_S = 3600
LAST_LINES = 15


@dataclass(frozen=True)
class BuiltImage:
    """An image that is there. `seconds` is 0 where no content had changed and nothing was built."""

    ref: str
    id: str
    size_bytes: int
    claude_version: str
    context_sha256: str
    seconds: float


def build_image(
    client: docker.DockerClient,
    *,
    tag: str = TAG,
    report: Report,
    force: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> BuiltImage:
    """The image of what lies in `image/`: built, or left alone if that is what it already holds.

    `environment` may name certificates to trust, proxies and package indexes for the build's own downloads;
    nothing of them is in the image.

    Errors: BuildError, EngineError.
    """
    began = time.monotonic()
    context = make_context(certificates=read_certificates(environment))
    try:
        if not force and _is_current(client, tag, context.sha256):
            _name_commit(client, tag, report)
            return _describe(client, tag, context.sha256, 0.0)
        base = ensure_base(client, BASE_REF, report)
        check_space(client)
        events = client.api.build(
            fileobj=io.BytesIO(context.tar),
            custom_context=True,
            tag=tag,
            decode=True,
            rm=True,
            forcerm=True,
            nocache=force,
            buildargs={"BASE_IMAGE": base.ref, **build_arguments(environment)},
            labels=_labels(context, base),
        )
        follow(events, report)
        _forget_old_stages(client)
        return _describe(client, tag, context.sha256, time.monotonic() - began)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise BuildError(
            f"The Docker Engine gave up: {error}", hint="docker info, then run this again"
        ) from error


def remove_images(client: docker.DockerClient, report: Report) -> int:
    """Removes every image that a build has made, kept stages and a bootstrapped base too; how many.

    One that a container uses is left.
    """
    labels = (CONTEXT_LABEL, STAGE_LABEL, MADE_HERE)
    names = [
        name
        for label in labels
        for image in client.images.list(filters={"label": label})
        for name in image.tags or [str(image.id)]
    ]
    return sum(_remove(client, name, report) for name in dict.fromkeys(names))


def _forget_old_stages(client: docker.DockerClient) -> None:
    """Removes what earlier builds kept for the next; not the last hour's: another build may be using it."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for image in client.api.images(filters={"label": STAGE_LABEL, "dangling": True}):
        stages.setdefault(image["Labels"][STAGE_LABEL], []).append(image)
    for images in stages.values():
        for image in sorted(images, key=lambda image: int(image["Created"]))[:-1]:
            if image["Created"] < time.time() - KEPT_STAGES_S:
                _remove(client, image["Id"], lambda _line: None)


def _remove(client: docker.DockerClient, name: str, report: Report) -> bool:
    try:
        client.images.remove(name)
    except docker.errors.ImageNotFound:
        return False  # it went together with another one
    except docker.errors.APIError as error:
        report(f"{name} stays: {error.explanation}")
        return False
    return True


# --- before and after -----------------------------------------------------------------------------


def _is_current(client: docker.DockerClient, tag: str, sha256: str) -> bool:
    """Whether the image was built from this content on the base that is there now."""
    labels = _find_labels(client, tag)
    if labels is None or labels.get(CONTEXT_LABEL) != sha256:
        return False
    base = find_base(client, BASE_REF)
    return base is None or base.id == labels.get(BASE_LABEL)


def _name_commit(client: docker.DockerClient, tag: str, report: Report) -> None:
    """An image of content that is committed by now says of which commit it is.

    Only labels are put on top: every layer stays. It is another image all the same, which proves itself anew.
    """
    commit = _commit()
    is_committed = commit[VERSION_LABEL] and not commit[VERSION_LABEL].endswith(DIRTY)
    if not is_committed or _names_commit(_find_labels(client, tag) or {}):
        return
    report(f"naming its commit, {commit[REVISION_LABEL][:12]}")
    dockerfile = io.BytesIO(f"FROM {_find_id(client, tag)}\n".encode())
    follow(client.api.build(fileobj=dockerfile, tag=tag, decode=True, rm=True, labels=commit), report)


def _names_commit(labels: Mapping[str, str]) -> bool:
    """Whether it names one that led to what is checked out; one that was amended since did not."""
    revision = labels.get(REVISION_LABEL)
    if not revision or labels.get(VERSION_LABEL, "").endswith(DIRTY):
        return False
    return _git("rev-list", "--count", f"HEAD..{revision}") == "0"


def _find_labels(client: docker.DockerClient, ref: str) -> dict[str, str] | None:
    try:
        return dict(client.images.get(ref).labels)
    except docker.errors.ImageNotFound:
        return None


def _find_id(client: docker.DockerClient, ref: str) -> str | None:
    try:
        return str(client.images.get(ref).id)
    except docker.errors.ImageNotFound:
        return None


def _describe(client: docker.DockerClient, tag: str, sha256: str, seconds: float) -> BuiltImage:
    image: Any = client.images.get(tag)
    version = read_file(client, image.id, CLAUDE_VERSION).decode().split()[0]
    return BuiltImage(tag, image.id, image.attrs["Size"], version, sha256, seconds)


def read_file(client: docker.DockerClient, image: str, path: str) -> bytes:
    """A file of an image, of which nothing is run."""
    container = client.api.create_container(image, command=["none"], labels={STAGE_LABEL: "reading"})["Id"]
    try:
        stream, _ = client.api.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            content = archive.extractfile(archive.getmembers()[0])
            return content.read() if content else b""
    finally:
        client.api.remove_container(container, force=True)


def check_space(client: docker.DockerClient) -> None:
    """Errors: BuildError if the engine's disk, where it is one of this machine, is too full for a build."""
    folder = Path(client.info()["DockerRootDir"])
    if not folder.is_dir():
        return  # the engine is on another machine
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise BuildError(
            f"A build needs {NEEDED_BYTES / 1e9:.0f} GB of free disk, and {folder} has {free / 1e9:.1f} GB.",
            hint="docker system df shows what takes the space",
        )


def _labels(context: Context, base: BaseImage) -> dict[str, str]:
    facts = {
        CONTEXT_LABEL: context.sha256,
        BASE_LABEL: base.id,
        BASE_DIGEST_LABEL: base.digest,
        "org.opencontainers.image.base.name": base.ref,
        "org.opencontainers.image.created": datetime.now(UTC).isoformat(timespec="seconds"),
        **_commit(),
    }
    return {name: value for name, value in facts.items() if value}


def _commit() -> dict[str, str]:
    """The commit that the content is of; dirty if it is of none, also by a file that git does not know."""
    version = _git("describe", "--tags", "--always")
    changed = _git("status", "--porcelain", "--", *CONTENTS)
    return {
        REVISION_LABEL: _git("rev-parse", "HEAD"),
        VERSION_LABEL: f"{version}{DIRTY}" if version and changed else version,
    }


def _git(*arguments: str) -> str:
    """What git says about the checkout; nothing where there is no git or no checkout."""
    try:
        done = subprocess.run(["git", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# --- the builder's words --------------------------------------------------------------------------


STEP = re.compile(r"Step (\d+/\d+) : ((?:FROM|RUN|COPY) .*)")
CAUSES = (
    (r"no space left on device|ENOSPC", "free some disk space: docker system df shows what takes it"),
    (
        r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|unable to get local issuer|UNABLE_TO_VERIFY",
        "this network looks into TLS: set SSL_CERT_FILE to its certificates, and run this again",
    ),
    (
        r"Temporary failure (in name resolution|resolving)|Could not resolve|EAI_AGAIN|ENOTFOUND|ETIMEDOUT"
        r"|Could not connect|Failed to establish a new connection|Network is unreachable|Failed to fetch",
        "containers have no network: check this machine's connection, its DNS, and HTTPS_PROXY",
    ),
    (
        r"DO NOT MATCH THE HASHES|EINTEGRITY",
        "a package is not the one that was locked: invoke lock, and look at what changed",
    ),
    (
        r"returned a non-zero code: 137",
        "it was killed, for lack of memory perhaps: 2 GB are enough for a build",
    ),
)


def follow(events: Iterable[dict[str, Any]], report: Report) -> None:
    """Reports each step of a build as it begins.

    Errors: BuildError with the last lines, if the stream tells of a failure or ends without an image.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    is_built = False
    for event in events:
        refusal = (event.get("errorDetail") or {}).get("message") or event.get("error")
        if refusal:
            raise BuildError(
                f"The image could not be built: {refusal}\n{_indented(last)}", hint=_hint([*last, refusal])
            )
        is_built = is_built or "ID" in (event.get("aux") or {})
        for line in _lines(event):
            last.append(line)
            if step := STEP.match(line):
                report(f"{step[1]} {' '.join(step[2].split())[:80]}")
    if not is_built:
        raise BuildError(f"The build ended without an image.\n{_indented(last)}", hint="docker info")


def _lines(event: dict[str, Any]) -> Iterator[str]:
    return (line.rstrip() for line in str(event.get("stream", "")).splitlines() if line.strip())


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"    {line[:200]}" for line in lines)


def _hint(lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    return next(
        (hint for cause, hint in CAUSES if re.search(cause, text)), "the lines above say which step failed"
    )
