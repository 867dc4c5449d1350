"""Who may change a machine for a while: a nonce that runs out."""

import secrets
import time
from datetime import UTC, datetime

from fly.local.refusal import aborted, missing
from fly.local.state import Lease, Machine, State

TTL_S = 3600


class Leases:
    def __init__(self, state: State, owner: str) -> None:
        self._state = state
        self._owner = f"{owner}@tokens.fly.io"

    def of(self, machine: Machine) -> Lease | None:
        """The lease that holds now."""
        lease = self._state.leases.get(machine.id)
        return lease if lease and lease.expires_at > time.time() else None

    def guard(self, machine: Machine, nonce: str | None) -> None:
        """*Errors*: Refusal 409 when somebody else holds the machine."""
        lease = self.of(machine)
        if lease and not secrets.compare_digest(lease.nonce.encode(), (nonce or "").encode()):
            until = datetime.fromtimestamp(lease.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            held = f"machine ID {machine.id} lease currently held by {lease.owner}, expires at {until}"
            raise aborted(held)

    def acquire(self, machine: Machine, ttl_s: int | None, description: str, nonce: str | None) -> Lease:
        """A new lease, or with its nonce the one that holds for longer."""
        self.guard(machine, nonce)
        held = self.of(machine)
        lease = Lease(
            machine=machine.id,
            nonce=held.nonce if held else secrets.token_hex(6),
            expires_at=int(time.time()) + (ttl_s or TTL_S),
            owner=self._owner,
            description=description or (held.description if held else ""),
            version=machine.instance_id,
        )
        self._state.save(lease)
        return lease

    def found(self, machine: Machine) -> Lease:
        """*Errors*: Refusal 404."""
        lease = self.of(machine)
        if lease is None:
            raise missing("lease")
        return lease

    def release(self, machine: Machine, nonce: str | None) -> None:
        lease = self.found(machine)
        self.guard(machine, nonce)
        self._state.drop(lease)
