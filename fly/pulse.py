"""Does a machine that was started still live: what crashes again and again is not waited for to the end."""

from fly.client import GIVEN_UP, Client
from fly.errors import ApiError, Unreachable
from fly.model import Machine

CRASHES = 3
"""So often it may end by itself and be started again by the platform, before nobody waits for it any more."""


class Pulse:
    """One machine, looked at now and then from the moment on at which it was told to run.

    `before`: how it was then; what it did earlier is not held against it.
    """

    def __init__(self, client: Client, app: str, machine_id: str, before: Machine | None = None) -> None:
        self._client, self._app, self._machine_id = client, app, machine_id
        self._crashes_before = _crashes(before) if before else []
        self._stopped = 0

    def lost(self) -> str:
        """Why it will not answer any more; empty while it may."""
        try:
            machine = self._client.machine(self._app, self._machine_id)
        except (ApiError, Unreachable):
            return ""  # whoever waits for the page hears of that too
        crashes = [one for one in _crashes(machine) if one not in self._crashes_before]
        last = f" ({crashes[0][1]})" if crashes else ""
        # For a moment between an end and the next start it may read `stopped`.
        self._stopped = self._stopped + 1 if machine.state == "stopped" and crashes else 0
        if machine.state in GIVEN_UP or self._stopped > 1:
            return f"the machine is {machine.state}{last}"
        return f"its program ended {len(crashes)} times{last}" if len(crashes) >= CRASHES else ""


def _crashes(machine: Machine) -> list[tuple[int, str]]:
    """When it ended without having been told to, and how; newest first."""
    return [(event.timestamp_ms, event.exit) for event in machine.events if event.is_crash]
