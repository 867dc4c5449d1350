"""Who imports whom (docs/design.md), held by reading the imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from invoke.collection import Collection

import tasks

ROOT = Path(__file__).resolve().parents[2]
DOING_IO = {
    "asyncio", "docker", "httpx", "http", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3",
    "ssl", "subprocess", "tempfile", "time", "urllib.request",
}  # fmt: skip
SPEAKING = {"verbs.py", "console.py", "desk.py", "__main__.py"}
OURS = ("fly", "image", "webapp", "tasks", "tests")


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, also those inside functions, in full dotted form."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(folder: str) -> list[Path]:
    found = [path for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    assert found, f"no sources under {folder}"
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def offenders(paths: list[Path], forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in imports(path)
        if any(within(name, package) for package in forbidden)
        and not any(within(name, package) or package.startswith(f"{name}.") for package in allowed)
    ]


def test_the_web_app_knows_nothing_of_the_operators_side() -> None:
    assert offenders(sources("image/webapp"), ("fly", "image", "tasks", "tests")) == []


def test_the_operators_side_knows_nothing_of_the_web_app() -> None:
    assert offenders(sources("fly"), ("webapp", "image.webapp")) == []


def test_the_embedded_platform_is_an_independent_witness() -> None:
    allowed = ("fly.local", "fly.errors")
    assert offenders(sources("fly/local"), ("fly", "image", "tasks"), allowed) == []


def test_nothing_imports_the_tasks() -> None:
    library = [p for f in ("fly", "image") for p in sources(f) if p.name not in SPEAKING]
    assert offenders(library, ("tasks", "fly.verbs", "image.verbs", "tests", "invoke", "rich")) == []


def test_errors_import_nothing_of_ours() -> None:
    assert offenders([ROOT / "fly/errors.py"], OURS) == []


@pytest.mark.parametrize("name", ["fly/plan.py", "fly/model.py", "fly/local/idle.py"])
def test_pure_modules_do_no_io(name: str) -> None:
    assert offenders([ROOT / name], tuple(DOING_IO)) == []


def test_only_the_client_and_who_asks_pages_speak_http() -> None:
    speakers = {path.relative_to(ROOT).as_posix() for path in sources("fly") if "httpx" in set(imports(path))}
    assert speakers <= {"fly/client.py", "fly/page.py", "fly/trust.py", "fly/backup/wire.py"}


def test_only_one_file_speaks_to_docker_in_the_platform() -> None:
    speakers = {
        path.name for path in sources("fly/local") if any(within(name, "docker") for name in imports(path))
    }
    assert speakers <= {"docker.py"}


def test_only_settings_reads_the_environment_of_the_operator() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in sources("fly")
        if "local" not in path.parts and path.name not in {"verbs.py", "desk.py"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers <= {"fly/settings.py"}


def test_nothing_is_imported_in_a_circle() -> None:
    """Neither for types alone nor within functions: who needs the other's name needs a better cut."""
    modules = _modules("fly", "image")
    graph = {name: (set(imports(path)) & set(modules)) - {name} for name, path in modules.items()}
    with_circles = {name for name in graph if name in _reached(graph, name)}
    assert with_circles == set()


def _modules(*folders: str) -> dict[str, Path]:
    found = [path for folder in folders for path in sources(folder) if "webapp" not in path.parts]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in found
    }


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    """All that it imports, by whatever way."""
    reached: set[str] = set()
    ahead = set(graph[start])
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead |= graph[name] - reached
    return reached


def test_the_library_does_not_print() -> None:
    printers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("fly", "image")
        for path in sources(folder)
        if path.name not in SPEAKING
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printers == []


WITHOUT = """
import importlib.metadata, re, sys
locked = {re.sub(r"[-_.]+", "-", name).lower() for name in sys.argv[1:]}
places = importlib.metadata.packages_distributions().items()
missing = {
    top for top, names in places if not locked & {re.sub(r"[-_.]+", "-", name).lower() for name in names}
}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"no module named {name!r} on a fresh machine", name=name)

sys.meta_path.insert(0, Missing())
import gc, tasks
from fly.lazy import Lazy
for one in [one for one in gc.get_objects() if type(one) is Lazy]:
    one.__spec__  # loads it
"""


HEAVY = {
    "argon2", "docker", "email_validator", "httpx", "jinja2", "openpyxl", "prometheus_client", "requests",
    "starlette", "urllib3", "uvicorn",
}  # fmt: skip


def test_verbs_are_listed_without_loading_what_only_some_of_them_need() -> None:
    """Every verb takes as long to start as all that is loaded for the list of them; see `fly/lazy.py`."""
    loaded = {name.partition(".")[0] for name in _modules_of("import sys, tasks", [])}
    assert "fly" in loaded
    assert loaded & HEAVY == set()


def test_a_client_of_http_brings_no_command_line_along() -> None:
    loaded = _modules_of("import sys, fly.client; fly.client.httpx.Client", [])
    assert "httpx" in loaded
    assert loaded & {"click", "pygments"} == set()


@pytest.mark.parametrize(
    ("words", "idle"),
    [
        (["users"], {"fly.backup", "fly.change.verbs", "fly.money", "fly.watch", "image.build"}),
        (["status"], {"fly.people.verbs", "fly.alarm.verbs", "fly.verbs", "image.build", "tests.verbs"}),
        (["--write-pyc", "users", "status"], {"fly.people.verbs", "fly.alarm.verbs", "tests.verbs"}),
    ],
)
def test_a_verb_loads_no_other_verbs(words: list[str], idle: set[str]) -> None:
    loaded = _modules_of("import sys; sys.argv[1:] = {!r}; import tasks", words)
    assert loaded & HEAVY == set()
    assert {name for name in idle if any(within(one, name) for one in loaded)} == set()


def _modules_of(code: str, words: list[str]) -> set[str]:
    told = f"{code.format(words)}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("words", [[], ["--list"], ["--help", "users"], ["users", "--list"], ["nonsense"]])
def test_who_asks_for_a_list_or_errs_is_told_of_every_verb(words: list[str]) -> None:
    assert tasks.needed(words) == list(tasks.VERBS)


def test_every_verb_is_where_the_tasks_say() -> None:
    there = {
        name: {task.name for task in Collection.from_module(import_module(name)).tasks.values()}
        for name in tasks.VERBS
    }
    said = {name: {one.rpartition(".")[2] for one in verbs.split()} for name, verbs in tasks.VERBS.items()}
    assert said == there
    assert {path for path in _modules("fly", "image") if path.endswith(".verbs")} <= set(tasks.VERBS)


def test_the_verbs_need_nothing_that_only_the_tests_bring() -> None:
    """A fresh machine has what `requirements.lock` names; what tests need comes with `invoke test`."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *locked], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
