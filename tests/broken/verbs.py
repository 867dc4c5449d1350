"""How the harness proves itself: images that are broken on purpose, and tests that must notice."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
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
from tests.broken.catalogue import CATALOGUE, Broken
from tests.broken.coverage import breakers
from tests.broken.proofs import Proofs
from tests.broken.trial import Good, Verdict, try_good, try_out
from tests.support.run import swept_run
from tests.verbs import install_test_packages

if TYPE_CHECKING:
    import docker
else:
    docker = Lazy("docker")

AT_A_TIME = 2
Trial = Broken | Good


@verb(
    help={
        "image": f"the good image that the broken ones are made from (default {TAG})",
        "only": "only broken images whose name holds this; several with commas",
        "sample": "only so many, chosen by chance",
        "good": "how often the good image has to pass (default 1)",
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
    good: int = 1,
    again: bool = False,
    promises: bool = False,
    json: bool = False,
) -> None:
    """Breaks the image on purpose in many ways, and fails if the tests do not notice each."""
    if promises:
        _show_promises(breakers(), json=json)
        return
    chosen = _chosen(only, sample)
    install_test_packages()
    began = time.monotonic()
    verdicts = []
    for verdict in _verdicts(image, chosen, good=good, again=again):
        verdicts.append(verdict)
        say(_told(verdict, f"{len(verdicts)}/{len(chosen) + good}"))
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


def _verdicts(image: str, chosen: Sequence[Broken], *, good: int, again: bool) -> Iterator[Verdict]:
    """Of the good image and of the broken ones, as they are done; what was proved before comes first."""
    client = docker.from_env(timeout=120)
    settings = Settings.read(os.environ, ROOT)
    proofs = Proofs(settings.home / "releases" / "selftest.jsonl", read_content(client, image).id)
    tests = tuple(sorted({test for broken in chosen for test in (*broken.fails, *broken.holds)}))
    with swept_run(client) as run, ThreadPoolExecutor(AT_A_TIME) as pool:
        often = (Good(tests, number) for number in range(1, good + 1))
        trials: dict[Trial, Callable[[], Verdict]] = {one: partial(try_good, image, one) for one in often}
        trials |= {broken: partial(try_out, client, run, image, broken) for broken in chosen}
        known = {} if again else {trial: proofs.find(trial) for trial in trials}
        yield from (verdict for verdict in known.values() if verdict)
        begun = {pool.submit(trials[trial]): trial for trial in trials if not known.get(trial)}
        try:
            for done in as_completed(begun):
                verdict = done.result()
                proofs.keep(begun[done], verdict)
                yield verdict
        finally:
            for one in begun:
                one.cancel()


def _row(verdict: Verdict) -> tuple[str, str, str, str, str]:
    return (
        verdict.name,
        verdict.breaks,
        "as it should be" if verdict.caught else "WRONG",
        f"{verdict.seconds:.0f}",
        verdict.explanation,
    )
