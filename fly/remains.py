"""What of a workspace exists on the platform: found by its marks, removed only when it is ours."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fly.client import Client
from fly.errors import ApiError, NotFound, NotInTime, ProvisionError, Unreachable
from fly.model import App, Machine, Volume
from fly.plan import VOLUME_NAME, WORKSPACE_MARK, network_of

LOOK_AGAIN_S = (0.5, 1.0, 2.0)
"""How long to wait before each further look for something whose making may still be under way."""
GONE_S = 90.0
"""How long a deleted app may still be seen."""


def is_ours(app: App, network: str) -> bool:
    """Whether an app that has a name of ours is ours; an answer that names no network cannot deny it."""
    return app.network in ("", network)


def find_app(client: Client, app: str, network: str) -> App | None:
    """The workspace's app, if it is there and ours."""
    try:
        found = client.app(app)
    except NotFound:
        return None
    return found if is_ours(found, network) else None


def find_volume(client: Client, app: str) -> Volume | None:
    """The workspace's volume."""
    found = [one for one in client.volumes(app) if one.name == VOLUME_NAME and not one.is_going]
    return found[0] if found else None


def find_machine(client: Client, app: str, workspace_id: str) -> Machine | None:
    """The machine that carries the workspace's mark."""
    marked = [one for one in client.machines(app) if one.metadata.get(WORKSPACE_MARK) == workspace_id]
    return next((one for one in marked if not one.is_going), None)


@contextmanager
def to_oneself(client: Client, app: str, workspace_id: str, machine_id: str, what: str) -> Iterator[None]:
    """Nobody else changes its machine meanwhile; one that is not there, or not in reach, nobody does.

    *Errors*: ProvisionError, somebody else holds it for longer than one who died would.
    """
    with ExitStack() as held:
        try:
            if find_app(client, app, network_of(workspace_id)):
                machine_id = machine_id or _machine_of(client, app, workspace_id)
                if machine_id:
                    held.enter_context(client.leased(app, machine_id, description=f"my-jarvis: {what}"))
        except (ApiError, Unreachable) as error:
            if isinstance(error, ApiError) and error.status == 409:
                raise ProvisionError(
                    f"Somebody else works on {app} at this moment: {error}",
                    step="lease",
                    hint="wait for them, then try again",
                ) from error
        yield


def _machine_of(client: Client, app: str, workspace_id: str) -> str:
    found = find_machine(client, app, workspace_id)
    return found.id if found else ""


def remove_app(client: Client, app: str, network: str) -> bool:
    """Whether there was anything to remove; afterwards the app is gone, with its machines and volumes.

    *Errors*: ProvisionError where the app is somebody else's: it is not touched. NotInTime, ApiError,
    Unreachable.
    """
    if not _told_to_go(client, app, network):
        return False
    _wait_until_gone(client, app)
    return True


def _told_to_go(client: Client, app: str, network: str) -> bool:
    """Whether the app was there. One that is just being made is believed absent only after some looks."""
    told = False
    trouble: Unreachable | ApiError | None = None
    for pause_s in (*LOOK_AGAIN_S, 0.0):
        try:
            _prove(client.app(app), network)
            told = True
            client.delete_app(app)
            return True
        except NotFound:
            trouble = None
            if told:
                return True
        except (Unreachable, ApiError) as error:
            trouble = error
        client.sleep(pause_s)
    if trouble:
        raise trouble
    return False


def _prove(app: App, network: str) -> None:
    if not is_ours(app, network):
        raise ProvisionError(
            f"The app {app.name} is somebody else's (its network is {app.network}): it was not touched.",
            step="proof",
        )


def _wait_until_gone(client: Client, app: str) -> None:
    began, pause_s, seen = client.clock(), 0.1, "there"
    while client.clock() - began < GONE_S:
        try:
            client.app(app)
        except NotFound:
            return
        except (Unreachable, ApiError) as error:
            seen = str(error)
        client.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 3.0)
    raise NotInTime(
        f"The app {app} was deleted, and {GONE_S:.0f} s later it was not seen to be gone; last seen: {seen}",
        wanted="gone",
        seen=seen,
        waited_s=GONE_S,
    )
