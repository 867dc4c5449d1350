"""An operator who types verbs over an engine that only remembers images; nothing else is touched."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from invoke.program import Program

import image.verbs
import tasks
from image.base import BASE_REF
from image.context import Context
from image.release import pins, verbs
from image.release.content import Content
from image.release.records import PASSED, Outcome, Records, Verification
from image.release.suite import ROOT, read_suite
from tests.support.fakeengine import FakeEngine, FakeImage

KEPT = Outcome("tests/image/test_page.py::test_health", "image", "Health is ok.", PASSED, 0.1)
BROKEN = Outcome(
    "tests/image/test_life.py::test_root", "image", "Nothing runs as root.", "failed", 0.1, "uid"
)


@dataclass
class Operator:
    """`root` is her checkout, as far as pins lie in it; `outcomes` is what every verification will find."""

    engine: FakeEngine
    root: Path
    home: Path
    capture: pytest.CaptureFixture[str]
    outcomes: list[Outcome] = field(default_factory=lambda: [KEPT])
    verified: list[str] = field(default_factory=list)
    previous: list[str] = field(default_factory=list)

    def types(self, *words: str, status: int = 0) -> str:
        """All that a line says, on both channels."""
        self.capture.readouterr()
        ended = 0
        try:
            Program(namespace=tasks.ns).run(["invoke", *words])
        except SystemExit as end:
            ended = int(end.code or 0)
        said = "".join(self.capture.readouterr())
        assert ended == status, said
        return said

    def records(self) -> Records:
        return Records(self.home / "releases.sqlite")

    def verify(self, _client: object, records: Records, content: Content, **options: Any) -> Verification:
        """In the place of tests over a container: the outcomes that she was promised."""
        self.verified.append(content.id)
        self.previous.append(options["previous"])
        number = records.begin(content, read_suite(), {"engine": "", "system": "", "cpus": 2, "python": ""})
        for outcome in self.outcomes:
            records.note(number, outcome)
        broken = sum(not one.is_kept for one in self.outcomes)
        records.conclude(number, passed=not broken, seconds=1, why=f"{broken} broken" if broken else "")
        return records.verification(number)


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Has a base that a registry knows, and nothing built yet."""
    root, home = tmp_path / "checkout", tmp_path / "home"
    for name in pins.FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    engine = FakeEngine(
        tmp_path,
        kept=[FakeImage("sha256:base", [BASE_REF], digest="sha256:one")],
        registry={BASE_REF},
        digests={BASE_REF: "sha256:one"},
        mirror={"bash": "5.2", "curl": "8.14-1"},
    )
    made = Operator(engine, root, home, capsys)
    for name in ("FLY_API_TOKEN", "JARVIS_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JARVIS_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    for module in (verbs, image.verbs):
        monkeypatch.setattr(module, "find_engine", lambda *_given: engine)
    monkeypatch.setattr(verbs, "ROOT", root)
    monkeypatch.setattr(verbs, "verify_content", made.verify)
    monkeypatch.setattr(verbs, "npm", lambda: ("npm",))
    for name in ("install_test_packages", "install_what_promises_need"):
        monkeypatch.setattr(verbs, name, lambda: None)
    monkeypatch.setattr("image.build.make_context", _context_of(root))
    return made


def _context_of(root: Path) -> Callable[..., Context]:
    """A build's content is the pins, as they lie there at that moment."""

    def make(**_given: object) -> Context:
        whole = b"".join((root / name).read_bytes() for name in pins.FILES)
        return Context(whole, hashlib.sha256(whole).hexdigest())

    return make


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], None]:
    """What uv, pip and npm do and say is given instead of asked of the world."""
    return lambda run: monkeypatch.setattr(pins, "_run", cast(Any, run))
