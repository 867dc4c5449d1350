"""What the engine is sent to build the image: the files, the certificates to trust, the addresses to use."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from fly.errors import BuildError

FOLDER = Path(__file__).resolve().parent
CONTENTS = (
    *("Dockerfile", "claude", "entrypoint.sh", "node.lock", "requirements.lock"),
    *("seed", "shell", "web", "webapp"),
)
LEFT_OUT = {"__pycache__", "node_modules", "dist", "coverage", "test-results"}
CERTIFICATES = "ca.pem"
WHEN = 1_577_836_800  # 2020: the same content has the same bytes, whenever it was checked out

CERTIFICATE_VARIABLES = (
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("PIP_CERT", "NODE_EXTRA_CA_CERTS"),
)
ADDRESS_VARIABLES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "NPM_CONFIG_REGISTRY"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
)
PLAIN_VARIABLES = ("NO_PROXY",)


@dataclass(frozen=True)
class Context:
    """What the engine is sent. `sha256` is of all that shapes the image; trusted certificates do not."""

    tar: bytes
    sha256: str


def make_context(folder: Path = FOLDER, certificates: bytes = b"") -> Context:
    """The files that the Dockerfile needs: names, modes, owners and dates come from the content alone.

    Errors: BuildError if one is missing.
    """
    files = [
        (path.relative_to(folder).as_posix(), path) for name in CONTENTS for path in _files(folder / name)
    ]
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in sorted(files):
            is_executable = bool(path.stat().st_mode & 0o100)
            _add(archive, name, path.read_bytes(), 0o755 if is_executable else 0o644)
        sha256 = hashlib.sha256(whole.getvalue()).hexdigest()
        if certificates:
            _add(archive, CERTIFICATES, certificates, 0o644)
    return Context(whole.getvalue(), sha256)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in path.iterdir():
            if child.name not in LEFT_OUT:
                yield from _files(child)
    else:
        raise BuildError(f"{path} is missing.", hint="git status: the checkout is not complete")


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, WHEN
    archive.addfile(entry, io.BytesIO(content))


def read_certificates(environment: Mapping[str, str]) -> bytes:
    """Every certificate that this machine's programs are told to trust, for a network that looks into TLS.

    Errors: BuildError if a variable names what is no certificate.
    """
    named = {environment[name]: name for name in CERTIFICATE_VARIABLES if environment.get(name)}
    return b"\n".join(_read_certificates(Path(path), name) for path, name in named.items())


def _read_certificates(path: Path, variable: str) -> bytes:
    hint = f"correct {variable}, or unset it"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BuildError(f"{variable} names {path}: {error.strerror}.", hint=hint) from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise BuildError(f"{variable} names {path}, which holds no certificate.", hint=hint)
    return content


def build_arguments(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxies and package indexes of this machine that a container can reach too."""
    found = {name: _reachable(_lookup(environment, name)) for name in ADDRESS_VARIABLES}
    found |= {name: _lookup(environment, name) for name in PLAIN_VARIABLES}
    return {name: value for name, value in found.items() if value}


def _lookup(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.lower()) or ""


def _reachable(addresses: str) -> str:
    return " ".join(address for address in addresses.split() if _is_remote(address))


def _is_remote(address: str) -> bool:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    host = parts.hostname or ""
    if parts.scheme == "file" or host in {"", "localhost"}:
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True
