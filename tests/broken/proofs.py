"""What was found out before about broken images: an interrupted selftest goes on where it was.

A finding holds for one good image by its content, one version of the tests, and one way to break it. Only
what was noticed for the right reason is kept; anything else is tried anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from image.release.suite import ROOT, read_suite
from tests.broken.making import Broken
from tests.broken.trial import Good, Verdict, Whole

JUDGE = Path(__file__).with_name("trial.py")


class Proofs:
    """The file at `path`, one JSON object a line, only ever added to."""

    def __init__(self, path: Path, image: str) -> None:
        self._path = path
        of = f"{image} {read_suite(ROOT).sha256}".encode()
        self._of = hashlib.sha256(of + JUDGE.read_bytes()).hexdigest()
        self._known = dict(self._read())

    def find(self, trial: Broken | Good | Whole) -> Verdict | None:
        """What was found out about it before."""
        return self._known.get(self._key(trial))

    def keep(self, trial: Broken | Good | Whole, verdict: Verdict) -> None:
        if not verdict.caught:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        line = json.dumps({"key": self._key(trial), **asdict(verdict)}, ensure_ascii=False)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}")

    def _key(self, trial: Broken | Good | Whole) -> str:
        return hashlib.sha256(f"{self._of} {trial!r}".encode()).hexdigest()

    def _read(self) -> Iterable[tuple[str, Verdict]]:
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for line in filter(None, lines):
            try:
                told = json.loads(line)
                yield told.pop("key"), Verdict(**told)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # half a line of a killed run proves nothing
