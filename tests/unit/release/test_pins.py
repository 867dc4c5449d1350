"""What is newer, read from what apt, uv and npm say; and pins that are put back."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import docker
import pytest

from image.release import pins, undo
from image.release.suite import ROOT
from tests.support.wait import wait_until

APT = """\
Inst curl [8.14.1-2+deb13u6] (8.14.1-2+deb13u7 Debian-Security:13/stable-security [amd64]) []
Inst tzdata [2026a-0+deb13u1] (2026b-0+deb13u1 Debian:13.3/stable, Debian:13-updates/stable-updates [all])
Inst newcomer (1.0 Debian:13.3/stable [amd64])
Conf curl (8.14.1-2+deb13u7 Debian-Security:13/stable-security [amd64])
"""


class Engine:
    """Answers like an engine whose container has printed this."""

    def __init__(self, said: str) -> None:
        self.containers = self
        self._said = said

    def run(self, *_image: str, **_options: Any) -> bytes:
        return self._said.encode()


def test_security_updates_of_debian_are_told_from_others() -> None:
    engine: Any = Engine(APT)
    curl, tzdata = pins.newer_debian(engine, "image", {})
    assert (curl.name, curl.current, curl.newest) == ("curl", "8.14.1-2+deb13u6", "8.14.1-2+deb13u7")
    assert (curl.is_security, tzdata.is_security, curl.cure) == (True, False, "invoke bump base")


def test_the_pin_of_the_sdk_is_found_in_the_project_itself() -> None:
    assert pins.pinned_sdk(ROOT).count(".") == 2


def test_every_file_that_a_bump_may_change_is_there() -> None:
    assert [name for name in pins.FILES if not (ROOT / name).exists()] == []


OUTDATED = """\
echo '{"preact": {"wanted": "10.9.0", "latest": "11.2.0"},
       "vite": {"wanted": "8.3.8", "latest": "8.3.8"},
       "marked": {"wanted": "18.2.1", "latest": "18.2.1"}}'
exit 1
"""
LOCK = """{"packages": {"": {"version": "1.0.0"}, "node_modules/preact": {"version": "10.9.0"},
"node_modules/vite": {"version": "8.3.7"}, "node_modules/marked": {"version": "18.2.1"}}}"""


def test_what_the_page_uses_is_read_from_its_lock_also_where_nothing_is_installed(tmp_path: Path) -> None:
    page = tmp_path / pins.PAGE
    page.mkdir(parents=True)
    (page / "package.json").write_text("{}")
    (page / "package-lock.json").write_text(LOCK)
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\n{OUTDATED}")
    npm.chmod(0o755)
    preact, vite = pins.newer_npm([str(npm)], tmp_path)
    assert (preact.name, preact.current, preact.newest) == ("preact", "10.9.0", "11.2.0")
    assert preact.cure.startswith("a new range: npm install preact@11.2.0")
    assert (vite.name, vite.current, vite.newest, vite.cure) == ("vite", "8.3.7", "8.3.8", "invoke bump npm")


NO_ENGINE = cast(docker.DockerClient, None)
"""Where no image has a part in it."""


def copied(folder: Path) -> dict[str, bytes]:
    for name in pins.FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return {name: (folder / name).read_bytes() for name in pins.FILES}


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_pins_are_put_back_whatever_goes_wrong(tmp_path: Path, trouble: type[BaseException]) -> None:
    before = copied(tmp_path)

    def moves() -> None:
        with undo.written_down(NO_ENGINE, tmp_path, tmp_path, pins.FILES, ()):
            for name in pins.FILES:
                (tmp_path / name).write_text("moved")
            raise trouble

    with pytest.raises(trouble):
        moves()
    assert {name: (tmp_path / name).read_bytes() for name in pins.FILES} == before


def test_what_was_moved_well_stays_moved(tmp_path: Path) -> None:
    copied(tmp_path)
    with undo.written_down(NO_ENGINE, tmp_path, tmp_path, pins.FILES, ()):
        (tmp_path / "pyproject.toml").write_text("moved")
    assert (tmp_path / "pyproject.toml").read_text() == "moved"


MOVES = """
import sys
from pathlib import Path
from image.release import pins, undo
root = Path(sys.argv[1])
with undo.written_down(None, root, root, pins.FILES, ()):
    pins.move("npm", [sys.argv[2]], root)
"""
HALF_WAY = "#!/bin/sh\necho half > package.json; rm package-lock.json; exec sleep 600\n"
PATIENCE_S = 60


def test_ctrl_c_half_way_puts_pins_back_also_when_it_is_pressed_again(tmp_path: Path) -> None:
    before = copied(tmp_path)
    npm = tmp_path / "npm"
    npm.write_text(HALF_WAY)
    npm.chmod(0o755)
    lock = tmp_path / pins.PAGE / "package-lock.json"
    command = (sys.executable, "-c", MOVES, str(tmp_path), str(npm))
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: not lock.exists(), "npm to be half way", timeout_s=PATIENCE_S)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) != 0
    assert {name: (tmp_path / name).read_bytes() for name in pins.FILES} == before
