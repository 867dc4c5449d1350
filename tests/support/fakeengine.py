"""A Docker Engine that only remembers images: what a build and a base image need of docker-py's client."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docker.errors import APIError, ImageNotFound

BUILT = "sha256:built"
ENGINE = "ID@host"
"""Which engine it is, as the record of releases names it."""
SUCCESS: list[dict[str, Any]] = [
    {"stream": "Step 1/3 : ARG BASE_IMAGE=debian:trixie-slim\n"},
    {"stream": "Step 2/3 : FROM ${BASE_IMAGE}\n"},
    {"stream": "Step 3/3 : RUN apt-get    update\n"},
    {"stream": "done\n"},
    {"aux": {"ID": BUILT}},
]


@dataclass
class FakeImage:
    id: str
    tags: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    used: bool = False
    digest: str = ""
    packages: dict[str, str] = field(default_factory=dict)

    @property
    def attrs(self) -> dict[str, Any]:
        digests = [f"debian@{self.digest}"] if self.digest else []
        return {"Size": 700, "RepoDigests": digests, "RootFS": {"Layers": ["sha256:layer"]}}

    def history(self) -> list[dict[str, Any]]:
        return [{"Size": 700, "CreatedBy": "COPY dir:1 in /"}]


@dataclass
class FakeEngine:
    """`events` is what a build says; `registry` what a registry has, None if there is no network.

    `mirror` is what apt would install today: a build does, unless the engine remembers the same step on the
    same base.
    """

    root: Path
    events: list[dict[str, Any]] = field(default_factory=lambda: list(SUCCESS))
    registry: set[str] | None = None
    kept: list[FakeImage] = field(default_factory=list)
    builds: list[dict[str, Any]] = field(default_factory=list)
    mirror: dict[str, str] = field(default_factory=dict)
    remembered: dict[str, dict[str, str]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    reading: int = 0
    timeout: int = 600
    asked_with_timeout: list[int] = field(default_factory=list)

    @property
    def api(self) -> FakeEngine:
        return self

    @property
    def images(self) -> _Images:
        return _Images(self)

    @property
    def containers(self) -> _Containers:
        return _Containers(self)

    def info(self) -> dict[str, str]:
        return {"DockerRootDir": str(self.root), "ID": "ID", "Name": "host"}

    def version(self) -> dict[str, str]:
        return {"Version": "20.10", "Arch": "amd64"}

    # --- docker-py's low level --------------------------------------------------------------------

    def build(self, **options: Any) -> Iterator[dict[str, Any]]:
        """One without a context is of a single line: `FROM` an image that is kept."""
        self.builds.append(options)
        yield from self.events
        below = {} if "custom_context" in options else self._from(options["fileobj"]).labels
        self._untag(options["tag"])
        if any("ID" in event.get("aux", {}) for event in self.events):
            packages = self._installed(options)
            is_other = below or packages != next(iter(self.remembered.values()), packages)
            built = f"{BUILT}-{len(self.builds)}" if is_other else BUILT
            self.kept.append(
                FakeImage(built, [options["tag"]], {**below, **options["labels"]}, packages=packages)
            )

    def _installed(self, options: dict[str, Any]) -> dict[str, str]:
        if "custom_context" not in options:
            return self._from(options["fileobj"]).packages
        base = self.images.get(options["buildargs"]["BASE_IMAGE"]).id
        if options["nocache"] or base not in self.remembered:
            self.remembered[base] = dict(self.mirror)
        return self.remembered[base]

    def _untag(self, tag: str) -> None:
        for image in self.kept:
            image.tags = [one for one in image.tags if one != tag]

    def tag(self, image: str, repository: str, name: str) -> None:
        found = self.images.get(image)
        self._untag(f"{repository}:{name}")
        found.tags.append(f"{repository}:{name}")

    def _from(self, dockerfile: io.BytesIO) -> FakeImage:
        [line] = dockerfile.getvalue().decode().splitlines()
        return self.images.get(line.removeprefix("FROM "))

    def pull(self, ref: str, **_options: Any) -> Iterator[dict[str, Any]]:
        yield {"status": "Pulling"}
        if "broken" in ref:
            yield {"errorDetail": {"message": "toomanyrequests"}}
            return
        digest = self.digests.get(ref, "")
        name = f"sha256:pulled-{digest or ref}"
        self._untag(ref)
        if known := next((image for image in self.kept if image.id == name), None):
            known.tags.append(ref)
        else:
            self.kept.append(FakeImage(name, [ref], digest=digest))

    def import_image(self, *, src: str, repository: str, tag: str, changes: list[str]) -> None:
        assert Path(src).read_bytes()
        self._untag(f"{repository}:{tag}")
        again = sum(image.id.startswith("sha256:imported") for image in self.kept)
        labels = {"my-jarvis.base": "bootstrapped"}
        name = f"sha256:imported-{again}" if again else "sha256:imported"
        self.kept.append(FakeImage(name, [f"{repository}:{tag}"], labels))

    def create_container(self, _image: str, **_options: Any) -> dict[str, str]:
        self.reading += 1
        return {"Id": "c"}

    def remove_container(self, _container: str, **_options: Any) -> None:
        self.reading -= 1

    def get_archive(self, _container: str, path: str) -> tuple[list[bytes], dict[str, str]]:
        whole, content = io.BytesIO(), b"2.1.330 (Claude Code)\n"
        with tarfile.open(fileobj=whole, mode="w") as archive:
            entry = tarfile.TarInfo(Path(path).name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        return [whole.getvalue()], {}


class _Containers:
    """What programs in a container of an image say: apt of what is newer, dpkg of what is there."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def run(self, image: str, *, command: list[str], **_options: Any) -> bytes:
        packages = self._engine.images.get(image).packages
        if "apt-get -s upgrade" in command[0]:
            newest = self._engine.mirror
            lines = [
                f"Inst {name} [{version}] ({newest[name]} Debian-Security:13/stable-security [amd64])"
                for name, version in packages.items()
                if newest.get(name, version) != version
            ]
        else:
            lines = ["=== piece debian", *(f"{name} {version}" for name, version in packages.items())]
        return "\n".join(lines).encode()


class _Images:
    """Callable as the low level's list, and with the methods of the high level."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def __call__(self, *, filters: dict[str, Any]) -> list[dict[str, Any]]:
        found = self.list(filters={"label": filters["label"]})
        return [
            {"Id": image.id, "Labels": image.labels, "Created": image.created}
            for image in found
            if not image.tags
        ]

    def list(self, *, filters: dict[str, str]) -> list[FakeImage]:
        return [image for image in self._engine.kept if filters["label"] in image.labels]

    def get(self, ref: str) -> FakeImage:
        return self._find(lambda image: ref == image.id or ref in image.tags)

    def get_registry_data(self, ref: str) -> SimpleNamespace:
        self._engine.asked_with_timeout.append(self._engine.timeout)
        if self._engine.registry is None:
            raise APIError("no route to host")
        if ref not in self._engine.registry:
            raise APIError("denied", explanation=f"{ref} is unknown")
        return SimpleNamespace(id=self._engine.digests.get(ref, ""))

    def remove(self, ref: str) -> None:
        image = self.get(ref)
        if image.used:
            raise APIError("conflict", explanation="a container uses it")
        self._engine.kept.remove(image)

    def _find(self, wanted: Callable[[FakeImage], bool]) -> FakeImage:
        found = next(filter(wanted, self._engine.kept), None)
        if found is None:
            raise ImageNotFound("no such image")
        return found
