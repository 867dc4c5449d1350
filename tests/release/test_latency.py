"""Story: a page that wakes quickly. The figures are reported; only a wild one fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from fly.plan import HEALTH_PATH
from image.patience import patience
from tests.support.containers import Workspace, Workspaces
from tests.support.figures import Figures
from tests.support.static import static_server
from tests.support.volumes import Volume

SUSPENDS, STOPS, WARM_UP, POLL_S = 20, 5, 1, 0.005
WILD = 6.0
"""So many times a static server's own start or wake: something is broken, not slow."""


def test_it_wakes_from_a_suspend(workspaces: Workspaces, kept_volume: Volume, figures: Figures) -> None:
    """Each wake from suspended is answered, in the order of a static server's time in the same image."""
    workspace = workspaces.start(kept_volume)
    static = static_server(workspaces)
    pairs = [(_wake_time(static), _wake_time(workspace)) for _ in range(WARM_UP + SUSPENDS)][WARM_UP:]
    assert _compared("suspended -> 200", pairs, figures) < WILD


def test_it_starts_from_stopped(workspaces: Workspaces, kept_volume: Volume, figures: Figures) -> None:
    """Each start from stopped is answered, in the order of a static server's time in the same image."""
    workspace = workspaces.start(kept_volume)
    static = static_server(workspaces)
    pairs = [(_start_time(static), _start_time(workspace)) for _ in range(STOPS)]
    assert _compared("stopped -> 200", pairs, figures) < WILD


def _compared(what: str, pairs: list[tuple[float, float]], figures: Figures) -> float:
    """The ratio of the best of each: what else this machine does only ever makes one longer."""
    static_s, workspace_s = ([pair[side] for pair in pairs] for side in (0, 1))
    figures.times(f"{what}, static server in the same image", static_s)
    figures.times(what, workspace_s)
    ratio = min(workspace_s) / min(static_s)
    figures.ratio(f"{what} against the static server", ratio)
    return ratio


def _wake_time(workspace: Workspace) -> float:
    return _timed(workspace, workspace.suspend, workspace.resume)


def _start_time(workspace: Workspace) -> float:
    return _timed(workspace, lambda: workspace.stop("SIGKILL"), workspace.container.start)


def _timed(workspace: Workspace, to_sleep: Callable[[], object], wake: Callable[[], object]) -> float:
    """From the platform's call to the first 200, over a new connection."""
    to_sleep()
    began = time.perf_counter()
    wake()
    while not _answers(workspace.port):
        assert time.perf_counter() - began < 30 * patience(), "no answer"
        time.sleep(POLL_S)
    return time.perf_counter() - began


def _answers(port: int) -> bool:
    """Below any HTTP library, whose own time would be measured with it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(
                f"GET {HEALTH_PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
            )
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
