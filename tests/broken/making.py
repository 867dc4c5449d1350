"""How an image is broken on purpose: what it is called, and the lines that break it."""

from __future__ import annotations

import json
from dataclasses import dataclass

ENTRYPOINT = "/opt/jarvis/entrypoint.sh"
WEBAPP = "/opt/jarvis/app/webapp"
WRAPPER = "/usr/local/bin/claude"
LOGS_IN = 'if [ "${1-}" = authenticate ]; then shift; set -- auth login "$@"; fi'
"""The line of the wrapper by which `claude authenticate` is a login."""

STANDS_ALONE = (
    "image/test_contents.py::test_labels_say_what_it_is",
    "image/test_contents.py::test_nobody_has_a_password",
    "image/test_shared_facts.py::test_the_health_path_is_the_plans",
)
"""Promises that hold whether or not the server starts."""
WHILE_IT_RUNS = ("image/test_contents.py::test_the_clock_is_utc",)
"""Promises that hold as long as it starts at all."""


@dataclass(frozen=True)
class Broken:
    """One broken image."""

    name: str
    breaks: str
    layers: tuple[str, ...]
    """Dockerfile lines on top of the good image."""
    fails: tuple[str, ...]
    """Tests that must fail, from `tests/` on; without brackets: at least one case of it."""
    because: str
    """A regular expression that each of those failures shows."""
    holds: tuple[str, ...] = STANDS_ALONE + WHILE_IT_RUNS
    """Tests that must pass nevertheless."""
    whole: str = ""
    """What the whole of `verify` has to say of it, where that is more than the tests say."""


def edit(path: str, *changes: tuple[str, str]) -> str:
    """A line that replaces text in a file of the image; it fails where the text is missing.

    A module of the server is compiled anew: its bytecode is never compared with its source.
    """
    script = (
        "import compileall, json, pathlib, py_compile, sys\n"
        "path = pathlib.Path(sys.argv[1]); text = path.read_text()\n"
        "for old, new in json.loads(sys.argv[2]):\n"
        "    assert text.count(old) == 1, f'{text.count(old)} times in {path}: {old}'\n"
        "    text = text.replace(old, new)\n"
        "path.write_text(text)\n"
        "unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH\n"
        "good = path.suffix != '.py' or compileall.compile_file(path, force=True, quiet=1, "
        "invalidation_mode=unchecked)\n"
        "assert good, path\n"
    )
    return "RUN " + json.dumps(["python3", "-ISc", script, path, json.dumps(changes)])


REWRITES = (
    "import gzip, json, os, pathlib, re, sys\n"
    "static = pathlib.Path('/opt/jarvis/app/static')\n"
    "def write(path, text):\n"
    "    path.write_text(text); path.with_name(path.name + '.br').unlink(missing_ok=True)\n"
    "    path.with_name(path.name + '.gz').write_bytes(gzip.compress(text.encode()))\n"
)
"""What a line that changes the built page begins with."""


def append_to_page(pattern: str, text: str) -> str:
    """A line that adds to a file of the built page; it fails where not exactly one has such a name.

    `WEIGHT` in the text becomes 80 KB that nothing compresses.
    """
    script = (
        f"{REWRITES}[path] = static.glob(sys.argv[1])\n"
        "write(path, path.read_text() + sys.argv[2].replace('WEIGHT', os.urandom(40000).hex()))\n"
    )
    return "RUN " + json.dumps(["python3", "-ISc", script, pattern, text])


def in_page(*changes: tuple[str, str]) -> str:
    """A line that replaces what a pattern finds in the built page; it fails where that is not there once.

    The build shortens names: they are for the pattern to leave open.
    """
    script = (
        f"{REWRITES}texts = {{path: path.read_text() for end in ('js', 'css', 'html')"
        " for path in static.rglob('*.' + end)}\n"
        "for pattern, text in json.loads(sys.argv[1]):\n"
        "    found = [path for path, whole in texts.items() for _ in re.findall(pattern, whole)]\n"
        "    assert len(found) == 1, f'{found}: {pattern}'\n"
        "    texts[found[0]] = re.sub(pattern, text, texts[found[0]])\n"
        "    write(found[0], texts[found[0]])\n"
    )
    return "RUN " + json.dumps(["python3", "-ISc", script, json.dumps(changes)])


def at_start(commands: str) -> str:
    """A line that makes each start do this too, as root, before anything else."""
    return edit(ENTRYPOINT, ("if [ -O / ]; then\n", f"if [ -O / ]; then\n  {commands}\n"))


def wrapper(*lines: str) -> str:
    """A line that puts another program in the place of `claude`."""
    script = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    return "RUN " + json.dumps(["python3", "-ISc", script, WRAPPER, "\n".join(("#!/bin/sh", *lines, ""))])


def give_capability(path: str) -> str:
    """A line that gives whoever starts a program root's right to be anybody (CAP_SETUID)."""
    script = (
        "import os, struct, sys\n"
        "permitted, effective, revision = 1 << 7, 1, 0x02000000\n"
        "value = struct.pack('<5I', revision | effective, permitted, 0, 0, 0)\n"
        "os.setxattr(sys.argv[1], 'security.capability', value)\n"
    )
    return "RUN " + json.dumps(["python3", "-ISc", script, path])
