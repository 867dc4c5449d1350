"""Which images may be rolled out: those that have passed, and where Fly runs them, were pushed."""

from collections.abc import Iterator

from fly.errors import UntestedImage
from fly.settings import Platform
from image.build import TAG
from image.release.content import short
from image.release.records import Records

SHORTEST = 6
"""So many signs of a digest name an image."""


def eligible(records: Records, platform: Platform) -> list[str]:
    """The references of all that may be rolled out, the newest last."""
    found = _pushed(records) if platform.kind == "fly" else _verified(records)
    return list(dict.fromkeys(found))


def _pushed(records: Records) -> Iterator[str]:
    for one in records.pushes():
        if records.verification(one.verification).passed:
            yield one.reference


def _verified(records: Records) -> Iterator[str]:
    last = {one.image: one for one in records.verifications() if one.passed is not None}
    for image, verification in sorted(last.items(), key=lambda item: item[1].number):
        if verification.passed:
            yield f"{TAG.partition(':')[0]}@{image}"


def choose(records: Records, platform: Platform, wanted: str) -> str:
    """The one tested image that `wanted` names: a reference, or the beginning of its digest.

    *Errors*: UntestedImage.
    """
    every = eligible(records, platform)
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
