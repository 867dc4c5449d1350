"""What verbs say to somebody who mistypes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

INVOKE = Path(sys.executable).with_name("invoke")
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("provision", "--size-gb", "ten"), "--size-gb takes a whole number, not 'ten'."),
        (("provision", "--name", "Lilach"), "Missing: --email."),
        (("status", "--platform", "moon"), "There is no platform 'moon'."),
        (("upgrade", "--all", "--canary", "-1"), "--canary is 0 or more."),
        (("restart",), "Say whom: --name NAME, or --all."),
        (("resize", "--name", "Lilach"), "Say what: --memory-mb, --cpus or --size-gb."),
        (("secrets", "--name", "Lilach", "--set", "JARVIS_LOGIN"), "JARVIS_LOGIN is the platform's own"),
    ],
)
def test_a_mistyped_word_is_answered_with_a_sentence(
    words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        (str(INVOKE), *words),
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "JARVIS_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("--list",), ("platform", "--json"), ("regions", "--platform", "moon")])
def test_a_reader_that_leaves_hears_no_complaint(words: tuple[str, ...], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        (str(INVOKE), *words),
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "JARVIS_HOME": str(tmp_path / "home")},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert "Broken pipe" not in done.stderr
    assert "Traceback" not in done.stderr


def test_work_goes_on_where_nobody_sees_its_progress(tmp_path: Path) -> None:
    done = tmp_path / "done"
    program = (
        "import pathlib; from fly.console import say, step\n"
        "with step('Work') as report:\n"
        "    [report(str(number)) for number in range(1000)]\n"
        f"say('end'); pathlib.Path({str(done)!r}).touch()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run((sys.executable, "-c", program), cwd=ROOT, stderr=writer, check=False)
    os.close(writer)
    assert ended.returncode == 0
    assert done.exists()
