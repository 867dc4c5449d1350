"""Releasing, asked of a real registry with a password: what arrives is what was tested, nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from fly.errors import RegistryError, UntestedImage
from fly.settings import Secret
from image.release import predecessor
from image.release.content import read_content
from image.release.fetch import Reference, fetch
from image.release.push import promote, push
from image.release.records import PASSED, Outcome, Push, Records
from image.release.registry import Login, Registry
from image.release.suite import read_suite
from tests.support.registry import LOGIN, PASSWORD, USER, LoopbackRegistry, TokenServer, tiny_image
from tests.support.run import Run

Image = Callable[[], str]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[LoopbackRegistry]:
    registry = LoopbackRegistry(tmp_path)
    try:
        registry.start()
        yield registry
    finally:
        registry.stop()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with Records(tmp_path / "releases.sqlite") as records:
        yield records


@pytest.fixture
def new_image(docker_client: docker.DockerClient, run: Run, after_containers: ExitStack) -> Image:
    """Makes an image that no test has proved anything about."""
    return lambda: after_containers.enter_context(tiny_image(docker_client, run))


@pytest.fixture
def tested_image(new_image: Image, records: Records, docker_client: docker.DockerClient) -> Image:
    """Makes an image that has passed."""

    def make() -> str:
        image = new_image()
        number = records.begin(read_content(docker_client, image), read_suite(), {})
        records.note(number, Outcome("tests/image/test_it.py::test_it", "image", "It works.", PASSED, 0.1))
        records.conclude(number, passed=True, seconds=0.1, why="")
        return image

    return make


@pytest.fixture
def pushed(
    docker_client: docker.DockerClient, records: Records, registry: LoopbackRegistry
) -> Callable[[str], Push]:
    """Pushes an image, by its id."""

    def put(image: str, login: Login | None = LOGIN) -> Push:
        return push(
            docker_client,
            records,
            read_content(docker_client, image),
            repository=registry.repository(),
            login=login,
            report=lambda _line: None,
        )

    return put


def served(registry: LoopbackRegistry, reference: str) -> httpx.Response:
    """What the registry answers somebody who knows nothing of us."""
    return httpx.get(
        f"http://{registry.host}/v2/workspaces/manifests/{reference}",
        headers={"accept": "application/vnd.docker.distribution.manifest.v2+json"},
        auth=(USER, PASSWORD),
        trust_env=False,
    )


def test_what_was_tested_arrives_and_is_recorded(
    tested_image: Image, pushed: Callable[[str], Push], registry: LoopbackRegistry, records: Records
) -> None:
    image = tested_image()
    done = pushed(image)
    assert done.uploaded == 1
    assert done.tags[-1] == "latest"
    for reference in (done.digest, *done.tags):
        answer = served(registry, reference)
        assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == done.digest
        assert answer.json()["config"]["digest"] == image
    assert records.pushes() == [done]
    assert records.current(str(registry.repository())) == done


def test_an_image_that_was_not_tested_is_refused_before_anything_is_sent(
    new_image: Image, pushed: Callable[[str], Push], registry: LoopbackRegistry, records: Records
) -> None:
    with pytest.raises(UntestedImage, match="never verified") as refused:
        pushed(new_image())
    assert refused.value.hint == "invoke verify"
    assert served(registry, "latest").status_code == 404
    assert records.pushes() == []


class Meddled:
    """The engine, while somebody else pushes to the same place: after each tag `meddle` has its turn."""

    def __init__(self, client: docker.DockerClient, meddle: Callable[[str], None]) -> None:
        self._api, self._meddle = client.api, meddle
        self.api = self

    def push(self, repository: str, tag: str, **options: Any) -> Iterator[dict[str, Any]]:
        yield from self._api.push(repository, tag, **options)
        self._meddle(tag)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)


def test_what_arrives_as_something_else_never_becomes_the_latest(
    tested_image: Image,
    pushed: Callable[[str], Push],
    docker_client: docker.DockerClient,
    registry: LoopbackRegistry,
    records: Records,
) -> None:
    latest = pushed(tested_image())
    seen: list[str] = []

    def meddle(tag: str) -> None:
        seen.append(tag)
        with Registry(registry.repository(), LOGIN) as there:
            there.put(there.get(latest.digest), tag)

    engine: Any = Meddled(docker_client, meddle)
    content = read_content(docker_client, tested_image())
    with pytest.raises(RegistryError, match=f"pushed was .* \\(content {content.id}\\)"):
        push(
            *(engine, records, content),
            repository=registry.repository(),
            login=LOGIN,
            report=lambda _line: None,
        )
    assert len(seen) == 1, "the names that people follow were not moved"
    assert served(registry, "latest").headers["docker-content-digest"] == latest.digest
    assert records.pushes() == [latest]


def test_the_same_content_twice_uploads_nothing(tested_image: Image, pushed: Callable[[str], Push]) -> None:
    image = tested_image()
    first, again = pushed(image), pushed(image)
    assert (first.uploaded, again.uploaded) == (1, 0)
    assert (first.digest, first.tags) == (again.digest, again.tags)


def test_the_tag_of_date_and_commit_is_not_taken_from_another_content(
    tested_image: Image,
    pushed: Callable[[str], Push],
    docker_client: docker.DockerClient,
    registry: LoopbackRegistry,
) -> None:
    image = tested_image()
    dated = f"{read_content(docker_client, image).created[:10].replace('-', '')}-{image[7:19]}"
    with Registry(registry.repository(), LOGIN) as there:
        older = pushed(tested_image())
        there.put(there.get(older.digest), dated)
        newer = pushed(image)
        assert newer.tags[0] != dated
        assert there.get(dated).digest == older.digest
        assert there.get(newer.tags[0]).digest == newer.digest


@pytest.mark.parametrize("login", [Login(USER, Secret("wrong")), Login("eve", Secret(PASSWORD)), None])
def test_a_wrong_password_is_refused_and_named(
    tested_image: Image, pushed: Callable[..., Push], records: Records, login: Login | None
) -> None:
    with pytest.raises(RegistryError, match="does not let us") as refused:
        pushed(tested_image(), login)
    assert "JARVIS_REGISTRY_PASSWORD" in refused.value.hint
    assert "wrong" not in str(refused.value)
    assert records.pushes() == []


def test_an_error_inside_the_stream_fails_the_push(
    tested_image: Image, pushed: Callable[[str], Push], registry: LoopbackRegistry, records: Records
) -> None:
    registry.stop()
    registry.start(read_only=True)
    with pytest.raises(RegistryError, match="could not be pushed"):
        pushed(tested_image())
    assert records.pushes() == []


def test_a_registry_that_is_gone_is_named(
    tested_image: Image, pushed: Callable[[str], Push], registry: LoopbackRegistry
) -> None:
    registry.stop()
    with pytest.raises(RegistryError, match="does not answer"):
        pushed(tested_image())


def test_an_older_release_is_promoted_without_an_upload(
    tested_image: Image, pushed: Callable[[str], Push], registry: LoopbackRegistry, records: Records
) -> None:
    first, second = pushed(tested_image()), pushed(tested_image())
    here = registry.repository()
    assert served(registry, "latest").headers["docker-content-digest"] == second.digest
    assert promote(records, here, LOGIN, first.digest[:19]) == first
    assert served(registry, "latest").headers["docker-content-digest"] == first.digest
    assert records.current(str(here)) == first


def test_a_digest_that_did_not_pass_here_is_not_promoted(
    tested_image: Image, pushed: Callable[[str], Push], registry: LoopbackRegistry, records: Records
) -> None:
    done = pushed(tested_image())
    for digest in ("sha256:" + "0" * 64, "", "latest"):
        with pytest.raises(UntestedImage, match="No tested image"):
            promote(records, registry.repository(), LOGIN, digest)
    assert served(registry, "latest").headers["docker-content-digest"] == done.digest


def test_a_release_that_the_registry_has_lost_is_not_promoted(
    tested_image: Image, pushed: Callable[[str], Push], registry: LoopbackRegistry, records: Records
) -> None:
    done = pushed(tested_image())
    registry.stop()
    (registry.folder / "store").rename(registry.folder / "lost")
    registry.start()
    with pytest.raises(RegistryError, match="has no sha256"):
        promote(records, registry.repository(), LOGIN, done.digest)
    assert len(records.promotions()) == 1


def test_the_release_before_comes_back_by_its_digest(
    tested_image: Image,
    pushed: Callable[[str], Push],
    docker_client: docker.DockerClient,
    registry: LoopbackRegistry,
    records: Records,
) -> None:
    first, second = tested_image(), tested_image()
    release = pushed(first)
    assert records.release_before(second) == release
    assert records.release_before(first) is None
    docker_client.images.remove(first, force=True)
    assert not predecessor.is_here(docker_client, release)
    assert "no basic auth" in predecessor.bring(docker_client, release, None)
    assert predecessor.bring(docker_client, release, LOGIN) == ""
    assert predecessor.is_here(docker_client, release)
    registry.stop()
    docker_client.images.remove(first, force=True)
    assert predecessor.bring(docker_client, release, LOGIN) != ""
    assert not predecessor.is_here(docker_client, release)


def named(text: str) -> Reference:
    found = Reference.parse(text)
    assert found is not None
    assert str(found) == text
    return found


def test_an_image_that_only_a_registry_has_is_brought_here(
    tested_image: Image,
    pushed: Callable[[str], Push],
    docker_client: docker.DockerClient,
    registry: LoopbackRegistry,
) -> None:
    image = tested_image()
    release = pushed(image)
    docker_client.images.remove(image, force=True)
    for name in (release.reference, f"{release.repository}:{release.tags[0]}"):
        wanted = named(name)
        with pytest.raises(RegistryError, match="is not here, and cannot be pulled") as refused:
            fetch(docker_client, wanted, None)
        assert "JARVIS_REGISTRY_USER" in str(refused.value.hint)
        fetch(docker_client, wanted, LOGIN)
        assert read_content(docker_client, name).id == image
        docker_client.images.remove(image, force=True)
    registry.stop()
    with pytest.raises(RegistryError, match="cannot be pulled") as gone:
        fetch(docker_client, named(release.reference), LOGIN)
    assert "network" in str(gone.value.hint)


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    tokens = TokenServer()
    yield tokens
    tokens.close()


def test_a_registry_that_wants_a_token_of_another_server_is_served_too(
    tested_image: Image, pushed: Callable[..., Push], registry: LoopbackRegistry, tokens: TokenServer
) -> None:
    registry.stop()
    registry.start(tokens=tokens)
    done = pushed(tested_image())
    assert "repository:workspaces:pull,push" in tokens.given
    assert (done.uploaded, done.tags[-1]) == (1, "latest")
    with pytest.raises(RegistryError, match="does not let us log in"):
        pushed(tested_image(), Login(USER, Secret("wrong")))
