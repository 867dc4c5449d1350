"""How the harness proves itself: images that are broken on purpose, and tests that must notice."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict

import docker
from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.console import say, verb
from image.build import TAG
from tests.broken.catalogue import CATALOGUE, Broken
from tests.broken.trial import Verdict, try_good, try_out
from tests.support.run import swept_run
from tests.verbs import install_test_packages

AT_A_TIME = 2


@verb(
    help={
        "image": f"the good image that the broken ones are made from (default {TAG})",
        "only": "only broken images whose name holds this",
        "sample": "only so many, chosen by chance",
        "json": "print the verdicts as JSON",
    }
)
def selftest(context: Context, image: str = TAG, only: str = "", sample: int = 0, json: bool = False) -> None:
    """Breaks the image on purpose in many ways, and fails if the tests do not notice each."""
    chosen = _chosen(only, sample)
    install_test_packages()
    verdicts = []
    for verdict in _verdicts(image, chosen):
        say(
            f"{'✓' if verdict.caught else '✗'} {verdict.name}  {verdict.seconds:.1f} s  {verdict.explanation}"
        )
        verdicts.append(verdict)
    if json:
        console.print_json([asdict(verdict) for verdict in verdicts])
    else:
        console.listing(
            ("image", "broken how", "verdict", "by"),
            [_row(verdict) for verdict in verdicts],
            "Nothing was tried.",
        )
    if wrong := [verdict.name for verdict in verdicts if not verdict.caught]:
        raise Exit(f"Not as it should be: {', '.join(wrong)}.\n  Try: --only {wrong[0]}", code=1)


def _chosen(only: str, sample: int) -> list[Broken]:
    found = [broken for broken in CATALOGUE if only in broken.name]
    if not found:
        names = ", ".join(broken.name for broken in CATALOGUE)
        raise Exit(f"There is no broken image {only!r}.\n  Try: one of {names}", code=2)
    return random.sample(found, min(sample, len(found))) if sample > 0 else found


def _verdicts(image: str, chosen: Sequence[Broken]) -> Iterator[Verdict]:
    """Of the good image and of the broken ones, as they are done."""
    client = docker.from_env(timeout=120)
    with swept_run(client) as run, ThreadPoolExecutor(AT_A_TIME) as pool:
        tests = dict.fromkeys(test for broken in chosen for test in (*broken.fails, *broken.holds))
        trials = [pool.submit(try_good, image, tests)]
        trials += [pool.submit(try_out, client, run, image, broken) for broken in chosen]
        try:
            for trial in as_completed(trials):
                yield trial.result()
        finally:
            for trial in trials:
                trial.cancel()


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    return (
        verdict.name,
        verdict.breaks,
        "as it should be" if verdict.caught else "WRONG",
        verdict.explanation,
    )
