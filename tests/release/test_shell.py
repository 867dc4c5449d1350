"""Story: a shell that a person can use."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.containers import Workspace
from tests.support.shell import CTRL_C, CTRL_D, Shell, without_escapes

SCRIPTS = "שלום, é, 日本, 👋"


@pytest.fixture
def shell(shared_workspace: Workspace) -> Iterator[Shell]:
    """A terminal as a person finds it."""
    shell = shared_workspace.shell()
    yield shell
    shared_workspace.close(shell)


@pytest.fixture
def settled(shell: Shell) -> Shell:
    """A terminal that is ready for commands, in a folder of its own."""
    shell.settle()
    shell.run("cd $(mktemp -d)")
    return shell


def test_a_prompt_says_where_she_is(shell: Shell) -> None:
    """The first thing in a terminal is a prompt in colour that names the workspace, and nothing else."""
    shell.expect(r"\$ ")
    assert re.fullmatch(r"\S*/data/workspace \$ ", without_escapes(shell.transcript))
    assert "\x1b[1;3" in shell.transcript


def test_it_begins_in_the_workspace(settled: Shell) -> None:
    """A terminal begins in /data/workspace, with the home folder and Claude's folder under /data."""
    said = settled.run("cd ~-; pwd; echo $HOME; echo $CLAUDE_CONFIG_DIR; cd; pwd")
    assert said.split() == ["/data/workspace", "/data/home", "/data/claude", "/data/home"]


def test_colours(settled: Shell) -> None:
    """Folders are listed in colour, and programs see a terminal of 256 colours."""
    settled.run("mkdir folder")
    settled.type("ls")
    settled.finished()
    assert re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*mfolder", settled.before)
    assert settled.run("tput colors") == "256"


def test_every_script_is_written_right(settled: Shell) -> None:
    """Names and texts in any script are typed, stored and shown unchanged."""
    settled.run(f"echo '{SCRIPTS}' > 'קובץ.txt'")
    assert settled.run("ls") == "קובץ.txt"
    assert settled.run("cat *.txt; wc -m < *.txt") == f"{SCRIPTS}\n{len(SCRIPTS) + 1}"
    assert settled.run("word=日本; echo ${#word}") == "2"


def test_a_line_is_edited_by_whole_characters(settled: Shell) -> None:
    """Backspace takes back one whole character in any script."""
    settled.press("echo é👋\x7f\x7fok")
    settled.type("")
    assert settled.finished() == (0, "ok")


def test_a_resize_reaches_programs(settled: Shell) -> None:
    """A running program is told that the window has another size, and finds out which."""
    settled.type("bash -c 'trap \"stty size; exit\" WINCH; echo began; while sleep 0.1; do :; done'")
    settled.expect("began")
    settled.resize(132, 43)
    assert settled.finished(20)[1].endswith("43 132")
    assert settled.run("tput cols; tput lines").split()[-2:] == ["132", "43"]


def test_ctrl_c_ends_a_command(settled: Shell) -> None:
    """Ctrl-C ends what runs, at once, and the shell goes on."""
    # The program itself says so: between two of its own commands bash may swallow an interrupt.
    settled.type("sh -c 'echo began; exec sleep 1000'")
    settled.expect("began")
    settled.press(CTRL_C)
    assert settled.finished(5)[0] == 130
    assert settled.run("echo $((6*7))") == "42"


def test_ctrl_c_ends_a_flood(settled: Shell) -> None:
    """Ctrl-C ends a program that prints without end."""
    settled.type("yes flood")
    settled.expect("flood")
    settled.press(CTRL_C)
    assert settled.finished(10)[0] == 130


def test_ctrl_d_leaves(settled: Shell) -> None:
    """Ctrl-D leaves the shell with exit code 0."""
    settled.press(CTRL_D)
    settled.expect_end(5)
    assert settled.exit_code() == 0


def test_a_long_paste_arrives_whole(settled: Shell) -> None:
    """A paste of 200 lines arrives whole and in order."""
    lines = [f"line {number} " + "x" * 60 for number in range(200)]
    settled.type("sh -c 'echo ready; exec cat > pasted'")
    settled.expect("ready")
    for line in lines:
        settled.type(line)
    settled.press(CTRL_D)
    settled.finished()
    assert settled.run("wc -l < pasted; head -1 pasted; tail -1 pasted") == f"200\n{lines[0]}\n{lines[-1]}"


def test_git_keeps_versions(settled: Shell) -> None:
    """git makes a repository, commits and shows the history, without a word of warning."""
    settled.run(
        "export HOME=$PWD; git config --global user.name Lilach; git config --global user.email l@x.example"
    )
    assert settled.run("git init -q . && echo one > file && git add file && git commit -q -m First") == ""
    assert settled.run("git --no-pager log --format='%an: %s'") == "Lilach: First"


def test_search_and_python_work(settled: Shell) -> None:
    """ripgrep finds text, jq reads JSON and Python runs programs."""
    settled.run("printf '{\"answer\": 42}' > a.json")
    assert settled.run("rg -NIo '4.' a.json") == "42"
    assert settled.run("jq .answer a.json") == "42"
    assert settled.run('python3 -c \'import json; print(json.load(open("a.json"))["answer"])\'') == "42"


def test_a_file_can_be_edited(settled: Shell) -> None:
    """The editor opens a file, takes text in and saves it."""
    settled.type("nano letter.txt")
    settled.expect("letter.txt")
    settled.expect("Exit")
    settled.press("Dear Jarvis\x0f")
    settled.expect("Write|File Name")
    settled.type("")
    settled.expect("Wrote")
    settled.press("\x18")
    settled.finished()
    assert settled.run("cat letter.txt") == "Dear Jarvis"


def test_history_comes_back(settled: Shell) -> None:
    """What was typed is found again with the arrow key."""
    settled.run("echo $((40+2))")
    settled.press("\x1b[A")
    settled.type("")
    assert settled.finished() == (0, "42")
