"""What an operator types to see how workspaces fare, and to look into one."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from rich.console import Group, RenderableType
from rich.text import Text

from fly import console
from fly.backup.records import confirmed
from fly.client import Client
from fly.console import say, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, Desk, desk, image_reference
from fly.errors import ApiError, JarvisError, Unreachable
from fly.ledger import Ledger, Workspace
from fly.model import Activity, Exec
from fly.money.forecast import costs_so_far
from fly.money.verbs import accounts_of
from fly.watch import logs as logbook
from fly.watch import shell as shells
from fly.watch import usage as usages
from fly.watch.measured import collect
from fly.watch.metrics import SHARED, TIMED
from fly.watch.samples import Sample, Samples
from fly.watch.status import Known, Status, statuses
from fly.watch.status import status as status_of
from fly.watch.wording import percent, size, span
from image.engine import find_engine
from image.release.content import short

GRAFANA = Path(__file__).with_name("grafana.json")
NOBODY = "Nobody yet: invoke provision --name … --email …"
FACTS_EVERY_S = 60.0
A_DAY = timedelta(days=1)


# --- status ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One fact in the table; of two columns that do not both fit, the one with the lower `rank` stays."""

    title: str
    rank: int
    cell: Callable[[Status], str]
    longest: int = 40
    """A longer cell is folded."""


@verb(
    help={
        "name": f"{NAME_HELP}; without it everybody",
        "watch": "stay, and show what changes until Ctrl-C",
        "every": "with --watch: seconds between two looks",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def status(
    context: Context,
    name: str = "",
    watch: bool = False,
    every: float = 5.0,
    json: bool = False,
    platform: str = "",
) -> None:
    """Shows what the machines do at this moment, what they use and cost: all of them, or one in detail."""
    if watch and (json or name or every < 1):
        raise Exit("--watch shows everybody, every second at most.\n  Try: invoke status --watch", code=2)
    with desk(platform) as here:
        if watch:
            console.watch(_Frames(here), every)
            return
        known = _known(here)
        if name:
            found = [status_of(here.client, here.find(name), known)]
        else:
            found = statuses(here.client, here.ledger.workspaces(here.platform.key), known)
    if json:
        shown = [one.to_json() for one in found]
        console.print_json(shown[0] if name else shown)
    elif name:
        _show_status(found[0])
    else:
        console.listing(*fitting(found, console.width()), NOBODY)


class _Frames:
    """What `--watch` shows next; a platform that does not answer for a while ends nothing."""

    def __init__(self, here: Desk) -> None:
        self._here = here
        self._facts = _Facts()
        self._found: list[Status] = []

    def __call__(self) -> RenderableType:
        now = datetime.now().astimezone()
        try:
            self._look()
            line = f"{now:%H:%M:%S}  Ctrl-C ends"
        except (ApiError, Unreachable) as error:
            line = f"{now:%H:%M:%S}  {error}"
        table = console.table(*fitting(self._found, console.width())) if self._found else Text(NOBODY)
        return Group(table, Text(line, style="dim"))

    def _look(self) -> None:
        rows = self._here.ledger.workspaces(self._here.platform.key)
        self._found = statuses(self._here.client, rows, self._facts(self._here))


class _Facts:
    """What is known, worked out anew once a minute: costs do not change faster."""

    def __init__(self) -> None:
        self._known = Known()
        self._worked_out_at = -FACTS_EVERY_S

    def __call__(self, here: Desk) -> Known:
        if time.monotonic() - self._worked_out_at >= FACTS_EVERY_S:
            self._known, self._worked_out_at = _known(here), time.monotonic()
        return replace(self._known, at=datetime.now(UTC))


def _known(here: Desk) -> Known:
    now = datetime.now(UTC)
    try:
        newest = image_reference(here.settings, here.platform)
    except JarvisError:
        newest = ""
    return Known(now, newest, costs_so_far(accounts_of(here), now), confirmed(here.settings.backups))


def fitting(found: Sequence[Status], width: int) -> tuple[list[str], list[list[str]]]:
    """The table's head and rows, with as many columns as a line has room for."""
    cells = {column.title: [column.cell(one) for one in found] for column in COLUMNS}
    kept = [column for column in COLUMNS if column.rank == 0 or any(cells[column.title])]
    while len(kept) > LEAST_COLUMNS and _needed(kept, cells) > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    titles = [column.title for column in kept]
    return titles, [list(row) for row in zip(*(cells[title] for title in titles), strict=True)]


def _needed(columns: Sequence[Column], cells: dict[str, list[str]]) -> int:
    """With a line and two spaces around each."""
    return 1 + sum(
        3 + max(len(column.title), *(min(len(cell), column.longest) for cell in cells[column.title]))
        for column in columns
    )


def _ago(status: Status, at: datetime | None) -> str:
    if at is None:
        return "–"
    seconds = (status.known.at - at).total_seconds()
    return "now" if seconds < 10 else span(seconds)


def _image(status: Status) -> str:
    mark = {True: " ✓", False: " old", None: ""}[status.runs_newest]
    return f"{short(status.image.rpartition('@')[2])}{mark}"


def _of(part: float | None, share: float | None) -> str:
    """How much, and how much of all; nothing of a machine that sleeps."""
    if part is None:
        return "–"
    return f"{size(part)} {percent(share)}" if share is not None else size(part)


COLUMNS = (
    Column("Name", 0, lambda one: one.workspace.name, 24),
    Column("State", 0, lambda one: one.state or one.workspace.state, 12),
    Column("Why awake", 6, lambda one: one.why, 28),
    Column("Last use", 1, lambda one: _ago(one, one.last_used)),
    Column("CPU", 4, lambda one: "–" if one.reading.cpu_ratio is None else percent(one.reading.cpu_ratio)),
    Column("Memory", 5, lambda one: _of(one.reading.memory_bytes, one.reading.memory_share)),
    Column("Disk", 2, lambda one: _of(one.reading.disk_used_bytes, one.reading.disk_share)),
    Column("Image", 8, _image),
    Column("Backup", 7, lambda one: _ago(one, one.backed_up) if one.backed_up else "none"),
    Column("Month", 3, lambda one: _dollars(one.cost)),
    Column("Warnings", 0, lambda one: "; ".join(one.warnings), 32),
)
LEAST_COLUMNS = 4


def _dollars(cost: Decimal | None) -> str:
    return "–" if cost is None else f"${cost:.2f}"


def _show_status(found: Status) -> None:
    row, machine, reading = found.workspace, found.machine, found.reading
    rows = [
        ("User", f"{row.name} <{row.email}>"),
        ("URL", row.url),
        ("Ledger", row.state),
        ("Machine", f"{row.machine_id} {found.state}".strip()),
        ("Volume", row.volume_id),
        ("Region", row.region),
        ("Image", f"{found.image} {'(newest)' if found.runs_newest else ''}".strip()),
        ("Last use", _ago(found, found.last_used)),
        ("CPU", "–" if reading.cpu_ratio is None else f"{percent(reading.cpu_ratio)} of one"),
        ("Memory", _of(reading.memory_bytes, reading.memory_share)),
        ("Disk", _of(reading.disk_used_bytes, reading.disk_share)),
        ("Backup", _ago(found, found.backed_up) if found.backed_up else "none"),
        ("This month", _dollars(found.cost)),
    ]
    rows += [
        (f"Check {check.name}", f"{check.status} {check.output[:60]}")
        for check in (machine.checks if machine else ())
    ]
    rows += _activity_rows(found.activity) if found.activity else []
    rows += [("Left behind", row.left_behind)] if row.left_behind else []
    rows += [("Warning", warning) for warning in found.warnings]
    console.box(row.name, rows)


def _activity_rows(activity: Activity) -> list[tuple[str, str]]:
    if not activity.is_awake:
        return [("Activity", activity.why)]
    soon = activity.sleeps_in_s
    sleeps = "when it is told to" if soon is None else f"in {soon:.0f} s, if nothing more happens"
    return [("Awake because", activity.why), ("Sleeps", sleeps)]


# --- logs -----------------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "follow": "stay, and print what is written until Ctrl-C",
        "since": "only what was written from then on: 10m, 2h, 1d, or 2026-11-23T09:00 in UTC",
        "platform": PLATFORM_HELP,
    }
)
def logs(context: Context, name: str = "", follow: bool = False, since: str = "", platform: str = "") -> None:
    """Prints what a workspace's server has logged."""
    console.require(name=name)
    start = logbook.since(since, datetime.now(UTC)) if since else None
    with desk(platform) as here:
        app = here.find(name).app
        found = (
            logbook.follow(here.client, app, start, report=say)
            if follow
            else logbook.lines(here.client, app, start)
        )
        try:
            for line in found:
                console.plain(f"{line.timestamp}  {line.message}")
                sys.stdout.flush()
        except KeyboardInterrupt:
            if not follow:
                raise
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- shell ----------------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "run": "run this one command and end as it ends, instead of a shell",
        "platform": PLATFORM_HELP,
    }
)
def shell(context: Context, name: str = "", run: str = "", platform: str = "") -> None:
    """Opens a shell in a user's machine, as root, waking it; history keeps that it was opened."""
    console.require(name=name)
    with desk(platform) as here:
        workspace = here.find(name)
        if not run and not sys.stdin.isatty():
            raise Exit("There is no terminal for a shell.\n  Try: --run 'df -h'", code=2)
        say(f"This is the private place of {workspace.name}. History will say that you were here.")
        if shells.wake(here.client, workspace):
            say("It was asleep; it falls asleep again as it always does.")
        # The first word only: what follows may be nobody's business.
        here.ledger.remark(workspace.id, "shell opened", run.split(maxsplit=1)[0] if run.split() else "")
        code = _run(here, workspace, run) if run else _shell(here, workspace)
    if code:
        raise Exit(code=code)


def _run(here: Desk, workspace: Workspace, command: str) -> int:
    return _print(shells.run(here.client, workspace, command))


def _print(said: Exec) -> int:
    sys.stdout.write(said.stdout)
    sys.stdout.flush()
    sys.stderr.write(said.stderr)
    return said.exit_code


def _shell(here: Desk, workspace: Workspace) -> int:
    if here.platform.kind == "local":
        engine = find_engine(lambda _line: None, here.settings.home / "engine")
        say("A terminal in her container. The machine stays awake meanwhile; exit or Ctrl-D ends it.")
        with shells.kept_awake(here.client, workspace):
            return shells.Terminal(engine, workspace).join(sys.stdin.fileno(), sys.stdout.fileno())
    if words := shells.flyctl(workspace):
        say("A terminal over flyctl. The machine may fall asleep under it while nobody uses its page.")
        return subprocess.run(words, check=False).returncode
    say("flyctl is not installed, so each line runs by itself: the folder is kept, variables are not,")
    say("and nothing can ask back. For a real terminal: https://fly.io/docs/flyctl/install/")
    return _lines(here, workspace)


def _lines(here: Desk, workspace: Workspace) -> int:
    """Until `exit` or Ctrl-D; Ctrl-C forgets the line."""
    lines, code = shells.Lines(here.client, workspace), 0
    while True:
        try:
            line = input(f"{workspace.app}:{lines.folder}# ").strip()
        except EOFError:
            console.plain("")
            return code
        except KeyboardInterrupt:
            console.plain("")
            continue
        if line in ("exit", "logout"):
            return code
        if line:
            try:
                code = _print(lines.run(line))
            except JarvisError as error:
                say(console.explain(error))


# --- usage ----------------------------------------------------------------------------------------


@verb(
    help={
        "name": NAME_HELP,
        "days": "how many, up to now",
        "page": "write a page with the same plots to this file",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def usage(
    context: Context, name: str = "", days: int = 7, page: str = "", json: bool = False, platform: str = ""
) -> None:
    """Plots what a user's machine used: CPU, memory, disk, traffic, hours awake and cost."""
    console.require(name=name)
    now = datetime.now(UTC)
    with desk(platform) as here:
        workspace = here.find(name)
        found = _usage(here, workspace, days, now)
    if page:
        console.write_file(page, usages.page(found))
    if json:
        console.print_json(found.to_json())
    elif not page:
        _show_usage(found)


def _usage(here: Desk, workspace: Workspace, days: int, now: datetime) -> usages.Usage:
    """With what the platform has measured up to now, if it answers."""
    spans = [span for account in accounts_of(here) for span in account.spans]
    with Samples(here.settings.watch) as samples:
        try:
            collect(here.client, samples, here.ledger.workspaces(here.platform.key), now)
        except (ApiError, Unreachable) as error:
            say(f"Nothing newer is known: {error}")
        return usages.usage(samples, workspace, spans, days, now)


def _show_usage(found: usages.Usage) -> None:
    if found.is_empty:
        say("Nothing is known of these days: `invoke meter` writes it down, from cron every hour.")
    for chart in found.charts:
        if any(chart.values):
            console.plain(usages.drawn(chart, min(console.width(), 120)) + "\n")
    sent, since = size(found.sent_bytes), f"{found.start:%-d %b %H:%M} UTC"
    console.plain(f"{found.awake_h:.1f} h awake, ${found.cost_usd:.2f}, {sent} sent since {since}")


# --- metrics --------------------------------------------------------------------------------------


@verb(
    help={
        "port": "where on this machine it answers",
        "dashboard": "write a dashboard for Grafana to this file, and end",
        "platform": PLATFORM_HELP,
    }
)
def metrics(context: Context, port: int = 9464, dashboard: str = "", platform: str = "") -> None:
    """Answers a Prometheus of your own on this machine, until Ctrl-C; has a dashboard for Grafana ready."""
    if dashboard:
        console.write_file(dashboard, GRAFANA.read_text(encoding="utf-8"))
        say("In Grafana: Dashboards, New, Import.")
        return
    if not 0 <= port < 65536:
        raise Exit(f"{port} is no port.\n  Try: --port 9464", code=2)
    with desk(platform) as here:
        _serve_metrics(here, port)


def _serve_metrics(here: Desk, port: int) -> None:
    import prometheus_client  # noqa: PLC0415 — costs 40 ms, and this is its only use

    from fly.watch.exporter import Fleet  # noqa: PLC0415 — as above

    facts = _Facts()
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    with Samples(here.settings.watch):  # it is there, and whole, before anybody asks
        pass
    try:
        server, thread = prometheus_client.start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise Exit(f"Port {port} is not free: {error.strerror}.\n  Try: --port {port + 1}", code=1) from None
    registry.register(Fleet(lambda: _looked(here, facts)))
    say(f"http://127.0.0.1:{server.server_port}/metrics answers until Ctrl-C.")
    try:
        thread.join()
    except KeyboardInterrupt:
        server.shutdown()
        server.server_close()
        thread.join()


def _looked(here: Desk, facts: _Facts) -> tuple[list[Status], dict[str, list[Sample]]] | None:
    """In a thread of the server's, so with records and a connection of its own."""
    with Ledger(here.settings.ledger) as ledger, Client(here.platform) as client:
        try:
            known = facts(Desk(here.settings, here.platform, client, ledger))
            found = statuses(client, ledger.workspaces(here.platform.key), known)
        except (ApiError, Unreachable) as error:
            say(str(error))
            return None
    with Samples(here.settings.watch) as samples:
        names = (*TIMED, *SHARED)
        return found, {name: samples.series(None, name, known.at - A_DAY, known.at) for name in names}
