from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from fly.errors import BuildError
from image.context import (
    CONTENTS,
    FOLDER,
    LEFT_OUT,
    build_arguments,
    make_context,
    read_certificates,
)

ROOT = FOLDER.parent
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small `image/`."""
    folder = tmp_path / "image"
    for name in CONTENTS:
        path = folder / name / "file" if name in {"seed", "shell", "web", "webapp"} else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "entrypoint.sh").chmod(0o755)
    return folder


def entries(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {entry.name: entry for entry in archive}


def test_another_checkout_of_the_same_content_is_the_same_context(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(checkout, other)
    for number, path in enumerate(sorted(other.rglob("*"), reverse=True)):
        path.chmod(0o700 if path.is_dir() or path.name == "entrypoint.sh" else 0o600)
        os.utime(path, (number, number))
    assert make_context(other) == make_context(checkout)


@pytest.mark.parametrize("name", ["Dockerfile", "webapp/file", "seed/file", "node.lock"])
def test_a_changed_byte_is_another_context(checkout: Path, name: str) -> None:
    before = make_context(checkout).sha256
    (checkout / name).write_text("changed")
    assert make_context(checkout).sha256 != before


def test_a_changed_mode_is_another_context(checkout: Path) -> None:
    before = make_context(checkout).sha256
    (checkout / "entrypoint.sh").chmod(0o644)
    assert make_context(checkout).sha256 != before


def test_what_tools_leave_behind_is_not_sent(checkout: Path) -> None:
    before = make_context(checkout)
    for name in LEFT_OUT:
        (checkout / "web" / name).mkdir()
        (checkout / "web" / name / "junk").write_text("junk")
    (checkout / "build.py").write_text("not for the image")
    assert make_context(checkout) == before


def test_everything_sent_is_roots_and_of_one_date(checkout: Path) -> None:
    found = entries(make_context(checkout).tar).values()
    assert {(entry.uid, entry.gid, entry.mtime) for entry in found} == {(0, 0, 1_577_836_800)}
    assert {entry.name for entry in found if entry.mode == 0o755} == {"entrypoint.sh"}


def test_certificates_are_sent_but_do_not_make_it_another_image(checkout: Path) -> None:
    without, trusting = make_context(checkout), make_context(checkout, CERTIFICATE)
    assert trusting.sha256 == without.sha256
    assert entries(trusting.tar).keys() - entries(without.tar).keys() == {"ca.pem"}


def test_an_incomplete_checkout_is_refused(checkout: Path) -> None:
    (checkout / "node.lock").unlink()
    with pytest.raises(BuildError, match=r"node\.lock is missing"):
        make_context(checkout)


def test_the_real_checkout_has_everything() -> None:
    found = entries(make_context().tar)
    assert {"Dockerfile", "claude", "entrypoint.sh", "web/package-lock.json"} <= found.keys()
    assert {found[name].mode for name in ("claude", "entrypoint.sh")} == {0o755}
    assert not [name for name in found if LEFT_OUT & set(name.split("/"))]


def test_a_build_by_hand_leaves_the_same_things_out() -> None:
    ignored = (FOLDER / ".dockerignore").read_text().splitlines()
    assert {f"**/{name}" for name in LEFT_OUT} <= set(ignored)


def test_the_page_is_built_with_the_node_that_the_tests_use() -> None:
    pinned = (FOLDER / "node.lock").read_text().split("\n")[0].rstrip(" \\")
    assert f"{pinned} \\" in (ROOT / "requirements-test.lock").read_text().splitlines()


@pytest.mark.parametrize("lock", ["node.lock", "requirements.lock", "web/package-lock.json"])
def test_no_lock_names_where_packages_are_fetched_from(lock: str) -> None:
    text = (FOLDER / lock).read_text()
    assert [line for line in text.splitlines() if '"resolved"' in line or "index-url" in line] == []


# --- certificates ---------------------------------------------------------------------------------


def test_certificates_named_several_times_are_read_once(tmp_path: Path) -> None:
    one, other = tmp_path / "one.pem", tmp_path / "other.pem"
    one.write_bytes(CERTIFICATE)
    other.write_bytes(CERTIFICATE.replace(b"abc", b"xyz"))
    environment = {"SSL_CERT_FILE": str(one), "PIP_CERT": str(one), "NODE_EXTRA_CA_CERTS": str(other)}
    found = read_certificates(environment)
    assert (found.count(b"abc"), found.count(b"xyz")) == (1, 1)


def test_without_certificates_there_are_none() -> None:
    assert read_certificates({"SSL_CERT_FILE": ""}) == b""


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "No such file"), (b"not one", "holds no certificate")]
)
def test_what_is_no_certificate_is_refused(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BuildError, match=f"SSL_CERT_FILE names .*{complaint}") as raised:
        read_certificates({"SSL_CERT_FILE": str(path)})
    assert "SSL_CERT_FILE" in raised.value.hint


# --- addresses ------------------------------------------------------------------------------------


def test_indexes_and_proxies_that_a_container_can_reach_are_passed_on() -> None:
    environment = {
        "PIP_INDEX_URL": "https://packages.example.com/simple",
        "PIP_EXTRA_INDEX_URL": "file:///srv/wheels https://more.example.com/simple",
        "npm_config_registry": "https://npm.example.com/",
        "https_proxy": "http://proxy.example.com:3128",
        "no_proxy": "localhost,.example.com",
        "OTHER": "x",
    }
    assert build_arguments(environment) == {
        "PIP_INDEX_URL": "https://packages.example.com/simple",
        "PIP_EXTRA_INDEX_URL": "https://more.example.com/simple",
        "NPM_CONFIG_REGISTRY": "https://npm.example.com/",
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "NO_PROXY": "localhost,.example.com",
    }


@pytest.mark.parametrize(
    "address",
    ["file:///srv/wheels", "http://localhost:3141/", "http://127.0.0.1:3128", "[::1]:8080", "127.0.0.1:8080"],
)
def test_what_only_this_machine_can_reach_is_not_passed_on(address: str) -> None:
    assert build_arguments({"PIP_INDEX_URL": address, "HTTP_PROXY": address}) == {}


def test_a_proxy_without_a_scheme_is_passed_on() -> None:
    assert build_arguments({"HTTP_PROXY": "10.0.0.7:3128"}) == {"HTTP_PROXY": "10.0.0.7:3128"}
