"""Variables of one user's own, such as a key for the API: kept by the platform as the app's secrets.

Their values stand in no config, record, log or list of processes here; the platform shows them to nobody.
"""

import re
from collections.abc import Mapping
from typing import Any

from fly.change.machine import surely
from fly.change.power import Power
from fly.errors import PlanError
from fly.ledger import Ledger, Workspace
from fly.model import Machine
from fly.settings import Secret

HANDED_ON = "JARVIS_HANDED_ON"
"""Names of variables that shells and Claude get, with commas: they get none that nobody has named."""
NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
OURS = ("JARVIS_", "FLY_", "USER_", "LD_", "CLAUDE_CONFIG_")
RESERVED = frozenset(
    {
        *("BASH_ENV", "ENV", "IFS", "NODE_OPTIONS", "PATH", "PYTHONPATH"),
        *("HOME", "LANG", "LOGNAME", "PRIMARY_REGION", "PWD", "SHELL", "TERM", "USER"),
    }
)
LONGEST = 16 * 1024


def checked(name: str, value: Secret | None) -> tuple[str, Secret | None]:
    """*Errors*: PlanError, before anything is touched; without the value."""
    if not NAME.fullmatch(name):
        raise PlanError(
            f"{name!r} is no name of a variable.", hint="capitals, digits and underscores: ANTHROPIC_API_KEY"
        )
    if name.startswith(OURS) or name in RESERVED:
        raise PlanError(f"{name} is the platform's own, or my-jarvis's.", hint="choose another name")
    if value is not None:
        _check(name, value.reveal())
    return name, value


def _check(name: str, text: str) -> None:
    if not text:
        raise PlanError(
            f"The value of {name} is empty.", hint="invoke secrets --name NAME --unset removes one"
        )
    if "\0" in text or len(text.encode()) > LONGEST:
        raise PlanError(f"The value of {name} has more than {LONGEST} bytes, or a NUL in it.")


def set_variables(
    power: Power, ledger: Ledger, row: Workspace, values: Mapping[str, Secret | None], *, later: bool = False
) -> None:
    """The workspace has these variables, and no more those that are None; `later`: from its next restart on.

    *Errors*: ChangeError; those of the client.
    """
    client = power.client
    wanted = {name: secret.reveal() if secret else None for name, secret in values.items()}
    # The same values once more change nothing, so a lost answer is no trouble.
    surely(client, lambda: client.set_secrets(row.app, wanted), lambda: False)
    for name, secret in values.items():
        ledger.change(row.id, "variable set" if secret else "variable removed", name)
    names = ",".join(sorted(one.name for one in client.secrets(row.app)))

    def config(machine: Machine) -> dict[str, Any]:
        # A machine learns of secrets only by an update: the version is what makes this one.
        env = {**(machine.config.get("env") or {}), HANDED_ON: names}
        return {**machine.config, "env": env}

    if not later:
        power.change(row, "secrets", config, always=True)
