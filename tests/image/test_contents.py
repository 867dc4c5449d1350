"""What is in the image, and what is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import docker
import pytest

from tests.support.containers import CommandFailedError, Workspace, Workspaces
from tests.support.run import Run

TOOLS = {
    "bash": "--version",
    "claude": "--version",
    "curl": "--version",
    "git": "--version",
    "jq": "--version",
    "less": "--version",
    "nano": "--version",
    "python3": "--version",
    "rg": "--version",
    "ssh": "-V",
    "tar": "--version",
    "unzip": "-v",
    "vi": "--version",
}
BUILD_TOOLS = "cc gcc g++ c++ clang make ld cmake cargo rustc go node npm"
PYTHON = "/opt/jarvis/venv/bin/python"
SDK = (
    "import pathlib, importlib.util as util;"
    " sdk = pathlib.Path(util.find_spec('claude_agent_sdk').origin).parent;"
)
"""Found and not loaded: that takes a second."""
PYTHON_PACKAGES = f"""{PYTHON} -Ic '
from importlib.metadata import distributions
for one in distributions(path=[path for path in __import__("sys").path if "venv" in path]):
    about = one.metadata
    named = about.get("License-Expression") or about.get("License") or about.get("License-File")
    by_class = any(line.startswith("License ::") for line in about.get_all("Classifier", []))
    print(about["Name"].lower(), one.version, "licence:", bool(named or by_class))
'"""
LABELS = ("title", "description", "licenses", "version", "revision", "created", "base.name")


Inside = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def inside(run: Run, image: str) -> Iterator[Inside]:
    """The lines that a script prints, run by root in the image with nothing else running.

    It has to end with 0, in each of its pieces, and to complain of nothing: else that it has found nothing
    would say nothing.
    """
    still: dict[str, Any] = {"entrypoint": ["sleep"], "command": ["infinity"], "user": "root", "init": True}
    with closing(Workspaces(run, image)) as made:
        workspace = made.start(ready=False, network="none", dns=None, **still)

        def lines_of(script: str) -> list[str]:
            ran = workspace.attempt("bash", "-euo", "pipefail", "-c", script, user="root")
            if (ran.status, ran.errors) != (0, ""):
                raise CommandFailedError(f"{script} ended with {ran.status}: {ran.output}{ran.errors}")
            return ran.output.splitlines()

        yield lines_of


@pytest.fixture(scope="module")
def tools(shared_workspace: Workspace) -> dict[str, str]:
    """What became of each tool that jarvis started, and what it said."""
    script = "".join(f"said=$({tool} {how} 2>&1); echo {tool} $? $said;" for tool, how in TOOLS.items())
    return dict(line.split(" ", 1) for line in shared_workspace.run("sh", "-c", script).splitlines())


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_the_tool_is_there(tools: dict[str, str], tool: str) -> None:
    """{tool} is there for jarvis and runs."""
    status, _, said = tools[tool].partition(" ")
    assert status == "0", f"{(tool, TOOLS[tool])} exited with {status}: {said}"


def test_text_is_utf8(shared_workspace: Workspace) -> None:
    """Text is UTF-8 in shells and in programs."""
    assert shared_workspace.run("locale", "charmap").strip() == "UTF-8"
    said = shared_workspace.run("python3", "-c", "import sys; print('שלום é 👋', sys.stdout.encoding)")
    assert said.split() == ["שלום", "é", "👋", "utf-8"]


def test_the_clock_is_utc(shared_workspace: Workspace) -> None:
    """The clock shows UTC."""
    assert shared_workspace.run("date", "+%Z").strip() == "UTC"


def test_there_is_one_claude(shared_workspace: Workspace) -> None:
    """There is exactly one copy of Claude's binary, and the Agent SDK uses that one."""
    large = shared_workspace.run(
        "find", "/", "-xdev", "-type", "f", "-size", "+100M", "-not", "-path", "/proc/*", user="root"
    )
    assert large.split() == ["/opt/claude/claude"]
    bundled = shared_workspace.run(PYTHON, "-Ic", f"{SDK} print((sdk / '_bundled/claude').resolve())")
    assert bundled.strip() == "/opt/claude/claude"


def test_claude_is_the_one_that_the_sdk_was_made_for(shared_workspace: Workspace) -> None:
    """`claude --version` is the version that the pinned Agent SDK carries."""
    pinned = f"{SDK} import runpy; print(runpy.run_path(sdk / '_cli_version.py')['__cli_version__'])"
    wanted = shared_workspace.run(PYTHON, "-Ic", pinned).strip()
    assert shared_workspace.run("claude", "--version").split()[0] == wanted


def test_no_build_tool_is_left(shared_workspace: Workspace) -> None:
    """No compiler and no builder of the page is left inside."""
    # One by one: of several names dash looks for the first alone.
    search = f"for tool in sh {BUILD_TOOLS}; do command -v $tool || true; done"
    assert shared_workspace.run("sh", "-c", search).split() == ["/usr/bin/sh"]


def test_nothing_of_the_build_is_left(inside: Inside) -> None:
    """No package list, cache, log or temporary file of the build is left inside."""
    found = inside("find /var/lib/apt/lists /var/cache /var/log /root /tmp /var/tmp -xdev -type f -size +0")
    kept = re.compile(r"/var/cache/debconf/\w+\.dat(-old)?|/root/\.(bashrc|profile)")
    assert [path for path in found if not kept.fullmatch(path)] == []


def test_no_bytecode_is_missing(inside: Inside) -> None:
    """The server's Python was compiled when the image was built, so that no start has to."""
    sources = inside("find /opt/jarvis/app/webapp -name '*.py'")
    compiled = inside("find /opt/jarvis/app/webapp -name '*.pyc'")
    assert sources
    assert len(compiled) >= len(sources)


def test_jarvis_cannot_change_the_server(shared_workspace: Workspace) -> None:
    """Nothing of the server, of Claude or of the system can be written by jarvis."""
    places = "/opt /usr /etc /var/lib /srv /data/home"
    writable = f"find {places} -xdev -writable -not -type l 2>/dev/null || true"
    found = shared_workspace.run("sh", "-c", writable).splitlines()
    assert "/data/home" in found, "what is jarvis's own would be found"
    assert [path for path in found if not path.startswith("/data/home")] == []


def test_nothing_of_the_project_is_inside_but_the_product(inside: Inside) -> None:
    """No test, source of the page, lock file or history of the project is inside."""
    names = (
        "tests",
        "conftest.py",
        "node_modules",
        ".git",
        "*.ts",
        "*.tsx",
        "*.lock",
        "Dockerfile",
        "pyproject.toml",
    )
    clauses = " -o ".join(f"-name '{name}'" for name in names)
    assert inside(f"find /opt/jarvis -path /opt/jarvis/venv -prune -o \\( {clauses} \\) -print") == []
    assert inside("find /data /home /srv /mnt /media -mindepth 1") == []


def test_no_setuid_surprises(inside: Inside) -> None:
    """No program gives whoever starts it the rights of another user, group or of root."""
    assert inside("find / -xdev -perm /6000 -type f") == []


def test_nobody_has_a_password(inside: Inside) -> None:
    """No account can log in with a password, an empty one neither."""
    fields = [line.split(":")[1] for line in inside("cat /etc/shadow")]
    assert fields
    assert [one for one in fields if one not in {"*", "!", "!*", "!!"}] == []


def test_no_authority_was_added(inside: Inside) -> None:
    """The authorities that are trusted are Debian's and no other."""
    assert inside("find /usr/local/share/ca-certificates -type f") == []
    changed = inside("dpkg --verify ca-certificates openssl")
    assert [line for line in changed if not line.startswith("missing")] == []
    count = "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; grep -c '^[^#!]' /etc/ca-certificates.conf"
    trusted, of_debian = inside(count)
    assert trusted == of_debian


def test_no_certificate_or_key_lies_about(inside: Inside) -> None:
    """No certificate or private key is inside but the public bundles of Debian and of Python packages."""
    search = (
        "grep -rlIE --exclude-dir=proc --exclude-dir=sys -e '^-----BEGIN .*(CERTIFICATE|PRIVATE KEY)-----' /"
    )
    public = re.compile(
        r"/etc/ssl/certs/.*|/usr/share/ca-certificates/.*|/opt/jarvis/venv/.*/certifi/cacert\.pem"
    )
    assert [path for path in inside(search) if not public.fullmatch(path)] == []


def test_the_description_keeps_no_secret(docker_client: docker.DockerClient, image: str) -> None:
    """Settings and history hold no secret, no certificate and no address of the build's own network."""
    found: Any = docker_client.images.get(image)
    told = str(found.attrs["Config"]) + "".join(str(step["CreatedBy"]) for step in found.history())
    telling = re.compile(
        r"BEGIN [A-Z ]*(CERTIFICATE|KEY)|(secret|token|password|passwd|api_?key)\w*=\S|https?_proxy=|"
        r"(CA_BUNDLE|EXTRA_CA|SSL_CERT|PIP_CERT|INDEX_URL)\w*=|sk-ant-|FlyV1",
        re.I,
    )
    assert telling.findall(told) == []


def test_every_package_comes_with_its_licence(inside: Inside) -> None:
    """Each of Debian's packages brings its copyright file, and each of Python's names its licence."""
    script = (
        "dpkg-query --show --showformat='${Package}\\n' | while read name; do "
        "[ -e /usr/share/doc/$name/copyright ] || echo $name; done"
    )
    assert inside(script) == []
    assert [line for line in inside(PYTHON_PACKAGES) if line.endswith("licence: False")] == []


def test_what_is_inside_can_be_listed(inside: Inside) -> None:
    """The lists of Debian's and of Python's packages are there and whole, for whoever takes an inventory."""
    debian = inside("dpkg --audit && dpkg-query --show")
    assert {"bash", "git", "python3", "ripgrep", "tini"} <= {line.partition("\t")[0] for line in debian}
    python = {line.split()[0] for line in inside(PYTHON_PACKAGES)}
    assert {"starlette", "uvicorn", "claude-agent-sdk"} <= python


def test_labels_say_what_it_is(docker_client: docker.DockerClient, image: str) -> None:
    """Labels name title, licence, version, revision, time of making and base."""
    labels = docker_client.images.get(image).labels
    missing = [name for name in LABELS if not labels.get(f"org.opencontainers.image.{name}")]
    assert missing == []
