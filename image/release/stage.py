"""A part of the tests run by pytest in a process of its own, and what it says while it runs."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image.release.suite import ROOT

OUTPUT_VARIABLE = "MY_JARVIS_TEST_OUTPUT"
OURS = ("FLY_", "JARVIS_")
END_LIMIT_S = 60
BUSY = ("user", "nice", "system", "irq", "softirq")
"""Columns of the first line of /proc/stat in which a processor works for somebody."""
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq")
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--quiet", "--color=no")
AS_THEY_COME = ("-p", "tests.support.sharing", "--dist", "load", "--maxschedchunk", "1")
"""Whoever is free takes the next test, of those that share what it has made already."""


@dataclass(frozen=True)
class Stage:
    """Which tests, and how: `jobs` of 0 is one after the other, for what is measured."""

    name: str
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    jobs: int = 0
    timeout_s: int = 120
    options: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """What pytest is told."""
        return [
            *self.tests,
            *(f"--deselect={one}" for one in self.left_out),
            *([*AS_THEY_COME, f"--numprocesses={self.jobs}"] if self.jobs else ["--numprocesses=0"]),
            f"--timeout={self.timeout_s}",
            *self.options,
        ]


@dataclass
class Progress:
    """How far a stage is."""

    planned: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    status: int | None = None

    @property
    def missing(self) -> list[str]:
        return [one for one in self.planned if one not in self.done]


@dataclass(frozen=True)
class Effort:
    """What was spent up to a moment. *Units*: seconds, of a clock or of processors.

    `programs_s` is what our own programs took that have ended; `machine_s` what all of this machine did, the
    engine and its containers too, and whatever else runs here; 0 where that cannot be asked.
    """

    clock_s: float
    programs_s: float
    machine_s: float

    @classmethod
    def so_far(cls) -> "Effort":
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(time.monotonic(), ours.ru_utime + ours.ru_stime, _machine_s())

    def since(self, earlier: "Effort") -> dict[str, float]:
        """By name what was spent since then."""
        return {name: round(value - getattr(earlier, name), 1) for name, value in vars(self).items()}


def _machine_s() -> float:
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return 0.0
    columns = dict(zip(COLUMNS, map(int, line.split()[1:]), strict=False))
    return sum(columns[name] for name in BUSY) / os.sysconf("SC_CLK_TCK")


def events(
    stage: Stage, image: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """What the plugin `tests.support.verdicts` says, as it says it; at the end of this it is over."""
    reader, writer = os.pipe()
    command = [
        *(*PYTEST, "-p", "tests.support.verdicts", f"--verdicts={writer}"),
        *(f"--image={image}", *stage.arguments()),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with log_of(stage, folder).open("wb") as log, os.fdopen(reader, encoding="utf-8") as lines:
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment(environment, folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                start_new_session=True,  # Ctrl-C reaches it once, through us
            )
        finally:
            os.close(writer)
        with _ended(process):
            for line in lines:
                if line.endswith("\n"):  # else it was killed in the middle of it
                    yield json.loads(line)


def log_of(stage: Stage, folder: Path) -> Path:
    """What pytest itself printed."""
    return folder / f"pytest-{stage.name}.log"


def last_words(stage: Stage, folder: Path, lines: int = 6) -> str:
    """The end of that."""
    text = log_of(stage, folder).read_text(encoding="utf-8", errors="replace")
    return " / ".join(line.strip() for line in text.strip().splitlines()[-lines:])


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Whatever happens, the tests end and remove what they have made."""
    try:
        yield
        process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Neither the operator's tokens nor her settings are the tests' business."""
    kept = {name: value for name, value in given.items() if not name.startswith(OURS)}
    return {**kept, OUTPUT_VARIABLE: str(folder)}


def tier_of(test: str) -> str:
    """`image` of `tests/image/test_page.py::…`."""
    parts: Sequence[str] = test.partition("::")[0].split("/")
    return parts[1] if len(parts) > 2 else ""
