"""Which images may be rolled out: those that have proved themselves, and where Fly runs them, were pushed.

What counts as proved is one rule for both: the last verification by today's tests, on this engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fly.errors import UntestedImage
from fly.settings import Platform
from image.build import TAG
from image.release.content import Content, read_content, short
from image.release.records import Records, missing_proof
from image.release.suite import read_suite

if TYPE_CHECKING:
    import docker

SHORTEST = 6
"""So many signs of a digest name an image."""


def eligible(records: Records, platform: Platform, engine: Callable[[], docker.DockerClient]) -> list[str]:
    """The references of all that may be rolled out, the newest last. On Fly no engine is needed."""
    if platform.kind == "fly":
        return list(dict.fromkeys(_pushed(records)))
    return [local_reference(image) for image in reversed(list(proven_here(records, engine)))]


def _pushed(records: Records) -> Iterator[str]:
    for one in records.pushes():
        if records.verification(one.verification).passed:
            yield one.reference


def proven_here(records: Records, engine: Callable[[], docker.DockerClient]) -> Iterator[str]:
    """The ids of the engine's images that could be pushed today, the last verified first."""
    last = {one.image: one.number for one in records.verifications()}
    if not last:
        return
    here, suite = engine(), read_suite()
    for image in sorted(last, key=last.__getitem__, reverse=True):
        content = _content(here, image)
        if content and not missing_proof(records, content, suite):
            yield image


def _content(engine: docker.DockerClient, image: str) -> Content | None:
    """None where the engine has it no longer."""
    try:
        return read_content(engine, image)
    except UntestedImage:
        return None


def local_reference(image: str) -> str:
    """How the embedded platform is told of an image that this engine has."""
    return f"{TAG.partition(':')[0]}@{image}"


def choose(
    records: Records, platform: Platform, wanted: str, engine: Callable[[], docker.DockerClient]
) -> str:
    """The one tested image that `wanted` names: a reference, or the beginning of its digest.

    *Errors*: UntestedImage.
    """
    every = eligible(records, platform, engine)
    if wanted in every:
        return wanted
    digest = wanted.rpartition("@")[2].removeprefix("sha256:").lower()
    found = [one for one in every if len(digest) >= SHORTEST and digest_of(one).startswith(digest)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UntestedImage(f"{wanted} names {len(found)} images.", hint="give more of the digest")
    hint = "invoke release, or one of invoke releases" if platform.kind == "fly" else "invoke verify"
    raise UntestedImage(f"The image {wanted or '(none)'} has not proved itself here.", hint=hint)


def digest_of(reference: str) -> str:
    return reference.rpartition("@sha256:")[2]


def shown(reference: str) -> str:
    """An image, short, for a table."""
    return short(reference.rpartition("@")[2]) if "@" in reference else reference
