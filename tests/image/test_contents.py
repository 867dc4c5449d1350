"""What is in the image, and what is not."""

from __future__ import annotations

import re
from typing import Any

import docker
import pytest

from tests.support.containers import Workspace, Workspaces

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
PYTHON_PACKAGES = f"""{PYTHON} -Ic '
from importlib.metadata import distributions
for one in distributions(path=[path for path in __import__("sys").path if "venv" in path]):
    about = one.metadata
    named = about.get("License-Expression") or about.get("License") or about.get("License-File")
    by_class = any(line.startswith("License ::") for line in about.get_all("Classifier", []))
    print(about["Name"].lower(), one.version, "licence:", bool(named or by_class))
'"""
LABELS = ("title", "description", "licenses", "version", "revision", "created", "base.name")


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_the_tool_is_there(shared_workspace: Workspace, tool: str) -> None:
    """{tool} is there for jarvis and runs."""
    shared_workspace.run(tool, TOOLS[tool])


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
    package = "import claude_agent_sdk, os; print(os.path.dirname(claude_agent_sdk.__file__))"
    folder = shared_workspace.run(PYTHON, "-c", package).strip()
    assert shared_workspace.run("readlink", "-f", f"{folder}/_bundled/claude").strip() == "/opt/claude/claude"


def test_claude_is_the_one_that_the_sdk_was_made_for(shared_workspace: Workspace) -> None:
    """`claude --version` is the version that the pinned Agent SDK carries."""
    pinned = "from claude_agent_sdk._cli_version import __cli_version__; print(__cli_version__)"
    wanted = shared_workspace.run(PYTHON, "-c", pinned).strip()
    assert shared_workspace.run("claude", "--version").split()[0] == wanted


def test_no_build_tool_is_left(shared_workspace: Workspace) -> None:
    """No compiler and no builder of the page is left inside."""
    # One by one: of several names dash looks for the first alone.
    search = f"for tool in {BUILD_TOOLS}; do command -v $tool; done"
    assert shared_workspace.attempt("sh", "-c", search).output == ""


def test_nothing_of_the_build_is_left(workspaces: Workspaces) -> None:
    """No package list, cache, log or temporary file of the build is left inside."""
    found = _inside(
        workspaces, "find /var/lib/apt/lists /var/cache /var/log /root /tmp /var/tmp -xdev -type f -size +0"
    )
    kept = re.compile(r"/var/cache/debconf/\w+\.dat(-old)?|/root/\.(bashrc|profile)")
    assert [path for path in found if not kept.fullmatch(path)] == []


def test_no_bytecode_is_missing(workspaces: Workspaces) -> None:
    """The server's Python was compiled when the image was built, so that no start has to."""
    sources = _inside(workspaces, "find /opt/jarvis/app/webapp -name '*.py'")
    compiled = _inside(workspaces, "find /opt/jarvis/app/webapp -name '*.pyc'")
    assert sources
    assert len(compiled) >= len(sources)


def test_jarvis_cannot_change_the_server(shared_workspace: Workspace) -> None:
    """Nothing of the server, of Claude or of the system can be written by jarvis."""
    writable = "find /opt /usr /etc /var/lib /srv -xdev -writable -not -type l 2>/dev/null || true"
    assert shared_workspace.run("sh", "-c", writable).split() == []


def test_nothing_of_the_project_is_inside_but_the_product(workspaces: Workspaces) -> None:
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
    assert (
        _inside(workspaces, f"find /opt/jarvis -path /opt/jarvis/venv -prune -o \\( {clauses} \\) -print")
        == []
    )
    assert _inside(workspaces, "ls -A /data /home /srv /mnt /media | grep -v ':$' | grep .") == []


def test_no_setuid_surprises(workspaces: Workspaces) -> None:
    """No program gives whoever starts it the rights of another user, group or of root."""
    assert _inside(workspaces, "find / -xdev -perm /6000 -type f") == []
    assert _inside(workspaces, "getcap -r / 2>/dev/null || true") == []


def test_nobody_has_a_password(workspaces: Workspaces) -> None:
    """No account can log in with a password, an empty one neither."""
    fields = [line.split(":")[1] for line in _inside(workspaces, "cat /etc/shadow")]
    assert fields
    assert [one for one in fields if one not in {"*", "!", "!*", "!!"}] == []


def test_no_authority_was_added(workspaces: Workspaces) -> None:
    """The authorities that are trusted are Debian's and no other."""
    assert _inside(workspaces, "find /usr/local/share/ca-certificates -type f") == []
    changed = _inside(workspaces, "dpkg --verify ca-certificates openssl | grep -v ^missing")
    assert changed == []
    count = "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; grep -c '^[^#!]' /etc/ca-certificates.conf"
    trusted, of_debian = _inside(workspaces, count)
    assert trusted == of_debian


def test_no_certificate_or_key_lies_about(workspaces: Workspaces) -> None:
    """No certificate or private key is inside but the public bundles of Debian and of Python packages."""
    search = (
        "grep -rlIE --exclude-dir=proc --exclude-dir=sys -e '^-----BEGIN .*(CERTIFICATE|PRIVATE KEY)-----' /"
    )
    public = re.compile(
        r"/etc/ssl/certs/.*|/usr/share/ca-certificates/.*|/opt/jarvis/venv/.*/certifi/cacert\.pem"
    )
    assert [path for path in _inside(workspaces, search) if not public.fullmatch(path)] == []


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


def test_every_package_comes_with_its_licence(workspaces: Workspaces) -> None:
    """Each of Debian's packages brings its copyright file, and each of Python's names its licence."""
    script = (
        "dpkg-query --show --showformat='${Package}\\n' | while read name; do "
        "[ -e /usr/share/doc/$name/copyright ] || echo $name; done"
    )
    assert _inside(workspaces, script) == []
    assert [line for line in _inside(workspaces, PYTHON_PACKAGES) if line.endswith("licence: False")] == []


def test_what_is_inside_can_be_listed(workspaces: Workspaces) -> None:
    """The lists of Debian's and of Python's packages are there and whole, for whoever takes an inventory."""
    debian = _inside(workspaces, "dpkg --audit && dpkg-query --show")
    assert {"bash", "git", "python3", "ripgrep", "tini"} <= {line.partition("\t")[0] for line in debian}
    python = {line.split()[0] for line in _inside(workspaces, PYTHON_PACKAGES)}
    assert {"starlette", "uvicorn", "claude-agent-sdk"} <= python


def test_labels_say_what_it_is(docker_client: docker.DockerClient, image: str) -> None:
    """Labels name title, licence, version, revision, time of making and base."""
    labels = docker_client.images.get(image).labels
    missing = [name for name in LABELS if not labels.get(f"org.opencontainers.image.{name}")]
    assert missing == []


def _inside(workspaces: Workspaces, script: str) -> list[str]:
    """The lines that a script prints, run by root in the image with nothing else running."""
    ran = workspaces.run_once(script, entrypoint=["sh", "-c"], user="root")
    return ran.output.splitlines()
