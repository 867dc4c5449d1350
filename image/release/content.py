"""What an image is, by its content: the engine's own id of it, its layers, what it says about itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fly.errors import EngineError, UntestedImage
from fly.lazy import Lazy

if TYPE_CHECKING:
    import docker
    import requests
else:
    docker, requests = Lazy("docker"), Lazy("requests")

CREATES_A_LAYER = re.compile(r"(RUN|COPY|ADD) |/bin/sh -c (?!#\(nop\))|/bin/sh -c #\(nop\) +(COPY|ADD) ")


@dataclass(frozen=True)
class Layer:
    """One layer: `diff_id` names its content, `made_by` is the line of the Dockerfile."""

    diff_id: str
    size_bytes: int
    made_by: str


@dataclass(frozen=True)
class Content:
    """An image as the engine has it. `id` names the content; `ref` is only what somebody called it.

    `engine` is which engine that is: what one has proved is not taken for proved on another.
    """

    id: str
    ref: str
    size_bytes: int
    layers: tuple[Layer, ...]
    labels: dict[str, str]
    created: str
    engine: str = ""

    @property
    def short_id(self) -> str:
        return short(self.id)

    @property
    def revision(self) -> str:
        """The commit that it was built from, as far as it says."""
        return self.labels.get("org.opencontainers.image.revision", "")

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "size_bytes": self.size_bytes,
            "layers": [vars(layer) for layer in self.layers],
            "labels": self.labels,
            "created": self.created,
        }


def short(image_id: str) -> str:
    """The twelve digits that people read."""
    return image_id.removeprefix("sha256:")[:12]


def read_content(client: docker.DockerClient, ref: str) -> Content:
    """What `ref` is at this moment, asked of the engine.

    *Errors*: UntestedImage if there is no such image; EngineError.
    """
    try:
        image: Any = client.images.get(ref)
        history = image.history()
        engine = client.info()
    except docker.errors.ImageNotFound as error:
        raise UntestedImage(
            f"There is no image {ref} here.", hint="invoke build, or --image with one of `docker images`"
        ) from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineError(
            f"The Docker Engine cannot say what {ref} is: {error}", hint="docker info"
        ) from error
    return Content(
        id=str(image.id),
        ref=ref,
        size_bytes=int(image.attrs["Size"]),
        layers=_layers(image.attrs["RootFS"].get("Layers") or [], history),
        labels=dict(image.labels or {}),
        created=str(image.attrs.get("Created", "")),
        # The host's name too: machines made from one image share their engine's id.
        engine=f"{engine['ID']}@{engine['Name']}",
    )


def _layers(diff_ids: list[str], history: list[dict[str, Any]]) -> tuple[Layer, ...]:
    """The engine tells sizes by steps, of which some made no layer; paired where that is sure."""
    oldest_first = list(reversed(history))
    steps = [step for step in oldest_first if step["Size"] or CREATES_A_LAYER.match(step["CreatedBy"] or "")]
    if len(steps) > len(diff_ids):
        steps = [step for step in steps if step["Size"]]
    if len(steps) != len(diff_ids):
        return tuple(Layer(diff_id, 0, "") for diff_id in diff_ids)
    return tuple(
        Layer(diff_id, int(step["Size"]), _made_by(step))
        for diff_id, step in zip(diff_ids, steps, strict=True)
    )


def _made_by(step: dict[str, Any]) -> str:
    text = " ".join(str(step["CreatedBy"] or step.get("Comment") or "").split())
    return text.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").strip() or "imported"
