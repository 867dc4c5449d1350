"""How verbs speak: progress on stderr, the one result on stdout, errors as a sentence and a next step."""

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task, task
from rich.box import ROUNDED
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fly.errors import JarvisError
from fly.reader import NOBODY_READS, into_nothing


class _Progress(Console):
    """Progress that nobody sees any more is no reason to stop half way."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        into_nothing(sys.stderr)


class _Result(Console):
    """The result was all that was left to do."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        into_nothing(sys.stdout)
        raise SystemExit(NOBODY_READS)


stderr = _Progress(stderr=True, highlight=False, soft_wrap=True)
stdout = _Result(highlight=False)


def verb(**options: Any) -> Callable[[Callable[..., None]], Task[Any]]:
    """A task whose errors end as a sentence, never as a traceback.

    `positional` is empty unless given, since Invoke otherwise takes `--help` after a task's name for the
    value of its first argument (pyinvoke/invoke#982); where there is one, `--help` in its place is answered
    here.
    """
    positional = tuple(options.setdefault("positional", []))

    def wrap(body: Callable[..., None]) -> Task[Any]:
        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> None:
            for name in positional:
                _answer_help(body, name, str(kwargs.get(name, "")), options.get("help", {}))
            try:
                body(*args, **kwargs)
            except JarvisError as error:
                raise Exit(explain(error), code=1) from None
            except KeyboardInterrupt:
                raise Exit("Stopped.", code=130) from None

        return cast(Task[Any], task(run, klass=_Verb, **options))

    return wrap


class _Argument(Argument):
    """Says what it takes where the value makes no sense; Invoke would end in a traceback."""

    def set_value(self, value: Any, cast: bool = True) -> None:
        try:
            super().set_value(value, cast)
        except ValueError:
            wanted = "whole number" if self.kind is int else "number"
            option = (self.name or "").replace("_", "-")
            raise Exit(f"--{option} takes a {wanted}, not {value!r}.", code=2) from None


class _Verb(Task[Any]):
    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        found = super().get_arguments(ignore_unknown_help)
        for argument in found:
            argument.__class__ = _Argument
        return found


def _answer_help(body: Callable[..., None], name: str, value: str, meanings: dict[str, str]) -> None:
    if value in {"--help", "-h"}:
        summary = (body.__doc__ or "").strip().splitlines()[0]
        usage = f"invoke {body.__name__.rstrip('_')} {name.upper()}"
        raise Exit(f"{usage}\n  {summary}\n  {name.upper()}: {meanings.get(name, '')}", code=0)


def explain(error: JarvisError) -> str:
    """What failed and what to try next, the hint on a line of its own."""
    return f"{error}\n  Try: {error.hint}" if error.hint else str(error)


def require(**values: str | None) -> None:
    """Refuses a missing option: with `positional=[]` Invoke passes None instead of complaining."""
    missing = [f"--{name.replace('_', '-')}" for name, value in values.items() if not value]
    if missing:
        raise Exit(f"Missing: {', '.join(missing)}.\n  Try: add --help to see what each one means", code=2)


def say(line: str) -> None:
    """One line of progress."""
    stderr.print(Text(line))


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Shows that `title` is under way, then how long it took; yields a reporter of the moment's detail."""
    started = time.monotonic()
    with stderr.status(Text(f"{title} …")) as status:
        yield _reporter(title, status.update)
        took_s = time.monotonic() - started
    stderr.print(Text.assemble(("✓ ", "green"), title, (f"  {took_s:.1f} s", "dim")))


def _reporter(title: str, update: Callable[[Text], None]) -> Callable[[str], None]:
    if stderr.is_terminal:
        return lambda detail: update(Text.assemble(f"{title} … ", (detail[:100], "dim")))
    stderr.print(Text(f"{title} …"))
    return lambda detail: stderr.print(Text(f"    {detail}"))


def box(title: str, rows: Sequence[tuple[str, str]], footer: Sequence[str] = ()) -> None:
    """The result a person reads: labelled facts in a frame, and what to do next."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(label, Text(value))
    if footer:
        table.add_row("", "")
        for number, line in enumerate(footer, 1):
            table.add_row("Next steps" if number == 1 else "", Text(f"{number}. {line}"))
    stdout.print(Panel(table, title=title, box=ROUNDED, border_style="green", expand=False, padding=(1, 2)))


def listing(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """A table, or the sentence that says why there is none."""
    stdout.print(table(columns, rows) if rows else Text(empty))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Looks the same, and is drawn in a third of the time, where each column is one cell of many lines."""
    table = Table(box=ROUNDED, header_style="bold", border_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in [_below_each_other(rows)] if rows and _fits(columns, rows) else rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _below_each_other(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["\n".join(cells) for cells in zip(*rows, strict=True)]


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether every cell is one line for certain: with a line and two spaces around each, all have room."""
    if not all(cell.isprintable() for row in rows for cell in row):
        return False
    widest = (max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True))
    return 1 + sum(3 + width for width in widest) <= stdout.width


def watch(frame: Callable[[], RenderableType], every_s: float) -> None:
    """Shows a frame and, again and again, the next one in its place, until Ctrl-C."""
    if not stdout.is_terminal:
        raise Exit("There is no terminal to show this on.\n  Try: without --watch", code=2)
    with suppress(KeyboardInterrupt), Live(frame(), console=stdout, screen=True, auto_refresh=False) as live:
        while True:
            live.refresh()
            time.sleep(every_s)
            live.update(frame())


def width() -> int:
    """How many characters a line of the terminal holds."""
    return stdout.width


def plain(text: str) -> None:
    """Text as it is, for a person or a pipe."""
    sys.stdout.write(f"{text}\n")


def write_file(path: str, text: str) -> None:
    """A result that was asked for as a file; says where it lies."""
    place = Path(path).expanduser().absolute()
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Exit(f"{place} can not be written: {error.strerror}.\n  Try: another path", code=1) from None
    say(str(place))


def print_json(value: object) -> None:
    """The one result a program reads."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def confirm(question: str, *, yes: bool) -> None:
    """Asks before something is destroyed; without a terminal only `--yes` will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Exit(f"{question}\n  Try: add --yes (there is no terminal to ask on)", code=2)
    if stderr.input(f"{question} [y/N] ", markup=False).strip().lower() not in {"y", "yes"}:
        raise Exit("Nothing was changed.", code=1)
