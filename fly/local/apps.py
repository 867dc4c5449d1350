"""Apps and what hangs on their name: addresses and secrets."""

import asyncio
import ipaddress
import itertools
import logging
import re
import secrets
from collections.abc import Mapping
from typing import Any

from fly.local import names
from fly.local.hosting import Host
from fly.local.machines import Machines
from fly.local.refusal import Refusal, invalid, missing, unprocessable
from fly.local.state import App, Ip, State, now, now_ms
from fly.local.volumes import Volumes

log = logging.getLogger(__name__)
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?")
NETWORK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}")
SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
SHARED_V4 = ipaddress.IPv4Network("198.18.0.0/15")
"""Addresses of no use outside, as RFC 2544 sets aside: an app here is reached through the door alone."""
V6 = ipaddress.IPv6Network("2001:db8::/32")
PRIVATE_V6 = ipaddress.IPv6Network("fdaa::/16")
POOLS: dict[str, ipaddress.IPv4Network | ipaddress.IPv6Network] = {
    "v4": SHARED_V4,
    "shared_v4": SHARED_V4,
    "egress_v4": SHARED_V4,
    "v6": V6,
    "egress_v6": V6,
    "private_v6": PRIVATE_V6,
}
DELETION_S = 20.0
BACK_OFFS_S = (0.25, 1.0, 4.0, 15.0, 60.0)
"""Between the tries to delete what the engine does not let go of; the last one for ever."""


class Apps:
    def __init__(self, state: State, host: Host, machines: Machines, volumes: Volumes) -> None:
        self._state, self._host, self._machines, self._volumes = state, host, machines, volumes
        self._deletions: dict[str, asyncio.Task[None]] = {}

    def found(self, name: str) -> App:
        """*Errors*: Refusal 404."""
        app = self._state.apps.get(name)
        if app is None or app.deleting:
            raise missing("app")
        return app

    def of(self, org: str | None) -> list[App]:
        return [app for app in self._state.apps.values() if not app.deleting and org in {None, "", app.org}]

    def organizations(self) -> list[str]:
        """The slugs of all that have apps, and of the one that everybody has."""
        return sorted({app.org for app in self._state.apps.values()} | {"personal"})

    async def create(self, request: Mapping[str, Any]) -> App:
        """*Errors*: Refusal 422 for a name that is taken or malformed."""
        name = request.get("app_name") or request.get("name") or names.machine_name()
        network = request.get("network") or "default"
        if not NAME.fullmatch(name):
            raise unprocessable("Name under 63 chars using numbers, lowercase letters and dashes")
        if not NETWORK.fullmatch(network):
            raise unprocessable("Network must start with a letter and hold only letters, digits and dashes")
        if name in self._state.apps:
            raise unprocessable("Name has already been taken", "name_taken")
        org = request.get("org_slug") or "personal"
        app = App(name, names.app_id(), names.numeric_id(), org, network, now_ms())
        self._state.save(app)
        try:
            await self._host.join(org, network)
        except BaseException:
            if self._state.has(app):
                self._state.drop(app)
            raise
        if not self._state.has(app):  # deleted before it was wholly made
            await self._host.leave(app)
            raise missing("app")
        return app

    async def delete(self, app: App) -> None:
        """Takes machines and volumes along. Who asks waits for the end of it, but not for ever."""
        await asyncio.wait([self._deletion(self._state.change(app, deleting=True))], timeout=DELETION_S)

    def resume_deletions(self) -> None:
        """Goes on with what a platform that was killed had begun."""
        for app in [app for app in self._state.apps.values() if app.deleting]:
            self._deletion(app)

    def _deletion(self, app: App) -> asyncio.Task[None]:
        task = asyncio.create_task(self._delete_at_last(app))
        self._deletions[app.name] = task
        task.add_done_callback(lambda _: self._deletions.pop(app.name, None))
        return task

    async def _delete_at_last(self, app: App) -> None:
        """Tries until it is done: to all who ask the app is gone, so nobody else can."""
        for back_off_s in itertools.chain(BACK_OFFS_S, itertools.repeat(BACK_OFFS_S[-1])):
            try:
                return await self._delete(app)
            except Exception:
                log.exception("app %s could not be deleted wholly; tried again in %g s", app.name, back_off_s)
            await asyncio.sleep(back_off_s)
        return None

    async def _delete(self, app: App) -> None:
        machines = self._state.machines_of(app.name)
        for machine in machines:
            await self._machines.destroy(machine.id, force=True)
        for machine in machines:
            await self._machines.gone(machine.id)
        for volume in self._state.volumes_of(app.name):
            await self._volumes.remove(volume)
        self._volumes.forget_snapshots(app)
        await self._host.leave(app)
        remembered = [machine for machine in self._state.destroyed.values() if machine.app == app.name]
        certificates = [one for one in self._state.certificates.values() if one.app == app.name]
        self._state.drop(*remembered, *certificates, *self._state.ips_of(app.name), app)

    async def close(self) -> None:
        tasks = list(self._deletions.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- addresses

    def assign_ip(self, app: App, request: Mapping[str, Any]) -> list[Ip]:
        """One address, or a pair of them for `egress_pair`."""
        kind = request.get("type") or "v6"
        if kind == "egress_pair":
            return [self._assign(app, "egress_v4", request), self._assign(app, "egress_v6", request)]
        if kind not in POOLS:
            raise invalid(f"type must be one of {', '.join(sorted([*POOLS, 'egress_pair']))}")
        return [self._assign(app, kind, request)]

    def _assign(self, app: App, kind: str, request: Mapping[str, Any]) -> Ip:
        if kind == "shared_v4":
            for ip in self._state.ips_of(app.name):
                if ip.type == kind:
                    return ip
        network = request.get("network") or "default"
        if request.get("network") and not any(n.name == network for n in self._state.networks.values()):
            raise Refusal(400, "network not found")
        seen_from = (
            {"name": network, "org_slug": request.get("org_slug") or app.org}
            if kind == "private_v6"
            else None
        )
        region = request.get("region") or "global"
        ip = Ip(
            self._free_ip(kind), app.name, kind, region, request.get("service_name", ""), seen_from, now()
        )
        self._state.save(ip)
        return ip

    def _free_ip(self, kind: str) -> str:
        pool = POOLS[kind]
        while True:
            address = str(pool[secrets.randbelow(min(pool.num_addresses, 2**96) - 2) + 1])
            if address not in self._state.ips:
                return address

    def release_ip(self, app: App, address: str) -> None:
        """*Errors*: Refusal 404."""
        ip = self._state.ips.get(address)
        if ip is None or ip.app != app.name:
            raise missing("ip assignment")
        self._state.drop(ip)

    # -- secrets

    def set_secrets(self, app: App, values: Mapping[str, str | None]) -> App:
        """Sets them, and removes those that are None; machines learn of it when they are made or updated."""
        if bad := [name for name in values if not SECRET.fullmatch(name)]:
            raise invalid(f"a secret's name has letters, digits and underscores: {bad[0]!r}")
        kept = {name: secret for name, secret in app.secrets.items() if name not in values}
        made = {name: self._secret(app, name, value) for name, value in values.items() if value is not None}
        return self._state.change(app, secrets=kept | made, secrets_version=app.secrets_version + 1)

    def _secret(self, app: App, name: str, value: str) -> dict[str, str]:
        first = app.secrets.get(name, {}).get("created_at", now())
        return {"value": value, "created_at": first, "updated_at": now()}
