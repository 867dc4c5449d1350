"""What an operator types about who may come in."""

from invoke.context import Context

from fly import console
from fly.access import keys
from fly.access.handover import open_secret
from fly.access.welcome import LOGINS, NONE, PASSWORD, Welcome
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, desk
from fly.ledger import Workspace

LOGIN_HELP = f"how she signs in: {', '.join(LOGINS)}"


def facts(row: Workspace, welcome: Welcome) -> list[tuple[str, str]]:
    """The lines of a box that an operator sends on."""
    if welcome.login == PASSWORD:
        return [("Name", welcome.user), ("Password", welcome.secret.reveal())]
    return [("Link", "below, where nothing cuts it in two")]


def advice(welcome: Welcome) -> str:
    """How to hand it over."""
    if welcome.login == PASSWORD:
        return "Send her the URL, the name and the password, the password by another way."
    if welcome.login == NONE:
        return "Send her the URL; whoever has it is in, so send it as you would send a password."
    return "Send her the link; it lets in whoever has it, so send it as you would send a password."


@verb(help={"name": NAME_HELP, "json": JSON_HELP, "platform": PLATFORM_HELP})
def link(context: Context, name: str = "", json: bool = False, platform: str = "") -> None:
    """Prints the link (or name and password) that lets a user in."""
    console.require(name=name)
    with desk(platform) as here:
        row = here.find(name)
        welcome = keys.current(here.client, here.ledger, row)
    _show(row, welcome, as_json=json)


@verb(
    name="rotate-key",
    help={
        "name": NAME_HELP,
        "login": f"{LOGIN_HELP} (default: as before)",
        "yes": "do not ask",
        "dry_run": "show what would be changed; change nothing",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    },
)
def rotate_key(
    context: Context,
    name: str = "",
    login: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Gives a workspace a new key: every device is signed out, its machine restarts"""
    console.require(name=name)
    with desk(platform) as here:
        row = here.find(name)
        if dry_run:
            say(f"Would restart {row.app} with a new key and sign out all its devices. Nothing was changed.")
            return
        console.confirm(f"Restart {row.app} with a new key and sign out all its devices?", yes=yes)
        with step(f"A new key for {row.app}") as report:
            welcome = keys.rotate(here.client, here.ledger, row, login=login, report=report)
    _show(row, welcome, as_json=json)


@verb(name="open", help={"name": NAME_HELP, "platform": PLATFORM_HELP})
def open_(context: Context, name: str = "", platform: str = "") -> None:
    """Opens a workspace's page in the browser, signed in, and prints its URL"""
    console.require(name=name)
    with desk(platform) as here:
        row = here.find(name)
        welcome = keys.current(here.client, here.ledger, row)
    console.plain(row.url)
    if not open_secret(welcome.link(row.url)):
        say(f"No browser has opened it. `invoke link --name {row.app}` prints the link for one elsewhere.")


def _show(row: Workspace, welcome: Welcome, *, as_json: bool) -> None:
    if as_json:
        console.print_json(welcome.to_json(row.url))
    elif welcome.login == PASSWORD:
        console.box(row.name, [("URL", row.url), *facts(row, welcome)], [advice(welcome)])
    else:
        console.plain(welcome.link(row.url))
