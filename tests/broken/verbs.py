"""How the harness proves itself: images that are broken on purpose, and tests that must notice."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.console import say, verb
from fly.lazy import Lazy
from fly.settings import Settings
from image.build import TAG
from image.release.content import read_content
from image.release.suite import ROOT
from tests.broken.catalogue import CATALOGUE
from tests.broken.coverage import breakers
from tests.broken.making import Broken
from tests.broken.proofs import Proofs
from tests.broken.trial import Good, Verdict, Whole, try_good, try_out, try_whole
from tests.support.run import Run, swept_run
from tests.verbs import install_test_packages, install_what_promises_need

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")

AT_A_TIME = 2
Trial = Broken | Good | Whole


@verb(
    help={
        "image": f"the good image that the broken ones are made from (default {TAG})",
        "only": "only broken images whose name holds this; several with commas",
        "sample": "only so many, chosen by chance",
        "whole": "instead, so many of them through all of `verify` and a push that has to be refused",
        "good": "instead, so often the good image through all of `verify`, which it has to pass",
        "again": "try also what was noticed before: same image, same tests",
        "promises": "only list the promises of the image, and which broken images break each",
        "json": "print the verdicts as JSON",
    }
)
def selftest(
    context: Context,
    image: str = TAG,
    only: str = "",
    sample: int = 0,
    whole: int = 0,
    good: int = 0,
    again: bool = False,
    promises: bool = False,
    json: bool = False,
) -> None:
    """Breaks the image on purpose in many ways, and fails if the tests do not notice each."""
    if promises:
        _show_promises(breakers(), json=json)
        return
    chosen = _chosen(only, sample)
    trials: list[Trial] = [*_whole(chosen, whole), *(Whole(number=number + 1) for number in range(good))]
    if trials:
        install_what_promises_need()
    else:
        install_test_packages()
        trials = [Good(_named_by(chosen)), *chosen]
    began = time.monotonic()
    verdicts = []
    for verdict in _verdicts(image, trials, again=again):
        verdicts.append(verdict)
        say(_told(verdict, f"{len(verdicts)}/{len(trials)}"))
    if json:
        console.print_json([asdict(verdict) for verdict in verdicts])
    else:
        console.listing(
            ("image", "broken how", "verdict", "s", "by"),
            [_row(verdict) for verdict in verdicts],
            "Nothing was tried.",
        )
    say(f"{len(verdicts)} images in {time.monotonic() - began:.0f} s.")
    if wrong := [verdict.name for verdict in verdicts if not verdict.caught]:
        raise Exit(f"Not as it should be: {', '.join(wrong)}.\n  Try: --only {','.join(wrong)}", code=1)


def _show_promises(found: dict[str, list[str]], *, json: bool) -> None:
    if json:
        console.print_json(found)
        return
    rows = [(test, ", ".join(names) or "–") for test, names in found.items()]
    console.listing(("promise", "broken by"), rows, "There are no promises.")
    say(f"{sum(map(bool, found.values()))} of {len(found)} promises are broken by an image on purpose.")


def _told(verdict: Verdict, place: str) -> str:
    mark = "✓" if verdict.caught else "✗"
    return f"{mark} {place} {verdict.name}  {verdict.seconds:.1f} s  {verdict.explanation}"


def _chosen(only: str, sample: int) -> list[Broken]:
    wanted = only.split(",")
    found = [broken for broken in CATALOGUE if any(one.strip() in broken.name for one in wanted)]
    if not found:
        names = ", ".join(broken.name for broken in CATALOGUE)
        raise Exit(f"There is no broken image {only!r}.\n  Try: one of {names}", code=2)
    return random.sample(found, min(sample, len(found))) if sample > 0 else found


def _whole(chosen: Sequence[Broken], count: int) -> list[Whole]:
    """First those of which the whole of `verify` has more to say than the tests; the others by chance."""
    by_chance = random.sample(chosen, len(chosen))
    return [Whole(broken) for broken in sorted(by_chance, key=lambda one: not one.whole)[:count]]


def _named_by(chosen: Sequence[Broken]) -> tuple[str, ...]:
    return tuple(sorted({test for broken in chosen for test in (*broken.fails, *broken.holds)}))


def _verdicts(image: str, trials: Sequence[Trial], *, again: bool) -> Iterator[Verdict]:
    """Of each, as they are done; what was proved before comes first. Whole verifications run alone."""
    client = docker.from_env(timeout=600)
    kept = Settings.read(os.environ, ROOT).home / "releases"
    proofs = Proofs(kept / "selftest.jsonl", read_content(client, image).id)
    at_a_time = 1 if any(isinstance(one, Whole) for one in trials) else AT_A_TIME
    with swept_run(client) as run, ThreadPoolExecutor(at_a_time) as pool:
        known = {} if again else {trial: proofs.find(trial) for trial in trials}
        yield from (verdict for verdict in known.values() if verdict)
        begun = {
            pool.submit(_try, client, run, image, trial, kept / "selftest"): trial
            for trial in trials
            if not known.get(trial)
        }
        try:
            for done in as_completed(begun):
                verdict = done.result()
                proofs.keep(begun[done], verdict)
                yield verdict
        finally:
            for one in begun:
                one.cancel()


def _try(client: docker.DockerClient, run: Run, image: str, trial: Trial, kept: Path) -> Verdict:
    if isinstance(trial, Whole):
        return try_whole(client, run, image, trial, kept)
    return try_good(image, trial) if isinstance(trial, Good) else try_out(client, run, image, trial)


def _row(verdict: Verdict) -> tuple[str, str, str, str, str]:
    return (
        verdict.name,
        verdict.breaks,
        "as it should be" if verdict.caught else "WRONG",
        f"{verdict.seconds:.0f}",
        verdict.explanation,
    )
