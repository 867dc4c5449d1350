"""A tested image into a registry, and `latest` to the one that is wanted; nothing is rebuilt."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fly.errors import RegistryError, UntestedImage
from fly.lazy import Lazy
from image.build import CLAUDE_VERSION, DIRTY, VERSION_LABEL, read_file
from image.engine import Report
from image.release.content import Content
from image.release.fetch import NO_ENTRY
from image.release.records import LATEST, Push, Records, proof
from image.release.registry import Login, Registry, Repository, login_hint
from image.release.suite import read_suite

if TYPE_CHECKING:
    import docker
    import requests
    import urllib3
else:
    docker, requests, urllib3 = Lazy("docker"), Lazy("requests"), Lazy("urllib3")

TAG = re.compile(r"[\w][\w.-]{0,127}")
REPORT_EVERY_S = 1
THERE = ("Layer already exists", "Mounted from")


@dataclass
class Upload:
    """What an engine says while it pushes one tag."""

    digest: str = ""
    layers: dict[str, str] = field(default_factory=dict)
    sent: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def uploaded(self) -> int:
        """Layers that were not there before."""
        return sum(status == "Pushed" for status in self.layers.values())

    def take(self, event: dict[str, Any]) -> None:
        """One line of the stream."""
        self.digest = str((event.get("aux") or {}).get("Digest", self.digest))
        layer, status = event.get("id"), str(event.get("status", ""))
        if not layer:
            return
        self.layers[layer] = status
        detail = event.get("progressDetail") or {}
        if detail.get("current"):
            total = int(detail.get("total") or detail["current"])
            self.sent[layer] = (min(int(detail["current"]), total), total)

    @property
    def worded(self) -> str:
        done = sum(status == "Pushed" or status.startswith(THERE) for status in self.layers.values())
        sent, total = (sum(pair[side] for pair in self.sent.values()) / 1e6 for side in (0, 1))
        line = f"{done} of {len(self.layers)} layers"
        return f"{line}, {sent:.0f} of {total:.0f} MB" if self.sent else line


def push(
    client: docker.DockerClient,
    records: Records,
    content: Content,
    *,
    repository: Repository,
    login: Login | None,
    report: Report,
) -> Push:
    """The image in the registry under its tags, as the registry itself confirms.

    First under the one that never moves, and read back; only what is there as it was tested gets the names
    that people follow, `latest` last.

    *Errors*: UntestedImage, naming what is missing; RegistryError.
    """
    evidence = proof(records, content, read_suite())
    with Registry(repository, login) as registry:
        tags = _free_tags(registry, content, tags_of(content, _claude_version(client, content.id)))
        uploaded, digest = 0, ""
        for tag in tags:
            upload = _push_tag(client, content, repository, tag, login=login, report=report)
            uploaded, digest = uploaded + upload.uploaded, digest or upload.digest
            report(f"{tag}: reading it back")
            for reference in (digest, tag):
                _must_be(registry, reference, content, digest)
    return records.pushed(evidence, str(repository), digest, tags, uploaded)


def promote(records: Records, repository: Repository, login: Login | None, digest: str) -> Push:
    """`latest` of the repository is this digest, which was pushed from here once it was tested.

    *Errors*: UntestedImage for any other digest; RegistryError.
    """
    chosen = _find_push(records, repository, digest)
    with Registry(repository, login) as registry:
        registry.put(registry.get(chosen.digest), LATEST)
    records.promoted(str(repository), chosen.digest, "promoted")
    return chosen


def tags_of(content: Content, claude_version: str) -> list[str]:
    """Date and commit, the Claude version, `latest`: what people ask for by name."""
    made = _made_at(content)
    commit = content.revision[:7] or content.short_id
    is_dirty = content.labels.get(VERSION_LABEL, "").endswith(DIRTY)
    tags = [f"{made:%Y%m%d}-{commit}{DIRTY if is_dirty else ''}"]
    if TAG.fullmatch(f"claude-{claude_version}") and claude_version:
        tags.append(f"claude-{claude_version}")
    return [*tags, LATEST]


def _made_at(content: Content) -> datetime:
    try:
        return datetime.fromisoformat(content.created[:19]).replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC)


def _claude_version(client: docker.DockerClient, image: str) -> str:
    try:
        return read_file(client, image, CLAUDE_VERSION).decode(errors="replace").split()[0]
    except (docker.errors.DockerException, IndexError):
        return ""


def _free_tags(registry: Registry, content: Content, tags: Sequence[str]) -> list[str]:
    """The tag of date and commit never moves: other content of the same commit gets one of its own."""
    dated, *moving = tags
    found = registry.find(dated)
    if found and content.id not in (found.config_digest, found.digest):
        dated = f"{dated}-{content.short_id}"
    return [dated, *moving]


def _push_tag(
    client: docker.DockerClient,
    content: Content,
    repository: Repository,
    tag: str,
    *,
    login: Login | None,
    report: Report,
) -> Upload:
    try:
        client.api.tag(content.id, str(repository), tag)
        events = client.api.push(
            str(repository), tag, stream=True, decode=True, auth_config=login.for_engine() if login else None
        )
        return follow(events, repository, tag, report)
    except (
        *(docker.errors.DockerException, docker.errors.StreamParseError),
        *(requests.RequestException, urllib3.exceptions.HTTPError, OSError),
    ) as error:
        raise RegistryError(
            f"The Docker Engine gave the push of {repository}:{tag} up: {error}", hint="run this again"
        ) from error


def follow(events: Iterable[dict[str, Any]], repository: Repository, tag: str, report: Report) -> Upload:
    """Reports how far a push is.

    *Errors*: RegistryError if the stream tells of a failure (its HTTP status was 200 all the same), or ends
    without the digest that only a push which arrived has.
    """
    upload, last_s = Upload(), 0.0
    for event in events:
        refusal = (event.get("errorDetail") or {}).get("message") or event.get("error")
        if refusal:
            hint = login_hint(repository) if NO_ENTRY.search(str(refusal)) else "run this again"
            raise RegistryError(f"{repository}:{tag} could not be pushed: {refusal}", hint=hint)
        upload.take(event)
        if time.monotonic() - last_s > REPORT_EVERY_S:
            last_s = time.monotonic()
            report(f"{tag}: {upload.worded}")
    if not upload.digest:
        raise RegistryError(f"The push of {repository}:{tag} ended without a digest.", hint="run this again")
    return upload


def _must_be(registry: Registry, reference: str, content: Content, digest: str) -> None:
    """What the registry has under this name is what was tested, to the last byte.

    An engine names an image by its configuration or, with containerd's store, by its manifest.
    """
    found = registry.get(reference)
    if found.digest != digest or content.id not in (found.config_digest, found.digest):
        raise RegistryError(
            f"{registry.repository} has {found.digest} (content {found.config_digest or 'unknown'})"
            f" as {reference}; pushed was {digest} (content {content.id}).",
            hint="somebody else may be pushing to the same place: run this again",
        )


def _find_push(records: Records, repository: Repository, digest: str) -> Push:
    wanted = digest.rpartition("@")[2].removeprefix("sha256:")
    pushes = [one for one in records.pushes() if one.repository == str(repository)]
    found = {
        one.digest: one for one in pushes if wanted and one.digest.removeprefix("sha256:").startswith(wanted)
    }
    if len(found) != 1:
        what = "Several tested images" if found else "No tested image"
        raise UntestedImage(
            f"{what} with the digest {digest!r} went to {repository} from here.", hint="invoke releases"
        )
    return next(iter(found.values()))
