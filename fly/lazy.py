"""Modules that take long to load, and that few verbs need: loaded as they are first used."""

import sys
from importlib import import_module
from typing import Any

BESIDES = {"httpx": "httpx._main"}
"""What a module loads for a command line of its own, which it does without where that is not there."""


class Lazy:
    """Stands for a module until something of it is wanted.

    *Shape*: `docker = Lazy("docker")`, beside `import docker` under TYPE_CHECKING; submodules are reached
    through it. Annotations must not be evaluated: `from __future__ import annotations`.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if self._name in BESIDES:
            sys.modules.setdefault(BESIDES[self._name], None)  # type: ignore[arg-type]  # "there is none"
        return getattr(import_module(self._name), attribute)
