"""What an operator types to see everything at once."""

import contextlib
import secrets
import socket
from datetime import UTC, datetime

from invoke.context import Context

from fly import console
from fly.access.handover import open_secret
from fly.client import Client
from fly.console import say, verb
from fly.dashboard.look import look
from fly.dashboard.overview import Overview
from fly.desk import PLATFORM_HELP, Desk, desk
from fly.errors import PlanError
from fly.ledger import Ledger
from fly.money.verbs import accounts_of
from fly.settings import Secret


@verb(
    help={
        "port": "where it is served on this machine (default: any free one)",
        "no_browser": "only print the address",
        "platform": PLATFORM_HELP,
    }
)
def dashboard(context: Context, port: int = 0, no_browser: bool = False, platform: str = "") -> None:
    """Shows the fleet, costs, uptime and more on a page of this machine, until Ctrl-C"""
    import uvicorn  # noqa: PLC0415 — a tenth of what every verb takes to start, and no other serves anything

    from fly.dashboard.server import Dashboard  # noqa: PLC0415 — as above

    token = Secret(secrets.token_urlsafe(24))
    with desk(platform) as here, _listening(port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/#token={token.reveal()}"
        server = uvicorn.Server(
            uvicorn.Config(
                Dashboard(lambda: _look(here), token).app(),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        console.plain(url)
        if no_browser or not open_secret(url):
            say("Open this address in a browser on this machine; only it lets anybody in.")
        say("Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            server.run(sockets=[listener])


def _look(here: Desk) -> Overview:
    """With connections of its own: requests are answered in other threads than the verb's."""
    with Ledger(here.settings.ledger) as ledger, Client(here.platform) as client:
        now = Desk(here.settings, here.platform, client, ledger)
        return look(here.settings, client, ledger, accounts_of(now), datetime.now(UTC))


def _listening(port: int) -> socket.socket:
    """*Errors*: PlanError."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise PlanError(
            f"The dashboard can not be served on port {port}: {error}", hint="--port 0 takes a free one"
        ) from error
