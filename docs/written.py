"""The parts of the documents that are written from the code, so that they cannot lie."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from invoke.collection import Collection
from invoke.parser.argument import Argument
from invoke.tasks import Task

from fly.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
HEAD = ("| command | what it does |", "| --- | --- |")
TOPICS = {
    "This machine": {"up", "down", "platform"},
    "Workspaces": {
        *("provision", "destroy", "repair"),
        *("fly.change.verbs", "fly.access.verbs"),
    },
    "People": {"fly.people.verbs", "users"},
    "How all fares": {"fly.watch.verbs", "fly.alarm.verbs", "fly.dashboard.verbs"},
    "Copies": {"fly.backup.verbs", "ledger-backup", "ledger-restore"},
    "Money": {"fly.money.verbs", "fly.invoices.verbs"},
    "Image and releases": {"image.verbs", "image.release.verbs", "verify.selftest"},
    "The project itself": {"tests.verbs", "docs"},
}
"""Which command, or all of which module, belongs where; in the order in which an operator meets them."""


def readme(collection: Collection, environment: Mapping[str, str]) -> str:
    """The README's text with its generated parts brought up to date."""
    text = README.read_text(encoding="utf-8")
    text = _fill(text, "commands", command_table(collection))
    return _fill(text, "environment", environment_table(environment))


def command_table(collection: Collection) -> str:
    """Every command and what it does, as a Markdown table for each topic."""
    named: dict[str, list[str]] = {topic: [] for topic in TOPICS}
    for name, task in _tasks(collection):
        named[_topic(name, task)].append(f"| `invoke {name}` | {_summary(task)} |")
    return "\n\n".join("\n".join([f"### {topic}", "", *HEAD, *rows]) for topic, rows in named.items())


def _topic(name: str, task: Task) -> str:  # type: ignore[type-arg]
    said = {member: topic for topic, members in TOPICS.items() for member in members}
    topic = said.get(name) or said.get(task.body.__module__)
    if topic is None:
        raise SettingsError(f"invoke {name} has no topic.", hint="TOPICS in docs/written.py")
    return topic


def environment_table(environment: Mapping[str, str]) -> str:
    """Every variable that is read, as a Markdown table."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in environment.items()]
    return "\n".join(["| variable | meaning |", "| --- | --- |", *rows])


def command_reference(collection: Collection) -> str:
    """The text of docs/commands.md: every command with its options and what each means."""
    head = "# Commands\n\nWritten by `invoke docs` from the code. `invoke VERB --help` says the same.\n"
    return "\n".join([head, *(_chapter(name, task) for name, task in _tasks(collection))])


def build_site(folder: Path, root: Path = ROOT) -> None:
    """The documents of `root` as a site in `folder`. A link that leads nowhere is an error.

    *Errors*: SettingsError, before anything is touched; or with what the generator complains about.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "sitemap.xml").exists():
        raise SettingsError(f"{folder} holds something else than a site.", hint="name a new folder")
    # Not --quiet: what is not logged, strict does not count.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(
            f"The site could not be built:\n{done.stderr.strip()[-2000:]}",
            hint="mend the document, and run this again",
        )


@cache
def arguments(task: Task) -> Sequence[Argument]:  # type: ignore[type-arg]
    """A task's options. Asked for once: Invoke gives an option its help only the first time."""
    return task.get_arguments()


def _chapter(name: str, task: Task) -> str:  # type: ignore[type-arg]
    rows = [
        f"| `--{str(one.name).replace('_', '-')}` | {one.help or ''} | {_default(one.default)} |"
        for one in arguments(task)
    ]
    table = ["", "| option | meaning | default |", "| --- | --- | --- |", *rows] if rows else []
    return "\n".join([f"## invoke {name}", "", f"{_summary(task)}.", *table, ""])


def _default(value: object) -> str:
    return "" if value in (None, "", False) else f"`{value}`"


def _tasks(collection: Collection) -> Iterator[tuple[str, Task]]:  # type: ignore[type-arg]
    """By the shortest name: a collection's default task has that of its collection too."""
    names = (min((name, *aliases), key=len) for name, aliases in collection.task_names.items())
    for name in sorted(names):
        yield name, collection[name]


def _summary(task: Task) -> str:  # type: ignore[type-arg]
    return (task.__doc__ or "").strip().splitlines()[0].rstrip(".")


def _fill(text: str, mark: str, content: str) -> str:
    pattern = re.compile(rf"(<!-- {mark}:[^\n]*-->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    assert pattern.search(text), f"README has no part named {mark}"
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)
