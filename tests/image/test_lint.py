"""What linters say of the image's own scripts, and of how it is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from image.release.suite import ROOT
from tests.support.containers import Workspace

SH = ("/opt/jarvis/entrypoint.sh", "/usr/local/bin/claude")
ELSEWHERE = "--exclude=SC1091"  # what they read in turn is in the image, and not here
BASH = ("/etc/bash.bashrc", "/etc/profile.d/my-jarvis.sh")


def _said(tool: str, *arguments: str, text: str | None = None) -> str:
    """What a linter of this checkout's venv prints, if it complains."""
    program = str(Path(sys.executable).with_name(tool))
    done = subprocess.run(
        [program, *arguments], cwd=ROOT, input=text, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def test_its_shell_scripts_are_clean(shared_workspace: Workspace) -> None:
    """shellcheck finds nothing in the scripts that the image runs: its start, `claude`, and each shell's."""
    complaints = {
        path: _said("shellcheck", f"--shell={shell}", ELSEWHERE, "-", text=shared_workspace.run("cat", path))
        for shell, paths in (("sh", SH), ("bash", BASH))
        for path in paths
    }
    assert {path: said for path, said in complaints.items() if said} == {}


def test_the_dockerfile_is_clean() -> None:
    """hadolint finds nothing in the Dockerfile that images are made by here."""
    assert _said("hadolint", "image/Dockerfile") == ""
