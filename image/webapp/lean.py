"""Importing libraries without the half of them that we never use.

The Agent SDK can serve tools over MCP from inside our own process, and imports pydantic, an HTTP client and
more for it: 45 MB and most of a second. We serve none (MCP servers that a person sets up are Claude Code's
own affair), so placeholders stand in for those packages while the SDK is imported.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

NOT_NEEDED = frozenset({"mcp", "jsonschema"})


class _Nothing:
    def __init_subclass__(cls, **_options: Any) -> None:
        """May be inherited from, in whatever way."""


class _Placeholder(ModuleType):
    """Has whatever is asked of it, as classes that can do nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Nothing,), {})


class _Placeholders:
    """Finder and loader, without the classes of `importlib.abc`: those bring more than all of this."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        wanted = fullname.partition(".")[0] in NOT_NEEDED
        return ModuleSpec(fullname, cast(Any, self), is_package=True) if wanted else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


@contextlib.contextmanager
def without_mcp() -> Iterator[None]:
    """What is imported in here sees placeholders; everybody else the real packages."""
    finder = _Placeholders()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if isinstance(module, _Placeholder)]:
            del sys.modules[name]


def uvicorn_alone() -> Any:
    """uvicorn without its command line, which it loads at once, and which takes longer than all the rest.

    Shape: a module with `Server` and `Config`
    """
    if "uvicorn" not in sys.modules:
        spec = importlib.util.find_spec("uvicorn")
        assert spec
        package: Any = importlib.util.module_from_spec(spec)
        sys.modules["uvicorn"] = package
        package.Config = importlib.import_module("uvicorn.config").Config
        package.Server = importlib.import_module("uvicorn.server").Server
    return sys.modules["uvicorn"]
